"""Rows as they are long after: times and ids of the past."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.utils import timezone

from caracal_site.ids import first_id_at, new_id


def days_ago(days: float) -> datetime:
    return timezone.now() - timedelta(days=days)


def id_made(days: float) -> str:
    """An id that was made so many days ago."""
    return first_id_at(days_ago(days)) + new_id()[13:]
