//! The bytes of the engine's messages: between nodes, and in the engine's own write-ahead log.
//!
//! The engine's types have no encoding, so each message has a mirror here, encoded by
//! [`writ_proto::codec`]: bounded before anything is allocated, nothing left over, one byte string per
//! message. These encodings are internal to the nodes of one network; what validators *sign* is
//! [`writ_proto::certificate`]'s. Rounds are `u32` on the wire, so the engine's "no round" cannot arrive
//! where a round is needed.

use bytes::Bytes;
use malachitebft_app_channel::app::consensus::LivenessMsg;
use malachitebft_app_channel::app::engine::util::streaming::{StreamContent, StreamId, StreamMessage};
use malachitebft_app_channel::app::types::codec::{Codec, HasEncodedLen};
use malachitebft_app_channel::app::types::{ProposedValue, SignedConsensusMsg};
use malachitebft_core_types::{
    CommitCertificate, CommitSignature, ExtendedCommitCertificate, ExtendedCommitSignature, PolkaCertificate,
    PolkaSignature, Round, RoundCertificate, RoundCertificateType, RoundSignature, SignedMessage, SignedProposal,
    SignedVote, ValidatorProof, Validity,
};
use malachitebft_peer::PeerId;
use malachitebft_sync::{RawDecidedValue, Request, Response, Status, ValueRequest, ValueResponse};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use writ_proto::certificate::{self, Certificate, VoteKind};
use writ_proto::codec::{self, CodecError};
use writ_proto::hash::Digest;
use writ_proto::key::{KeyId, PublicKey, Signature};

use crate::context::{Address, Announcement, Ctx, Height, NoRound, Part, Proposal, ValueId, Vote, number};
use crate::parts::CHUNK_BYTES;
use crate::signing::Sig;

/// Bytes of a signed vote or proposal: fixed parts only.
const SIGNED_BYTES_MAX: usize = 512;
/// Bytes of a certificate of votes: room for 400 voters.
const LIVENESS_BYTES_MAX: usize = 64 * 1024;
/// Bytes of a piece of a value.
const PART_BYTES_MAX: usize = CHUNK_BYTES + 512;
/// Bytes of a peer claim, a status or a request: a peer id and a few numbers.
const SMALL_BYTES_MAX: usize = 512;
/// Bytes of an answer to a peer that lags: [`crate::config::SYNC_RESPONSE_BYTES_MAX`] and its frame.
const RESPONSE_BYTES_MAX: usize = crate::config::SYNC_RESPONSE_BYTES_MAX + 1024 * 1024;
/// Bytes of a stream's id, which its publisher chooses.
const STREAM_ID_BYTES_MAX: usize = 64;

/// Why a message of the engine cannot be encoded, or bytes are not one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum WireError {
    /// The bytes are not a message.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// A message without the round that it needs.
    #[error(transparent)]
    NoRound(#[from] NoRound),
    /// A vote extension: nobody of ours makes or keeps them.
    #[error("vote extensions are not used, found one")]
    Extension,
    /// Not a peer id.
    #[error("not a peer id: {0}")]
    Peer(String),
    /// A certificate whose signers are not in ascending order: it would have other bytes.
    #[error("the signers of the certificate for height {height} are not in ascending order")]
    Signers {
        /// Its height.
        height: u64,
    },
    /// A stream id that is too long.
    #[error("a stream id of {found} bytes, at most {STREAM_ID_BYTES_MAX} are allowed")]
    StreamId {
        /// How long it was.
        found: usize,
    },
}

/// The one codec of the engine: for the network, for synchronisation, for the write-ahead log.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wire;

/// A message and its mirror.
trait Mirrored: Sized {
    type Mirror: Serialize + DeserializeOwned;

    fn mirror(&self) -> Result<Self::Mirror, WireError>;
    fn from_mirror(mirror: Self::Mirror) -> Result<Self, WireError>;
}

