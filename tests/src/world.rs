//! A chain in a folder that goes away, with its authorities.

use std::path::{Path, PathBuf};

use tempfile::TempDir;
use writ_proto::genesis::Genesis;
use writ_proto::hash::Digest;
use writ_proto::scope::Scope;

use crate::issuer::Issuer;
use crate::node::Node;
use crate::process::command;
use crate::programs;

/// See the module's doc.
#[derive(Debug)]
pub struct World {
    folder: TempDir,
    chain: Digest,
    issuers: Vec<Issuer>,
}

impl World {
    /// A chain that trusts these authorities with everything.
    pub fn new(authorities: &[&str]) -> Self {
        Self::with_scopes(&authorities.iter().map(|name| (*name, None)).collect::<Vec<_>>())
    }

    /// A chain that trusts these authorities, each with its scope, or with everything.
    pub fn with_scopes(authorities: &[(&str, Option<Scope>)]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut arguments: Vec<String> =
            ["init", "--chain", "ledger.example/tests", "--home"].map(str::to_owned).into();
        arguments.push(text(&folder.path().join("chain")));
        let mut issuers = Vec::new();
        for ((name, scope), seed) in authorities.iter().zip(1..) {
            let issuer = Issuer::new(name, seed);
            let public = issuer.write_public(folder.path());
            arguments.extend(["--authority".to_owned(), format!("{name}={}", text(&public))]);
            if let Some(scope) = scope {
                let file = folder.path().join(format!("{name}.scope"));
                std::fs::write(&file, serde_json::to_string(scope).expect("a scope can be written"))
                    .expect("a temporary folder can be written to");
                arguments.extend(["--scope".to_owned(), format!("{name}={}", text(&file))]);
            }
            issuers.push(issuer);
        }
        let output = command(&programs::writ_node(), &arguments).output().expect("`writ-node init` starts");
        assert!(output.status.success(), "`writ-node init`: {}", String::from_utf8_lossy(&output.stderr));
        let mut world = Self { folder, chain: Digest::ZERO, issuers };
        world.chain = world.genesis().chain_id();
        world.issuers = world.issuers.iter().map(|issuer| issuer.on_chain(world.chain)).collect();
        world
    }

    /// The home of its one node.
    pub fn home(&self) -> PathBuf {
        self.folder.path().join("chain").join("node0")
    }

    /// A folder for other files.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Starts its node.
    pub fn run(&self) -> Node {
        Node::run(&self.home())
    }

    /// The chain id.
    pub fn chain(&self) -> Digest {
        self.chain
    }

    /// Where the chain starts.
    pub fn genesis(&self) -> Genesis {
        let text = std::fs::read_to_string(self.home().join("genesis.json")).expect("a home has its genesis");
        serde_json::from_str(&text).expect("the genesis can be read")
    }

    /// The authority of this name.
    pub fn issuer(&self, name: &str) -> &Issuer {
        let found = self.issuers.iter().find(|issuer| issuer.name().as_str() == name);
        found.unwrap_or_else(|| panic!("no authority `{name}` here"))
    }
}

/// A path as text.
pub fn text(path: &Path) -> String {
    path.to_str().expect("temporary folders have plain names").to_owned()
}
