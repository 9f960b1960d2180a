"""The pages that both deployments show to people: API reference and error catalogue.

The reference is drawn by Swagger UI and Redoc out of the installed sidecar package;
nothing comes from another host.
"""

from __future__ import annotations

from typing import Any

from django.template.loader import render_to_string
from django.utils.module_loading import autodiscover_modules

from caracal_site import errors
from caracal_site.api import errors as _api_errors  # noqa: F401 - for the catalogue
from caracal_site.coordinator import errors as _coordinator_errors  # noqa: F401

# What Redoc needs beyond the platform's policy: it writes style elements, and searches
# in a worker made from a blob.
REDOC_POLICY: dict[str, list[str]] = {
    "style-src": ["'unsafe-inline'"],
    "worker-src": ["blob:"],
}
PAGE = "text/html; charset=utf-8"


def swagger_page(title: str) -> str:
    return render_to_string("documentation/swagger.html", {"title": title})


def redoc_page(title: str) -> str:
    return render_to_string("documentation/redoc.html", {"title": title})


def errors_page() -> str:
    """Every error code with its meanings; a code's anchor is the code."""
    by_code: dict[str, list[dict[str, Any]]] = {}
    for code, status, sentence in _catalogue():
        meaning = {"status": status, "sentence": sentence}
        by_code.setdefault(code, []).append(meaning)
    return render_to_string("documentation/errors.html", {"codes": by_code.items()})


def error_codes() -> set[tuple[str, int]]:
    """(code, status) of every declared error."""
    return {(code, status) for code, status, _ in _catalogue()}


def _catalogue() -> list[tuple[str, int, str]]:
    # A process imports only what it serves; the catalogue knows everything.
    autodiscover_modules("errors")
    return errors.catalogue()
