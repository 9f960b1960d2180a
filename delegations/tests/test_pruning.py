"""W45: ended edges are not kept for ever, and none goes that something still names."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
from django.conf import LazySettings
from django.conf import settings as configured
from django.db import connection

from agents.models import AgentSession
from audit.models import AdminAuditEvent, OutboxEvent
from caracal_site import facts, jobs, operations
from caracal_site.models import JobRun
from caracal_site.testing.ageing import days_ago, id_made
from caracal_site.testing.races import Threads, held
from caracal_site.testing.world import World, made
from delegations import services, tasks
from delegations.models import DelegationEdge
from tokens.models import StepUpChallenge
from tokens.tests.factories import make_session

DAYS = 90
Made = dict[str, Any]


@pytest.fixture(autouse=True)
def retention(settings: LazySettings) -> None:
    settings.DELEGATION_RETENTION_DAYS = DAYS


class Past:
    """Edges between two agents of a zone, as they were made so many days ago."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.source = world.agent(world.spawn())
        self.target = world.agent(world.spawn())

    def edge(
        self, days: float = 100, *, above: DelegationEdge | None = None, **fields: Any
    ) -> DelegationEdge:
        """An edge that was made a day before it expired, so many days ago."""
        edge_id = id_made(days + 1)
        defaults = {"status": "expired", "expires_at": days_ago(days)}
        return DelegationEdge.objects.create(
            id=edge_id,
            zone=self.world.zone,
            source_session=self.source,
            target_session=self.target,
            issuer_application_id=self.source.application_id,
            receiver_application_id=self.target.application_id,
            parent_edge=above,
            root_edge_id=above.root_edge_id if above else edge_id,
            depth=above.depth + 1 if above else 0,
            **(defaults | fields),
        )

    def chain(self, length: int) -> list[DelegationEdge]:
        """Edges each below the one before it, all of one moment."""
        edges: list[DelegationEdge] = []
        for _ in range(length):
            edges.append(self.edge(above=edges[-1] if edges else None))
        return edges


@pytest.fixture
def past(world: World) -> Past:
    return Past(world)


def are_there(*edges: DelegationEdge) -> list[bool]:
    ids = [edge.id for edge in edges]
    found = set(DelegationEdge.objects.filter(id__in=ids).values_list("id", flat=True))
    return [edge_id in found for edge_id in ids]


def assert_whole(edges: Sequence[DelegationEdge]) -> None:
    """What is there of a chain has everything above it."""
    there = are_there(*edges)
    assert there == sorted(there, reverse=True)


