"""Whatever the console changes, a service changes; whatever it changed is evidence."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.db.models import Model
from django.test import Client

from audit.models import AdminAuditEvent
from caracal_site.console import base, pages
from caracal_site.console.base import DomainAdmin, EvidenceAdmin
from caracal_site.console.forms import FormWrites
from caracal_site.console.tests import asking
from caracal_site.ids import new_id
from zones import services
from zones.models import AdminToken, Application, Provider, Resource, Zone
from zones.tests.factories import (
    ACTOR,
    make_application,
    make_dynamic,
    make_provider,
    make_zone,
)

REGISTRY = admin.site._registry
WRITERS = {
    "save_model",
    "save_form",
    "save_related",
    "save_formset",
    "delete_model",
    "delete_queryset",
    "changeform_view",
    "response_add",
}


@pytest.fixture
def actor_id(person: User) -> str:
    return f"console:{person.pk}"


@pytest.mark.parametrize("model", REGISTRY, ids=lambda model: model._meta.label)
def test_no_model_has_a_way_to_be_written_but_services(model: type[Model]) -> None:
    model_admin = REGISTRY[model]
    kind = type(model_admin)
    assert issubclass(kind, EvidenceAdmin | DomainAdmin)
    own = {base.__name__, pages.__name__, "django.contrib.admin.options"}
    for name in WRITERS:
        assert getattr(kind, name).__module__ in own, name
    assert not model_admin.list_editable
    assert not model_admin.inlines
    assert not model_admin.actions


def test_a_form_cannot_save() -> None:
    for model_admin in REGISTRY.values():
        if isinstance(model_admin, DomainAdmin):
            with pytest.raises(FormWrites):
                model_admin.form.save(None)


def test_evidence_cannot_be_written_even_by_a_superuser(
    console: Client, rows: dict[str, Model]
) -> None:
    for label, row in rows.items():
        if isinstance(REGISTRY[type(row)], EvidenceAdmin):
            assert console.post(asking.change(row), {"x": "1"}).status_code == 403, (
                label
            )
            assert console.get(asking.url(row, "add")).status_code == 403, label
            assert console.post(asking.url(row, "add"), {"x": "1"}).status_code == 403


def test_nothing_can_be_deleted(console: Client, rows: dict[str, Model]) -> None:
    for label, row in rows.items():
        response = console.post(asking.url(row, "delete", row.pk), {"post": "yes"})
        assert response.status_code == 403, label
        chosen = {
            "action": "delete_selected",
            "_selected_action": row.pk,
            "post": "yes",
        }
        console.post(asking.changelist(row), chosen)
        assert type(row).objects.filter(pk=row.pk).exists(), label


def test_a_zone_is_added_and_changed(console: Client, actor_id: str) -> None:
    name = new_id()
    response = asking.carry_out(console, asking.url(Zone, "add"), name=f" {name} ")
    zone = Zone.objects.get(name=name)
    assert response.status_code == 302
    row = asking.last_audit(actor_id)
    assert (row.entity_type, row.entity_id) == ("zones", zone.pk)
    assert row.path == asking.url(Zone, "add")
    sent = {**asking.fields(console, zone), "name": f"{name} two"}
    assert console.post(asking.change(zone), sent).status_code == 302
    zone.refresh_from_db()
    assert zone.name == f"{name} two"
    row = asking.last_audit(actor_id)
    assert row.payload_json["changed_fields"] == ["name"]
    assert not LogEntry.objects.filter(object_id=zone.pk).exists()


def test_what_was_not_changed_is_not_written(
    console: Client, zone: Zone, actor_id: str
) -> None:
    response = console.post(asking.change(zone), asking.fields(console, zone))
    assert response.status_code == 302
    assert not AdminAuditEvent.objects.filter(actor_id=actor_id).exists()


def test_self_registration_is_switched_off_with_a_decision(
    console: Client, actor_id: str
) -> None:
    zone = make_zone()
    make_dynamic(zone)
    zone.refresh_from_db()
    sent = asking.fields(console, zone)
    del sent["dcr_enabled"]
    refused = console.post(asking.change(zone), sent)
    assert "say keep_live or revoke_live" in asking.text(refused)
    done = console.post(asking.change(zone), {**sent, "dcr_shutdown": "revoke_live"})
    assert done.status_code == 302
    assert (
        asking.last_audit(actor_id).payload_json["dcr_shutdown_mode"] == "revoke_live"
    )


def test_an_application_is_changed(console: Client, zone: Zone, actor_id: str) -> None:
    application = make_application(zone).application
    sent = {**asking.fields(console, application), "traits": "team:docs\n\n eu \n"}
    assert console.post(asking.change(application), sent).status_code == 302
    application.refresh_from_db()
    assert application.traits == ["team:docs", "eu"]
    assert asking.last_audit(actor_id).entity_id == application.pk


def test_a_provider_is_added_and_changed(
    console: Client, zone: Zone, actor_id: str
) -> None:
    page = f"{asking.url(Provider, 'add')}?zone={zone.pk}&kind=none"
    assert asking.carry_out(console, page, name="Vault").status_code == 302
    provider = Provider.objects.get(zone=zone)
    assert (provider.kind, provider.identifier) == ("none", "provider://vault")
    sent = {**asking.fields(console, provider), "name": "Safe"}
    assert console.post(asking.change(provider), sent).status_code == 302
    provider.refresh_from_db()
    assert provider.name == "Safe"
    assert asking.last_audit(actor_id).entity_id == provider.pk


def resource_form(zone: Zone, **fields: Any) -> dict[str, Any]:
    return {
        "name": "Docs",
        "upstream_url": "https://docs.example.com",
        "scopes": "docs:read\ndocs:write",
        "credential_provider": make_provider(zone).pk,
        "gateway_application": make_application(zone).application.pk,
        "operations": "get /docs/{id} docs:read",
        "operation_enforcement": "enforced",
        **fields,
    }


def test_a_resource_is_added_and_changed(
    console: Client, zone: Zone, actor_id: str
) -> None:
    page = f"{asking.url(Resource, 'add')}?zone={zone.pk}"
    assert asking.carry_out(console, page, **resource_form(zone)).status_code == 302
    resource = Resource.objects.get(zone=zone)
    assert resource.scopes == ["docs:read", "docs:write"]
    assert resource.operations == [
        {"method": "GET", "path": "/docs/{id}", "scope": "docs:read"}
    ]
    other = make_application(zone).application
    sent = {**asking.fields(console, resource), "gateway_application": other.pk}
    assert console.post(asking.change(resource), sent).status_code == 302
    row = asking.last_audit(actor_id)
    assert row.payload_json["changed_fields"] == ["gateway_application_id"]
    assert other.name in asking.text(console.get(asking.changelist(resource)))


def test_a_resource_takes_nothing_of_another_zone(console: Client, zone: Zone) -> None:
    elsewhere = make_zone()
    page = f"{asking.url(Resource, 'add')}?zone={zone.pk}"
    for field, row in (
        ("credential_provider", make_provider(elsewhere)),
        ("gateway_application", make_application(elsewhere).application),
    ):
        sent = resource_form(zone, **{field: row.pk})
        response = asking.carry_out(console, page, **sent)
        assert response.status_code == 200
        assert "not one of the available choices" in asking.text(response)
    assert not Resource.objects.filter(zone=zone).exists()


def test_something_in_a_zone_is_added_after_choosing_the_zone(console: Client) -> None:
    zone = make_zone()
    page = asking.url(Application, "add")
    chosen = console.get(page, {"q": zone.name})
    assert f"?zone={zone.pk}" in asking.text(chosen)
    unknown = console.get(page, {"zone": "no-such-zone"}, follow=True)
    assert "no such live zone" in asking.text(unknown)


def test_a_refusal_is_shown_at_the_form_and_kept_as_evidence(
    console: Client, zone: Zone, actor_id: str
) -> None:
    sent = {**asking.fields(console, zone), "slug": make_zone().slug}
    response = console.post(asking.change(zone), sent)
    assert response.status_code == 200
    assert "Another zone has this slug." in asking.text(response)
    row = asking.last_audit(actor_id)
    assert (row.status_code, row.payload_json["error"]) == (409, "zone_slug_conflict")
    zone.refresh_from_db()
    assert zone.slug != sent["slug"]


def test_a_refusal_tells_its_detail(console: Client, zone: Zone) -> None:
    application = make_application(zone).application
    sent = {**asking.fields(console, application), "traits": "control:nonsense"}
    page = asking.text(console.post(asking.change(application), sent))
    assert page.count("control:nonsense") == 2  # In the sentence and in the field.


def test_the_platforms_own_zones_are_read_only(console: Client) -> None:
    zone = Zone.objects.create(name="caracal.sys/x", slug=f"caracal-sys-{new_id()}")
    sent = {**asking.fields(console, zone), "name": "Mine"}
    response = console.post(asking.change(zone), sent)
    assert response.status_code == 200
    zone.refresh_from_db()
    assert zone.name == "caracal.sys/x"


def test_what_has_ended_cannot_be_changed(console: Client, zone: Zone) -> None:
    application = make_application(zone).application
    services.archive_application(
        application.pk, zone_id=zone.pk, actor=ACTOR, reason="over"
    )
    assert console.post(asking.change(application), {"name": "x"}).status_code == 403
    page = asking.text(console.get(asking.change(application)))
    assert "Rotate client secret" not in page


def test_who_may_only_look_changes_nothing(zone: Zone) -> None:
    person = User.objects.create_user(new_id(), is_staff=True)
    person.user_permissions.add(Permission.objects.get(codename="view_zone"))
    client = Client()
    client.force_login(person)
    page = asking.text(client.get(asking.change(zone)))
    assert "Archive" not in page.split("</nav>")[-1].split("<h2")[0]
    assert client.post(asking.change(zone), {"name": "x"}).status_code == 403
    assert client.get(asking.gesture(zone, "archive")).status_code == 403
    assert client.post(asking.gesture(zone, "archive"), {}).status_code == 403
    assert client.get(asking.changelist(AdminToken)).status_code == 403


def test_the_way_out_of_a_gesture_is_not_called_like_its_button() -> None:
    for model_admin in REGISTRY.values():
        for gesture in getattr(model_admin, "gestures", ()):
            assert gesture.button.lower() != gesture.dismiss.lower()
