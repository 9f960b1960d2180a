"""Counting a list no further than anybody pages."""

from __future__ import annotations

from typing import Any

from django.core.paginator import Paginator
from django.utils.functional import cached_property

BOUND = 10_000


class BoundedPaginator(Paginator):
    """Counts at most ``BOUND`` + 1 rows, so that no list waits for a count of all.

    What lies further back is found by filter and search.
    """

    @cached_property
    def count(self) -> int:
        found: Any = self.object_list
        rows = found.order_by().values("pk")
        return int(rows[: BOUND + 1].count())
