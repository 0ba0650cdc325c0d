//! Whose signatures stand on a record, and whether they are enough.
//!
//! Most records are one authority's: its keys, at least as many as its threshold. A change of the validators or of
//! the chain's parameters is the *root quorum's*: keys of any root authorities, and enough roots that each signed
//! with at least its threshold. Such a record still names one authority, and that must be one of those roots, so
//! that nobody speaks in the name of somebody who did not sign.

use alloc::format;
use alloc::vec::Vec;

use super::{Authorities, Authority, KnownKey};
use crate::key::{KeyId, PublicKey, Signature};
use crate::record::{Kind, Signed};
use crate::refusal::{Code, Refusal};

/// The ordinals of the keys that signed, ascending, if there are enough of them. `ordinal` is the authority that the
/// record names; `fits` is the check of one signature.
pub(super) fn signers(
    authorities: &Authorities,
    root_quorum: u8,
    ordinal: u32,
    signed: &Signed,
    fits: impl Fn(&PublicKey, &Signed, &Signature) -> bool,
) -> Result<Vec<u32>, Refusal> {
    let named = authorities.get(ordinal).expect("the ordinal of an authority that was found");
    match signed.body().kind() {
        Kind::Validator | Kind::Parameter => {
            if named.parent.is_some() {
                let detail = format!("authority `{}` is no root, and only roots change the chain itself", named.name);
                return Err(Refusal::of(Code::Forbidden, "issuingAuth", detail));
            }
            let known = |id: &KeyId| authorities.roots().find_map(|root| root.key(id).copied());
            let keys = keys_of(signed, known, || "any root authority".into(), fits)?;
            check_threshold(named, signed)?;
            let found = authorities.roots().filter(|root| check_threshold(root, signed).is_ok()).count();
            if found < usize::from(root_quorum) {
                let detail = format!("{found} root authorities signed with enough keys, {root_quorum} must");
                return Err(Refusal::of(Code::ThresholdNotMet, "signatures", detail));
            }
            Ok(keys)
        }
        Kind::Access | Kind::Revoke | Kind::Authority | Kind::Set => {
            let whose = || format!("authority `{}`", named.name);
            let keys = keys_of(signed, |id| named.key(id).copied(), whose, fits)?;
            check_threshold(named, signed)?;
            Ok(keys)
        }
    }
}

/// The ordinals of the keys that signed, each known and each with a signature that fits.
fn keys_of(
    signed: &Signed,
    known: impl Fn(&KeyId) -> Option<KnownKey>,
    whose: impl Fn() -> alloc::string::String,
    fits: impl Fn(&PublicKey, &Signed, &Signature) -> bool,
) -> Result<Vec<u32>, Refusal> {
    let mut keys = Vec::with_capacity(signed.signatures().len());
    for (id, signature) in signed.signatures() {
        let key = known(id).ok_or_else(|| {
            let detail = format!("key {id} was never admitted to {}", whose());
            Refusal::of(Code::UnknownKey, "signatures", detail)
        })?;
        if !fits(&key.key, signed, signature) {
            let detail = format!("the signature of key {id} does not fit the signed bytes");
            return Err(Refusal::of(Code::BadSignature, "signatures", detail));
        }
        keys.push(key.ordinal);
    }
    keys.sort_unstable();
    Ok(keys)
}

/// Whether enough keys of this authority signed. A key that several authorities have counts for each.
fn check_threshold(authority: &Authority, signed: &Signed) -> Result<(), Refusal> {
    let found = signed.signatures().iter().filter(|(id, _)| authority.key(id).is_some()).count();
    if found < usize::from(authority.threshold) {
        let (name, needed) = (&authority.name, authority.threshold);
        let detail = format!("{found} signatures, authority `{name}` needs {needed}");
        return Err(Refusal::of(Code::ThresholdNotMet, "signatures", detail));
    }
    Ok(())
}
