"""What is refused of a policy's text, where, and with which words; what is accepted."""

from __future__ import annotations

from typing import Any

import pytest

from policies import engine, inputs
from policies.documents import Compiled
from policies.tests.examples import BILLING, INVOICES, ISSUE, mint
from policies.validation import Issue, validate, validate_set

HEAD = "# caracal:data-document\npackage caracal.authz\n\nimport rego.v1\n\n"
GRANTS = 'grants := {"resource://a": {"application": "x", "roles": {"r": ["read"]}}}\n'


def issue(text: str) -> Issue:
    """The one fault of ``text``."""
    report = validate(text)
    assert not report.is_valid
    assert report.data is None
    assert report.preview is None
    [found] = report.issues
    return found


@pytest.mark.parametrize(
    ("text", "code", "place"),
    [
        ("", "empty_policy", (1, 1)),
        (HEAD + GRANTS + "#" * 262_144, "content_too_large", (1, 1)),
        (HEAD + GRANTS + "#" + "\U0001f600" * 131_072, "content_too_large", (1, 1)),
        (HEAD + 'grants := {"abc\n}', "unterminated_string", (6, 12)),
        (HEAD + "grants := {`abc", "unterminated_string", (6, 12)),
        (HEAD + "grants := {[}]", "unbalanced_delimiters", (6, 13)),
        (HEAD + "grants := {[1]", "unbalanced_delimiters", (6, 11)),
        (HEAD + "grants := {}}", "unbalanced_delimiters", (6, 13)),
        ("# caracal:data-document\nx := 1\n", "missing_package_declaration", (1, 1)),
        ("# package caracal.authz\nx := 1\n", "missing_package_declaration", (1, 1)),
        (HEAD.replace("caracal.authz", "caracal..x"), "invalid_package_name", (2, 9)),
        (HEAD.replace("caracal.authz", "9lives"), "invalid_package_name", (2, 9)),
        (HEAD + "y := http.send({})", "forbidden_builtin:http.send", (6, 6)),
        (HEAD + "y := time.now_ns  ()", "forbidden_builtin:time.now_ns", (6, 6)),
        (
            HEAD.replace("caracal.authz", "other") + GRANTS,
            "must_use_package_caracal_authz",
            (2, 9),
        ),
        (HEAD[24:] + GRANTS, "must_be_data_document", (1, 1)),
        (
            HEAD[24:] + "restrict := [`\n# caracal:data-document\n`]",
            "must_be_data_document",
            (1, 1),
        ),
        (HEAD + "result := {}", "data_document_must_not_define_result", (6, 1)),
        (HEAD + "default result := 1", "data_document_must_not_define_result", (6, 9)),
        (HEAD + 'result["a"] := 1', "data_document_must_not_define_result", (6, 1)),
        (HEAD + "result.a := 1", "data_document_must_not_define_result", (6, 1)),
        (HEAD, "data_document_must_define_data", (1, 1)),
        (HEAD + "grants := [" + "[" * 6 + "]" * 7, "too_deeply_nested", (6, 17)),
        (HEAD + "grants := foo bar baz !!!", "syntax_error", (6, 15)),
        (HEAD + "grants := {} { true }", "syntax_error", (6, 14)),
        (HEAD + "package caracal.authz\n" + GRANTS, "syntax_error", (6, 1)),
        (HEAD + "input := {}", "syntax_error", (6, 1)),
        (HEAD + 'restrict := ["\ud800"]', "syntax_error", (6, 15)),
        (HEAD + 'restrict := ["a\x00"]', "syntax_error", None),
        (HEAD + "import data.x\n" + GRANTS, "import_not_allowed", (6, 1)),
        (HEAD + "import input.x\n" + GRANTS, "import_not_allowed", (6, 1)),
        (HEAD + "restrictions := {}", "unknown_document", (6, 1)),
        (HEAD + "x := 1", "unknown_document", (6, 1)),
        (HEAD + "grants := input.x", "must_be_plain_data", (6, 16)),
        (HEAD + "grants := y", "must_be_plain_data", (6, 11)),
        (HEAD + 'grants := http["send"]({})', "must_be_plain_data", None),
        (HEAD + "restrict := {1 + 1}", "must_be_plain_data", (6, 16)),
        (HEAD + "restrict := [x | x := 1]", "must_be_plain_data", (6, 13)),
        (HEAD + 'restrict contains "x" if true', "must_be_plain_data", (6, 1)),
        (HEAD + "restrict if true", "must_be_plain_data", (6, 1)),
        (HEAD + "restrict(x) := x", "must_be_plain_data", (6, 1)),
        (HEAD + "default restrict(x) := 1", "must_be_plain_data", (6, 1)),
        (HEAD + "grants.a.roles := {}", "must_be_plain_data", (6, 1)),
        (HEAD + "grants[x] := {}", "must_be_plain_data", (6, 8)),
    ],
    ids=lambda part: part[-40:] if isinstance(part, str) else None,
)
def test_a_text_is_refused_with_its_code_and_place(
    text: str, code: str, place: tuple[int, int] | None
) -> None:
    found = issue(text)
    assert found.code == code
    if place is not None:
        assert (found.line, found.column) == place
    assert found.message
    assert "\n" not in str(found)


