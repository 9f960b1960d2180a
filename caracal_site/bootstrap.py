"""What a fresh database needs before anybody can come in. Can be repeated."""

from __future__ import annotations

from django.conf import settings
from django.contrib.auth import get_user_model
from django.db import transaction

from zones.services import seed_bootstrap


def seed(console_user: str, console_password: str | None) -> None:
    """Puts the configured admin tokens in force, and makes the console's first user.

    Without a password no user is made; a user who exists keeps the password it has.
    """
    seed_bootstrap(settings.CARACAL_ADMIN_TOKEN)
    if console_password:
        _make_user(console_user, console_password)


@transaction.atomic
def _make_user(name: str, password: str) -> None:
    users = get_user_model().objects
    if not users.filter(username=name).exists():
        users.create_superuser(name, password=password)
