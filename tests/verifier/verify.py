#!/usr/bin/env python3
"""Verifies exports of a Writ chain, and answers questions from them: an implementation of docs/format.md that shares
nothing with the project's programs.

    verify.py EXPORT... [--genesis FILE | --chain ID]        verify
    verify.py EXPORT --sub S --obj O [--act A] [--at T] [--height H]
    verify.py EXPORT --questions < QUESTIONS                 JSON lines in, JSON lines out

Exit code: 0 good, or granted; 1 something does not hold; 2 misused; 3 denied.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import genesis
from chain import Chain, Finding, verify
from codec import Malformed
from decision import Answer, Entries, Question
from keys import is_library_fit
from names import format_time, is_action, is_name, parse_time

GOOD, FAILED, MISUSED, DENIED = 0, 1, 2, 3


class Misused(Exception):
    """What was asked for is no question."""


def main(arguments: list[str]) -> int:
    args = parser().parse_args(arguments)
    if not is_library_fit():
        print("error: this `cryptography` accepts signatures that are not valid here", file=sys.stderr)
        return FAILED
    try:
        chain_id = expected_chain(args)
        asks = args.sub is not None or args.obj is not None
        if (asks or args.questions) and len(args.exports) != 1:
            raise Misused("questions are about one export")
        if asks and (args.sub is None or args.obj is None):
            raise Misused("a question has --sub and --obj")
        if not asks and (args.act, args.at, args.height) != (None, None, None):
            raise Misused("--act, --at and --height belong to a question with --sub and --obj")
        chain = None
        for export in args.exports:
            chain = verify_one(export, chain_id, args) or chain
        if chain is None or args.failed:
            return FAILED
        if args.questions:
            return answer_lines(chain)
        if asks:
            return answer_one(chain, args)
    except Misused as error:
        print(f"error: {error}", file=sys.stderr)
        return MISUSED
    return GOOD


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(description="Verifies exports of a Writ chain, and answers questions from them.")
    made.add_argument("exports", metavar="EXPORT", nargs="+", type=Path, help="a file made by `writ export`")
    pin = made.add_mutually_exclusive_group()
    pin.add_argument("--genesis", type=Path, help="the genesis that the chain must start from, JSON or encoded")
    pin.add_argument("--chain", metavar="ID", help="the chain id that it must be")
    made.add_argument("--sub", help="the subject asked about (without a type: a `user`)")
    made.add_argument("--obj", help="the object asked about (without a type: a `resource`)")
    made.add_argument("--act", help="the action asked about; without it, every action")
    made.add_argument("--at", help="the instant, as RFC 3339 in UTC or in milliseconds since 1970; without it, now")
    made.add_argument("--height", help="what was known: the blocks up to this one; without it, all")
    made.add_argument("--questions", action="store_true", help="answer the JSON lines on standard input")
    made.add_argument("--json", action="store_true", help="say it in JSON")
    made.set_defaults(failed=False)
    return made


def expected_chain(args: argparse.Namespace) -> bytes | None:
    try:
        if args.genesis is not None:
            return genesis.decode(genesis.encoding_of(args.genesis.read_bytes())).chain_id
        if args.chain is not None:
            chain_id = bytes.fromhex(args.chain)
            if len(chain_id) != 32:
                raise ValueError("a chain id has 64 hexadecimal digits")
            return chain_id
    except (OSError, ValueError) as error:
        raise Misused(str(error)) from error
    return None


def verify_one(export: Path, chain_id: bytes | None, args: argparse.Namespace) -> Chain | None:
    """The verified chain, or none; what was found is said. Standard output is left to answers, if there are any."""
    out = sys.stderr if args.questions or args.sub is not None else sys.stdout
    try:
        with export.open("rb") as file:
            chain = verify(file, chain_id)
    except OSError as error:
        raise Misused(str(error)) from error
    except Finding as finding:
        args.failed = True
        if args.json:
            found = {"height": finding.height, "part": finding.part, "detail": finding.detail}
            print(json.dumps({"good": False, "export": str(export), "finding": found}), file=out)
        else:
            print(f"{export}: {finding}", file=out)
        return None
    facts = {
        "chain": chain.genesis.chain_id.hex(),
        "height": chain.height,
        "time": format_time(chain.times[-1]),
        "log_size": chain.log.size,
        "log_root": chain.log.root().hex(),
        "commit_leaf": chain.previous.hex(),
    }
    if args.json:
        print(json.dumps({"good": True, "export": str(export)} | facts), file=out)
    else:
        print("good", *(f"{name} {value}" for name, value in facts.items()), sep="\n", file=out)
        if chain_id is None:
            print(
                "compare the chain id with the one you mean: neither --genesis nor --chain was given", file=sys.stderr
            )
    return chain


def answer_one(chain: Chain, args: argparse.Namespace) -> int:
    given = {"sub": args.sub, "obj": args.obj, "act": args.act, "at": args.at, "height": args.height}
    for name in ("at", "height"):
        if given[name] is not None and given[name].isascii() and given[name].isdigit():
            given[name] = int(given[name])
    question = read_question(chain, {name: value for name, value in given.items() if value is not None})
    answer = Entries(chain.ledger.entries).decide(question)
    if args.json:
        print(json.dumps(as_json(answer, question)))
    else:
        print("granted" if answer.is_granted else "denied")
        print(f"why {answer.why}")
        print("entries", " ".join(map(str, answer.entries)) or "none")
        print(f"at {format_time(question.hi)} height {question.height}")
    return GOOD if answer.is_granted else DENIED


def answer_lines(chain: Chain) -> int:
    entries = Entries(chain.ledger.entries)
    status = GOOD
    for line in sys.stdin:
        try:
            question = read_question(chain, json.loads(line))
            answer = as_json(entries.decide(question), question)
        except (Misused, ValueError) as error:
            status = MISUSED
            answer = {"error": str(error)}
        print(json.dumps(answer))
    return status


def as_json(answer: Answer, question: Question) -> dict[str, Any]:
    return {
        "decision": "granted" if answer.is_granted else "denied",
        "why": answer.why,
        "entries": answer.entries,
        "at": format_time(question.hi),
        "height": question.height,
    }


def read_question(chain: Chain, given: Any) -> Question:
    """A question from its members; `at` may be a pair, the two ends of an interval."""
    if not isinstance(given, dict) or set(given) - {"sub", "obj", "act", "at", "height"}:
        raise Misused(f"an object with `sub`, `obj`, `act`, `at`, `height` expected, found {given}")
    sub, obj, act = full_name(given.get("sub"), "user"), full_name(given.get("obj"), "resource"), given.get("act")
    if act is not None and (not isinstance(act, str) or not is_action(act)):
        raise Misused(f"`act` is {act!r}, expected an action")
    height = given.get("height")
    if height is None:
        height = chain.height
    if type(height) is not int or not 0 <= height <= chain.height:
        raise Misused(f"`height` is {height!r}, expected 0 to {chain.height}")
    at = given.get("at")
    if at is None:
        # An entry holds from its block's time at the earliest, so a clock that is behind is not asked.
        at = max(time.time_ns() // 1_000_000, chain.times[-1])
    ends = [read_time(end) for end in (at if isinstance(at, list) else [at, at])]
    if len(ends) != 2 or ends[0] > ends[1]:
        raise Misused(f"`at` is {at!r}, expected an instant, or two in order")
    return Question(sub, obj, act, ends[0], ends[1], height)


def full_name(text: Any, kind: str) -> str:
    """A name in ledger form; left out, its type is this one."""
    full = text if isinstance(text, str) and ":" in text else f"{kind}:{text}"
    if not isinstance(text, str) or not is_name(full):
        raise Misused(f"{text!r} is no {kind}'s name, and no full name in ledger form")
    return full


def read_time(value: Any) -> int:
    try:
        return parse_time(format_time(value) if type(value) is int else value)
    except (Malformed, TypeError, ValueError, OverflowError) as error:
        raise Misused(f"`at`: {error}") from error


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
