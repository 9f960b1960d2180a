"""The page that asks a version what it would decide, and says why in plain words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
from django import forms
from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse

from caracal_site.console import display, refusals
from caracal_site.console.actors import console_actor
from caracal_site.console.forms import LinesField
from caracal_site.errors import CaracalError
from policies import rules, services
from policies.models import PolicySetVersion
from policies.rules import INPUT_SCHEMA_VERSION
from policies.services import Simulation
from zones.models import Application, Resource

ASK, KEEP = "ask", "keep"
BEGIN, MINT = "begin", "mint"
KINDS = (
    (BEGIN, "an application begins, as itself"),
    (MINT, "an agent mints under a delegation edge"),
)
EDGE, AGENT = "edge-of-the-simulation", "agent-of-the-simulation"


class SimulationForm(forms.Form):
    """Who asks for what. Anything else can be asked as a whole input document."""

    required_css_class = "required"

    kind = forms.ChoiceField(choices=KINDS, required=False, label="Question")
    application = forms.ModelChoiceField(
        Application.objects.none(), required=False, to_field_name="id"
    )
    resource = forms.ModelChoiceField(
        Resource.objects.none(), required=False, to_field_name="id"
    )
    scopes = LinesField(
        required=False,
        max_length=200,
        help_text="One a line; the lifecycle scope when empty.",
        widget=forms.Textarea(attrs={"rows": 3, "cols": 60}),
    )
    labels = LinesField(
        required=False,
        max_length=200,
        label="Labels of the agent",
        widget=forms.Textarea(attrs={"rows": 3, "cols": 60}),
    )
    edge_scopes = LinesField(
        required=False,
        max_length=200,
        label="Scopes of the edge",
        help_text="One a line; those asked for when empty.",
        widget=forms.Textarea(attrs={"rows": 3, "cols": 60}),
    )
    document = forms.CharField(
        required=False,
        label="Or an input document",
        help_text="JSON as a token request is decided by; instead of everything above.",
        widget=forms.Textarea(attrs={"class": "source", "rows": 8}),
    )
    name = forms.CharField(
        required=False,
        max_length=rules.MAX_NAME,
        label="Name of the scenario",
        help_text="To keep question and answer as a test of every later version.",
    )

    def __init__(self, zone_id: str, lifecycle: str, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.zone_id, self.lifecycle = zone_id, lifecycle
        rows: dict[str, Any] = {"application": Application, "resource": Resource}
        for name, model in rows.items():
            field: Any = self.fields[name]
            live = model.objects.in_zone(zone_id).live()
            field.queryset = live.order_by("name", "pk")

    def clean_document(self) -> dict[str, Any] | None:
        text = self.cleaned_data["document"].strip()
        if not text:
            return None
        try:
            found = orjson.loads(text)
        except ValueError as fault:
            raise forms.ValidationError(f"This is no JSON: {fault}") from None
        if not isinstance(found, dict):
            raise forms.ValidationError("Expected a JSON object.")
        return found

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        if not self.errors and cleaned.get("document") is None:
            for name in ("application", "resource"):
                if cleaned.get(name) is None:
                    self.add_error(name, "Choose one, or give an input document.")
        return cleaned

    def question(self) -> dict[str, Any]:
        """The input document that was asked for."""
        given = self.cleaned_data
        if given["document"] is not None:
            whole: dict[str, Any] = given["document"]
            return whole
        scopes = given["scopes"] or [self.lifecycle]
        asked = _question(given["application"], given["resource"], scopes)
        if given["kind"] == MINT:
            _as_agent(asked, given["labels"], given["edge_scopes"] or scopes)
        return asked


def answer(
    request: HttpRequest, version: PolicySetVersion, context: dict[str, Any]
) -> HttpResponse:
    """Shows the form, and what the version answers; or keeps both as a scenario."""
    sent = request.POST if request.method == "POST" else None
    form = SimulationForm(version.zone_id, settings.AGENT_COORDINATOR_SCOPE, sent)
    found: Simulation | None = None
    if sent is not None and form.is_valid():
        document = form.question()
        try:
            found = services.simulate(
                version.policy_set_id,
                zone_id=version.zone_id,
                version_id=version.id,
                document=document,
            )
            if KEEP in sent:
                kept = _keep(request, form, version, found)
                if kept is not None:
                    return kept
        except CaracalError as refusal:
            form.add_error(None, refusals.sentence(refusal))
    context |= {
        "title": "Simulate a decision",
        "form": form,
        "back": display.change_url(PolicySetVersion, version.pk),
        "found": found,
    }
    if found is not None:
        context |= _told(form.question(), found)
    return TemplateResponse(request, "policies/simulate.html", context)


def _keep(
    request: HttpRequest,
    form: SimulationForm,
    version: PolicySetVersion,
    found: Simulation,
) -> HttpResponse | None:
    """The page of the version once the scenario is kept; None when it is not."""
    if not form.cleaned_data["name"]:
        form.add_error("name", "A scenario needs a name.")
        return None
    if found.answer is None:
        form.add_error("document", "This was not evaluated, so it tests nothing.")
        return None
    actor = console_actor(request.user)
    try:
        services.add_scenario(
            form.cleaned_data["name"],
            policy_set_id=version.policy_set_id,
            zone_id=version.zone_id,
            actor=actor,
            document=form.question(),
            expected_decision=found.answer["decision"],
            since_version=version.version,
        )
    except refusals.EXPECTED as error:
        refusal = refusals.understood(error)
        refusals.record(actor, refusal, zone_id=version.zone_id)
        raise refusal from error
    messages.success(request, f"{form.cleaned_data['name']} is kept as a scenario.")
    return HttpResponseRedirect(display.change_url(PolicySetVersion, version.pk))


def _told(document: Mapping[str, Any], found: Simulation) -> dict[str, Any]:
    decision = found.answer["decision"] if found.answer else "not evaluated"
    return {
        "verdict": display.badge(decision),
        "reason": found.explanation["reason"],
        "asked": display.as_json(document),
        "answered": display.as_json(found.answer),
    }


def _question(
    application: Application, resource: Resource, scopes: list[str]
) -> dict[str, Any]:
    return {
        "schema_version": INPUT_SCHEMA_VERSION,
        "principal": {
            "type": "Application",
            "id": application.pk,
            "zone_id": application.zone_id,
            "registration_method": application.registration_method,
        },
        "resource": {
            "type": "Resource",
            "id": resource.pk,
            "identifier": resource.identifier,
            "scopes": resource.scopes,
        },
        "action": {"id": "TokenExchange"},
        "context": {"requested_scopes": scopes},
    }


def _as_agent(asked: dict[str, Any], labels: list[str], scopes: list[str]) -> None:
    asked["principal"] |= {"agent_session_id": AGENT, "labels": labels}
    asked["context"] |= {"agent_session_id": AGENT, "delegation_edge_id": EDGE}
    asked["delegation_edge"] = {"id": EDGE, "scopes": scopes}
