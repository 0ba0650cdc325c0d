//! Who must sign what, as the nodes tell it.
//!
//! | record | who must sign |
//! |---|---|
//! | a change of the validators or of the parameters | as many root authorities as the genesis says (`root_quorum`), each with as many keys as its threshold, and the one that states it among them |
//! | any other | the authority that states it, with as many keys as its threshold |
//!
//! A count of signatures here spares people a refusal; what counts is what the chain counts.

use writ_proto::api::AuthorityAnswer;
use writ_proto::genesis::{Genesis, Parameters};
use writ_proto::hash::Digest;
use writ_proto::key::PublicKey;
use writ_proto::record::{AuthorityName, Body};

use crate::author::{AuthorError, check_genesis};
use crate::client::Client;

/// Who must sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// The authority that states it.
    Authority,
    /// A quorum of the root authorities, of which one states it.
    Roots,
}

/// The authorities of one chain.
#[derive(Clone, Debug)]
pub struct Circle {
    genesis: Genesis,
    parameters: Parameters,
    authorities: Vec<AuthorityAnswer>,
}

/// How far the signatures on a record go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tally {
    /// The authorities that may sign.
    pub parts: Vec<Part>,
    /// How many of them must.
    pub needed: usize,
    /// The one that must in any case: nobody speaks in the name of somebody who did not sign.
    pub speaker: AuthorityName,
}

/// The signatures of one authority.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Its name.
    pub name: AuthorityName,
    /// How many of its keys have signed.
    pub signed: usize,
    /// How many must.
    pub threshold: u8,
}

impl Needs {
    /// Who must sign a record with this body.
    pub fn of(body: &Body) -> Self {
        match body {
            Body::Validator(_) | Body::Parameter(_) => Self::Roots,
            Body::Access(_) | Body::Revoke(_) | Body::Authority(_) | Body::Set(_) => Self::Authority,
        }
    }
}

impl Tally {
    /// Authorities that have signed with enough keys.
    pub fn met(&self) -> usize {
        self.parts.iter().filter(|part| part.is_met()).count()
    }

    /// Whether enough have signed.
    pub fn is_met(&self) -> bool {
        self.met() >= self.needed && self.speaker_part().is_some_and(Part::is_met)
    }

    /// The signatures of the one that states it.
    pub fn speaker_part(&self) -> Option<&Part> {
        self.parts.iter().find(|part| part.name == self.speaker)
    }

    /// Whether enough have signed.
    ///
    /// # Errors
    /// If not: who must sign yet.
    pub fn check(&self) -> Result<(), AuthorError> {
        match self.speaker_part().filter(|part| !part.is_met()) {
            _ if self.is_met() => Ok(()),
            Some(Part { name, signed, threshold }) if self.needed == 1 || self.met() >= self.needed => {
                Err(AuthorError::Threshold { name: name.clone(), threshold: *threshold, found: *signed })
            }
            _ => Err(AuthorError::RootQuorum { needed: self.needed, found: self.met() }),
        }
    }
}

impl Part {
    /// Whether enough of its keys have signed.
    pub fn is_met(&self) -> bool {
        self.signed >= usize::from(self.threshold)
    }
}

impl Circle {
    /// Asks the nodes; with `chain`, only for that chain.
    ///
    /// # Errors
    /// If they do not answer, or are of another chain.
    pub fn ask(client: &Client, chain: Option<&Digest>) -> Result<Self, AuthorError> {
        let genesis = client.genesis()?;
        check_genesis(&genesis, chain)?;
        let parameters = client.parameters()?.map_or_else(|| genesis.parameters.clone(), |told| told.parameters);
        Ok(Self { parameters, authorities: client.authorities()?, genesis })
    }

    /// The circle of these authorities, on a chain whose parameters are those of its genesis.
    pub fn new(genesis: Genesis, authorities: Vec<AuthorityAnswer>) -> Self {
        Self { parameters: genesis.parameters.clone(), genesis, authorities }
    }

    /// Where their chain starts.
    pub fn genesis(&self) -> &Genesis {
        &self.genesis
    }

    /// The chain's parameters now; those of its genesis where the nodes do not tell.
    pub fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    /// The authorities that have a key.
    pub fn holders(&self, key: &PublicKey) -> impl Iterator<Item = &AuthorityName> {
        self.authorities.iter().filter(|authority| authority.keys.contains(key)).map(|authority| &authority.name)
    }

