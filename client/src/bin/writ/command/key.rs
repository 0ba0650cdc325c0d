//! `writ key`: make and show issuer keys.

use std::path::Path;

use serde_json::json;
use writ_client::keys::{self, KeyFile};
use writ_proto::hash::Digest;
use writ_proto::record::EnrolledKey;

use crate::context::Context;
use crate::exit::{Exit, Failure};
use crate::output::{fields, print, print_line};

pub(super) fn new(path: &Path, context: &Context) -> Result<Exit, Failure> {
    let passphrase = context.passphrase()?;
    let key = keys::generate()?;
    let public = keys::create(path, &key, passphrase.as_ref())?;
    let public_path = keys::public_path(path);
    if context.json() {
        let (file, public_file) = (path.display().to_string(), public_path.display().to_string());
        let sealed = passphrase.is_some();
        print_line(
            &json!({ "key": public.key, "possession": public.possession, "file": file, "public_file": public_file, "sealed": sealed })
                .to_string(),
        )?;
        return Ok(Exit::Done);
    }
    print_line(&public.key.to_string())?;
    let protection = if passphrase.is_some() { "sealed with the passphrase" } else { "not protected by a passphrase" };
    context.say("key:", &format!("`{}`, {protection}; keep a copy in a safe place", path.display()));
    context.say("hint:", &format!("a chain knows it by `writ-node init --authority NAME={}`", public_path.display()));
    Ok(Exit::Done)
}

pub(super) fn show(path: &Path, context: &Context) -> Result<Exit, Failure> {
    let (public, protection) = match read_public(path) {
        Some(public) => (public, "public half only"),
        None => {
            let file = KeyFile::read(path)?;
            let protection = if file.is_sealed() { "sealed with a passphrase" } else { "not sealed" };
            (*file.public(), protection)
        }
    };
    let id = public.key.id();
    if context.json() {
        let shown = json!({ "key": public.key, "id": id, "possession": public.possession, "protection": protection });
        print_line(&shown.to_string())?;
        return Ok(Exit::Done);
    }
    let pairs = [
        ("key", public.key.to_string()),
        ("id", id.to_string()),
        ("possession", hex::encode(public.possession.0)),
        ("secret", protection.into()),
    ];
    print(&fields(context.out(), &pairs))?;
    Ok(Exit::Done)
}

/// The public half of a key, if the file holds one and it is good.
fn read_public(path: &Path) -> Option<EnrolledKey> {
    let public: EnrolledKey = serde_json::from_slice(&std::fs::read(path).ok()?).ok()?;
    public.key.admit_possessed(&Digest::ZERO, &public.possession).ok()?;
    Some(public)
}
