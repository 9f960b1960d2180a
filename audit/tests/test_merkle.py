"""The trees of RFC 6962: their roots, and what their proofs prove."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from audit.ledger import merkle, offline
from audit.ledger.merkle import Tree, leaf_hash, node_hash

# The test vectors of Certificate Transparency: eight leaves and their root.
LEAVES = [
    bytes.fromhex(text)
    for text in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
ROOT = "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"
sizes = st.integers(1, 700)


def contents(size: int) -> list[bytes]:
    return [str(nth).encode() for nth in range(size)]


def root_by_definition(leaves: list[bytes]) -> bytes:
    """RFC 6962, 2.1, word for word."""
    if not leaves:
        return bytes.fromhex(
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        )
    if len(leaves) == 1:
        return leaf_hash(leaves[0])
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return node_hash(
        root_by_definition(leaves[:split]), root_by_definition(leaves[split:])
    )


def grown(leaves: list[bytes]) -> Tree:
    tree = Tree()
    for leaf in leaves:
        tree.add(leaf)
    return tree


def path_of(ranges: list[list[merkle.Place]], leaves: list[bytes]) -> list[bytes]:
    return [
        merkle.folded(
            [
                root_by_definition(leaves[place << level : (place + 1) << level])
                for level, place in several
            ]
        )
        for several in ranges
    ]


def test_the_published_vector_holds() -> None:
    assert grown(LEAVES).root().hex() == ROOT
    assert leaf_hash(b"").hex() == (
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
    )


@given(st.integers(0, 300))
def test_a_tree_that_grew_has_the_root_of_its_definition(size: int) -> None:
    leaves = contents(size)
    assert grown(leaves).root() == root_by_definition(leaves)
    own = offline.Tree()
    for leaf in leaves:
        own.add(leaf)
    assert own.root() == root_by_definition(leaves)


def test_subtrees_of_kept_levels_are_told_as_they_are_completed() -> None:
    tree, leaves = Tree(), contents(600)
    told = [node for leaf in leaves for node in tree.add(leaf)]
    assert told == [
        (8, 0, root_by_definition(leaves[:256])),
        (8, 1, root_by_definition(leaves[256:512])),
    ]


@given(st.data(), sizes)
def test_an_inclusion_proof_proves_its_leaf_and_no_other(
    data: st.DataObject, size: int
) -> None:
    index = data.draw(st.integers(0, size - 1))
    leaves = contents(size)
    root = root_by_definition(leaves)
    path = path_of(merkle.inclusion_path(index, size), leaves)
    assert merkle.proves_inclusion(leaves[index], index, size, path, root)
    assert not merkle.proves_inclusion(b"another", index, size, path, root)
    assert not merkle.proves_inclusion(leaves[index], index, size, path, b"\0" * 32)
    assert not merkle.proves_inclusion(
        leaves[index], index, size, [*path, b"\0" * 32], root
    )
    if size > 1:
        other = (index + 1) % size
        assert not merkle.proves_inclusion(leaves[index], other, size, path, root)


@given(st.data(), sizes)
def test_a_consistency_proof_proves_growth_and_nothing_else(
    data: st.DataObject, second: int
) -> None:
    first = data.draw(st.integers(1, second))
    leaves = contents(second)
    old, new = root_by_definition(leaves[:first]), root_by_definition(leaves)
    path = path_of(merkle.consistency_path(first, second), leaves)
    assert merkle.proves_consistency(first, second, path, old, new)
    if first < second:
        forged = root_by_definition([b"forged", *leaves[1:first]])
        assert not merkle.proves_consistency(first, second, path, forged, new)
        assert not merkle.proves_consistency(first, second, path, old, b"\0" * 32)
        assert not merkle.proves_consistency(first, second, path[:-1], old, new)
