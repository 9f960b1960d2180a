"""The last routes of the Management API: everything below /v1 that no app claims."""

from __future__ import annotations

from django.urls import URLPattern, re_path

from caracal_site.api.views import UnknownRoute

_refuse = UnknownRoute.as_view({"get": "refuse"})

# A path that names a zone keeps it, so that a zone's token is told "not found" there
# and "forbidden" elsewhere, as on the routes that exist.
unknown_routes: list[URLPattern] = [
    re_path(r"^v1/zones/(?P<zone_id>[^/]+)/[\s\S]*\Z", _refuse, name="unknown-in-zone"),
    re_path(r"^v1(?:/[\s\S]*)?\Z", _refuse, name="unknown"),
]
