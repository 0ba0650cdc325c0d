//! Cosigned checkpoints of a running node, as tools that never heard of Writ see them.

use std::path::Path;
use std::process::Output;

use writ_proto::api::{Receipt, digest_from_base64, from_base64};
use writ_proto::checkpoint::Cosigners;
use writ_proto::genesis::Genesis;
use writ_proto::merkle;
use writ_tests::http::Http;
use writ_tests::node::Node;
use writ_tests::outside;
use writ_tests::process::command;
use writ_tests::wait::until;
use writ_tests::world::{World, text};
use writ_tests::writ::writ;

/// The note once it covers so many leaves.
fn note_of(http: &Http, size: u64) -> String {
    let size_of = |note: &str| note.lines().nth(1).and_then(|size| size.parse::<u64>().ok());
    until("a checkpoint of the last block", || {
        let answer = http.get("/checkpoint");
        let note = answer.text();
        (answer.status == 200 && size_of(&note).is_some_and(|found| found >= size)).then_some(note)
    })
}

/// What the Go program says of a policy and a note, and of a record under it.
fn ask(program: &Path, folder: &Path, policy: &str, note: &str, record: &[String]) -> Output {
    let (policy_file, note_file) = (folder.join("policy"), folder.join("note"));
    std::fs::write(&policy_file, policy).expect("a temporary folder can be written to");
    std::fs::write(&note_file, note).expect("a temporary folder can be written to");
    let arguments = [&[text(&policy_file), text(&note_file)], record].concat();
    command(program, &arguments).output().expect("the program starts")
}

