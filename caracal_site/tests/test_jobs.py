"""What every background job leaves behind, whatever happens to it."""

from __future__ import annotations

import pytest
import redis
from django.db import OperationalError

from caracal_site import context
from caracal_site.ids import new_id
from caracal_site.jobs import Outcome, job
from caracal_site.models import JobRun, Receipt
from caracal_site.tasks import HEARTBEAT, prune_receipts, worker_heartbeat


@pytest.fixture
def name() -> str:
    return f"test-{new_id()}"


def run_of(name: str) -> JobRun:
    return JobRun.objects.get(name=name)


def test_a_run_is_recorded_with_what_it_did(name: str) -> None:
    run = job(name)(lambda: Outcome(handled=3, backlog=2))
    assert run() == Outcome(handled=3, backlog=2)
    run()
    found = run_of(name)
    assert (found.runs, found.failures, found.handled, found.backlog) == (2, 0, 6, 2)
    assert found.started_at <= found.finished_at


def test_idle_runs_are_written_with_the_next_that_matters(name: str) -> None:
    results = [0, 0, 0, 5]
    run = job(name)(lambda: results.pop(0))
    run()
    run()
    run()
    assert run_of(name).runs == 1
    run()
    assert (run_of(name).runs, run_of(name).handled) == (4, 5)


def test_a_job_that_must_not_be_quiet_never_is(name: str) -> None:
    run = job(name, quiet_seconds=0)(lambda: None)
    run()
    run()
    assert run_of(name).runs == 2


@pytest.mark.parametrize(
    "outage", [redis.ConnectionError("no route"), OperationalError("gone\ndetails")]
)
def test_an_outage_is_recorded_and_not_raised(name: str, outage: Exception) -> None:
    def fail() -> None:
        raise outage

    outcome = job(name)(fail)()
    assert outcome.error == f"{type(outage).__name__}: {str(outage).splitlines()[0]}"
    assert (run_of(name).failures, run_of(name).last_error) == (1, outcome.error)


def test_a_fault_of_the_job_itself_is_recorded_and_raised(name: str) -> None:
    def fail() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        job(name)(fail)()
    assert run_of(name).failures == 1


def test_a_success_clears_the_last_error(name: str) -> None:
    results = [Outcome(error="away"), Outcome()]
    run = job(name, quiet_seconds=0)(lambda: results.pop(0))
    run()
    run()
    assert (run_of(name).failures, run_of(name).last_error) == (1, "")


def test_each_run_has_a_context_of_its_own(name: str) -> None:
    seen: list[context.RequestContext] = []
    run = job(name)(lambda: seen.append(context.current()))
    run()
    run()
    assert {(each.method, each.path) for each in seen} == {("JOB", name)}
    assert seen[0].request_id != seen[1].request_id


def test_the_heartbeat_is_written_every_time() -> None:
    worker_heartbeat()
    before = run_of(HEARTBEAT)
    worker_heartbeat()
    assert run_of(HEARTBEAT).runs == before.runs + 1
    assert run_of(HEARTBEAT).finished_at > before.finished_at


def test_only_receipts_past_their_age_are_forgotten() -> None:
    caller = new_id()
    for key in ("old", "new"):
        Receipt.objects.create(
            caller=caller, route="r", key=key, fingerprint="f", status=200, body=""
        )
    mine = Receipt.objects.filter(caller=caller)
    mine.filter(key="old").update(created_at="2020-01-01T00:00:00Z")
    prune_receipts()
    assert [receipt.key for receipt in mine] == ["new"]
