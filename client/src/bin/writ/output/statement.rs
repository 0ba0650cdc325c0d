//! What a record says, in words: for those who are to sign it.
//!
//! Everything that is signed is shown, whatever the kind: a signer who trusts these words signs nothing else.

use serde_json::{Value, json};
use writ_client::circle::{Circle, Needs, Tally};
use writ_client::draft::Draft;
use writ_proto::api::{Tuple, is_readable};
use writ_proto::genesis::Parameters;
use writ_proto::key::{KeyId, PublicKey};
use writ_proto::name::{ActionPattern, Pattern, Side};
use writ_proto::record::{
    Access, AuthorityChange, AuthorityName, Body, Class, Effect, EnrolledKey, ParameterChange, Revoke, SetMember,
    ValidatorChange, ValidatorKeys,
};
use writ_proto::scope::{Rule, Scope};
use writ_proto::time::LedgerTime;

use super::{SHORT_DIGITS, Said, Style, beside, clean, fields, sentence, short};

/// A draft as it is shown.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shown<'a> {
    pub(crate) draft: &'a Draft,
    /// What the nodes tell, if there are any.
    pub(crate) circle: Option<&'a Circle>,
    pub(crate) now: LedgerTime,
}

type Pairs = Vec<(&'static str, String)>;

impl Shown<'_> {
    /// The sentence, then every field.
    pub(crate) fn words(&self, style: Style) -> String {
        let statement = self.draft.statement();
        let chain = match self.chain_name() {
            Some(name) => format!("{} ({})", statement.chain, clean(name)),
            None => format!("{} (no node here tells its name)", statement.chain),
        };
        let mut pairs = vec![("kind", statement.body.kind().as_str().to_owned())];
        pairs.extend(body_fields(&statement.authority, &statement.body, self.now));
        pairs.push(("issuingAuth", statement.authority.to_string()));
        pairs.push(("chain", chain));
        pairs.push(("nonce", hex::encode(statement.nonce.0)));
        pairs.push(("class", class(statement.body.class()).to_owned()));
        pairs.extend(statement.submit_by.map(|time| {
            let late = if time <= self.now { "; that is over" } else { "" };
            ("submit_by", beside(time, self.now) + late)
        }));
        pairs.push(("id", self.draft.id().to_string()));
        let signed = self.draft.keys().iter().map(|key| self.signer(key)).collect::<Vec<_>>();
        pairs.push(("signed by", if signed.is_empty() { "nobody yet".into() } else { signed.join("\n") }));
        pairs.extend(self.tally().map(|tally| ("enough", tally_words(&tally))));
        format!("{}\n{}", style.bold(&says(&statement.authority, &statement.body)), fields(style, &pairs))
    }

    /// The same for programs.
    pub(crate) fn json(&self) -> Value {
        let statement = self.draft.statement();
        let tally = self.tally();
        json!({
            "id": self.draft.id(), "kind": statement.body.kind().as_str(),
            "says": says(&statement.authority, &statement.body), "body": body_json(&statement.body),
            "issuingAuth": statement.authority, "chain": statement.chain, "chain_name": self.chain_name(),
            "nonce": hex::encode(statement.nonce.0), "submit_by": statement.submit_by, "keys": self.draft.keys(),
            "complete": tally.as_ref().map(Tally::is_met),
        })
    }

    /// The chain's name, where the nodes are of that chain.
    fn chain_name(&self) -> Option<&str> {
        let genesis = self.circle?.genesis();
        (genesis.chain_id() == self.draft.statement().chain).then_some(genesis.chain.as_str())
    }

    fn tally(&self) -> Option<Tally> {
        self.chain_name()?;
        let statement = self.draft.statement();
        self.circle?.tally(Needs::of(&statement.body), &statement.authority, &self.draft.keys()).ok()
    }

    fn signer(&self, key: &PublicKey) -> String {
        let circle = self.circle.filter(|_| self.chain_name().is_some());
        let Some(circle) = circle else { return key.to_string() };
        let names: Vec<&str> = circle.holders(key).map(AuthorityName::as_str).collect();
        let whose = if names.is_empty() { "of no authority".into() } else { format!("of {}", names.join(", ")) };
        format!("{key} {whose}")
    }
}

