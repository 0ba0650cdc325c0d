//! The Merkle tree against test vectors: our own, which always run, and those of
//! `transparency-dev/merkle`, which run where they lie beside the repository (most of them are
//! forgeries).

#![allow(clippy::unwrap_used, reason = "in a test a panic is the verdict")]

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use writ_proto::hash::Digest;
use writ_proto::merkle::{
    self, Frontier, MemoryTree, ProofError, root_of, verify_consistency, verify_inclusion, verify_subtree_consistency,
    verify_subtree_inclusion,
};

/// A hash in a vector. The outside vectors also hold texts of other lengths: garbage in proofs, and
/// "don't care" for roots that are only compared. A [`Digest`] cannot be of another length, so such
/// a text would be refused before any proof is looked at. To judge the verifier and not the type, a
/// digest of the text and of its role stands for it: equal texts stay equal, and nothing hashes to
/// it.
#[derive(Deserialize)]
#[serde(transparent)]
struct Text(String);

impl Text {
    fn digest(&self, role: &str) -> Digest {
        let bytes = STANDARD.decode(&self.0).unwrap();
        match bytes.as_slice().try_into() {
            Ok(bytes) => Digest(bytes),
            Err(_) => Digest::of(&[b"stands for ", role.as_bytes(), &[0], &bytes]),
        }
    }

    fn proof(texts: &Option<Vec<Self>>) -> Vec<Digest> {
        texts.iter().flatten().map(|text| text.digest("proof")).collect()
    }
}

/// The cases of one kind of proof, each with a verdict of ours and the right one.
trait Vector: for<'de> Deserialize<'de> {
    fn name(&self) -> &str;
    fn must_be_refused(&self) -> bool;
    fn judge(&self) -> Result<(), ProofError>;
}

macro_rules! vector {
    ($kind:ident { $($field:ident: $type:ty),* $(,)? }, $judge:expr) => {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct $kind { name: String, want_err: bool, proof: Option<Vec<Text>>, $($field: $type),* }

        impl Vector for $kind {
            fn name(&self) -> &str {
                &self.name
            }

            fn must_be_refused(&self) -> bool {
                self.want_err
            }

            fn judge(&self) -> Result<(), ProofError> {
                let judge: fn(&Self, &[Digest]) -> Result<(), ProofError> = $judge;
                judge(self, &Text::proof(&self.proof))
            }
        }
    };
}

vector!(Inclusion { leaf_idx: u64, tree_size: u64, root: Text, leaf_hash: Text }, |case, proof| {
    let (leaf, root) = (case.leaf_hash.digest("leaf"), case.root.digest("root"));
    verify_inclusion(case.leaf_idx, case.tree_size, &leaf, proof, &root)
});
vector!(Consistency { size1: u64, size2: u64, root1: Text, root2: Text }, |case, proof| {
    let (root1, root2) = (case.root1.digest("root"), case.root2.digest("root"));
    verify_consistency(case.size1, case.size2, proof, &root1, &root2)
});
vector!(SubtreeInclusion { leaf_idx: u64, start: u64, end: u64, root: Text, leaf_hash: Text }, |case, proof| {
    let (leaf, root) = (case.leaf_hash.digest("leaf"), case.root.digest("root"));
    verify_subtree_inclusion(case.leaf_idx, case.start, case.end, &leaf, proof, &root)
});
vector!(SubtreeConsistency { start: u64, end: u64, size: u64, root1: Text, root2: Text }, |case, proof| {
    let (hash, root) = (case.root1.digest("root"), case.root2.digest("root"));
    verify_subtree_consistency(case.start, case.end, case.size, proof, &hash, &root)
});

/// How many cases there were.
fn all_judged_right<V: Vector>(cases: &[V]) -> usize {
    for refused in [true, false] {
        assert!(cases.iter().any(|case| case.must_be_refused() == refused), "cases of both kinds");
    }
    let wrong: Vec<_> = cases
        .iter()
        .map(|case| (case.name(), case.judge(), case.must_be_refused()))
        .filter(|(_, verdict, must_be_refused)| verdict.is_err() != *must_be_refused)
        .collect();
    assert!(wrong.is_empty(), "judged wrong: {wrong:#?}");
    cases.len()
}

#[derive(Deserialize)]
struct Root {
    size: u64,
    root: Text,
}

#[derive(Deserialize)]
struct Own {
    roots: Vec<Root>,
    inclusion: Vec<Inclusion>,
    consistency: Vec<Consistency>,
    subtreeinclusion: Vec<SubtreeInclusion>,
    subtreeconsistency: Vec<SubtreeConsistency>,
}

fn own() -> Own {
    serde_json::from_str(include_str!("data/merkle.json")).unwrap()
}

