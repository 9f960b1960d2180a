"""Readiness, metrics and statistics."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import orjson
import pytest
from django.db import InterfaceError, connection
from django.db.models import F
from django.http import HttpResponse
from django.test import RequestFactory
from django.utils import timezone

from audit.models import OutboxEvent
from caracal_site import facts, health, log_counts, operations
from caracal_site.api import operations as views
from caracal_site.bounded import SharedRun
from caracal_site.ids import new_id
from caracal_site.models import JobRun
from caracal_site.tasks import HEARTBEAT, worker_heartbeat
from caracal_site.testing.client import Coordinator

FACTORY = RequestFactory()


@pytest.fixture
def is_up(settings: Any) -> None:
    """Every dependency answers; what other tests parked does not count."""
    worker_heartbeat()
    settings.API_READY_OUTBOX_DEAD_MAX = OutboxEvent.objects.parked().count()
    # Nor does it that nobody runs jobs here.
    settings.JOB_STUCK_PERIODS = 0


@pytest.fixture
def redis_is_away(settings: Any) -> None:
    settings.REDIS_URL = "redis://127.0.0.1:1/0"


@pytest.fixture(autouse=True)
def read_afresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(facts, "_last", None)


@pytest.fixture
def parked(zone: Any) -> Iterator[OutboxEvent]:
    row = OutboxEvent.objects.create(
        zone_id=zone.id,
        topic="t",
        producer="api",
        payload_json=[],
        parked_at="2026-01-01T00:00:00Z",
    )
    yield row
    row.delete()


def refusal(**extra: Any) -> dict[str, Any]:
    """The facts of the readiness answer, without what every error body has."""
    status, body = operations.readiness()
    assert status == 503
    assert body.pop("requestId")
    assert body.pop("error_description")
    assert body.pop("ok") is False
    return body


def database_that(work: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "_database", SharedRun(work))


@pytest.mark.usefixtures("is_up")
def test_with_everything_up_the_service_is_ready() -> None:
    assert operations.readiness() == (200, {"ok": True})


@pytest.mark.usefixtures("is_up")
def test_a_draining_process_is_not_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "_draining", threading.Event())
    health.begin_draining()
    assert refusal() == {"error": "draining", "draining": True}


@pytest.mark.usefixtures("redis_is_away")
def test_the_database_is_named_before_redis(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_call: Any) -> None:
        raise InterfaceError("connection already closed")

    def ask() -> Any:
        with connection.execute_wrapper(refuse):
            return health._ask_database()

    database_that(ask, monkeypatch)
    assert refusal() == {"error": "postgres_unreachable", "dependency": "postgres"}


@pytest.mark.usefixtures("is_up")
def test_a_database_that_hangs_is_unreachable_in_bounded_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answer = threading.Event()
    asked: list[int] = []

    def hang() -> None:
        asked.append(1)
        answer.wait(30)

    monkeypatch.setattr(health, "TIMEOUT_SECONDS", 0.05)
    database_that(hang, monkeypatch)
    for _ in range(3):
        assert refusal()["error"] == "postgres_unreachable"
    assert len(asked) == 1
    answer.set()


@pytest.mark.usefixtures("is_up", "redis_is_away")
def test_without_redis_the_service_is_not_ready() -> None:
    assert refusal() == {"error": "redis_unreachable", "dependency": "redis"}


@pytest.mark.usefixtures("is_up")
def test_an_outbox_that_cannot_be_read_is_not_ready() -> None:
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE job_runs RENAME TO job_runs_elsewhere")
        try:
            body = refusal()
        finally:
            cursor.execute("ALTER TABLE job_runs_elsewhere RENAME TO job_runs")
    assert body == {"error": "outbox_unreachable", "dependency": "postgres"}


def test_more_parked_events_than_allowed_are_not_ready(
    is_up: None, parked: OutboxEvent, settings: Any
) -> None:
    limit = settings.API_READY_OUTBOX_DEAD_MAX
    assert refusal() == {
        "error": "outbox_dead_messages",
        "deadCount": limit + 1,
        "limit": limit,
    }
    settings.API_READY_OUTBOX_DEAD_MAX = limit + 1
    assert operations.readiness()[0] == 200


@pytest.mark.usefixtures("is_up")
@pytest.mark.parametrize("is_known", [True, False])
def test_without_a_recent_heartbeat_the_service_is_not_ready(is_known: bool) -> None:
    beats = JobRun.objects.filter(name=HEARTBEAT)
    if is_known:
        beats.update(finished_at="2026-01-01T00:00:00Z")
    else:
        beats.delete()
    assert refusal() == {"error": "workers_unreachable", "dependency": "workers"}


def get(view: Any, path: str, method: str = "GET", **headers: str) -> HttpResponse:
    request = FACTORY.generic(method, path, REMOTE_ADDR=new_id(), headers=headers)
    return view(request)


def test_liveness_touches_nothing() -> None:
    response = get(views.health, "/health")
    assert (response.status_code, response.content) == (200, b'{"ok":true}')
    assert get(views.health, "/health", "POST").status_code == 405


@pytest.mark.usefixtures("is_up")
def test_readiness_is_limited_for_each_address(settings: Any) -> None:
    settings.READY_RATE_LIMIT_PER_MIN = 2
    answers = [
        views.ready(FACTORY.get("/ready", REMOTE_ADDR=address))
        for address in ("192.0.2.1", "192.0.2.1", "192.0.2.1", "192.0.2.2")
    ]
    assert [answer.status_code for answer in answers] == [200, 200, 429, 200]
    assert orjson.loads(answers[2].content)["error"] == "rate_limited"
    assert int(answers[2]["Retry-After"]) >= 1


@pytest.mark.parametrize(
    ("mode", "bearer", "header", "status"),
    [
        ("stable", "right", "Bearer right", 200),
        ("stable", "right", "bearer right", 401),
        ("stable", "right", "Bearer wrong", 401),
        ("stable", "right", "Bearer \xe9\xe9\xe9\xe9\xe9", 401),
        ("stable", "right", "", 401),
        ("dev", "right", "", 401),
        ("dev", "", "", 200),
        ("stable", "", "", 401),
        ("stable", "", "Bearer ", 401),
    ],
)
def test_metrics_are_for_their_bearer(
    mode: str, bearer: str, header: str, status: int, settings: Any
) -> None:
    settings.CARACAL_MODE, settings.METRICS_BEARER = mode, bearer
    response = get(views.metrics, "/metrics", Authorization=header)
    assert response.status_code == status
    if status == 401:
        assert orjson.loads(response.content)["error"] == "unauthorized"
    else:
        assert response["Content-Type"] == "text/plain; version=0.0.4"


def test_metrics_have_the_names_of_the_contract(parked: OutboxEvent) -> None:
    worker_heartbeat()
    text = operations.metrics_text()
    lines = text.splitlines()
    for name in (
        "caracal_api_outbox_pending_total",
        "caracal_api_outbox_dead_total",
        "caracal_api_outbox_oldest_pending_age_seconds",
        "caracal_api_outbox_oldest_dead_age_seconds",
        "caracal_outbox_total",
        "caracal_invocations_total",
    ):
        assert f"# TYPE {name} gauge" in lines
    for name in (
        "caracal_ttl_sweeper_runs_total",
        "caracal_service_lease_sweeper_runs_total",
        "caracal_retention_cleaner_runs_total",
        "caracal_log_emitted_total",
        "caracal_log_dropped_total",
        "caracal_log_sampled_total",
    ):
        assert f"# TYPE {name} counter" in lines
    assert "caracal_database_up 1.0" in lines
    assert any(
        line.startswith('caracal_outbox_total{status="dead"} ') for line in lines
    )
    assert any(
        line.startswith(f'caracal_job_runs_total{{job="{HEARTBEAT}"}} ')
        for line in lines
    )


def test_without_the_database_metrics_of_the_process_remain(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse() -> Any:
        raise InterfaceError("connection already closed")

    monkeypatch.setattr(facts, "_reading", SharedRun(refuse))
    lines = operations.metrics_text().splitlines()
    assert "caracal_database_up 0.0" in lines
    assert "# TYPE caracal_log_emitted_total counter" in lines


def test_the_database_is_read_once_in_a_while(parked: OutboxEvent) -> None:
    before = operations.stats()["outbox"]["dead"]
    row = OutboxEvent.objects.get(id=parked.id)
    row.pk = new_id()
    row.save(force_insert=True)
    assert operations.stats()["outbox"]["dead"] == before
    OutboxEvent.objects.filter(id=row.pk).delete()


def test_statistics_have_the_shape_of_the_contract() -> None:
    found = operations.stats()
    assert set(found) == {
        "invocations",
        "outbox",
        "ttl_sweeper",
        "service_lease_sweeper",
        "retention_cleaner",
        "log",
    }
    assert set(found["ttl_sweeper"]) == {"runs", "failures", "terminated"}
    assert set(found["service_lease_sweeper"]) == {"runs", "failures", "suspended"}
    assert set(found["retention_cleaner"]) == {
        "runs",
        "failures",
        "expired_edges",
        "deleted_edges",
        "deleted_outbox",
    }
    assert set(found["log"]) == {"emitted", "dropped", "sampled"}


def test_tables_that_only_grow_are_sampled_beyond_a_size() -> None:
    assert facts._percent(-1) == 100
    assert facts._percent(facts.SAMPLE_ROWS) == 100
    assert facts._percent(facts.SAMPLE_ROWS * 50) == 2
    assert facts._scaled(10, 2) == 500


def test_log_lines_are_counted() -> None:
    import logging

    before = log_counts.values()["emitted"]
    assert log_counts.Counting().filter(logging.makeLogRecord({}))
    assert log_counts.values()["emitted"] == before + 1


def test_one_secret_opens_the_coordinator_s_metrics(
    coordinator: Coordinator, settings: Any
) -> None:
    """W44: either of the two does, and no request needs both."""
    for token in (settings.METRICS_BEARER, settings.CARACAL_COORDINATOR_TOKEN):
        assert coordinator.get("/metrics", token=token).status_code == 200
    settings.METRICS_BEARER = ""
    settings.CARACAL_MODE = "stable"
    operator = settings.CARACAL_COORDINATOR_TOKEN
    assert coordinator.get("/metrics", token=operator).status_code == 200
    found = coordinator.get("/stats", token=operator)
    assert found.json().keys() == operations.stats().keys()


def test_every_request_of_the_coordinator_is_timed(
    coordinator: Coordinator, settings: Any
) -> None:
    """W44. By route and status class, the flat calls too, and unknown routes as one."""
    token = settings.CARACAL_COORDINATOR_TOKEN

    def counted(route: str, status: str) -> float:
        name = "caracal_coordinator_request_seconds_count"
        wanted = f'{name}{{route="{route}",status="{status}"}} '
        text = coordinator.get("/metrics", token=token).text
        found = [line for line in text.splitlines() if line.startswith(wanted)]
        return float(found[0].split()[-1]) if found else 0.0

    for path, route, status in (
        ("/v1/verify", "verify-token", "4xx"),
        ("/v1/begin", "agents:begin", "4xx"),
        ("/v1/nothing/at/all", "unknown", "4xx"),
    ):
        before = counted(route, status)
        coordinator.post(path, {})
        assert counted(route, status) == before + 1


def test_counters_of_jobs_count_up_and_gauges_fall(
    coordinator: Coordinator, zone: Any, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """W44: what may fall is a gauge; what is a counter never does."""
    token = settings.CARACAL_COORDINATOR_TOKEN

    def scraped(name: str) -> float:
        monkeypatch.setattr(facts, "_last", None)
        lines = coordinator.get("/metrics", token=token).text.splitlines()
        (line,) = [line for line in lines if line.startswith(f"{name} ")]
        return float(line.split()[-1])

    JobRun.objects.get_or_create(
        name="expire-agents",
        defaults={"started_at": timezone.now(), "finished_at": timezone.now()},
    )
    runs = scraped("caracal_ttl_sweeper_runs_total")
    JobRun.objects.filter(name="expire-agents").update(runs=F("runs") + 1)
    assert scraped("caracal_ttl_sweeper_runs_total") > runs
    row = OutboxEvent.objects.create(
        zone_id=zone.id, topic="t", producer="api", payload_json=[]
    )
    pending = scraped("caracal_api_outbox_pending_total")
    row.delete()
    assert scraped("caracal_api_outbox_pending_total") == pending - 1
