"""What the lists of authority sessions and step-up challenges can be narrowed to."""

from __future__ import annotations

from django_filters import ChoiceFilter, FilterSet

from caracal_site.api.filters import since, until, whole
from tokens.models import ChallengeState, SessionStatus, SessionType
from tokens.querysets import SessionQuerySet, StepUpChallengeQuerySet


class SessionFilter(FilterSet):
    since = since("created_at")
    until = until("created_at")
    status = ChoiceFilter(
        choices=SessionStatus.choices, label="Where it stands.", method="standing"
    )
    session_type = ChoiceFilter(
        choices=SessionType.choices, label="Whether a person or an application."
    )
    subject_id = whole("Whose authority it is.")
    client_id = whole("The application it was issued to.", max_length=128)
    parent_id = whole("The session it was made from.", max_length=128)

    def standing(
        self, queryset: SessionQuerySet, name: str, value: str
    ) -> SessionQuerySet:
        return queryset.standing(value)


class StepUpChallengeFilter(FilterSet):
    since = since("created_at")
    until = until("created_at")
    state = ChoiceFilter(
        choices=ChallengeState.choices, label="Where it stands.", method="standing_as"
    )
    application_id = whole("The application that asked.", max_length=128)
    session_id = whole("The session that the request names.", max_length=128)
    agent_session_id = whole("The agent the token is for.", max_length=128)
    delegation_edge_id = whole("The delegation it rests on.", max_length=128)

    def standing_as(
        self, queryset: StepUpChallengeQuerySet, name: str, value: str
    ) -> StepUpChallengeQuerySet:
        return queryset.standing_as(value)
