"""Request metrics of both deployments: latency by route and status class."""

from __future__ import annotations

import time
from functools import cache

from prometheus_client import Histogram

BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
# What else is sent as a method is not worth a series.
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"})

clock = time.perf_counter
latency = Histogram(
    "caracal_coordinator_request_seconds",
    "Time from route resolution to the answer.",
    ["route", "status"],
    buckets=BUCKETS,
)
api_latency = Histogram(
    "caracal_api_request_seconds",
    "Time from route resolution to the answer.",
    ["route", "method", "status"],
    buckets=BUCKETS,
)


@cache
def _series(route: str, status_class: int) -> Histogram:
    return latency.labels(route, f"{status_class}xx")


@cache
def _api_series(route: str, method: str, status_class: int) -> Histogram:
    return api_latency.labels(route, method, f"{status_class}xx")


def observe(route: str, status: int, started: float) -> None:
    """Counts a request of the coordinator."""
    _series(route, status // 100).observe(clock() - started)


def observe_api(route: str, method: str, status: int, started: float) -> None:
    """Counts a request of the Management API."""
    known = method if method in METHODS else "other"
    _api_series(route, known, status // 100).observe(clock() - started)