macro_rules! codec {
    ($message:ty, $max:expr) => {
        impl Codec<$message> for Wire {
            type Error = WireError;

            fn encode(&self, message: &$message) -> Result<Bytes, WireError> {
                let bytes = codec::encode(&message.mirror()?);
                if bytes.len() > $max {
                    return Err(CodecError::TooLong { found: bytes.len(), max: $max }.into());
                }
                Ok(bytes.into())
            }

            fn decode(&self, bytes: Bytes) -> Result<$message, WireError> {
                <$message>::from_mirror(codec::decode::<<$message as Mirrored>::Mirror, { $max }>(&bytes)?)
            }
        }
    };
}

codec!(SignedConsensusMsg<Ctx>, SIGNED_BYTES_MAX);
codec!(LivenessMsg<Ctx>, LIVENESS_BYTES_MAX);
codec!(PolkaCertificate<Ctx>, LIVENESS_BYTES_MAX);
codec!(ProposedValue<Ctx>, SIGNED_BYTES_MAX);
codec!(Part, PART_BYTES_MAX);
codec!(StreamMessage<Part>, PART_BYTES_MAX);
codec!(ValidatorProof<Ctx>, SMALL_BYTES_MAX);
codec!(Status<Ctx>, SMALL_BYTES_MAX);
codec!(Request<Ctx>, SMALL_BYTES_MAX);
codec!(Response<Ctx>, RESPONSE_BYTES_MAX);

// Asked for each value that is cut off a long answer, so it is counted, not encoded: a test holds it to the
// truth.
impl HasEncodedLen<Response<Ctx>> for Wire {
    fn encoded_len(&self, message: &Response<Ctx>) -> Result<usize, WireError> {
        let Response::ValueResponse(response) = message;
        let value = |value: &RawDecidedValue<Ctx>| {
            8 + value.value_bytes.len() + 52 + 96 * value.certificate.commit_signatures.len()
        };
        Ok(8 + 8 + response.values.iter().map(value).sum::<usize>())
    }
}

type SignedVoteMirror = (certificate::Vote, Signature);

impl Mirrored for SignedVote<Ctx> {
    type Mirror = SignedVoteMirror;

    fn mirror(&self) -> Result<SignedVoteMirror, WireError> {
        if self.message.extension.is_some() {
            return Err(WireError::Extension);
        }
        Ok((self.message.statement()?, self.signature.0))
    }

    fn from_mirror((vote, signature): SignedVoteMirror) -> Result<Self, WireError> {
        Ok(SignedMessage::new(Vote::from(vote), Sig(signature)))
    }
}

impl Mirrored for SignedProposal<Ctx> {
    type Mirror = (certificate::Proposal, Signature);

    fn mirror(&self) -> Result<Self::Mirror, WireError> {
        Ok((self.message.statement()?, self.signature.0))
    }

    fn from_mirror((proposal, signature): Self::Mirror) -> Result<Self, WireError> {
        Ok(SignedMessage::new(Proposal::from(proposal), Sig(signature)))
    }
}

#[derive(Serialize, Deserialize)]
enum SignedMirror {
    Vote(certificate::Vote, Signature),
    Proposal(certificate::Proposal, Signature),
}

impl Mirrored for SignedConsensusMsg<Ctx> {
    type Mirror = SignedMirror;

    fn mirror(&self) -> Result<SignedMirror, WireError> {
        Ok(match self {
            Self::Vote(vote) => {
                let (vote, signature) = vote.mirror()?;
                SignedMirror::Vote(vote, signature)
            }
            Self::Proposal(proposal) => {
                let (proposal, signature) = proposal.mirror()?;
                SignedMirror::Proposal(proposal, signature)
            }
        })
    }

