"""Each test calls from an address of its own, so that none uses up another's limits."""

from __future__ import annotations

import pytest

from caracal_site import context
from caracal_site.ids import new_id
from tokens import bearer, verifying
from tokens.tests.factories import Client, make_client, make_granted
from zones.models import Zone


@pytest.fixture(autouse=True)
def address() -> str:
    source = new_id()
    context.activate(context.RequestContext(request_id=new_id(), source=source))
    bearer.forget_everything()
    verifying.forget_everything()
    return source


@pytest.fixture
def client(zone: Zone) -> Client:
    return make_client(zone)


@pytest.fixture
def resource(zone: Zone, client: Client) -> str:
    """A resource ``client`` fronts, and may begin on."""
    return make_granted(zone, client)
