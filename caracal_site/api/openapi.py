"""The Management API's OpenAPI document: drf-spectacular's, completed by what every
route has in common."""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterator
from typing import Any

from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.renderers import OpenApiJsonRenderer

from caracal_site import errors, openapi
from caracal_site.api.fields import StrictSerializer

METHODS = frozenset({"get", "post", "put", "patch", "delete"})
RETRIED = frozenset({"429", "503"})
# Routes that belong to a group their path does not name.
GROUPS = {"admin-audit": "audit", "dcr-status": "zones", "overview": "zones"}
# What serializers without a word of their own inherit.
INHERITED = inspect.getdoc(StrictSerializer)
REQUEST_ID = {"$ref": "#/components/parameters/RequestId"}
ENVELOPE = {"$ref": "#/components/schemas/Error"}
PROBLEM = {"schema": {"$ref": "#/components/schemas/Problem"}}


def document() -> dict[str, Any]:
    """OpenAPI 3.1 of every route below /v1, as plain JSON values."""
    generated = SchemaGenerator().get_schema(request=None, public=True)
    described: dict[str, Any] = json.loads(OpenApiJsonRenderer().render(generated))
    components = described.setdefault("components", {})
    for kind, shared in openapi.shared_components().items():
        components[kind] = {**components.get(kind, {}), **shared}
    del components["schemas"]["ErrorDetails"]  # drawn into the shared Error
    for schema in components["schemas"].values():
        if schema.get("description") == INHERITED:
            del schema["description"]
    for operation in _operations(described):
        _complete(operation)
    return described


def _operations(described: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for methods in described["paths"].values():
        yield from (methods[method] for method in METHODS & methods.keys())


def _complete(operation: dict[str, Any]) -> None:
    operation["summary"] = operation.get("summary", "").rstrip(".")
    operation["tags"] = [GROUPS.get(tag, tag) for tag in operation["tags"]]
    parameters = [
        openapi.IDEMPOTENCY_KEY if each.get("name") == "Idempotency-Key" else each
        for each in operation.get("parameters", [])
    ]
    operation["parameters"] = [*parameters, REQUEST_ID]
    # Left out where nobody is asked who they are.
    operation.setdefault("security", [])
    for status, response in operation["responses"].items():
        _complete_response(status, response)


def _complete_response(status: str, response: dict[str, Any]) -> None:
    """Adds the headers of every response, and to refusals their other media type."""
    response["description"] = response["description"] or "Done."
    headers = response.setdefault("headers", {})
    headers.update(openapi.REQUEST_ID_HEADER)
    if status in RETRIED:
        headers["Retry-After"] = {"$ref": "#/components/headers/RetryAfter"}
    content = response.get("content", {})
    if content.get("application/json", {}).get("schema") == ENVELOPE:
        content[errors.PROBLEM_JSON] = PROBLEM