    fn from_mirror(mirror: SignedMirror) -> Result<Self, WireError> {
        Ok(match mirror {
            SignedMirror::Vote(vote, signature) => Self::Vote(SignedVote::from_mirror((vote, signature))?),
            SignedMirror::Proposal(proposal, signature) => {
                Self::Proposal(SignedProposal::from_mirror((proposal, signature))?)
            }
        })
    }
}

/// Prevotes of a quorum for one value.
#[derive(Serialize, Deserialize)]
pub(crate) struct PolkaMirror {
    height: u64,
    round: u32,
    value: Digest,
    signatures: Vec<(KeyId, Signature)>,
}

impl Mirrored for PolkaCertificate<Ctx> {
    type Mirror = PolkaMirror;

    fn mirror(&self) -> Result<PolkaMirror, WireError> {
        Ok(PolkaMirror {
            height: self.height.0,
            round: number(self.round)?,
            value: self.value_id.0,
            signatures: self.polka_signatures.iter().map(|s| (s.address.0, s.signature.0)).collect(),
        })
    }

    fn from_mirror(mirror: PolkaMirror) -> Result<Self, WireError> {
        Ok(Self {
            height: Height(mirror.height),
            round: Round::new(mirror.round),
            value_id: ValueId(mirror.value),
            polka_signatures: mirror
                .signatures
                .into_iter()
                .map(|(id, s)| PolkaSignature::new(Address(id), Sig(s)))
                .collect(),
        })
    }
}

/// Votes that justify a new round.
#[derive(Serialize, Deserialize)]
struct RoundMirror {
    height: u64,
    round: u32,
    /// Whether the votes are of any kind in a later round, rather than precommits of this one.
    skip: bool,
    votes: Vec<(VoteKind, Option<Digest>, KeyId, Signature)>,
}

impl Mirrored for RoundCertificate<Ctx> {
    type Mirror = RoundMirror;

    fn mirror(&self) -> Result<RoundMirror, WireError> {
        // Each entry is a vote of this height and round, so it goes through the vote's own statement.
        let vote = |s: &RoundSignature<Ctx>| -> Result<_, WireError> {
            let vote = Vote {
                kind: s.vote_type,
                height: self.height,
                round: self.round,
                value: s.value_id,
                voter: s.address,
                extension: None,
            };
            let statement = vote.statement()?;
            Ok((statement.kind, statement.value, statement.voter, s.signature.0))
        };
        Ok(RoundMirror {
            height: self.height.0,
            round: number(self.round)?,
            skip: self.cert_type == RoundCertificateType::Skip,
            votes: self.round_signatures.iter().map(vote).collect::<Result<_, _>>()?,
        })
    }

    fn from_mirror(mirror: RoundMirror) -> Result<Self, WireError> {
        let RoundMirror { height, round, skip, votes } = mirror;
        let signature = |(kind, value, voter, signature)| {
            let vote = Vote::from(certificate::Vote { kind, height, round, value, voter });
            RoundSignature::new(vote.kind, vote.value, vote.voter, Sig(signature))
        };
        Ok(Self {
            height: Height(height),
            round: Round::new(round),
            cert_type: if skip { RoundCertificateType::Skip } else { RoundCertificateType::Precommit },
            round_signatures: votes.into_iter().map(signature).collect(),
        })
    }
}

#[derive(Serialize, Deserialize)]
enum LivenessMirror {
    Vote(certificate::Vote, Signature),
    Polka(PolkaMirror),
    Round(RoundMirror),
}

impl Mirrored for LivenessMsg<Ctx> {
    type Mirror = LivenessMirror;

    fn mirror(&self) -> Result<LivenessMirror, WireError> {
        Ok(match self {
            Self::Vote(vote) => {
                let (vote, signature) = vote.mirror()?;
                LivenessMirror::Vote(vote, signature)
            }
            Self::PolkaCertificate(polka) => LivenessMirror::Polka(polka.mirror()?),
            Self::SkipRoundCertificate(round) => LivenessMirror::Round(round.mirror()?),
        })
    }

