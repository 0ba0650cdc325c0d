#!/usr/bin/env bash
# The main job, for real: two organisations sign grants, denials and revocations; four validators agree on them and keep
# them in RocksDB; a full node follows; every node answers every question alike. One validator is killed in the middle of
# an import and comes back, a fifth is added, and the whole chain is audited against all nodes and offline. Everything
# happens in a temporary folder and on loopback; nothing is left running.
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
declare -A pids
import_pid=
cleanup() {
    for pid in "${pids[@]}" $import_pid; do kill -9 "$pid" 2>/dev/null || true; done
    rm -rf "$home"
}
trap cleanup EXIT

# Sixteen neighbouring ports a hundred apart at which nobody listens: HTTP from the first, the network from the second.
in_use() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }
for _ in $(seq 100); do
    http=$((20000 + RANDOM % 12000))
    taken=
    for n in $(seq 0 15); do
        if in_use $((http + n)) || in_use $((http + 100 + n)); then taken=yes && break; fi
    done
    [ -n "$taken" ] || break
done
url() { echo "http://127.0.0.1:$((http + $1))"; }

# Shows a command as a person would type it, then runs it.
run() {
    printf '$ %s\n' "$(printf '%s ' "$@" | sed "s|$bin/||g; s|$home/||g")" >&2
    "$@"
}
# The first lines of a long answer, and how many there are.
few() { awk 'NR <= 8 { print } END { if (NR > 8) print "... (" NR " lines)" }'; }
# start N HOME: runs a node in the background.
start() {
    "$writ_node" run --home "$2" >/dev/null 2>>"$home/node$1.log" &
    pids[$1]=$!
}
# Waits until a node answers from all that it knows to exist.
ready() {
    for _ in $(seq 600); do
        if curl -sf "$(url "$1")/readyz" >/dev/null; then return; fi
        kill -0 "${pids[$1]}" 2>/dev/null || { tail -n 20 "$home/node$1.log" >&2; fail "node $1 did not start"; }
        sleep 0.1
    done
    fail "node $1 is not ready"
}
nodes=()
name_nodes() { nodes=(); for n in "${!pids[@]}"; do nodes+=(--node "$(url "$n")"); done; }
# How far the log is at node 0: what others are asked to wait for.
position() { "$writ" status --node "$(url 0)" --json | sed -n 's/.*"position":"\([^"]*\)".*/\1/p'; }
# expect granted|denied ARGS...: asks every node, shows the answer, and fails if one gives another.
checks=0
expect() {
    local want=$1 got n at
    shift
    printf '$ writ check %s\n' "$*" >&2
    at=$(position)
    for n in "${!pids[@]}"; do
        got=$("$writ" check --node "$(url "$n")" --at-least "$at" "$@" || true)
        [ "$(printf '%s\n' "$got" | head -n 1)" = "$want" ] || fail "node $n says: $got; expected $want"
        checks=$((checks + 1))
    done
    printf '%s (all %s nodes)\n' "$want" "${#pids[@]}"
}

say "2. Two organisations make their keys; a chain of four validators is made that knows what each may speak of"
run "$writ" key new --out "$home/org1.key"
run "$writ" key new --out "$home/org2.key"
run "$writ_node" init --home "$home/chain" --chain demo.example/main --validators 4 --listen "127.0.0.1:$http" \
    --authority "org1=$home/org1.key.pub" --scope org1=scripts/demo/org1.scope.json \
    --authority "org2=$home/org2.key.pub" --scope org2=scripts/demo/org2.scope.json
for n in 0 1 2 3; do start "$n" "$home/chain/node$n"; done
for n in 0 1 2 3; do ready "$n"; done

say "3. A full node joins with the genesis and one peer"
peer=$("$writ_node" id --home "$home/chain/node2")
run "$writ_node" join --home "$home/full" --genesis "$(url 0)" --peer "$peer" \
    --listen "127.0.0.1:$((http + 4))" --network-listen "/ip4/127.0.0.1/tcp/$((http + 108))"
start 4 "$home/full"
ready 4
name_nodes
run "$writ" status "${nodes[@]}"
# The first organisation submits to a validator, the second to the full node.
org1=("$writ" --key "$home/org1.key" --node "$(url 0)")
org2=("$writ" --key "$home/org2.key" --node "$(url 4)")
export WRIT_NODE
WRIT_NODE=$(url 0)

say "4. They bring their histories: people, roles, machines, scheduled and temporary access"
cp scripts/demo/org1.csv scripts/demo/org2.csv "$home/"
run "${org1[@]}" import "$home/org1.csv"
run "${org2[@]}" import "$home/org2.csv"

say "5. Resource servers ask, each another node"
expect granted --sub org1/sami.rossi --obj file:org1/drawings/press-01 --act read
expect granted --sub org1/sami.rossi --obj file:org1/handbook/safety --act read
expect denied --sub org1/sami.rossi --obj file:org1/drawings/prototype/x1 --act read
expect denied --sub org1/priya.garcia --obj machine:org1/press-01 --act operate
expect granted --sub org2/priya.garcia --obj machine:org1/crane-09 --act service
expect denied --sub org2/priya.garcia --obj machine:org1/crane-09 --act operate
echo "(the same question, with every reason)"
run "$writ" check --sub org1/sami.rossi --obj file:org1/handbook/safety --act read --explain

say "6. Nobody speaks beyond their scope"
if "${org2[@]}" grant --sub org2/bram.costa --obj file:org1/drawings/press-01 --act read; then
    fail "org2 granted what is org1's"
fi

say "7. Two overlapping grants: ending one does not end access; a denial beats both, and can be lifted"
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

