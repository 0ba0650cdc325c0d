//! Values on their way through the network: cut into pieces, and put together again.
//!
//! A value travels as one [`Announcement`] (sequence 0) and then its bytes in chunks (1, 2, …), which may
//! arrive in any order and over any neighbour. Nothing here is authenticated yet, so everything is bounded
//! *per neighbour*: a stream is charged to the neighbour that delivered its first piece (or to its publisher,
//! once that delivers a piece itself), and whoever exceeds a share loses its own oldest stream.

use std::collections::BTreeMap;

use bytes::{Bytes, BytesMut};
use malachitebft_app_channel::app::engine::util::streaming::{StreamContent, StreamId, StreamMessage};
use malachitebft_peer::PeerId;

use crate::context::{Announcement, Part};

/// Bytes of a piece: few pieces for a whole block, and small enough that a vote never waits long behind one.
pub(crate) const CHUNK_BYTES: usize = 128 * 1024;
/// Streams that one neighbour may have under way: a few rounds' proposals, relayed.
const STREAMS_PER_NEIGHBOUR: usize = 8;
/// Streams under way in all. Beyond it whoever has most loses its oldest.
const STREAMS_MAX: usize = 64;

/// A value put together, not yet checked in any way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Whole {
    pub(crate) announcement: Announcement,
    pub(crate) bytes: Bytes,
    /// The neighbour that it is charged to.
    pub(crate) from: PeerId,
    /// Who published it, if the transport has authenticated that.
    pub(crate) published_by: Option<PeerId>,
}

/// The pieces of a value, in order. `nth` tells apart the times that this node publishes it.
pub(crate) fn split(announcement: Announcement, bytes: &Bytes, nth: u64) -> impl Iterator<Item = StreamMessage<Part>> {
    // Named after its content: should a restart repeat an id, then the pieces are the same too.
    let Announcement { height, round, value, .. } = announcement;
    let id = [&height.to_le_bytes()[..], &round.to_le_bytes(), &value.0, &nth.to_le_bytes()].concat();
    let id = StreamId::new(id.into());
    let chunks =
        (0..bytes.len()).step_by(CHUNK_BYTES).map(|at| Part::Data(bytes.slice(at..bytes.len().min(at + CHUNK_BYTES))));
    let contents =
        std::iter::once(Part::Announcement(announcement)).chain(chunks).map(StreamContent::Data).collect::<Vec<_>>();
    let contents = contents.into_iter().chain([StreamContent::Fin]);
    (0..).zip(contents).map(move |(sequence, content)| StreamMessage::new(id.clone(), sequence, content))
}

/// Streams are told apart by who published them and the publisher's id for them. Without a publisher the
/// neighbour stands in.
type Key = (PeerId, StreamId);

#[derive(Debug)]
struct Stream {
    owner: PeerId,
    born: u64,
    /// The tip when the first piece came: streams without an announcement go by it.
    tip: u64,
    announcement: Option<Announcement>,
    chunks: BTreeMap<u64, Bytes>,
}

impl Stream {
    fn bytes(&self) -> usize {
        self.chunks.values().map(Bytes::len).sum()
    }

    /// The value, if nothing is missing. A stream whose pieces do not add up never completes.
    fn whole(&self) -> Option<(Announcement, Bytes)> {
        let announcement = self.announcement?;
        let size = announcement.size as usize;
        let count = size.div_ceil(CHUNK_BYTES) as u64;
        let complete =
            self.chunks.len() as u64 == count && self.chunks.keys().copied().eq(1..=count) && self.bytes() == size;
        if !complete {
            return None;
        }
        if let (1, Some(only)) = (count, self.chunks.get(&1)) {
            return Some((announcement, only.clone()));
        }
        let mut bytes = BytesMut::with_capacity(size);
        self.chunks.values().for_each(|chunk| bytes.extend_from_slice(chunk));
        Some((announcement, bytes.freeze()))
    }
}

/// The values under way to this node.
#[derive(Debug)]
pub(crate) struct Reassembly {
    value_bytes_max: usize,
    streams: BTreeMap<Key, Stream>,
    births: u64,
}

impl Reassembly {
    /// For values of at most `value_bytes_max` bytes.
    pub(crate) fn new(value_bytes_max: usize) -> Self {
        Self { value_bytes_max, streams: BTreeMap::new(), births: 0 }
    }

