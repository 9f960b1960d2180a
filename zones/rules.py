"""What names, identifiers and addresses may be: no database, clock or settings."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from ipaddress import IPv6Address
from urllib.parse import SplitResult, urlsplit

from caracal_site.api.fields import BLANKS
from caracal_site.errors import Issue
from zones import errors
from zones.querysets import RESERVED_NAME_PREFIX, RESERVED_SLUG_PREFIX

RESERVED_RESOURCE_PREFIX = "caracal-sys://"
RESERVED_PROVIDER_PREFIX = "provider://caracal-sys-"
PROVIDER_PREFIX = "provider://"
RESOURCE_PREFIX = "resource://"

MAX_SLUG = 120
MAX_PROVIDER_IDENTIFIER = 200
MAX_RESOURCE_IDENTIFIER = 512
MAX_UPSTREAM_URL = 2048
LAST_SUFFIX = 999
RANDOM_SUFFIX = 33  # a hyphen and 32 hex digits

SLUG = re.compile(r"[a-z0-9-]+\Z")
PROVIDER_IDENTIFIER = re.compile(r"provider://[a-z0-9]+(?:-[a-z0-9]+)*\Z")
SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*\Z")
METHOD = re.compile(r"[A-Z0-9!#$%&'*+.^_`|~-]{1,16}\Z")
SCOPE = re.compile(r"[^\s\x00-\x1f\x7f]{1,200}\Z")
HOST = re.compile(r"[\w-]+(?:\.[\w-]+)*\.?\Z")
DEFAULT_PORTS = {"http": ":80", "https": ":443"}
# A random secret of this length has many more; people's patterns have fewer.


def is_reserved(text: str, prefix: str) -> bool:
    return text.strip(BLANKS).lower().startswith(prefix)


def refuse_reserved(texts: Iterable[str | None], prefix: str) -> None:
    """Raises ReservedNamespace when one of ``texts`` begins with ``prefix``."""
    if any(text is not None and is_reserved(text, prefix) for text in texts):
        raise errors.ReservedNamespace(prefix.rstrip("/:-"))


def is_reserved_zone(name: str, slug: str) -> bool:
    """Whether the zone is one of the platform's own."""
    return is_reserved(name, RESERVED_NAME_PREFIX) or is_reserved(
        slug, RESERVED_SLUG_PREFIX
    )


def slug_of(text: str, fallback: str, *, room: int = MAX_SLUG) -> str:
    """Lower-case words of ``text`` joined by hyphens, short enough for any suffix."""
    words = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
    return words[: room - RANDOM_SUFFIX].rstrip("-") or fallback


def zone_slug_of(name: str, *, may_be_reserved: bool) -> str:
    """The slug a zone's name suggests, outside the reserved namespace."""
    slug = slug_of(name, "zone")
    # The bare word too: its first suffix would complete the reserved prefix.
    if f"{slug}-".startswith(RESERVED_SLUG_PREFIX) and not may_be_reserved:
        return slug_of(f"zone {name}", "zone")
    return slug


def candidates(base: str) -> list[str]:
    """``base``, ``base-2`` up to ``base-999``."""
    return [base, *(f"{base}-{n}" for n in range(2, LAST_SUFFIX + 1))]


def provider_identifier(given: str) -> str:
    """``given``, trimmed, when well-formed. Raises InvalidProviderIdentifier."""
    given = given.strip(BLANKS)
    if len(given) > MAX_PROVIDER_IDENTIFIER:
        raise errors.InvalidProviderIdentifier(
            f"a provider identifier has at most {MAX_PROVIDER_IDENTIFIER} characters"
        )
    if not PROVIDER_IDENTIFIER.match(given):
        raise errors.InvalidProviderIdentifier(
            "a provider identifier is provider:// and lower-case letters and digits,"
            " in groups joined by single hyphens"
        )
    return given


def provider_base(name: str) -> str:
    """The identifier a provider's name suggests."""
    words = name.removeprefix(PROVIDER_PREFIX)
    room = MAX_PROVIDER_IDENTIFIER - len(PROVIDER_PREFIX)
    return PROVIDER_PREFIX + slug_of(words, "provider", room=room)


def resource_base(name: str) -> str:
    """The identifier a resource's name suggests."""
    return RESOURCE_PREFIX + slug_of(name, "resource")