say "8. The same questions about many names, what a statement would change, and what did change"
run "$writ" who-can --obj file:org1/handbook/safety --act read | few
run "$writ" what-can --sub org1/sami.rossi --type file
run "${org1[@]}" deny --sub org1/sami.rossi --obj 'file:org1/handbook/*' --dry-run
expect granted --sub org1/sami.rossi --obj file:org1/handbook/safety --act read
run "$writ" history --sub org1/visitor --obj file:org1/handbook/safety
run "$writ" diff --from 3 | few
run "$writ" expiring --within 14d | few

say "9. The tuple of the original idea, as it is"
cat >"$home/seed.jsonl" <<'JSON'
{"sub":"1234-org2","obj":"file.dat","access":"granted","iss":"tomorrow","exp":"tomorrow+1","issuingAuth":"org1","added":"now"}
JSON
cat "$home/seed.jsonl"
run "${org1[@]}" import "$home/seed.jsonl"
expect denied --sub 1234-org2 --obj file.dat
expect granted --sub 1234-org2 --obj file.dat --at tomorrow
expect denied --sub 1234-org2 --obj file.dat --at tomorrow+1
run "$writ" log --sub 1234-org2 --json

say "10. A validator is killed in the middle of an import; the others go on, and it comes back"
{ echo "sub,obj,act"; for n in $(seq 20000); do echo "user:org1/load-$n,file:org1/projects/load/$n,read"; done; } >"$home/load.csv"
"${org1[@]}" import "$home/load.csv" >"$home/load.out" 2>&1 &
import_pid=$!
# Until the first of its rows are in the log, and the last are not.
for _ in $(seq 500); do
    [ -z "$("$writ" log --sub org1/load-1 --json)" ] || break
    sleep 0.01
done
kill -9 "${pids[1]}"
wait "${pids[1]}" 2>/dev/null || true
unset 'pids[1]'
echo "validator 1 is killed with SIGKILL"
wait "$import_pid" || fail "the import did not survive: $(tail -n 3 "$home/load.out")"
import_pid=
cat "$home/load.out"
expect granted --sub org1/load-1 --obj file:org1/projects/load/1 --act read
expect granted --sub org1/load-20000 --obj file:org1/projects/load/20000 --act read
start 1 "$home/chain/node1"
ready 1
echo "validator 1 is back"
expect granted --sub org1/load-20000 --obj file:org1/projects/load/20000 --act read

say "11. A fifth validator joins: a full node first, then both organisations sign it in"
run "$writ_node" join --home "$home/fifth" --genesis "$(url 0)" --peer "$peer" --name fifth \
    --listen "127.0.0.1:$((http + 5))" --network-listen "/ip4/127.0.0.1/tcp/$((http + 110))"
start 5 "$home/fifth"
ready 5
run "${org1[@]}" validator add --validator "$home/fifth/validator.json" --out "$home/add.record"
run "$writ" sign "$home/add.record" --key "$home/org2.key"
run "${org1[@]}" submit "$home/add.record"
run "${org1[@]}" grant --sub org1/fifth --obj file:org1/handbook/safety --act read
run "$writ" validator list
expect granted --sub org1/fifth --obj file:org1/handbook/safety --act read

history=${WRIT_HISTORY:-}
if [ -n "$history" ]; then
    say "12. The real access history of a large project: ten years of grants and withdrawals"
    tr -d '\r' <"$history" | awk -F, 'NR == 1 { print "sub,obj,access"; next } { print $3 ",file:org1/" $4 "," ($2 == "grant" ? "granted" : "revoked") }' \
        >"$home/history.csv"
    run "${org1[@]}" import "$home/history.csv"
fi

say "13. Every node has the same log: heights, roots and commit leaves are compared"
at=$(position)
for n in "${!pids[@]}"; do
    "$writ" check --node "$(url "$n")" --at-least "$at" --sub org1/fifth --obj file:org1/handbook/safety --act read >/dev/null
done
name_nodes
run "$writ" status "${nodes[@]}"

say "14. The validators cosign what they executed: a note that transparency-log tools open"
sleep 1
run curl -sf "$(url 4)/checkpoint"

say "15. An auditor checks everything against all nodes, trusting none of them; then from a file alone"
run "$writ" audit --genesis "$home/chain/node0/genesis.json" "${nodes[@]}"
run "$writ" export --out "$home/chain.export"
run "$writ" audit --file "$home/chain.export" --genesis "$home/chain/node0/genesis.json"
cp "$home/chain.export" "$home/forged.export"
middle=$(($(wc -c <"$home/forged.export") / 2))
# Another one than is there, whatever that is.
byte=$(od -An -tu1 -j "$middle" -N 1 "$home/forged.export")
printf "\\x$(printf '%02x' $(((byte + 1) % 256)))" | dd of="$home/forged.export" bs=1 seek="$middle" conv=notrunc status=none
echo "(one byte in the middle of a copy is changed)"
if run "$writ" audit --file "$home/forged.export" --genesis "$home/chain/node0/genesis.json"; then
    fail "the audit accepted a forged export"
fi

say "16. The nodes stop; each store is derived again from the log and compared"
for pid in "${pids[@]}"; do kill "$pid"; done
for pid in "${pids[@]}"; do wait "$pid" || true; done
pids=()
for made in "$home"/chain/node? "$home/full" "$home/fifth"; do
    printf '%s: ' "${made##*/}"
    "$writ_node" check --home "$made"
done

say "Shown: four validators and a full node, two organisations, signed histories, $checks answers as expected, a refusal out
of scope, revocation and denial, a scheduled grant, SIGKILL of a validator in the middle of an import and its return, a fifth
validator, equal roots on six nodes, a cosigned checkpoint, an audit against all nodes and offline, a forgery found, clean stores."