#[test]
fn gos_own_note_reader_opens_a_live_checkpoint_and_refuses_a_changed_one() {
    let world = World::new(&["org1"]);
    let node = world.run();
    let http = node.http();
    let records = ["a", "b", "c"].map(|name| world.issuer("org1").grant(name, "read", "file:x"));
    let receipts = records.each_ref().map(|record| http.submit(record));
    let size = receipts[2].place.as_ref().expect("it is in the log").log_size;
    let (note, policy) = (note_of(http, size), http.get("/policy").text());
    let go = outside::build("checkpoint", world.folder());
    let judge = |policy: &str, note: &str| ask(&go, world.folder(), policy, note, &[]);

    let opened = judge(&policy, &note);
    let said = String::from_utf8_lossy(&opened.stdout).into_owned();
    assert!(opened.status.success(), "{}", String::from_utf8_lossy(&opened.stderr));
    let root = note.lines().nth(2).expect("a root");
    assert_eq!(said, format!("ledger.example/tests {size} {root} 1 1\n"));
    assert_eq!(digest_from_base64(root).map(|_| root), Some(&*http.status().log_root), "the chain is idle");

    // The receipt has the record under it, by Go's own tlog.
    let receipt = http.record(&records[0].id());
    let place = receipt.place.as_ref().expect("it is in the log");
    let bytes = from_base64(receipt.record.as_ref().expect("its bytes")).expect("base64");
    let file = world.folder().join("record");
    let proof = place.checkpoint_inclusion.clone().expect("it comes with a proof");
    for (bytes, included) in [(bytes.clone(), true), ([&bytes[..], b"x"].concat(), false)] {
        std::fs::write(&file, bytes).expect("a temporary folder can be written to");
        let about = [&[text(&file), place.index.to_string()], &proof[..]].concat();
        let note = place.checkpoint.as_ref().expect("it comes with a checkpoint");
        let output = ask(&go, world.folder(), &policy, note, &about);
        assert_eq!(output.status.success(), included, "{}", String::from_utf8_lossy(&output.stderr));
    }

    // Another log, size or root; a line less; a signature of another body; another chain's policy.
    let changed = |from: &str, to: &str| note.replacen(from, to, 1);
    let lines: Vec<&str> = note.split_inclusive('\n').collect();
    let swapped = [&lines[..4], &[lines[5], lines[4]]].concat().concat();
    assert!(judge(&policy, &swapped).status.success(), "their order does not matter");
    for (case, bad) in [
        ("another log", changed("ledger.example", "ledger.exemple")),
        ("another size", changed(&format!("\n{size}\n"), &format!("\n{}\n", size + 1))),
        ("another root", changed(root, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=")),
        ("without its log signature", note.replace(lines[4], "")),
        ("without its cosignature", note.replace(lines[5], "")),
        ("an extension", changed("\n\n", "\nmore\n\n")),
    ] {
        assert!(!judge(&policy, &bad).status.success(), "{case}");
        let cosigners = Cosigners::from_policy(&policy).expect("a good policy");
        assert!(cosigners.verify(&bad).is_err(), "{case}: by our own reader");
    }
    let other = World::new(&["org1"]);
    let foreign = other.run().http().get("/policy").text();
    assert!(!judge(&foreign, &note).status.success(), "the keys of another chain of this name");
}

#[test]
fn a_checkpoint_only_grows_also_over_kills() {
    let world = World::new(&["org1"]);
    let mut node = world.run();
    let genesis: Genesis = world.genesis();
    let cosigners = Cosigners::of(&genesis.chain, &genesis.validators);
    let mut last = 0;
    for round in 0..4 {
        let record = world.issuer("org1").grant(&format!("user{round}"), "read", "file:x");
        let receipt: Receipt = node.http().submit(&record);
        let place = receipt.place.expect("it is in the log");
        let note = note_of(node.http(), place.log_size);
        let cosigned = cosigners.verify(&note).expect("a final checkpoint");
        assert!(cosigned.checkpoint().size > last);
        last = cosigned.checkpoint().size;
        let place = node.http().record(&record.id()).place.expect("it is in the log");
        let proof: Vec<_> =
            place.checkpoint_inclusion.iter().flatten().filter_map(|text| digest_from_base64(text)).collect();
        merkle::verify_inclusion(
            place.index,
            last,
            &merkle::leaf_hash(record.bytes()),
            &proof,
            &cosigned.checkpoint().root,
        )
        .expect("the record is under it");
        node.kill();
        node.start_again();
        let again = note_of(node.http(), last);
        assert_eq!(cosigners.verify(&again).expect("a final checkpoint").checkpoint(), cosigned.checkpoint());
    }
}

#[test]
fn a_copied_home_signs_no_checkpoint() {
    let world = World::new(&["org1"]);
    let mut node = world.run();
    node.http().submit(&world.issuer("org1").grant("alice", "read", "file:x"));
    node.stop();
    // The voting key's guard stays in its place: only that of checkpoints was copied.
    let guard = world.home().join("keys").join("checkpoint-guard");
    let bytes = std::fs::read(&guard).expect("the guard");
    std::fs::remove_file(&guard).expect("it can be removed");
    let without = Node::try_run(&world.home()).expect_err("a missing guard is not made silently");
    assert!(without.said.contains("checkpoint guard") && without.said.contains("missing"), "{}", without.said);
    // A file of its own, so that it cannot be given the inode that became free.
    std::fs::write(guard.with_extension("other"), b"x").expect("it can be written");
    std::fs::write(&guard, bytes).expect("it can be written");
    let copied = Node::try_run(&world.home()).expect_err("a copied guard is refused");
    assert!(copied.said.contains("copied or restored"), "{}", copied.said);
}

#[test]
fn audit_and_status_tell_of_the_checkpoint() {
    let world = World::new(&["org1"]);
    let node = world.run();
    let receipt = node.http().submit(&world.issuer("org1").grant("alice", "read", "file:x"));
    let size = receipt.place.expect("it is in the log").log_size;
    note_of(node.http(), size);
    let status = writ(["status", "--node", node.url()]).expect(0);
    assert!(status.out.contains(&format!("{size} leaves, signed by 1 of 1 validators")), "{}", status.out);
    let audit = writ(["audit", "--node", node.url(), "--chain", &world.chain().to_string()]).expect(0);
    assert!(audit.out.contains(&format!("a checkpoint of {size} leaves that a quorum signed")), "{}", audit.out);
}
