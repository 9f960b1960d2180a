"""No input whatsoever is answered with a fault of the server (D2).

Every run draws the same requests; ``FUZZ_EXAMPLES=5000`` draws that many new ones.
"""

from __future__ import annotations

import os
from functools import cache
from typing import Any
from urllib.parse import quote

import pytest
from django.conf import settings as configured
from hypothesis import HealthCheck, Phase, given
from hypothesis import settings as profile
from hypothesis import strategies as st
from hypothesis.strategies import DataObject
from pytest_django import Settings

from caracal_site.api import openapi as api_openapi
from caracal_site.coordinator import openapi as coordinator_openapi
from caracal_site.testing.api import Api
from caracal_site.testing.world import World
from caracal_site.tests.drawing import METHODS, Drawing, Sent, texts

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "250"))
bounded = profile(
    max_examples=EXAMPLES,
    derandomize="FUZZ_EXAMPLES" not in os.environ,
    database=None,
    deadline=None,
    phases=[Phase.generate, Phase.shrink],
    suppress_health_check=list(HealthCheck),
)
api_document = cache(api_openapi.document)
coordinator_document = cache(coordinator_openapi.document)


def assert_no_fault(response: Any, sent: Sent) -> None:
    """Below 500; and a refusal is the platform's own, with its id."""
    if response.status_code == 503 and sent.url.startswith("/ready"):
        return
    assert response.status_code < 500, sent
    if response.status_code < 400 or not response.content:
        return
    body = response.json()
    assert body.get("error") or body.get("code"), sent
    assert body["requestId"] == response.headers["X-Request-ID"], sent


@pytest.fixture(autouse=True)
def no_limit(settings: Settings) -> None:
    settings.API_V1_RATE_LIMIT_PER_MIN = 0
    settings.COORDINATOR_RATE_LIMIT_PER_MIN = 0


@pytest.fixture
def known(world: World) -> list[str]:
    """Ids of what is in the world: two agents with an edge, a service with a call."""
    parent = world.spawn()
    child = world.spawn(parent)
    edge = world.delegate(parent, child)
    service = world.register()
    agents = [parent["agent_session_id"], child["agent_session_id"]]
    session = world.session().id
    return [
        world.application.id,
        world.resource.id,
        session,
        edge["delegation_edge_id"],
        service["id"],
        world.invoke(service)["id"],
        *agents,
    ]


@bounded
@given(data=st.data())
def test_no_request_makes_the_coordinator_fail(
    world: World, known: list[str], data: DataObject
) -> None:
    drawing = Drawing(data.draw, coordinator_document(), known)
    sent = drawing.request(world.zone.id)
    token = configured.CARACAL_COORDINATOR_TOKEN if drawing.is_odd(4) else world.token()
    response = world.coordinator.request(
        sent.method, sent.url, token=token, headers=sent.headers, content=sent.content
    )
    assert_no_fault(response, sent)


@bounded
@given(data=st.data())
def test_no_request_makes_the_management_api_fail(
    world: World, api: Api, known: list[str], data: DataObject
) -> None:
    drawing = Drawing(data.draw, api_document(), known)
    sent = drawing.request(world.zone.id, never=("delete", "/v1/zones/{zone_id}"))
    headers = {name.replace("-", "_"): value for name, value in sent.headers.items()}
    response = api.request(
        sent.method,
        sent.url,
        content=sent.content,
        content_type=headers.pop("Content_Type", None),
        **headers,
    )
    assert_no_fault(response, sent)


@bounded
@given(
    method=st.sampled_from(METHODS),
    path=st.lists(texts, max_size=5).map("/".join),
    prefix=st.sampled_from(["", "v1/", "v1/zones/", "zones/", "static/", "admin/"]),
)
def test_no_path_makes_a_deployment_fail(
    api: Api, world: World, method: str, path: str, prefix: str
) -> None:
    # With a host, so that no client takes the beginning of the path for one.
    url = f"http://testserver/{prefix}{quote(path.encode('utf-8', 'surrogatepass'))}"
    sent = Sent(method, url, {}, None)
    assert api.request(method, url, accept="application/json").status_code < 500, sent
    response = world.coordinator.request(method, url, token=world.token())
    assert_no_fault(response, sent)
