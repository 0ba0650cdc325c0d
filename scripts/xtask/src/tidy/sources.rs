//! Every source says what it is for, and nothing names the machine that it was written on.

use super::Tree;

/// Paths that mean something on one machine only, split so that this file does not hold them.
const FOREIGN: [&str; 3] = [concat!("/wo", "rk/"), concat!("/ro", "ot/"), concat!("/ho", "me/")];
const TEXTS: [&str; 9] = [".rs", ".md", ".toml", ".sh", ".py", ".json", ".yml", "justfile", ".ci/run"];

pub(super) fn check(tree: &Tree) -> anyhow::Result<Vec<String>> {
    let mut findings = Vec::new();
    // A file of tests or a fuzz target is named for what it is about.
    let says_itself = |path: &&std::path::Path| path.ends_with("tests.rs") || path.starts_with("proto/fuzz");
    for source in tree.with_ending(".rs").filter(|path| !says_itself(path)) {
        let text = tree.read(source)?;
        if !text.starts_with("//!") {
            findings.push(format!("{}: no module doc on the first line", source.display()));
        }
    }
    for ending in TEXTS {
        for file in tree.with_ending(ending) {
            for (at, line) in tree.read(file)?.lines().enumerate() {
                if let Some(path) = FOREIGN.iter().find(|path| line.contains(*path)) {
                    findings.push(format!("{}:{}: names `{path}`", file.display(), at + 1));
                }
            }
        }
    }
    Ok(findings)
}
