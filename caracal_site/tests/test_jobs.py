"""What every background job leaves behind, whatever happens to it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from datetime import timedelta
from typing import Any
from urllib.parse import quote, urlsplit

import orjson
import pytest
import redis
from celery import current_app
from django.conf import settings
from django.db import OperationalError, connection
from django.utils import timezone
from django.utils.module_loading import import_string
from redis import RedisError

from caracal_site import context, facts, health, operations, statements
from caracal_site.ids import new_id
from caracal_site.jobs import Outcome, job
from caracal_site.models import JobRun, Receipt
from caracal_site.tasks import HEARTBEAT, prune_receipts, worker_heartbeat
from caracal_site.testing.races import Threads


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


# Which are stuck.


def entry(period: float) -> dict[str, Any]:
    return {"task": "x", "schedule": period}


@pytest.fixture
def timetable_of(monkeypatch: pytest.MonkeyPatch, name: str) -> str:
    """A timetable with nothing but the heartbeat and one job, every minute."""
    schedule = current_app.conf.beat_schedule
    for other in [*schedule.keys() - {HEARTBEAT}]:
        monkeypatch.delitem(schedule, other)
    monkeypatch.setitem(schedule, name, entry(60))
    JobRun.objects.filter(name=HEARTBEAT).delete()
    worker_heartbeat()
    return name


def ago(seconds: float) -> Any:
    return timezone.now() - timedelta(seconds=seconds)


def set_back(name: str, seconds: float) -> None:
    """Lets it be so long since the job came to its end or was expected to."""
    row = JobRun.objects.filter(name=name)
    row.update(expected_from=ago(seconds))
    row.exclude(completed_at=None).update(completed_at=ago(seconds))


def stuck() -> list[str]:
    found = health._ask_jobs()
    return [] if found is None else found.extra["jobs"]


def test_every_job_of_the_timetable_runs_under_its_name() -> None:
    """What readiness waits for is what the task records."""
    for name, scheduled in current_app.conf.beat_schedule.items():
        task = import_string(scheduled["task"])
        assert task.run.__job_name__ == name


def test_a_job_that_never_came_to_its_end_is_stuck_after_some_periods(
    timetable_of: str,
) -> None:
    assert run_of(timetable_of).finished_at is None
    set_back(timetable_of, 299)
    assert stuck() == []
    set_back(timetable_of, 301)
    assert stuck() == [timetable_of]


def test_a_run_that_came_to_its_end_makes_a_job_well_again(timetable_of: str) -> None:
    run = job(timetable_of)(lambda: None)
    set_back(timetable_of, 1000)
    assert stuck() == [timetable_of]
    run()
    assert stuck() == []
    set_back(timetable_of, 301)
    assert stuck() == [timetable_of]


def test_failing_for_some_rows_is_not_being_stuck_and_never_getting_there_is(
    timetable_of: str,
) -> None:
    """One tenant's trouble must not take the whole installation out of service."""
    outcomes: list[Any] = [RedisError("away"), Outcome(error="zone x: no")]

    def work() -> Outcome:
        outcome = outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    run = job(timetable_of)(work)
    set_back(timetable_of, 301)
    run()
    assert stuck() == [timetable_of]
    run()
    assert stuck() == []
    assert run_of(timetable_of).failures == 2


