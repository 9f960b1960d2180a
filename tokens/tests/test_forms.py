"""The form of a token request, read strictly."""

from __future__ import annotations

from contextlib import suppress
from typing import Any
from urllib.parse import urlencode

import pytest
from django.conf import settings
from hypothesis import given
from hypothesis import strategies as st

from caracal_site.errors import PayloadTooLarge, UnsupportedMediaType
from tokens import forms
from tokens.errors import InvalidTokenRequest, UnsupportedGrantType

GOOD = {
    "grant_type": forms.TOKEN_EXCHANGE,
    "zone_id": "z",
    "application_id": "a",
    "client_secret": "s",
    "scope": "agent:lifecycle",
    "resource": "resource://r",
}


def read(**changes: Any) -> forms.TokenRequest:
    fields = {
        name: value for name, value in (GOOD | changes).items() if value is not None
    }
    return forms.read(urlencode(fields, doseq=True).encode(), content_type=forms.FORM)


def test_a_good_request_is_read() -> None:
    assert read() == forms.TokenRequest(
        application_id="a",
        zone_id="z",
        client_secret="s",
        resources=("resource://r",),
        scopes=("agent:lifecycle",),
        ttl_seconds=settings.SESSION_TOKEN_DEFAULT_TTL_SECONDS,
    )


@pytest.mark.parametrize("grant_type", [forms.TOKEN_EXCHANGE, "client_credentials"])
def test_both_grants_are_accepted(grant_type: str) -> None:
    assert read(grant_type=grant_type)


@pytest.mark.parametrize("grant_type", [None, "", "password", "CLIENT_CREDENTIALS"])
def test_other_grants_are_not(grant_type: str | None) -> None:
    """W-1: any grant type did."""
    with pytest.raises(UnsupportedGrantType):
        read(grant_type=grant_type)


def test_an_empty_parameter_is_an_absent_one() -> None:
    empty = read(
        subject_token="",
        actor_token="",
        session_id="",
        agent_session_id="",
        delegation_edge_id="",
        challenge_id="",
        client_assertion="",
        ttl_seconds="",
        runtime_credential_injection="",
        subject_token_type=forms.ACCESS_TOKEN_TYPE,
    )
    assert empty == read()


def test_unknown_parameters_are_ignored() -> None:
    assert read(request_method="GET", anything="1") == read()


def test_parameters_in_the_query_are_refused() -> None:
    """W-3: a secret there reached access logs."""
    body = urlencode(GOOD).encode()
    with pytest.raises(InvalidTokenRequest):
        forms.read(body, content_type=forms.FORM, query="client_secret=s")


@pytest.mark.parametrize("name", [*GOOD, "anything"])
def test_only_resource_may_be_repeated(name: str) -> None:
    """W-3: the first of several counted."""
    if name == "resource":
        assert read(resource=["resource://r", "resource://q"]).resources == (
            "resource://r",
            "resource://q",
        )
        return
    with pytest.raises(InvalidTokenRequest):
        read(**{name: [GOOD.get(name, "x")] * 2})


def test_resources_and_scopes_lose_duplicates_and_keep_their_order() -> None:
    request = read(resource=["b", "a", "", "b"], scope=" y  x\ty ")
    assert request.resources == ("b", "a")
    assert request.scopes == ("y", "x")


def test_there_is_a_limit_to_resources() -> None:
    """W-3: each costs a decision."""
    assert len(read(resource=[f"r{n}" for n in range(32)]).resources) == 32
    with pytest.raises(InvalidTokenRequest):
        read(resource=[f"r{n}" for n in range(33)])
    with pytest.raises(InvalidTokenRequest):
        read(resource="r" * 2049)


@pytest.mark.parametrize(
    ("text", "seconds"), [("", 900), ("0", 900), ("1", 1), ("60", 60), ("3600", 3600)]
)
def test_the_life_is_what_was_asked_for(text: str, seconds: int) -> None:
    assert read(ttl_seconds=text).ttl_seconds == seconds


@pytest.mark.parametrize(
    "text", ["3601", "-1", "1.5", "1e2", "x", " 5", "1_0", "+5", "\u0665", "9" * 40]
)
def test_any_other_life_is_refused_not_clamped(text: str) -> None:
    with pytest.raises(InvalidTokenRequest):
        read(ttl_seconds=text)


@pytest.mark.parametrize("text", ["yes", "1", "True"])
def test_a_boolean_is_true_or_false(text: str) -> None:
    with pytest.raises(InvalidTokenRequest):
        read(runtime_credential_injection=text)


def test_a_client_assertion_is_not_taken_for_a_secret() -> None:
    """W-2: it was compared as one."""
    with pytest.raises(InvalidTokenRequest):
        read(client_secret=None, client_assertion="s")


def test_a_token_of_another_type_is_refused() -> None:
    """W-1: the type of a token was never looked at."""
    with pytest.raises(InvalidTokenRequest):
        read(subject_token="x", subject_token_type="urn:x")


@pytest.mark.parametrize("name", forms.REFERENCES)
def test_references_are_identifiers(name: str) -> None:
    with pytest.raises(InvalidTokenRequest):
        read(**{name: "a b"})


def test_a_body_of_another_type_is_refused() -> None:
    with pytest.raises(UnsupportedMediaType):
        forms.read(b"{}", content_type="application/json")


def test_a_charset_in_the_content_type_does_no_harm() -> None:
    body = urlencode(GOOD).encode()
    assert forms.read(body, content_type=f"{forms.FORM}; charset=utf-8") == read()


def test_a_body_past_64_kib_is_refused() -> None:
    with pytest.raises(PayloadTooLarge):
        forms.read(b"x" * 65_537, content_type=forms.FORM)


@pytest.mark.parametrize(
    "body", [b"scope=%FF", b"scope=\xff", b"scope=%00", b"&".join([b"a=b"] * 300)]
)
def test_a_malformed_form_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidTokenRequest):
        forms.read(body, content_type=forms.FORM)


@given(st.binary(max_size=200))
def test_no_body_whatsoever_breaks_the_reader(body: bytes) -> None:
    with suppress(InvalidTokenRequest):
        forms.read(b"grant_type=client_credentials&" + body, content_type=forms.FORM)
