//! The reasons of a decision at length, as callers see them: `explain=true`.
//!
//! What must be of one moment is taken under the hold of the state's lock that the decision was made under ([`Told`]);
//! whole entries and the ids of revocations are read from the store afterwards.

use writ_proto::api::{
    ConsideredEntry, ExplainedRole, Explanation, ObstacleAnswer, ObstacleCode, Verdict, is_readable, shown, why_not,
};
use writ_proto::decision::{self, Account, Considered, Decision, Moment, Obstacle, ObstacleKind, ReachedRole};
use writ_proto::index::{EntryOrdinal, Index, Revoked};
use writ_proto::name::{ActionPattern, Name, NameError, Side};
use writ_proto::record::AuthorityName;
use writ_proto::state::State;

use super::error::ApiError;
use super::receipt::{Standing, entry_at, id_at, record_at};
use crate::ledger::Ledger;

/// An account in texts.
pub(super) struct Told {
    roles: Vec<ReachedRole>,
    considered: Vec<Stands>,
    more: bool,
    cut: Vec<AuthorityName>,
}

/// An entry, and the revocation in the way of each obstacle, if one is.
struct Stands {
    entry: Result<ConsideredEntry, NameError>,
    revoked: Vec<Option<Revoked>>,
}

impl Told {
    /// The decision and the rest of its account; under the hold of the state's lock that it was made under.
    pub(super) fn of(state: &State, account: Account) -> (Decision, Self) {
        let Account { decision, roles, considered, more } = account;
        let name = |root: &u32| Some(state.authorities().get(*root)?.name.clone());
        let cut = decision.cut_roots.iter().filter_map(name).collect();
        let considered = considered.iter().map(|one| Stands::of(state.index(), one)).collect();
        (decision, Self { roles, considered, more, cut })
    }

    /// The explanation of `decision`, with what the store knows.
    pub(super) fn explanation(
        self,
        ledger: &Ledger,
        decision: &Decision,
        moment: &Moment,
    ) -> Result<Explanation, ApiError> {
        let Moment { interval, height } = *moment;
        let mut entries = Vec::with_capacity(decision.entries.len());
        for id in &decision.ids {
            let standing = Standing::by_id(&ledger.read(), id);
            let standing = standing.ok_or_else(|| ApiError::internal(format!("no entry {id} is in the log")))?;
            let standing = standing.known_at(height);
            entries.extend(entry_at(ledger, &record_at(ledger, standing.index)?, &standing)?);
        }
        let role = |reached: &ReachedRole| {
            let name = Name::parse_full(&reached.role).map_err(ApiError::internal)?;
            let role = name.to_display_if(Side::Object, is_readable);
            let ReachedRole { over, denied, entered, .. } = *reached;
            Ok(ExplainedRole { role, over, denied, entered })
        };
        let considered =
            self.considered.into_iter().map(|one| one.finish(ledger)).collect::<Result<Vec<_>, ApiError>>()?;
        Ok(Explanation {
            entries,
            roles: self.roles.iter().map(role).collect::<Result<_, ApiError>>()?,
            why_not: (!decision.is_granted()).then(|| why_not(&considered, self.more)),
            considered,
            more: self.more,
            cut_authorities: self.cut,
            interval: [interval.lo(), interval.hi()],
            lookups: decision.lookups,
        })
    }
}

impl Stands {
    fn of(index: &Index, one: &Considered) -> Self {
        let revoked = |obstacle: &Obstacle| match &obstacle.kind {
            ObstacleKind::Revoked(revoked) => Some(*revoked),
            _ => None,
        };
        Self { entry: considered(index, one), revoked: one.obstacles.iter().map(revoked).collect() }
    }

    fn finish(self, ledger: &Ledger) -> Result<ConsideredEntry, ApiError> {
        let mut entry = self.entry.map_err(ApiError::internal)?;
        for (obstacle, revoked) in entry.obstacles.iter_mut().zip(self.revoked) {
            if let Some(Revoked { by, .. }) = revoked {
                obstacle.by = Some(id_at(ledger, by)?);
            }
        }
        Ok(entry)
    }
}

fn considered(index: &Index, one: &Considered) -> Result<ConsideredEntry, NameError> {
    let entry = index.entry(one.entry);
    let id = |ordinal: &EntryOrdinal| index.entry(*ordinal).id;
    Ok(ConsideredEntry {
        id: entry.id,
        access: one.effect,
        sub: shown(index.text(entry.sub), Side::Subject)?,
        act: index.text(entry.act).into(),
        obj: shown(index.text(entry.obj), Side::Object)?,
        over: one.over.iter().map(id).collect(),
        verdict: match one.verdict {
            decision::Verdict::Applies => Verdict::Applies,
            decision::Verdict::Unclear => Verdict::Unclear,
            decision::Verdict::DoesNot => Verdict::DoesNotApply,
        },
        obstacles: one.obstacles.iter().map(|found| obstacle(index, one, found)).collect::<Result<_, _>>()?,
    })
}

/// An obstacle, and the same in words.
fn obstacle(index: &Index, of: &Considered, obstacle: &Obstacle) -> Result<ObstacleAnswer, NameError> {
    let entry = index.entry(obstacle.at);
    let cond = entry.cond.unwrap_or_default();
    let it = if obstacle.at == of.entry {
        "it".to_owned()
    } else {
        let (sub, role) = (shown(index.text(entry.sub), Side::Subject)?, shown(index.text(entry.obj), Side::Object)?);
        format!("the membership of `{sub}` in `{role}`")
    };
    let (mut at, mut by, mut missing) = (None, None, Vec::new());
    let (code, detail) = match &obstacle.kind {
        ObstacleKind::NotYet(start) => {
            at = Some(*start);
            (ObstacleCode::NotYet, format!("{it} starts at {start}"))
        }
        ObstacleKind::Ended(end) => {
            at = Some(*end);
            (ObstacleCode::Ended, format!("{it} ended at {end}"))
        }
        ObstacleKind::Never => (ObstacleCode::Never, format!("{it} never holds: it was over before it began")),
        ObstacleKind::Revoked(revoked) => {
            at = Some(revoked.at);
            (ObstacleCode::Revoked, format!("{it} was revoked at {}", revoked.at))
        }
        ObstacleKind::False => (ObstacleCode::ConditionFalse, format!("the condition of {it} is false: `{cond}`")),
        ObstacleKind::Unknown(lacks) => {
            missing.clone_from(lacks);
            let lacks = lacks.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(" and ");
            let detail = match lacks.is_empty() {
                true => format!("the condition of {it} cannot be evaluated: `{cond}`"),
                false => format!("the condition of {it} needs {lacks}: `{cond}`"),
            };
            (ObstacleCode::ConditionUnknown, detail)
        }
        ObstacleKind::OtherAction => {
            let act = index.text(entry.act);
            let detail = match act == ActionPattern::ANY {
                // Every action but this one.
                true => format!("{it} is about `{act}`, which never confers membership"),
                false => format!("{it} is about `{act}` alone"),
            };
            (ObstacleCode::OtherAction, detail)
        }
        ObstacleKind::MembershipDenied { by: denial, .. } => {
            by = Some(index.entry(*denial).id);
            (ObstacleCode::MembershipDenied, format!("{it} is denied"))
        }
        ObstacleKind::TooManyRoles => {
            (ObstacleCode::TooManyRoles, format!("{it} is of an authority whose memberships lead to too many roles"))
        }
    };
    Ok(ObstacleAnswer { code, entry: entry.id, at, by, missing, detail })
}