def test_a_job_that_is_often_due_has_two_minutes(
    timetable_of: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(current_app.conf.beat_schedule, timetable_of, entry(1))
    set_back(timetable_of, 119)
    assert stuck() == []
    set_back(timetable_of, 121)
    assert stuck() == [timetable_of]


def test_the_check_can_be_switched_off(timetable_of: str, settings: Any) -> None:
    set_back(timetable_of, 10**7)
    settings.JOB_STUCK_PERIODS = 0
    assert stuck() == []


def test_after_a_standstill_every_job_has_its_time_again(timetable_of: str) -> None:
    """Whatever stood still, all of it or the broker: nobody could have run then."""
    set_back(timetable_of, 1000)
    JobRun.objects.filter(name=HEARTBEAT).update(finished_at=ago(20))
    worker_heartbeat()
    assert stuck() == [timetable_of], "the heart was beating all the time"
    JobRun.objects.filter(name=HEARTBEAT).update(finished_at=ago(3600))
    worker_heartbeat()
    assert stuck() == []


def test_a_job_that_is_not_in_the_timetable_is_not_waited_for(
    timetable_of: str,
) -> None:
    gone = f"{timetable_of}-gone"
    job(gone)(lambda: None)()
    set_back(gone, 10**7)
    assert stuck() == []


def test_readiness_names_the_jobs_that_are_stuck(
    timetable_of: str, settings: Any
) -> None:
    settings.API_READY_OUTBOX_DEAD_MAX = 10**6
    assert operations.readiness() == (200, {"ok": True})
    set_back(timetable_of, 301)
    status, body = operations.readiness()
    assert (status, body["error"], body["jobs"]) == (503, "jobs_stuck", [timetable_of])


def test_the_last_failure_is_kept_after_a_success(timetable_of: str) -> None:
    results = [Outcome(error="away"), Outcome(handled=1)]
    run = job(timetable_of)(lambda: results.pop(0))
    run()
    failed_at = run_of(timetable_of).failed_at
    run()
    found = run_of(timetable_of)
    assert (found.last_error, found.failure) == ("", "away")
    assert found.failed_at == failed_at < found.finished_at == found.completed_at


def test_what_went_wrong_without_a_database_is_told_when_it_is_back(
    timetable_of: str,
) -> None:
    results: list[Any] = [OperationalError("no route"), Outcome()]

    def work() -> Outcome:
        result = results.pop(0)
        if isinstance(result, Outcome):
            return result
        raise result

    run = job(timetable_of)(work)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(statements, "execute", refuse)
        assert run().error == "OperationalError: no route"
    assert run_of(timetable_of).runs == 0
    run()
    found = run_of(timetable_of)
    assert (found.runs, found.failures) == (2, 1)
    assert found.failure == "OperationalError: no route"


def refuse(*_call: Any) -> Any:
    raise OperationalError("no route")


def test_two_at_once_are_both_counted(timetable_of: str) -> None:
    """Two workers took the same tick: each is a process with a record of its own."""
    met = threading.Barrier(2)

    def work() -> int:
        met.wait(10)
        return 2

    with Threads(2) as threads:
        runs = [threads.start(job(timetable_of)(work)) for _ in range(2)]
        assert [run.result().handled for run in runs] == [2, 2]
    assert (run_of(timetable_of).runs, run_of(timetable_of).handled) == (2, 4)


KILLED = """
import django
django.setup()
import os, signal, sys
from caracal_site.jobs import job

@job(sys.argv[1])
def work():
    os.kill(os.getpid(), signal.SIGKILL)

work()
"""


def test_a_job_that_kills_its_worker_counts_as_silent(timetable_of: str) -> None:
    url = urlsplit(settings.DATABASE_URL)
    database = quote(connection.settings_dict["NAME"])
    environment = os.environ | {
        "DATABASE_URL": url._replace(path=f"/{database}").geturl()
    }
    ran = subprocess.run(
        [sys.executable, "-c", KILLED, timetable_of],
        env=environment,
        cwd=settings.BASE_DIR,
        check=False,
    )
    assert ran.returncode == -signal.SIGKILL
    found = run_of(timetable_of)
    assert (found.runs, found.completed_at) == (0, None)
    set_back(timetable_of, 301)
    assert stuck() == [timetable_of]


def test_metrics_tell_of_every_job_of_the_timetable(
    timetable_of: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def scraped(name: str) -> float:
        monkeypatch.setattr(facts, "_last", None)
        wanted = f'{name}{{job="{timetable_of}"}} '
        lines = operations.metrics_text().splitlines()
        (line,) = [line for line in lines if line.startswith(wanted)]
        return float(line.split()[-1])

    counters = [f"caracal_job_{of}_total" for of in ("runs", "failures", "handled")]
    assert [scraped(name) for name in counters] == [0, 0, 0]
    results = [Outcome(3, 7), Outcome(error="away")]
    run = job(timetable_of)(lambda: results.pop(0))
    run()
    assert [scraped(name) for name in counters] == [1, 0, 3]
    assert scraped("caracal_job_backlog") == 7
    run()
    assert [scraped(name) for name in counters] == [2, 1, 3]
    assert scraped("caracal_job_lag_seconds") == 0
    assert scraped("caracal_job_stuck") == 0
    set_back(timetable_of, 301)
    assert scraped("caracal_job_lag_seconds") > 240
    assert scraped("caracal_job_stuck") == 1


AS_A_WORKER = """
import logging
from caracal_site.celery import app
app.log.setup_logging_subsystem(loglevel="WARNING")
logging.getLogger("caracal_site.jobs").warning("job failed", extra={"job": "relay"})
"""


def test_the_workers_log_as_every_other_process() -> None:
    done = subprocess.run(
        [sys.executable, "-c", AS_A_WORKER],
        env=os.environ | {"CARACAL_PROCESS": "worker"},
        cwd=settings.BASE_DIR,
        capture_output=True,
        check=True,
        text=True,
    )
    (line,) = done.stderr.splitlines()
    told = orjson.loads(line)
    assert (told["event"], told["job"]) == ("job failed", "relay")
    assert (told["level"], told["process"]) == ("warning", "worker")
