"""Reproduces the golden files: the bytes of every example that the project's own tests are held to.

Run as a program, it compares all of them, and then refuses every change of one byte in the example's export.
"""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Callable
from pathlib import Path

import chain
import checkpoint
import codec
import genesis
import keys
import names
import records
import tree
from codec import Reader, tag, tagged_hash
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from governing import Governing
from ledger import ACCEPTED, CODES

FOLDER = Path(__file__).resolve().parents[2] / "proto" / "tests" / "golden"
ZERO = bytes(32)


def load(name: str) -> dict[str, bytes]:
    """The values of a golden file: `name = hex`, which may go on in indented lines."""
    found: dict[str, str] = {}
    current = ""
    for line in (FOLDER / name).read_text().splitlines():
        head = re.fullmatch(r"(\S+) =(.*)", line)
        if head:
            current = head[1]
            found[current] = head[2].strip()
        elif line.startswith("  "):
            found[current] += line.strip()
    return {name: bytes.fromhex(digits) for name, digits in found.items()}


class Tally:
    """Compares, and counts."""

    def __init__(self) -> None:
        self.compared = 0

    def same(self, what: str, found: object, expected: object) -> None:
        self.compared += 1
        if found != expected:
            sys.exit(f"{what}: {expected!r} expected, found {found!r}")


def check_codec(tally: Tally) -> None:
    golden = load("codec.txt")
    reads: dict[str, tuple[Callable[[Reader], object], object]] = {
        "u8-7": (lambda r: r.u8(), 7),
        "u16-0x0102": (lambda r: r.u16(), 0x0102),
        "u32-0x01020304": (lambda r: r.u32(), 0x01020304),
        "u64-0x0102030405060708": (lambda r: r.u64(), 0x0102030405060708),
        "no": (lambda r: r.bool(), False),
        "yes": (lambda r: r.bool(), True),
        "text-abc": (lambda r: r.text(3), "abc"),
        "text-empty": (lambda r: r.text(3), ""),
        "list-of-u16-1-2": (lambda r: r.list(r.u16, 0, 2), [1, 2]),
        "optional-u64-none": (lambda r: r.optional(r.u64), None),
        "optional-u64-7": (lambda r: r.optional(r.u64), 7),
        "choice-granted": (lambda r: r.choice(2), records.GRANTED),
        "choice-denied": (lambda r: r.choice(2), records.DENIED),
        "bytes-0a0b": (lambda r: r.blob(2), b"\x0a\x0b"),
        "digest": (lambda r: r.digest(), b"\xd1" * 32),
        "time-2026-11-22T00:00:00Z": (lambda r: names.format_time(r.time()), "2026-11-22T00:00:00Z"),
    }
    tally.same("the values in codec.txt", sorted(golden), sorted(reads))
    for name, (read, expected) in reads.items():
        reader = Reader(golden[name])
        tally.same(name, read(reader), expected)
        reader.end()


def check_hashes(tally: Tally) -> None:
    for name, value in load("domains.txt").items():
        domain, kind = name.split(".")
        if kind == "tag":
            text = value[:-1].decode("ascii")
            tally.same(name, tag(text), value)
            tally.same(domain, tagged_hash(text, b"abc"), load("domains.txt")[f"{domain}.hash-of-abc"])


def check_keys(tally: Tally) -> None:
    golden = load("keys.txt")
    for seed in {name.split(".")[0] for name in golden}:
        key = golden[f"{seed}.public"]
        tally.same(f"{seed}.key-id", keys.key_id(key), golden[f"{seed}.key-id"])
        tally.same(seed, keys.is_admitted(key, golden[f"{seed}.possession-in-a-genesis"], ZERO), True)
        tally.same(seed, keys.is_admitted(key, golden[f"{seed}.possession-on-chain-c1c1c1"], b"\xc1" * 32), True)
        tally.same(seed, keys.is_admitted(key, golden[f"{seed}.possession-in-a-genesis"], b"\xc1" * 32), False)
    votes, voter = load("vote.txt"), golden["seed-100.public"]
    for name in ("prevote", "prevote-nil", "precommit", "precommit-nil"):
        signed = votes[f"{name}.signed-bytes"]
        tally.same(name, signed[len(tag("writ/vote/v1")) + 32 :], votes[name])
        tally.same(name, keys.is_signature(voter, votes[f"{name}.signature"], signed), True)


