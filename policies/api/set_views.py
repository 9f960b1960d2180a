"""Policy sets, what is in force, and their scenarios, on the Management API."""

from __future__ import annotations

from typing import ClassVar
from urllib.parse import quote, urlencode

from django.http.response import HttpResponseBase
from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request
from rest_framework.response import Response

from caracal_site.api.idempotency import once
from caracal_site.api.items import item
from caracal_site.api.pagination import plain_query
from caracal_site.api.schema import described
from caracal_site.api.views import ZoneScopedViewSet
from caracal_site.errors import InvalidBody, InvalidQuery, Issue
from caracal_site.ids import is_id
from policies import errors, services
from policies.api import listings, outcome_shapes, serializers
from policies.api import set_shapes as shapes
from policies.api.policy_views import BY_REQUEST
from policies.models import PolicyScenario, PolicySet, PolicySetVersion
from policies.querysets import PolicySetQuerySet
from policies.services import Question, Whichever

STATUS_PARAMETERS = ("version_id", "outbox_id")


class PolicySetsViewSet(ZoneScopedViewSet):
    """Bundles of policies; one of a zone's is in force."""

    model = "policies.policyset"
    reads_with_post: ClassVar = frozenset({"simulate", "compare", "test"})
    success_status: ClassVar = {
        **ZoneScopedViewSet.success_status,
        "activate": 202,
        "deactivate": 202,
    }

    def rows(self) -> PolicySetQuerySet:
        return PolicySet.objects.in_zone(self.zone.id).with_active_version()

    @described(
        "List policy sets",
        answer=shapes.PolicySetShape,
        listing=listings.POLICY_SETS,
        refusals=(404,),
    )
    def list(self, request: Request, zone_id: str) -> HttpResponseBase:
        return self.listed(self.rows(), listings.POLICY_SETS)

    @described(
        "Create a policy set",
        body=serializers.PolicySetCreateSerializer,
        answer=shapes.PolicySetMadeShape,
        status=201,
        refusals=(400, 404, 409, 413, 415),
        once=True,
        tagged=True,
    )
    def create(self, request: Request, zone_id: str) -> Response:
        fields = self.body(serializers.PolicySetCreateSerializer)

        def perform() -> Response:
            made = services.create_policy_set(
                fields.pop("name"),
                zone_id=zone_id,
                actor=self.actor,
                **fields,
            )
            body = shapes.columns_of(made, shapes.POLICY_SET_MADE)
            return item(request, body, version=made.version, status=201)

        return once(request, perform)

    @described(
        "Get a policy set",
        answer=shapes.PolicySetShape,
        refusals=(400, 404),
        tagged=True,
    )
    def retrieve(self, request: Request, zone_id: str, id: str) -> Response:
        live = self.rows().live().filter(id=id)
        row = live.values(*shapes.POLICY_SET, "version").first()
        if row is None:
            raise errors.PolicySetNotFound
        return item(request, row, version=row.pop("version"))

    @described(
        "Archive a policy set",
        status=204,
        refusals=(400, 404, 409),
        guarded=True,
        previews=shapes.NothingEndsShape,
    )
    def destroy(self, request: Request, zone_id: str, id: str) -> Response:
        asked = self.asked(zone_id)
        if self.is_preview:
            services.preview_policy_set_archive(id, **asked)
            return Response(shapes.nothing_ends(id))
        services.archive_policy_set(id, reason=BY_REQUEST, **asked)
        return Response(status=204)

    @described(
        "Put a version of a policy set in force",
        body=serializers.ActivateSerializer,
        answer=outcome_shapes.ActivatedShape,
        status=202,
        refusals=(400, 404, 409, 413, 415, 422),
    )
    def activate(self, request: Request, zone_id: str, id: str) -> Response:
        fields = self.body(serializers.ActivateSerializer)
        done = services.activate_policy_set(
            id,
            zone_id=zone_id,
            actor=self.actor,
            version_id=fields["version_id"],
            shadow_version_id=fields.get("shadow_version_id"),
            expected_version_id=fields.get("expected_active_version_id", Whichever()),
        )
        asked = {"version_id": fields["version_id"], "outbox_id": done.outbox_id}
        path = f"/v1/zones/{quote(zone_id, safe='')}/policy-sets/{quote(id, safe='')}"
        return Response(
            {
                "activated": True,
                "version_id": done.version_id,
                "shadow_version_id": done.shadow_version_id,
                "outbox_id": done.outbox_id,
                "status_url": f"{path}/activation-status?{urlencode(asked)}",
            },
            status=202,
        )

    @described(
        "Take a policy set out of force",
        answer=outcome_shapes.DeactivatedShape,
        status=202,
        refusals=(400, 404, 409),
    )
    def deactivate(self, request: Request, zone_id: str, id: str) -> Response:
        done = services.deactivate_policy_set(
            id,
            zone_id=zone_id,
            actor=self.actor,
            reason="deactivated through the Management API",
        )
        return Response(
            {
                "deactivated": True,
                "version_id": done.replaced_version_id,
                "outbox_id": done.outbox_id,
            },
            status=202,
        )

    @described(
        "How far an activation has come",
        answer=outcome_shapes.ActivationStatusShape,
        refusals=(400, 404),
        parameters=(
            OpenApiParameter("version_id", description="By default the active one."),
            OpenApiParameter("outbox_id", description="As activating answered it."),
        ),
    )
    def activation_status(self, request: Request, zone_id: str, id: str) -> Response:
        try:
            asked = plain_query(request.GET, frozenset(STATUS_PARAMETERS))
        except InvalidQuery as fault:
            # The contract's code for this one query.
            raise InvalidBody(sentence=fault.sentence) from None
        faults = [name for name, value in asked.items() if not is_id(value)]
        if faults:
            raise InvalidBody([Issue((name,), "no identifier") for name in faults])
        found = services.activation_status(id, zone_id=zone_id, **asked)
        return Response(outcome_shapes.status(found))

    @described(
        "What a version would decide",
        body=serializers.SimulateSerializer,
        answer=outcome_shapes.SimulationShape,
        refusals=(400, 404, 413, 415, 422),
    )
    def simulate(self, request: Request, zone_id: str, id: str) -> Response:
        fields = self.body(serializers.SimulateSerializer)
        found = services.simulate(
            id,
            zone_id=zone_id,
            version_id=fields["version_id"],
            document=fields.get("input"),
        )
        return Response(outcome_shapes.simulation(id, found))

    @described(
        "What a version would decide otherwise than the one in force",
        body=serializers.CompareSerializer,
        answer=outcome_shapes.ComparisonShape,
        refusals=(400, 404, 413, 415, 422),
    )
    def compare(self, request: Request, zone_id: str, id: str) -> Response:
        fields = self.body(serializers.CompareSerializer)
        if "since" in fields:
            questions = services.recorded(
                zone_id, since=fields["since"], until=fields.get("until")
            )
        else:
            questions = [
                Question(given.get("name", str(number)), given["input"])
                for number, given in enumerate(fields["inputs"], 1)
            ]
        found = services.compare(
            id, zone_id=zone_id, version_id=fields["version_id"], asked=questions
        )
        return Response(outcome_shapes.comparison(id, found))

    @described(
        "Ask a version all its scenarios",
        body=serializers.TestSerializer,
        answer=outcome_shapes.TestedShape,
        refusals=(400, 404, 413, 415, 422),
    )
    def test(self, request: Request, zone_id: str, id: str) -> Response:
        version_id = self.body(serializers.TestSerializer)["version_id"]
        version = services.checked_version(id, version_id, zone_id)
        return Response(outcome_shapes.tested(version, services.run_scenarios(version)))


