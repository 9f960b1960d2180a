"""Agents on the Management API."""

from __future__ import annotations

from typing import Any

import pytest

from caracal_site.testing.api import Api, refusal
from caracal_site.testing.world import World


def rows(api: Api, world: World, query: str = "") -> Any:
    answer = api.get(f"/v1/zones/{world.zone.id}/agent-sessions{query}")
    assert answer.status_code == 200, answer.content
    return answer.json()["rows"]


def test_agents_are_listed_newest_first(api: Api, world: World) -> None:
    root = world.spawn(labels=["red", "two words"])
    child = world.spawn(root)
    world.terminate(child)
    found = rows(api, world)
    assert [row["id"] for row in found] == [
        child["agent_session_id"],
        root["agent_session_id"],
    ]
    assert list(found[0]) == [
        "id",
        "application_id",
        "parent_id",
        "status",
        "lifecycle",
        "labels",
        "depth",
        "child_count",
        "spawned_at",
        "last_active_at",
        "terminated_at",
        "termination_reason",
        "ttl_seconds",
    ]
    assert (found[0]["status"], found[0]["depth"]) == ("terminated", 1)
    assert found[0]["parent_id"] == root["agent_session_id"]
    assert found[1]["labels"] == ["red", "two words"]


def test_agents_are_narrowed(api: Api, world: World) -> None:
    root = world.spawn(labels=["a,b", '{"x'])
    child = world.spawn(root, labels=["b"])

    def found(query: str) -> list[str]:
        return [row["id"] for row in rows(api, world, f"?{query}")]

    mother, daughter = root["agent_session_id"], child["agent_session_id"]
    assert found("label=a%2Cb") == found("label=%7B%22x") == [mother]
    assert found("label=%20") == found("label=a") == found("label=NULL") == []
    assert found(f"parent_id={mother}") == [daughter]
    assert found("status=active&lifecycle=task") == [daughter, mother]
    assert found("status=expired") == []
    assert found("application_id=other") == []


@pytest.mark.parametrize(
    "query", ["status=odd", "lifecycle=odd", f"label={'x' * 65}", "label=", "odd=1"]
)
def test_a_question_nobody_can_ask_is_refused(
    api: Api, world: World, query: str
) -> None:
    answer = api.get(f"/v1/zones/{world.zone.id}/agent-sessions?{query}")
    assert refusal(answer) == (400, "invalid_query")
