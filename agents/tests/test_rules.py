"""The pure rules of agents."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents import errors
from agents.rules import Limits, shared_out, spawn_refusal, within_subtree
from caracal_site.actors import Actor, ActorKind

LIVES = st.lists(st.integers(-50, 50), min_size=1, max_size=16)


@given(cap=st.integers(0, 500), lives=LIVES, data=st.data())
def test_sharing_out_gives_every_place_to_somebody_and_none_twice(
    cap: int, lives: list[int], data: st.DataObject
) -> None:
    wanted = data.draw(st.integers(0, len(lives) - 1))
    quotas = shared_out(cap, lives, wanted)
    if sum(lives) >= cap:
        assert quotas is None
        return
    assert quotas is not None
    assert sum(quotas) == cap
    assert all(live <= quota for live, quota in zip(lives, quotas, strict=True))
    assert quotas[wanted] > lives[wanted]
    free = [quota - live for live, quota in zip(lives, quotas, strict=True)]
    assert max(free) - min(free) <= 1


@given(cap=st.integers(1, 60), data=st.data())
def test_no_sequence_of_spawns_and_ends_passes_the_cap(
    cap: int, data: st.DataObject
) -> None:
    lives = [0] * 4
    quotas = [0] * 4
    for _ in range(data.draw(st.integers(1, 80))):
        slot = data.draw(st.integers(0, 3))
        if data.draw(st.booleans()) and sum(lives):
            lives[slot] -= 1
            continue
        if lives[slot] >= quotas[slot]:
            shared = shared_out(cap, lives, slot)
            if shared is None:
                assert sum(lives) == cap
                continue
            quotas = shared
        lives[slot] += 1
        assert 0 <= sum(lives) <= cap


def test_a_subtree_is_its_root_and_what_has_it_above() -> None:
    assert within_subtree("root", "root", [])
    assert within_subtree("root", "leaf", ["top", "root", "mid"])
    assert not within_subtree("root", "leaf", ["top"])
    assert not within_subtree("root", None, [])


def caller(*scopes: str, **fields: Any) -> Actor:
    return Actor(
        kind=ActorKind.APPLICATION,
        id="app",
        name="app",
        client_id="app",
        scopes=frozenset(scopes),
        **fields,
    )


MANAGED = {"registration_method": "managed", "has_live_agent": False}
DYNAMIC = {"registration_method": "dcr", "has_live_agent": False}
PARENT = {
    "id": "parent",
    "application_id": "app",
    "lifecycle": "service",
    "depth": 0,
    "child_count": 0,
    "narrowed": False,
    "ancestor_ids": [],
    "usable": True,
    "registration_method": "managed",
}
FACTS = {"application": MANAGED, "subject_session_usable": True, "parent": None}
UNDER = FACTS | {"parent": PARENT}


def under(**changes: Any) -> dict[str, Any]:
    return FACTS | {"parent": PARENT | changes}


def refusal_of(facts: dict[str, Any], actor: Actor | None = None, **given: Any) -> Any:
    found = spawn_refusal(
        actor or caller(),
        lifecycle=given.get("lifecycle", "task"),
        application_id="app",
        parent_id="parent" if facts["parent"] or given.get("parent") else None,
        facts=facts,
        limits=Limits(max_children=3, max_depth=2),
    )
    return type(found) if found else None


@pytest.mark.parametrize(
    ("facts", "given", "refusal"),
    [
        (FACTS, {}, None),
        (UNDER, {}, None),
        (FACTS | {"application": None}, {}, errors.ApplicationNotFound),
        (FACTS | {"application": DYNAMIC}, {}, None),
        (
            FACTS | {"application": DYNAMIC},
            {"lifecycle": "service"},
            errors.DcrCannotHostService,
        ),
        (UNDER | {"application": DYNAMIC}, {}, errors.DcrCannotBeChild),
        (FACTS | {"subject_session_usable": False}, {}, errors.SessionNotFound),
        (
            FACTS | {"application": DYNAMIC | {"has_live_agent": True}},
            {},
            errors.DcrAlreadyBound,
        ),
        (FACTS, {"parent": True}, errors.ParentNotFound),
        (under(usable=False), {}, errors.ParentNotFound),
        (under(registration_method="dcr"), {}, errors.DcrCannotSpawn),
        (
            under(lifecycle="task"),
            {"lifecycle": "service"},
            errors.TaskCannotSpawnService,
        ),
        (under(lifecycle="task"), {}, None),
        (under(), {"lifecycle": "service"}, None),
        (under(application_id="other"), {}, errors.ParentOwnershipRequired),
        (under(child_count=2), {}, None),
        (under(child_count=3), {}, errors.ChildrenLimitExceeded),
        (under(depth=1), {}, None),
        (under(depth=2), {}, errors.DepthLimitExceeded),
    ],
)
def test_spawning_is_refused_for_the_first_reason_of_the_contract(
    facts: dict[str, Any], given: dict[str, Any], refusal: type[Exception] | None
) -> None:
    assert refusal_of(facts, **given) is refusal


def test_the_reasons_come_in_the_order_of_the_contract() -> None:
    everything_wrong = {
        "application": DYNAMIC | {"has_live_agent": True},
        "subject_session_usable": False,
        "parent": PARENT | {"usable": False},
    }
    assert (
        refusal_of(everything_wrong, lifecycle="service") is errors.DcrCannotHostService
    )
    assert refusal_of(everything_wrong) is errors.DcrCannotBeChild
    managed = everything_wrong | {"application": MANAGED}
    assert refusal_of(managed) is errors.SessionNotFound


def test_spawning_under_another_application_takes_its_scope_and_admin_is_not_it() -> (
    None
):
    foreign = under(application_id="other")
    assert refusal_of(foreign, caller("coordinator.spawn_under:other")) is None
    for scope in (
        "coordinator.admin",
        "coordinator.spawn_under:app",
        "coordinator.spawn_under:",
    ):
        assert refusal_of(foreign, caller(scope)) is errors.ParentOwnershipRequired


def test_a_bound_caller_spawns_only_within_its_subtree() -> None:
    bound = caller(agent_session_id="parent")
    assert refusal_of(UNDER, bound) is None
    assert refusal_of(under(id="below", ancestor_ids=["parent"]), bound) is None
    assert refusal_of(under(id="beside"), bound) is errors.OutsideAgentSubtree
    assert refusal_of(FACTS, bound) is errors.OutsideAgentSubtree
