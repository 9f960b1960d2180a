"""Request metrics of the coordinator: latency by route and status class."""

from __future__ import annotations

import time
from functools import cache

from prometheus_client import Histogram

clock = time.perf_counter
latency = Histogram(
    "caracal_coordinator_request_seconds",
    "Time from route resolution to the answer.",
    ["route", "status"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)


@cache
def _series(route: str, status_class: int) -> Histogram:
    return latency.labels(route, f"{status_class}xx")


def observe(route: str, status: int, started: float) -> None:
    _series(route, status // 100).observe(clock() - started)
