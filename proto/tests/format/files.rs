//! The golden files: `tests/golden/*.txt`, each with lines `name = hex`.
//!
//! A line that begins with two spaces goes on with the hex of the line before; `#` begins a comment.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

const BYTES_PER_LINE: usize = 48;

/// Where they lie.
pub(crate) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

/// The text of a file with these items.
pub(crate) fn to_text(about: &str, items: &[(String, Vec<u8>)]) -> String {
    let mut text = format!("# {about}\n");
    for (name, bytes) in items {
        text += &format!("\n{name} =");
        if bytes.len() > BYTES_PER_LINE {
            for line in bytes.chunks(BYTES_PER_LINE) {
                text += &format!("\n  {}", hex::encode(line));
            }
        } else if !bytes.is_empty() {
            text += &format!(" {}", hex::encode(bytes));
        }
        text += "\n";
    }
    text
}

/// The items of a file's text.
pub(crate) fn from_text(text: &str) -> Vec<(String, Vec<u8>)> {
    let mut items: Vec<(String, String)> = Vec::new();
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        match (line.strip_prefix("  "), line.split_once(" =")) {
            (Some(more), _) => items.last_mut().expect("a name comes first").1 += more.trim(),
            (None, Some((name, start))) => items.push((name.into(), start.trim().into())),
            (None, None) => panic!("`{line}` is no line of a golden file"),
        }
    }
    items.into_iter().map(|(name, text)| (name, hex::decode(text).expect("hexadecimal digits"))).collect()
}

/// Every item of every file, by `file/name`.
pub(crate) fn all() -> BTreeMap<String, Vec<u8>> {
    let mut all = BTreeMap::new();
    for entry in std::fs::read_dir(folder()).expect("the folder of golden files") {
        let path = entry.expect("an entry of the folder").path();
        if path.extension().is_some_and(|extension| extension == "txt") {
            let file = path.file_stem().expect("a name").to_string_lossy().into_owned();
            let text = std::fs::read_to_string(&path).expect("a readable golden file");
            all.extend(from_text(&text).into_iter().map(|(name, bytes)| (format!("{file}/{name}"), bytes)));
        }
    }
    all
}
