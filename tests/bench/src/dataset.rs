//! A made-up federation of organisations, as large as is asked for, without being kept anywhere.
//!
//! Every access entry is a function of the seed and its *slot*, so any of them can be made again at any
//! time: the log streams them in a scattered order, and questions find what a user holds, in no memory.
//!
//! ```text
//!   slots      | user 0 .. | user 1 .. | ... | team 0 .. | ... | department 0 .. | ... | organisation 0 .. |
//!              ten of each: what this holder is a member of, is granted, is denied
//!
//!   role:org3/dep11/team4  --member-->  role:org3/dep11  --member-->  role:org3
//!   file:org3/dep11/p7/f19      grants stand on exact files, on `file:org3/dep11/p7/*`, `file:org3/dep11/*`, ...
//! ```
//!
//! | share | what |
//! |---|---|
//! | 29 % | memberships: one to eight per user, three on average, mostly in the own department |
//! | 1 % | memberships of teams in departments and of departments in organisations |
//! | 65 % | grants, of them nine in ten to users; one in six on a pattern |
//! | 5 % | denials: of files, of folders, of membership |
//!
//! A tenth of all entries (the roles' own memberships aside) has expired by the end, another tenth was
//! revoked, a third tenth will end later. Eight root authorities sign, each for the objects of its
//! organisation.

mod names;
mod stream;

use writ_proto::record::Effect;

use crate::random::{Random, mix};
pub(crate) use names::{department_role, file, folder, organisation_role, place_of_file, team_role, user};
#[cfg(test)]
use stream::Revocation;
pub(crate) use stream::{Block, Change};

/// How many organisations there are, each with a root authority `org0`, `org1`, ...
pub(crate) const ORGANISATIONS: u64 = 8;
/// How many entries each holder has.
const SLOTS: u64 = 10;
/// How many teams a department has, and how many users there are per team.
const TEN: u64 = 10;
/// Memberships of one user at most.
const MEMBERSHIPS_MAX: u64 = 8;
/// How many folders a department has, and how many files a folder.
const FOLDERS: u64 = 20;
const FILES: u64 = 20;

/// The actions that questions ask about.
pub(crate) const ACTIONS: [&str; 3] = ["read", "write", "share"];

/// The whole of it.
#[derive(Clone, Debug)]
pub(crate) struct Dataset {
    seed: u64,
    users: u64,
    teams: u64,
    departments: u64,
    entries: u64,
    /// Coprime to `entries`: position times this is the slot.
    step: u64,
}

/// What an entry says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fact {
    /// Who: the full text of a name or pattern.
    pub(crate) sub: String,
    /// Which action.
    pub(crate) act: &'static str,
    /// What: the full text of a name or pattern.
    pub(crate) obj: String,
    /// Granted or denied.
    pub(crate) effect: Effect,
    /// What becomes of it until the end.
    pub(crate) fate: Fate,
    /// The organisation whose authority signs it.
    pub(crate) organisation: u64,
}

/// What becomes of an entry until the end of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It has no end.
    Open,
    /// It ends, but later than the log.
    EndsLater,
    /// It ended.
    Expired,
    /// It was revoked.
    Revoked,
}

impl Fate {
    /// Whether it still holds at the end of the log.
    pub(crate) fn is_live(self) -> bool {
        matches!(self, Self::Open | Self::EndsLater)
    }
}

impl Dataset {
    /// The federation of about `entries` access entries ([`Dataset::entries`] tells exactly how many).
    pub(crate) fn new(entries: u64, seed: u64) -> Self {
        // Ten slots for each user, for every tenth user a team, for every tenth team a department.
        let users = (entries * 100 / 1110).max(100);
        let teams = users.div_ceil(TEN);
        let departments = teams.div_ceil(TEN).max(ORGANISATIONS);
        let teams = departments * TEN;
        let entries = SLOTS * (users + teams + departments + ORGANISATIONS);
        // Near the golden section, neighbours in the log are far apart in the organisation.
        let mut step = (entries as f64 * 0.618_034) as u64;
        while gcd(step, entries) != 1 {
            step += 1;
        }
        Self { seed, users, teams, departments, entries, step }
    }

    /// How many access entries there are.
    pub(crate) fn entries(&self) -> u64 {
        self.entries
    }

    /// How many users there are.
    pub(crate) fn users(&self) -> u64 {
        self.users
    }

    /// How many files there are.
    pub(crate) fn files(&self) -> u64 {
        self.departments * FOLDERS * FILES
    }

    /// The entry at `position` of the log, counting access entries only, from 0.
    pub(crate) fn at(&self, position: u64) -> Fact {
        let slot = u128::from(position) * u128::from(self.step) % u128::from(self.entries);
        self.fact(slot as u64)
    }

    /// The ten entries of a user: first the memberships.
    pub(crate) fn of_user(&self, user: u64) -> impl Iterator<Item = Fact> {
        (user * SLOTS..(user + 1) * SLOTS).map(|slot| self.fact(slot))
    }

    /// The ten entries of a team.
    pub(crate) fn of_team(&self, team: u64) -> impl Iterator<Item = Fact> {
        let first = (self.users + team) * SLOTS;
        (first..first + SLOTS).map(|slot| self.fact(slot))
    }

    /// The ten entries of a department.
    pub(crate) fn of_department(&self, department: u64) -> impl Iterator<Item = Fact> {
        let first = (self.users + self.teams + department) * SLOTS;
        (first..first + SLOTS).map(|slot| self.fact(slot))
    }

