//! `docs/format.md` says what the code does: its bytes are the golden ones, its tables are complete.
//!
//! A block of the page that begins with ```` ```text FILE/NAME ```` shows a golden item: each line has hex, then two
//! spaces and what it is. `WRIT_BLESS=1 cargo test --release -p writ-proto --test format the_examples_of_the_page`,
//! after the golden files, brings the hex up to date where no line changes its length.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use writ_proto::hash::Domain;
use writ_proto::key::{KeyError, PublicKey};
use writ_proto::limits;
use writ_proto::refusal::Code;

use crate::files;

fn path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/format.md")
}

fn page() -> String {
    std::fs::read_to_string(path()).expect("docs/format.md")
}

/// The hex at the start of a line, without what follows two spaces.
fn hex_of(line: &str) -> &str {
    line.split("  ").next().unwrap_or_default()
}

/// The page with the bytes of the golden files in its examples, and how many examples there are.
fn with_golden_bytes(page: &str, golden: &BTreeMap<String, Vec<u8>>) -> (String, usize) {
    let mut examples = 0;
    let mut lines = Vec::new();
    let mut current: Option<(&str, &[u8])> = None;
    for line in page.lines() {
        let named = line.strip_prefix("```text ").filter(|name| name.contains('/'));
        if let Some(name) = named {
            examples += 1;
            let bytes = golden.get(name).unwrap_or_else(|| panic!("`{name}` is no golden item"));
            current = Some((name, bytes));
            lines.push(line.to_owned());
        } else if let Some((name, rest)) = current {
            if line == "```" {
                assert!(rest.is_empty(), "the example `{name}` lacks its last {} bytes", rest.len());
                current = None;
                lines.push(line.to_owned());
            } else {
                let length = hex_of(line).len() / 2;
                assert!(length <= rest.len(), "the example `{name}` has more bytes than the golden item");
                let (here, after) = rest.split_at(length);
                current = Some((name, after));
                lines.push(hex::encode(here) + &line[2 * length..]);
            }
        } else {
            lines.push(line.to_owned());
        }
    }
    (lines.join("\n") + "\n", examples)
}

#[test]
fn the_examples_of_the_page_are_the_golden_bytes() {
    let page = page();
    let (right, examples) = with_golden_bytes(&page, &files::all());
    if std::env::var_os("WRIT_BLESS").is_some_and(|value| value == "1") {
        std::fs::write(path(), &right).expect("a writable page");
        return;
    }
    assert!(examples >= 8, "the page has {examples} examples");
    for (at, (found, expected)) in page.lines().zip(right.lines()).enumerate() {
        assert_eq!(found, expected, "line {} of docs/format.md", at + 1);
    }
}

#[test]
fn every_hash_in_the_text_of_the_page_is_a_golden_one() {
    let page = page();
    let golden: Vec<String> = files::all().values().map(hex::encode).collect();
    let quoted = page.split('`').skip(1).step_by(2);
    let is_hash = |text: &&str| text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let mut hashes = 0;
    for hash in quoted.filter(is_hash) {
        assert!(golden.iter().any(|item| item == hash), "{hash} is no golden item");
        hashes += 1;
    }
    assert!(hashes >= 6, "the page quotes {hashes} hashes");
    for (name, bytes) in files::all() {
        if name.starts_with("codec/") && !name.ends_with("empty") && !name.ends_with("digest") {
            let shown = page.contains(&format!("`{}`", hex::encode(bytes)));
            assert!(shown || name == "codec/choice-granted", "{name} is not on the page");
        }
    }
    let mark = &hex::encode(&files::all()["log/1-commit-leaf.leaf-hash"])[..16];
    assert!(page.contains(&format!("`1.{mark}`")), "the position token of the example is 1.{mark}");
}

#[test]
fn the_tables_of_domains_and_codes_are_complete() {
    let page = page();
    for domain in Domain::ALL {
        let (zero, tag) = domain.tag().split_last().expect("a tag");
        let tag = std::str::from_utf8(tag).expect("ASCII");
        assert_eq!(*zero, 0);
        assert!(page.contains(&format!("\n| {domain:?} | `{tag}` | ")), "domain {domain:?} is missing");
    }
    for (code, number) in Code::ALL {
        assert!(page.contains(&format!("| {number} | `{code}` |")), "code {code} is missing");
    }
}

#[test]
fn the_table_of_bounds_is_complete() {
    let page = page();
    let mut known = 0;
    macro_rules! bounds {
        ($($name:ident)*) => {
            $(
                let row = format!("\n| `{}` | {} | ", stringify!($name), limits::$name);
                assert!(page.contains(&row), "{row}is missing");
                known += 1;
            )*
        };
    }
    bounds! {
        RECORD_BYTES_MAX NAME_ID_BYTES_MAX NAME_TYPE_BYTES_MAX NAME_SEGMENTS_MAX ACTION_BYTES_MAX
        AUTHORITY_NAME_BYTES_MAX CONDITION_BYTES_MAX REFERENCE_BYTES_MAX SIGNATURES_MAX SCOPE_RULES_MAX
        SCOPE_PATTERNS_MAX SET_MEMBERS_MAX GENESIS_MEMBERS_MAX PARAMETER_SUBMIT_AHEAD_MS_MAX
        PARAMETER_CLOCK_MS_MAX PARAMETER_PROPOSAL_MS_MIN ACTIVATION_LEAD_MIN ACTIVATION_LEAD_MAX GENESIS_BYTES_MAX BLOCK_BYTES_MAX BLOCK_RECORDS_MAX
        REJECTED_PER_KEY_MAX LIVE_GRANTS_PER_KEY_MAX LIVE_MEMBERSHIPS_PER_SUBJECT_MAX WAITING_REVOCATIONS_MAX
        CLOSURE_ROLES_MAX
    }
    let declared = include_str!("../../src/limits.rs").matches("\npub const ").count();
    assert_eq!(known, declared, "every bound of limits.rs is on the page");
    assert!(page.contains(&format!("at most {} bytes, at least 1", writ_proto::export::FRAME_BYTES_MAX)));
}

#[test]
fn the_encodings_of_small_order_are_weak_keys() {
    let page = page();
    let (_, list) = page.split_once("```text small-order\n").expect("the list");
    let (list, _) = list.split_once("```").expect("its end");
    let points: Vec<_> = list.lines().map(|line| line.parse::<PublicKey>().expect("32 bytes")).collect();
    assert_eq!(points.len(), 8);
    for (at, point) in points.iter().enumerate() {
        assert_eq!(point.admit(), Err(KeyError::Weak), "{point}");
        assert!(!points[..at].contains(point));
    }
}
