"""A provider cannot go while somebody takes it into use, in whichever order."""

from __future__ import annotations

from typing import Any

import pytest

from caracal_site.testing.races import Threads, held
from zones import errors, services
from zones.models import Provider, Resource, Zone
from zones.tests.factories import ACTOR, make_provider, make_resource, resource_fields


def use_by_new(zone: Zone, provider: Provider) -> Any:
    fields = resource_fields(zone, credential_provider_id=provider.id)
    return lambda: services.create_resource(zone_id=zone.id, actor=ACTOR, fields=fields)


def use_by_old(zone: Zone, provider: Provider) -> Any:
    resource = make_resource(zone)
    changes: Any = {"credential_provider_id": provider.id}
    return lambda: services.change_resource(
        resource.id, zone_id=zone.id, actor=ACTOR, changes=changes
    )


@pytest.mark.parametrize("use", [use_by_new, use_by_old])
@pytest.mark.parametrize("ends_first", [True, False])
def test_a_provider_in_use_is_never_archived(
    zone: Zone, use: Any, ends_first: bool
) -> None:
    provider = make_provider(zone)

    def archive() -> None:
        services.archive_provider(provider.id, zone_id=zone.id, actor=ACTOR, reason="r")

    calls = [archive, use(zone, provider)]
    if not ends_first:
        calls.reverse()
    with Threads(2) as threads:
        with held(Provider.objects.filter(id=provider.id)) as waiting:
            started = []
            for count, call in enumerate(calls, 1):
                started.append(threads.start(call))
                waiting(count)
        outcomes = {type(future.exception(60)) for future in started}
    assert outcomes in (
        {type(None), errors.ProviderNotFound},
        {type(None), errors.ProviderInUse},
    )
    live = Resource.objects.in_zone(zone.id).live()
    assert not live.exclude(credential_provider__archived_at=None).exists()
