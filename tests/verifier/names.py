"""Names, patterns, actions and times in ledger form (docs/format.md, section 4)."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from codec import TIME_MAX, Malformed

TYPE = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,31}")
ACTION = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:/-]{0,63}")
PARTY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
ID = re.compile(r"[\x20-\x7E]{1,256}")
# What begins an escape, and the byte it stands for: one that could not stand there itself.
ESCAPE = re.compile(r"%([0-9A-F]{2})?")
TIME = re.compile(r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.(\d{1,3}))?Z", re.ASCII)


def is_id(text: str) -> bool:
    """The rules for an id, apart from the star."""
    if not ID.fullmatch(text) or text[0] == " " or text[-1] == " " or text.count("/") > 15:
        return False
    for escape in ESCAPE.finditer(text):
        if escape[1] is None:
            return False
        byte = int(escape[1], 16)
        at_an_edge = escape.start() == 0 or escape.end() == len(text)
        if not (byte < 0x20 or byte > 0x7E or byte == 0x25 or (byte == 0x20 and at_an_edge)):
            return False
    return True


def is_name(text: str) -> bool:
    kind, colon, id_ = text.partition(":")
    return bool(colon and TYPE.fullmatch(kind) and "*" not in id_ and is_id(id_))


def is_pattern(text: str) -> bool:
    kind, colon, id_ = text.partition(":")
    if text == "*" or "*" not in text:
        return text == "*" or is_name(text)
    if not colon or not TYPE.fullmatch(kind) or not is_id(id_) or id_.count("*") != 1:
        return False
    return id_ == "*" or id_.endswith("/*")


def is_action(text: str) -> bool:
    return ACTION.fullmatch(text) is not None


def is_party(text: str) -> bool:
    """Whether a text can be the name of an authority or a validator."""
    return PARTY.fullmatch(text) is not None


def is_role(text: str) -> bool:
    """Whether a pattern or a name has the type `role`."""
    return text.startswith("role:")


def covers(pattern: str, other: str) -> bool:
    """Whether a pattern covers a name or another pattern."""
    return pattern == other or (pattern.endswith("*") and other.startswith(pattern[:-1]))


def action_covers(pattern: str, other: str) -> bool:
    return pattern in ("*", other)


def covering(name: str) -> list[str]:
    """Every pattern that covers this name: at most nineteen."""
    kind, _, id_ = name.partition(":")
    slashes = [at for at, letter in enumerate(id_) if letter == "/"]
    return [name, "*", f"{kind}:*"] + [f"{kind}:{id_[:at]}/*" for at in slashes]


def parse_time(text: str) -> int:
    """Milliseconds of a time as it stands in JSON."""
    found = TIME.fullmatch(text)
    if not found or (found[7] is not None and int(found[7]) == 0):
        raise Malformed(f"a time such as `2026-11-22T10:15:03.120Z` expected, found `{text}`")
    try:
        moment = datetime(*(int(part) for part in found.groups()[:6]), tzinfo=UTC)  # type: ignore[misc, arg-type]
    except ValueError as error:
        raise Malformed(f"`{text}`: {error}") from error
    since = moment - datetime(1970, 1, 1, tzinfo=UTC)
    millis = (since.days * 86400 + since.seconds) * 1000 + int((found[7] or "0").ljust(3, "0"))
    if not 0 <= millis <= TIME_MAX:
        raise Malformed(f"`{text}` lies before 1970")
    return millis


def format_time(millis: int) -> str:
    seconds, rest = divmod(millis, 1000)
    text = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return text + (f".{rest:03}" if rest else "") + "Z"
