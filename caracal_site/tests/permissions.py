"""The permission table: who may call which route of both deployments.

A row is (method, path, guard); a guard tells for each kind of caller how it is
refused, or ``IN``: whatever the route then answers is no matter of permission.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum

from caracal_site.coordinator.documentation import FILES

IN = None


class ApiCaller(Enum):
    """Callers of the Management API, from the least to the most powerful."""

    ANONYMOUS = "no token"
    STRANGER = "a token nobody issued"
    SCRAPER = "METRICS_BEARER"
    FOREIGN = "a writing token of another zone"
    ZONE_READER = "a reading token of the zone"
    READER = "a reading token of all zones"
    ZONE = "a writing token of the zone"
    GLOBAL = "a writing token of all zones"


class ApiGuard(Enum):
    PUBLIC = "public"
    SCRAPE = "metrics"
    ZONE_READ = "reads in a zone"
    ZONE_WRITE = "writes in a zone"
    GLOBAL_READ = "reads across zones"
    GLOBAL_WRITE = "writes across zones"
    COMMON = "reads what all zones share"


class Caller(Enum):
    """Callers of the coordinator. The zone is the one in the path, if there is one."""

    ANONYMOUS = "no token"
    STRANGER = "a token nobody issued"
    SCRAPER = "METRICS_BEARER"
    UNSCOPED = "a session token without the scope that opens the coordinator"
    FOREIGN = "a session token of another zone"
    SESSION = "a session token of the zone"
    OPERATOR = "the operator token"


class Guard(Enum):
    PUBLIC = "public"
    SCRAPE = "metrics"
    SESSION = "session tokens of the zone"
    SEEN = "session tokens of the zone, and the operator"
    OWN_ZONE = "session tokens, each in its own zone"
    OPERATOR = "the operator alone"


_UNKNOWN = {ApiCaller.ANONYMOUS: 401, ApiCaller.STRANGER: 401, ApiCaller.SCRAPER: 401}
_READERS = {ApiCaller.ZONE_READER: 403, ApiCaller.READER: 403}
_BOUND = {ApiCaller.FOREIGN: 403, ApiCaller.ZONE_READER: 403, ApiCaller.ZONE: 403}

API_REFUSALS: Mapping[ApiGuard, Mapping[ApiCaller, int]] = {
    ApiGuard.PUBLIC: {},
    ApiGuard.SCRAPE: {
        caller: 401 for caller in ApiCaller if caller is not ApiCaller.SCRAPER
    },
    ApiGuard.ZONE_READ: {**_UNKNOWN, ApiCaller.FOREIGN: 403},
    ApiGuard.ZONE_WRITE: {**_UNKNOWN, **_READERS, ApiCaller.FOREIGN: 403},
    ApiGuard.GLOBAL_READ: {**_UNKNOWN, **_BOUND},
    ApiGuard.GLOBAL_WRITE: {**_UNKNOWN, **_BOUND, **_READERS},
    ApiGuard.COMMON: _UNKNOWN,
}

_UNPROVEN = {Caller.ANONYMOUS: 401, Caller.STRANGER: 401, Caller.SCRAPER: 401}
_NO_OPERATOR = {
    Caller.ANONYMOUS: 401,
    Caller.STRANGER: 403,
    Caller.UNSCOPED: 403,
    Caller.FOREIGN: 403,
    Caller.SESSION: 403,
}

REFUSALS: Mapping[Guard, Mapping[Caller, int]] = {
    Guard.PUBLIC: {},
    Guard.SCRAPE: _NO_OPERATOR,
    Guard.SESSION: {
        **_UNPROVEN,
        Caller.UNSCOPED: 403,
        Caller.FOREIGN: 403,
        Caller.OPERATOR: 401,
    },
    Guard.SEEN: {**_UNPROVEN, Caller.UNSCOPED: 403, Caller.FOREIGN: 403},
    Guard.OWN_ZONE: {**_UNPROVEN, Caller.UNSCOPED: 403, Caller.OPERATOR: 401},
    Guard.OPERATOR: {**_NO_OPERATOR, Caller.SCRAPER: 403},
}

_ZONE = "/v1/zones/{zone_id}"

API: list[tuple[str, str, ApiGuard]] = [
    ("GET", "/", ApiGuard.PUBLIC),
    ("GET", "/docs", ApiGuard.PUBLIC),
    ("GET", "/docs/json", ApiGuard.PUBLIC),
    ("GET", "/docs/yaml", ApiGuard.PUBLIC),
    ("GET", "/errors", ApiGuard.PUBLIC),
    ("GET", "/health", ApiGuard.PUBLIC),
    ("GET", "/metrics", ApiGuard.SCRAPE),
    ("GET", "/openapi.json", ApiGuard.PUBLIC),
    ("GET", "/ready", ApiGuard.PUBLIC),
    ("GET", "/redoc", ApiGuard.PUBLIC),
    ("GET", "/v1/admin-tokens", ApiGuard.GLOBAL_READ),
    ("POST", "/v1/admin-tokens", ApiGuard.GLOBAL_WRITE),
    ("GET", "/v1/admin-tokens/{id}", ApiGuard.GLOBAL_READ),
    ("DELETE", "/v1/admin-tokens/{id}", ApiGuard.GLOBAL_WRITE),
    ("GET", "/v1/admin-audit", ApiGuard.GLOBAL_READ),
    ("GET", "/v1/audit-retention", ApiGuard.GLOBAL_READ),
    ("PUT", "/v1/audit-retention", ApiGuard.GLOBAL_WRITE),
    ("POST", "/v1/policies/validate", ApiGuard.COMMON),
    ("GET", "/v1/policy-templates", ApiGuard.COMMON),
    ("GET", "/v1/zones", ApiGuard.GLOBAL_READ),
    ("POST", "/v1/zones", ApiGuard.GLOBAL_WRITE),
    ("GET", _ZONE, ApiGuard.ZONE_READ),
    ("PATCH", _ZONE, ApiGuard.ZONE_WRITE),
    ("DELETE", _ZONE, ApiGuard.ZONE_WRITE),
    ("GET", f"{_ZONE}/admin-audit", ApiGuard.ZONE_READ),
    ("GET", f"{_ZONE}/agent-services", ApiGuard.ZONE_READ),
    ("GET", f"{_ZONE}/agent-sessions", ApiGuard.ZONE_READ),
    ("GET", f"{_ZONE}/applications", ApiGuard.ZONE_READ),
    ("POST", f"{_ZONE}/applications", ApiGuard.ZONE_WRITE),
    ("POST", f"{_ZONE}/applications/dcr", ApiGuard.ZONE_WRITE),
    ("GET", f"{_ZONE}/applications/{{id}}", ApiGuard.ZONE_READ),
    ("PATCH", f"{_ZONE}/applications/{{id}}", ApiGuard.ZONE_WRITE),
    ("DELETE", f"{_ZONE}/applications/{{id}}", ApiGuard.ZONE_WRITE),
    ("POST", f"{_ZONE}/applications/{{id}}/rotate-secret", ApiGuard.ZONE_WRITE),
    ("GET", f"{_ZONE}/applications/{{id}}/used-by", ApiGuard.ZONE_READ),
    ("GET", f"{_ZONE}/audit", ApiGuard.ZONE_READ),
    ("GET", f"{_ZONE}/audit/by-request/{{request_id}}", ApiGuard.ZONE_READ),
    ("GET", f"{_ZONE}/audit/by-request/{{request_id}}/explain", ApiGuard.ZONE_READ),
    ("GET", f"{_ZONE}/audit/chain", ApiGuard.ZONE_READ),
    ("GET", f"{_ZONE}/audit/chain/consistency", ApiGuard.ZONE_READ),
    ("GET", f"{_ZONE}/audit/chain/inclusion", ApiGuard.ZONE_READ),
    ("GET", f"{_ZONE}/audit-retention", ApiGuard.ZONE_READ),
    ("PUT", f"{_ZONE}/audit-retention", ApiGuard.ZONE_WRITE),
    ("GET", f"{_ZONE}/dcr-status", ApiGuard.ZONE_READ),
    ("GET", f"{_ZONE}/delegations", ApiGuard.ZONE_READ),
    ("GET", f"{_ZONE}/delegations/{{id}}", ApiGuard.ZONE_READ),
    ("GET", f"{_ZONE}/grants", ApiGuard.ZONE_READ),
    ("POST", f"{_ZONE}/grants", ApiGuard.ZONE_WRITE),
    ("GET", f"{_ZONE}/grants/{{id}}", ApiGuard.ZONE_READ),
    ("DELETE", f"{_ZONE}/grants/{{id}}", ApiGuard.ZONE_WRITE),
    ("GET", f"{_ZONE}/invocations", ApiGuard.ZONE_READ),
    ("GET", f"{_ZONE}/overview", ApiGuard.ZONE_READ),
    ("GET", f"{_ZONE}/policies", ApiGuard.ZONE_READ),
    ("POST", f"{_ZONE}/policies", ApiGuard.ZONE_WRITE),
    ("GET", f"{_ZONE}/policies/{{id}}", ApiGuard.ZONE_READ),
    ("DELETE", f"{_ZONE}/policies/{{id}}", ApiGuard.ZONE_WRITE),
    ("GET", f"{_ZONE}/policies/{{id}}/used-by", ApiGuard.ZONE_READ),
    ("POST", f"{_ZONE}/policies/{{id}}/versions", ApiGuard.ZONE_WRITE),
    ("GET", f"{_ZONE}/policy-sets", ApiGuard.ZONE_READ),
    ("POST", f"{_ZONE}/policy-sets", ApiGuard.ZONE_WRITE),
    ("GET", f"{_ZONE}/policy-sets/{{id}}", ApiGuard.ZONE_READ),
    ("DELETE", f"{_ZONE}/policy-sets/{{id}}", ApiGuard.ZONE_WRITE),
    ("POST", f"{_ZONE}/policy-sets/{{id}}/activate", ApiGuard.ZONE_WRITE),
    ("GET", f"{_ZONE}/policy-sets/{{id}}/activation-status", ApiGuard.ZONE_READ),
    ("POST", f"{_ZONE}/policy-sets/{{id}}/compare", ApiGuard.ZONE_READ),
    ("POST", f"{_ZONE}/policy-sets/{{id}}/deactivate", ApiGuard.ZONE_WRITE),
    ("GET", f"{_ZONE}/policy-sets/{{id}}/scenarios", ApiGuard.ZONE_READ),
    ("POST", f"{_ZONE}/policy-sets/{{id}}/scenarios", ApiGuard.ZONE_WRITE),
    (
        "GET",
        f"{_ZONE}/policy-sets/{{id}}/scenarios/{{scenario_id}}",
        ApiGuard.ZONE_READ,
    ),
    (
        "DELETE",
        f"{_ZONE}/policy-sets/{{id}}/scenarios/{{scenario_id}}",
        ApiGuard.ZONE_WRITE,
    ),
    ("POST", f"{_ZONE}/policy-sets/{{id}}/simulate", ApiGuard.ZONE_READ),
    ("POST", f"{_ZONE}/policy-sets/{{id}}/test", ApiGuard.ZONE_READ),
    ("GET", f"{_ZONE}/policy-sets/{{id}}/versions", ApiGuard.ZONE_READ),
    ("POST", f"{_ZONE}/policy-sets/{{id}}/versions", ApiGuard.ZONE_WRITE),
    ("GET", f"{_ZONE}/policy-sets/{{id}}/versions/{{version_id}}", ApiGuard.ZONE_READ),
    ("GET", f"{_ZONE}/provider-grants", ApiGuard.ZONE_READ),
    ("POST", f"{_ZONE}/provider-grants", ApiGuard.ZONE_WRITE),
    ("POST", f"{_ZONE}/provider-grants/oauth/authorize", ApiGuard.ZONE_WRITE),
    ("GET", f"{_ZONE}/provider-grants/oauth/callback", ApiGuard.PUBLIC),
    ("GET", f"{_ZONE}/provider-grants/oauth/start", ApiGuard.PUBLIC),
    ("POST", f"{_ZONE}/provider-grants/revoke", ApiGuard.ZONE_WRITE),
    ("GET", f"{_ZONE}/provider-grants/{{id}}", ApiGuard.ZONE_READ),
    ("GET", f"{_ZONE}/providers", ApiGuard.ZONE_READ),
    ("POST", f"{_ZONE}/providers", ApiGuard.ZONE_WRITE),
    ("GET", f"{_ZONE}/providers/{{id}}", ApiGuard.ZONE_READ),
    ("PATCH", f"{_ZONE}/providers/{{id}}", ApiGuard.ZONE_WRITE),
    ("DELETE", f"{_ZONE}/providers/{{id}}", ApiGuard.ZONE_WRITE),
    ("POST", f"{_ZONE}/providers/{{id}}/test", ApiGuard.ZONE_WRITE),
    ("GET", f"{_ZONE}/providers/{{id}}/used-by", ApiGuard.ZONE_READ),
    ("GET", f"{_ZONE}/resources", ApiGuard.ZONE_READ),
    ("POST", f"{_ZONE}/resources", ApiGuard.ZONE_WRITE),
    ("GET", f"{_ZONE}/resources/{{id}}", ApiGuard.ZONE_READ),
    ("PATCH", f"{_ZONE}/resources/{{id}}", ApiGuard.ZONE_WRITE),
    ("DELETE", f"{_ZONE}/resources/{{id}}", ApiGuard.ZONE_WRITE),
    ("GET", f"{_ZONE}/resources/{{id}}/used-by", ApiGuard.ZONE_READ),
    ("GET", f"{_ZONE}/sessions", ApiGuard.ZONE_READ),
    ("GET", f"{_ZONE}/step-up-challenges", ApiGuard.ZONE_READ),
    ("GET", f"{_ZONE}/step-up-challenges/{{id}}", ApiGuard.ZONE_READ),
    ("POST", f"{_ZONE}/step-up-challenges/{{id}}/reject", ApiGuard.ZONE_WRITE),
    ("POST", f"{_ZONE}/step-up-challenges/{{id}}/satisfy", ApiGuard.ZONE_WRITE),
]

_AGENTS = "/zones/{zone_id}/agents"
_EDGES = "/zones/{zone_id}/delegations"
_SERVICES = "/zones/{zone_id}/agent-services"
_CALLS = "/zones/{zone_id}/invocations"
_KEYS = "/internal/zones/{zone_id}"

COORDINATOR: list[tuple[str, str, Guard]] = [
    ("GET", "/.well-known/jwks.json", Guard.PUBLIC),
    ("GET", "/.well-known/oauth-authorization-server", Guard.PUBLIC),
    ("GET", "/docs", Guard.PUBLIC),
    ("GET", "/errors", Guard.PUBLIC),
    ("GET", "/health", Guard.PUBLIC),
    ("GET", "/metrics", Guard.SCRAPE),
    ("POST", "/oauth/2/introspect", Guard.PUBLIC),
    ("POST", "/oauth/2/revoke", Guard.PUBLIC),
    ("POST", "/oauth/2/token", Guard.PUBLIC),
    ("GET", "/openapi.json", Guard.PUBLIC),
    ("GET", "/ready", Guard.PUBLIC),
    ("GET", "/redoc", Guard.PUBLIC),
    ("GET", "/stats", Guard.OPERATOR),
    ("GET", "/step-up/{id}", Guard.PUBLIC),
    ("POST", "/v1/begin", Guard.OWN_ZONE),
    ("POST", "/v1/delegate-to-existing-agent", Guard.OWN_ZONE),
    ("POST", "/v1/end", Guard.OWN_ZONE),
    ("POST", "/v1/exchange", Guard.OWN_ZONE),
    ("POST", "/v1/revoke-delegation", Guard.OWN_ZONE),
    ("POST", "/v1/spawn-child", Guard.OWN_ZONE),
    ("POST", "/v1/verify", Guard.PUBLIC),
    ("POST", f"{_KEYS}/signing-key/rotate", Guard.OPERATOR),
    ("POST", f"{_KEYS}/signing-keys/{{key_id}}/withdraw", Guard.OPERATOR),
    ("GET", _AGENTS, Guard.SEEN),
    ("POST", _AGENTS, Guard.SESSION),
    ("GET", f"{_AGENTS}/{{id}}", Guard.SEEN),
    ("DELETE", f"{_AGENTS}/{{id}}", Guard.SEEN),
    ("GET", f"{_AGENTS}/{{id}}/children", Guard.SEEN),
    ("POST", f"{_AGENTS}/{{id}}/heartbeat", Guard.SESSION),
    ("PATCH", f"{_AGENTS}/{{id}}/resume", Guard.SEEN),
    ("PATCH", f"{_AGENTS}/{{id}}/suspend", Guard.SEEN),
    ("GET", f"{_AGENTS}/{{session_id}}/effective-authority", Guard.SEEN),
    ("GET", _SERVICES, Guard.SEEN),
    ("POST", _SERVICES, Guard.SESSION),
    ("GET", f"{_SERVICES}/{{id}}", Guard.SEEN),
    ("DELETE", f"{_SERVICES}/{{id}}", Guard.SEEN),
    ("POST", _EDGES, Guard.SESSION),
    ("GET", f"{_EDGES}/active", Guard.SEEN),
    ("GET", f"{_EDGES}/inbound/{{session_id}}", Guard.SEEN),
    ("GET", f"{_EDGES}/outbound/{{session_id}}", Guard.SEEN),
    ("GET", f"{_EDGES}/{{id}}/impact", Guard.SEEN),
    ("PATCH", f"{_EDGES}/{{id}}/revoke", Guard.SEEN),
    ("GET", f"{_EDGES}/{{id}}/traverse", Guard.SEEN),
    ("GET", "/zones/{zone_id}/events", Guard.SEEN),
    ("GET", _CALLS, Guard.SEEN),
    ("POST", _CALLS, Guard.SESSION),
    ("GET", f"{_CALLS}/{{id}}", Guard.SESSION),
    ("PATCH", f"{_CALLS}/{{id}}/cancel", Guard.SESSION),
    ("PATCH", f"{_CALLS}/{{id}}/complete", Guard.SESSION),
    ("PATCH", f"{_CALLS}/{{id}}/start", Guard.SESSION),
    *(("GET", f"/static/{name}", Guard.PUBLIC) for name in FILES),
]