    fn from_mirror(mirror: LivenessMirror) -> Result<Self, WireError> {
        Ok(match mirror {
            LivenessMirror::Vote(vote, signature) => Self::Vote(SignedVote::from_mirror((vote, signature))?),
            LivenessMirror::Polka(polka) => Self::PolkaCertificate(PolkaCertificate::from_mirror(polka)?),
            LivenessMirror::Round(round) => Self::SkipRoundCertificate(RoundCertificate::from_mirror(round)?),
        })
    }
}

/// A value that this node knows, in its write-ahead log.
#[derive(Serialize, Deserialize)]
struct ValueMirror {
    height: u64,
    round: u32,
    valid_round: Option<u32>,
    proposer: KeyId,
    value: Digest,
    valid: bool,
}

impl Mirrored for ProposedValue<Ctx> {
    type Mirror = ValueMirror;

    fn mirror(&self) -> Result<ValueMirror, WireError> {
        Ok(ValueMirror {
            height: self.height.0,
            round: number(self.round)?,
            valid_round: self.valid_round.as_u32(),
            proposer: self.proposer.0,
            value: self.value.0,
            valid: self.validity.is_valid(),
        })
    }

    fn from_mirror(mirror: ValueMirror) -> Result<Self, WireError> {
        Ok(Self {
            height: Height(mirror.height),
            round: Round::new(mirror.round),
            valid_round: Round::from(mirror.valid_round),
            proposer: Address(mirror.proposer),
            value: ValueId(mirror.value),
            validity: Validity::from_bool(mirror.valid),
        })
    }
}

#[derive(Serialize, Deserialize)]
enum PartMirror {
    Announcement { height: u64, round: u32, valid_round: Option<u32>, proposer: KeyId, value: Digest, size: u32 },
    Data(Bytes),
}

impl Mirrored for Part {
    type Mirror = PartMirror;

    fn mirror(&self) -> Result<PartMirror, WireError> {
        Ok(match self {
            Self::Announcement(Announcement { height, round, valid_round, proposer, value, size }) => {
                let (height, round, valid_round, proposer, value, size) =
                    (*height, *round, *valid_round, *proposer, *value, *size);
                PartMirror::Announcement { height, round, valid_round, proposer, value, size }
            }
            Self::Data(bytes) => PartMirror::Data(bytes.clone()),
        })
    }

    fn from_mirror(mirror: PartMirror) -> Result<Self, WireError> {
        Ok(match mirror {
            PartMirror::Announcement { height, round, valid_round, proposer, value, size } => {
                Self::Announcement(Announcement { height, round, valid_round, proposer, value, size })
            }
            PartMirror::Data(bytes) => Self::Data(bytes),
        })
    }
}

impl Mirrored for StreamMessage<Part> {
    /// The stream's id, the place in it, and the part, or none at its end.
    type Mirror = (Bytes, u64, Option<PartMirror>);

    fn mirror(&self) -> Result<Self::Mirror, WireError> {
        let part = self.content.as_data().map(Mirrored::mirror).transpose()?;
        Ok((self.stream_id.to_bytes(), self.sequence, part))
    }

    fn from_mirror((id, sequence, part): Self::Mirror) -> Result<Self, WireError> {
        if id.len() > STREAM_ID_BYTES_MAX {
            return Err(WireError::StreamId { found: id.len() });
        }
        let content = match part {
            Some(part) => StreamContent::Data(Part::from_mirror(part)?),
            None => StreamContent::Fin,
        };
        Ok(Self::new(StreamId::new(id), sequence, content))
    }
}

impl Mirrored for ValidatorProof<Ctx> {
    type Mirror = (PublicKey, Bytes, Signature);

    fn mirror(&self) -> Result<Self::Mirror, WireError> {
        let found = self.public_key.len();
        let key = self.public_key.as_slice().try_into().map_err(|_| CodecError::TooLong { found, max: 32 })?;
        Ok((PublicKey(key), self.peer_id.clone().into(), self.signature.0))
    }

