"""Jobs of the token service."""

from __future__ import annotations

from celery import shared_task

from caracal_site.jobs import Outcome, job
from tokens import services


@shared_task
@job("expire-sessions")
def expire_sessions() -> int:
    """Marks sessions past their time."""
    return services.expire_sessions()


@shared_task
@job("promote-signing-keys")
def promote_signing_keys() -> int:
    """Lets published keys sign once every verifier may know them."""
    return services.promote_published_keys()


@shared_task
@job("rotate-signing-keys")
def rotate_signing_keys() -> int:
    """Publishes the next key where one has signed long enough, and withdraws those
    whose last token has expired."""
    return services.rotate_old_keys() + services.withdraw_retired_keys()


@shared_task
@job("expire-step-up-challenges")
def expire_step_up_challenges() -> int:
    """Marks requests that nobody answered, or used, in time."""
    return services.expire_challenges()


@shared_task
@job("retire-sessions")
def retire_sessions() -> Outcome:
    """Removes sessions and requests for approval past their retention."""
    return services.retire_sessions()
