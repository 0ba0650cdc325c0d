"""The genesis (docs/format.md, section 6): where a chain starts, and whom it trusts with what."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import codec
import records
from codec import Malformed, Reader, tagged_hash, u64
from keys import is_admitted, key_id
from names import action_covers, covers, is_action, is_party, is_pattern, parse_time
from records import TEXT_MAX, EnrolledKey, Parameters, Validator, decode_parameters, require

GENESIS_BYTES_MAX = 1048576
MEMBERS_MAX = 128
KEYS_MAX = 16
RULES_MAX = 16
PATTERNS_MAX = 16
ZERO = bytes(32)


@dataclass(frozen=True)
class Rule:
    subjects: list[str]
    objects: list[str]
    actions: list[str]
    grants: bool
    denials: bool
    lifetime_ms_max: int | None
    open_ended: bool

    def allows(self, sub: str, obj: str, act: str, denies: bool, lifetime: int | None) -> bool:
        """`lifetime` is none for an entry without end."""
        if lifetime is None:
            fits = self.open_ended
        else:
            fits = self.lifetime_ms_max is None or lifetime <= self.lifetime_ms_max
        return (
            fits
            and (self.denials if denies else self.grants)
            and any(covers(one, sub) for one in self.subjects)
            and any(covers(one, obj) for one in self.objects)
            and any(action_covers(one, act) for one in self.actions)
        )


@dataclass(frozen=True)
class Authority:
    name: str
    keys: dict[bytes, bytes]
    threshold: int
    rules: list[Rule]


@dataclass(frozen=True)
class Genesis:
    chain_id: bytes
    protocol: int
    time: int
    parameters: Parameters
    authorities: dict[str, Authority]
    # How many roots must sign a change of the chain itself.
    root_quorum: int
    validators: list[Validator]


def decode(data: bytes) -> Genesis:
    """Everything that section 6 asks for, admission of each key included."""
    require(len(data) <= GENESIS_BYTES_MAX, f"a genesis of at most {GENESIS_BYTES_MAX} bytes")
    reader = Reader(data)
    protocol = reader.u32()
    require(protocol in (1, 2), "protocol 1 or 2")
    chain = reader.blob(255)
    require(len(chain) > 0 and all(0x21 <= byte <= 0x7E and byte != 0x2B for byte in chain), "the name of a chain")
    time = reader.time()
    parameters = decode_parameters(reader)
    require(parameters.is_sound(), "parameters within their bounds")
    authorities = reader.list(lambda: decode_authority(reader), 1, MEMBERS_MAX)
    require(len({one.name for one in authorities}) == len(authorities), "no name of an authority twice")
    root_quorum = reader.u8()
    require(1 <= root_quorum <= len(authorities), "a quorum of 1 to the number of authorities")
    validators = reader.list(lambda: decode_validator(reader), 1, MEMBERS_MAX)
    reader.end()
    require(len({one.name for one in validators}) == len(validators), "no name of a validator twice")
    keys = [enrolled.key for one in validators for enrolled in (one.vote, one.checkpoint)]
    require(len(set(keys)) == len(keys), "no key of a validator twice")
    require(
        not any(key in one.keys.values() for one in authorities for key in keys), "no authority's key as a validator's"
    )
    return Genesis(
        tagged_hash("writ/genesis/v1", data),
        protocol,
        time,
        parameters,
        {one.name: one for one in authorities},
        root_quorum,
        validators,
    )


def decode_authority(reader: Reader) -> Authority:
    name = reader.text(TEXT_MAX)
    require(is_party(name), "the name of an authority")
    keys = reader.list(lambda: decode_key(reader).key, 1, KEYS_MAX)
    require(len(set(keys)) == len(keys), f"no key of `{name}` twice")
    threshold = reader.u8()
    require(1 <= threshold <= len(keys), f"a threshold of 1 to {len(keys)}")
    rules = reader.list(lambda: decode_rule(reader), 1, RULES_MAX)
    reader.u8()  # enrol_depth: nobody can be enrolled in version 1
    return Authority(name, {key_id(key): key for key in keys}, threshold, rules)


def decode_validator(reader: Reader) -> Validator:
    name = reader.text(TEXT_MAX)
    require(is_party(name), "the name of a validator")
    return Validator(name, decode_key(reader), decode_key(reader))


def decode_key(reader: Reader) -> EnrolledKey:
    enrolled = records.decode_key(reader)
    admitted = is_admitted(enrolled.key, enrolled.possession, ZERO)
    require(admitted, f"a sound key with its possession (at byte {reader.at - 96})")
    return enrolled


def decode_rule(reader: Reader) -> Rule:
    def texts(is_one: Any) -> list[str]:
        found = reader.list(lambda: reader.text(TEXT_MAX), 1, PATTERNS_MAX)
        require(all(text == "*" or is_one(text) for text in found), "patterns in a scope")
        return found

    return Rule(
        texts(is_pattern),
        texts(is_pattern),
        texts(is_action),
        reader.bool(),
        reader.bool(),
        reader.optional(reader.u64),
        reader.bool(),
    )


def encoding_of(file: bytes) -> bytes:
    """The encoding of a genesis that is given as JSON, or as that encoding itself."""
    if not file.lstrip().startswith(b"{"):
        return file
    try:
        return encode_json(json.loads(file, object_pairs_hook=no_member_twice))
    except (KeyError, TypeError, AttributeError, OverflowError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise Malformed(f"the genesis as JSON: {error!r}") from error


def no_member_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    require(len(dict(pairs)) == len(pairs), "no member of a JSON object twice")
    return dict(pairs)


def encode_json(genesis: dict[str, Any]) -> bytes:
    known(genesis, "protocol chain time parameters authorities root_quorum validators")
    parameters = known(genesis["parameters"], "submit_ahead_ms_max clock_bound_ms proposal_age_ms_max")
    return b"".join(
        [
            codec.u32(genesis["protocol"]),
            codec.text(genesis["chain"]),
            u64(parse_time(genesis["time"])),
            *(u64(parameters[name]) for name in ("submit_ahead_ms_max", "clock_bound_ms", "proposal_age_ms_max")),
            codec.list_of([encode_authority(one) for one in genesis["authorities"]]),
            bytes([genesis["root_quorum"]]),
            codec.list_of([encode_validator(one) for one in genesis["validators"]]),
        ]
    )


def encode_authority(authority: dict[str, Any]) -> bytes:
    known(authority, "name keys threshold scope")
    scope = known(authority["scope"], "rules enrol_depth")
    return b"".join(
        [
            codec.text(authority["name"]),
            codec.list_of([encode_key(key) for key in authority["keys"]]),
            bytes([authority["threshold"]]),
            codec.list_of([encode_rule(rule) for rule in scope["rules"]]),
            bytes([scope["enrol_depth"]]),
        ]
    )


def encode_validator(validator: dict[str, Any]) -> bytes:
    known(validator, "name vote checkpoint")
    return codec.text(validator["name"]) + encode_key(validator["vote"]) + encode_key(validator["checkpoint"])


def encode_key(key: dict[str, Any]) -> bytes:
    known(key, "key possession")
    both = bytes.fromhex(key["key"]) + bytes.fromhex(key["possession"])
    require(both.hex() == key["key"] + key["possession"], "lower-case hexadecimal digits")
    return both


def encode_rule(rule: dict[str, Any]) -> bytes:
    known(rule, "subjects objects actions grants denials lifetime_ms_max open_ended")
    lifetime = rule.get("lifetime_ms_max")
    flags = {name: bytes([rule[name]]) for name in ("grants", "denials", "open_ended")}
    require(all(type(rule[name]) is bool for name in flags), "`true` or `false`")
    return b"".join(
        [
            *(codec.list_of([codec.text(one) for one in rule[name]]) for name in ("subjects", "objects", "actions")),
            flags["grants"],
            flags["denials"],
            b"\0" if lifetime is None else b"\1" + u64(lifetime),
            flags["open_ended"],
        ]
    )


def known(value: dict[str, Any], names: str) -> dict[str, Any]:
    """The object itself, if it has no member of another name."""
    unknown = set(value) - set(names.split())
    require(not unknown, f"only the members `{names}` (found {sorted(unknown)})")
    return value
