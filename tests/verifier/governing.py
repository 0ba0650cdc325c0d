"""What a chain says about itself (docs/format.md, section 9): its validators, its parameters, the protocol it is under.

Records of the root quorum change them, one after another; each counts from the block after its own.
"""

from __future__ import annotations

import codec
from codec import tagged_hash
from genesis import MEMBERS_MAX, Genesis
from keys import is_admitted, key_id
from records import Activate, Add, EnrolledKey, Parameters, Remove, Replace, Ruling, Validator

ACCEPTED = 0
BAD_REQUEST, NOT_FOUND, CONFLICT, LIMIT_EXCEEDED = 1, 13, 14, 16

# The highest protocol version that this verifier speaks, and the first that has sets.
PROTOCOL = 2
PROTOCOL_OF_SETS = 2
PROTOCOL_MAX = 0xFFFF
LEAD_MIN = 8
LEAD_MAX = 1_000_000


class Governing:
    def __init__(self, genesis: Genesis) -> None:
        self.genesis = genesis
        # In the order of the log; the new one of a change takes the place of the old.
        self.validators = list(genesis.validators)
        self.parameters = genesis.parameters
        # From which height on which version is in force, ascending.
        self.protocols = [(0, genesis.protocol)]
        # Every name and key that nobody else may have any more.
        self.names = set(genesis.authorities) | {one.name for one in self.validators}
        self.keys = {key for authority in genesis.authorities.values() for key in authority.keys.values()}
        for one in self.validators:
            self.keys |= keys_of(one)

    def voters(self) -> dict[bytes, bytes]:
        """Voting keys by their ids."""
        return {key_id(one.vote.key): one.vote.key for one in self.validators}

    def validators_hash(self) -> bytes:
        return tagged_hash("writ/validators/v1", codec.list_of([one.encode() for one in self.validators]))

    def protocol_at(self, height: int) -> int:
        return next(version for first, version in reversed(self.protocols) if first <= height)

    def carry_out(self, ruling: Ruling, height: int) -> int:
        """The code of the first rule that fails, in a block of this height; if none does, it is done."""
        if isinstance(ruling, Parameters):
            if not ruling.is_sound():
                return BAD_REQUEST
            self.parameters = ruling
            return ACCEPTED
        if isinstance(ruling, Activate):
            return self.activate(ruling, height)
        if isinstance(ruling, Add):
            return self.add(ruling.new)
        if isinstance(ruling, Remove):
            return self.remove(ruling)
        return self.replace(ruling)

    def activate(self, ruling: Activate, height: int) -> int:
        latest, version = self.protocols[-1]
        if ruling.protocol > PROTOCOL_MAX:
            return BAD_REQUEST
        if latest > height or ruling.protocol <= version or ruling.height < height + LEAD_MIN:
            return CONFLICT
        if ruling.height > height + LEAD_MAX:
            return LIMIT_EXCEEDED
        self.protocols.append((ruling.height, ruling.protocol))
        return ACCEPTED

    def add(self, new: Validator) -> int:
        if len(self.validators) >= MEMBERS_MAX:
            return LIMIT_EXCEEDED
        fault = self.fault_of(new, None)
        if fault == ACCEPTED:
            self.validators.append(new)
            self.remember(new)
        return fault

    def remove(self, ruling: Remove) -> int:
        at = self.find(ruling.key_id)
        if at is None:
            return NOT_FOUND
        if len(self.validators) == 1:
            return CONFLICT
        del self.validators[at]
        return ACCEPTED

    def replace(self, ruling: Replace) -> int:
        at = self.find(ruling.old)
        if at is None:
            return NOT_FOUND
        old = self.validators[at]
        if (old.vote, old.checkpoint) == (ruling.new.vote, ruling.new.checkpoint):
            return CONFLICT
        fault = self.fault_of(ruling.new, old)
        if fault == ACCEPTED:
            self.validators[at] = ruling.new
            self.remember(ruling.new)
        return fault

    def find(self, voter: bytes) -> int | None:
        return next((at for at, one in enumerate(self.validators) if key_id(one.vote.key) == voter), None)

    def fault_of(self, new: Validator, old: Validator | None) -> int:
        """What is wrong with a new validator, in the place of an old one, if there is one: it may keep what that had."""
        if new.vote.key == new.checkpoint.key:
            return BAD_REQUEST
        if new.name in self.names and (old is None or new.name != old.name):
            return CONFLICT
        changed: list[EnrolledKey] = []
        if old is None or new.vote != old.vote:
            changed.append(new.vote)
        if old is None or new.checkpoint != old.checkpoint:
            changed.append(new.checkpoint)
        if any(one.key in self.keys for one in changed):
            return CONFLICT
        chain = self.genesis.chain_id
        return ACCEPTED if all(is_admitted(one.key, one.possession, chain) for one in changed) else BAD_REQUEST

    def remember(self, new: Validator) -> None:
        self.names.add(new.name)
        self.keys |= keys_of(new)


def keys_of(validator: Validator) -> set[bytes]:
    return {validator.vote.key, validator.checkpoint.key}