@pytest.mark.parametrize(
    ("document", "code", "words"),
    [
        ("app_ids := []", "wrong_shape", "must be an object"),
        ('app_ids := {"a": 1}', "wrong_shape", "this is a number"),
        ('app_ids := {"a": " "}', "wrong_shape", "is empty"),
        ('app_ids := {1: "a"}', "wrong_shape", "a key must be a string"),
        ('app_ids := {"a": "x", "b": "x"}', "ambiguous_application", "called 'a'"),
        ('app_ids := {"a": "x", "a": "y"}', "duplicate_key", "second time"),
        ("grants := []", "wrong_shape", "must be an object"),
        ('grants := {"r": {}}', "wrong_shape", "lacks application"),
        ('grants := {"r": {"application": 1}}', "wrong_shape", "this is a number"),
        (
            'grants := {"r": {"application": "a", "role": {}}}',
            "unknown_field",
            "Did you mean roles?",
        ),
        (
            'grants := {"r": {"application": "a", "roles": ["x"]}}',
            "wrong_shape",
            "from role to a list of scopes",
        ),
        (
            'grants := {"r": {"application": "a", "roles": {"x": "read"}}}',
            "wrong_shape",
            "must be a list, and this is a string",
        ),
        (
            'grants := {"r": {"application": "a", "roles": {"x": ["a b"]}}}',
            "wrong_shape",
            "white space",
        ),
        ('confinement := {"label_prefix": "x"}', "wrong_shape", "must be an object"),
        ('confinement := [{"scopes": []}]', "wrong_shape", "lacks label_prefix"),
        (
            'confinement := [{"label_prefix": "x", "scope": [], "scopes": []}]',
            "unknown_field",
            "Did you mean scopes?",
        ),
        (
            'confinement := [{"label_prefix": null, "scopes": []}]',
            "wrong_shape",
            "this is nothing",
        ),
        ('restrict := "freeze"', "wrong_shape", "must be a list"),
        ('restrict := ["a\\u0000"]', "wrong_shape", "NUL"),
        ('restrict := {"a\\u0000": 1}', "wrong_shape", "NUL"),
        ("restrict := false", "wrong_shape", "this is a boolean"),
        ('risk := [{"scope": "a"}]', "wrong_shape", "lacks tier"),
        ('risk := [{"scope": "a", "tier": 1}]', "wrong_shape", "this is a number"),
        (
            'risk := [{"scope": "a", "tier": "x"}, {"scope": "a", "tier": "y"}]',
            "ambiguous_tier",
            "already has the tier 'x'",
        ),
        ('approval_tiers := {"x": "y"}', "wrong_shape", "must be a list"),
        ("approval_tiers := [1]", "wrong_shape", "this is a number"),
        ("restrictions := {}", "unknown_document", "Did you mean restrict?"),
        ("approval_tier := []", "unknown_document", "Did you mean approval_tiers?"),
        ("x := 1", "unknown_document", "Known are app_ids, grants"),
        (
            "restrict := [" + "1," * 1_001 + "]",
            "too_many_entries",
            "more than 1000 entries",
        ),
        ("grants := {}\ngrants := {1: 2}", "conflicting_documents", "in line 6"),
        ("grants.a := 1\ngrants.a := 2", "conflicting_documents", "in line 6"),
        (
            'restrict := {}\nrestrict contains "x"',
            "conflicting_documents",
            "entry by entry",
        ),
        (
            'default restrict := []\ndefault restrict := ["x"]',
            "conflicting_documents",
            "differently",
        ),
    ],
)
def test_a_document_is_refused_for_what_it_says(
    document: str, code: str, words: str
) -> None:
    report = validate(HEAD + document)
    found = next(one for one in report.issues if one.code == code)
    assert words in str(found)
    assert found.line in (6, 7)


