//! Where the programs under test are: beside the test binary's folder, where cargo built them.

use std::path::PathBuf;

use crate::skip::Missing;

/// The node.
pub fn writ_node() -> PathBuf {
    program("writ-node")
}

/// A newer build of the node, which speaks the next version of the protocol.
pub fn next_node() -> PathBuf {
    program("examples/next-build")
}

/// A node that lies. It is built apart, with a feature that no other program has.
pub fn liar() -> Result<PathBuf, Missing> {
    let how = "cargo build --release --workspace --features writ-node/byzantine --example liar";
    find("examples/liar").map_err(|folder| Missing(format!("there is no liar in `{folder}`: `{how}` builds it")))
}

/// A peer that says whatever no node says.
pub fn hostile() -> PathBuf {
    program("examples/hostile")
}

/// The client.
pub fn writ() -> PathBuf {
    program("writ")
}

/// The way into another network, of this package.
pub fn door() -> PathBuf {
    program("door")
}

fn program(name: &str) -> PathBuf {
    find(name).unwrap_or_else(|folder| {
        panic!("no program `{name}` in `{folder}`: build the programs first, with `cargo build --release`")
    })
}

/// The program, or the folder in which there is none.
fn find(name: &str) -> Result<PathBuf, String> {
    let test = std::env::current_exe().expect("a test knows where it is");
    // The test is `TARGET/release/deps/it-...`, the program `TARGET/release/writ`.
    let found = test.ancestors().skip(1).take(2).map(|folder| folder.join(name)).find(|path| path.is_file());
    found.ok_or_else(|| test.ancestors().nth(2).unwrap_or(&test).display().to_string())
}

/// The workspace, where scripts and data outside it are looked for.
pub fn workspace() -> PathBuf {
    let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    here.parent().map(PathBuf::from).unwrap_or(here)
}
