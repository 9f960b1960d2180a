"""Readiness, metrics and statistics, the same on both deployments."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

from django.conf import settings
from prometheus_client import REGISTRY, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from caracal_site import (
    context,
    errors,
    facts,
    health,
    log_counts,
    sealing,
    timetable,
)
from caracal_site.errors import ServiceUnavailable
from caracal_site.facts import Facts, JobFacts

METRICS_CONTENT_TYPE = "text/plain; version=0.0.4"
# The jobs that do what the contract calls by other names.
TTL_SWEEPER = "expire-agents"
LEASE_SWEEPER = "suspend-agent-services"
RETENTION_CLEANER = "expire-edges"
EDGE_PRUNER = "prune-edges"
EVALUATOR_CHASER = "chase-evaluators"
OUTBOX_PRUNER = "prune-outbox"
RELAY = "relay-lifecycle"
# What the relay finds an entry to be.
RELAYED = ("observed", "duplicates", "invalid_signatures", "trimmed")


def readiness() -> tuple[int, dict[str, Any]]:
    """The answer to ``/ready``: status and body. Takes at most a few seconds."""
    fault = health.fault()
    if fault is None:
        return 200, {"ok": True}
    rendered = errors.render(fault, request_id=context.current().request_id)
    return rendered.status, rendered.body


def may_read_metrics(authorization: str) -> bool:
    """Whether this ``Authorization`` header opens ``/metrics``.

    It must be exactly ``Bearer`` and ``METRICS_BEARER``; without one configured
    metrics are open in dev mode and closed otherwise.
    """
    if not settings.METRICS_BEARER:
        return bool(settings.CARACAL_MODE == "dev")
    return sealing.same(authorization, f"Bearer {settings.METRICS_BEARER}")


def metrics_text() -> str:
    """Prometheus text: this deployment's metrics and what the database knows of all.

    Without the database the former remain, and ``caracal_database_up`` is 0.
    """
    registry = CollectorRegistry()
    try:
        registry.register(_Installation(facts.current()))
    except ServiceUnavailable:
        registry.register(_Installation(None))
    return (generate_latest(_counted()) + generate_latest(registry)).decode()


def _counted() -> CollectorRegistry:
    """What this process counted, or all processes that serve this port together."""
    if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
        return REGISTRY
    together = CollectorRegistry()
    MultiProcessCollector(together)  # type: ignore[no-untyped-call]
    return together


def stats() -> dict[str, Any]:
    """The answer to the coordinator's ``/stats``. Raises ServiceUnavailable."""
    read = facts.current()
    ttl, lease = read.job(TTL_SWEEPER), read.job(LEASE_SWEEPER)
    edges = read.job(RETENTION_CLEANER)
    return {
        "invocations": read.invocations,
        "outbox": read.outbox,
        "ttl_sweeper": {
            "runs": ttl.runs,
            "failures": ttl.failures,
            "terminated": ttl.handled,
        },
        "service_lease_sweeper": {
            "runs": lease.runs,
            "failures": lease.failures,
            "suspended": lease.handled,
        },
        "retention_cleaner": {
            "runs": edges.runs,
            "failures": edges.failures,
            "expired_edges": edges.handled,
            "deleted_edges": read.job(EDGE_PRUNER).handled,
            "deleted_outbox": read.job(OUTBOX_PRUNER).handled,
        },
        "log": log_counts.values(),
    }


class _Installation(Collector):
    """``facts`` as metric families, by the names dashboards of the contract know."""

    def __init__(self, read: Facts | None) -> None:
        self.read = read

    def collect(self) -> Iterator[Metric]:
        is_up = float(self.read is not None)
        yield _gauge("caracal_database_up", "Whether the database answered.", is_up)
        if self.read is not None:
            yield from _evidence(self.read)
            yield from _jobs(self.read)
            yield _relayed(self.read.job(RELAY))
            yield _gauge(
                "caracal_policy_stragglers",
                "Policies in force that a process has not loaded.",
                self.read.job(EVALUATOR_CHASER).backlog,
            )