    /// The authority in whose name `keys` may sign: the one named, or else the one that they leave no doubt of.
    ///
    /// # Errors
    /// If there is none or several, or one of the keys may not sign with the others.
    pub fn speaker(
        &self,
        needs: Needs,
        keys: &[PublicKey],
        named: Option<&AuthorityName>,
    ) -> Result<AuthorityName, AuthorError> {
        let speaker = match named {
            Some(name) => self.authorities.iter().find(|authority| authority.name == *name),
            None => Some(self.unnamed(needs, keys)?),
        };
        let speaker = speaker.ok_or_else(|| AuthorError::UnknownAuthority {
            name: named.expect("an authority that was not named is known").clone(),
        })?;
        if needs == Needs::Roots && speaker.parent.is_some() {
            return Err(AuthorError::NoRoot { name: speaker.name.clone() });
        }
        let may_sign = self.signers(needs, &speaker.name);
        match keys.iter().find(|key| !may_sign.iter().any(|authority| authority.keys.contains(key))) {
            None => Ok(speaker.name.clone()),
            Some(key) if needs == Needs::Roots => Err(AuthorError::NoRootKey { key: *key }),
            Some(key) => Err(AuthorError::OtherKey { key: *key, name: speaker.name.clone() }),
        }
    }

    /// How far the signatures of `keys` go on what `authority` states.
    ///
    /// # Errors
    /// If one of them may not sign it.
    pub fn tally(&self, needs: Needs, authority: &AuthorityName, keys: &[PublicKey]) -> Result<Tally, AuthorError> {
        self.speaker(needs, keys, Some(authority))?;
        let part = |authority: &AuthorityAnswer| Part {
            name: authority.name.clone(),
            signed: keys.iter().filter(|key| authority.keys.contains(key)).count(),
            threshold: authority.threshold,
        };
        let parts = self.signers(needs, authority).into_iter().map(part).collect();
        let needed = if needs == Needs::Roots { usize::from(self.genesis.root_quorum) } else { 1 };
        Ok(Tally { parts, needed, speaker: authority.clone() })
    }

    /// The authorities that may sign what `authority` states.
    fn signers(&self, needs: Needs, authority: &AuthorityName) -> Vec<&AuthorityAnswer> {
        let may = |known: &&AuthorityAnswer| match needs {
            Needs::Roots => known.parent.is_none(),
            Needs::Authority => known.name == *authority,
        };
        self.authorities.iter().filter(may).collect()
    }

    /// The authority that the keys leave no doubt of. Of several roots, the first that has signed enough: one that has
    /// not cannot state anything yet.
    fn unnamed(&self, needs: Needs, keys: &[PublicKey]) -> Result<&AuthorityAnswer, AuthorError> {
        let signed = |root: &AuthorityAnswer| keys.iter().filter(|key| root.keys.contains(key)).count();
        let enough = |root: &&AuthorityAnswer| root.parent.is_none() && signed(root) >= usize::from(root.threshold);
        let able = |key: &&PublicKey| self.authorities.iter().filter(enough).any(|root| root.keys.contains(key));
        let first = if needs == Needs::Roots { keys.iter().find(able) } else { None };
        self.only(needs, first.or(keys.first()))
    }

    /// The only authority that may state something and has the key, if there is a key.
    fn only(&self, needs: Needs, key: Option<&PublicKey>) -> Result<&AuthorityAnswer, AuthorError> {
        let holds = |known: &&AuthorityAnswer| key.is_none_or(|key| known.keys.contains(key));
        let may = |known: &&AuthorityAnswer| needs == Needs::Authority || known.parent.is_none();
        let fitting: Vec<_> = self.authorities.iter().filter(holds).filter(may).collect();
        match (fitting.as_slice(), key) {
            ([only], _) => Ok(*only),
            (_, None) => Err(AuthorError::Unnamed),
            ([], Some(key)) if self.holders(key).next().is_some() => Err(AuthorError::NoRootKey { key: *key }),
            ([], Some(key)) => Err(AuthorError::NoAuthority { key: *key }),
            (several, Some(key)) => {
                let names = several.iter().map(|authority| authority.name.clone()).collect();
                Err(AuthorError::SeveralAuthorities { key: *key, names })
            }
        }
    }
}

#[cfg(test)]
mod tests;