def check_records(tally: Tally) -> None:
    kinds = ("access", "revoke", "validator", "parameter", "set", "signatures")
    for file in (f"record-{kind}.txt" for kind in kinds):
        golden = load(file)
        for name in (name for name in golden if f"{name}.id" in golden):
            record = records.decode(golden[name])
            tally.same(f"{file}: {name}", record.id, golden[f"{name}.id"])


def check_log(tally: Tally) -> None:
    golden = load("log.txt")
    log = tree.Tree()
    tally.same("root-at-0", log.root(), golden["root-at-0"])
    for name in (name for name in golden if f"{name}.leaf-hash" in golden):
        leaf = tree.leaf_hash(golden[name])
        tally.same(name, leaf, golden[f"{name}.leaf-hash"])
        log.append(leaf)
        tally.same(f"root-at-{log.size}", log.root(), golden[f"root-at-{log.size}"])
    blocks, results = load("block.txt"), load("result.txt")
    for height in ("1", "2"):
        header = blocks[f"{height}.header"]
        tally.same("block hash", tagged_hash("writ/block/v1", header), blocks[f"{height}.hash"])
        executed = results[f"{height}.executed"]
        tally.same("result", tagged_hash("writ/result/v1", executed), results[f"{height}.hash"])
        commit_leaf = tag("commit/writ/v1") + codec.u16(1) + header + executed
        tally.same("commit leaf", commit_leaf, load("commit-leaf.txt")[f"{height}.leaf"])

    outcomes = load("outcomes.txt")
    for code, name in {ACCEPTED: "accepted", **CODES}.items():
        tally.same(name, codec.u16(code), outcomes[name])
    tally.same("root-of-accepted", tree.root_of([codec.u16(ACCEPTED)]), outcomes["root-of-accepted"])


def check_genesis(tally: Tally) -> None:
    golden = load("genesis.txt")
    for name in ("validators-1", "validators-4"):
        read = genesis.decode(golden[name])
        tally.same(name, read.chain_id, golden[f"{name}.chain-id"])
        tally.same(name, Governing(read).validators_hash(), golden[f"{name}.validators-hash"])
    tally.same("genesis.json", genesis.encoding_of((FOLDER / "genesis.json").read_bytes()), golden["validators-1"])


def check_checkpoints(tally: Tally) -> None:
    golden, origin, root = load("checkpoint.txt"), "ledger.example/test", b"\xd1" * 32
    text = checkpoint.body(origin, 70_000, root)
    tally.same("body", text.encode(), golden["body"])
    tally.same("cosigned", checkpoint.cosigned(1_795_305_600, text).encode(), golden["cosigned-by-validator0"])
    validators, signed = [], []
    for n in range(4):
        name, private = f"validator{n}", Ed25519PrivateKey.from_private_bytes(bytes([200 + n]) * 32)
        key = private.public_key().public_bytes_raw()
        full, time = f"{origin}/{name}", 1_795_305_600 + n
        validators.append((name, key))
        for use, of, kind in (("log", origin, checkpoint.LOG), ("cosigner", full, checkpoint.COSIGNER)):
            tally.same(f"{name}: {use}", checkpoint.note_key_id(of, kind, key), golden[f"{name}.{use}-key-id"])
            tally.same(f"{name}: {use}", checkpoint.vkey(of, kind, key).encode(), golden[f"{name}.{use}-vkey"])
        # Ed25519 signs alike everywhere.
        signatures = (private.sign(text.encode()), private.sign(checkpoint.cosigned(time, text).encode()))
        wire = checkpoint.Wire(golden[f"{name}.wire"])
        said = (wire.height, wire.size, wire.root, wire.time, wire.log_signature, wire.cosignature)
        tally.same(f"{name}: wire", said, (9, 70_000, root, time, *signatures))
        tally.same(f"{name}: wire", (wire.is_of(origin, key), wire.is_of(origin + "x", key)), (True, False))
        signed.append((name, key, signatures[0], time, signatures[1]))
    tally.same("note", checkpoint.note(origin, 70_000, root, signed[:3]).encode(), golden["note"])
    tally.same("policy", checkpoint.policy(origin, validators).encode(), golden["policy"])


