"""Checkpoints (docs/format.md, section 16): signed notes, cosignatures and policies, from hashes and Ed25519 alone."""

from __future__ import annotations

import base64
import hashlib
import struct

import codec
import keys

LOG, COSIGNER = 1, 4


def note_key_id(name: str, kind: int, key: bytes) -> bytes:
    return hashlib.sha256(name.encode() + b"\n" + bytes([kind]) + key).digest()[:4]


def vkey(name: str, kind: int, key: bytes) -> str:
    material = base64.b64encode(bytes([kind]) + key).decode()
    return f"{name}+{note_key_id(name, kind, key).hex()}+{material}"


def body(origin: str, size: int, root: bytes) -> str:
    return f"{origin}\n{size}\n{base64.b64encode(root).decode()}\n"


def cosigned(time: int, text: str) -> str:
    return f"cosignature/v1\ntime {time}\n{text}"


def line(name: str, key_id: bytes, signature: bytes) -> str:
    return f"\u2014 {name} {base64.b64encode(key_id + signature).decode()}\n"


def policy(origin: str, validators: list[tuple[str, bytes]]) -> str:
    names = [f"{origin}/{name}" for name, _ in validators]
    lines = [f"log {vkey(origin, LOG, key)}" for _, key in validators]
    lines += [f"witness {full} {vkey(full, COSIGNER, key)}" for full, (_, key) in zip(names, validators)]
    needed = 2 * len(validators) // 3 + 1
    lines += [f"group validators {needed} {' '.join(names)}", "quorum validators"]
    return "".join(f"{line}\n" for line in lines)


def note(origin: str, size: int, root: bytes, signed: list[tuple[str, bytes, bytes, int, bytes]]) -> str:
    """The note of name, key, log signature, time and cosignature of each signer, in the order of validators."""
    text = body(origin, size, root) + "\n"
    for _, key, signature, _, _ in signed:
        text += line(origin, note_key_id(origin, LOG, key), signature)
    for name, key, _, time, signature in signed:
        full = f"{origin}/{name}"
        text += line(full, note_key_id(full, COSIGNER, key), struct.pack(">Q", time) + signature)
    return text


class Wire:
    """A cosignature as nodes send it to each other."""

    def __init__(self, data: bytes) -> None:
        reader = codec.Reader(data)
        self.height, self.size, self.root = reader.u64(), reader.u64(), reader.digest()
        self.key_id, self.time = reader.digest(), reader.u64()
        self.log_signature, self.cosignature = reader.take(64), reader.take(64)
        reader.end()

    def is_of(self, origin: str, key: bytes) -> bool:
        text = body(origin, self.size, self.root)
        return (
            keys.key_id(key) == self.key_id
            and keys.is_signature(key, self.log_signature, text.encode())
            and keys.is_signature(key, self.cosignature, cosigned(self.time, text).encode())
        )
