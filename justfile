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

# Two thousand questions and more over HTTP: a real node against the naive evaluator.
differential-http ledgers="24": programs
    WRIT_LEDGERS={{ledgers}} cargo test --release -p writ-tests --test it -- decisions --nocapture

# Kill -9 in the middle of appends, and of imports: nothing acknowledged is lost, nothing is doubled.
kill rounds="50" imports="10": programs
    WRIT_KILLS={{rounds}} WRIT_IMPORTS={{imports}} cargo test --release -p writ-tests --test it -- kill imports --nocapture

# Ten years of real access history through `writ import`, from the folder in WRIT_SHARED or `../shared`.
history: programs
    cargo test --release -p writ-tests --test it -- history --nocapture

# Changed exports, and changed bytes under a node: all of them are noticed.
tamper changes="5000" flips="100": programs
    WRIT_TAMPERS={{changes}} WRIT_FLIPS={{flips}} cargo test --release -p writ-tests --test it -- tamper rot --nocapture

# How fast it is, beside named baselines; writes docs/benchmarks.md.
bench *parts: programs
    cargo run --release -p writ-bench --features peers -- run --write {{parts}}

# The programs that the system's tests run.
[private]
programs:
    cargo build --release -p writ-node -p writ-client
