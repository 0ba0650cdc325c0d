"""The chain (docs/format.md, sections 7, 8, 10 and 11): an export, block after block, up to its trailer."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO, TypeVar

import genesis as genesis_of
from codec import Malformed, Reader, tag, tagged_hash, u16, u32, u64
from genesis import GENESIS_BYTES_MAX, MEMBERS_MAX, Genesis
from governing import PROTOCOL
from keys import is_signature
from ledger import Invalid, Ledger
from tree import Tree, leaf_hash, root_of

T = TypeVar("T")
U = TypeVar("U")

START = tag("writ/export/v1")
BLOCK_BYTES_MAX = 1048576
BLOCK_RECORDS_MAX = 4096
FRAME_BYTES_MAX = 1060936
HEADER_BYTES = 178
TRAILER_BYTES = 112
ZERO = bytes(32)


class Finding(Exception):
    """The first thing that does not hold: in which block (none: outside all), in which part, and what."""

    def __init__(self, height: int | None, part: str, detail: str) -> None:
        self.height, self.part, self.detail = height, part, detail
        place = part if height is None else f"block {height}, {part}"
        super().__init__(f"{place}: {detail}")


class File:
    """An export that is read from front to back, and the digest of what was read."""

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self.digest = hashlib.sha256()

    def take(self, count: int) -> bytes:
        taken = self.take_up_to(count)
        if len(taken) < count:
            raise Malformed(f"{count} bytes expected, the file ends after {len(taken)}")
        return taken

    def take_up_to(self, count: int) -> bytes:
        taken = self.file.read(count)
        self.digest.update(taken)
        return taken


@dataclass(frozen=True)
class Header:
    version: int
    chain: bytes
    height: int
    previous: bytes
    time: int
    proposer: bytes
    records: bytes
    result: bytes

    @staticmethod
    def read(reader: Reader) -> Header:
        return Header(
            reader.u16(),
            reader.digest(),
            reader.u64(),
            reader.digest(),
            reader.time(),
            reader.digest(),
            reader.digest(),
            reader.digest(),
        )


@dataclass(frozen=True)
class Certificate:
    height: int
    round: int
    block: bytes
    signatures: list[tuple[bytes, bytes]]

    @staticmethod
    def read(reader: Reader) -> Certificate:
        return Certificate(
            reader.u64(),
            reader.u32(),
            reader.digest(),
            reader.list(lambda: (reader.digest(), reader.signature()), 0, MEMBERS_MAX),
        )


class Chain:
    """What was verified so far."""

    def __init__(self, genesis: Genesis) -> None:
        self.genesis = genesis
        self.ledger = Ledger(genesis)
        self.log = Tree()
        self.previous = genesis.chain_id
        # The time of each block; at 0 the genesis time.
        self.times = [genesis.time]

    @property
    def height(self) -> int:
        return len(self.times) - 1

    def append(self, frame: bytes) -> None:
        """Verifies the next block and takes it."""
        height = self.height + 1
        governing = self.ledger.governing
        protocol = governing.protocol_at(height)
        part = "frame"
        try:
            reader = Reader(frame)
            block = reader.blob(FRAME_BYTES_MAX)
            certificate = Certificate.read(reader)
            reader.end()
            if protocol > PROTOCOL:
                raise Finding(height, "header version", f"protocol {protocol} is in force, {PROTOCOL} is spoken here")
            part = "block"
            if len(block) > BLOCK_BYTES_MAX:
                raise Malformed(f"at most {BLOCK_BYTES_MAX} bytes expected, found {len(block)}")
            reader = Reader(block)
            header = Header.read(reader)
            records = reader.list(lambda: reader.blob(BLOCK_BYTES_MAX), 0, BLOCK_RECORDS_MAX)
            reader.end()
        except Malformed as error:
            raise Finding(height, part, str(error)) from error
        # A block from elsewhere is called that, and not by what its records lack here.
        self.expect(height, header, "chain", self.genesis.chain_id)
        self.expect(height, header, "height", height)
        read = self.each_record(height, records, self.ledger.read)
        self.expect(height, header, "version", protocol)
        self.expect(height, header, "previous", self.previous)
        if header.time <= self.times[-1]:
            raise Finding(height, "header time", f"later than {self.times[-1]} expected, found {header.time}")
        # Those of this height: what its records change of them counts from the next one on.
        voters = governing.voters()
        if header.proposer not in voters:
            raise Finding(height, "header proposer", f"{header.proposer.hex()} is no validator's voting key")
        self.expect(height, header, "records", root_of(records))
        first = self.log.size
        self.ledger.begin_block(height, header.time, first)
        for record in records:
            self.log.append(leaf_hash(record))
        places = itertools.count(first)
        outcomes = self.each_record(height, read, lambda record: self.ledger.judge(record, next(places)))
        executed = b"".join(
            [
                root_of(u16(outcome) for outcome in outcomes),
                governing.validators_hash(),
                ZERO,
                u64(self.log.size),
                self.log.root(),
            ]
        )
        self.expect(height, header, "result", tagged_hash("writ/result/v1", executed))
        encoded_header = block[:HEADER_BYTES]
        block_hash = tagged_hash("writ/block/v1", encoded_header)
        fault = self.fault_of_certificate(height, block_hash, certificate, voters)
        if fault is not None:
            raise Finding(height, "certificate", fault)
        commit_leaf = tag("commit/writ/v1") + u16(1) + encoded_header + executed
        self.previous = leaf_hash(commit_leaf)
        self.log.append(self.previous)
        self.times.append(header.time)

    def expect(self, height: int, header: Header, member: str, expected: int | bytes) -> None:
        found = getattr(header, member)
        if found != expected:
            raise Finding(height, f"header {member}", f"{shown(expected)} expected, found {shown(found)}")

    def each_record(self, height: int, records: list[T], do: Callable[[T], U]) -> list[U]:
        done = []
        for at, record in enumerate(records):
            try:
                done.append(do(record))
            except Invalid as error:
                raise Finding(height, f"record {at}", str(error)) from error
        return done

    def fault_of_certificate(
        self, height: int, block_hash: bytes, certificate: Certificate, voters: dict[bytes, bytes]
    ) -> str | None:
        if (certificate.height, certificate.block) != (height, block_hash):
            return "is of another block"
        signers = {signer for signer, _ in certificate.signatures}
        if len(signers) != len(certificate.signatures):
            return "a signer stands twice"
        for signer, signature in certificate.signatures:
            key = voters.get(signer)
            if key is None:
                return f"{signer.hex()} is no validator's voting key"
            # A precommit (1) for (1) this block.
            vote = u32(1) + u64(height) + u32(certificate.round) + b"\1" + block_hash + signer
            if not is_signature(key, signature, tag("writ/vote/v1") + self.genesis.chain_id + vote):
                return f"the vote of {signer.hex()} is not valid"
        quorum = 2 * len(voters) // 3 + 1
        return None if len(signers) >= quorum else f"{quorum} votes expected, found {len(signers)}"


def verify(opened: BinaryIO, chain_id: bytes | None) -> Chain:
    """Verifies a whole export. Without a chain id from elsewhere it may be the export of any chain."""
    file = File(opened)
    height, part = None, "start"
    try:
        if file.take(len(START)) != START:
            raise Malformed("is not that of an export")
        part = "genesis"
        genesis = genesis_of.decode(file.take(length(file.take(8), GENESIS_BYTES_MAX)))
        if chain_id is not None and genesis.chain_id != chain_id:
            raise Malformed(f"chain {chain_id.hex()} expected, found {genesis.chain_id.hex()}")
        chain = Chain(genesis)
        while True:
            height, part = None, "trailer"
            prefix = file.take_up_to(8)
            if not prefix:
                raise Malformed("there is none: the file ends between frames")
            if prefix == bytes(8):
                break
            height, part = chain.height + 1, "frame"
            chain.append(file.take(length(prefix, FRAME_BYTES_MAX)))
        digest = file.digest.digest()
        check_trailer(chain, Reader(file.take(TRAILER_BYTES)), digest)
        part = "end"
        if file.take_up_to(1):
            raise Malformed("something follows the trailer")
    except Malformed as error:
        raise Finding(height, part, str(error)) from error
    return chain


def length(prefix: bytes, longest: int) -> int:
    """The length that these eight bytes say."""
    found = int.from_bytes(prefix, "little")
    if len(prefix) != 8 or not 1 <= found <= longest:
        raise Malformed(f"a length of 1 to {longest} in eight bytes expected, found {found} in {len(prefix)}")
    return found


def check_trailer(chain: Chain, reader: Reader, digest: bytes) -> None:
    """The trailer as it must be, member by member."""
    for member, expected, found in (
        ("height", chain.height, reader.u64()),
        ("log_size", chain.log.size, reader.u64()),
        ("log_root", chain.log.root(), reader.digest()),
        ("commit_leaf", chain.previous, reader.digest()),
        ("digest", digest, reader.digest()),
    ):
        if found != expected:
            raise Malformed(f"{member} {shown(expected)} expected, found {shown(found)}")


def shown(value: int | bytes) -> str:
    return value.hex() if isinstance(value, bytes) else str(value)