def test_the_place_is_that_of_the_fault_and_not_of_its_document() -> None:
    text = (
        HEAD + 'grants := {\n\t"resource://a": {\n'
        '\t\t"application": "x",\n\t\t"roles": {"é": ["read", 7]},\n\t},\n}\n'
    )
    found = issue(text)
    assert (found.line, found.column) == (9, 27)
    assert text.splitlines()[8][26] == "7"


def test_every_fault_is_told_up_to_a_number() -> None:
    many = "".join(f'wrong_{n}["x"] := 1\n' for n in range(80))
    report = validate(HEAD + "result := 1\n" + many)
    assert len(report.issues) == 50
    assert len({one.line for one in report.issues}) == 50
    assert report.leading_issue.code == "data_document_must_not_define_result"


@pytest.mark.parametrize(
    ("document", "name", "value"),
    [
        ('app_ids := {"a": "x"}', "app_ids", {"a": "x"}),
        ('app_ids = {"a": "x",}', "app_ids", {"a": "x"}),
        ('app_ids["a"] := "x"\napp_ids.b := `y`', "app_ids", {"a": "x", "b": "y"}),
        (
            'grants.a := {"application": "x", "roles": {"r": {"read"}}}',
            "grants",
            {"a": {"application": "x", "roles": {"r": ["read"]}}},
        ),
        (
            'grants["a"] := {"application": "x"}',
            "grants",
            {"a": {"application": "x"}},
        ),
        (
            'confinement := {"c": {"label_prefix": "", "scopes": []}}',
            "confinement",
            {"c": {"label_prefix": "", "scopes": []}},
        ),
        ('restrict contains "x"\nrestrict contains "y"', "restrict", ["x", "y"]),
        (
            'restrict := {"a": false, "n": -1.5, "z": null}',
            "restrict",
            {"a": False, "n": -1.5, "z": None},
        ),
        ("default restrict := {}", "restrict", {}),
        ('default restrict := []\nrestrict := ["x"]', "restrict", ["x"]),
        ("restrict := set()", "restrict", []),
        ("approval_tiers := []\napproval_tiers := []", "approval_tiers", []),
        ('restrict := ["\\u0041\\n{#\\"", `a\n[b`]', "restrict", ['A\n{#"', "a\n[b"]),
        ("restrict := [] # result := 1, http.send(x)", "restrict", []),
    ],
)
def test_what_is_accepted_says_what_was_written(
    document: str, name: str, value: Any
) -> None:
    report = validate(HEAD + document)
    assert report.issues == []
    assert report.data == {name: value}
    assert report.preview is not None
    assert report.preview.rules == [name]


@pytest.mark.parametrize(
    "head",
    [
        "package caracal.authz\n#   caracal:data-document with words\n",
        "  package  caracal.authz\n\n\t# caracal:data-document\n",
        "# caracal:data-document\npackage caracal.authz\nimport future.keywords.in\n",
        "#caracal:data-document\r\npackage caracal.authz\r\n",
    ],
)
def test_a_head_may_be_written_in_other_ways(head: str) -> None:
    assert validate(head + GRANTS).issues == []


def test_the_longest_text_is_accepted() -> None:
    entry = '"resource://{}": {{"application": "k", "roles": {{"a": ["x"]}}}}'
    body = ",\n".join(entry.format(number) for number in range(4_000))
    text = f"{HEAD}grants := {{{body}}}\n"
    text += "#" * (262_144 - len(text))
    report = validate(text)
    assert report.issues == []
    assert report.data is not None
    assert len(report.data["grants"]) == 4_000


