"""The coordinator's OpenAPI document, made from the declarations of its routes."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
from django.conf import settings
from django.utils.module_loading import import_string

from caracal_site import errors, openapi
from caracal_site.coordinator.errors import (
    IdentityRevoked,
    InvalidToken,
    MissingScope,
    MissingToken,
    OperatorTokenRequired,
    ZoneMismatch,
)
from caracal_site.coordinator.routes import PARAMETER, Access, Route
from caracal_site.documentation import error_codes
from caracal_site.ids import ID_PATTERN

REFERENCE = "#/components/schemas/{name}"
SECURITY_SCHEMES = {
    "sessionToken": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "A session token of the zone, from POST /oauth/2/token.",
    },
    "operatorToken": {
        "type": "http",
        "scheme": "bearer",
        "description": "The installation's operator token.",
    },
    "metricsToken": {
        "type": "http",
        "scheme": "bearer",
        "description": "The bearer configured for scrapers of metrics.",
    },
}
FORM = "application/x-www-form-urlencoded"


def document() -> dict[str, Any]:
    """OpenAPI 3.1 of every documented route.

    ``Route.extra`` may hold what only this document needs: ``hidden`` (not listed),
    ``form`` (the struct of a form body), ``media_type`` (of an answer that is not
    JSON), ``other_media`` (schemas of what it answers under other media
    types) and ``parameters`` (besides those of path and query).
    """
    listed = [route for route in _routes() if not route.extra.get("hidden")]
    types = list(dict.fromkeys(_types_of(listed)))
    schemas, components = msgspec.json.schema_components(types, ref_template=REFERENCE)
    known = {
        kind: _portable(schema) for kind, schema in zip(types, schemas, strict=True)
    }
    shared = openapi.shared_components()
    paths: dict[str, Any] = {}
    for route in listed:
        operation = _operation(route, known, components)
        paths.setdefault(route.path, {})[route.method.lower()] = operation
    queries = {_name(known[route.query]) for route in listed}
    bodies = {name: s for name, s in components.items() if name not in queries}
    return {
        "openapi": openapi.VERSION,
        "info": {
            "title": "Caracal Coordinator API",
            "version": settings.SPECTACULAR_SETTINGS["VERSION"],
            "description": (
                "Agents, their services and invocations, delegated authority, and the "
                "tokens that carry it."
            ),
        },
        "tags": [{"name": tag} for tag in sorted({t for r in listed for t in r.tags})],
        "paths": paths,
        "components": {
            **shared,
            "schemas": {**shared["schemas"], **_portable(bodies)},
            "securitySchemes": SECURITY_SCHEMES,
        },
    }


def _routes() -> Sequence[Route]:
    # By name: the URL configuration serves this document, so it comes later.
    routes: Sequence[Route] = import_string(f"{settings.COORDINATOR_URLCONF}.ROUTES")
    return routes


def _types_of(routes: Sequence[Route]) -> Iterator[Any]:
    for route in routes:
        declared = (route.query, route.body, route.extra.get("form"), route.answer)
        yield from (kind for kind in declared if kind is not None)


def _operation(
    route: Route, known: dict[Any, Any], components: dict[str, Any]
) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": route.name.rpartition(":")[2].replace("-", "_"),
        "summary": route.summary.rstrip("."),
        "tags": list(route.tags),
        "parameters": _parameters(route, components[_name(known[route.query])]),
        "responses": _responses(route, known),
        "security": _security(route),
    }
    body = route.body or route.extra.get("form")
    if body is not None:
        operation["requestBody"] = {
            "required": not route.body_optional,
            "content": {
                FORM if route.form else "application/json": {"schema": known[body]}
            },
        }
    return operation


def _name(reference: dict[str, str]) -> str:
    return reference["$ref"].rpartition("/")[2]


def _parameters(route: Route, query: dict[str, Any]) -> list[dict[str, Any]]:
    pattern = openapi.json_schema_pattern(ID_PATTERN.pattern)
    parameters: list[dict[str, Any]] = [
        {
            "name": name,
            "in": "path",
            "required": True,
            "schema": {"type": "string", "pattern": pattern},
        }
        for name in PARAMETER.findall(route.path)
    ]
    for name, schema in _portable(query["properties"]).items():
        described = {"name": name, "in": "query", "schema": _without_null(schema)}
        parameters.append({**described, "required": name in query["required"]})
    if _is_keyed(route):
        parameters.append(openapi.IDEMPOTENCY_KEY)
    parameters += route.extra.get("parameters", ())
    return [*parameters, {"$ref": "#/components/parameters/RequestId"}]


def _responses(route: Route, known: dict[Any, Any]) -> dict[str, Any]:
    headers: dict[str, Any] = dict(openapi.REQUEST_ID_HEADER)
    if _is_keyed(route):
        headers["Idempotency-Replayed"] = {
            "$ref": "#/components/headers/IdempotencyReplayed"
        }
    success: dict[str, Any] = {"description": "Done.", "headers": headers}
    if route.status != 204:
        media_type = route.extra.get("media_type", "application/json")
        fallback = {"type": "string"} if "media_type" in route.extra else {}
        success["content"] = {media_type: {"schema": known.get(route.answer, fallback)}}
        for other, schema in route.extra.get("other_media", {}).items():
            success["content"][other] = {"schema": schema}
    successes = {str(s): success for s in (route.status, route.also) if s}
    return {**successes, **openapi.refusals(_codes(route))}


def _codes(route: Route) -> Iterator[tuple[str, int]]:
    """The refusals of the pipeline that can meet this route, then its own."""
    yield from openapi.code_of(errors.InternalError)
    if route.access is Access.CALLER:
        yield from openapi.code_of(
            MissingToken, InvalidToken, IdentityRevoked, MissingScope, ZoneMismatch
        )
        yield from openapi.code_of(errors.RateLimited, errors.ServiceUnavailable)
    elif route.access is not Access.PUBLIC:
        yield from openapi.code_of(
            MissingToken, OperatorTokenRequired, errors.ServiceUnavailable
        )
    elif route.limit:
        yield from openapi.code_of(errors.RateLimited, errors.ServiceUnavailable)
    if "{" in route.path:
        yield from openapi.code_of(errors.InvalidParams)
    if "{zone_id}" in route.path:
        yield from openapi.code_of(errors.ZoneNotFound)
    if not route.form:
        yield from openapi.code_of(errors.InvalidQuery)
    if "cursor" in route.query.__struct_fields__:
        yield from openapi.code_of(errors.InvalidCursor)
    if route.body is not None:
        yield from openapi.code_of(errors.InvalidBody)
    if route.body is not None or route.form:
        yield from openapi.code_of(errors.PayloadTooLarge, errors.UnsupportedMediaType)
    if route.mutates and not route.form:
        yield from openapi.code_of(errors.LockTimeout)
    if _is_keyed(route):
        yield from openapi.code_of(
            errors.InvalidIdempotencyKey, errors.IdempotencyKeyConflict
        )
    yield from (pair for pair in error_codes() if pair[0] in route.errors)


def _is_keyed(route: Route) -> bool:
    return route.method == "POST" and route.access is Access.CALLER


def _security(route: Route) -> list[dict[str, list[str]]]:
    schemes = {
        Access.PUBLIC: (),
        Access.CALLER: ("sessionToken", "operatorToken")[: 1 + route.operator],
        Access.OPERATOR: ("operatorToken",),
        Access.METRICS: ("operatorToken", "metricsToken"),
    }
    return [{scheme: []} for scheme in schemes[route.access]]


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema of a query parameter: what may be left out is never null."""
    kept = {name: value for name, value in schema.items() if value is not None}
    kinds = [kind for kind in kept.pop("anyOf", []) if kind != {"type": "null"}]
    return {**kept, **kinds[0]} if len(kinds) == 1 else {**schema}


def _portable(schema: Any) -> Any:
    """The schema with its patterns as other languages read them, and its descriptions
    without the indentation of docstrings."""
    if isinstance(schema, list):
        return [_portable(member) for member in schema]
    if not isinstance(schema, dict):
        return schema
    rewritten = {name: _portable(member) for name, member in schema.items()}
    for name, rewrite in (
        ("pattern", openapi.json_schema_pattern),
        ("description", inspect.cleandoc),
    ):
        if isinstance(rewritten.get(name), str):
            rewritten[name] = rewrite(rewritten[name])
    return rewritten