class _OfPolicySet(ZoneScopedViewSet):
    """What belongs to one live set."""

    def policy_set(self, id: str) -> PolicySet:
        live = PolicySet.objects.in_zone(self.zone.id).live()
        found: PolicySet | None = live.filter(id=id).first()
        if found is None:
            raise errors.PolicySetNotFound
        return found


class SetVersionsViewSet(_OfPolicySet):
    """The versions of a policy set."""

    model = "policies.policysetversion"

    @described(
        "List the versions of a policy set",
        answer=shapes.SetVersionShape,
        listing=listings.SET_VERSIONS,
        refusals=(404,),
    )
    def list(self, request: Request, zone_id: str, id: str) -> HttpResponseBase:
        return self.listed(self.policy_set(id).versions.all(), listings.SET_VERSIONS)

    @described(
        "Add a version to a policy set",
        body=serializers.PolicySetVersionCreateSerializer,
        answer=shapes.SetVersionMadeShape,
        status=201,
        refusals=(400, 404, 409, 413, 415, 422),
        once=True,
    )
    def create(self, request: Request, zone_id: str, id: str) -> Response:
        fields = self.body(serializers.PolicySetVersionCreateSerializer)
        manifest = fields.pop("manifest")

        def perform() -> Response:
            version = services.add_policy_set_version(
                id,
                zone_id=zone_id,
                actor=self.actor,
                policy_version_ids=[entry["policy_version_id"] for entry in manifest],
                **fields,
            )
            made = shapes.columns_of(version, shapes.SET_VERSION_MADE)
            return Response({"version_id": version.id, **made}, status=201)

        return once(request, perform)

    @described(
        "Get a version of a policy set",
        answer=shapes.SetVersionDetailShape,
        refusals=(400, 404),
    )
    def retrieve(
        self, request: Request, zone_id: str, id: str, version_id: str
    ) -> Response:
        versions = PolicySetVersion.objects.of_set(id, zone_id)
        version = versions.filter(id=version_id).first()
        if version is None:
            raise errors.PolicySetVersionNotFound
        members = services.members_of(version_id)
        return Response(shapes.set_version(version, members))


