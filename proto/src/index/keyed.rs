//! Keyed hashing: whoever chooses names must not choose where they fall in a table.
//!
//! Issuers write the texts that the tables hold, and they do not trust one another. With a hash that
//! everybody can compute, one of them could grind names that all fall into one place, and make
//! everybody's decisions slow. SipHash-1-3 under a key that only this process knows leaves nothing to grind.
//! Nothing that the protocol says depends on the order of a table.

use core::hash::{BuildHasher, Hasher as _};

use siphasher::sip::SipHasher13;

/// The key of the hash tables in memory. It never leaves the process and is stored nowhere.
#[derive(Clone, Copy, Default)]
pub struct HashKey([u64; 2]);

impl HashKey {
    /// A key from 16 random bytes. The default, all zeros, is for what reads trusted input or runs once.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        let both = u128::from_le_bytes(bytes);
        #[allow(clippy::cast_possible_truncation, reason = "the two halves")]
        Self([both as u64, (both >> 64) as u64])
    }

    /// The hash of the text that these parts make together.
    pub(super) fn of_text(self, parts: &[&str]) -> u64 {
        let mut hasher = self.build_hasher();
        for part in parts {
            hasher.write(part.as_bytes());
        }
        hasher.finish()
    }

    pub(super) fn of_bytes(self, bytes: &[u8]) -> u64 {
        let mut hasher = self.build_hasher();
        hasher.write(bytes);
        hasher.finish()
    }
}

impl BuildHasher for HashKey {
    type Hasher = SipHasher13;

    fn build_hasher(&self) -> SipHasher13 {
        SipHasher13::new_with_keys(self.0[0], self.0[1])
    }
}

impl core::fmt::Debug for HashKey {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("HashKey(..)")
    }
}
