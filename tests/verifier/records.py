"""Records (docs/format.md, section 5): what an authority signs.

No protocol version that is spoken here carries out another kind than these five; a block with one is invalid whatever
stands in it.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import codec
from codec import Malformed, Reader, tag, tagged_hash
from names import is_action, is_name, is_party, is_pattern, is_role

RECORD_BYTES_MAX = 8192
SIGNATURES_MAX = 16
CONDITION_BYTES_MAX = 1024
REFERENCE_BYTES_MAX = 256
GRANTED, DENIED = 0, 1
ACCESS, REVOKE, VALIDATOR, PARAMETER, SET = 1, 2, 4, 5, 6
KINDS = (ACCESS, REVOKE, VALIDATOR, PARAMETER, SET)
SET_MEMBERS_MAX = 64
SUBMIT_AHEAD_MS_MAX = 10 * 365 * 86_400_000
CLOCK_MS_MAX = 86_400_000
PROPOSAL_MS_MIN = 1_000
# No text of a name, pattern or action is longer.
TEXT_MAX = 32 + 1 + 256


@dataclass(frozen=True)
class Access:
    sub: str
    obj: str
    act: str
    effect: int
    iss: int | None
    exp: int | None
    has_condition: bool


@dataclass(frozen=True)
class Revoke:
    target: bytes
    effect: int


@dataclass(frozen=True)
class Set:
    members: list[Access | Revoke]
    unchanged_since: int | None


@dataclass(frozen=True)
class EnrolledKey:
    key: bytes
    possession: bytes


@dataclass(frozen=True)
class Validator:
    name: str
    vote: EnrolledKey
    checkpoint: EnrolledKey

    def encode(self) -> bytes:
        keys = (part for one in (self.vote, self.checkpoint) for part in (one.key, one.possession))
        return codec.text(self.name) + b"".join(keys)


@dataclass(frozen=True)
class Parameters:
    submit_ahead_ms_max: int
    clock_bound_ms: int
    proposal_age_ms_max: int

    def is_sound(self) -> bool:
        return (
            1 <= self.submit_ahead_ms_max <= SUBMIT_AHEAD_MS_MAX
            and 1 <= self.clock_bound_ms <= CLOCK_MS_MAX
            and self.proposal_age_ms_max <= CLOCK_MS_MAX
            and self.clock_bound_ms + self.proposal_age_ms_max >= PROPOSAL_MS_MIN
        )


@dataclass(frozen=True)
class Add:
    new: Validator


@dataclass(frozen=True)
class Remove:
    key_id: bytes


@dataclass(frozen=True)
class Replace:
    old: bytes
    new: Validator


@dataclass(frozen=True)
class Activate:
    protocol: int
    height: int


# What the root quorum says, and what one authority says.
Ruling = Add | Remove | Replace | Parameters | Activate
Body = Access | Revoke | Set | Ruling


@dataclass(frozen=True)
class Record:
    id: bytes
    signed: bytes
    chain: bytes
    authority: str
    body: Body
    submit_by: int | None
    signatures: list[tuple[bytes, bytes]]

    @property
    def is_restrictive(self) -> bool:
        return self.submit_by is None


def require(condition: bool, expected: str) -> None:
    if not condition:
        raise Malformed(f"{expected} expected")


def decode(data: bytes) -> Record:
    require(len(data) <= RECORD_BYTES_MAX, f"a record of at most {RECORD_BYTES_MAX} bytes")
    reader = Reader(data)
    require(reader.take(15) == tag("writ/record/v1"), "the tag of a record")
    kind = reader.u8()
    require(kind in KINDS, f"a kind of {KINDS} (found {kind})")
    chain = reader.digest()
    authority = reader.text(TEXT_MAX)
    require(is_party(authority), "the name of an authority")
    reader.take(16)  # the nonce: anything
    body = decode_body(kind, reader)
    id_ = tagged_hash("writ/id/v1", data[: reader.at])
    submit_by = None if is_restrictive(body) else reader.time()
    signed = data[: reader.at]
    count = reader.u8()
    require(1 <= count <= SIGNATURES_MAX, f"1 to {SIGNATURES_MAX} signatures")
    signatures = [(reader.digest(), reader.signature()) for _ in range(count)]
    reader.end()
    ids = [key_id for key_id, _ in signatures]
    require(all(one < next_ for one, next_ in itertools.pairwise(ids)), "key ids in strictly ascending order")
    return Record(id_, signed, chain, authority, body, submit_by, signatures)


def is_restrictive(body: Body) -> bool:
    if isinstance(body, Access):
        return body.effect == DENIED
    return isinstance(body, Revoke) and body.effect == GRANTED


def decode_body(kind: int, reader: Reader) -> Body:
    if kind == ACCESS:
        return decode_access(reader)
    if kind == REVOKE:
        return decode_revoke(reader)
    if kind == SET:
        return decode_set(reader)
    return decode_validator_change(reader) if kind == VALIDATOR else decode_parameter_change(reader)


def decode_validator_change(reader: Reader) -> Ruling:
    case = reader.choice(3)
    if case == 0:
        return Add(decode_validator(reader))
    key_id = reader.digest()
    return Remove(key_id) if case == 1 else Replace(key_id, decode_validator(reader))


def decode_parameter_change(reader: Reader) -> Ruling:
    return decode_parameters(reader) if reader.choice(2) == 0 else Activate(reader.u32(), reader.u64())


def decode_validator(reader: Reader) -> Validator:
    name = reader.text(TEXT_MAX)
    require(is_party(name), "the name of a validator")
    return Validator(name, decode_key(reader), decode_key(reader))


def decode_key(reader: Reader) -> EnrolledKey:
    """Its form. Whether the key is admitted depends on where it stands."""
    return EnrolledKey(reader.digest(), reader.signature())


def decode_parameters(reader: Reader) -> Parameters:
    return Parameters(reader.u64(), reader.u64(), reader.u64())


def decode_access(reader: Reader) -> Access:
    sub, obj, act = reader.text(TEXT_MAX), reader.text(TEXT_MAX), reader.text(TEXT_MAX)
    effect = reader.choice(2)
    iss, exp = reader.optional(reader.time), reader.optional(reader.time)
    cond = reader.optional(lambda: reader.text(CONDITION_BYTES_MAX))
    ref = reader.optional(lambda: reader.text(REFERENCE_BYTES_MAX))
    require(is_pattern(sub), "a pattern as `sub`")
    require(is_pattern(obj), "a pattern as `obj`")
    require(act == "*" or is_action(act), "an action pattern as `act`")
    require(iss is None or exp is None or iss < exp, "`exp` later than `iss`")
    require(cond != "", "a condition that is not empty")
    require(ref != "", "a reference that is not empty")
    if act == "member":
        exact = is_role(obj) and is_name(obj)
        wide = effect == DENIED and (obj == "*" or is_role(obj))
        require(exact or wide, "a role as the object of `member`")
    return Access(sub, obj, act, effect, iss, exp, cond is not None)


def decode_revoke(reader: Reader) -> Revoke:
    return Revoke(reader.digest(), reader.choice(2))


def decode_set(reader: Reader) -> Set:
    def member() -> Access | Revoke:
        return decode_access(reader) if reader.choice(2) == 0 else decode_revoke(reader)

    members = reader.list(member, 1, SET_MEMBERS_MAX)
    return Set(members, reader.optional(reader.u64))


def member_id(set_id: bytes, place: int) -> bytes:
    """The id of the entry that the member at this place makes."""
    return tagged_hash("writ/member/v1", set_id + codec.u32(place))
