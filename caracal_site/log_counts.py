"""How many log lines this process has written. Nothing is sampled or dropped here;
the two counters exist because dashboards of the contract read them."""

from __future__ import annotations

import logging

from prometheus_client import Counter

emitted = Counter("caracal_log_emitted", "Log lines written.")
dropped = Counter("caracal_log_dropped", "Log lines lost.")
sampled = Counter("caracal_log_sampled", "Log lines left out by sampling.")


class Counting(logging.Filter):
    """Lets every record pass and counts it."""

    def filter(self, record: logging.LogRecord) -> bool:
        emitted.inc()
        return True


def values() -> dict[str, int]:
    """The counters as ``/stats`` tells them."""
    counters = {"emitted": emitted, "dropped": dropped, "sampled": sampled}
    return {
        name: int(next(iter(counter.collect())).samples[0].value)
        for name, counter in counters.items()
    }
