//! The entries that a revocation ended, in the order of the log.
//!
//! A revocation comes to count at the later of two leaves: its own, and that of the entry which it ends. Which entry it
//! ends at a leaf is known when the block is, so a block's endings are put in order when all of them are there.

use alloc::vec::Vec;

use super::track::EntryOrdinal;

#[derive(Clone, Debug, Default)]
pub(super) struct Endings {
    /// Leaf and entry; in order up to `settled`.
    list: Vec<(u64, EntryOrdinal)>,
    settled: usize,
}

impl Endings {
    /// Takes in that at leaf `leaf` the entry `entry` came to be ended, in the block that is being taken in.
    pub(super) fn push(&mut self, leaf: u64, entry: EntryOrdinal) {
        self.list.push((leaf, entry));
    }

    /// The block is complete.
    pub(super) fn settle(&mut self) {
        self.list[self.settled..].sort_unstable();
        self.settled = self.list.len();
    }

    /// Those of leaf `leaf` and of later ones, by leaf and then by entry. O(log n) to begin.
    pub(super) fn from(&self, leaf: u64) -> impl Iterator<Item = (u64, EntryOrdinal)> + use<'_> {
        let settled = &self.list[..self.settled];
        let first = settled.partition_point(|(own, _)| *own < leaf);
        settled[first..].iter().copied()
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;

    #[test]
    fn endings_come_in_the_order_of_the_log_once_their_block_is_complete() {
        let mut endings = Endings::default();
        [(4, 1), (2, 0)].into_iter().for_each(|(leaf, entry)| endings.push(leaf, entry));
        assert_eq!(endings.from(0).count(), 0, "the block is not complete");
        endings.settle();
        [(9, 7), (6, 3), (9, 2)].into_iter().for_each(|(leaf, entry)| endings.push(leaf, entry));
        endings.settle();
        assert_eq!(endings.from(0).collect::<Vec<_>>(), vec![(2, 0), (4, 1), (6, 3), (9, 2), (9, 7)]);
        assert_eq!(endings.from(5).collect::<Vec<_>>(), vec![(6, 3), (9, 2), (9, 7)]);
        assert_eq!(endings.from(10).count(), 0);
    }
}
