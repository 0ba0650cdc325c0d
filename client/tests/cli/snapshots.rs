//! What people read of `--help`, as it was looked at. `WRIT_UPDATE_SNAPSHOTS=1` writes them anew.

use std::path::PathBuf;

use crate::program::writ;

#[test]
fn help_is_as_it_was_looked_at() {
    let commands = [
        "",
        "key",
        "key new",
        "grant",
        "revoke",
        "set",
        "check",
        "who-can",
        "what-can",
        "expiring",
        "history",
        "diff",
        "entry",
        "log",
        "watch",
        "import",
        "export",
        "audit",
        "status",
        "validator",
        "validator list",
        "validator add",
        "validator remove",
        "validator replace",
        "parameter",
        "parameter show",
        "parameter set",
        "parameter activate",
        "sign",
        "combine",
        "submit",
    ];
    let mut changed = Vec::new();
    for command in commands {
        let mut arguments: Vec<&str> = command.split_whitespace().collect();
        arguments.push("--help");
        let out = writ(&arguments).expect(0).out;
        let name = if command.is_empty() { "writ".into() } else { format!("writ-{}", command.replace(' ', "-")) };
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("tests/snapshots/{name}.txt"));
        if std::env::var_os("WRIT_UPDATE_SNAPSHOTS").is_some() {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, &out).unwrap();
        }
        if std::fs::read_to_string(&path).unwrap_or_default() != out {
            changed.push(format!("{}:\n{out}", path.display()));
        }
    }
    assert!(changed.is_empty(), "changed; look at it, then WRIT_UPDATE_SNAPSHOTS=1\n{}", changed.join("\n"));
}
