//! `writ key`.

use std::os::unix::fs::PermissionsExt as _;

use writ_proto::record::EnrolledKey;

use crate::program::{World, exists, writ};

#[test]
fn a_new_key_is_private_and_its_public_half_is_beside_it() {
    let world = World::new(&["org1"]);
    let path = world.text("new.key");
    let said = writ(&["key", "new", "--out", &path]).expect(0);
    let public: EnrolledKey = serde_json::from_slice(&std::fs::read(world.path("new.key.pub")).unwrap()).unwrap();
    assert_eq!(said.out.trim(), public.key.to_string());
    assert!(said.err.contains("not protected by a passphrase") && said.err.contains("hint:"), "{}", said.err);
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);

    for file in [&path, &format!("{path}.pub")] {
        let shown = writ(&["key", "show", file]).expect(0);
        assert!(shown.out.contains(&public.key.to_string()), "{}", shown.out);
        assert_eq!(writ(&["key", "show", file, "--json"]).expect(0).json()["key"], public.key.to_string());
    }
    let again = writ(&["key", "new", "--out", &path]).expect(1);
    assert!(again.err.starts_with("error: ") && again.err.contains("never written over"), "{}", again.err);
    assert!(again.out.is_empty());
}

#[test]
fn a_sealed_key_signs_with_its_passphrase_only() {
    let world = World::new(&["org1"]);
    let passphrase = world.write("pass", "open sesame\n");
    let path = world.text("sealed.key");
    let made = writ(&["key", "new", "--out", &path, "--passphrase-file", &passphrase, "--json"]).expect(0).json();
    assert_eq!(made["sealed"], true);
    // A key that no authority has still shows whether it was opened.
    let grant = ["grant", "--sub", "a", "--obj", "b", "--key", &path];
    let said = world.ask(&grant).expect(1);
    assert!(
        said.err.contains("is protected by a passphrase") && said.err.contains("--passphrase-file"),
        "{}",
        said.err
    );
    let wrong = world.write("wrong", "open");
    let said = world.ask(&[&grant[..], &["--passphrase-file", &wrong]].concat()).expect(1);
    assert!(said.err.contains("the passphrase is wrong"), "{}", said.err);
    let said = world.ask(&[&grant[..], &["--passphrase-file", &passphrase]].concat()).expect(1);
    assert!(said.err.contains("belongs to no authority"), "{}", said.err);
}

#[test]
fn an_empty_passphrase_makes_no_key() {
    let world = World::new(&["org1"]);
    let passphrase = world.write("pass", "\n");
    let said = writ(&["key", "new", "--out", &world.text("k"), "--passphrase-file", &passphrase]).expect(1);
    assert!(said.err.contains("the passphrase is empty"), "{}", said.err);
    assert!(!exists(&world.path("k")) && !exists(&world.path("k.pub")));
}

#[test]
fn a_key_that_others_can_read_is_used_with_a_warning() {
    let world = World::new(&["org1"]);
    std::fs::set_permissions(world.path("org1.key"), std::fs::Permissions::from_mode(0o644)).unwrap();
    let said = world.sign("org1", &["grant", "--sub", "a", "--obj", "b"]).expect(0);
    assert!(said.err.contains("warning: others than you may read"), "{}", said.err);
}
