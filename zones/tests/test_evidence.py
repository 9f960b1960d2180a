"""Changes through the Management API commit together with their audit rows."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection

from audit.models import AdminAuditEvent
from caracal_site import sealing
from caracal_site.ids import new_id
from caracal_site.testing.api import Api
from zones.models import AdminToken, Application, Provider, Resource, Zone
from zones.tests.factories import (
    make_application,
    make_provider,
    make_resource,
    resource_fields,
    told,
)

MODELS = (Application, Provider, Resource, AdminToken)
Request = tuple[str, str, Any]


def requests(zone: Zone) -> dict[str, Request]:
    """One of every kind of change, and what it is sent with."""
    application = make_application(zone).application
    provider, resource = make_provider(zone), make_resource(zone)
    here = f"/v1/zones/{zone.id}"
    mine = f"{here}/applications/{application.id}"
    named = {"name": new_id()}
    managed = {**named, "registration_method": "managed"}
    token = {**named, "scope": "zone", "zone_id": zone.id}
    return {
        "change zone": ("PATCH", here, named),
        "archive zone": ("DELETE", here, None),
        "create application": ("POST", f"{here}/applications", managed),
        "change application": ("PATCH", mine, named),
        "new secret": ("PATCH", mine, {"client_secret": sealing.new_credential("")}),
        "rotate secret": ("POST", f"{mine}/rotate-secret", None),
        "archive application": ("DELETE", mine, None),
        "create provider": ("POST", f"{here}/providers", {**named, "kind": "none"}),
        "archive provider": ("DELETE", f"{here}/providers/{provider.id}", None),
        "create resource": ("POST", f"{here}/resources", dict(resource_fields(zone))),
        "change resource": ("PATCH", f"{here}/resources/{resource.id}", named),
        "archive resource": ("DELETE", f"{here}/resources/{resource.id}", None),
        "mint token": ("POST", "/v1/admin-tokens", token),
    }


NAMES = [
    "change zone",
    "archive zone",
    "create application",
    "change application",
    "new secret",
    "rotate secret",
    "archive application",
    "create provider",
    "archive provider",
    "create resource",
    "change resource",
    "archive resource",
    "mint token",
]


def state(zone: Zone) -> list[Any]:
    """Everything the requests could have changed."""
    rows = [
        list(model.objects.filter(zone=zone).order_by("id").values())
        for model in MODELS
    ]
    return [list(Zone.objects.filter(id=zone.id).values()), *rows]


@pytest.mark.parametrize("name", NAMES)
def test_without_evidence_there_is_no_change(api: Api, zone: Zone, name: str) -> None:
    method, path, body = requests(zone)[name]
    before = state(zone)
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS"
            " $$ BEGIN RAISE EXCEPTION 'no room for evidence'; END $$"
        )
        cursor.execute(
            "CREATE TRIGGER refuse_change BEFORE INSERT ON admin_audit_events FOR"
            f" EACH ROW WHEN (NEW.zone_id = '{zone.id}')"
            " EXECUTE FUNCTION refuse_change()"
        )
    try:
        answer = api.request(method, path, body)
    finally:
        with connection.cursor() as cursor:
            cursor.execute("DROP FUNCTION refuse_change CASCADE")
    assert answer.status_code == 500
    assert set(answer.json()) == {"error", "error_description", "requestId"}
    assert "evidence" not in answer.content.decode()
    assert state(zone) == before


@pytest.mark.parametrize("name", NAMES)
def test_every_change_leaves_one_row_about_what_it_made_or_changed(
    api: Api, zone: Zone, name: str
) -> None:
    method, path, body = requests(zone)[name]
    answer = api.request(method, path, body)
    assert answer.status_code < 300, answer.content
    found = AdminAuditEvent.objects.filter(request_id=answer["X-Request-ID"])
    [row] = found
    assert (row.method, row.path, row.status_code) == (method, path, answer.status_code)
    assert (row.actor_name, row.actor_scope) == ("tests", "global")
    assert row.zone_id == zone.id
    collection, named = about(path, answer)
    assert (row.entity_type, row.entity_id) == (collection, named)
    assert ("secret_rotated" in told(row)) == ("secret" in name)
    secret = (body or {}).get("client_secret") or answer_of(answer).get("client_secret")
    assert not secret or secret not in str(told(row))
    fields = {*(body or {})} - {"client_secret"}
    assert set(told(row).get("changed_fields", [])) >= fields - {
        "gateway_application_id"
    }


def answer_of(answer: Any) -> dict[str, Any]:
    return answer.json() if answer.content else {}


def about(path: str, answer: Any) -> tuple[str, str]:
    """The collection and id of what a request made, or of what its path names."""
    parts = path.strip("/").split("/")[1:]
    if answer.status_code == 201:
        return parts[-1], answer.json()["id"]
    if parts[-1] == "rotate-secret":
        parts.pop()
    return parts[-2], parts[-1]


def test_the_names_above_are_all_there_are(zone: Zone) -> None:
    assert list(requests(zone)) == NAMES