def check_export(tally: Tally) -> None:
    golden = load("export.txt")
    file = b"".join(golden[part] for part in ("header", "frame-1", "frame-2", "trailer"))
    chain_id = load("genesis.txt")["validators-1.chain-id"]
    good = chain.verify(io.BytesIO(file), chain_id)
    end = codec.u64(good.height) + codec.u64(good.log.size) + good.log.root() + good.previous
    tally.same("end", end, golden["end"])
    nothing = golden["header"] + golden["trailer-of-no-blocks"]
    tally.same("an export without blocks", chain.verify(io.BytesIO(nothing), chain_id).height, 0)
    for at in range(len(file)):
        for bits in (0x01, 0x80):
            changed = bytearray(file)
            changed[at] ^= bits
            try:
                chain.verify(io.BytesIO(changed), chain_id)
            except chain.Finding:
                tally.compared += 1
            else:
                sys.exit(f"byte {at} changed by {bits:#04x} is not noticed")


def check_changes(tally: Tally) -> None:
    golden = load("changes.txt")
    frames = [golden[name] for name in golden if name.startswith("frame-")]
    file = golden["header"] + b"".join(frames) + golden["trailer"]
    chain_id = load("genesis.txt")["validators-4.chain-id"]
    good = chain.verify(io.BytesIO(file), chain_id)
    tally.same("height", good.height, len(frames))
    tally.same("protocols", [good.ledger.governing.protocol_at(height) for height in (11, 12)], [1, 2])
    tally.same("a parameter", good.ledger.governing.parameters.clock_bound_ms, 250)
    # After each block, the validators that it leaves.
    followed = chain.Chain(good.genesis)
    for height, frame in enumerate(frames, start=1):
        followed.append(frame[8:])
        tally.same(
            f"validators after {height}",
            followed.ledger.governing.validators_hash(),
            golden[f"validators-hash-after-{height}"],
        )


def check_sets(tally: Tally) -> None:
    golden = load("sets.txt")
    frames = [golden[name] for name in golden if name.startswith("frame-")]
    file = golden["header"] + b"".join(frames) + golden["trailer"]
    good = chain.verify(io.BytesIO(file), golden["chain-id"])
    tally.same("height", good.height, len(frames))
    entries = {id_: entry for id_, entry in good.ledger.ids.items() if entry is not None and entry.member is not None}
    named = {name: value for name, value in golden.items() if ".member-" in name}
    tally.same("members", len(entries), len(named))
    for name, id_ in named.items():
        set_name, place = name.split(".member-")
        tally.same(name, records.member_id(golden[f"{set_name}.id"], int(place)), id_)
        tally.same(name, entries[id_].member, int(place))
    for at in range(len(file)):
        changed = bytearray(file)
        changed[at] ^= 0x01
        try:
            chain.verify(io.BytesIO(changed), golden["chain-id"])
        except chain.Finding:
            tally.compared += 1
        else:
            sys.exit(f"byte {at} changed is not noticed")


def main() -> None:
    tally = Tally()
    for check in (
        check_codec,
        check_hashes,
        check_keys,
        check_records,
        check_log,
        check_genesis,
        check_checkpoints,
        check_export,
        check_changes,
        check_sets,
    ):
        check(tally)
    print(f"{tally.compared} golden values and changes", file=sys.stderr)


if __name__ == "__main__":
    main()
