"""The codec (docs/format.md, sections 1 and 2): fixed widths, little-endian, one encoding for each value.

`Reader` takes values from the front of some bytes and accepts no second spelling of any of them. What is checked here
and by the rules of each type makes decoding and encoding each other's inverse, so nothing is encoded again to check it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

TIME_MAX = 253402300799999


class Malformed(ValueError):
    """Bytes that are no encoding of what was expected there."""


class Reader:
    """Bytes, and how far they were read."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def take(self, count: int) -> bytes:
        end = self.at + count
        if end > len(self.data):
            raise Malformed(f"{count} bytes expected at byte {self.at}, found {len(self.data) - self.at}")
        taken = self.data[self.at : end]
        self.at = end
        return taken

    def number(self, width: int) -> int:
        return int.from_bytes(self.take(width), "little")

    def u8(self) -> int:
        return self.number(1)

    def u16(self) -> int:
        return self.number(2)

    def u32(self) -> int:
        return self.number(4)

    def u64(self) -> int:
        return self.number(8)

    def bool(self) -> bool:
        return self.choice_of(self.u8(), 2, "a bool") == 1

    def choice(self, cases: int) -> int:
        return self.choice_of(self.u32(), cases, "a choice")

    def choice_of(self, case: int, cases: int, what: str) -> int:
        if case >= cases:
            raise Malformed(f"{what} below {cases} expected before byte {self.at}, found {case}")
        return case

    def optional(self, read: Callable[[], T]) -> T | None:
        return read() if self.bool() else None

    def blob(self, longest: int) -> bytes:
        length = self.u64()
        if length > longest:
            raise Malformed(f"at most {longest} bytes expected before byte {self.at}, found {length}")
        return self.take(length)

    def text(self, longest: int) -> str:
        try:
            return self.blob(longest).decode("utf-8")
        except UnicodeDecodeError as error:
            raise Malformed(f"text before byte {self.at} is not UTF-8") from error

    def list(self, read: Callable[[], T], fewest: int, most: int) -> list[T]:
        count = self.u64()
        if not fewest <= count <= most:
            raise Malformed(f"{fewest} to {most} members expected before byte {self.at}, found {count}")
        return [read() for _ in range(count)]

    def digest(self) -> bytes:
        return self.take(32)

    def signature(self) -> bytes:
        return self.take(64)

    def time(self) -> int:
        millis = self.u64()
        if millis > TIME_MAX:
            raise Malformed(f"a time of at most {TIME_MAX} expected before byte {self.at}, found {millis}")
        return millis

    def end(self) -> None:
        if self.at != len(self.data):
            raise Malformed(f"{len(self.data) - self.at} bytes are left over")


def u16(value: int) -> bytes:
    return value.to_bytes(2, "little")


def u32(value: int) -> bytes:
    return value.to_bytes(4, "little")


def u64(value: int) -> bytes:
    return value.to_bytes(8, "little")


def text(value: str) -> bytes:
    data = value.encode("utf-8")
    return u64(len(data)) + data


def list_of(members: list[bytes]) -> bytes:
    return u64(len(members)) + b"".join(members)


def sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def tag(name: str) -> bytes:
    """A domain's tag, such as `writ/record/v1`, with its zero byte."""
    return name.encode("ascii") + b"\0"


def tagged_hash(name: str, data: bytes) -> bytes:
    return sha256(tag(name) + data)
