"""Narrowing never widens: the rule every edge below another must pass."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from delegations.rules import Authority, earliest_expiry, mirrored_hops, widening

NOW = datetime(2026, 1, 1, tzinfo=UTC)
DIMENSIONS = (
    "scopes",
    "resource_ids",
    "max_hops",
    "expires_at",
    "ttl_seconds",
    "budget",
)
names = st.frozensets(st.sampled_from("abcd"))
seconds = st.integers(1, 100)
moments = st.builds(lambda s: NOW + timedelta(seconds=s), seconds)

authorities = st.builds(
    Authority,
    scopes=names,
    resource_ids=st.none() | names.filter(bool),
    max_hops=st.integers(1, 10),
    expires_at=moments,
    ttl_seconds=st.none() | seconds,
    budget=st.none() | st.integers(1, 6),
)


def is_within(child: Authority, parent: Authority) -> bool:
    """Whether everything the child grants the parent grants as well, dimension by
    dimension. Said differently from the rule on purpose."""
    everything = frozenset("abcd")
    return all(
        [
            not child.scopes - parent.scopes,
            not (child.resource_ids or everything)
            - (parent.resource_ids or everything),
            child.resource_ids is not None or parent.resource_ids is None,
            child.max_hops < parent.max_hops,
            parent.ttl_seconds is None
            or (child.ttl_seconds or float("inf")) <= parent.ttl_seconds,
            parent.budget is None
            or (child.budget or len(child.scopes)) <= parent.budget,
        ]
    )


@given(child=authorities, parent=authorities)
def test_narrowing_never_widens(child: Authority, parent: Authority) -> None:
    refused = widening(child, parent, explicit_expiry=child.expires_at)
    if not refused:
        assert is_within(child, parent)
        assert child.expires_at <= parent.expires_at
    else:
        assert not (is_within(child, parent) and child.expires_at <= parent.expires_at)


@given(
    first=authorities,
    candidates=st.lists(
        st.tuples(authorities, st.sets(st.sampled_from(DIMENSIONS))), max_size=12
    ),
)
def test_the_last_of_a_chain_is_within_its_first(
    first: Authority, candidates: list[tuple[Authority, set[str]]]
) -> None:
    chain = [first]
    for other, dimensions in candidates:
        # Its parent with one hop less, but for a few dimensions.
        changed = {name: getattr(other, name) for name in dimensions}
        shorter = max(1, chain[-1].max_hops - 1)
        child = replace(chain[-1], **{"max_hops": shorter} | changed)
        if not widening(child, chain[-1], explicit_expiry=child.expires_at):
            chain.append(child)
    last = chain[-1]
    assert last.max_hops <= first.max_hops - (len(chain) - 1)
    assert last.expires_at <= first.expires_at
    # No more scopes can be spent than there are.
    spent = min(len(last.scopes), last.budget or len(last.scopes))
    assert len(chain) == 1 or is_within(replace(last, budget=spent), first)


@given(parent=authorities.filter(lambda parent: parent.max_hops > 1))
def test_the_same_authority_with_one_hop_less_is_within(parent: Authority) -> None:
    child = replace(parent, max_hops=mirrored_hops(parent.max_hops))
    assume(parent.budget is None or len(parent.scopes) <= parent.budget)
    assert widening(child, parent, explicit_expiry=parent.expires_at) == ""


WIDE = Authority(
    scopes=frozenset("ab"),
    resource_ids=frozenset("ab"),
    max_hops=3,
    expires_at=NOW + timedelta(hours=1),
    ttl_seconds=60,
    budget=2,
)
NARROW = replace(WIDE, max_hops=2)


@pytest.mark.parametrize(
    ("changes", "dimension"),
    [
        ({}, ""),
        ({"scopes": frozenset()}, ""),
        ({"scopes": frozenset("abc")}, "scopes"),
        ({"resource_ids": frozenset("a")}, ""),
        ({"resource_ids": frozenset("ac")}, "resources"),
        ({"resource_ids": None}, "resources"),
        ({"max_hops": 3}, "max_hops"),
        ({"ttl_seconds": 61}, "ttl_seconds"),
        ({"ttl_seconds": None}, "ttl_seconds"),
        ({"budget": 3}, "budget"),
        ({"budget": None}, ""),
    ],
    # Sets print in any order, and every test process must find the same names.
    ids=lambda value: "-".join(value) if isinstance(value, dict) else value,
)
def test_each_dimension_is_compared(changes: dict[str, object], dimension: str) -> None:
    child = replace(NARROW, **changes)
    assert widening(child, WIDE, explicit_expiry=None) == dimension


def test_an_edge_for_one_resource_is_never_taken_for_a_broad_one() -> None:
    gone = replace(WIDE, resource_ids=frozenset())
    assert widening(NARROW, gone, explicit_expiry=None) == "resources"


def test_a_broad_edge_may_be_narrowed_to_any_resource() -> None:
    broad = replace(WIDE, resource_ids=None)
    assert widening(NARROW, broad, explicit_expiry=None) == ""
    assert (
        widening(replace(NARROW, resource_ids=None), broad, explicit_expiry=None) == ""
    )


def test_an_explicit_end_after_the_parent_s_is_widening() -> None:
    later = WIDE.expires_at + timedelta(microseconds=1)
    assert widening(NARROW, WIDE, explicit_expiry=later) == "expires_at"
    assert widening(NARROW, WIDE, explicit_expiry=WIDE.expires_at) == ""


def test_nothing_follows_an_edge_without_hops() -> None:
    last = replace(WIDE, max_hops=1)
    assert (
        widening(replace(NARROW, max_hops=1), last, explicit_expiry=None) == "max_hops"
    )


@given(
    own=st.none() | moments,
    constraint=st.none() | moments,
    ttl=st.none() | seconds,
    parent=st.none() | moments,
)
def test_an_edge_ends_with_the_earliest_of_its_bounds(
    own: datetime | None,
    constraint: datetime | None,
    ttl: int | None,
    parent: datetime | None,
) -> None:
    found = earliest_expiry(
        NOW,
        expires_at=own,
        constraint_expires_at=constraint,
        ttl_seconds=ttl,
        parent_expires_at=parent,
    )
    by_ttl = NOW + timedelta(seconds=ttl) if ttl else None
    bounds = [bound for bound in (own, constraint, by_ttl) if bound]
    if not bounds:
        assert found is None
    else:
        assert found == min(bounds + ([parent] if parent else []))
