use std::os::unix::fs::PermissionsExt as _;

use super::*;

/// Cheap enough to be guessed a hundred times in a test.
const CHEAP: Cost = Cost { memory_kib: 8, passes: 1, lanes: 1 };

fn key() -> SecretKey {
    SecretKey::from_seed(&[7; 32])
}

fn pass(text: &str) -> Passphrase {
    Passphrase::new(text.into()).unwrap()
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

#[test]
fn a_key_reads_back_plain_and_sealed() {
    let folder = folder();
    let plain = folder.path().join("plain.key");
    let sealed = folder.path().join("sealed.key");
    create(&plain, &key(), None).unwrap();
    create_at_cost(&sealed, &key(), Some(&pass("open sesame")), CHEAP).unwrap();

    let file = KeyFile::read(&plain).unwrap();
    assert!(!file.is_sealed() && !file.is_exposed());
    assert_eq!(file.open(None).unwrap().to_seed(), key().to_seed());
    assert_eq!(file.public().key, key().public());

    let file = KeyFile::read(&sealed).unwrap();
    assert!(file.is_sealed());
    assert_eq!(file.open(Some(&pass("open sesame"))).unwrap().to_seed(), key().to_seed());
    assert!(matches!(file.open(None), Err(KeyFileError::NeedsPassphrase { .. })));
    for wrong in ["open sesam", "open sesame ", "x"] {
        let error = file.open(Some(&pass(wrong))).unwrap_err();
        assert!(matches!(error, KeyFileError::Seal { source: SealError::Wrong, .. }), "{wrong}: {error}");
    }
    let text = fs::read_to_string(&sealed).unwrap();
    assert!(!text.contains(&hex::encode(key().to_seed())), "a sealed file does not hold the seed");
}

#[test]
fn the_default_cost_is_used_and_works() {
    let folder = folder();
    let path = folder.path().join("k");
    create(&path, &key(), Some(&pass("p"))).unwrap();
    assert!(fs::read_to_string(&path).unwrap().contains("\"memory_kib\": 65536"));
    assert_eq!(KeyFile::read(&path).unwrap().open(Some(&pass("p"))).unwrap().public(), key().public());
}

#[test]
fn only_the_owner_may_read_a_key() {
    let folder = folder();
    let path = folder.path().join("k");
    create(&path, &key(), None).unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&path), 0o600);
    assert!(!KeyFile::read(&path).unwrap().is_exposed());
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    assert!(KeyFile::read(&path).unwrap().is_exposed());
}

#[test]
fn nothing_is_ever_written_over_and_no_draft_stays() {
    let folder = folder();
    let path = folder.path().join("k");
    create(&path, &key(), None).unwrap();
    let before = fs::read(&path).unwrap();
    assert!(matches!(create(&path, &generate().unwrap(), None), Err(KeyFileError::Exists { .. })));
    fs::remove_file(public_path(&path)).unwrap();
    assert!(matches!(create(&path, &generate().unwrap(), None), Err(KeyFileError::Exists { .. })));
    assert_eq!(fs::read(&path).unwrap(), before);

    let other = folder.path().join("other");
    fs::write(public_path(&other), "mine").unwrap();
    assert!(matches!(create(&other, &key(), None), Err(KeyFileError::Exists { .. })));
    assert!(!other.exists(), "a key without its public half is not left behind");
    assert_eq!(fs::read(public_path(&other)).unwrap(), b"mine");
    let names: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names.len(), 2, "{names:?}");
}

#[test]
fn the_public_half_is_what_a_genesis_reads() {
    let folder = folder();
    let path = folder.path().join("org1.key");
    create(&path, &key(), None).unwrap();
    let text = fs::read_to_string(folder.path().join("org1.key.pub")).unwrap();
    let public: EnrolledKey = serde_json::from_str(&text).unwrap();
    assert_eq!(public.key, key().public());
    public.key.admit_possessed(&Digest::ZERO, &public.possession).unwrap();
}

#[test]
fn a_bare_seed_as_nodes_keep_it_is_a_key_too() {
    let folder = folder();
    let path = folder.path().join("dev.key");
    for end in ["", "\n"] {
        fs::write(&path, hex::encode(key().to_seed()) + end).unwrap();
        let file = KeyFile::read(&path).unwrap();
        assert!(!file.is_sealed());
        assert_eq!(file.open(None).unwrap().to_seed(), key().to_seed());
        file.public().key.admit_possessed(&Digest::ZERO, &file.public().possession).unwrap();
    }
    fs::write(&path, &hex::encode(key().to_seed())[1..]).unwrap();
    assert!(matches!(KeyFile::read(&path), Err(KeyFileError::Malformed { .. })));
}