def test_what_ended_long_ago_goes_and_is_counted(
    past: Past, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(facts, "_last", None)
    before = operations.stats()["retention_cleaner"]["deleted_edges"]
    gone = [
        past.edge(),
        past.edge(status="revoked", revoked_at=days_ago(91), expires_at=days_ago(1)),
    ]
    tasks.prune_edges()
    assert are_there(*gone) == [False, False]
    monkeypatch.setattr(facts, "_last", None)
    assert operations.stats()["retention_cleaner"]["deleted_edges"] >= before + 2
    assert JobRun.objects.get(name="prune-edges").handled >= 2
    assert 'caracal_job_handled_total{job="prune-edges"} ' in operations.metrics_text()


def test_what_is_in_force_or_ended_lately_stays(past: Past) -> None:
    stay = [
        past.edge(89),
        past.edge(200, status="active", expires_at=days_ago(-1)),
        # Past its time, and not marked yet: the mark is what tells the others.
        past.edge(200, status="active"),
        past.edge(200, expires_at=days_ago(10)),
        past.edge(200, status="revoked", revoked_at=days_ago(89)),
    ]
    tasks.prune_edges()
    assert all(are_there(*stay))


def test_without_days_nothing_goes(past: Past, settings: LazySettings) -> None:
    edge = past.edge(4_000)
    settings.DELEGATION_RETENTION_DAYS = 0
    tasks.prune_edges()
    assert all(are_there(edge))


def test_an_edge_stays_as_long_as_one_below_it(past: Past) -> None:
    root = past.edge(200)
    middle = past.edge(150, above=root)
    leaf = past.edge(140, above=middle, expires_at=days_ago(80))
    aside = past.edge(150, above=root)
    tasks.prune_edges()
    assert are_there(root, middle, leaf, aside) == [True, True, True, False]
    DelegationEdge.objects.filter(id=leaf.id).update(expires_at=days_ago(91))
    tasks.prune_edges()
    assert not any(are_there(root, middle, leaf))


def test_a_lineage_goes_in_one_run_whatever_the_batches(
    past: Past, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "BATCH_SIZE", 3)
    chains = [past.chain(8) for _ in range(3)]
    tasks.prune_edges()
    assert not any(are_there(*(edge for chain in chains for edge in chain)))


def test_what_cannot_go_keeps_no_other_waiting(
    past: Past, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "BATCH_SIZE", 2)
    old = past.edge(300)
    parents = [past.edge(200) for _ in range(5)]
    for parent in parents:
        past.edge(above=parent, expires_at=days_ago(1))
    tasks.prune_edges()
    assert are_there(old, *parents) == [False, *[True] * 5]


def test_out_of_time_it_says_that_work_is_left(
    past: Past, monkeypatch: pytest.MonkeyPatch
) -> None:
    edge = past.edge()
    # The clock is past any bound from the first look on.
    monkeypatch.setitem(jobs.from_youngest.__kwdefaults__, "seconds", -1.0)
    assert services.prune_edges(DAYS).backlog >= 1
    assert all(are_there(edge))


def test_what_a_token_that_can_be_used_names_stays(past: Past) -> None:
    used, ended = past.edge(), past.edge()
    for edge, fields in ((used, {}), (ended, {"status": "revoked"})):
        session = make_session(
            past.world.application,
            agent_session_id=past.target.id,
            delegation_edge_id=edge.id,
            **fields,
        )
        type(session).objects.filter(id=session.id).update(created_at=days_ago(101))
    tasks.prune_edges()
    assert are_there(used, ended) == [True, False]


@pytest.mark.parametrize(
    ("state", "stays"), [("pending", True), ("rejected", False), ("expired", False)]
)
def test_what_a_request_for_approval_that_waits_names_stays(
    past: Past, state: str, stays: bool
) -> None:
    edge = past.edge()
    challenge = StepUpChallenge.objects.create(
        zone=past.world.zone,
        application_id=past.world.application.id,
        agent_session_id=past.target.id,
        delegation_edge_id=edge.id,
        ttl_seconds=900,
        binding_hash=os.urandom(32),
        state=state,
        expires_at=days_ago(-1),
    )
    StepUpChallenge.objects.filter(id=challenge.id).update(created_at=days_ago(101))
    tasks.prune_edges()
    assert are_there(edge) == [stays]


def test_its_evidence_stays_and_nobody_gains_authority(world: World) -> None:
    a, b = world.spawn(), world.spawn()
    edge = made(world.try_delegate(a, b))
    DelegationEdge.objects.filter(id=edge["delegation_edge_id"]).update(
        id=id_made(100), status="expired", expires_at=days_ago(91)
    )
    path = f"/agents/{b['agent_session_id']}/effective-authority"
    authority = world.get(path).json()
    epoch = world.epoch()

    def evidence() -> tuple[int, int]:
        rows = AdminAuditEvent.objects.filter(zone_id=world.zone.id)
        news = OutboxEvent.objects.filter(zone_id=world.zone.id)
        return rows.count(), news.count()

    before = evidence()
    tasks.prune_edges()
    assert not DelegationEdge.objects.in_zone(world.zone.id).exists()
    assert evidence() == before
    assert world.get(path).json() == authority
    assert world.epoch() == epoch
    assert AgentSession.objects.get(id=b["agent_session_id"]).narrowed
    assert world.get(f"/delegations/{edge['delegation_edge_id']}").status_code == 404


def test_two_workers_at_once_remove_each_edge_once(
    past: Past, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "BATCH_SIZE", 5)
    services.prune_edges(DAYS)
    chains = [past.chain(4) for _ in range(15)]
    with Threads(2) as threads:
        runs = [threads.start(services.prune_edges, DAYS) for _ in range(2)]
        removed = sum(run.result().handled for run in runs)
    left = services.prune_edges(DAYS).handled
    assert removed + left == 60
    assert not any(are_there(*(edge for chain in chains for edge in chain)))


def test_an_edge_that_somebody_has_locked_is_left_to_the_next_run(past: Past) -> None:
    busy, free = past.edge(), past.edge()
    with held(DelegationEdge.objects.filter(id=busy.id)), Threads(1) as threads:
        threads.start(services.prune_edges, DAYS).result(10)
        assert are_there(busy, free) == [True, False]
    services.prune_edges(DAYS)
    assert are_there(busy) == [False]


KILLED = """
import django
django.setup()
import os, signal
from caracal_site import jobs, statements
from delegations.tasks import prune_edges

jobs.BATCH_SIZE = 2
execute, runs = statements.execute, []

def until_the_third(name, parameters):
    runs.append(name)
    if len(runs) == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return execute(name, parameters)

statements.execute = until_the_third
prune_edges()
"""


def test_killed_in_the_middle_it_leaves_whole_lineages(past: Past) -> None:
    services.prune_edges(DAYS)
    chain = past.chain(6)
    url = urlsplit(configured.DATABASE_URL)
    database = quote(connection.settings_dict["NAME"])
    environment = {"DATABASE_URL": url._replace(path=f"/{database}").geturl()}
    ran = subprocess.run(
        [sys.executable, "-c", KILLED],
        env=os.environ | environment,
        cwd=configured.BASE_DIR,
        check=False,
    )
    assert ran.returncode == -signal.SIGKILL
    assert are_there(*chain) == [True] * 4 + [False] * 2
    assert_whole(chain)
    assert services.prune_edges(DAYS).handled == 4
