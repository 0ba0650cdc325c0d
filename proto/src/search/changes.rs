//! Who gained and lost what between two moments.
//!
//! First all objects are sorted under the patterns above them. Then all entries are looked through for those that stand differently: added, begun, ended, revoked. Only who
//! can reach the subject of one of them, and only objects under it or under a role that was won or lost, can
//! see another answer; for these the rights at both moments are compared.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use super::candidates::{Candidates, Next};
use super::rights::{self, Met};
use super::{Budget, Conditions, is_named_object, is_named_subject};
use crate::decision::{Moment, Party, Reach, Reader, Rights};
use crate::index::{EntryOrdinal, Index, TextId};

/// A subject (or pattern) to whom another answer is given about an object (or pattern).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The subject or pattern.
    pub sub: TextId,
    /// The object or pattern.
    pub obj: TextId,
    /// What is granted now and was not.
    pub gained: Rights,
    /// What was granted and is not now.
    pub lost: Rights,
}

/// A search for changes. See the module's doc.
#[derive(Clone, Debug)]
pub struct Changes {
    before: Moment,
    after: Moment,
    scanned: EntryOrdinal,
    /// The objects of entries that stand differently, by their subjects.
    differing: BTreeMap<TextId, BTreeSet<TextId>>,
    /// Once all entries were looked through.
    candidates: Option<Candidates>,
    /// The objects of the subject that the last step did not finish, ascending.
    under_way: Option<(TextId, Vec<TextId>)>,
    /// Subject and object to go on with.
    at: Option<(TextId, TextId)>,
    end: TextId,
    /// The texts that were sorted into `below`.
    sorted: TextId,
    /// What the patterns of objects cover.
    below: BTreeMap<TextId, Vec<TextId>>,
}

impl Changes {
    /// Begins a search with the subject and object `from`: zeros, or where an earlier search between the same
    /// moments ended.
    pub fn new(index: &Index, before: Moment, after: Moment, from: (TextId, TextId)) -> Self {
        let end = TextId::try_from(index.texts()).unwrap_or(TextId::MAX);
        let (differing, below) = (BTreeMap::new(), BTreeMap::new());
        Self {
            before,
            after,
            scanned: 0,
            differing,
            candidates: None,
            under_way: None,
            at: Some(from),
            end,
            sorted: 0,
            below,
        }
    }

    /// Where the search goes on; `None`: it is at its end.
    pub fn at(&self) -> Option<(TextId, TextId)> {
        self.at
    }

    /// Goes on for a step, and adds the changes found.
    pub fn step(&mut self, index: &Index, conditions: Conditions<'_>, budget: Budget, found: &mut Vec<Change>) {
        let (before, after) = (self.before, self.after);
        let met = Met::default();
        let see = |_: &str| met.see();
        let mut readers = [Reader::new(index, &before, &see), Reader::new(index, &after, &see)];
        if self.sorted < self.end {
            return self.sort(index, budget);
        }
        let Some(candidates) = self.candidates.take().or_else(|| self.scan(index, &readers, budget)) else { return };
        let most = found.len() + budget.results;
        let mut looked = 0;
        while let Some((sub, obj)) = self.at {
            if found.len() >= most || looked >= budget.lookups {
                break;
            }
            match candidates.next(index, sub, self.end, &mut looked, budget.lookups) {
                Next::None => self.at = None,
                Next::Later(sub) => self.at = Some((sub, 0)),
                Next::Some(next) => {
                    let from = if next == sub { obj } else { 0 };
                    let rest = match is_named_subject(index, next, before.height.max(after.height)) {
                        true => {
                            let asking = (&met, conditions);
                            self.compare(&mut readers, asking, (next, from), (budget.lookups, most), &mut looked, found)
                        }
                        false => None,
                    };
                    self.at = Some(rest.map_or((next + 1, 0), |obj| (next, obj)));
                }
            }
            looked += readers.iter_mut().map(|reader| core::mem::take(&mut reader.lookups)).sum::<u32>();
        }
        self.candidates = Some(candidates);
    }

