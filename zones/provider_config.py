"""Whether a configuration fits a kind of provider, and what is secret in it.

Pure: it sees what was given and the names of the secrets that are kept, no values.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from caracal_site.errors import Issue
from zones import errors, provider_values
from zones.models import ProviderKind
from zones.provider_kinds import KINDS, NO_AUTH, OAUTH, PRIVATE_KEY_JWT

MISSING = "is required"
SHOWN_NAME = 64


@dataclass(frozen=True, slots=True)
class Configuration:
    """What may be read again, and what is sealed; the values of neither are logged."""

    public: dict[str, Any] = field(repr=False)
    secrets: dict[str, str] = field(repr=False)


@dataclass(slots=True)
class _Findings:
    """The members read so far, and what is wrong with the others."""

    kind: str
    public: dict[str, Any] = field(default_factory=dict)
    secrets: dict[str, str] = field(default_factory=dict)
    faults: dict[str, str] = field(default_factory=dict)

    def add(self, name: str, phrase: str) -> None:
        self.faults.setdefault(name, phrase)

    def need(self, name: str) -> None:
        if name not in self.public and name not in self.secrets:
            self.add(name, MISSING)

    def forbid(self, name: str, phrase: str) -> None:
        if name in self.public or name in self.secrets:
            self.add(name, phrase)


def configuration(
    kind: str, given: Mapping[str, Any], *, kept: Collection[str] = ()
) -> Configuration:
    """``given`` as a provider of ``kind`` keeps it.

    ``kept`` names the sealed secrets that stay when ``given`` has none of its own: they
    must be the ones the configuration needs. Raises InvalidProviderConfig with every
    fault.
    """
    found = _read(kind, given)
    if not found.secrets:
        # Their values are not known here, and not needed.
        found.secrets.update(dict.fromkeys(kept, ""))
    _apply_defaults(found)
    for member in KINDS[kind].members:
        if member.needed:
            found.need(member.name)
    if kind == ProviderKind.API_KEY:
        _judge_api_key(found)
    elif kind in OAUTH:
        _judge_client(found)
    if found.faults:
        raise _refusal(found)
    sealed = {name: given[name] for name in found.secrets if name in given}
    return Configuration(found.public, sealed)


def public_fields(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """The members that differ, as the audit trail names them."""
    names = sorted(before.keys() | after.keys())
    return [
        f"config_json.{name}"
        for name in names
        if before.get(name, MISSING) != after.get(name, MISSING)
    ]


def _read(kind: str, given: Mapping[str, Any]) -> _Findings:
    found, members = _Findings(kind), KINDS[kind].named
    for name, value in given.items():
        member = members.get(name)
        if member is None:
            found.add(name, "is not a member of this kind's configuration")
            continue
        try:
            kept = member.read(value)
        except ValueError as fault:
            found.add(name, str(fault))
        else:
            (found.secrets if member.is_secret else found.public)[name] = kept
    return found


def _apply_defaults(found: _Findings) -> None:
    for member in KINDS[found.kind].members:
        if member.default is not None and member.name not in found.faults:
            found.public.setdefault(member.name, member.default)
    if found.kind in OAUTH and "allowed_token_hosts" not in found.faults:
        endpoint = found.public.get("token_endpoint")
        if endpoint is not None:
            host = provider_values.host_of(endpoint)
            found.public.setdefault("allowed_token_hosts", [host])


def _judge_api_key(found: _Findings) -> None:
    match found.public.get("auth_location"):
        case "header":
            found.need("header_name")
        case "query":
            found.need("query_param_name")
            found.forbid("auth_scheme", "must not be given for a key in the query")


def _judge_client(found: _Findings) -> None:
    """Each way for a client to prove who it is goes with its own secret."""
    method = found.public.get("client_auth_method")
    if method == PRIVATE_KEY_JWT:
        found.need("private_key")
        found.forbid("client_secret", f"must not be given for {PRIVATE_KEY_JWT}")
    elif method is not None:
        for name in ("private_key", "key_id"):
            found.forbid(name, f"must only be given for {PRIVATE_KEY_JWT}")
        if method != NO_AUTH:
            found.need("client_secret")


def _refusal(found: _Findings) -> errors.InvalidProviderConfig:
    known = [member.name for member in KINDS[found.kind].members]
    faults = sorted(
        found.faults.items(),
        key=lambda fault: known.index(fault[0]) if fault[0] in known else -1,
    )
    name, phrase = faults[0]
    name = name[:SHOWN_NAME]
    told = f"requires {name}" if phrase == MISSING else f"{name} {phrase}"
    return errors.InvalidProviderConfig(
        f"{found.kind} provider config {told}",
        [Issue(("config_json", name[:SHOWN_NAME]), phrase) for name, phrase in faults],
    )


def is_host_allowed(endpoint: str, hosts: Collection[str]) -> bool:
    """Whether ``endpoint`` is an https URL on one of ``hosts``, in any case."""
    try:
        host = provider_values.host_of(endpoint).strip("[]")
        allowed = {provider_values.host_name(name).strip("[]") for name in hosts}
        return urlsplit(endpoint).scheme.lower() == "https" and host in allowed
    except ValueError:
        return False
