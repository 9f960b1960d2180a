"""Callers who want the same thing at the same time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any

from caracal_site.errors import CaracalError, ZoneNotFound
from caracal_site.ids import new_id
from caracal_site.testing.api import Api
from caracal_site.testing.races import Threads, held
from zones import errors, services
from zones.models import Application, Provider, Resource, Zone, ZoneUsage
from zones.tests.factories import (
    ACTOR,
    make_application,
    make_dynamic,
    make_provider,
    make_zone,
    resource_fields,
)

CALLERS = 12


def at_once(call: Callable[[], Any], count: int = CALLERS) -> list[Any]:
    """What each of ``count`` callers at once got: a result, or an error's code."""

    with Threads(count) as threads:
        started = [threads.start(_outcome, call) for _ in range(count)]
        return [future.result(60) for future in started]


def _outcome(call: Callable[[], Any]) -> Any:
    try:
        return call()
    except CaracalError as error:
        return error.code


def test_zones_of_one_name_all_get_a_slug() -> None:
    name = new_id()
    zones = at_once(lambda: services.create_zone(name, actor=ACTOR))
    assert len({zone.slug for zone in zones}) == CALLERS


def test_one_slug_goes_to_one_zone() -> None:
    slug = new_id()
    outcomes = at_once(lambda: services.create_zone("x", slug=slug, actor=ACTOR))
    assert outcomes.count("zone_slug_conflict") == CALLERS - 1


def test_one_name_goes_to_one_application(zone: Zone) -> None:
    outcomes = at_once(
        lambda: services.create_application("App", zone_id=zone.id, actor=ACTOR)
    )
    assert outcomes.count("application_name_taken") == CALLERS - 1
    assert Application.objects.in_zone(zone.id).count() == 1


def test_one_of_twelve_requests_for_one_name_gets_it(api: Api, zone: Zone) -> None:
    path = f"/v1/zones/{zone.id}"
    wanted: list[tuple[str, Any, str]] = [
        ("/v1/zones", {"name": "x", "slug": new_id()}, "zone_slug_conflict"),
        (
            f"{path}/applications",
            {"name": "App", "registration_method": "managed"},
            "application_name_taken",
        ),
        (
            f"{path}/resources",
            dict(resource_fields(zone, identifier="resource://one")),
            "resource_identifier_conflict",
        ),
    ]
    for route, body, code in wanted:
        answers = at_once(partial(api.post, route, body))
        statuses = Counter(answer.status_code for answer in answers)
        assert statuses == {201: 1, 409: CALLERS - 1}, route
        told = {answer.json().get("error") for answer in answers} - {None}
        assert told == {code}


def test_none_of_twelve_takes_a_managed_name_by_registering(settings: Any) -> None:
    settings.DCR_RATE_LIMIT_PER_SEC = 0
    zone = make_zone(dcr_enabled=True)
    make_application(zone, "Payroll")
    outcomes = at_once(
        lambda: services.register_application(
            "payroll", zone_id=zone.id, actor=ACTOR, expires_in_seconds=60
        )
    )
    assert outcomes == ["application_name_taken"] * CALLERS


def test_providers_of_one_name_all_get_an_identifier(zone: Zone) -> None:
    made = at_once(
        lambda: services.create_provider("none", name="x", zone_id=zone.id, actor=ACTOR)
    )
    assert len({provider.identifier for provider in made}) == CALLERS


def test_resources_of_one_name_all_get_an_identifier(zone: Zone) -> None:
    fields = resource_fields(zone)
    made = at_once(
        lambda: services.create_resource(zone_id=zone.id, actor=ACTOR, fields=fields)
    )
    assert len({resource.identifier for resource in made}) == CALLERS
    assert ZoneUsage.objects.get(zone=zone).resources == CALLERS


def test_control_resources_share_one_provider_and_one_wins(zone: Zone) -> None:
    fields: Any = {"identifier": "caracal-control", "scopes": ["control:invoke"]}
    outcomes = at_once(
        lambda: services.create_resource(zone_id=zone.id, actor=ACTOR, fields=fields)
    )
    assert outcomes.count("resource_identifier_conflict") == CALLERS - 1
    assert Provider.objects.in_zone(zone.id).count() == 1


