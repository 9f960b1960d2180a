"""Scenarios of policy sets in the console; they are made on the simulation's page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.contrib import admin

from caracal_site.actors import Actor
from caracal_site.console import columns, display
from caracal_site.console.base import EvidenceAdmin
from caracal_site.console.filters import linked
from caracal_site.console.gestures import Done, Gesture, Impact
from policies import services
from policies.models import PolicyScenario, PolicySet


class RemoveScenario(Gesture):
    name = "remove"
    button = "Remove"
    question = "Remove this scenario?"
    explanation = "Versions of the set can then be activated whatever they answer."

    def preview(self, rows: Sequence[PolicyScenario]) -> Impact:
        return Impact()

    def perform(
        self, actor: Actor, rows: Sequence[PolicyScenario], answers: dict[str, Any]
    ) -> Done:
        scenario = rows[0]
        services.remove_scenario(
            scenario.id,
            policy_set_id=scenario.policy_set_id,
            zone_id=scenario.zone_id,
            actor=actor,
            reason=answers["reason"],
        )
        url = display.change_url(PolicySet, scenario.policy_set_id)
        return Done(f"{scenario} is removed.", url=url)


@admin.register(PolicyScenario)
class PolicyScenarioAdmin(EvidenceAdmin):
    section, place = "Policies", 4
    gestures = (RemoveScenario(),)
    list_display = (
        "name",
        columns.related("policy_set", "set"),
        columns.related("policy_set.zone", "zone"),
        columns.badge("expected_decision", "expected"),
        "since_version",
        columns.moment("created_at"),
    )
    list_select_related = ("policy_set", "policy_set__zone")
    list_filter = (linked("policy_set_id", "policy set"),)
    search_fields = ("name", "=id", "policy_set__name")
    fieldsets = [
        (
            "Record",
            {
                "classes": ["record"],
                "fields": [
                    columns.mono("id", "ID"),
                    columns.related("policy_set", "set"),
                    columns.related("policy_set.zone", "zone"),
                    columns.badge("expected_decision", "expected"),
                    columns.mono("expected_policy"),
                    "since_version",
                    columns.mono("created_by"),
                    columns.exact("created_at"),
                    columns.as_json("input"),
                ],
            },
        )
    ]
