#!/bin/sh
# Runs libFuzzer on one target, or on each: proto/fuzz/run.sh [TARGET|all] [SECONDS]
#
# The instrumentation is a compiler flag that stable Rust has, but shows only with RUSTC_BOOTSTRAP=1. `cargo fuzz`
# does the same; this script needs nothing but cargo and a C++ compiler. The corpus starts from the seeds of the
# short runs (proto/tests/format/fuzz.rs). What libFuzzer finds interesting is added to corpus/TARGET, and what
# breaks a law is kept in artifacts/TARGET.
set -eu
cd "$(dirname "$0")"

target=${1:-all}
seconds=${2:-30}
host=$(rustc -vV | sed -n 's/^host: //p')
if [ "$target" = all ]; then
    target=$(ls fuzz_targets | sed 's/\.rs$//')
fi

WRIT_FUZZ_CORPUS="$PWD/corpus" cargo test --quiet --release --manifest-path ../Cargo.toml --features api \
    --test format every_target_has_good_bytes

# With a --target, build scripts and macros are not instrumented.
RUSTC_BOOTSTRAP=1 RUSTFLAGS="-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
-Cllvm-args=-sanitizer-coverage-trace-compares --cfg fuzzing -Zsanitizer=address -Ccodegen-units=1" \
    cargo build --release --locked --target "$host" --target-dir target --bins

for name in $target; do
    mkdir -p "artifacts/$name"
    echo "== $name for $seconds s"
    "target/$host/release/$name" "corpus/$name" -artifact_prefix="artifacts/$name/" \
        -max_total_time="$seconds" -max_len=8192 -timeout=10 -print_final_stats=1
done
