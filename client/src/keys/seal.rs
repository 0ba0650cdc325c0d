//! A seed under a passphrase: Argon2id makes the key, ChaCha20-Poly1305 seals.

use argon2::{Algorithm, Argon2, Params, Version};
use chacha20poly1305::aead::{Aead as _, Payload};
use chacha20poly1305::{ChaCha20Poly1305, KeyInit as _};
use serde::{Deserialize, Serialize};
use writ_proto::key::PublicKey;
use zeroize::Zeroizing;

const KDF: &str = "argon2id";
const CIPHER: &str = "chacha20poly1305";
const TAG: &[u8] = b"writ/key-file/v1\0";

/// What one guess at a passphrase costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cost {
    /// Memory in KiB.
    pub memory_kib: u32,
    /// Passes over that memory.
    pub passes: u32,
    /// Lanes.
    pub lanes: u32,
}

impl Cost {
    /// The second recommended option of RFC 9106, section 4: 64 MiB, three passes, four lanes.
    pub const DEFAULT: Self = Self { memory_kib: 64 * 1024, passes: 3, lanes: 4 };

    /// The most that a file may ask for, so that reading one cannot exhaust the machine.
    const MAX: Self = Self { memory_kib: 1024 * 1024, passes: 64, lanes: 16 };

    fn is_bearable(self) -> bool {
        self.memory_kib <= Self::MAX.memory_kib && self.passes <= Self::MAX.passes && self.lanes <= Self::MAX.lanes
    }
}

/// A sealed seed, as it stands in a key file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Sealed {
    kdf: String,
    memory_kib: u32,
    passes: u32,
    lanes: u32,
    salt: String,
    cipher: String,
    nonce: String,
    seed: String,
}

/// Why a sealed seed does not open.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SealError {
    /// The wrong passphrase, or a file that was changed: they look the same.
    #[error("the passphrase is wrong, or the file was changed")]
    Wrong,
    /// Sealed in a way that this program does not know.
    #[error("it is sealed with `{found}`, this program knows `{KDF}` and `{CIPHER}`")]
    Unknown {
        /// By which.
        found: String,
    },
    /// A cost that is out of bounds.
    #[error("its cost ({memory_kib} KiB, {passes} passes, {lanes} lanes) is out of bounds")]
    Cost {
        /// Memory in KiB.
        memory_kib: u32,
        /// Passes.
        passes: u32,
        /// Lanes.
        lanes: u32,
    },
    /// A member that is not hexadecimal, or not of its length.
    #[error("its `{member}` is not {bytes} bytes in hexadecimal")]
    Member {
        /// Which.
        member: &'static str,
        /// How long it must be.
        bytes: usize,
    },
}

/// Seals `seed` for the holder of `key`.
pub(super) fn seal(
    seed: &[u8; 32],
    passphrase: &[u8],
    key: &PublicKey,
    cost: Cost,
    salt: [u8; 16],
    nonce: [u8; 12],
) -> Result<Sealed, SealError> {
    let cipher = cipher(passphrase, &salt, cost)?;
    let aad = associated(key, cost);
    let sealed = cipher.encrypt(&nonce.into(), Payload { msg: seed, aad: &aad }).map_err(|_| SealError::Wrong)?;
    Ok(Sealed {
        kdf: KDF.into(),
        memory_kib: cost.memory_kib,
        passes: cost.passes,
        lanes: cost.lanes,
        salt: hex::encode(salt),
        cipher: CIPHER.into(),
        nonce: hex::encode(nonce),
        seed: hex::encode(sealed),
    })
}

/// Opens what [`seal`] made.
pub(super) fn open(sealed: &Sealed, passphrase: &[u8], key: &PublicKey) -> Result<Zeroizing<[u8; 32]>, SealError> {
    for (found, known) in [(&sealed.kdf, KDF), (&sealed.cipher, CIPHER)] {
        if found != known {
            return Err(SealError::Unknown { found: found.chars().take(40).collect() });
        }
    }
    let cost = Cost { memory_kib: sealed.memory_kib, passes: sealed.passes, lanes: sealed.lanes };
    let salt: [u8; 16] = member("salt", &sealed.salt)?;
    let nonce: [u8; 12] = member("nonce", &sealed.nonce)?;
    let seed: [u8; 48] = member("seed", &sealed.seed)?;
    let cipher = cipher(passphrase, &salt, cost)?;
    let aad = associated(key, cost);
    let opened = cipher.decrypt(&nonce.into(), Payload { msg: &seed, aad: &aad }).map_err(|_| SealError::Wrong)?;
    let opened = Zeroizing::new(opened);
    let mut seed = Zeroizing::new([0; 32]);
    seed.copy_from_slice(opened.get(..32).ok_or(SealError::Wrong)?);
    Ok(seed)
}

fn cipher(passphrase: &[u8], salt: &[u8; 16], cost: Cost) -> Result<ChaCha20Poly1305, SealError> {
    let Cost { memory_kib, passes, lanes } = cost;
    let out_of_bounds = || SealError::Cost { memory_kib, passes, lanes };
    if !cost.is_bearable() {
        return Err(out_of_bounds());
    }
    let params = Params::new(memory_kib, passes, lanes, Some(32)).map_err(|_| out_of_bounds())?;
    let mut key = Zeroizing::new([0; 32]);
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into(passphrase, salt, key.as_mut())
        .map_err(|_| out_of_bounds())?;
    Ok(ChaCha20Poly1305::new((&*key).into()))
}

fn associated(key: &PublicKey, cost: Cost) -> Vec<u8> {
    let Cost { memory_kib, passes, lanes } = cost;
    let numbers = [memory_kib, passes, lanes].map(u32::to_le_bytes).concat();
    [TAG, &key.0, &numbers].concat()
}

fn member<const N: usize>(member: &'static str, text: &str) -> Result<[u8; N], SealError> {
    let mut bytes = [0; N];
    hex::decode_to_slice(text, &mut bytes).map_err(|_| SealError::Member { member, bytes: N })?;
    Ok(bytes)
}
