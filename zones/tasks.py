"""Background jobs of zones."""

from __future__ import annotations

from celery import shared_task

from caracal_site.jobs import job
from zones import services


@shared_task
@job("archive-expired-applications")
def archive_expired_applications() -> int:
    """Ends self-registered applications whose time is over."""
    return services.archive_expired_applications()
