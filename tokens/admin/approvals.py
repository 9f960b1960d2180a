"""The approval inbox: token requests that wait for a person."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from django.contrib import admin
from django.contrib.admin import SimpleListFilter
from django.contrib.admin.views.main import ChangeList
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html_join
from django.utils.safestring import SafeString

from caracal_site.actors import Actor
from caracal_site.console import columns, display, overview
from caracal_site.console.actors import console_actor
from caracal_site.console.base import EvidenceAdmin
from caracal_site.console.filters import ZoneFilter, linked
from caracal_site.console.gestures import Done, Gesture, Impact
from caracal_site.console.overview import Figure
from caracal_site.console.panels import Cell, Facts, Panel, Table
from delegations.models import DelegationEdge
from tokens import services
from tokens.models import ChallengeState, StepUpChallenge

CHAIN_LIMIT = 32
NOT_YOURS = (
    "You cannot approve this request: you were told the application's secret last, or"
    " the session is yours. Somebody else has to."
)


class StandingFilter(SimpleListFilter):
    """Those that wait unless asked otherwise."""

    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        named = [(str(state), str(label)) for state, label in ChallengeState.choices]
        return [*named, ("all", "All")]

    def choices(self, changelist: ChangeList) -> Iterator[Any]:
        chosen = self.value() or ChallengeState.PENDING
        for value, title in self.lookup_choices:
            yield {
                "selected": value == chosen,
                "query_string": changelist.get_query_string({"state": value}),
                "display": title,
            }

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        rows: Any = queryset
        chosen = self.value() or ChallengeState.PENDING
        return rows if chosen == "all" else rows.standing_as(chosen)


class Answer(Gesture):
    """A person's answer to a request that waits."""

    def offered_for(self, row: Any) -> bool:
        standing = getattr(row, "standing", row.state)
        return bool(standing == ChallengeState.PENDING)

    def preview(self, rows: Sequence[StepUpChallenge]) -> Impact:
        return Impact(notes=[_in_words(rows[0])])


class Approve(Answer):
    name = "approve"
    button = "Approve"
    question = "Approve this token request?"
    explanation = (
        "The same request of the same agent gets one token, if it is repeated before"
        " the time is over. Whoever asks cannot approve."
    )
    is_harmful = False

    def perform(
        self, actor: Actor, rows: Sequence[StepUpChallenge], answers: dict[str, Any]
    ) -> Done:
        services.satisfy_challenge(
            rows[0].id, zone_id=rows[0].zone_id, actor=actor, reason=answers["reason"]
        )
        return Done("The request is approved.")


class Reject(Answer):
    name = "reject"
    button = "Reject"
    question = "Reject this token request?"
    explanation = "The request gets no token. Its application may ask again."

    def perform(
        self, actor: Actor, rows: Sequence[StepUpChallenge], answers: dict[str, Any]
    ) -> Done:
        services.reject_challenge(
            rows[0].id, zone_id=rows[0].zone_id, actor=actor, reason=answers["reason"]
        )
        return Done("The request is rejected.")


def _all(values: Sequence[str]) -> SafeString:
    """Every one of them: who approves must not overlook any."""
    chips = (("chip", value) for value in values)
    return format_html_join(" ", '<code class="{}">{}</code>', chips) or display.EMPTY


