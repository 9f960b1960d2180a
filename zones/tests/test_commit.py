"""Nothing is answered that the database did not keep (D3)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection

from audit.models import AdminAuditEvent
from caracal_site.ids import new_id
from caracal_site.testing.api import Api, refusal
from zones.models import Application, Resource, Zone
from zones.tests.factories import (
    make_application,
    make_dynamic,
    make_resource,
    make_zone,
    resource_fields,
)

TABLES = ("zones", "applications", "resources")
# The disk is full when the transaction commits: as late as a change can fail.
FUNCTION = """
CREATE FUNCTION fail_to_commit() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'no space left' USING ERRCODE = '53100'; END $$
"""
TRIGGER = """
CREATE CONSTRAINT TRIGGER fails_to_commit AFTER INSERT OR UPDATE ON {table}
DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
WHEN (
    NEW.name = 'uncommitted' OR (NEW.name = 'unending' AND NEW.archived_at IS NOT NULL)
)
EXECUTE FUNCTION fail_to_commit()
"""


@pytest.fixture(autouse=True)
def failing(database: None) -> Iterator[None]:
    """Rows called ``uncommitted`` cannot be committed, nor the end of ``unending``."""
    with connection.cursor() as cursor:
        cursor.execute(FUNCTION)
        for table in TABLES:
            cursor.execute(TRIGGER.format(table=table))
    yield
    with connection.cursor() as cursor:
        cursor.execute("DROP FUNCTION fail_to_commit CASCADE")


def changes(zone: Zone) -> dict[str, tuple[str, str, Any]]:
    """Every change of a row that cannot be committed: method, path and body."""
    path = f"/v1/zones/{zone.id}"
    make_dynamic(zone)
    application = make_application(zone).application
    resource = make_resource(zone)
    named: Any = {"name": "uncommitted"}
    return {
        "create zone": ("POST", "/v1/zones", {**named, "slug": new_id()}),
        "change zone": ("PATCH", path, named),
        "create application": (
            "POST",
            f"{path}/applications",
            {**named, "registration_method": "managed"},
        ),
        "register": ("POST", f"{path}/applications/dcr", named),
        "change application": (
            "PATCH",
            f"{path}/applications/{application.id}",
            named,
        ),
        "create resource": (
            "POST",
            f"{path}/resources",
            {**resource_fields(zone), **named},
        ),
        "change resource": ("PATCH", f"{path}/resources/{resource.id}", named),
    }


def test_what_cannot_be_committed_is_no_success(api: Api, zone: Zone) -> None:
    wanted = changes(zone)
    before = AdminAuditEvent.objects.in_zone(zone.id).filter(status_code__lt=400)
    seen = before.count()
    for name, (method, path, body) in wanted.items():
        answer = api.request(method, path, body)
        assert refusal(answer) == (503, "service_unavailable"), name
    assert not Application.objects.in_zone(zone.id).filter(name="uncommitted").exists()
    assert not Resource.objects.in_zone(zone.id).filter(name="uncommitted").exists()
    assert not Zone.objects.filter(name="uncommitted").exists()
    assert before.count() == seen


def test_an_end_that_cannot_be_committed_is_none(api: Api) -> None:
    zone = make_zone("unending")
    application = make_application(zone, "unending").application
    resource = make_resource(zone, name="unending")
    path = f"/v1/zones/{zone.id}"
    for ended in (
        f"{path}/applications/{application.id}",
        f"{path}/resources/{resource.id}",
        path,
    ):
        assert refusal(api.delete(ended)) == (503, "service_unavailable")
        assert api.get(ended).status_code == 200
