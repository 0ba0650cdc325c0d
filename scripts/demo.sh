#!/usr/bin/env bash
# The main job, for real: two organisations sign grants, denials and revocations, one validator agrees on them
# and keeps them in RocksDB, questions are answered, the node is killed and comes back, and the whole chain is
# audited offline. Everything happens in a temporary folder and on loopback; nothing is left running.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/setup.sh

say() { printf '\n== %s\n' "$*"; }
fail() { printf 'error: %s\n' "$*" >&2; exit 1; }

say "1. Build"
cargo build --release --locked --package writ-node --package writ-client
bin="${CARGO_TARGET_DIR:-target}/release"
bin="$(cd "$bin" && pwd)"
writ_node="$bin/writ-node"
writ="$bin/writ"

home=$(mktemp -d)
org1=("$writ" --key "$home/org1.key")
org2=("$writ" --key "$home/org2.key")
node_pid=
import_pid=
cleanup() {
    for pid in $node_pid $import_pid; do kill -9 "$pid" 2>/dev/null || true; done
    rm -rf "$home"
}
trap cleanup EXIT

# Shows a command as a person would type it, then runs it.
run() {
    printf '$ %s\n' "$(printf '%s ' "$@" | sed "s|$bin/||g; s|$home/||g")" >&2
    "$@"
}
# The first lines of a long answer, and how many there are.
few() { awk 'NR <= 8 { print } END { if (NR > 8) print "... (" NR " lines)" }'; }
# Starts the node and waits until it says where it listens.
start() {
    "$writ_node" run --home "$home/chain/node0" --listen "127.0.0.1:${port:-0}" >"$home/url" 2>>"$home/node.log" &
    node_pid=$!
    for _ in $(seq 300); do
        WRIT_NODE=$(head -n 1 "$home/url")
        [ -z "$WRIT_NODE" ] || break
        kill -0 "$node_pid" 2>/dev/null || { cat "$home/node.log" >&2; fail "the node did not start"; }
        sleep 0.1
    done
    [ -n "$WRIT_NODE" ] || fail "the node did not say where it listens"
    export WRIT_NODE
    port=${WRIT_NODE##*:}
}
# expect granted|denied ARGS...: asks, shows the answer, and fails if it is another.
checks=0
expect() {
    local want=$1 got
    shift
    printf '$ writ check %s\n' "$*" >&2
    got=$("$writ" check "$@" || true)
    printf '%s\n' "$got" | head -n 2
    [ "$(printf '%s\n' "$got" | head -n 1)" = "$want" ] || fail "expected $want"
    checks=$((checks + 1))
}

say "2. Two organisations make their keys; a chain is made that knows what each may speak of"
run "$writ" key new --out "$home/org1.key"
run "$writ" key new --out "$home/org2.key"
run "$writ_node" init --home "$home/chain" --chain demo.example/main \
    --authority "org1=$home/org1.key.pub" --scope org1=scripts/demo/org1.scope.json \
    --authority "org2=$home/org2.key.pub" --scope org2=scripts/demo/org2.scope.json >/dev/null
start
run "$writ" status

say "3. They bring their histories: people, roles, machines, scheduled and temporary access"
cp scripts/demo/org1.csv scripts/demo/org2.csv "$home/"
run "${org1[@]}" import "$home/org1.csv"
run "${org2[@]}" import "$home/org2.csv"

say "4. Resource servers ask"
expect granted --sub org1/sami.rossi --obj file:org1/drawings/press-01 --act read
expect granted --sub org1/sami.rossi --obj file:org1/handbook/safety --act read
expect denied --sub org1/sami.rossi --obj file:org1/drawings/prototype/x1 --act read
expect denied --sub org1/priya.garcia --obj machine:org1/press-01 --act operate
expect granted --sub org2/priya.garcia --obj machine:org1/crane-09 --act service
expect denied --sub org2/priya.garcia --obj machine:org1/crane-09 --act operate
echo "(the same question, with every reason)"
run "$writ" check --sub org1/sami.rossi --obj file:org1/handbook/safety --act read --explain

say "5. Nobody speaks beyond their scope"
if "${org2[@]}" grant --sub org2/bram.costa --obj file:org1/drawings/press-01 --act read; then
    fail "org2 granted what is org1's"
fi

say "6. Two overlapping grants: ending one does not end access; a denial beats both, and can be lifted"
first=$("${org1[@]}" grant --sub org1/visitor --obj file:org1/handbook/safety --act read --for 8h)
second=$("${org1[@]}" grant --sub org1/visitor --obj 'file:org1/handbook/*' --act read --for 1d)
run "${org1[@]}" revoke "$first"
expect granted --sub org1/visitor --obj file:org1/handbook/safety --act read
denial=$("${org1[@]}" deny --sub org1/visitor --obj 'file:org1/*' --ref INCIDENT-7)
expect denied --sub org1/visitor --obj file:org1/handbook/safety --act read
run "${org1[@]}" revoke "$denial"
expect granted --sub org1/visitor --obj file:org1/handbook/safety --act read
run "${org1[@]}" revoke "$second"
expect denied --sub org1/visitor --obj file:org1/handbook/safety --act read

say "7. The same questions about many names, what a statement would change, and what did change"
run "$writ" who-can --obj file:org1/handbook/safety --act read | few
run "$writ" what-can --sub org1/sami.rossi --type file
run "${org1[@]}" deny --sub org1/sami.rossi --obj 'file:org1/handbook/*' --dry-run
expect granted --sub org1/sami.rossi --obj file:org1/handbook/safety --act read
run "$writ" history --sub org1/visitor --obj file:org1/handbook/safety
run "$writ" diff --from 3 | few
run "$writ" expiring --within 14d | few

say "8. The tuple of the original idea, as it is"
cat >"$home/seed.jsonl" <<'JSON'
{"sub":"1234-org2","obj":"file.dat","access":"granted","iss":"tomorrow","exp":"tomorrow+1","issuingAuth":"org1","added":"now"}
JSON
cat "$home/seed.jsonl"
run "${org1[@]}" import "$home/seed.jsonl"
expect denied --sub 1234-org2 --obj file.dat
expect granted --sub 1234-org2 --obj file.dat --at tomorrow
expect denied --sub 1234-org2 --obj file.dat --at tomorrow+1
run "$writ" log --sub 1234-org2 --json

say "9. Node and import are killed in the middle, the node comes back, the import is run again"
{ echo "sub,obj,act"; for n in $(seq 20000); do echo "user:org1/load-$n,file:org1/projects/load/$n,read"; done; } >"$home/load.csv"
"${org1[@]}" import "$home/load.csv" >"$home/load.out" 2>&1 &
import_pid=$!
# Until the first of its rows are in the log, and the last are not.
for _ in $(seq 500); do
    [ -z "$("$writ" log --sub org1/load-1 --json)" ] || break
    sleep 0.01
done
kill -9 "$node_pid" "$import_pid" 2>/dev/null || true
wait "$node_pid" "$import_pid" 2>/dev/null || true
node_pid=
import_pid=
echo "killed both with SIGKILL"
start
run "${org1[@]}" import "$home/load.csv"
expect granted --sub org1/load-1 --obj file:org1/projects/load/1 --act read
expect granted --sub org1/load-20000 --obj file:org1/projects/load/20000 --act read

history=../shared/data/access-history/events.csv
if [ -f "$history" ]; then
    say "10. The real access history of a large project: ten years of grants and withdrawals"
    tr -d '\r' <"$history" | awk -F, 'NR == 1 { print "sub,obj,access"; next } { print $3 ",file:org1/" $4 "," ($2 == "grant" ? "granted" : "revoked") }' \
        >"$home/history.csv"
    run "${org1[@]}" import "$home/history.csv"
else
    say "10. (The real access history is not on this machine; skipped.)"
fi

say "11. An auditor takes an export and checks everything, trusting no node"
run "$writ" export --out "$home/chain.export"
run "$writ" audit --file "$home/chain.export" --genesis "$home/chain/node0/genesis.json"
cp "$home/chain.export" "$home/forged.export"
size=$(wc -c <"$home/forged.export")
printf 'x' | dd of="$home/forged.export" bs=1 seek=$((size / 2)) conv=notrunc status=none
echo "(one byte in the middle of a copy is changed)"
if run "$writ" audit --file "$home/forged.export" --genesis "$home/chain/node0/genesis.json"; then
    fail "the audit accepted a forged export"
fi

say "12. The node stops; its store is derived again from the log and compared"
kill "$node_pid"
wait "$node_pid" || true
node_pid=
run "$writ_node" check --home "$home/chain/node0"

say "Shown: two organisations, signed histories, $checks decisions as expected, a refusal out of scope, revocation and
denial, a scheduled grant, SIGKILL and an import resumed, an offline audit, a forgery found, a clean store."
