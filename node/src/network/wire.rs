//! What nodes say to each other, apart from consensus.
//!
//! ```text
//!   gossip, topic records:       a batch: list of records, each as it was signed
//!   gossip, topic checkpoints:   one cosignature
//!   pull, one question, one answer, on a stream of its own:
//!     Hello         who I am and what waits here            -> Hello
//!     Ids(after)    which records have waited a while       -> Ids, ascending, at most 4,096
//!     Records(ids)  those of them that still wait           -> Records, as many as fit
//!     Cosignatures  the latest of each validator            -> Cosignatures
//!     Remembered    what did I sign                         -> Remembered
//! ```
//!
//! Everything goes through the ledger's canonical codec and has a bound that is checked before anything is
//! allocated. Nothing here is trusted: records and cosignatures carry their own signatures, and what a peer says of
//! itself only decides what it is asked next.

use std::io;

use async_trait::async_trait;
use futures::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use libp2p::request_response::Codec;
use libp2p::{PeerId, StreamProtocol};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use writ_engine::PeerClaim;
use writ_proto::codec::{self, Blob};
use writ_proto::hash::Digest;
use writ_proto::key::{KeyId, PublicKey, Signature};
use writ_proto::record::RecordId;

use crate::recollection::{Keys, Memory};

/// Bytes of a batch of records, its frame included: a few hundred records of the usual size.
pub(super) const BATCH_BYTES_MAX: usize = 128 * 1024;
/// Records of a batch.
pub(super) const BATCH_RECORDS_MAX: usize = 512;
/// Bytes of any gossip message.
pub(super) const GOSSIP_BYTES_MAX: usize = BATCH_BYTES_MAX + 1024;
/// Ids of one answer.
pub(super) const IDS_MAX: usize = 4096;
/// Records that one question may ask for.
pub(super) const ASKED_RECORDS_MAX: usize = 512;
/// Bytes of a question: the ids of as many records as it may ask for.
const ASK_BYTES_MAX: usize = 32 * ASKED_RECORDS_MAX + 4096;
/// Bytes of records in an answer.
pub(super) const TOLD_RECORDS_BYTES_MAX: usize = 512 * 1024;
/// Bytes of an answer: the records, each with its length.
const TELL_BYTES_MAX: usize = TOLD_RECORDS_BYTES_MAX + 16 * 1024;
/// Addresses of other nodes in a hello.
pub(super) const INTRODUCED_MAX: usize = 16;
/// Cosignatures in an answer.
pub(super) const COSIGNATURES_MAX: usize = 256;

/// A set of ids: how many, and all of them exclusive-ored. Whoever has the same set says the same; it is no proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Summary {
    pub(crate) count: u64,
    pub(crate) mix: Digest,
}

impl Default for Summary {
    fn default() -> Self {
        Self { count: 0, mix: Digest::ZERO }
    }
}

impl Summary {
    pub(crate) fn add(&mut self, id: &RecordId) {
        self.count += 1;
        self.mix.0.iter_mut().zip(id.0.0).for_each(|(mix, byte)| *mix ^= byte);
    }
}

/// Shows that a node votes with a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Claim {
    pub(crate) key: PublicKey,
    /// Over its peer id, as in [`PeerClaim`].
    pub(crate) signature: Signature,
}

impl Claim {
    /// The id of the key, if it really is that of `peer` on chain `chain`.
    pub(super) fn check(&self, peer: &PeerId, chain: &Digest) -> Option<KeyId> {
        let claim = PeerClaim { key: self.key, peer: peer.to_bytes() };
        self.key.verify(&claim.signed_bytes(chain), &self.signature).ok()?;
        Some(self.key.id())
    }
}

/// What a node says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Hello {
    /// The port at which its engine listens, at the address that it is reached at.
    pub(super) consensus_port: u16,
    /// The key that it votes with, should it be a validator's.
    pub(super) claim: Option<Claim>,
    /// Its wall clock, in milliseconds since the Unix epoch.
    pub(super) clock: u64,
    /// The height of its last block.
    pub(super) tip: u64,
    /// The records that have waited here a while.
    pub(super) waiting: Summary,
    /// Tells whether the sender holds other cosignatures than the receiver.
    pub(super) cosigned: Digest,
    /// Where other nodes are, as far as this one was told by its operator.
    pub(super) introduced: Vec<String>,
}