@admin.register(StepUpChallenge)
class StepUpChallengeAdmin(EvidenceAdmin):
    """Who asks, for what, on whose authority, and until when it can be answered."""

    section, place = "Authority", 0
    label = "Approvals"
    entity_type = "step-up-challenges"
    secret_fields = ("binding_hash",)
    gestures = (Approve(), Reject())
    list_select_related = ("zone", "application")
    list_display = (
        columns.moment("created_at", "asked"),
        columns.related("application"),
        columns.linked("agent_session_id", "agents.AgentSession", "agent"),
        columns.words("scopes"),
        columns.words("resources"),
        "standing",
        columns.moment("expires_at", "valid until"),
        columns.related("zone"),
    )
    list_filter = (
        StandingFilter,
        ZoneFilter,
        linked("application_id", "application"),
        linked("agent_session_id", "agent"),
    )
    search_fields = ("=id", "=agent_session_id", "application__name")
    search_help_text = "An id, an agent's id, or an application's name."
    fieldsets = (
        (
            None,
            {
                "fields": (
                    columns.related("application", "who asks"),
                    columns.linked("agent_session_id", "agents.AgentSession", "agent"),
                    columns.column("scopes", _all, label="for scopes", order=""),
                    columns.column("resources", _all, label="on resources", order=""),
                    columns.column("ttl_seconds", display.span, label="token lives"),
                    "standing",
                    columns.exact("expires_at", "can be answered until"),
                )
            },
        ),
        (
            "Answer",
            {
                "fields": (
                    columns.mono("approver_subject_id", "approved by"),
                    columns.exact("satisfied_at", "approved"),
                    columns.mono("rejected_by"),
                    columns.exact("rejected_at", "rejected"),
                    "reason",
                    columns.exact("consumed_at", "used"),
                    columns.linked(
                        "consumed_session_id", "tokens.Session", "session of the token"
                    ),
                )
            },
        ),
        (
            "Record",
            {
                "classes": ["record"],
                "fields": (
                    columns.mono("id", "ID"),
                    "challenge_type",
                    columns.related("zone"),
                    columns.linked("session_id", "tokens.Session", "names session"),
                    columns.exact("created_at", "asked"),
                ),
            },
        ),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        rows: Any = super().get_queryset(request)
        marked: QuerySet = rows.with_standing()
        return marked

    def heading(self, obj: StepUpChallenge) -> str:
        return f"{obj.application.name} asks for {', '.join(obj.scopes)}"

    def panels(self, request: HttpRequest, obj: StepUpChallenge) -> Iterable[Panel]:
        if Approve().offered_for(obj) and services.may_have_asked(
            obj, console_actor(request.user)
        ):
            yield Facts(title="Not yours to approve", facts=[], note=NOT_YOURS)
        yield Table(
            title="Chain of authority",
            headings=("Delegation", "From", "To", "Status", "Scopes", "Ends"),
            rows=[_link(edge) for edge in _chain(obj.delegation_edge_id)],
            empty="It rests on no delegation.",
        )
        yield self.story(obj)

    @admin.display(description="state")
    def standing(self, obj: Any) -> SafeString:
        return display.badge(getattr(obj, "standing", obj.state))


def _in_words(challenge: StepUpChallenge) -> str:
    asked = ", ".join(challenge.scopes) or "no scope"
    agent = challenge.agent_session_id
    who = f"{challenge.application.name}, agent {agent}," if agent else ""
    return (
        f"{who or challenge.application.name} asks for {asked} on"
        f" {', '.join(challenge.resources)}, for {display.span(challenge.ttl_seconds)}."
        f" It can be answered until {display.utc(challenge.expires_at)}."
    )


def _chain(edge_id: str | None) -> list[DelegationEdge]:
    """The edges by which the authority came, from the root."""
    edges = DelegationEdge.objects.select_related(
        "source_session__application", "target_session__application"
    )
    chain: list[DelegationEdge] = []
    while edge_id is not None and len(chain) < CHAIN_LIMIT:
        edge = edges.filter(id=edge_id).first()
        if edge is None:
            break
        chain.append(edge)
        edge_id = edge.parent_edge_id
    return chain[::-1]


def _link(edge: DelegationEdge) -> tuple[Cell, ...]:
    ends = (edge.source_session, edge.target_session)
    return (
        display.object_link(edge, display.short(edge.pk)),
        *(
            display.object_link(end, f"{end.application.name}, {end.pk[-12:]}")
            for end in ends
        ),
        display.badge(edge.status),
        display.words(edge.scopes),
        display.moment(edge.expires_at),
    )


@overview.figure(3, permission="tokens.view_stepupchallenge")
def waiting_requests() -> Figure:
    number = StepUpChallenge.objects.standing_as(ChallengeState.PENDING).count()
    url = reverse("admin:tokens_stepupchallenge_changelist")
    return Figure(
        "Waiting for approval", f"{number:,}", url=url, tone="warn" if number else ""
    )
