"""The project kernel: what every app stands on and no app owns."""

from caracal_site.celery import app as celery_app

__all__ = ["celery_app"]
