#!/usr/bin/env bash
# Every test of the project, from a machine with Rust and apt. See README.md.
set -euo pipefail
cd "$(dirname "$0")/.."
WRIT_SETUP_FAULTS=1
. scripts/setup.sh

step() { printf '\n== %s\n' "$*"; }
log=$(mktemp)
trap 'rm -f "$log"' EXIT

step "format"
cargo fmt --all --check

step "lints"
cargo clippy --release --workspace --all-targets --locked -- -D warnings
cargo clippy --release --workspace --features writ-node/byzantine --all-targets --locked -- -D warnings

step "documentation"
# Module docs may point at private neighbours: they are read beside the code.
RUSTDOCFLAGS="-D warnings -A rustdoc::private-intra-doc-links" cargo doc --release --workspace --no-deps --locked --quiet

step "programs"
cargo build --release --workspace --locked --lib --bins --examples

step "tidy: links, commands, dependencies, advisories"
cargo xtask tidy

step "tests"
# The documentation's examples first, so that the long list ends the output.
status=0
cargo test --release --workspace --locked --doc 2>&1 | tee "$log" || status=$?
cargo test --release --workspace --locked --lib --bins --tests --no-fail-fast -- --skip byzantine:: 2>&1 | tee -a "$log" || status=$?

step "tests: validators that lie"
# Apart, so that the feature is in no program that the tests above ran: this builds a liar and tests, and no `writ-node`.
# With the whole workspace, so that the features of everything else stay what they are, and nothing else is built again.
lying=(--release --workspace --features writ-node/byzantine --locked)
cargo build "${lying[@]}" --example liar
WRIT_NO_SKIP=1 cargo test "${lying[@]}" --test it -- byzantine:: 2>&1 | tee -a "$log" || status=$?

sum() { sed -n "s/^test result: .* \([0-9]*\) $1.*/\1/p" "$log" | awk '{ total += $1 } END { print total + 0 }'; }
printf '\n%s passed, %s failed, %s skipped\n' "$(sum passed)" "$(sum failed)" "$(sum ignored)"
exit "$status"
