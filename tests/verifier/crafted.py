"""Crafted keys and signatures: for most of them the signature equation holds, in some library or other.

Run as a program, it prints each as a JSON line with what this verifier says of it and what it must say, so that
another implementation can be asked about the same bytes. Nothing here is secret: the scalars are made of names.
"""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass

from keys import SMALL_ORDER, L, P, Point, add, decode_point, is_signature, multiply


@dataclass(frozen=True)
class Case:
    name: str
    key: bytes
    message: bytes
    signature: bytes
    is_valid: bool


def decoded(encoding: bytes) -> Point:
    point = decode_point(encoding)
    assert point is not None, f"{encoding.hex()} is no point"
    return point


BASE = decoded(bytes([0x58]) + bytes([0x66]) * 31)
# A point of order 8.
TORSION = decoded(bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"))


def encode(p: Point) -> bytes:
    inverse = pow(p[2], -1, P)
    x, y = p[0] * inverse % P, p[1] * inverse % P
    return (y | (x & 1) << 255).to_bytes(32, "little")


def scalar(name: str) -> int:
    return int.from_bytes(hashlib.sha512(name.encode()).digest(), "little") % L


def challenge(r: bytes, key: bytes, message: bytes) -> int:
    return int.from_bytes(hashlib.sha512(r + key + message).digest(), "little") % L


def messages() -> Iterator[bytes]:
    return (f"message {number}".encode() for number in itertools.count())


def signature(r: bytes, s: int) -> bytes:
    return r + s.to_bytes(32, "little")


def cases() -> Iterator[Case]:
    a, nonce, message = scalar("a key"), scalar("a nonce"), b"a message"
    key, r = encode(multiply(a, BASE)), encode(multiply(nonce, BASE))
    s = (nonce + challenge(r, key, message) * a) % L
    yield Case("honest", key, message, signature(r, s), True)
    yield Case("honest, of another message", key, b"another", signature(r, s), False)
    yield Case("S not below L", key, message, signature(r, s + L), False)

    # For a sound key the equation holds with a neutral R, the first of these, and with no other.
    for encoding in sorted(SMALL_ORDER):
        k = challenge(encoding, key, message)
        yield Case(f"R {encoding.hex()}", key, message, signature(encoding, k * a % L), False)
    neutral_again = (P + 1).to_bytes(32, "little")
    k = challenge(neutral_again, key, message)
    yield Case("R neutral, not canonical", key, message, signature(neutral_again, k * a % L), False)

    mixed = encode(add(multiply(nonce, BASE), TORSION))
    k = challenge(mixed, key, message)
    yield Case("R with torsion, holds times eight", key, message, signature(mixed, (nonce + k * a) % L), False)

    for encoding in sorted(SMALL_ORDER) + [neutral_again]:
        # [k]A vanishes, so that the nonce alone makes a signature.
        weak = next(one for one in messages() if challenge(r, encoding, one) % 8 == 0)
        yield Case(f"key {encoding.hex()}, the equation holds", encoding, weak, signature(r, nonce), False)

    twisted = encode(add(multiply(a, BASE), TORSION))
    found = next(one for one in messages() if challenge(r, twisted, one) % 8 == 0)
    s = (nonce + challenge(r, twisted, found) * a) % L
    yield Case("key with torsion, the equation holds", twisted, found, signature(r, s), False)

    no_point = next(
        y.to_bytes(32, "little") for y in itertools.count(2) if decode_point(y.to_bytes(32, "little")) is None
    )
    yield Case("key that is no point", no_point, message, signature(r, s), False)


def main() -> None:
    for case in cases():
        said = is_signature(case.key, case.signature, case.message)
        shown = {"name": case.name, "must": case.is_valid, "said": said}
        data = {"key": case.key.hex(), "message": case.message.hex(), "signature": case.signature.hex()}
        print(json.dumps(shown | data))


if __name__ == "__main__":
    main()