/// What a body says, as a sentence.
pub(crate) fn says(authority: &AuthorityName, body: &Body) -> String {
    match body {
        Body::Access(access) => access_sentence(authority, access),
        Body::Revoke(revoke) => revoke_sentence(authority, revoke),
        Body::Authority(change) => match change {
            AuthorityChange::Enrol { name, keys, threshold, .. } => {
                format!("{authority} enrols the authority `{name}` with {}", key_count(keys, *threshold))
            }
            AuthorityChange::Rotate { name, keys, threshold } => {
                format!("{authority} gives the authority `{name}` other keys: {}", key_count(keys, *threshold))
            }
            AuthorityChange::Retire { name } => format!("{authority} retires the authority `{name}`"),
            AuthorityChange::Suspend { name } => format!("{authority} suspends the authority `{name}`"),
            AuthorityChange::Resume { name } => format!("{authority} ends the suspension of the authority `{name}`"),
            AuthorityChange::Repudiate { name, key, from_height, void_restrictions } => {
                let whose = match key {
                    Some(key) => format!("what key {} signed for the authority `{name}`", short_key(key)),
                    None => format!("what the authority `{name}` signed"),
                };
                let denials = if *void_restrictions { ", its denials too" } else { "" };
                format!("{authority} voids {whose} from height {from_height} on{denials}")
            }
        },
        Body::Validator(change) => match change {
            ValidatorChange::Add(new) => format!("{authority} adds the validator `{}`", new.name),
            ValidatorChange::Remove(old) => {
                format!("{authority} removes the validator whose voting key is {}", short_key(old))
            }
            ValidatorChange::Replace { old, new } => {
                let (old, new) = (short_key(old), &new.name);
                format!("{authority} replaces the validator whose voting key is {old} with `{new}`")
            }
        },
        Body::Parameter(change) => match change {
            ParameterChange::Set(_) => format!("{authority} sets the chain's parameters"),
            ParameterChange::Activate { protocol, height } => {
                format!("{authority} makes {protocol} the protocol version from height {height} on")
            }
        },
        Body::Set(set) => match set.members.len() {
            1 => format!("{authority} states one thing as a set"),
            count => format!("{authority} states {count} things, all of them or none"),
        },
    }
}

/// How far the signatures go.
pub(crate) fn tally_words(tally: &Tally) -> String {
    let of = |part: &writ_client::circle::Part| format!("{} {} of {}", part.name, part.signed, part.threshold);
    match tally.parts.as_slice() {
        [only] if tally.needed == 1 => of(only),
        parts => {
            let signed: Vec<String> = parts.iter().filter(|part| part.signed > 0).map(of).collect();
            let signed = if signed.is_empty() { "nobody".into() } else { signed.join(", ") };
            let roots = if tally.needed == 1 { "root authority" } else { "root authorities" };
            let missing = tally.speaker_part().filter(|part| !part.is_met());
            let speaker = missing.map_or_else(String::new, |part| format!(", {} must be one of them", part.name));
            format!("{signed}; {} of the {} {roots} needed{speaker}", tally.met(), tally.needed)
        }
    }
}

/// Every parameter by its name.
pub(crate) fn parameter_fields(parameters: &Parameters) -> Pairs {
    let Parameters { submit_ahead_ms_max, clock_bound_ms, proposal_age_ms_max } = parameters;
    vec![
        ("submit_ahead_ms_max", submit_ahead_ms_max.to_string()),
        ("clock_bound_ms", clock_bound_ms.to_string()),
        ("proposal_age_ms_max", proposal_age_ms_max.to_string()),
    ]
}

/// The first digits of a key's id.
pub(crate) fn short_key(id: &KeyId) -> String {
    let mut text = id.to_string();
    text.truncate(SHORT_DIGITS);
    text
}

fn class(class: Class) -> &'static str {
    match class {
        Class::Restrictive => "restrictive: it can only reduce access, and holds on sight",
        Class::Permissive => "permissive: it holds once it is in the log",
    }
}

