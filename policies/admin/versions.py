"""Versions of policy sets in the console: manifest, tests, and trying them out."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.contrib import admin
from django.contrib.admin.utils import quote
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from caracal_site.console import columns, display
from caracal_site.console.base import EvidenceAdmin
from caracal_site.console.filters import linked
from caracal_site.console.panels import Links, Panel, Table
from policies import services
from policies.admin import simulating
from policies.admin.activating import ActivateVersion
from policies.admin.sets import arrival
from policies.models import PolicySet, PolicySetVersion

SHOWN_DISSENTS = 20


@admin.register(PolicySetVersion)
class PolicySetVersionAdmin(EvidenceAdmin):
    section, place = "Policies", 3
    gestures = (ActivateVersion(),)
    list_display = (
        "__str__",
        columns.related("policy_set", "set"),
        columns.related("policy_set.zone", "zone"),
        "state",
        columns.short("manifest_sha256", "manifest"),
        columns.mono("created_by"),
        columns.moment("created_at"),
    )
    list_select_related = ("policy_set", "policy_set__zone")
    list_filter = (linked("policy_set_id", "policy set"),)
    search_fields = ("=id", "policy_set__name")
    fieldsets = [
        (
            "Record",
            {
                "classes": ["record"],
                "fields": [
                    columns.mono("id", "ID"),
                    columns.related("policy_set", "set"),
                    columns.related("policy_set.zone", "zone"),
                    "schema_version",
                    columns.mono("manifest_sha256", "manifest"),
                    columns.mono("created_by"),
                    columns.exact("created_at"),
                ],
            },
        )
    ]

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        return (
            super()
            .get_queryset(request)
            .select_related("policy_set__zone")
            .prefetch_related("activations")
            .defer("data")
        )

    def heading(self, obj: Any) -> str:
        return f"{obj.policy_set}, {obj}"

    def panels(self, request: HttpRequest, obj: PolicySetVersion) -> Iterable[Panel]:
        if obj.activations.all():
            set_rows: Any = PolicySet.objects.filter(pk=obj.policy_set_id)
            yield from arrival(set_rows.with_active_version().get())
        members = obj.members.select_related("policy_version__policy")
        yield Table(
            title="Policies",
            headings=("policy", "version", "SHA-256"),
            rows=[_member(one.policy_version) for one in members.order_by("place")],
        )
        yield Table(
            title="Who may do what by it",
            headings=("resource", "application", "role", "scopes"),
            rows=[_granted(one) for one in services.coverage(obj)],
            empty="Nobody anything: it has no grants.",
        )
        yield Table(
            title="What to look at",
            headings=("It is allowed, and hardly ever meant",),
            rows=[[sentence] for sentence in services.loose_ends(obj)],
            empty="Nothing: every application, resource and scope is the zone's.",
        )
        yield Table(
            title="Scenarios",
            headings=("scenario", "expected", "outcome", ""),
            rows=[_outcome(one) for one in services.run_scenarios(obj)],
            empty="None. Keep a simulation as one, and every later version has to pass"
            " it.",
        )
        yield from _on_trial(services.trial_of(obj))
        url = reverse("admin:policies_policysetversion_simulate", args=[quote(obj.pk)])
        yield Links(title="Try it", links=[("simulate a decision", "", url)])

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.simulate_view)
        return [
            path(
                "<path:object_id>/simulate/",
                view,
                name="policies_policysetversion_simulate",
            ),
            *super().get_urls(),
        ]

    def simulate_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        version: Any = self._seen(request, object_id)
        if simulating.KEEP in request.POST and not self.may_perform(request):
            raise PermissionDenied
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "list_title": self.title,
            "heading": self.heading(version),
            "may_keep": self.may_perform(request),
        }
        request.current_app = self.admin_site.name
        return simulating.answer(request, version, context)

    @admin.display(description="state")
    def state(self, obj: Any) -> SafeString:
        if obj.activations.all():
            return display.badge("in force", "good")
        return display.badge("not in force", "quiet")


def _on_trial(trial: services.Trial) -> Iterable[Panel]:
    """What it would have decided otherwise, when it was the shadow lately."""
    if not trial.asked:
        return
    yield Table(
        title="As the shadow",
        headings=("when (UTC)", "resource", "was", "would have been"),
        rows=[
            (
                display.link_to(
                    "audit.AuditEvent",
                    one.event_id,
                    display.moment(one.occurred_at, exact=True),
                ),
                one.resource,
                display.badge(one.decided),
                display.badge(one.shadow),
            )
            for one in trial.dissents[:SHOWN_DISSENTS]
        ],
        empty="It agreed with every decision.",
        more=f"{trial.asked:,} of the zone's newest decisions were asked,"
        f" {len(trial.dissents):,} would have been another.",
    )


def _member(version: Any) -> list[SafeString | str]:
    url = display.change_url(type(version.policy), version.policy_id)
    return [
        display.object_link(version.policy),
        display.link(f"{url}?version={version.version}", str(version)),
        display.short(version.content_sha256),
    ]


def _granted(granted: services.Granted) -> list[SafeString | str]:
    resource, application = granted.resource, granted.application
    return [
        _named("zones.Resource", resource),
        _named("zones.Application", application),
        granted.role or display.EMPTY,
        format_html_join(" ", "{}", ((_scope(one),) for one in granted.scopes))
        or display.EMPTY,
    ]


def _named(model: str, named: services.Named) -> SafeString:
    """A link to what the zone has, or the word with a mark that it has not."""
    if named.id is None:
        return format_html("{} {}", named.word, display.badge("not in the zone", "bad"))
    return display.link_to(model, named.id, named.word)


def _scope(scope: services.Named) -> SafeString:
    if not scope.is_known:
        return format_html("{} {}", scope.word, display.badge("unknown scope", "bad"))
    return display.mono(scope.word)


def _outcome(outcome: services.Outcome) -> list[SafeString | str]:
    passed = not outcome.fault
    return [
        display.object_link(outcome.scenario),
        outcome.scenario.expected_decision,
        display.badge("passed", "good") if passed else display.badge("failed"),
        outcome.fault,
    ]
