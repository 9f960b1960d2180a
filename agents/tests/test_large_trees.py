"""Trees of ten thousand sessions rest, go on and end in one gesture each."""

from __future__ import annotations

from django.db.models import F

from agents.models import AgentSession, Capacity
from audit.models import OutboxEvent
from caracal_site.ids import new_id
from caracal_site.testing.world import World

BRANCHES, LEAVES = 100, 99
AGENTS = 1 + BRANCHES * (1 + LEAVES)


def plant(world: World) -> dict[str, str]:
    """A tree as its spawns would have left it; returns its root."""
    root = world.spawn()
    found = world.agent(root)

    def below(parent: AgentSession, count: int) -> list[AgentSession]:
        return [
            AgentSession(
                id=new_id(),
                zone_id=found.zone_id,
                application_id=found.application_id,
                subject_session_id=found.subject_session_id,
                parent_id=parent.id,
                ancestor_ids=[*parent.ancestor_ids, parent.id],
                depth=parent.depth + 1,
                child_count=LEAVES if parent is found else 0,
                expires_at=found.expires_at,
            )
            for _ in range(count)
        ]

    branches = below(found, BRANCHES)
    leaves = [leaf for branch in branches for leaf in below(branch, LEAVES)]
    AgentSession.objects.bulk_create([*branches, *leaves], batch_size=2_000)
    AgentSession.objects.filter(id=found.id).update(child_count=BRANCHES)
    scopes = [found.zone_id, found.application_id]
    more = F("live") + AGENTS - 1
    Capacity.objects.filter(scope_id__in=scopes, slot=0).update(
        live=more, quota=F("quota") + AGENTS
    )
    world.assert_sound()
    return root


def test_ten_thousand_rest_go_on_and_end(world: World) -> None:
    """W49: an end is not bounded by the parameters of a statement."""
    root = plant(world)
    assert world.suspend(root).json() == {"suspended": AGENTS}
    assert world.resume(root).json() == {"resumed": AGENTS}
    assert world.terminate(root).status_code == 204
    live = AgentSession.objects.in_zone(world.zone.id).live()
    assert not live.exists()
    assert world.room_taken() == 0
    world.assert_sound()
    news = OutboxEvent.objects.filter(zone_id=world.zone.id)
    for event in ("suspend", "resume", "terminate"):
        told = news.filter(payload_json__event=event)
        assert told.values("dedupe_key").distinct().count() == AGENTS, event
    # So that no other test has them to publish.
    news.delete()