def test_the_number_of_resources_is_exact(zone: Zone, settings: Any) -> None:
    settings.API_MAX_RESOURCES_PER_ZONE = 3
    fields = resource_fields(zone)
    outcomes = at_once(
        lambda: services.create_resource(zone_id=zone.id, actor=ACTOR, fields=fields)
    )
    assert outcomes.count("resource_quota_exceeded") == CALLERS - 3


def test_the_number_of_self_registered_is_exact(settings: Any) -> None:
    zone = make_zone(dcr_enabled=True)
    settings.MAX_DCR_APPLICATIONS_PER_ZONE = 3
    outcomes = at_once(
        lambda: services.register_application(
            "d", zone_id=zone.id, actor=ACTOR, expires_in_seconds=60
        )
    )
    assert outcomes.count("dcr_limit_exceeded") == CALLERS - 3


def test_a_thing_ends_once(zone: Zone) -> None:
    application = make_application(zone).application
    outcomes = at_once(
        lambda: services.archive_application(
            application.id, zone_id=zone.id, actor=ACTOR, reason="r"
        ),
        4,
    )
    ended = services.Ended(applications=(application.id,))
    assert Counter(outcomes) == {ended: 1, "application_not_found": 3}


def test_nothing_is_made_in_a_zone_that_is_being_archived() -> None:
    zone = make_zone()
    with Threads(2) as threads:
        with held(Zone.objects.filter(id=zone.id)) as waiting:
            ending = threads.start(
                services.archive_zone, zone.id, actor=ACTOR, reason="r"
            )
            waiting(1)
            making = threads.start(
                services.create_application, "x", zone_id=zone.id, actor=ACTOR
            )
            waiting(2)
        assert ending.exception(60) is None
        refused = making.exception(60)
    made_before = Application.objects.in_zone(zone.id).exists()
    assert isinstance(refused, ZoneNotFound) != made_before


def test_a_resource_is_not_made_for_a_provider_that_is_being_archived(
    zone: Zone,
) -> None:
    provider = make_provider(zone)
    fields = resource_fields(zone, credential_provider_id=provider.id)
    with Threads(2) as threads:
        with held(Provider.objects.filter(id=provider.id)) as waiting:
            ending = threads.start(
                services.archive_provider,
                provider.id,
                zone_id=zone.id,
                actor=ACTOR,
                reason="r",
            )
            waiting(1)
            making = threads.start(
                services.create_resource, zone_id=zone.id, actor=ACTOR, fields=fields
            )
            waiting(2)
        outcomes = {type(ending.exception(60)), type(making.exception(60))}
    assert outcomes in (
        {type(None), errors.ProviderNotFound},
        {errors.ProviderInUse, type(None)},
    )
    live = Resource.objects.in_zone(zone.id).live()
    assert not live.exclude(credential_provider__archived_at=None).exists()


def test_making_and_ending_one_identifier_never_wait_in_a_circle(zone: Zone) -> None:
    fields = resource_fields(zone, identifier="resource://one")

    def renew() -> Any:
        made = services.create_resource(zone_id=zone.id, actor=ACTOR, fields=fields)
        services.archive_resource(made.id, zone_id=zone.id, actor=ACTOR, reason="r")
        return made.identifier

    outcomes = at_once(lambda: [_outcome(renew) for _ in range(4)], 6)
    codes = {code for of_one in outcomes for code in of_one}
    assert codes <= {"resource://one", "resource_identifier_conflict"}
    assert ZoneUsage.objects.get(zone=zone).resources == 0


def test_a_registration_and_the_end_of_registration_exclude_each_other() -> None:
    zone = make_zone(dcr_enabled=True)
    make_dynamic(zone)
    change: Any = {"dcr_enabled": False}

    def shut_down() -> Any:
        return services.change_zone(
            zone.id, actor=ACTOR, changes=change, dcr_shutdown="revoke_live"
        )

    def register() -> Any:
        return services.register_application(
            "d", zone_id=zone.id, actor=ACTOR, expires_in_seconds=60
        )

    with Threads(2) as threads:
        started = [threads.start(shut_down), threads.start(register)]
        for future in started:
            assert isinstance(future.exception(60), errors.DcrDisabled | None)
    assert not Application.objects.in_zone(zone.id).live().exists()