    /// Takes a piece and gives the value that it completes. `wanted` are the heights of which values are
    /// still of interest; its start is the one after the tip.
    pub(crate) fn accept(
        &mut self,
        from: PeerId,
        published_by: Option<PeerId>,
        piece: StreamMessage<Part>,
        wanted: &std::ops::RangeInclusive<u64>,
    ) -> Option<Whole> {
        let StreamMessage { stream_id, sequence, content } = piece;
        let key = (published_by.unwrap_or(from), stream_id);
        let last = self.value_bytes_max.div_ceil(CHUNK_BYTES) as u64;
        match content.into_data()? {
            Part::Announcement(announcement) => {
                let size = announcement.size as usize;
                if sequence != 0 || size == 0 || size > self.value_bytes_max || !wanted.contains(&announcement.height) {
                    self.streams.remove(&key);
                    return None;
                }
                self.stream(key.clone(), from, wanted).announcement.get_or_insert(announcement);
            }
            Part::Data(bytes) => {
                if !(1..=last).contains(&sequence) || bytes.is_empty() || bytes.len() > CHUNK_BYTES {
                    return None;
                }
                self.stream(key.clone(), from, wanted).chunks.entry(sequence).or_insert(bytes);
            }
        }
        let (announcement, bytes) = self.streams.get(&key)?.whole()?;
        let stream = self.streams.remove(&key)?;
        Some(Whole { announcement, bytes, from: stream.owner, published_by })
    }

    /// The stream `key`, begun if it is new, after room was made for it.
    fn stream(&mut self, key: Key, from: PeerId, wanted: &std::ops::RangeInclusive<u64>) -> &mut Stream {
        if !self.streams.contains_key(&key) {
            if self.owned_by(from) >= STREAMS_PER_NEIGHBOUR {
                self.drop_oldest_of(from);
            } else if self.streams.len() >= STREAMS_MAX {
                let busiest =
                    self.streams.values().map(|stream| stream.owner).max_by_key(|owner| self.owned_by(*owner));
                busiest.into_iter().for_each(|owner| self.drop_oldest_of(owner));
            }
        }
        self.births += 1;
        let (born, tip, publisher) = (self.births, wanted.start().saturating_sub(1), key.0);
        let begin = || Stream { owner: from, born, tip, announcement: None, chunks: BTreeMap::new() };
        let stream = self.streams.entry(key).or_insert_with(begin);
        if from == publisher {
            stream.owner = publisher;
        }
        stream
    }

    fn owned_by(&self, owner: PeerId) -> usize {
        self.streams.values().filter(|stream| stream.owner == owner).count()
    }

    fn drop_oldest_of(&mut self, owner: PeerId) {
        let oldest = self
            .streams
            .iter()
            .filter(|(_, s)| s.owner == owner)
            .min_by_key(|(_, s)| s.born)
            .map(|(key, _)| key.clone());
        if let Some(key) = oldest {
            self.streams.remove(&key);
        }
    }

