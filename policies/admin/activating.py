"""The page on which a version is put in force: what would change, then the reason."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import islice
from typing import Any

from django import forms
from django.utils import timezone
from django.utils.html import format_html

from caracal_site.actors import Actor
from caracal_site.console import display
from caracal_site.console.gestures import (
    Affected,
    Done,
    Gesture,
    GestureForm,
    Impact,
)
from caracal_site.console.panels import Cell
from caracal_site.errors import CaracalError
from policies import services
from policies.models import PolicyActivation, PolicySetVersion
from policies.services import Comparison

SHOWN = 12
WINDOW = timedelta(days=1)
FLIPS = {
    "allow_to_deny": "Allowed until now, denied then",
    "deny_to_allow": "Denied until now, allowed then",
}


@dataclass(frozen=True, slots=True)
class ActivationImpact(Impact):
    """What changes, and what was in force when the person looked."""

    active_version_id: str = ""


class ActivationForm(GestureForm):
    """Refuses when something else came in force since the person looked."""

    expected = forms.CharField(required=False, widget=forms.HiddenInput)

    def __init__(
        self, gesture: Gesture, impact: Impact, *args: Any, **kwargs: Any
    ) -> None:
        super().__init__(gesture, impact, *args, **kwargs)
        self.fields["expected"].initial = getattr(impact, "active_version_id", "")

    def look_again(self, impact: Impact) -> None:
        super().look_again(impact)
        data: Any = self.data
        data["expected"] = getattr(impact, "active_version_id", "")


class ActivateVersion(Gesture):
    name = "activate"
    button = "Activate"
    question = "Put this version in force?"
    explanation = (
        "Every token request of the zone is decided by it from the moment this is done,"
        " instead of by what is in force now. Tokens that are out stay valid. Going"
        " back is activating the version before."
    )
    form_class = ActivationForm

    def offered_for(self, row: PolicySetVersion) -> bool:
        if row.policy_set.archived_at is not None:
            return False
        return not PolicyActivation.objects.filter(active_version=row).exists()

    def preview(self, rows: Sequence[PolicySetVersion]) -> ActivationImpact:
        version = rows[0]
        active = (
            PolicyActivation.objects.filter(zone_id=version.zone_id)
            .select_related("active_version__policy_set")
            .first()
        )
        present = active.active_version if active else None
        notes: list[Cell] = [_replaces(present), *services.loose_ends(version)]
        try:
            affected = _tested(version)
            compared = _compared(version)
        except CaracalError as refusal:
            return ActivationImpact(
                [], [*notes, f"It would be refused: {refusal.sentence}"]
            )
        affected += [
            _flipped(compared, change, title) for change, title in FLIPS.items()
        ]
        notes.append(_looked_at(compared))
        return ActivationImpact(affected, notes, "", present.id if present else "")

    def perform(
        self, actor: Actor, rows: Sequence[PolicySetVersion], answers: dict[str, Any]
    ) -> Done:
        version = rows[0]
        services.activate_policy_set(
            version.policy_set_id,
            zone_id=version.zone_id,
            actor=actor,
            version_id=version.id,
            expected_version_id=answers["expected"] or None,
            reason=answers["reason"],
        )
        return Done(f"{version.policy_set}, {version}, is in force.")


def _replaces(present: PolicySetVersion | None) -> Cell:
    if present is None:
        return "No policy set is in force in the zone."
    named = f"{present.policy_set}, {present}"
    return format_html("In force now: {}.", display.object_link(present, named))


def _tested(version: PolicySetVersion) -> list[Affected]:
    services.checked_version(version.policy_set_id, version.id, version.zone_id)
    failed = [one for one in services.run_scenarios(version) if one.fault]
    named = [
        format_html("{}: {}", display.object_link(one.scenario), one.fault)
        for one in failed[:SHOWN]
    ]
    return [Affected("Scenarios that fail, so it will be refused", len(failed), named)]


def _compared(version: PolicySetVersion) -> Comparison:
    recorded = services.recorded(version.zone_id, since=timezone.now() - WINDOW)
    return services.compare(
        version.policy_set_id,
        zone_id=version.zone_id,
        version_id=version.id,
        asked=recorded,
    )


def _flipped(compared: Comparison, change: str, title: str) -> Affected:
    """The questions, each once, with how often it was asked."""
    asked: dict[str, list[str]] = {}
    for flip in compared.flips:
        if flip.change == change:
            asked.setdefault(question_of(flip.document), []).append(flip.name)
    shown = list(islice(asked.items(), SHOWN))
    links = [
        display.link_to(
            "audit.AuditEvent",
            events[0],
            question if len(events) == 1 else f"{question} ({len(events):,} times)",
        )
        for question, events in shown
    ]
    named = sum(len(events) for _, events in shown)
    return Affected(title, compared.count(change), links, named)


def question_of(document: Any) -> str:
    """The input of a recorded decision in a line."""
    context, resource = document.get("context", {}), document.get("resource", {})
    scopes = " ".join(context.get("requested_scopes") or ()) or "use"
    labels = ", ".join(document.get("principal", {}).get("labels") or ())
    by = f" for {labels}" if labels else ""
    return f"{scopes} on {resource.get('identifier', '')}{by}"


def _looked_at(compared: Comparison) -> Cell:
    asked = display.counted(compared.compared, "decision")
    told = f"Compared with {asked} of the last day"
    if not compared.is_complete:
        told += ", the newest"
    if compared.skipped:
        told += f"; {len(compared.skipped):,} kept no input to compare"
    return f"{told}."
