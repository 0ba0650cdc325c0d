use std::boxed::Box;
use std::string::ToString as _;
use std::vec;
use std::vec::Vec;

use super::*;
use crate::genesis::{PROTOCOL, Parameters, RootAuthority};
use crate::key::{KeyId, SecretKey, Signature};
use crate::record::{EnrolledKey, ValidatorKeys};
use crate::scope::Scope;
use crate::time::LedgerTime;

fn genesis() -> Genesis {
    let enrolled = |n: u8| {
        let key = SecretKey::from_seed(&[n; 32]);
        EnrolledKey { key: key.public(), possession: key.prove_possession(&Digest::ZERO) }
    };
    Genesis {
        protocol: PROTOCOL,
        chain: "ledger.example/export".into(),
        time: LedgerTime::EPOCH,
        parameters: Parameters::default(),
        authorities: vec![RootAuthority {
            name: "org1".parse().expect("a name"),
            keys: vec![enrolled(1)],
            threshold: 1,
            scope: Scope::everything(),
        }],
        root_quorum: 1,
        validators: vec![ValidatorKeys {
            name: "v1".parse().expect("a name"),
            vote: enrolled(2),
            checkpoint: enrolled(3),
        }],
    }
}

fn frame(n: u8) -> Frame {
    let signatures = vec![(KeyId([n; 32]), Signature([n; 64]))];
    let certificate = Certificate { height: n.into(), round: 0, block: Digest([n; 32]), signatures };
    Frame { block: Blob(vec![n; usize::from(n)]), certificate }
}

fn end(height: u64) -> End {
    End { height, log_size: 2 * height, log_root: Digest([8; 32]), commit_leaf: Digest([9; 32]) }
}

/// The parts of an export of two blocks.
fn parts() -> Vec<Vec<u8>> {
    let mut writer = Writer::new();
    vec![writer.header(&genesis()), writer.frame(&frame(1)), writer.frame(&frame(2)), writer.trailer(end(2))]
}

/// All items of a file that comes in pieces of `size` bytes.
fn read(file: &[u8], size: usize) -> Result<Vec<Item>, ExportError> {
    let mut reader = Reader::new();
    let mut items = Vec::new();
    for chunk in file.chunks(size) {
        reader.push(chunk);
        while let Some(item) = reader.take()? {
            items.push(item);
        }
    }
    reader.finish()?;
    Ok(items)
}

fn error(file: &[u8]) -> ExportError {
    let error = read(file, file.len().max(1)).expect_err("a bad file");
    assert_eq!(read(file, 1).expect_err("a bad file"), error, "the size of the pieces changes the error");
    error
}

#[test]
fn an_export_reads_back_in_pieces_of_any_size() {
    let parts = parts();
    let file = parts.concat();
    let digest = Digest::of(&[&file[..file.len() - Trailer::BYTES]]);
    let offset = |part: usize| parts[..part].iter().map(|part| part.len() as u64).sum();
    let items = vec![
        Item::Genesis(Box::new(genesis())),
        Item::Block { height: 1, offset: offset(1), frame: frame(1) },
        Item::Block { height: 2, offset: offset(2), frame: frame(2) },
        Item::Trailer(Trailer { end: end(2), digest }),
    ];
    for size in [1, 7, 100, file.len()] {
        assert_eq!(read(&file, size).as_ref(), Ok(&items), "pieces of {size}");
    }
}

#[test]
fn frames_that_a_node_serves_are_written_as_they_are() {
    let served = [frame(1).encode_framed(), frame(2).encode_framed()].concat();
    let mut writer = Writer::new();
    let mut file = writer.header(&genesis());
    writer.pass_framed(&served);
    file.extend(&served);
    file.extend(writer.trailer(end(2)));
    assert_eq!(file, parts().concat());
    assert_eq!(Frame::decode_all(&served), Ok(vec![frame(1), frame(2)]));
    let cut = Frame::decode_all(&served[..served.len() - 1]);
    assert!(matches!(cut, Err((1, Fault::Cut { .. }))), "{cut:?}");
    assert!(matches!(Frame::decode_all(&[0; 8]), Err((0, Fault::Length { found: 0, .. }))));
}

#[test]
fn a_file_that_is_cut_names_the_part_that_is_missing() {
    let parts = parts();
    let file = parts.concat();
    let borders: Vec<usize> = (1..parts.len()).map(|n| parts[..n].iter().map(Vec::len).sum()).collect();
    for cut in 0..file.len() {
        let found = error(&file[..cut]);
        let place = if cut < START.len() {
            Place::Start
        } else if cut < borders[0] {
            Place::Genesis
        } else if borders.contains(&cut) || cut >= borders[2] + LENGTH_BYTES {
            Place::Trailer
        } else {
            Place::Frame(1 + borders[1..].iter().filter(|border| **border < cut).count() as u64)
        };
        assert_eq!(found.place, place, "cut at {cut}: {found}");
        assert!(found.offset <= cut as u64);
    }
}

#[test]
fn bad_lengths_are_refused_before_their_bytes_are_awaited() {
    let header = Writer::new().header(&genesis());
    for (what, place, bytes) in [
        ("no genesis", Place::Genesis, [START, &[0; 8]].concat()),
        ("huge genesis", Place::Genesis, [START, &u64::MAX.to_le_bytes()].concat()),
        ("huge frame", Place::Frame(1), [header.as_slice(), &(FRAME_BYTES_MAX as u64 + 1).to_le_bytes()].concat()),
    ] {
        let mut reader = Reader::new();
        reader.push(&bytes);
        let found = loop {
            match reader.take() {
                Ok(Some(_)) => {}
                Ok(None) => panic!("{what}: waits for more"),
                Err(error) => break error,
            }
        };
        assert_eq!(found.place, place, "{what}");
        assert!(matches!(found.fault, Fault::Length { .. }), "{what}: {found}");
        reader.push(b"more");
        assert_eq!(reader.take(), Err(found), "{what}: the error stays");
    }
}

#[test]
fn each_part_that_is_wrong_is_named() {
    let good = parts();
    let file = good.concat();
    let with = |at: usize, byte: u8| {
        let mut file = file.clone();
        file[at] ^= byte;
        file
    };
    let (first, trailer) = (good[0].len(), file.len() - Trailer::BYTES);
    let crowded = {
        let mut frame = frame(1);
        frame.certificate.signatures = vec![(KeyId([0; 32]), Signature([0; 64])); GENESIS_MEMBERS_MAX + 1];
        [good[0].clone(), frame.encode_framed()].concat()
    };
    for (what, place, text, file) in [
        ("start", Place::Start, "does not start with", with(0, 1)),
        ("version", Place::Start, "does not start with", with(START.len() - 2, 1)),
        ("genesis", Place::Genesis, "protocol version 3", with(START.len() + 8, 1)),
        ("blob", Place::Frame(1), "not decodable", with(first + 8 + 7, 0x80)),
        ("signatures", Place::Frame(1), "129 signatures", crowded),
        ("digest", Place::Trailer, "the SHA-256", with(file.len() - 1, 1)),
        ("surplus", Place::End, "bytes follow", [file.as_slice(), &[0]].concat()),
    ] {
        let found = error(&file);
        assert_eq!(found.place, place, "{what}: {found}");
        assert!(found.to_string().contains(text), "{what}: {found}");
    }
    // The trailer's own members are not under its digest: an audit compares them with the chain.
    assert!(read(&with(trailer, 1), 64).is_ok());
}
