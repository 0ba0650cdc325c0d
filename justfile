# The menu: `just` lists it. What needs logic is a script, a test or `cargo xtask`.

set shell := ["bash", "-euo", "pipefail", "-c"]

# List the menu.
default:
    @just --list

# What CI runs.
check:
    scripts/test.sh

# The main job, from an empty disk to an audited chain.
demo:
    scripts/demo.sh

# Format everything.
fmt:
    cargo fmt --all

# Ten million questions: decision against the naive evaluator, in process.
differential ledgers="100000":
    WRIT_LEDGERS={{ledgers}} cargo test --release -p writ-proto --test it -- differential --nocapture