    /// Looks through entries; at their end gives whom they can matter to.
    fn scan(&mut self, index: &Index, readers: &[Reader<'_>; 2], budget: Budget) -> Option<Candidates> {
        let all = EntryOrdinal::try_from(index.len()).unwrap_or(EntryOrdinal::MAX);
        let until = all.min(self.scanned.saturating_add(budget.lookups));
        for ordinal in self.scanned..until {
            let entry = index.slot(ordinal);
            let stands = |reader: &Reader<'_>| (reader.holds_somewhere(entry), reader.holds_throughout(entry));
            if stands(&readers[0]) != stands(&readers[1]) {
                self.differing.entry(entry.sub).or_default().insert(entry.obj);
            }
        }
        self.scanned = until;
        (until == all).then(|| Candidates::behind(index, self.differing.keys().copied().map(Some)))
    }

    /// Compares what `sub` may do, with the objects from `from` on; gives the object to go on with, if there
    /// were too many changes or look-ups. One object at least is compared: what it takes to begin counts in `looked` alone.
    fn compare(
        &mut self,
        readers: &mut [Reader<'_>; 2],
        (met, conditions): (&Met, Conditions<'_>),
        (sub, from): (TextId, TextId),
        (lookups, most): (u32, usize),
        looked: &mut u32,
        found: &mut Vec<Change>,
    ) -> Option<TextId> {
        let index = readers[0].index;
        let height = self.before.height.max(self.after.height);
        met.take();
        let reaches = readers.each_mut().map(|reader| Reach::of_text(reader, sub));
        let is_conditional = met.take();
        // A subject with many objects takes many steps, but its objects are found once.
        let objects = match self.under_way.take() {
            Some((own, objects)) if own == sub => objects,
            _ => self.objects(index, &reaches, is_conditional).into_iter().collect(),
        };
        let first = objects.partition_point(|obj| *obj < from);
        *looked += readers.iter_mut().map(|reader| core::mem::take(&mut reader.lookups)).sum::<u32>();
        for obj in &objects[first..] {
            if found.len() >= most || readers.iter().map(|reader| reader.lookups).sum::<u32>() >= lookups {
                let rest = *obj;
                self.under_way = Some((sub, objects));
                return Some(rest);
            }
            let mut rights = readers.iter_mut().zip(&reaches).map(|(reader, reach)| {
                let object = Party::on_entries(reader, *obj);
                let rights = reach.rights(reader, &object);
                if !met.take() && !is_conditional {
                    return rights;
                }
                let subject = Party::on_entries(reader, sub);
                let (sub, obj) = (index.text(sub), index.text(*obj));
                rights::asked(reader, ((&subject, sub), (&object, obj)), conditions, height)
            });
            let (Some(before), Some(after)) = (rights.next(), rights.next()) else { continue };
            if before != after {
                let (gained, lost) = (after.without(&before), before.without(&after));
                found.push(Change { sub, obj: *obj, gained, lost });
            }
        }
        None
    }

    /// The objects on which the answer can differ; with conditions on the way, on all that any role is on.
    fn objects(&self, index: &Index, reaches: &[Reach; 2], is_conditional: bool) -> BTreeSet<TextId> {
        let carries = reaches.each_ref().map(Reach::carries);
        let bearers: BTreeSet<TextId> = carries.iter().flat_map(BTreeMap::keys).copied().collect();
        let is_cut_alike = !is_conditional && reaches[0].cut_roots() == reaches[1].cut_roots();
        let mut direct: BTreeSet<TextId> = BTreeSet::new();
        for bearer in bearers {
            direct.extend(self.differing.get(&bearer).into_iter().flatten());
            // A role that was won or lost, or may no longer grant, brings all that is said of it.
            if !is_cut_alike || carries[0].get(&bearer) != carries[1].get(&bearer) {
                direct.extend(index.pairs_of_sub(bearer).map(|pair| pair.obj));
            }
        }
        let height = self.before.height.max(self.after.height);
        direct.retain(|obj| is_named_object(index, *obj, height));
        let mut objects = direct.clone();
        for pattern in direct {
            objects.extend(self.below.get(&pattern).into_iter().flatten());
        }
        objects
    }

    /// Sorts objects under the patterns that cover them.
    fn sort(&mut self, index: &Index, budget: Budget) {
        let height = self.before.height.max(self.after.height);
        let until = self.end.min(self.sorted.saturating_add(budget.lookups));
        for text in self.sorted..until {
            if is_named_object(index, text, height) {
                index.covering(index.text(text), |pattern| {
                    if pattern != text && index.object_since(pattern).is_some() {
                        self.below.entry(pattern).or_default().push(text);
                    }
                });
            }
        }
        self.sorted = until;
    }
}