    /// How many of a user's entries are memberships: the lesser of two dice of eight, so three on average.
    fn memberships(&self, user: u64) -> u64 {
        let dice = mix(self.seed ^ mix(user));
        1 + (dice % MEMBERSHIPS_MAX).min((dice >> 32) % MEMBERSHIPS_MAX)
    }

    /// The team of a user's membership number `at`. The first is in the home department.
    pub(crate) fn team_of(&self, user: u64, at: u64) -> u64 {
        let home = mix(self.seed ^ mix(user ^ HOME));
        let dice = mix(home ^ mix(at));
        if at == 0 || dice % 100 < 60 {
            // One after the other, so that no user is in the same team twice by this way.
            home % self.departments + self.departments * ((home / self.departments + at) % TEN)
        } else {
            (dice >> 8) % self.teams
        }
    }

    /// The department of a team.
    pub(crate) fn department_of(&self, team: u64) -> u64 {
        team % self.departments
    }

    fn fact(&self, slot: u64) -> Fact {
        let (holder, at) = (slot / SLOTS, slot % SLOTS);
        let mut random = Random::new(self.seed ^ mix(slot));
        let (teams, departments) = (self.users, self.users + self.teams);
        if holder < teams {
            self.fact_of_user(&mut random, holder, at)
        } else if holder < departments {
            self.fact_of_team(&mut random, holder - teams, at)
        } else if holder < departments + self.departments {
            self.fact_of_department(&mut random, holder - departments, at)
        } else {
            self.fact_of_organisation(&mut random, holder - departments - self.departments, at)
        }
    }

    fn fact_of_user(&self, random: &mut Random, number: u64, at: u64) -> Fact {
        let fate = fate(random);
        let home = self.department_of(self.team_of(number, 0));
        let sub = user(home, number);
        if at < self.memberships(number) {
            let team = self.team_of(number, at);
            let department = self.department_of(team);
            return grant(sub, "member", team_role(department, team), fate, department);
        }
        // Nine in ten things that people do are done in their own department.
        let department = if random.chance(0.9) { home } else { random.below(self.departments) };
        let (at_folder, at_file) = (random.below(FOLDERS), random.below(FILES));
        let act = action(random);
        let exact = file(department, at_folder, at_file);
        match random.below(1000) {
            0..825 => grant(sub, act, exact, fate, department),
            825..925 => grant(sub, act, folder(department, at_folder), fate, department),
            925..977 => deny(sub, act, exact, fate, department),
            977..992 => deny(sub, act, folder(department, at_folder), fate, department),
            _ => {
                let team = self.team_of(number, 0);
                deny(sub, "member", team_role(home, team), fate, home)
            }
        }
    }

    fn fact_of_team(&self, random: &mut Random, team: u64, at: u64) -> Fact {
        let department = self.department_of(team);
        let sub = team_role(department, team);
        if at == 0 {
            return grant(sub, "member", department_role(department), Fate::Open, department);
        }
        self.fact_of_role(random, sub, department)
    }

    fn fact_of_department(&self, random: &mut Random, department: u64, at: u64) -> Fact {
        let sub = department_role(department);
        if at == 0 {
            return grant(sub, "member", organisation_role(department), Fate::Open, department);
        }
        self.fact_of_role(random, sub, department)
    }

    /// Everyone of an organisation may read some folders; not only its roles, also its users by pattern.
    fn fact_of_organisation(&self, random: &mut Random, organisation: u64, at: u64) -> Fact {
        let fate = fate(random);
        let department = random.below(self.departments / ORGANISATIONS) * ORGANISATIONS + organisation;
        let obj = folder(department, random.below(FOLDERS));
        let sub = if at < 7 { organisation_role(organisation) } else { format!("user:org{organisation}/*") };
        if at == 9 { deny(sub, "share", obj, fate, organisation) } else { grant(sub, "read", obj, fate, organisation) }
    }

    fn fact_of_role(&self, random: &mut Random, sub: String, department: u64) -> Fact {
        let fate = fate(random);
        let (at_folder, at_file) = (random.below(FOLDERS), random.below(FILES));
        let act = action(random);
        match random.below(100) {
            0..65 => grant(sub, act, folder(department, at_folder), fate, department),
            65..90 => grant(sub, act, file(department, at_folder, at_file), fate, department),
            90..95 => grant(sub, "read", names::everything_below(department), fate, department),
            _ => deny(sub, act, file(department, at_folder, at_file), fate, department),
        }
    }
}

/// Tells what a user's home follows from apart from how many memberships there are.
const HOME: u64 = 0x686f_6d65;

fn grant(sub: String, act: &'static str, obj: String, fate: Fate, department: u64) -> Fact {
    Fact { sub, act, obj, effect: Effect::Grant, fate, organisation: department % ORGANISATIONS }
}

fn deny(sub: String, act: &'static str, obj: String, fate: Fate, department: u64) -> Fact {
    Fact { sub, act, obj, effect: Effect::Deny, fate, organisation: department % ORGANISATIONS }
}

fn fate(random: &mut Random) -> Fate {
    match random.below(10) {
        0 => Fate::Expired,
        1 => Fate::Revoked,
        2 => Fate::EndsLater,
        _ => Fate::Open,
    }
}

fn action(random: &mut Random) -> &'static str {
    match random.below(100) {
        0..60 => "read",
        60..85 => "write",
        85..95 => "share",
        _ => "*",
    }
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests;
