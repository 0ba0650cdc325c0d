//! The lock file: no big crate twice, and no version below one that is known to be sound.

use anyhow::Context as _;

use super::Tree;

/// Crates of which a second copy would cost minutes, or split the world into types that do not fit.
const ONCE: [&str; 12] = [
    "arc-malachitebft-app-channel",
    "axum",
    "bincode",
    "curve25519-dalek",
    "ed25519-dalek",
    "hyper",
    "libp2p",
    "librocksdb-sys",
    "rocksdb",
    "serde",
    "tokio",
    "tracing",
];

/// Advisories that no database lists or that are easily lost again, with the first sound version.
/// Crates that are not in the lock file do not matter.
const SOUND_FROM: [(&str, &str, &str); 11] = [
    ("libp2p-gossipsub", "0.49.5", "CVE-2026-33040, CVE-2026-34219, GHSA-g3g5-x568-qvqx"),
    ("yamux", "0.12.1", "0.12 is compiled but never used; 0.13 must be 0.13.10 (CVE-2026-32314, CVE-2026-31814)"),
    ("curve25519-dalek", "4.1.3", "RUSTSEC-2024-0344"),
    ("ed25519-dalek", "2.0.0", "RUSTSEC-2022-0093"),
    ("ring", "0.17.12", "RUSTSEC-2025-0009"),
    ("rustls-webpki", "0.103.13", "RUSTSEC-2026-0049, -0098, -0099, -0104"),
    ("quinn-proto", "0.11.15", "RUSTSEC-2026-0037, -0185"),
    ("h2", "0.4.16", "RUSTSEC-2026-0258"),
    ("bytes", "1.11.1", "RUSTSEC-2026-0007"),
    ("rocksdb", "0.19.0", "RUSTSEC-2022-0046"),
    ("bincode", "2.0.1", "3.0.0 is a tombstone"),
];

pub(super) fn check(tree: &Tree) -> anyhow::Result<Vec<String>> {
    let lock: toml::Table = tree.read("Cargo.lock".as_ref())?.parse().context("Cargo.lock cannot be read")?;
    let packages = lock.get("package").and_then(toml::Value::as_array).context("Cargo.lock lists no packages")?;
    let locked: Vec<(&str, &str)> = packages
        .iter()
        .filter_map(|package| Some((package.get("name")?.as_str()?, package.get("version")?.as_str()?)))
        .collect();
    let mut findings = Vec::new();
    for name in ONCE {
        let versions: Vec<&str> = locked.iter().filter(|(own, _)| *own == name).map(|(_, version)| *version).collect();
        if versions.len() > 1 {
            findings.push(format!("Cargo.lock: `{name}` is there as {}", versions.join(" and ")));
        }
    }
    for (name, sound, why) in SOUND_FROM {
        for (_, version) in locked.iter().filter(|(own, _)| *own == name) {
            let too_old = numbers(version) < numbers(sound);
            let bad_yamux = name == "yamux" && version.starts_with("0.13.") && numbers(version) < numbers("0.13.10");
            if too_old || bad_yamux {
                findings.push(format!("Cargo.lock: `{name}` {version} is older than {sound}: {why}"));
            }
        }
    }
    Ok(findings)
}

fn numbers(version: &str) -> Vec<u64> {
    let plain = version.split(['-', '+']).next().unwrap_or(version);
    plain.split('.').map(|part| part.parse().unwrap_or(0)).collect()
}