#[test]
fn our_own_vectors_are_judged_right() {
    let own = own();
    all_judged_right(&own.inclusion);
    all_judged_right(&own.consistency);
    all_judged_right(&own.subtreeinclusion);
    all_judged_right(&own.subtreeconsistency);
}

/// The roots and the good proofs were made in another language: our provers make the same.
#[test]
fn our_provers_give_the_proofs_of_our_own_vectors() {
    let own = own();
    let leaves = (0..20).map(|i| merkle::leaf_hash(format!("writ leaf {i}").as_bytes()));
    let tree: MemoryTree = leaves.clone().collect();
    for Root { size, root } in &own.roots {
        let root = root.digest("root");
        assert_eq!(root_of(leaves.clone().take(*size as usize)), root, "size {size}");
        assert_eq!(merkle::root_at(&tree, *size), Ok(root), "size {size}");
    }
    for case in own.inclusion.iter().filter(|case| !case.want_err) {
        let proof = merkle::prove_inclusion(&tree, case.leaf_idx, case.tree_size);
        assert_eq!(proof, Ok(Text::proof(&case.proof)), "{}", case.name);
    }
    for case in own.consistency.iter().filter(|case| !case.want_err) {
        let proof = merkle::prove_consistency(&tree, case.size1, case.size2);
        assert_eq!(proof, Ok(Text::proof(&case.proof)), "{}", case.name);
    }
    for case in own.subtreeconsistency.iter().filter(|case| !case.want_err) {
        let proof = merkle::prove_subtree_consistency(&tree, case.start, case.end, case.size);
        assert_eq!(proof, Ok(Text::proof(&case.proof)), "{}", case.name);
    }
}

/// The eight leaves with which implementations of RFC 6962 are usually compared, rooted by its
/// section 2.1 word for word.
#[test]
fn the_well_known_eight_leaves_have_the_roots_of_the_definition() {
    fn definition(leaves: &[&[u8]]) -> Digest {
        match leaves {
            [] => Digest::of(&[]),
            [leaf] => Digest::of(&[&[0], leaf]),
            _ => {
                let mut middle = 1;
                while middle * 2 < leaves.len() {
                    middle *= 2;
                }
                let (left, right) = leaves.split_at(middle);
                Digest::of(&[&[1], &definition(left).0, &definition(right).0])
            }
        }
    }
    let bytes: Vec<u8> = (0x40..0x70).collect();
    let leaves: [&[u8]; 8] =
        [&[], &[0x00], &[0x10], &[0x20, 0x21], &[0x30, 0x31], &bytes[..4], &bytes[16..24], &bytes[32..]];
    let mut frontier = Frontier::new();
    for size in 0..=leaves.len() {
        let want = definition(&leaves[..size]);
        assert_eq!(frontier.root(), want, "size {size}");
        let hashes = leaves[..size].iter().map(|leaf| merkle::leaf_hash(leaf));
        assert_eq!(root_of(hashes), want, "size {size}");
        if let Some(leaf) = leaves.get(size) {
            frontier.push(merkle::leaf_hash(leaf));
        }
    }
    let Some(folder) = outside() else { return };
    let cases: Vec<Consistency> = read(&folder.join("consistency.json"));
    let roots: BTreeMap<_, _> = cases
        .iter()
        .filter(|case| case.name.ends_with("/happy-path"))
        .flat_map(|case| [(case.size1, &case.root1), (case.size2, &case.root2)])
        .collect();
    assert!(roots.contains_key(&8));
    for (size, root) in roots {
        assert_eq!(definition(&leaves[..size as usize]), root.digest("root"), "size {size}");
    }
}

#[test]
fn outside_vectors_are_judged_right() {
    let Some(folder) = outside() else { return };
    for (file, count, at_least) in [
        ("inclusion", judge_file::<Inclusion> as fn(&Path) -> usize, 98),
        ("consistency", judge_file::<Consistency>, 98),
        ("subtreeinclusion", judge_file::<SubtreeInclusion>, 204),
        ("subtreeconsistency", judge_file::<SubtreeConsistency>, 118),
    ] {
        let found = count(&folder.join(file).with_extension("json"));
        assert!(found >= at_least, "{found} cases in {file}, expected at least {at_least}");
    }
}

fn judge_file<V: Vector>(path: &Path) -> usize {
    all_judged_right(&read::<V>(path))
}

fn read<V: Vector>(path: &Path) -> Vec<V> {
    let text = std::fs::read_to_string(path).unwrap();
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The folder of the outside vectors, if it is there.
fn outside() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/merkle");
    if folder.is_dir() {
        return Some(folder);
    }
    // Straight to the terminal: the test harness hides what a passing test prints.
    let _ = writeln!(
        std::io::stderr(),
        "SKIPPED: the outside Merkle vectors are not at {}; only our own were judged",
        folder.display(),
    );
    None
}
