//! An export that was changed in any way fails its audit, and the audit says where.
//!
//! 500 random changes, or as many as `WRIT_TAMPERS` says: all of them through the library, some through the program.

use writ_proto::audit::{Finding, Part as Found, audit_export};
use writ_proto::record::Effect;
use writ_tests::damage::{Damaged, Export, Part};
use writ_tests::random::Random;
use writ_tests::world::{World, text};
use writ_tests::writ::writ;

/// Changes that the program itself is shown.
const THROUGH_THE_PROGRAM: usize = 10;

#[test]
fn any_change_of_an_export_fails_its_audit_which_names_the_block_or_the_part() {
    let changes = match std::env::var("WRIT_TAMPERS") {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("WRIT_TAMPERS is `{text}`, expected a number")),
        Err(_) => 500,
    };
    let mut random = Random::from_environment("tamper");
    let world = World::new(&["org1", "org2"]);
    let export = export(&world);
    assert!(export.blocks() >= 12, "{} blocks are too few to swap", export.blocks());
    let chain = world.chain();
    let audited = audit_export([export.bytes()], Some(&chain)).unwrap_or_else(|finding| panic!("{finding}"));
    assert_eq!(audited.report.end.height, export.blocks() as u64);

    for at in 0..changes {
        let damaged = export.damage(&mut random);
        let pinned = random.percent(50).then_some(&chain);
        // In pieces of some size, as from a disk.
        let pieces = 1 + random.place(5_000);
        match audit_export(damaged.bytes.chunks(pieces), pinned) {
            Ok(_) => panic!("{} is not noticed", damaged.what),
            Err(finding) => assert_names(&finding, &damaged, pinned.is_some()),
        }
        if at < THROUGH_THE_PROGRAM {
            let file = world.folder().join(format!("damaged{at}"));
            std::fs::write(&file, &damaged.bytes).expect("a temporary folder can be written to");
            let genesis = world.home().join("genesis.json");
            let said = writ(["audit", "--genesis", &text(&genesis), "--file", &text(&file)]).expect(1);
            assert!(names_a_place(&format!("{}{}", said.out, said.err)), "{}: {said:?}", damaged.what);
        }
    }
}

/// Whether a finding is about the part that was changed first. What was changed before its place would have been
/// found before.
fn assert_names(finding: &Finding, damaged: &Damaged, pinned: bool) {
    let after_the_last = |height: u64| matches!(damaged.part, Part::Trailer) && height > 0;
    let fits = match (damaged.part, finding.height, finding.part) {
        (Part::Start, None, Found::Start) | (Part::Genesis, None, Found::Genesis) => true,
        // Without a pinned chain id another genesis is another chain, to which block 1 does not belong.
        (Part::Genesis, Some(1), _) => !pinned,
        (Part::Block(changed), Some(named), _) => changed == named,
        // A frame whose length became zero reads as the end; so does a file that ends between frames.
        (Part::Block(_), None, Found::Trailer) => true,
        (Part::Trailer, None, Found::Trailer | Found::End) => true,
        // The zero at the end became a length.
        (Part::Trailer, Some(height), _) => after_the_last(height),
        (Part::End, None, Found::End) => true,
        _ => false,
    };
    assert!(fits, "{} (first in {:?}): the audit says `{finding}`", damaged.what, damaged.part);
    assert!(!finding.detail.is_empty());
}

fn names_a_place(said: &str) -> bool {
    let block = said.split("block ").skip(1).any(|rest| rest.starts_with(|first: char| first.is_ascii_digit()));
    block || ["genesis", "trailer", "start of the file", "end of the file"].iter().any(|part| said.contains(part))
}

fn export(world: &World) -> Export {
    Export::new(export_file(world))
}

/// The export of a node whose blocks hold one record and many, of every kind.
pub(crate) fn export_file(world: &World) -> Vec<u8> {
    let node = world.run();
    let (org1, org2) = (world.issuer("org1"), world.issuer("org2"));
    for round in 0..6 {
        let obj = format!("file:{round}");
        let grant = org1.grant("alice", "read", &obj);
        let denial = org2.deny("bob", "*", &obj);
        node.http().submit(&grant);
        node.http().submit(&denial);
        let batch: Vec<_> = (0..5).map(|at| org2.grant(&format!("user{at}"), "write", &obj)).collect();
        node.http().submit_batch(&batch);
        node.http().submit(&org1.revoke(grant.id(), Effect::Grant));
        node.http().submit(&org2.revoke(denial.id(), Effect::Deny));
    }
    let file = text(&world.folder().join("chain.writ"));
    writ(["export", "--out", &file, "--node", node.url()]).expect(0);
    let genesis = text(&world.home().join("genesis.json"));
    writ(["audit", "--genesis", &genesis, "--file", &file]).expect(0);
    std::fs::read(&file).expect("an export is there")
}