fn access_sentence(authority: &AuthorityName, access: &Access) -> String {
    let (sub, obj) = (display(&access.sub, Side::Subject), display(&access.obj, Side::Object));
    sentence(Said { authority, access: access.effect, sub: &sub, act: access.act.as_str(), obj: &obj })
}

fn revoke_sentence(authority: &AuthorityName, revoke: &Revoke) -> String {
    let verb = if revoke.effect == Effect::Grant { "ends the grant" } else { "lifts the denial" };
    format!("{authority} {verb} {}", short(&revoke.target.0))
}

fn display(pattern: &Pattern, side: Side) -> String {
    pattern.to_display_if(side, is_readable)
}

fn key_count(keys: &[EnrolledKey], threshold: u8) -> String {
    let word = if keys.len() == 1 { "key" } else { "keys" };
    format!("{} {word}, of which {threshold} must sign", keys.len())
}

/// Every field of a body.
fn body_fields(authority: &AuthorityName, body: &Body, now: LedgerTime) -> Pairs {
    match body {
        Body::Access(access) => access_fields(access, now),
        Body::Revoke(revoke) => revoke_fields(revoke),
        Body::Authority(change) => authority_fields(change),
        Body::Validator(ValidatorChange::Add(new)) => validator_fields(new),
        Body::Validator(ValidatorChange::Remove(old)) => vec![("voting key id", old.to_string())],
        Body::Validator(ValidatorChange::Replace { old, new }) => {
            let mut pairs = vec![("old voting key id", old.to_string())];
            pairs.extend(validator_fields(new));
            pairs
        }
        Body::Parameter(ParameterChange::Set(parameters)) => parameter_fields(parameters),
        Body::Parameter(ParameterChange::Activate { protocol, height }) => {
            vec![("protocol", protocol.to_string()), ("height", height.to_string())]
        }
        Body::Set(set) => {
            let mut pairs = vec![(
                "unchanged_since",
                set.unchanged_since.map_or_else(|| "none".into(), |size| format!("a log of {size} leaves")),
            )];
            for (place, member) in set.members.iter().enumerate() {
                let (says, told) = match member {
                    SetMember::Access(access) => (access_sentence(authority, access), access_fields(access, now)),
                    SetMember::Revoke(revoke) => (revoke_sentence(authority, revoke), revoke_fields(revoke)),
                };
                let told: Vec<String> = told.into_iter().map(|(name, value)| format!("{name} {value}")).collect();
                pairs.push(("member", format!("{place}: {says}\n{}", told.join("; "))));
            }
            pairs
        }
    }
}

fn access_fields(access: &Access, now: LedgerTime) -> Pairs {
    let time = |time: Option<LedgerTime>, none: &str| time.map_or_else(|| none.to_owned(), |time| beside(time, now));
    let mut pairs = vec![
        ("sub", clean(&display(&access.sub, Side::Subject))),
        ("obj", clean(&display(&access.obj, Side::Object))),
        ("act", clean(access.act.as_str())),
        ("access", access.effect.as_str().to_owned()),
        ("iss", time(access.iss, "none: from when it is added")),
        ("exp", time(access.exp, "none: until revoked")),
    ];
    for (name, text) in [("ref", &access.reference), ("cond", &access.cond)] {
        pairs.extend(text.as_ref().map(|text| (name, clean(text))));
    }
    pairs
}

fn revoke_fields(revoke: &Revoke) -> Pairs {
    vec![("target", revoke.target.to_string()), ("target's access", revoke.effect.as_str().to_owned())]
}

fn authority_fields(change: &AuthorityChange) -> Pairs {
    match change {
        AuthorityChange::Enrol { name, keys, threshold, scope } => {
            let mut pairs = vec![("name", name.to_string())];
            pairs.extend(keys_fields(keys, *threshold));
            pairs.extend(scope_fields(scope));
            pairs
        }
        AuthorityChange::Rotate { name, keys, threshold } => {
            let mut pairs = vec![("name", name.to_string())];
            pairs.extend(keys_fields(keys, *threshold));
            pairs
        }
        AuthorityChange::Retire { name } | AuthorityChange::Suspend { name } | AuthorityChange::Resume { name } => {
            vec![("name", name.to_string())]
        }
        AuthorityChange::Repudiate { name, key, from_height, void_restrictions } => vec![
            ("name", name.to_string()),
            ("key id", key.map_or_else(|| "none: all of its keys".into(), |key| key.to_string())),
            ("from_height", from_height.to_string()),
            ("void_restrictions", void_restrictions.to_string()),
        ],
    }
}

