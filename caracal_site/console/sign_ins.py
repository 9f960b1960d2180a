"""Coming, going and failing to come in leave evidence like everything else.

Evidence belongs to the audit app, which the kernel does not import: the settings name
its recorder. A sign-in that cannot be recorded fails, and its session is never sent.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.models import AbstractBaseUser, AnonymousUser

from caracal_site.api import attempts
from caracal_site.api.errors import SignInRefused
from caracal_site.console.actors import NotSignedIn, console_actor

User = AbstractBaseUser | AnonymousUser
DOOR = "console"


def signed_in(user: User) -> None:
    """Records that ``user`` came in."""
    _recorder().signed_in(console_actor(user))


def signed_out(user: User) -> None:
    """Records that ``user`` leaves; nobody leaves twice."""
    try:
        actor = console_actor(user)
    except NotSignedIn:
        return
    _recorder().signed_out(actor)


def failed(typed: str) -> None:
    """Counts and records a failure. A name nobody has is not told: people type their
    password in its place."""
    is_known = get_user_model().objects.filter(username=typed.replace("\0", ""))
    username = typed if is_known.exists() else ""
    attempts.note(DOOR, SignInRefused(), username=username)


def _recorder() -> Any:
    return import_module(settings.AUTHENTICATION_RECORDER)
