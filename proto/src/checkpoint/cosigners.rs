//! Who signs the checkpoints of a log, and when that is enough.

use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

use super::note::{KeyType, Line, Note, NoteError, NoteKey};
use super::{Checkpoint, Cosignature};
use crate::certificate::quorum;
use crate::key::{KeyId, OpenedKey, PublicKey, Signature};
use crate::record::ValidatorKeys;

/// One validator's checkpoint key, in both its uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cosigner {
    id: KeyId,
    log: NoteKey,
    cosigner: NoteKey,
}

impl Cosigner {
    /// The key `key` of the cosigner `name`, which is `<origin>/<validator>`, on the log `origin`.
    pub(super) fn new(origin: &str, name: String, key: PublicKey) -> Self {
        Self {
            id: key.id(),
            log: NoteKey::new(origin.into(), KeyType::Log, key),
            cosigner: NoteKey::new(name, KeyType::Cosigner, key),
        }
    }

    /// The id of the checkpoint key.
    pub fn id(&self) -> KeyId {
        self.id
    }

    /// The checkpoint key.
    pub fn key(&self) -> &PublicKey {
        self.log.key()
    }

    /// The key as it signs for the log, type 0x01, under the log's name.
    pub fn log_key(&self) -> &NoteKey {
        &self.log
    }

    /// As if its log key had another id.
    #[cfg(test)]
    pub(super) fn with_log_id(&self, id: [u8; 4]) -> Self {
        Self { log: self.log.with_id(id), ..self.clone() }
    }

    /// The key as it cosigns, type 0x04, under `<origin>/<validator>`.
    pub fn cosigner_key(&self) -> &NoteKey {
        &self.cosigner
    }
}

/// The keys that sign the checkpoints of one log at some size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cosigners {
    origin: String,
    members: Vec<Cosigner>,
    quorum: usize,
}

/// A checkpoint that a quorum of its cosigners signed. Made by [`Cosigners::verify`] alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cosigned {
    checkpoint: Checkpoint,
    signers: Vec<(KeyId, u64)>,
}

impl Cosigned {
    /// What they signed.
    pub fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// Whose signatures were checked, and the second at which each cosigned: at least a quorum.
    pub fn signers(&self) -> &[(KeyId, u64)] {
        &self.signers
    }
}

impl Cosigners {
    /// The cosigners of the log `origin` while `validators` are the validators of the next height.
    pub fn of(origin: &str, validators: &[ValidatorKeys]) -> Self {
        let member =
            |keys: &ValidatorKeys| Cosigner::new(origin, format!("{origin}/{}", keys.name), keys.checkpoint.key);
        Self::new(origin, validators.iter().map(member).collect(), quorum(validators.len()))
    }

    pub(super) fn new(origin: &str, members: Vec<Cosigner>, quorum: usize) -> Self {
        Self { origin: origin.into(), members, quorum }
    }

    /// The log's name.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// All of them.
    pub fn members(&self) -> &[Cosigner] {
        &self.members
    }

    /// The one with the checkpoint key of this id.
    pub fn get(&self, id: &KeyId) -> Option<&Cosigner> {
        self.members.iter().find(|member| member.id == *id)
    }

    /// How many of them make a checkpoint final: ⌊2n/3⌋ + 1.
    pub fn quorum(&self) -> usize {
        self.quorum
    }

    /// The note of `checkpoint` from `signatures`, each of which the caller has verified, since one bad line
    /// spoils a note for everybody. Those of another checkpoint or of strangers, and repeated ones, are left
    /// out; `None` if what is left is no quorum.
    pub fn assemble(&self, checkpoint: &Checkpoint, signatures: &[Cosignature]) -> Option<String> {
        let of_member = |member: &Cosigner| {
            let fits =
                |one: &&Cosignature| (one.key, one.size, one.root) == (member.id, checkpoint.size, checkpoint.root);
            signatures.iter().find(fits).copied()
        };
        let signed = || self.members.iter().filter_map(|member| Some((member, of_member(member)?)));
        if checkpoint.origin != self.origin || signed().count() < self.quorum {
            return None;
        }
        let mut note = checkpoint.body();
        note.push('\n');
        signed().for_each(|(member, one)| note.push_str(&member.log.log_line(&one.log_signature)));
        signed().for_each(|(member, one)| note.push_str(&member.cosigner.cosignature_line(one.time, &one.cosignature)));
        Some(note)
    }