fn keys_fields(keys: &[EnrolledKey], threshold: u8) -> Pairs {
    let mut pairs: Pairs = keys.iter().map(|key| ("key", key.key.to_string())).collect();
    pairs.push(("threshold", threshold.to_string()));
    pairs
}

fn scope_fields(scope: &Scope) -> Pairs {
    let mut pairs: Pairs = scope.rules.iter().map(|rule| ("rule", rule_words(rule))).collect();
    pairs.push(("enrol_depth", scope.enrol_depth.to_string()));
    pairs
}

fn rule_words(rule: &Rule) -> String {
    let Rule { subjects, objects, actions, grants, denials, lifetime_ms_max, open_ended } = rule;
    let list = |patterns: &[Pattern], side| {
        patterns.iter().map(|pattern| clean(&display(pattern, side))).collect::<Vec<_>>().join(", ")
    };
    let actions = actions.iter().map(|action: &ActionPattern| clean(action.as_str())).collect::<Vec<_>>().join(", ");
    let effects = match (grants, denials) {
        (true, true) => "grant and deny",
        (true, false) => "grant",
        (false, true) => "deny",
        (false, false) => "neither grant nor deny",
    };
    let lifetime = lifetime_ms_max.map_or_else(String::new, |ms| format!(", for at most {ms} ms"));
    let end = if *open_ended { "" } else { ", always with an end" };
    format!(
        "may {effects}: subjects {}; objects {}; actions {actions}{lifetime}{end}",
        list(subjects, Side::Subject),
        list(objects, Side::Object)
    )
}

fn validator_fields(keys: &ValidatorKeys) -> Pairs {
    let ValidatorKeys { name, vote, checkpoint } = keys;
    vec![
        ("name", name.to_string()),
        ("voting key", vote.key.to_string()),
        ("voting key id", vote.key.id().to_string()),
        ("its possession", hex::encode(vote.possession.0)),
        ("checkpoint key", checkpoint.key.to_string()),
        ("checkpoint key id", checkpoint.key.id().to_string()),
        ("its possession", hex::encode(checkpoint.possession.0)),
    ]
}

/// A body for programs.
fn body_json(body: &Body) -> Value {
    match body {
        Body::Access(access) => json!(Tuple::from(access)),
        Body::Revoke(revoke) => json!(revoke),
        Body::Authority(change) => tagged(&json!(change)),
        Body::Validator(ValidatorChange::Add(new)) => json!({ "change": "add", "validator": new }),
        Body::Validator(ValidatorChange::Remove(old)) => json!({ "change": "remove", "old": old }),
        Body::Validator(ValidatorChange::Replace { old, new }) => {
            json!({ "change": "replace", "old": old, "validator": new })
        }
        Body::Parameter(ParameterChange::Set(parameters)) => json!({ "change": "set", "parameters": parameters }),
        Body::Parameter(ParameterChange::Activate { protocol, height }) => {
            json!({ "change": "activate", "protocol": protocol, "height": height })
        }
        Body::Set(set) => {
            let member = |member: &SetMember| match member {
                SetMember::Access(access) => json!(Tuple::from(access)),
                SetMember::Revoke(revoke) => json!(revoke),
            };
            json!({ "unchanged_since": set.unchanged_since, "members": set.members.iter().map(member).collect::<Vec<_>>() })
        }
    }
}

/// `{"Case": {..}}` as `{"change": "case", ..}`.
fn tagged(value: &Value) -> Value {
    let case = value.as_object().and_then(|cases| cases.iter().next());
    let Some((case, Value::Object(members))) = case else { return value.clone() };
    let mut members = members.clone();
    members.insert("change".into(), case.to_lowercase().into());
    Value::Object(members)
}

#[cfg(test)]
mod tests;