/// A question.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Ask {
    Hello(Hello),
    Ids {
        after: Option<RecordId>,
    },
    Records(Vec<RecordId>),
    Cosignatures,
    Remembered(Keys),
    /// What was heard is no question. Nobody says this.
    #[serde(skip)]
    Nonsense,
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Tell {
    Hello(Hello),
    Ids(Vec<RecordId>),
    Records(Vec<Blob>),
    Cosignatures(Vec<Blob>),
    Remembered(Memory),
}

impl Tell {
    /// The bytes of the records and ids in it.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Ids(ids) => 32 * ids.len(),
            Self::Records(blobs) | Self::Cosignatures(blobs) => blobs.iter().map(|blob| 8 + blob.0.len()).sum(),
            Self::Hello(_) | Self::Remembered(_) => 0,
        }
    }
}

/// The bytes of a batch.
pub(super) fn encode_batch(records: Vec<Vec<u8>>) -> Vec<u8> {
    codec::encode(&records.into_iter().map(Blob).collect::<Vec<_>>())
}

/// Reads a batch; its records are not looked at.
pub(super) fn decode_batch(bytes: &[u8]) -> Option<Vec<Vec<u8>>> {
    let batch: Vec<Blob> = codec::decode::<_, BATCH_BYTES_MAX>(bytes).ok()?;
    let fits = (1..=BATCH_RECORDS_MAX).contains(&batch.len());
    fits.then(|| batch.into_iter().map(|record| record.0).collect())
}

/// Reads and writes questions and answers: a length, four bytes, little-endian, and that many bytes.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct PullCodec;

#[async_trait]
impl Codec for PullCodec {
    type Protocol = StreamProtocol;
    type Request = Ask;
    type Response = Tell;

    async fn read_request<T: AsyncRead + Unpin + Send>(&mut self, _: &StreamProtocol, io: &mut T) -> io::Result<Ask> {
        match read::<_, _, ASK_BYTES_MAX>(io).await {
            // As an error nobody would learn whose it was.
            Err(error) if is_nonsense(&error) => Ok(Ask::Nonsense),
            read => read,
        }
    }

    async fn read_response<T: AsyncRead + Unpin + Send>(&mut self, _: &StreamProtocol, io: &mut T) -> io::Result<Tell> {
        read::<_, _, TELL_BYTES_MAX>(io).await
    }

    async fn write_request<T: AsyncWrite + Unpin + Send>(
        &mut self,
        _: &StreamProtocol,
        io: &mut T,
        ask: Ask,
    ) -> io::Result<()> {
        write(io, &ask).await
    }

    async fn write_response<T: AsyncWrite + Unpin + Send>(
        &mut self,
        _: &StreamProtocol,
        io: &mut T,
        tell: Tell,
    ) -> io::Result<()> {
        write(io, &tell).await
    }
}

/// Whether what was read breaks the rules of the protocol, which no line does.
pub(super) fn is_nonsense(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::InvalidData
}

async fn read<M: Serialize + DeserializeOwned, T: AsyncRead + Unpin + Send, const MAX: usize>(
    io: &mut T,
) -> io::Result<M> {
    let mut len = [0; 4];
    io.read_exact(&mut len).await?;
    let len = usize::try_from(u32::from_le_bytes(len)).unwrap_or(usize::MAX);
    if len > MAX {
        return Err(io::Error::new(io::ErrorKind::InvalidData, format!("a message of {len} bytes, at most {MAX}")));
    }
    let mut bytes = vec![0; len];
    io.read_exact(&mut bytes).await?;
    codec::decode::<M, MAX>(&bytes).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error.to_string()))
}