    /// Forgets what belongs to heights up to `tip`, and nameless pieces that arrived at an earlier tip.
    pub(crate) fn prune(&mut self, tip: u64) {
        self.streams.retain(|_, stream| match stream.announcement {
            Some(announcement) => announcement.height > tip,
            None => stream.tip + 1 >= tip,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use writ_proto::hash::Digest;
    use writ_proto::key::KeyId;

    const MAX: usize = 3 * CHUNK_BYTES;
    const WANTED: std::ops::RangeInclusive<u64> = 5..=8;

    fn peer(n: u8) -> PeerId {
        let keys = malachitebft_app_channel::app::types::Keypair::ed25519_from_bytes([n + 1; 32]).unwrap();
        PeerId::from_bytes(&keys.public().to_peer_id().to_bytes()).unwrap()
    }

    fn announcement(height: u64, bytes: &Bytes) -> Announcement {
        Announcement {
            height,
            round: 0,
            valid_round: None,
            proposer: KeyId([1; 32]),
            value: Digest([2; 32]),
            size: bytes.len() as u32,
        }
    }

    fn pieces(height: u64, bytes: &Bytes, nth: u64) -> Vec<StreamMessage<Part>> {
        split(announcement(height, bytes), bytes, nth).collect()
    }

    fn some_bytes(n: usize) -> Bytes {
        (0..n).map(|i| (i * 31) as u8).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// Whatever the order, the last missing piece gives back exactly the value, once.
        #[test]
        fn pieces_in_any_order_make_the_value(size in 1..=MAX, order in any::<u64>()) {
            let bytes = some_bytes(size);
            let mut all = pieces(5, &bytes, 0);
            // A shuffle driven by the seed: rotate, then reverse by a bit.
            let by = order as usize % all.len();
            all.rotate_left(by);
            if order & 1 << 40 != 0 { all.reverse(); }
            let mut reassembly = Reassembly::new(MAX);
            let wholes: Vec<_> = all.into_iter().filter_map(|p| reassembly.accept(peer(1), Some(peer(2)), p, &WANTED)).collect();
            prop_assert_eq!(wholes.len(), 1);
            prop_assert_eq!(&wholes[0].bytes, &bytes);
            prop_assert!(reassembly.streams.is_empty());
        }
    }

    #[test]
    fn pieces_of_two_publishers_do_not_mix() {
        let bytes = some_bytes(CHUNK_BYTES + 1);
        let mut reassembly = Reassembly::new(MAX);
        let all = pieces(5, &bytes, 0);
        assert_eq!(reassembly.accept(peer(1), Some(peer(2)), all[0].clone(), &WANTED), None);
        assert_eq!(reassembly.accept(peer(1), Some(peer(2)), all[1].clone(), &WANTED), None);
        assert_eq!(
            reassembly.accept(peer(1), Some(peer(3)), all[2].clone(), &WANTED),
            None,
            "another publisher's piece"
        );
        assert!(reassembly.accept(peer(9), Some(peer(2)), all[2].clone(), &WANTED).is_some(), "over another neighbour");
    }

    #[test]
    fn what_is_too_large_too_old_or_too_far_ahead_is_not_kept() {
        let (fits, large) = (some_bytes(MAX), some_bytes(MAX + 1));
        for (case, height, bytes, want) in [
            ("fits", 5, &fits, true),
            ("too large", 5, &large, false),
            ("old", 4, &fits, false),
            ("far ahead", 9, &fits, false),
            ("ahead", 8, &fits, true),
        ] {
            let mut reassembly = Reassembly::new(MAX);
            let whole = pieces(height, bytes, 0).into_iter().find_map(|p| reassembly.accept(peer(1), None, p, &WANTED));
            assert_eq!(whole.is_some(), want, "{case}");
        }
    }

    #[test]
    fn pieces_that_do_not_add_up_never_complete() {
        let bytes = some_bytes(2 * CHUNK_BYTES);
        let mut all = pieces(5, &bytes, 0);
        all[1].content = StreamContent::Data(Part::Data(some_bytes(CHUNK_BYTES - 1)));
        let mut reassembly = Reassembly::new(MAX);
        assert!(all.into_iter().all(|p| reassembly.accept(peer(1), None, p, &WANTED).is_none()));
    }

    #[test]
    fn a_flood_costs_its_neighbour_its_own_streams_only() {
        let bytes = some_bytes(CHUNK_BYTES + 1);
        let mut reassembly = Reassembly::new(MAX);
        let honest = pieces(5, &bytes, 0);
        assert_eq!(reassembly.accept(peer(1), None, honest[0].clone(), &WANTED), None);
        for nth in 0..1000 {
            let flood = pieces(5, &bytes, nth);
            assert_eq!(reassembly.accept(peer(2), Some(peer((nth % 200) as u8 + 3)), flood[1].clone(), &WANTED), None);
        }
        assert_eq!(reassembly.streams.values().filter(|s| s.owner == peer(2)).count(), STREAMS_PER_NEIGHBOUR);
        assert_eq!(reassembly.accept(peer(1), None, honest[1].clone(), &WANTED), None);
        assert!(reassembly.accept(peer(1), None, honest[2].clone(), &WANTED).is_some());
    }

    #[test]
    fn many_flooding_neighbours_do_not_push_out_a_quiet_one() {
        let bytes = some_bytes(CHUNK_BYTES + 1);
        let mut reassembly = Reassembly::new(MAX);
        let honest = pieces(5, &bytes, 0);
        assert_eq!(reassembly.accept(peer(0), None, honest[0].clone(), &WANTED), None);
        for nth in 0..1000 {
            let piece = pieces(5, &bytes, nth)[1].clone();
            assert_eq!(reassembly.accept(peer((nth % 20) as u8 + 1), None, piece, &WANTED), None);
        }
        assert_eq!(reassembly.streams.len(), STREAMS_MAX);
        assert_eq!(reassembly.accept(peer(0), None, honest[1].clone(), &WANTED), None);
        assert!(reassembly.accept(peer(0), None, honest[2].clone(), &WANTED).is_some());
    }

    #[test]
    fn a_publisher_that_delivers_itself_is_not_pushed_out_by_the_relay_that_was_first() {
        let bytes = some_bytes(2 * CHUNK_BYTES + 1);
        let mut reassembly = Reassembly::new(MAX);
        let honest = pieces(5, &bytes, 0);
        assert_eq!(reassembly.accept(peer(2), Some(peer(1)), honest[0].clone(), &WANTED), None);
        assert_eq!(reassembly.accept(peer(1), Some(peer(1)), honest[1].clone(), &WANTED), None);
        for nth in 0..100 {
            reassembly.accept(peer(2), None, pieces(5, &bytes, nth)[1].clone(), &WANTED);
        }
        assert_eq!(reassembly.accept(peer(1), Some(peer(1)), honest[2].clone(), &WANTED), None);
        assert!(reassembly.accept(peer(1), Some(peer(1)), honest[3].clone(), &WANTED).is_some());
    }

    #[test]
    fn decided_heights_are_forgotten() {
        let bytes = some_bytes(CHUNK_BYTES + 1);
        let mut reassembly = Reassembly::new(MAX);
        for height in 5..=7 {
            reassembly.accept(peer(1), None, pieces(height, &bytes, 0)[0].clone(), &WANTED);
        }
        reassembly.accept(peer(1), None, pieces(8, &bytes, 0)[1].clone(), &WANTED);
        assert_eq!(reassembly.streams.len(), 4);
        reassembly.prune(5);
        assert_eq!(reassembly.streams.len(), 3);
        reassembly.prune(6);
        assert_eq!(reassembly.streams.len(), 1);
    }
}
