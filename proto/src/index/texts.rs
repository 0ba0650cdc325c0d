//! Every text that stands on some entry, once: names, patterns, actions, conditions.
//!
//! Texts lie one behind the other in chunks that never move; an id is 4 bytes, and finding one costs one
//! hash and, nearly always, one comparison. Patterns that end in `*` have a table of their own: most ledgers
//! have few of them, so the many questions "is there a pattern above this name?" stay in the processor's cache.

use alloc::string::String;
use alloc::vec::Vec;

use hashbrown::{HashMap, HashTable};

use super::keyed::HashKey;
use crate::name::{ROLE_TYPE, wider};

/// An interned text: a name, pattern, action or condition that stands on some entry.
pub type TextId = u32;

const CHUNK_BYTES: usize = 1 << 16;

#[derive(Clone, Debug, Default)]
pub(super) struct Texts {
    key: HashKey,
    chunks: Vec<String>,
    spans: Vec<Span>,
    exact: HashTable<TextId>,
    /// Texts that end in `*`.
    below: HashTable<TextId>,
    /// Which of them there may be, so that most need not be looked for.
    shapes: Shapes,
}

/// The lengths of the patterns of each type.
#[derive(Clone, Debug, Default)]
struct Shapes {
    everything: Option<TextId>,
    roles: Lengths,
    /// By the hash of the type: two types that share one are looked for a little more often.
    lengths: HashMap<u64, Lengths, HashKey>,
}

/// A set of lengths. No name is longer than 289 bytes.
#[derive(Clone, Copy, Debug, Default)]
struct Lengths([u64; 5]);

impl Shapes {
    fn insert(&mut self, key: HashKey, text: &str, id: TextId) {
        let Some(prefix) = text.strip_suffix('*') else { return };
        if prefix.is_empty() {
            self.everything = Some(id);
        } else if let Some((type_, _)) = prefix.split_once(':') {
            if type_ == ROLE_TYPE {
                self.roles.insert(prefix.len());
            }
            self.lengths.entry(key.of_text(&[type_])).or_default().insert(prefix.len());
        }
    }

    /// The lengths that patterns of the name's type have.
    fn of_type(&self, key: HashKey, name: &str) -> Lengths {
        if self.lengths.is_empty() {
            return Lengths::default();
        }
        let type_ = name.split_once(':').map(|(type_, _)| key.of_text(&[type_]));
        type_.and_then(|type_| self.lengths.get(&type_)).copied().unwrap_or_default()
    }
}

impl Lengths {
    fn insert(&mut self, length: usize) {
        if let Some(word) = self.0.get_mut(length / 64) {
            *word |= 1 << (length % 64);
        }
    }

    fn is_empty(self) -> bool {
        self.0 == [0; 5]
    }

    fn contains(self, length: usize) -> bool {
        self.0.get(length / 64).is_some_and(|word| word >> (length % 64) & 1 == 1)
    }
}

/// Where a text lies.
#[derive(Clone, Copy, Debug)]
struct Span {
    chunk: u32,
    start: u16,
    len: u16,
}

impl Span {
    fn of(self, chunks: &[String]) -> &str {
        let start = usize::from(self.start);
        &chunks[self.chunk as usize][start..start + usize::from(self.len)]
    }
}

impl Texts {
    pub(super) fn new(key: HashKey) -> Self {
        let shapes = Shapes { everything: None, roles: Lengths::default(), lengths: HashMap::with_hasher(key) };
        Self { key, shapes, ..Self::default() }
    }

    pub(super) fn len(&self) -> usize {
        self.spans.len()
    }

    pub(super) fn get(&self, id: TextId) -> &str {
        self.spans[id as usize].of(&self.chunks)
    }

    pub(super) fn find(&self, text: &str) -> Option<TextId> {
        self.find_hashed(self.key.of_text(&[text]), text)
    }

    fn find_hashed(&self, hash: u64, text: &str) -> Option<TextId> {
        let table = if text.ends_with('*') { &self.below } else { &self.exact };
        table.find(hash, |id| self.get(*id) == text).copied()
    }

    /// The pattern that covers all that begins with `prefix`.
    fn find_below(&self, prefix: &str) -> Option<TextId> {
        let hash = self.key.of_text(&[prefix, "*"]);
        let is_it = |id: &TextId| self.get(*id).strip_suffix('*') == Some(prefix);
        self.below.find(hash, is_it).copied()
    }

    /// Every text that covers the name `name` (a full text), most specific first; and how many were looked up.
    pub(super) fn covering(&self, name: &str, mut found: impl FnMut(TextId)) -> u32 {
        self.find(name).into_iter().for_each(&mut found);
        1 + self.above(self.shapes.of_type(self.key, name), || name, found)
    }

    /// As [`Texts::covering`], for an exact role.
    pub(super) fn covering_role(&self, role: TextId, mut found: impl FnMut(TextId)) -> u32 {
        found(role);
        self.above(self.shapes.roles, || self.get(role), found)
    }

    /// The patterns above a name, those of its type being of these lengths. Mostly there are none, and then its
    /// text is not read.
    fn above<'a>(&self, lengths: Lengths, name: impl FnOnce() -> &'a str, mut found: impl FnMut(TextId)) -> u32 {
        let mut lookups = 0;
        if !lengths.is_empty() {
            for prefix in wider(name()).filter(|prefix| !prefix.is_empty() && lengths.contains(prefix.len())) {
                lookups += 1;
                self.find_below(prefix).into_iter().for_each(&mut found);
            }
        }
        self.shapes.everything.into_iter().for_each(found);
        lookups
    }

    /// The text `*`.
    pub(super) fn everything(&self) -> Option<TextId> {
        self.shapes.everything
    }

    pub(super) fn intern(&mut self, text: &str) -> TextId {
        let hash = self.key.of_text(&[text]);
        if let Some(id) = self.find_hashed(hash, text) {
            return id;
        }
        let id = u32::try_from(self.spans.len()).expect("a log names fewer than 2^32 texts");
        let span = self.append(text);
        self.spans.push(span);
        let Self { key, chunks, spans, exact, below, .. } = self;
        let rehash = |id: &TextId| key.of_text(&[spans[*id as usize].of(chunks)]);
        let table = if text.ends_with('*') { below } else { exact };
        table.insert_unique(hash, id, rehash);
        self.shapes.insert(self.key, text, id);
        id
    }

    fn append(&mut self, text: &str) -> Span {
        let room = self.chunks.last().map_or(0, |chunk| CHUNK_BYTES - chunk.len());
        if room < text.len() || self.chunks.is_empty() {
            self.chunks.push(String::with_capacity(CHUNK_BYTES));
        }
        let at = self.chunks.len() - 1;
        let chunk = &mut self.chunks[at];
        let start = u16::try_from(chunk.len().min(CHUNK_BYTES - 1)).expect("a chunk is 64 KiB");
        let len = u16::try_from(text.len()).expect("no text on an entry is longer than 64 KiB");
        chunk.push_str(text);
        Span { chunk: u32::try_from(at).expect("fewer than 2^32 chunks"), start, len }
    }
}