    fn from_mirror((key, peer, signature): Self::Mirror) -> Result<Self, WireError> {
        Ok(Self::new(key.0.to_vec(), peer.to_vec(), Sig(signature)))
    }
}

impl Mirrored for Status<Ctx> {
    /// The peer, its tip, the lowest height it serves.
    type Mirror = (Bytes, u64, u64);

    fn mirror(&self) -> Result<Self::Mirror, WireError> {
        Ok((self.peer_id.to_bytes().into(), self.tip_height.0, self.history_min_height.0))
    }

    fn from_mirror((peer, tip, oldest): Self::Mirror) -> Result<Self, WireError> {
        let peer_id = PeerId::from_bytes(&peer).map_err(|error| WireError::Peer(error.to_string()))?;
        Ok(Self { peer_id, tip_height: Height(tip), history_min_height: Height(oldest) })
    }
}

impl Mirrored for Request<Ctx> {
    /// The first and the last height asked for.
    type Mirror = (u64, u64);

    fn mirror(&self) -> Result<Self::Mirror, WireError> {
        let Self::ValueRequest(request) = self;
        Ok((request.range.start().0, request.range.end().0))
    }

    fn from_mirror((first, last): Self::Mirror) -> Result<Self, WireError> {
        Ok(Self::ValueRequest(ValueRequest::new(Height(first)..=Height(last))))
    }
}

impl Mirrored for Response<Ctx> {
    /// The first height, then each value with its certificate.
    type Mirror = (u64, Vec<(Bytes, Certificate)>);

    fn mirror(&self) -> Result<Self::Mirror, WireError> {
        let Self::ValueResponse(response) = self;
        let value = |value: &RawDecidedValue<Ctx>| -> Result<_, WireError> {
            if value.certificate.commit_signatures.iter().any(|s| s.extension.is_some()) {
                return Err(WireError::Extension);
            }
            Ok((value.value_bytes.clone(), from_engine(&value.certificate.trim_vote_extensions())?))
        };
        Ok((response.start_height.0, response.values.iter().map(value).collect::<Result<_, _>>()?))
    }

    fn from_mirror((first, values): Self::Mirror) -> Result<Self, WireError> {
        let value = |(bytes, certificate): (Bytes, Certificate)| {
            if certificate.signatures.is_sorted_by(|(a, _), (b, _)| a < b) {
                Ok(RawDecidedValue::new(bytes, to_engine(&certificate)))
            } else {
                Err(WireError::Signers { height: certificate.height })
            }
        };
        Ok(Self::ValueResponse(ValueResponse::new(
            Height(first),
            values.into_iter().map(value).collect::<Result<_, _>>()?,
        )))
    }
}

/// The engine's commit certificate as ours, signers in ascending order.
pub(crate) fn from_engine(certificate: &CommitCertificate<Ctx>) -> Result<Certificate, NoRound> {
    let mut signatures: Vec<_> =
        certificate.commit_signatures.iter().map(|s: &CommitSignature<Ctx>| (s.address.0, s.signature.0)).collect();
    signatures.sort_by_key(|(voter, _)| *voter);
    Ok(Certificate {
        height: certificate.height.0,
        round: number(certificate.round)?,
        block: certificate.value_id.0,
        signatures,
    })
}

/// Our certificate as the engine's.
pub(crate) fn to_engine(certificate: &Certificate) -> ExtendedCommitCertificate<Ctx> {
    ExtendedCommitCertificate {
        height: Height(certificate.height),
        round: Round::new(certificate.round),
        value_id: ValueId(certificate.block),
        commit_signatures: certificate
            .signatures
            .iter()
            .map(|(id, s)| ExtendedCommitSignature::new(Address(*id), Sig(*s), None))
            .collect(),
    }
}

#[cfg(test)]
mod tests;
