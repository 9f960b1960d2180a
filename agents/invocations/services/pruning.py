"""The end of calls that ended long ago (W45).

With a call goes the key it was made under: who sends the key again makes a new call.
"""

from __future__ import annotations

from datetime import timedelta

from django.utils import timezone

from caracal_site.ids import first_id_at
from caracal_site.jobs import Outcome, in_batches


def prune_invocations(days: int) -> Outcome:
    """Deletes calls that ended more than ``days`` ago; with 0 days none."""
    if days <= 0:
        return Outcome()
    before = first_id_at(timezone.now() - timedelta(days=days))
    return in_batches("agents/invocations/prune", {"days": days, "before": before})