class ScenariosViewSet(_OfPolicySet):
    """Questions with the answers the versions of a set have to give."""

    model = "policies.policyscenario"

    @described(
        "List the scenarios of a policy set",
        answer=outcome_shapes.ScenarioShape,
        listing=listings.SCENARIOS,
        refusals=(404,),
    )
    def list(self, request: Request, zone_id: str, id: str) -> HttpResponseBase:
        return self.listed(self.policy_set(id).scenarios.all(), listings.SCENARIOS)

    @described(
        "Add a scenario to a policy set",
        body=serializers.ScenarioCreateSerializer,
        answer=outcome_shapes.ScenarioShape,
        status=201,
        refusals=(400, 404, 409, 413, 415),
        once=True,
    )
    def create(self, request: Request, zone_id: str, id: str) -> Response:
        fields = self.body(serializers.ScenarioCreateSerializer)

        def perform() -> Response:
            made = services.add_scenario(
                fields.pop("name"),
                policy_set_id=id,
                zone_id=zone_id,
                actor=self.actor,
                document=fields.pop("input"),
                **fields,
            )
            return Response(shapes.columns_of(made, shapes.SCENARIO), status=201)

        return once(request, perform)

    @described(
        "Get a scenario of a policy set",
        answer=outcome_shapes.ScenarioShape,
        refusals=(400, 404),
    )
    def retrieve(
        self, request: Request, zone_id: str, id: str, scenario_id: str
    ) -> Response:
        scenario: PolicyScenario | None = (
            self.policy_set(id).scenarios.filter(id=scenario_id).first()
        )
        if scenario is None:
            raise errors.ScenarioNotFound
        return Response(shapes.columns_of(scenario, shapes.SCENARIO))

    @described(
        "Remove a scenario from a policy set", status=204, refusals=(400, 404, 409)
    )
    def destroy(
        self, request: Request, zone_id: str, id: str, scenario_id: str
    ) -> Response:
        services.remove_scenario(
            scenario_id,
            policy_set_id=id,
            zone_id=zone_id,
            actor=self.actor,
            reason=BY_REQUEST,
        )
        return Response(status=204)