@pytest.mark.parametrize(
    "texts",
    [
        ['app_ids["a"] := "x"', 'app_ids["b"] := "y"'],
        ['app_ids := {"a": "x", "b": "y"}', 'app_ids := {"b": "y", "a": "x"}'],
    ],
    ids=["by key", "equal"],
)
def test_texts_of_a_set_unite(texts: list[str]) -> None:
    named = [(f"policy {n}", HEAD + text) for n, text in enumerate(texts)]
    for order in (named, named[::-1]):
        report = validate_set(order)
        assert report.issues == []
        assert report.data == {"app_ids": {"a": "x", "b": "y"}}


@pytest.mark.parametrize(
    ("one", "two", "code"),
    [
        ('app_ids := {"a": "x"}', 'app_ids := {"b": "y"}', "conflicting_documents"),
        ('app_ids["a"] := "x"', 'app_ids["a"] := "y"', "conflicting_documents"),
        ('app_ids["a"] := "x"', 'app_ids := {"a": "x"}', "conflicting_documents"),
        ('restrict contains "x"', 'restrict := ["x"]', "conflicting_documents"),
        ("default restrict := [1]", "default restrict := []", "conflicting_documents"),
        ('app_ids["a"] := "x"', 'app_ids["b"] := "x"', "ambiguous_application"),
        (
            'risk contains {"scope": "a", "tier": "x"}',
            'risk contains {"scope": "a", "tier": "y"}',
            "ambiguous_tier",
        ),
    ],
)
def test_texts_of_a_set_that_disagree_are_refused(
    one: str, two: str, code: str
) -> None:
    named = [("first", HEAD + one), ("second", HEAD + two)]
    for order in (named, named[::-1]):
        [found] = validate_set(order).issues
        assert found.code == code
        assert found.document == order[1][0]
        if code == "conflicting_documents":
            assert f"in {order[0][0]}, line 6" in found.message
    for _, text in named:
        assert validate(text).is_valid


def test_a_set_is_refused_for_the_text_that_is_wrong() -> None:
    report = validate_set([("good", HEAD + GRANTS), ("bad", "x"), ("worse", HEAD)])
    assert [(one.document, one.code) for one in report.issues] == [
        ("bad", "missing_package_declaration"),
        ("worse", "data_document_must_define_data"),
    ]
    assert str(report.issues[0]).startswith("bad, line 1, column 1: there is no")


def test_a_set_may_not_be_boundless() -> None:
    text = HEAD + GRANTS + "#" * 200_000
    report = validate_set([(str(n), text) for n in range(6)])
    assert [one.code for one in report.issues] == ["set_too_large"]


def test_a_set_is_warned_of_what_it_names_and_does_not_have() -> None:
    named = [
        ("grants", HEAD + GRANTS),
        ("names", HEAD + 'app_ids := {"y": "app-1"}'),
        ("gates", HEAD + 'approval_tiers := ["money"]'),
    ]
    report = validate_set(named)
    assert report.is_valid
    assert [(one.document, one.code) for one in report.warnings] == [
        ("grants", "unknown_application"),
        ("gates", "unknown_tier"),
    ]


def test_an_empty_set_decides_by_nothing() -> None:
    assert validate_set([]).data == {}


def test_what_is_accepted_decides_as_written() -> None:
    text = (
        f'app_ids := {{"billing": "{BILLING}"}}\n'
        f'grants["{INVOICES}"] := {{"application": "billing",'
        f' "roles": {{"clerk": {{"{ISSUE}"}}}}}}\n'
        f'risk := {{{{"scope": "{ISSUE}", "tier": "money"}}}}\n'
        'approval_tiers := {"money"}\n'
    )
    report = validate_set([("all", HEAD + text)])
    assert report.data is not None
    result = engine.evaluate(Compiled(report.data), inputs.normalised(mint()))
    assert result.determining_policies == ({"policy": "caracal-billing-mint"},)
    assert result.diagnostics == (
        {"step_up_required": "human_approval"},
        {"risk": [{"scope": ISSUE, "tier": "money"}]},
    )
