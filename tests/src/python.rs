//! Python programs of the tests, each kit in an environment of its own below cargo's target folder: the verifier in
//! `tests/verifier`, and programs of others that `tests/outside` uses.
//!
//! An environment holds what the kit's `requirements.txt` pins, hashes included, and nothing else; it is made once, when
//! it is first needed, from PyPI (or from wherever this machine's pip is told to look). `WRIT_PYTHON` names an
//! interpreter to use instead, on a machine without a network. A test without it fails: nothing is skipped.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::{Mutex, PoisonError};

use writ_proto::hash::Digest;

use crate::process::command;
use crate::programs::workspace;

/// Tells one Python from another, and refuses one that is too old.
const WHICH: &str = "import sys
if sys.version_info < (3, 11):
    sys.exit('Python 3.11 or later is needed, this is ' + sys.version)
print(sys.version, sys.executable)";

/// Programs with the packages that they need.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kit {
    /// The second verifier.
    Verifier,
    /// Programs of others that must understand a node.
    Outside,
}

/// Runs a program of the verifier to its end, with this standard input.
pub fn run(program: &str, arguments: &[String], input: &str) -> Output {
    run_of(Kit::Verifier, &[&[text(&Kit::Verifier.folder().join(program))], arguments].concat(), input)
}

/// Runs Python with these arguments, and the packages of `kit`, to its end, with this standard input.
pub fn run_of(kit: Kit, arguments: &[String], input: &str) -> Output {
    let mut command = command(&kit.interpreter(), arguments);
    // Some leave files where they stand.
    let folder = tempfile::tempdir().expect("a folder can be made");
    command.current_dir(folder.path());
    // No folder of compiled modules in the source tree.
    command.env("PYTHONDONTWRITEBYTECODE", "1").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
    let mut pipe = child.stdin.take().expect("stdin is a pipe");
    let input = input.to_owned();
    // From a thread: the program answers while it reads. It may end without reading all.
    let writer = std::thread::spawn(move || pipe.write_all(input.as_bytes()));
    let output = child.wait_with_output().expect("a child can be waited for");
    let _ = writer.join();
    output
}

impl Kit {
    /// Where its programs lie.
    pub fn folder(self) -> PathBuf {
        workspace().join("tests").join(self.name())
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Verifier => "verifier",
            Self::Outside => "outside",
        }
    }

    /// The interpreter, with what the kit needs. Panics with the way out if there is none.
    fn interpreter(self) -> PathBuf {
        static FOUND: Mutex<BTreeMap<Kit, PathBuf>> = Mutex::new(BTreeMap::new());
        let mut found = FOUND.lock().unwrap_or_else(PoisonError::into_inner);
        let found = found.entry(self).or_insert_with(|| match std::env::var_os("WRIT_PYTHON") {
            Some(path) => PathBuf::from(path),
            None => self.environment(),
        });
        found.clone()
    }

    /// The environment for just these requirements and this Python, made if it is not there.
    fn environment(self) -> PathBuf {
        let requirements = self.folder().join("requirements.txt");
        let pinned = std::fs::read(&requirements).unwrap_or_else(|error| panic!("{}: {error}", requirements.display()));
        let base =
            of_python(&["-c", WHICH], "scripts/setup.sh installs it; an older one may stand before it on the PATH");
        let mark = Digest::of(&[&pinned, &base]).to_string();
        let test = std::env::current_exe().expect("a test knows where it is");
        // The test is `TARGET/release/deps/it-...`.
        let target = test.ancestors().nth(2).expect("a test lies in a target folder");
        let home = target.join(format!("{}-{}", self.name(), &mark[..16]));
        let python = home.join("bin").join("python");
        if python.is_file() {
            return python;
        }
        // Made beside its place and then renamed, so that a half-made one is never used and two at once do no harm.
        println!("making {}", home.display());
        let made = tempfile::Builder::new().prefix("python-in-the-making").tempdir_in(target);
        let made = made.unwrap_or_else(|error| panic!("cannot write to `{}`: {error}", target.display()));
        of_python(
            &["-m", "venv", &text(made.path())],
            "scripts/setup.sh installs python3-venv, which makes environments",
        );
        let install =
            ["-m", "pip", "install", "--quiet", "--require-hashes", "--only-binary", ":all:", "--requirement"];
        let mut pip = Command::new(made.path().join("bin").join("python"));
        pip.args(install).arg(&requirements);
        expect(pip, "it needs PyPI once; without a network, name a Python with these packages in WRIT_PYTHON");
        // Somebody else may have been faster: theirs is as good.
        if let Err(error) = std::fs::rename(made.path(), &home) {
            assert!(python.is_file(), "cannot make `{}`: {error}", home.display());
        }
        python
    }
}

fn of_python(arguments: &[&str], hint: &str) -> Vec<u8> {
    let mut python = Command::new("python3");
    python.args(arguments);
    expect(python, hint)
}

/// Standard output of a command that must succeed.
fn expect(mut command: Command, hint: &str) -> Vec<u8> {
    let output = command.output().unwrap_or_else(|error| panic!("cannot start {command:?}: {error} (hint: {hint})"));
    let said = String::from_utf8_lossy(&output.stderr);
    let more = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{command:?} fails (hint: {hint})\n{more}{said}");
    output.stdout
}

fn text(path: &Path) -> String {
    path.to_str().expect("the workspace and the target folder have plain names").to_owned()
}
