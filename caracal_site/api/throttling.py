"""The Management API's request budget, per admin token."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from caracal_site import rates
from caracal_site.actors import Actor


class ActorRateThrottle(BaseThrottle):
    """``API_V1_RATE_LIMIT_PER_MIN`` requests a minute for each admin token."""

    def allow_request(self, request: Request, view: Any) -> bool:
        if isinstance(request.auth, Actor):
            rates.check("api", request.auth.id, settings.API_V1_RATE_LIMIT_PER_MIN)
        return True
