"""What names, identifiers, addresses and traits may be."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zones import errors, rules, traits


@given(st.text(max_size=200))
def test_a_zone_slug_is_well_formed_short_and_never_reserved(name: str) -> None:
    slug = rules.zone_slug_of(name, may_be_reserved=False)
    assert rules.SLUG.match(slug)
    assert not rules.is_reserved_zone("", f"{slug}-2")
    assert len(slug) + rules.RANDOM_SUFFIX <= rules.MAX_SLUG


@pytest.mark.parametrize(
    ("name", "slug"),
    [
        ("  Zone A!  ", "zone-a"),
        ("!!!", "zone"),
        ("Caracal Sys Foo", "zone-caracal-sys-foo"),
        ("caracal sys", "zone-caracal-sys"),
        ("Caracal", "caracal"),
    ],
)
def test_a_zone_slug_comes_from_the_name(name: str, slug: str) -> None:
    assert rules.zone_slug_of(name, may_be_reserved=False) == slug


@given(st.text(max_size=700))
def test_a_generated_provider_identifier_is_one(name: str) -> None:
    made = rules.provider_base(name)
    assert rules.provider_identifier(f"{made}-2") == f"{made}-2"


@given(st.text(min_size=1, max_size=200))
def test_a_generated_resource_identifier_is_canonical(name: str) -> None:
    made = rules.resource_base(name)
    assert rules.resource_identifier(made) == made


@given(st.text(max_size=100))
def test_the_canonical_identifier_of_a_canonical_one_is_itself(text: str) -> None:
    try:
        once = rules.resource_identifier(text)
    except errors.InvalidResourceIdentifier:
        return
    assert rules.resource_identifier(once) == once


@pytest.mark.parametrize(
    ("given", "canonical"),
    [
        (" resource://api ", "resource://api"),
        ("HTTPS://API.Example.com/V1", "https://api.example.com/V1"),
        ("resource://MyApi", "resource://MyApi"),
        ("URN:A:B", "urn:A:B"),
        ("https://[2001:DB8::1]:8443/x", "https://[2001:db8::1]:8443/x"),
        ("https://API.x", "https://api.x"),
        ("https://api.x/", "https://api.x"),
        ("https://api.x:443/", "https://api.x"),
        ("http://api.x:80/v1/", "http://api.x/v1/"),
        ("https://api.x:80", "https://api.x:80"),
        ("https://api.x/?a=b", "https://api.x/?a=b"),
        ("Resource://api/", "resource://api"),
    ],
)
def test_identifiers_have_one_spelling(given: str, canonical: str) -> None:
    assert rules.resource_identifier(given) == canonical


@pytest.mark.parametrize(
    "text",
    [
        "plain",
        "",
        "resource:",
        "resource://",
        "resource://Weird Name",
        "provider://x",
        "PROVIDER://x",
        "https://user@host/x",
        "https:///x",
        "https://[bad/x",
        "https://host:99999/",
        "https://a<b/",
        "https://a\\b/",
        "resource://a\n",
        "1abc://x",
    ],
)
def test_what_is_no_absolute_uri_is_no_resource_identifier(text: str) -> None:
    if text == "resource://a\n":
        assert rules.resource_identifier(text) == "resource://a"
        return
    with pytest.raises(errors.InvalidResourceIdentifier):
        rules.resource_identifier(text)


@pytest.mark.parametrize(
    "url",
    [
        "x",
        "ftp://host/",
        "http://",
        "http://[::1",
        "http://host:port/",
        "http://user:secret@host/",
        "http://a b/",
        "http://host\\@evil.example/",
        "http://%zz/",
        "http://a..b/",
        "http://[nope]/",
        "http://host/" + "x" * 3000,
    ],
)
def test_what_cannot_be_called_is_no_upstream(url: str) -> None:
    assert rules.upstream_fault(url)


@pytest.mark.parametrize(
    "url",
    [
        "https://host.example:8443/a?b=c#d",
        "http://localhost:3000",
        "http://10.0.0.1/x@y",
        "http://[::1]:8080/",
        "https://bücher.example/",
        "https://my_host/",
    ],
)
def test_what_can_be_called_is_an_upstream(url: str) -> None:
    assert rules.upstream_fault(url) is None


@given(st.text(max_size=80))
def test_no_upstream_is_too_odd_to_be_judged(text: str) -> None:
    for url in (text, f"https://{text}"):
        assert rules.upstream_fault(url) in (
            None,
            "expected an http or https URL",
            "must not contain credentials",
        )


def test_the_fault_of_an_operation_names_its_place() -> None:
    good = {"method": "GET", "path": "/", "scope": "read"}
    with pytest.raises(errors.InvalidResource) as caught:
        rules.operations([good, {**good, "method": "G E T"}], ["read"])
    assert [issue.path for issue in caught.value.issues] == [
        ("operations", "1", "method")
    ]


@pytest.mark.parametrize(
    ("method", "path", "scope", "error"),
    [
        ("GET", "  ", "read", errors.OperationMethodAndPathRequired),
        ("  ", "/", "read", errors.OperationMethodAndPathRequired),
        ("GET", "a", "read", errors.OperationPathMustBeAbsolute),
        ("GET", "/", "admin", errors.OperationScopeNotInResourceScopes),
        ("G E T", "/", "read", errors.InvalidResource),
        ("GET", "/a b", "read", errors.InvalidResource),
        ("GET", "/a?b", "read", errors.InvalidResource),
    ],
)
def test_an_operation_is_a_method_a_path_and_a_scope(
    method: str, path: str, scope: str, error: type[Exception]
) -> None:
    with pytest.raises(error):
        rules.operations([{"method": method, "path": path, "scope": scope}], ["read"])


def test_an_operation_is_declared_once() -> None:
    one = {"method": "get", "path": "/", "scope": "read"}
    assert rules.operations([one], ["read"]) == [{**one, "method": "GET"}]
    with pytest.raises(errors.OperationDuplicate):
        rules.operations([one, {**one, "method": " GET "}], ["read"])


@pytest.mark.parametrize(
    ("given", "error"),
    [
        (["a b"], errors.TraitInvalid),
        (["a\n"], errors.TraitInvalid),
        (["1a"], errors.TraitInvalid),
        ([""], errors.TraitInvalid),
        (["x" * 129], errors.TraitInvalid),
        (["a", "a"], errors.TraitDuplicate),
        ([f"t{n}" for n in range(33)], errors.TraitCountExceeded),
        (["control:odd"], errors.TraitInvalid),
        (["control"], errors.TraitInvalid),
        (["control:scope:none:none"], errors.TraitInvalid),
        (["control:scope:delegation:write"], errors.TraitInvalid),
        (["control:max-ttl:901"], errors.TraitInvalid),
        (["control:max-ttl:59"], errors.TraitInvalid),
        (["control:max-ttl:60", "control:max-ttl:61"], errors.TraitInvalid),
        (["control:expires:never"], errors.TraitInvalid),
        (["coordinator:odd"], errors.TraitInvalid),
        (["coordinator:scope:agent:lifecycle"], errors.TraitInvalid),
        (["coordinator:scope:coordinator.spawn_for:"], errors.TraitInvalid),
    ],
)
def test_traits_have_a_form_and_a_vocabulary(
    given: list[str], error: type[Exception]
) -> None:
    with pytest.raises(error):
        traits.check(given, may_give_authority=True)


def test_known_traits_are_accepted() -> None:
    traits.check(
        [
            "team:a",
            "coordinator",
            "control:invoke",
            "control:scope:control:audit:read",
            "control:max-ttl:900",
            "control:expires:2030-01-01T00:00:00Z",
            "coordinator:scope:coordinator.admin",
            "coordinator:scope:coordinator.delegate_to:app",
        ],
        may_give_authority=True,
    )


@pytest.mark.parametrize(
    "trait", ["control:invoke", "caracal.sys:x", "coordinator:scope:coordinator.admin"]
)
def test_traits_that_give_authority_are_not_for_everybody(trait: str) -> None:
    with pytest.raises(errors.TraitForbidden):
        traits.check([trait], may_give_authority=False)


def test_the_contract_has_26_control_scopes() -> None:
    assert len(traits.CONTROL_SCOPES) == 26
