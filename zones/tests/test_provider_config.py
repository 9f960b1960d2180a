"""What each kind of provider can be configured with."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zones.errors import InvalidProviderConfig
from zones.models import ProviderKind
from zones.provider_config import configuration, is_host_allowed, public_fields
from zones.provider_kinds import KINDS

TOKEN = "https://idp.example.com/token"
CLIENT = {"token_endpoint": TOKEN, "client_id": "cid", "client_secret": "s3cret"}
CODE = {
    **CLIENT,
    "authorization_endpoint": "https://idp.example.com/auth",
    "redirect_uri": "https://c.example.com/cb",
}
KEY = {
    "token_endpoint": TOKEN,
    "client_id": "c",
    "client_auth_method": "private_key_jwt",
}
API_KEY = {"header_name": "X-Key", "api_key": "k"}
BEARER = {"bearer_token": "t"}
CC, AC = "oauth2_client_credentials", "oauth2_authorization_code"
COMPLETE: dict[str, dict[str, Any]] = {
    "none": {},
    "caracal_mandate": {},
    "api_key": API_KEY,
    "bearer_token": BEARER,
    CC: CLIENT,
    AC: CODE,
}


def faults(kind: str, config: dict[str, Any], **more: Any) -> dict[str, str]:
    """The members that are at fault, with what is said of them; and it is said first
    about the first."""
    with pytest.raises(InvalidProviderConfig) as refused:
        configuration(kind, config, **more)
    issues = refused.value.issues
    assert all(issue.path[0] == "config_json" for issue in issues)
    message = refused.value.extra["message"]
    assert message.startswith(f"{kind} provider config ")
    assert issues[0].path[1] in message
    return {issue.path[1]: issue.message for issue in issues}


def test_every_kind_has_a_configuration() -> None:
    assert KINDS.keys() == set(ProviderKind.values) == COMPLETE.keys()
    for kind, config in COMPLETE.items():
        configuration(kind, config)


@pytest.mark.parametrize(
    ("kind", "config", "public", "secrets"),
    [
        ("none", {}, {}, {}),
        (
            "api_key",
            {"header_name": " X-Key ", "api_key": " k "},
            {"auth_location": "header", "header_name": "X-Key"},
            {"api_key": " k "},
        ),
        (
            "api_key",
            {"auth_location": "query", "query_param_name": "k.~_-1", "api_key": "k"},
            {"auth_location": "query", "query_param_name": "k.~_-1"},
            {"api_key": "k"},
        ),
        (
            "bearer_token",
            {
                "bearer_token": "t",
                "allowed_token_hosts": [" API.Example.com "],
                "auth_header": "X-Auth",
                "auth_scheme": "Token-2",
                "forward_caracal_identity": False,
                "allow_runtime_injection": True,
            },
            {
                "allowed_token_hosts": ["api.example.com"],
                "auth_header": "X-Auth",
                "auth_scheme": "Token-2",
                "forward_caracal_identity": False,
                "allow_runtime_injection": True,
            },
            {"bearer_token": "t"},
        ),
        (
            CC,
            {
                **CLIENT,
                "scopes": ["a"],
                "token_params": {"x": " y "},
                "audience": " a ",
            },
            {
                "token_endpoint": TOKEN,
                "client_id": "cid",
                "scopes": ["a"],
                "token_params": {"x": "y"},
                "audience": "a",
                "client_auth_method": "client_secret_basic",
                "allowed_token_hosts": ["idp.example.com"],
            },
            {"client_secret": "s3cret"},
        ),
        (
            CC,
            {**KEY, "private_key": "-----\nx\n", "key_id": "k"},
            {**KEY, "key_id": "k", "allowed_token_hosts": ["idp.example.com"]},
            {"private_key": "-----\nx\n"},
        ),
        (
            AC,
            {**CODE, "client_auth_method": "none", "allowed_token_hosts": ["A.B"]},
            {
                **{name: CODE[name] for name in CODE.keys() - {"client_secret"}},
                "client_auth_method": "none",
                "allowed_token_hosts": ["A.B"],
            },
            {"client_secret": "s3cret"},
        ),
    ],
)
def test_a_configuration_is_kept_in_its_parts(
    kind: str, config: Any, public: Any, secrets: Any
) -> None:
    found = configuration(kind, config)
    assert (found.public, found.secrets) == (public, secrets)
    assert "s3cret" not in repr(found)


@pytest.mark.parametrize(
    ("kind", "config", "names"),
    [
        ("none", {"a": 1}, {"a"}),
        ("caracal_mandate", {"allow_runtime_injection": True}, None),
        ("api_key", {}, {"header_name", "api_key"}),
        ("api_key", {"header_name": "X"}, {"api_key"}),
        ("api_key", {**API_KEY, "api_key": " \t"}, {"api_key"}),
        ("api_key", {**API_KEY, "api_key": None}, {"api_key"}),
        ("api_key", {**API_KEY, "api_key": "a\r\nX-Evil: 1"}, {"api_key"}),
        ("api_key", {**API_KEY, "api_key": "x" * 16_385}, {"api_key"}),
        ("api_key", {**API_KEY, "header_name": "X Y"}, {"header_name"}),
        ("api_key", {**API_KEY, "header_name": "X:Y"}, {"header_name"}),
        ("api_key", {**API_KEY, "header_name": 1}, {"header_name"}),
        ("api_key", {**API_KEY, "auth_location": "body"}, {"auth_location"}),
        ("api_key", {**API_KEY, "auth_scheme": "1a"}, {"auth_scheme"}),
        ("api_key", {"auth_location": "query", "api_key": "k"}, {"query_param_name"}),
        (
            "api_key",
            {
                "auth_location": "query",
                "query_param_name": "k",
                "api_key": "k",
                "auth_scheme": "S",
            },
            {"auth_scheme"},
        ),
        (
            "api_key",
            {"auth_location": "query", "query_param_name": "a b", "api_key": "k"},
            {"query_param_name"},
        ),
        ("bearer_token", {}, {"bearer_token"}),
        ("bearer_token", {**BEARER, "client_id": "c"}, {"client_id"}),
        ("bearer_token", {**BEARER, "allow_runtime_injection": "true"}, None),
        *(
            ("bearer_token", {**BEARER, "allowed_token_hosts": hosts}, None)
            for hosts in (
                *([], "a.example", [1], [" "], ["a/b"], ["a..b"], ["a:1"], ["*.a"]),
                *(
                    ["-a.example"],
                    ["a.example."],
                    ["a" * 64],
                    [".".join(["a" * 60] * 5)],
                ),
                *([f"h{number}" for number in range(101)], None),
            )
        ),
        *(
            (CC, {**CLIENT, "token_endpoint": url}, {"token_endpoint"})
            for url in (
                *(
                    "http://idp.example.com",
                    "https://",
                    "https:///x",
                    "idp.example.com",
                ),
                *("https://u@idp.example.com", "https://u:p@idp.example.com/x", "", 1),
                *("https://idp.example.com:0/", "https://idp.example.com:99999/"),
                *("https://idp.example.com/a b", "https://a\\b/", "https://[::g]/"),
                *("https://idp.example.com/#x", "https://x\n.example.com/", None),
                *("https://" + "a" * 2_048, "https://a..b/", "https://\u00ad/"),
            )
        ),
        (CC, {"token_endpoint": TOKEN, "client_secret": "s"}, {"client_id"}),
        (CC, {"token_endpoint": TOKEN, "client_id": "c"}, {"client_secret"}),
        (CC, {**CLIENT, "client_id": "  "}, {"client_id"}),
        (CC, {**CLIENT, "client_id": "a\0b"}, {"client_id"}),
        (CC, {**CLIENT, "audience": ""}, {"audience"}),
        (CC, {**CLIENT, "scopes": []}, {"scopes"}),
        (CC, {**CLIENT, "scopes": ["a", " "]}, {"scopes"}),
        (CC, {**CLIENT, "scopes": "a"}, {"scopes"}),
        (CC, {**CLIENT, "allowed_token_hosts": []}, {"allowed_token_hosts"}),
        (CC, {**CLIENT, "client_auth_method": "odd"}, {"client_auth_method"}),
        (CC, {**CLIENT, "private_key": "p"}, {"private_key"}),
        (CC, {**CLIENT, "key_id": "k"}, {"key_id"}),
        (CC, KEY, {"private_key"}),
        (CC, {**KEY, "private_key": "p", "client_secret": "s"}, {"client_secret"}),
        (CC, {**CLIENT, "token_params": {"scope": "x"}}, {"token_params"}),
        (CC, {**CLIENT, "token_params": {"client_assertion": "x"}}, {"token_params"}),
        (CC, {**CLIENT, "token_params": {"a b": "x"}}, {"token_params"}),
        (CC, {**CLIENT, "token_params": {"a": " "}}, {"token_params"}),
        (CC, {**CLIENT, "token_params": {"a": 1}}, {"token_params"}),
        (CC, {**CLIENT, "token_params": [1]}, {"token_params"}),
        (CC, {**CLIENT, "token_params": {f"p{n}": "x" for n in range(51)}}, None),
        (CC, {**CLIENT, "authorization_params": {"a": "x"}}, None),
        (AC, CLIENT, {"authorization_endpoint", "redirect_uri"}),
        (AC, {**CODE, "authorization_endpoint": "http://a"}, None),
        (AC, {**CODE, "authorization_params": {"state": "x"}}, None),
        (AC, {**CODE, "client_auth_method": "private_key_jwt"}, None),
        (AC, {**CODE, "private_key": "p"}, {"private_key"}),
        *(
            (AC, {**CODE, "redirect_uri": uri}, {"redirect_uri"})
            for uri in ("/cb", "https://", "cb", "1a:b", "x:", "a b:c", "http:///", 1)
        ),
    ],
)
def test_what_does_not_fit_is_refused(
    kind: str, config: Any, names: set[str] | None
) -> None:
    if names is None:
        (changed,) = {
            name
            for name, value in config.items()
            if name not in COMPLETE[kind] or COMPLETE[kind][name] != value
        }
        names = {changed}
    assert faults(kind, config).keys() == names


@pytest.mark.parametrize(
    "uri",
    [
        *(
            "https://c.example.com/cb",
            "http://localhost:8080/cb",
            "com.example.app:/cb",
        ),
        *("myapp://callback", "urn:ietf:wg:oauth:2.0:oob", "http://127.0.0.1/cb"),
    ],
)
def test_applications_come_back_wherever_they_live(uri: str) -> None:
    assert (
        configuration(AC, {**CODE, "redirect_uri": uri}).public["redirect_uri"] == uri
    )


def test_every_fault_is_told_in_the_order_of_the_members() -> None:
    config = {"client_auth_method": "odd", "zeal": 1, "scopes": 3, "client_secret": ""}
    told = faults(CC, config)
    assert list(told) == [
        "zeal",
        "token_endpoint",
        "client_id",
        "client_auth_method",
        "client_secret",
        "scopes",
    ]
    assert told["client_id"] == "is required"


@given(value=st.text(min_size=1, alphabet=st.characters(min_codepoint=0x4E00)))
def test_no_refusal_repeats_what_was_given(value: str) -> None:
    config = {"api_key": f"{value}\n", "header_name": value, "auth_scheme": value}
    with pytest.raises(InvalidProviderConfig) as refused:
        configuration("api_key", config)
    assert value not in str(refused.value.extra) + str(refused.value)


def test_a_long_name_is_not_repeated_at_length() -> None:
    assert len(next(iter(faults("none", {"x" * 5_000: 1})))) == 64


def test_kept_secrets_must_be_the_ones_the_configuration_needs() -> None:
    public = {name: CLIENT[name] for name in ("token_endpoint", "client_id")}
    kept = configuration(CC, public, kept=["client_secret"])
    assert kept.secrets == {}
    assert faults(CC, public, kept=["private_key"]).keys() == {
        "private_key",
        "client_secret",
    }
    assert faults(CC, KEY, kept=["client_secret"]).keys() == {
        "private_key",
        "client_secret",
    }
    assert configuration(CC, KEY, kept=["private_key"]).public["client_id"] == "c"
    open_client = {**public, "client_auth_method": "none"}
    assert configuration(CC, open_client, kept=["client_secret"]).secrets == {}


def test_a_secret_that_is_given_stands_for_all_of_them() -> None:
    found = configuration(CC, CLIENT, kept=["private_key"])
    assert found.secrets == {"client_secret": "s3cret"}


def test_hosts_of_every_spelling_are_taken_from_the_endpoint() -> None:
    for url, host in (
        ("https://IDP.Example.com:8443/t", "idp.example.com"),
        ("https://bücher.example/t", "xn--bcher-kva.example"),
        ("https://[2606:4700::1111]/t", "[2606:4700::1111]"),
        ("https://under_score.example/t", "under_score.example"),
    ):
        config = {**CLIENT, "token_endpoint": url}
        assert configuration(CC, config).public["allowed_token_hosts"] == [host]


@pytest.mark.parametrize(
    ("endpoint", "hosts", "allowed"),
    [
        (TOKEN, ["IDP.example.COM"], True),
        (TOKEN, ["example.com"], False),
        (TOKEN, [], False),
        ("http://idp.example.com/", ["idp.example.com"], False),
        ("https://bücher.example/", ["BÜCHER.example"], True),
        ("https://[2606:4700::1111]/", ["2606:4700::1111"], True),
        ("", ["idp.example.com"], False),
        (TOKEN, ["\u00ad"], False),
    ],
)
def test_endpoints_are_on_allowed_hosts(
    endpoint: str, hosts: list[str], allowed: bool
) -> None:
    assert is_host_allowed(endpoint, hosts) is allowed


def test_the_members_that_differ_are_named() -> None:
    before, after = {"a": 1, "b": [2], "c": 3}, {"b": [2], "c": 4, "d": None}
    assert public_fields(before, after) == [
        "config_json.a",
        "config_json.c",
        "config_json.d",
    ]
    assert public_fields(after, after) == []
