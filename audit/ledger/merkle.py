"""Merkle trees as RFC 6962 has them: hashing, growing, and what proofs consist of.

A tree is known by its peaks, the roots of the whole subtrees it is made of from left
to right, so that it grows by a leaf in constant memory. Everything here is pure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from hashlib import sha256

LEAF, NODE = b"\x00", b"\x01"
# Roots of subtrees of every eighth level are kept; the others follow from these.
KEPT_LEVELS = 8
Place = tuple[int, int]  # level and index of a whole subtree
Read = Callable[[Sequence[Place]], Sequence[bytes]]


def leaf_hash(content: bytes) -> bytes:
    return sha256(LEAF + content).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    return sha256(NODE + left + right).digest()


class Tree:
    """A tree that grows at its right side."""

    def __init__(self, size: int = 0, peaks: Sequence[bytes] = ()) -> None:
        if size.bit_count() != len(peaks):
            raise ValueError("the peaks are not those of a tree of this size")
        self.size = size
        self.peaks = list(peaks)

    def add(self, content: bytes) -> list[tuple[int, int, bytes]]:
        """Adds a leaf. Returns the subtrees of kept levels that it completes."""
        found = []
        hashed = sha256(LEAF + content).digest()
        size, level = self.size, 0
        while size >> level & 1:
            hashed = sha256(NODE + self.peaks.pop() + hashed).digest()
            level += 1
            if level % KEPT_LEVELS == 0:
                found.append((level, size >> level, hashed))
        self.peaks.append(hashed)
        self.size = size + 1
        return found

    def root(self) -> bytes:
        if not self.peaks:
            return sha256(b"").digest()
        root = self.peaks[-1]
        for peak in reversed(self.peaks[:-1]):
            root = node_hash(peak, root)
        return root


def root_of(size: int, read: Read) -> bytes:
    """The root of the first ``size`` leaves; ``read`` knows the whole subtrees."""
    return Tree(size, read(list(peaks_of(0, size)))).root()


def inclusion_path(index: int, size: int) -> list[list[Place]]:
    """For each hash of the proof that leaf ``index`` is in the tree of ``size``, from
    the leaf upwards, the whole subtrees it is made of."""
    return [list(peaks_of(start, end)) for start, end in _siblings(index, 0, size)]


def _siblings(index: int, start: int, end: int) -> Iterator[tuple[int, int]]:
    if end - start <= 1:
        return
    split = start + _split(end - start)
    if index < split:
        yield from _siblings(index, start, split)
        yield split, end
    else:
        yield from _siblings(index, split, end)
        yield start, split


def consistency_path(first: int, second: int) -> list[list[Place]]:
    """For each hash of the proof that the tree of ``second`` leaves begins with that of
    ``first``, the whole subtrees it is made of."""
    if not 0 < first < second:
        return []
    return [
        list(peaks_of(start, end)) for start, end in _subproof(first, 0, second, True)
    ]


def _subproof(
    first: int, start: int, end: int, is_known: bool
) -> Iterator[tuple[int, int]]:
    if start + first == end:
        if not is_known:
            yield start, end
        return
    half = _split(end - start)
    if first <= half:
        yield from _subproof(first, start, start + half, is_known)
        yield start + half, end
    else:
        yield from _subproof(first - half, start + half, end, False)
        yield start, start + half


def _split(size: int) -> int:
    """The largest power of two smaller than ``size``."""
    return 1 << (size - 1).bit_length() - 1


def peaks_of(start: int, end: int) -> Iterator[Place]:
    """The whole subtrees that the leaves of a range are made of, left to right; the
    range begins where a subtree as large as itself would."""
    while start < end:
        level = (end - start).bit_length() - 1
        yield level, start >> level
        start += 1 << level


def folded(peaks: Sequence[bytes]) -> bytes:
    """The hash of a range from the whole subtrees it is made of."""
    root = peaks[-1]
    for peak in reversed(peaks[:-1]):
        root = node_hash(peak, root)
    return root


def proves_inclusion(
    content: bytes, index: int, size: int, path: Sequence[bytes], root: bytes
) -> bool:
    """Whether ``path`` leads from the leaf to the root (RFC 9162, 2.1.3.2)."""
    if not 0 <= index < size:
        return False
    place, last, hashed = index, size - 1, leaf_hash(content)
    for sibling in path:
        if last == 0:
            return False
        if place & 1 or place == last:
            hashed = node_hash(sibling, hashed)
            while not place & 1 and place:
                place, last = place >> 1, last >> 1
        else:
            hashed = node_hash(hashed, sibling)
        place, last = place >> 1, last >> 1
    return last == 0 and hashed == root


def proves_consistency(
    first: int, second: int, path: Sequence[bytes], first_root: bytes, root: bytes
) -> bool:
    """Whether the tree of ``second`` leaves begins with that of ``first`` (RFC 9162,
    2.1.4.2)."""
    if first == second:
        return not path and first_root == root
    if not 0 < first < second or not path:
        return first == 0 and not path
    steps = list(path)
    if first & (first - 1) == 0:
        steps.insert(0, first_root)
    place, last = first - 1, second - 1
    while place & 1:
        place, last = place >> 1, last >> 1
    old = new = steps[0]
    for step in steps[1:]:
        if last == 0:
            return False
        if place & 1 or place == last:
            old, new = node_hash(step, old), node_hash(step, new)
            while not place & 1 and place:
                place, last = place >> 1, last >> 1
        else:
            new = node_hash(new, step)
        place, last = place >> 1, last >> 1
    return last == 0 and old == first_root and new == root