def _gauge(name: str, help_text: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, help_text, value=value)


def _evidence(read: Facts) -> Iterator[Metric]:
    outbox = "caracal_api_outbox"
    yield _gauge(f"{outbox}_pending_total", "Events to publish.", read.pending)
    yield _gauge(f"{outbox}_dead_total", "Events parked.", read.dead)
    yield _gauge(
        f"{outbox}_oldest_pending_age_seconds",
        "Age of the oldest event to publish.",
        read.oldest_pending_seconds,
    )
    yield _gauge(
        f"{outbox}_oldest_dead_age_seconds",
        "Time since the oldest event was parked.",
        read.oldest_dead_seconds,
    )
    yield _gauge(
        "caracal_audit_unsealed", "Audit rows not in a chain yet.", read.unsealed
    )
    yield _by_status("caracal_outbox_total", "Events by status.", read.outbox)
    yield _by_status(
        "caracal_invocations_total", "Invocations by status.", read.invocations
    )


def _by_status(name: str, help_text: str, counts: dict[str, int]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, help_text, labels=["status"])
    for status, count in counts.items():
        family.add_metric([status], count)
    return family


def _relayed(job: JobFacts) -> Metric:
    family = CounterMetricFamily(
        "caracal_relay_entries",
        "Entries of the stream of agents that the relay read, by what they were.",
        labels=["result"],
    )
    for result in RELAYED:
        family.add_metric([result], job.counts.get(result, 0))
    return family


def _jobs(read: Facts) -> Iterator[Metric]:
    for sweeper, job in (
        ("ttl_sweeper", TTL_SWEEPER),
        ("service_lease_sweeper", LEASE_SWEEPER),
        ("retention_cleaner", RETENTION_CLEANER),
    ):
        name, runs = f"caracal_{sweeper}_runs", read.job(job).runs
        yield CounterMetricFamily(name, f"Runs of {job}.", value=runs)
    # One that has not run yet counts as zero, so that its counter has a beginning.
    jobs = {name: JobFacts() for name in timetable.periods()} | read.jobs
    counted = (
        ("runs", "Runs."),
        ("failures", "Runs that failed."),
        ("handled", "Rows handled."),
    )
    for member, help_text in counted:
        family: Metric = CounterMetricFamily(
            f"caracal_job_{member}", help_text, labels=["job"]
        )
        for job, numbers in jobs.items():
            family.add_metric([job], getattr(numbers, member))  # type: ignore[attr-defined]
        yield family
    gauges = [
        _Gauges("caracal_job_backlog", "Rows left to do."),
        _Gauges("caracal_job_age_seconds", "Time since the last recorded run."),
        _Gauges("caracal_job_last_run_seconds", "How long the last recorded run took."),
    ]
    for job, numbers in jobs.items():
        values = (numbers.backlog, numbers.age_seconds, numbers.took_seconds)
        for gauge, value in zip(gauges, values, strict=True):
            gauge.add_metric([job], value)
    yield from gauges
    yield from _lateness(jobs)


class _Gauges(GaugeMetricFamily):
    """A gauge of each job."""

    def __init__(self, name: str, help_text: str) -> None:
        super().__init__(name, help_text, labels=["job"])


def _lateness(jobs: dict[str, JobFacts]) -> Iterator[Metric]:
    """Of the jobs of the timetable."""
    lag = _Gauges(
        "caracal_job_lag_seconds", "How far past its time a completed run is."
    )
    stuck = _Gauges("caracal_job_stuck", "Whether no run has come to its end for long.")
    for job, period in timetable.periods().items():
        silent = jobs[job].silent_seconds
        lag.add_metric([job], max(0.0, silent - period))
        stuck.add_metric([job], silent > timetable.stuck_after(period))
    yield from (lag, stuck)
