"""Routes of authority sessions and step-up challenges, below /v1."""

from __future__ import annotations

from django.urls import path

from tokens.api.challenge_views import StepUpChallengesViewSet
from tokens.api.views import SessionsViewSet

CHALLENGES = "zones/<str:zone_id>/step-up-challenges"

app_name = "tokens"
urlpatterns = [
    path(
        "zones/<str:zone_id>/sessions",
        SessionsViewSet.as_view({"get": "list"}),
        name="sessions",
    ),
    path(
        CHALLENGES,
        StepUpChallengesViewSet.as_view({"get": "list"}),
        name="step-up-challenges",
    ),
    path(
        f"{CHALLENGES}/<str:id>",
        StepUpChallengesViewSet.as_view({"get": "retrieve"}),
        name="step-up-challenge",
    ),
    path(
        f"{CHALLENGES}/<str:id>/satisfy",
        StepUpChallengesViewSet.as_view({"post": "satisfy"}),
        name="step-up-challenge-satisfy",
    ),
    path(
        f"{CHALLENGES}/<str:id>/reject",
        StepUpChallengesViewSet.as_view({"post": "reject"}),
        name="step-up-challenge-reject",
    ),
]