async fn write<M: Serialize, T: AsyncWrite + Unpin + Send>(io: &mut T, message: &M) -> io::Result<()> {
    let bytes = codec::encode(message);
    let len = u32::try_from(bytes.len()).map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
    io.write_all(&len.to_le_bytes()).await?;
    io.write_all(&bytes).await?;
    io.close().await
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::executor::block_on;
    use writ_engine::{Said, Signed};
    use writ_proto::certificate::{Vote, VoteKind};

    fn id(n: u8) -> RecordId {
        RecordId(Digest([n; 32]))
    }

    fn through<M: Serialize + DeserializeOwned, const MAX: usize>(message: &M) -> io::Result<M> {
        block_on(async {
            let mut bytes = futures::io::Cursor::new(Vec::new());
            write(&mut bytes, message).await?;
            read::<M, _, MAX>(&mut futures::io::Cursor::new(bytes.into_inner())).await
        })
    }

    #[test]
    fn what_is_said_is_what_is_heard() {
        let claim = Claim { key: PublicKey([5; 32]), signature: Signature([6; 64]) };
        let hello = Hello {
            consensus_port: 7102,
            claim: Some(claim),
            clock: 1_800_000_000_000,
            tip: 9,
            waiting: Summary { count: 1, mix: Digest([3; 32]) },
            cosigned: Digest([4; 32]),
            introduced: vec!["/ip4/127.0.0.1/tcp/7101".into()],
        };
        for ask in [
            Ask::Hello(hello.clone()),
            Ask::Ids { after: Some(id(1)) },
            Ask::Records(vec![id(1); ASKED_RECORDS_MAX]),
            Ask::Cosignatures,
            Ask::Remembered(Keys { vote: KeyId([1; 32]), checkpoint: Some(KeyId([2; 32])) }),
        ] {
            assert_eq!(through::<_, ASK_BYTES_MAX>(&ask).unwrap(), ask);
        }
        let records = vec![Blob(vec![7; TOLD_RECORDS_BYTES_MAX / 512]); 512];
        let vote = Vote { kind: VoteKind::Prevote, height: 7, round: 1, value: None, voter: KeyId([1; 32]) };
        let said = Signed { said: Said::Vote(vote), signature: Signature([6; 64]) };
        let memory = Memory { said: Some(said), cosigned: Some(Blob(vec![1, 2])) };
        for tell in [
            Tell::Hello(hello),
            Tell::Ids(vec![id(2); IDS_MAX]),
            Tell::Records(records),
            Tell::Remembered(memory),
            Tell::Remembered(Memory::default()),
        ] {
            assert_eq!(through::<_, TELL_BYTES_MAX>(&tell).unwrap(), tell);
        }
    }

    #[test]
    fn nothing_larger_than_its_bound_is_read() {
        let ask = Ask::Records(vec![id(1); 2 * ASKED_RECORDS_MAX]);
        assert_eq!(through::<_, ASK_BYTES_MAX>(&ask).unwrap_err().kind(), io::ErrorKind::InvalidData);
        // A length that lies does not make anybody allocate, nor does one that is not kept.
        for bytes in [vec![255; 4], vec![4, 0, 0, 0, 1], vec![1, 0], vec![1, 0, 0, 0, 99]] {
            let mut io = futures::io::Cursor::new(bytes);
            assert!(block_on(read::<Ask, _, ASK_BYTES_MAX>(&mut io)).is_err());
        }
    }

    #[test]
    fn nonsense_is_heard_as_such_and_a_cut_line_is_not() {
        let heard = |bytes: &[u8]| {
            let mut io = futures::io::Cursor::new(bytes.to_vec());
            let protocol = StreamProtocol::new("/pull");
            block_on(PullCodec.read_request(&protocol, &mut io))
        };
        for bytes in [&[255; 4][..], &[1, 0, 0, 0, 99], &[0; 4]] {
            assert_eq!(heard(bytes).unwrap(), Ask::Nonsense, "{bytes:?}");
        }
        for bytes in [&[][..], &[4, 0, 0, 0, 1], &[1, 0]] {
            assert_eq!(heard(bytes).unwrap_err().kind(), io::ErrorKind::UnexpectedEof, "{bytes:?}");
        }
        // What it is told apart by has no form on the wire.
        assert_eq!(heard(&[4, 0, 0, 0, 5, 0, 0, 0]).unwrap(), Ask::Nonsense);
    }

    #[test]
    fn a_batch_has_one_record_at_least_and_its_bounds() {
        let batch = vec![vec![1, 2, 3], vec![4]];
        assert_eq!(decode_batch(&encode_batch(batch.clone())), Some(batch));
        assert_eq!(decode_batch(&encode_batch(Vec::new())), None);
        assert_eq!(decode_batch(&encode_batch(vec![Vec::new(); BATCH_RECORDS_MAX + 1])), None);
        assert_eq!(decode_batch(&encode_batch(vec![vec![0; BATCH_BYTES_MAX]])), None);
        assert_eq!(decode_batch(&[1, 2, 3]), None);
    }

    #[test]
    fn a_summary_is_of_a_set() {
        let of = |ids: &[u8]| {
            let mut summary = Summary::default();
            ids.iter().for_each(|n| summary.add(&id(*n)));
            summary
        };
        assert_eq!(of(&[1, 2, 3]), of(&[3, 1, 2]));
        assert_ne!(of(&[1, 2]), of(&[1, 2, 3]));
        assert_ne!(of(&[1, 2]), of(&[1, 4]));
    }
}