#[test]
fn two_keys_are_never_the_same() {
    assert_ne!(generate().unwrap().public(), generate().unwrap().public());
}

#[test]
fn a_file_that_is_cut_or_changed_is_refused_without_showing_its_secret() {
    let folder = folder();
    for passphrase in [None, Some(pass("p"))] {
        let path = folder.path().join(if passphrase.is_some() { "sealed" } else { "plain" });
        create_at_cost(&path, &key(), passphrase.as_ref(), CHEAP).unwrap();
        let whole = fs::read(&path).unwrap();
        let broken = folder.path().join("broken");
        let opens = |bytes: &[u8]| {
            fs::write(&broken, bytes).unwrap();
            KeyFile::read(&broken).and_then(|file| file.open(passphrase.as_ref()))
        };
        assert!(opens(&whole).is_ok());
        // The last two bytes are the closing brace and a line end.
        for length in 0..whole.len() - 2 {
            let error = opens(&whole[..length]).expect_err("cut short");
            assert!(!error.to_string().contains(&hex::encode([7; 8])), "{error}");
        }
        for at in 0..whole.len() {
            let mut changed = whole.clone();
            changed[at] ^= 1;
            match opens(&changed) {
                // White space, and letters of either case where a seed is read.
                Ok(opened) => assert_eq!(opened.public(), key().public(), "byte {at}"),
                Err(error) => assert!(!error.to_string().contains(&hex::encode([7; 8])), "{error}"),
            }
        }
    }
}

#[test]
fn what_is_wrong_is_said() {
    let folder = folder();
    let path = folder.path().join("k");
    create(&path, &key(), None).unwrap();
    let good = fs::read_to_string(&path).unwrap();
    let other = SecretKey::from_seed(&[8; 32]);
    let seed = hex::encode(key().to_seed());
    for (case, text, want) in [
        ("empty", String::new(), "it is empty"),
        ("cut", good[..100].into(), "it is cut short"),
        ("not JSON", "-----BEGIN".into(), "it is not JSON"),
        ("newer", good.replace("\"version\": 1", "\"version\": 2"), "its version is 2, this program knows 1"),
        ("unknown member", good.replace("\"seed\"", "\"sead\""), "its members"),
        ("other seed", good.replace(&seed, &hex::encode(other.to_seed())), "but its seed makes"),
        ("short seed", good.replace(&seed, "0707"), "its seed is not 64"),
        ("other key", good.replace(&key().public().to_string(), &other.public().to_string()), "no chain admits"),
    ] {
        fs::write(&path, text).unwrap();
        let error = KeyFile::read(&path).and_then(|file| file.open(None)).unwrap_err().to_string();
        assert!(error.contains(want), "{case}: {error}");
    }
    let missing = KeyFile::read(&folder.path().join("nowhere")).unwrap_err();
    assert!(missing.to_string().starts_with("cannot read `"), "{missing}");
}

#[test]
fn a_file_cannot_ask_for_more_than_the_machine_bears() {
    let folder = folder();
    let path = folder.path().join("k");
    create_at_cost(&path, &key(), Some(&pass("p")), CHEAP).unwrap();
    let text = fs::read_to_string(&path).unwrap().replace("\"memory_kib\": 8", "\"memory_kib\": 4000000000");
    fs::write(&path, text).unwrap();
    let error = KeyFile::read(&path).unwrap().open(Some(&pass("p"))).unwrap_err();
    assert!(matches!(error, KeyFileError::Seal { source: SealError::Cost { .. }, .. }), "{error}");
}

#[test]
fn a_passphrase_file_may_end_with_one_line_end() {
    let folder = folder();
    let path = folder.path().join("pass");
    for (text, want) in
        [("open", "open"), ("open\n", "open"), ("open\r\n", "open"), ("open\n\n", "open\n"), (" o ", " o ")]
    {
        fs::write(&path, text).unwrap();
        assert_eq!(&*Passphrase::read(&path).unwrap().0, want.as_bytes(), "{text:?}");
    }
    fs::write(&path, "\n").unwrap();
    assert!(matches!(Passphrase::read(&path), Err(KeyFileError::EmptyPassphrase)));
}
