"""Background jobs of zones."""

from __future__ import annotations

from celery import shared_task
from django.conf import settings

from caracal_site.jobs import job
from zones import services


@shared_task
@job("archive-expired-applications")
def archive_expired_applications() -> int:
    """Ends self-registered applications whose time is over."""
    return services.archive_expired_applications()


@shared_task
@job("keep-configured-tokens")
def keep_configured_tokens() -> int:
    """Keeps the admin tokens this process is configured with in force while another
    release replaces them, and ends what has been replaced."""
    return services.keep_configured(settings.CARACAL_ADMIN_TOKEN)
