"""The Merkle tree of RFC 6962, as far as a verifier needs it: leaves are appended, the root is asked for."""

from __future__ import annotations

from collections.abc import Iterable

from codec import sha256


def leaf_hash(leaf: bytes) -> bytes:
    return sha256(b"\0" + leaf)


def node_hash(left: bytes, right: bytes) -> bytes:
    return sha256(b"\1" + left + right)


class Tree:
    """Only the roots of the perfect subtrees, largest first: one for each bit that is set in the size."""

    def __init__(self) -> None:
        self.size = 0
        self.peaks: list[bytes] = []

    def append(self, hash_of_leaf: bytes) -> None:
        # The new leaf closes a perfect subtree for each trailing 1 of the old size.
        size = self.size
        while size & 1:
            hash_of_leaf = node_hash(self.peaks.pop(), hash_of_leaf)
            size >>= 1
        self.peaks.append(hash_of_leaf)
        self.size += 1

    def root(self) -> bytes:
        if not self.peaks:
            return sha256(b"")
        root = self.peaks[-1]
        for peak in reversed(self.peaks[:-1]):
            root = node_hash(peak, root)
        return root


def root_of(leaves: Iterable[bytes]) -> bytes:
    tree = Tree()
    for leaf in leaves:
        tree.append(leaf_hash(leaf))
    return tree.root()
