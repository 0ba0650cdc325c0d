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

# A million conditions on random requests: ours against the `cel` crate, in process.
conditions cases="1000000":
    WRIT_CONDITIONS={{cases}} cargo test --release -p writ-proto --test conditions -- oracle --nocapture

# Whatever the OpenAPI document allows, and much that it does not, asked of a node by schemathesis: every answer is one that it describes.
schema examples="300": programs
    WRIT_SCHEMA_EXAMPLES={{examples}} cargo test --release -p writ-tests --test it -- outside --nocapture

# Two thousand questions and more over HTTP: a real node against the naive evaluator.
differential-http ledgers="24": programs
    WRIT_LEDGERS={{ledgers}} cargo test --release -p writ-tests --test it -- decisions --nocapture

# Kill -9 in the middle of appends, and of imports: nothing acknowledged is lost, nothing is doubled.
kill rounds="50" imports="10": programs
    WRIT_KILLS={{rounds}} WRIT_IMPORTS={{imports}} cargo test --release -p writ-tests --test it -- kill imports --nocapture

# Ten years of real access history through `writ import`, from the folder in WRIT_SHARED or `../shared`.
history: programs
    cargo test --release -p writ-tests --test it -- history --nocapture

# Four validators and a full node: killed, paused, cut off, with a wrong clock, with a full disk (root for the last three).
faults: programs
    cargo test --release -p writ-tests --test it -- harness faults --nocapture --test-threads 1

# Faults at random, one after another, under load; WRIT_SEED repeats a run.
soak steps="60": programs
    WRIT_STEPS={{steps}} cargo test --release -p writ-tests --test it -- whatever_comes --nocapture

# Power cuts of one node and of all, on disks of their own (root).
powercut cuts="20": programs
    WRIT_CUTS={{cuts}} cargo test --release -p writ-tests --test it -- powercut --nocapture --test-threads 1

# Homes rolled back, cloned and run twice: never two signatures for one step.
twins trials="200": programs
    WRIT_TWINS={{trials}} cargo test --release -p writ-node --test twins -- --nocapture
    WRIT_TWINS={{trials}} cargo test --release -p writ-tests --test it -- twins --nocapture

# One of four validators lies, in every way that is known, for so many blocks each: engines in one process, and real nodes.
byzantine blocks="50": programs
    cargo build --release --workspace --features writ-node/byzantine --example liar
    WRIT_BYZANTINE={{blocks}} cargo test --release --workspace --features writ-node/byzantine --test it -- byzantine:: --nocapture

# A validator under attack by peers that say whatever no node says: four parts of so many seconds.
hostile seconds="60": programs
    WRIT_HOSTILE_SECONDS={{seconds}} cargo test --release -p writ-tests --test it -- hostile --nocapture

# Changed exports, and changed bytes under a node: all of them are noticed.
tamper changes="5000" flips="100": programs
    WRIT_TAMPERS={{changes}} WRIT_FLIPS={{flips}} cargo test --release -p writ-tests --test it -- tamper rot --nocapture

# How fast it is, beside named baselines; writes docs/benchmarks.md.
bench *parts: programs
    cargo run --release -p writ-bench --features peers -- run --write {{parts}}

# AuthZEN beside PostgreSQL and Cerbos, which are fetched by name if they are missing; writes its section of docs/benchmarks.md.
bench-peers: programs
    scripts/peers.sh
    cargo run --release -p writ-bench --features peers -- run --write authzen

# The programs that the system's tests run.
[private]
programs:
    cargo build --release --workspace --lib --bins --examples
