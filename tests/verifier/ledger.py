"""What a block may hold (docs/format.md, section 9): records are judged one after another, each against what the
earlier ones left.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import records
from codec import TIME_MAX, Malformed
from genesis import Authority, Genesis
from governing import ACCEPTED, BAD_REQUEST, CONFLICT, LIMIT_EXCEEDED, NOT_FOUND, PROTOCOL_OF_SETS, Governing
from keys import is_signature
from records import DENIED, GRANTED, Access, Record, Revoke, Set, member_id

OUT_OF_SCOPE, FORBIDDEN = 10, 12
CODES = {
    BAD_REQUEST: "bad_request",
    OUT_OF_SCOPE: "out_of_scope",
    FORBIDDEN: "forbidden",
    NOT_FOUND: "not_found",
    CONFLICT: "conflict",
    LIMIT_EXCEEDED: "limit_exceeded",
}

REJECTED_PER_KEY_MAX = 16
LIVE_GRANTS_PER_KEY_MAX = 256
LIVE_MEMBERSHIPS_PER_SUBJECT_MAX = 64
WAITING_REVOCATIONS_MAX = 1024


class Invalid(Exception):
    """A record that makes its block invalid."""


@dataclass
class Entry:
    """An accepted access record, or access member of an accepted set, at its place in the log."""

    index: int
    # The place in its set.
    member: int | None
    height: int
    added: int
    authority: str
    access: Access
    # Height from which the revocation is known, and the time at which it ends the entry.
    revoked: tuple[int, int] | None = None

    @property
    def place(self) -> tuple[int, int]:
        """What entries are ordered by."""
        return self.index, self.member or 0

    @property
    def name(self) -> int | str:
        """Its leaf; of an entry of a set with its place there, as in `57.3`."""
        return self.index if self.member is None else f"{self.index}.{self.member}"

    def is_live(self, time: int) -> bool:
        """As the bounds on live grants count."""
        return self.revoked is None and (self.access.exp is None or self.access.exp > time)


class Ledger:
    def __init__(self, genesis: Genesis) -> None:
        self.genesis = genesis
        self.governing = Governing(genesis)
        # Of this block: what its records change of them counts from the next one on.
        self.parameters = genesis.parameters
        self.entries: list[Entry] = []
        # Every id in the log, those of a set's access members too; the entry, if that is what it became.
        self.ids: dict[bytes, Entry | None] = {}
        # Revocations that wait for a target: the authority, and the height of the revocation.
        self.waiting: dict[bytes, list[tuple[str, int]]] = {}
        # How many of them count against an authority's bound, and how many of those no longer wait since this block.
        self.waiting_count: Counter[str] = Counter()
        self.leaving: Counter[str] = Counter()
        # Live grants by what a bound is on. The dead are forgotten when they are met, for they stay dead.
        self.grants: dict[tuple[str, ...], list[Entry]] = {}
        # By subject and object, the last leaf that brought an entry or ended one.
        self.changed: dict[tuple[str, str], int] = {}
        self.height = 0
        self.time = genesis.time
        # Leaves in the log before the present block.
        self.size = 0
        self.rejected_by_key: Counter[bytes] = Counter()

    def begin_block(self, height: int, time: int, size: int) -> None:
        self.height, self.time, self.size = height, time, size
        self.parameters = self.governing.parameters
        self.rejected_by_key.clear()
        # What ceased to wait in the block before counted until its end.
        self.waiting_count.subtract(self.leaving)
        self.leaving.clear()

    def read(self, data: bytes) -> Record:
        """The record, if its form and its signatures are good."""
        try:
            record = records.decode(data)
        except Malformed as error:
            raise Invalid(str(error)) from error
        self.check_signatures(record)
        return record

    def judge(self, record: Record, index: int) -> int:
        """The outcome of the record at this index; what it does is done."""
        if record.id in self.ids:
            raise Invalid("a record with this id is in the log")
        latest = min(self.time + self.parameters.submit_ahead_ms_max, TIME_MAX)
        if record.submit_by is not None and not self.time <= record.submit_by <= latest:
            raise Invalid(f"`submit_by` of {self.time} to {latest} expected, found {record.submit_by}")
        code = self.fault(record, index)
        if code == ACCEPTED:
            self.ids[record.id] = None
            self.accept(record, index)
        else:
            self.reject(record, code)
            self.ids[record.id] = None
        self.end_wait(record.id)
        return code

    def reject(self, record: Record, code: int) -> None:
        if not record.is_restrictive:
            raise Invalid(f"a permissive record that is not admissible: {CODES[code]}")
        for key_id, _ in record.signatures:
            if self.rejected_by_key[key_id] == REJECTED_PER_KEY_MAX:
                raise Invalid(f"more than {REJECTED_PER_KEY_MAX} rejected records of one key ({CODES[code]})")
            self.rejected_by_key[key_id] += 1

    def check_signatures(self, record: Record) -> None:
        if record.chain != self.genesis.chain_id:
            raise Invalid(f"a record of chain {record.chain.hex()}")
        authority = self.genesis.authorities.get(record.authority)
        if authority is None:
            raise Invalid(f"no authority `{record.authority}` is known")
        is_ruling = not isinstance(record.body, (Access, Revoke, Set))
        # In version 1 every authority is a root.
        signers = list(self.genesis.authorities.values()) if is_ruling else [authority]
        for key_id, signature in record.signatures:
            key = next((one.keys[key_id] for one in signers if key_id in one.keys), None)
            if key is None:
                raise Invalid(f"{' or '.join(one.name for one in signers)} has no key {key_id.hex()}")
            if not is_signature(key, signature, record.signed):
                raise Invalid(f"the signature under key {key_id.hex()} is not valid")
        # A key that several authorities have counts for each.
        complete = [one for one in signers if sum(key_id in one.keys for key_id, _ in record.signatures) >= one.threshold]
        if authority not in complete:
            raise Invalid(f"{authority.threshold} signatures of `{authority.name}` expected")
        if is_ruling and len(complete) < self.genesis.root_quorum:
            raise Invalid(f"{self.genesis.root_quorum} root authorities expected, found {len(complete)}")

    def fault(self, record: Record, index: int) -> int:
        """The first rule of its kind that fails. What the root quorum says, and what a set does, is done if none does:
        of a set whose later member fails, too, for then there is no block.
        """
        authority = self.genesis.authorities[record.authority]
        if isinstance(record.body, Access):
            return self.fault_of_access(authority, record.body)
        if isinstance(record.body, Revoke):
            return self.fault_of_revoke(authority, record.body)
        if isinstance(record.body, Set):
            return self.carry_out_set(authority, record, record.body, index)
        return self.governing.carry_out(record.body, self.height)

    def carry_out_set(self, authority: Authority, record: Record, body: Set, index: int) -> int:
        protocol = self.governing.protocol_at(self.height)
        if protocol < PROTOCOL_OF_SETS:
            raise Invalid(f"a set under protocol {protocol}")
        since = body.unchanged_since
        if since is not None and since > self.size:
            return NOT_FOUND
        # Of every key before anything is done: what the set itself changes is no change.
        for member in body.members:
            access = member
            if isinstance(member, Revoke):
                # A set ends only what is there.
                if member.target not in self.ids:
                    return NOT_FOUND
                target = self.ids[member.target]
                if target is None:
                    return CONFLICT
                access = target.access
            if since is not None and self.changed.get((access.sub, access.obj), -1) >= since:
                return CONFLICT
        for place, member in enumerate(body.members):
            if isinstance(member, Revoke):
                code = self.fault_of_revoke(authority, member)
            else:
                code = self.fault_of_access(authority, member)
            if code != ACCEPTED:
                return code
            if isinstance(member, Revoke):
                self.revoke(authority.name, member.target, index)
            else:
                self.take(member_id(record.id, place), Entry(index, place, self.height, self.time, authority.name, member))
        return ACCEPTED

    def fault_of_access(self, authority: Authority, access: Access) -> int:
        start = max(access.iss or 0, self.time)
        lifetime = None if access.exp is None else max(access.exp - start, 0)
        denies = access.effect == DENIED
        if not any(rule.allows(access.sub, access.obj, access.act, denies, lifetime) for rule in authority.rules):
            return OUT_OF_SCOPE
        if not denies and (access.exp is None or access.exp > self.time):
            for key, most in bounds(authority.name, access):
                live = [entry for entry in self.grants.get(key, []) if entry.is_live(self.time)]
                self.grants[key] = live
                if len(live) >= most:
                    return LIMIT_EXCEEDED
        return ACCEPTED

    def fault_of_revoke(self, authority: Authority, revoke: Revoke) -> int:
        if revoke.target not in self.ids:
            if revoke.effect == DENIED:
                return NOT_FOUND
            return LIMIT_EXCEEDED if self.waiting_count[authority.name] >= WAITING_REVOCATIONS_MAX else ACCEPTED
        target = self.ids[revoke.target]
        if target is None or target.access.effect != revoke.effect:
            return CONFLICT
        # In version 1 every authority is a root: nobody is an ancestor of another.
        return ACCEPTED if target.authority == authority.name else FORBIDDEN

    def accept(self, record: Record, index: int) -> None:
        if isinstance(record.body, Revoke):
            self.revoke(record.authority, record.body.target, index)
        if isinstance(record.body, Access):
            self.take(record.id, Entry(index, None, self.height, self.time, record.authority, record.body))
        # All else was carried out when it was judged.

    def take(self, id_: bytes, entry: Entry) -> None:
        self.ids[id_] = entry
        self.entries.append(entry)
        self.changed[entry.access.sub, entry.access.obj] = entry.index
        if entry.access.effect == GRANTED:
            if any(authority == entry.authority for authority, _ in self.waiting.get(id_, [])):
                entry.revoked = (self.height, self.time)
            for key, _ in bounds(entry.authority, entry.access):
                self.grants.setdefault(key, []).append(entry)
        self.end_wait(id_)

    def end_wait(self, id_: bytes) -> None:
        """Whatever came: nothing waits for it any longer. A revocation of this block ceases to count at once, an older
        one when the block ends.
        """
        for authority, height in self.waiting.pop(id_, []):
            if height == self.height:
                self.waiting_count[authority] -= 1
            else:
                self.leaving[authority] += 1

    def revoke(self, authority: str, target: bytes, index: int) -> None:
        if target not in self.ids:
            self.waiting.setdefault(target, []).append((authority, self.height))
            self.waiting_count[authority] += 1
            return
        entry = self.ids[target]
        if entry is not None and entry.revoked is None:
            entry.revoked = (self.height, self.time)
            self.changed[entry.access.sub, entry.access.obj] = index


def bounds(root: str, access: Access) -> list[tuple[tuple[str, ...], int]]:
    """The bounds that a grant counts against: on what, and how many."""
    found: list[tuple[tuple[str, ...], int]] = [((root, access.sub, access.obj, access.act), LIVE_GRANTS_PER_KEY_MAX)]
    if access.act == "member":
        found.append(((root, access.sub), LIVE_MEMBERSHIPS_PER_SUBJECT_MAX))
    return found
