"""What names, identifiers and addresses may be: no database, clock or settings."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from urllib.parse import urlsplit

from caracal_site.api.fields import BLANKS
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


def candidates(base: str) -> Iterator[list[str]]:
    """``base``, ``base-2`` up to ``base-999``: a few likely ones, then the rest."""
    suffixed = [base, *(f"{base}-{n}" for n in range(2, LAST_SUFFIX + 1))]
    yield suffixed[:10]
    yield suffixed[10:]


def provider_identifier(given: str) -> str:
    """``given`` when well-formed. Raises InvalidProviderIdentifier."""
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
    """``given`` in its canonical spelling: trimmed, scheme in lower case, and for the
    web the host as well. Raises InvalidResourceIdentifier."""
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
    if "@" in authority:
        raise errors.InvalidResourceIdentifier("a resource identifier names no user")
    if scheme in ("http", "https"):
        if not _web_address(f"{scheme}:{rest}"):
            raise errors.InvalidResourceIdentifier("the address has no valid host")
        rest = f"//{authority.lower()}{rest[2 + len(authority) :]}"
    return f"{scheme}:{rest}"


def upstream_fault(url: str) -> str | None:
    """Why the trimmed ``url`` cannot be an upstream, or None."""
    if len(url) > MAX_UPSTREAM_URL:
        return f"expected at most {MAX_UPSTREAM_URL} characters"
    if not _plain(url) or not _web_address(url):
        return "expected an http or https URL"
    if "@" in urlsplit(url).netloc:
        return "must not contain credentials"
    return None


def _plain(text: str) -> bool:
    return text.isprintable() and not any(character.isspace() for character in text)


def _web_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return False
    known = parts.scheme.lower() in ("http", "https")
    return known and bool(parts.hostname) and port != 0


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
    for operation in declared:
        method = operation["method"].strip(BLANKS).upper()
        path = operation["path"].strip(BLANKS)
        if not method or not path:
            raise errors.OperationMethodAndPathRequired
        if not path.startswith("/"):
            raise errors.OperationPathMustBeAbsolute
        if not METHOD.match(method) or not _plain(path) or set("?#") & set(path):
            raise errors.InvalidResource(
                sentence=f"The operation {method} {path} is not one of HTTP."
            )
        if operation["scope"] not in known:
            raise errors.OperationScopeNotInResourceScopes
        if (method, path) in seen:
            raise errors.OperationDuplicate
        seen.add((method, path))
        found.append({"method": method, "path": path, "scope": operation["scope"]})
    return found
