//! Every relative link in a Markdown file leads to a file, and to a heading where it names one.

use std::path::Path;

use super::Tree;

pub(super) fn check(tree: &Tree) -> anyhow::Result<Vec<String>> {
    let mut findings = Vec::new();
    for page in tree.with_ending(".md") {
        let text = tree.read(page)?;
        for (line, target) in links(&text) {
            let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
            if target.contains("://") || target.starts_with("mailto:") {
                continue;
            }
            let base = page.parent().unwrap_or(Path::new(""));
            let file = if path.is_empty() { page.to_path_buf() } else { base.join(path) };
            if !tree.root.join(&file).exists() {
                findings.push(format!("{}:{line}: no file `{path}`", page.display()));
            } else if !anchor.is_empty() && !headings(&tree.read(&file)?).any(|heading| heading == anchor) {
                findings.push(format!("{}:{line}: no heading `#{anchor}` in `{}`", page.display(), file.display()));
            }
        }
    }
    Ok(findings)
}

/// The targets of `[text](target)` outside code blocks, with their lines.
fn links(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut in_code = false;
    text.lines().enumerate().flat_map(move |(at, line)| {
        if line.trim_start().starts_with("```") {
            in_code = !in_code;
        }
        let line = if in_code { "" } else { line };
        line.split("](").skip(1).filter_map(move |rest| Some((at + 1, rest.split_once(')')?.0)))
    })
}

/// The anchors of a page's headings, as GitHub makes them.
fn headings(text: &str) -> impl Iterator<Item = String> {
    text.lines().filter(|line| line.starts_with('#')).map(|line| {
        let title = line.trim_start_matches('#').trim().to_lowercase();
        let kept = title.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
        kept.map(|c| if c == ' ' { '-' } else { c }).collect()
    })
}