def resource_identifier(given: str) -> str:
    """``given`` in its one canonical spelling: trimmed, the scheme in lower case, no
    lone slash behind the authority, and for the web the host in lower case without
    the port that goes without saying. Raises InvalidResourceIdentifier."""
    text = given.strip(BLANKS)
    scheme, colon, rest = text.partition(":")
    if not colon or not SCHEME.match(scheme) or not rest.strip("/") or not _plain(text):
        raise errors.InvalidResourceIdentifier(
            "a resource identifier is an absolute URI such as resource://name"
        )
    scheme = scheme.lower()
    if scheme == "provider":
        raise errors.InvalidResourceIdentifier(
            "provider: identifiers are for providers"
        )
    if not rest.startswith("//"):
        return f"{scheme}:{rest}"
    authority = re.split(r"[/?#]", rest[2:], maxsplit=1)[0]
    behind = rest[2 + len(authority) :]
    if "@" in authority:
        raise errors.InvalidResourceIdentifier("a resource identifier names no user")
    if scheme in DEFAULT_PORTS:
        if not _web_address(f"{scheme}:{rest}"):
            raise errors.InvalidResourceIdentifier("the address has no valid host")
        authority = authority.lower().removesuffix(DEFAULT_PORTS[scheme])
    return f"{scheme}://{authority}{'' if behind == '/' else behind}"


def same_resource(one: str, other: str) -> bool:
    """Whether two identifiers name one resource."""
    return canonical(one) == canonical(other)


def canonical(identifier: str) -> str:
    """The canonical spelling of an identifier, or the trimmed text when it is none."""
    try:
        return resource_identifier(identifier)
    except errors.InvalidResourceIdentifier:
        return identifier.strip(BLANKS)


def upstream_fault(url: str) -> str | None:
    """Why the trimmed ``url`` cannot be an upstream, or None."""
    if len(url) > MAX_UPSTREAM_URL:
        return f"expected at most {MAX_UPSTREAM_URL} characters"
    if not _plain(url):
        return "expected an http or https URL"
    if "@" in re.split(r"[/?#]", url.partition("://")[2], maxsplit=1)[0]:
        return "must not contain credentials"
    return None if _web_address(url) else "expected an http or https URL"


def _plain(text: str) -> bool:
    return text.isprintable() and not any(character.isspace() for character in text)


def _web_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return False
    known = parts.scheme.lower() in DEFAULT_PORTS
    return known and port != 0 and _has_host(parts)


def _has_host(parts: SplitResult) -> bool:
    host = parts.hostname or ""
    if not parts.netloc.startswith("["):
        return HOST.match(host) is not None
    try:
        return bool(IPv6Address(host))
    except ValueError:
        return False


def scopes_fault(scopes: Sequence[str]) -> str | None:
    """Why ``scopes`` cannot be a resource's scopes, or None."""
    if len(set(scopes)) < len(scopes):
        return "a scope is named twice"
    if not all(SCOPE.match(scope) for scope in scopes):
        return "a scope has 1 to 200 characters and no white space"
    return None


def operations(
    declared: Sequence[Mapping[str, str]], scopes: Iterable[str]
) -> list[dict[str, str]]:
    """The declared operations, methods in upper case. Raises one of the errors about
    operations, or InvalidResource."""
    known, seen, found = set(scopes), set(), []
    for place, operation in enumerate(declared):
        method = operation["method"].strip(BLANKS).upper()
        path = operation["path"].strip(BLANKS)
        if not method or not path:
            raise errors.OperationMethodAndPathRequired
        if not path.startswith("/"):
            raise errors.OperationPathMustBeAbsolute
        if not METHOD.match(method):
            raise _operation_fault(place, "method", "expected a method of HTTP")
        if not _plain(path) or set("?#") & set(path):
            raise _operation_fault(
                place, "path", "expected no white space, query or fragment"
            )
        if operation["scope"] not in known:
            raise errors.OperationScopeNotInResourceScopes
        if (method, path) in seen:
            raise errors.OperationDuplicate
        seen.add((method, path))
        found.append({"method": method, "path": path, "scope": operation["scope"]})
    return found


def _operation_fault(place: int, member: str, message: str) -> errors.InvalidResource:
    return errors.InvalidResource(
        [Issue(("operations", str(place), member), message)],
        f"Operation {place + 1}: {message}.",
    )
