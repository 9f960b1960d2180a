"""The end of services that were deregistered long ago (W45).

A service stays as long as an invocation names it. A deregistered one gets no new
calls.
"""

from __future__ import annotations

from datetime import timedelta

from django.utils import timezone

from caracal_site.ids import first_id_at
from caracal_site.jobs import Outcome, in_batches


def prune_services(days: int) -> Outcome:
    """Deletes services deregistered more than ``days`` ago; with 0 days none."""
    if days <= 0:
        return Outcome()
    before = first_id_at(timezone.now() - timedelta(days=days))
    return in_batches("agents/registry/prune", {"days": days, "before": before})
