//! What a reader would stumble over: dead links, commands that do not exist, sources without a module doc,
//! crates compiled twice, versions with known holes.

mod commands;
mod dependencies;
mod links;
mod sources;

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, ensure};

/// Runs every check and reports all findings at once.
pub(crate) fn tidy() -> anyhow::Result<()> {
    let tree = Tree::of_git()?;
    let mut findings = Vec::new();
    findings.extend(links::check(&tree)?);
    findings.extend(commands::check(&tree)?);
    findings.extend(sources::check(&tree)?);
    findings.extend(dependencies::check(&tree)?);
    for finding in &findings {
        eprintln!("{finding}");
    }
    ensure!(findings.is_empty(), "{} findings", findings.len());
    println!("tidy: {} files are in order", tree.files.len());
    Ok(())
}

/// The files that git tracks, or would.
pub(crate) struct Tree {
    root: PathBuf,
    files: Vec<PathBuf>,
}

impl Tree {
    fn of_git() -> anyhow::Result<Self> {
        // Asked of cargo now, not when this was compiled: a shared target folder may bring it from another clone.
        let package = std::env::var_os("CARGO_MANIFEST_DIR").context("run this by `cargo xtask`")?;
        let root = Path::new(&package).join("../..").canonicalize()?;
        let listed = Command::new("git")
            .args(["ls-files", "--cached", "--others", "--exclude-standard", "-z"])
            .current_dir(&root)
            .output()
            .context("cannot ask git for the files")?;
        ensure!(listed.status.success(), "git does not list the files");
        let text = String::from_utf8(listed.stdout)?;
        let files = text.split('\0').filter(|path| !path.is_empty()).map(PathBuf::from);
        let files = files.filter(|path| root.join(path).is_file()).collect();
        Ok(Self { root, files })
    }

    fn with_ending<'a>(&'a self, ending: &'a str) -> impl Iterator<Item = &'a Path> {
        self.files.iter().map(PathBuf::as_path).filter(move |path| path.to_string_lossy().ends_with(ending))
    }

    fn read(&self, path: &Path) -> anyhow::Result<String> {
        std::fs::read_to_string(self.root.join(path)).with_context(|| format!("cannot read {}", path.display()))
    }
}