    /// Whether `text` is a checkpoint of this log that a quorum signed.
    ///
    /// A cosigner counts if its log signature and its cosignature both stand there and fit. Lines of keys
    /// that are not known are passed over, as signed-note wants it: they may be those of witnesses, or of
    /// validators of another time. A line of a known key that does not fit refuses the whole.
    pub fn verify(&self, text: &str) -> Result<Cosigned, NoteError> {
        let note = Note::parse(text)?;
        let checkpoint = Checkpoint::from_body(note.body)?;
        if checkpoint.origin != self.origin {
            return Err(NoteError::OtherOrigin { found: checkpoint.origin, expected: self.origin.clone() });
        }
        let mut signed: Vec<Signed> = self.members.iter().map(|_| Signed::default()).collect();
        for (line, number) in note.lines.iter().zip(1..) {
            let repeated = || NoteError::Repeated { name: line.name.to_string(), line: number };
            let unfit = || NoteError::BadSignature { name: line.name.to_string(), line: number };
            // More than one only if somebody searched for a key with another's id: then either may have signed.
            let mut named = false;
            let mut whose = None;
            for (at, member) in self.members.iter().enumerate() {
                let Some(fits) = member.judge(line, &checkpoint) else { continue };
                named = true;
                if let Some(fits) = fits {
                    whose = Some((at, fits));
                }
            }
            match whose {
                None if named => return Err(unfit()),
                None => {}
                Some((at, Fits::Log)) if signed[at].log => return Err(repeated()),
                Some((at, Fits::Log)) => signed[at].log = true,
                Some((at, Fits::Cosigner { .. })) if signed[at].cosigned.is_some() => return Err(repeated()),
                Some((at, Fits::Cosigner { time })) => signed[at].cosigned = Some(time),
            }
        }
        let both = |(member, signed): (&Cosigner, Signed)| Some((member.id, signed.cosigned.filter(|_| signed.log)?));
        let signers: Vec<_> = self.members.iter().zip(signed).filter_map(both).collect();
        if signers.len() < self.quorum {
            return Err(NoteError::NoQuorum { found: signers.len(), quorum: self.quorum });
        }
        Ok(Cosigned { checkpoint, signers })
    }
}

/// What was found of one cosigner.
#[derive(Clone, Copy, Default)]
struct Signed {
    log: bool,
    cosigned: Option<u64>,
}

/// Which signature of a cosigner a line holds.
enum Fits {
    Log,
    Cosigner { time: u64 },
}

impl Cosigner {
    /// `None` if the line names another key; else which of its signatures it is, if it fits.
    fn judge(&self, line: &Line<'_>, checkpoint: &Checkpoint) -> Option<Option<Fits>> {
        let is_of = |key: &NoteKey| key.name() == line.name && key.id() == line.id;
        let fits = |message: String, signature: &Signature| {
            self.key().open().and_then(|key: OpenedKey| key.verify(message.as_bytes(), signature)).is_ok()
        };
        if is_of(&self.log) {
            let signature = NoteKey::read_log(&line.signature);
            return Some(signature.filter(|signature| fits(checkpoint.body(), signature)).map(|_| Fits::Log));
        }
        if is_of(&self.cosigner) {
            let read = NoteKey::read_cosignature(&line.signature);
            let read = read.filter(|(time, signature)| fits(checkpoint.cosigned_bytes(*time), signature));
            return Some(read.map(|(time, _)| Fits::Cosigner { time }));
        }
        None
    }
}
