"""Somebody at the console, and a zone with one of everything in it."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.db.models import Model
from django.test import Client

from caracal_site.console.tests.populating import everything
from caracal_site.ids import new_id
from caracal_site.testing.world import World


@pytest.fixture
def person() -> User:
    """A superuser of the console."""
    return User.objects.create_superuser(new_id(), password=new_id())


@pytest.fixture
def console(person: User) -> Client:
    """A browser in which ``person`` is signed in."""
    client = Client()
    client.force_login(person)
    return client


@pytest.fixture
def rows(world: World, person: User) -> dict[str, Model]:
    """One row of every model of the console, by ``app.model``, in one zone."""
    return everything(world, person)
