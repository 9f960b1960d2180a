"""Fixtures of the whole test suite, a pytest plugin named in ``pyproject.toml``.

Tests run against the real database, without rollback: each makes a zone of its own
and looks only at that. Nothing of Django can be imported at the top, because the
plugin is loaded before the settings are.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings

if TYPE_CHECKING:
    from caracal_site.actors import Actor
    from caracal_site.testing.api import Api
    from caracal_site.testing.client import Background, Coordinator
    from caracal_site.testing.endpoint import Endpoint
    from caracal_site.testing.evidence import Events
    from caracal_site.testing.world import World
    from zones.models import Zone


# The database of failures would be a folder in the working copy.
hypothesis_settings.register_profile(
    "caracal",
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
hypothesis_settings.load_profile("caracal")


@pytest.fixture(scope="session", autouse=True)
def database(
    django_test_environment: None,
    django_db_modify_db_settings: None,
    django_db_blocker: Any,
    django_db_keepdb: bool,
    django_db_createdb: bool,
) -> Iterator[None]:
    """The test database, open to every test for the whole session.

    pytest-django's own fixture makes it only for tests that carry its mark.
    """
    from django import conf
    from django.db import connections
    from django.test.utils import setup_databases, teardown_databases

    from zones.services import seed_bootstrap

    with django_db_blocker.unblock():
        made = setup_databases(
            verbosity=0,
            interactive=False,
            aliases={"default": None},
            serialized_aliases=set(),
            keepdb=django_db_keepdb and not django_db_createdb,
        )
        seed_bootstrap(conf.settings.CARACAL_ADMIN_TOKEN)
        yield
        if not django_db_keepdb:
            # A thread that lives as long as the process may still hold a connection.
            with connections["default"].cursor() as cursor:
                cursor.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )
        connections.close_all()
        if not django_db_keepdb:
            # A database may take its time to go.
            options = connections["default"].settings_dict["OPTIONS"]
            options["options"] += " -c statement_timeout=0"
            teardown_databases(made, verbosity=0)


@pytest.fixture(scope="session")
def background(database: None) -> Iterator[Background]:
    """The event loop the coordinator runs in."""
    from caracal_site.testing.client import Background

    running = Background()
    yield running
    running.stop()


@pytest.fixture
def actor() -> Actor:
    """The bearer of a global admin token that may write."""
    from caracal_site.actors import Actor, ActorKind

    return Actor(
        kind=ActorKind.ADMIN_TOKEN, id="test-token", name="tests", scope="global"
    )


@pytest.fixture
def zone(actor: Actor) -> Zone:
    """A live zone with a signing key."""
    from caracal_site.ids import new_id
    from zones import services

    return services.create_zone(new_id(), actor=actor)


@pytest.fixture
def elsewhere(actor: Actor) -> Zone:
    """Another live zone."""
    from caracal_site.ids import new_id
    from zones import services

    return services.create_zone(new_id(), actor=actor)


@pytest.fixture
def api(actor: Actor) -> Api:
    """An HTTP client of the Management API, with a global admin token of its own."""
    from caracal_site.testing.api import Api
    from zones import services

    minted = services.mint_admin_token("tests", actor=actor, scope="global")
    return Api(minted.plain)


@pytest.fixture
def coordinator(background: Background) -> Iterator[Coordinator]:
    """An HTTP client of the coordinator."""
    from caracal_site.testing.client import Coordinator

    client = Coordinator(background)
    yield client
    client.close()


@pytest.fixture
def world(zone: Zone, coordinator: Coordinator) -> World:
    """A zone with an application that owns a resource, and its agents."""
    from caracal_site.testing.world import World

    return World(zone, coordinator)


@pytest.fixture
def events(zone: Zone) -> Events:
    """The evidence that changes leave in the zone of the test."""
    from caracal_site.testing.evidence import Events

    seen = Events(zone.id)
    seen.take()
    return seen


@pytest.fixture
def endpoint(tmp_path: Path, settings: Any) -> Iterator[Endpoint]:
    """A token endpoint on this machine that requests may go to, over TLS."""
    from caracal_site.testing.endpoint import LOOPBACK, Server

    server = Server(tmp_path)
    settings.EGRESS_CA_FILE = str(server.endpoint.ca_file)
    settings.EGRESS_ALLOWED_NETWORKS = LOOPBACK
    yield server.endpoint
    server.stop()
