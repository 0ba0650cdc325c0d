//! Keyed hashing: whoever chooses names must not choose where they fall in a table.
//!
//! Issuers write the texts that the tables hold, and they do not trust one another. With a hash that
//! everybody can compute, one of them could grind names that all fall into one place, and make
//! everybody's decisions slow. Under a key that only this process knows there is nothing to grind: texts are hashed
//! by SipHash-1-3, and numbers that the ledger itself gave out by the multiply-shift family (Dietzfelbinger 1996),
//! where any two numbers fall together with the probability of chance.
//! Nothing that the protocol says depends on the order of a table.

use core::hash::{BuildHasher, Hasher as _};

use siphasher::sip::SipHasher13;

use crate::record::RecordId;

/// The key of the hash tables in memory. It never leaves the process and is stored nowhere.
#[derive(Clone, Copy)]
pub struct HashKey {
    sip: [u64; 2],
    factor: u128,
    summand: u128,
}

impl Default for HashKey {
    fn default() -> Self {
        Self::from_bytes([0; 16])
    }
}

impl HashKey {
    /// A key from 16 random bytes. The default, all zeros, is for what reads trusted input or runs once.
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        let both = u128::from_le_bytes(bytes);
        #[allow(clippy::cast_possible_truncation, reason = "the two halves")]
        let sip = [both as u64, (both >> 64) as u64];
        let drawn = |number: u64| {
            let mut hasher = SipHasher13::new_with_keys(sip[0], sip[1]);
            hasher.write_u64(number);
            u128::from(hasher.finish())
        };
        Self { sip, factor: drawn(0) << 64 | drawn(1) | 1, summand: drawn(2) << 64 | drawn(3) }
    }

    /// The hash of the text that these parts make together.
    pub(super) fn of_text(self, parts: &[&str]) -> u64 {
        let mut hasher = SipHasher13::new_with_keys(self.sip[0], self.sip[1]);
        for part in parts {
            hasher.write(part.as_bytes());
        }
        hasher.finish()
    }

    /// The hash of a number.
    pub(super) fn of_number(self, number: u64) -> u64 {
        let product = self.factor.wrapping_mul(u128::from(number)).wrapping_add(self.summand);
        #[allow(clippy::cast_possible_truncation, reason = "the upper half")]
        let upper = (product >> 64) as u64;
        upper
    }

    /// The hash of an id, which is the output of SHA-256.
    pub(super) fn of_id(self, id: &RecordId) -> u64 {
        let [a, b, c, d, e, f, g, h, ..] = id.0.0;
        self.of_number(u64::from_le_bytes([a, b, c, d, e, f, g, h]))
    }
}

impl BuildHasher for HashKey {
    type Hasher = SipHasher13;

    fn build_hasher(&self) -> SipHasher13 {
        SipHasher13::new_with_keys(self.sip[0], self.sip[1])
    }
}

impl core::fmt::Debug for HashKey {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("HashKey(..)")
    }
}
