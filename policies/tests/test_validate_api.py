"""POST /v1/policies/validate and GET /v1/policy-templates."""

from __future__ import annotations

from typing import Any

import pytest

from caracal_site.testing.api import Api, refusal
from policies import sandbox
from policies.templates import TEMPLATES
from policies.tests.examples import bootstrap, decided
from policies.validation import validate, validate_set
from zones import services
from zones.models import Zone
from zones.tests.factories import ACTOR

PATH = "/v1/policies/validate"
TEXT = (
    "# caracal:data-document\npackage caracal.authz\n\nimport rego.v1\n\n"
    'grants := {"resource://a": {"application": "x", "roles": {"r": ["read"]}}}\n'
    'app_ids["x"] := "app"\n'
)


def test_a_valid_policy_is_previewed(api: Api) -> None:
    answer = api.post(PATH, {"content": TEXT})
    assert answer.status_code == 200
    assert answer.json() == {
        "valid": True,
        "schema_version": "2026-05-20",
        "input_schema_version": "2026-05-20",
        "output_contract": {
            "package": "caracal.authz",
            "rule": "result",
            "decision": ["allow", "deny"],
            "evaluation_status": ["complete"],
        },
        "preview": {
            "package": "caracal.authz",
            "rules": ["app_ids", "grants"],
            "default_result": False,
            "decisions": [],
            "inputs_referenced": [],
            "data_referenced": [],
        },
    }


def test_an_older_schema_version_is_echoed(api: Api) -> None:
    answer = api.post(PATH, {"content": TEXT, "schema_version": "2026-03-16"}).json()
    assert answer["schema_version"] == "2026-03-16"
    assert answer["input_schema_version"] == "2026-05-20"


def test_an_invalid_policy_is_told_where_and_why(api: Api) -> None:
    answer = api.post(PATH, {"content": f"{TEXT}\n  restrictions := {{}}\n"})
    assert refusal(answer) == (422, "invalid_rego")
    body = answer.json()
    assert body["valid"] is False
    assert body["detail"] == "unknown_document"
    assert body["error_description"] == (
        "Line 9, column 3: there is no document called restrictions."
        " Did you mean restrict?"
    )
    assert body["details"]["issues"] == [
        {
            "path": ["content"],
            "line": 9,
            "column": 3,
            "code": "unknown_document",
            "message": "there is no document called restrictions",
            "hint": "Did you mean restrict?",
        }
    ]


@pytest.mark.parametrize(
    ("content", "detail"),
    [
        ("x", "missing_package_declaration"),
        (TEXT + "result := {}", "data_document_must_not_define_result"),
        (TEXT + "y := 1\nresult := {}", "data_document_must_not_define_result"),
        (TEXT + "y := http.send({})", "forbidden_builtin:http.send"),
        (TEXT + "#" * 262_144, "content_too_large"),
        ("\U0001f600" * 131_073, "content_too_large"),
    ],
    ids=["package", "result", "result after all", "builtin", "long", "long in UTF-16"],
)
def test_the_detail_is_the_contracts_code(api: Api, content: str, detail: str) -> None:
    answer = api.post(PATH, {"content": content})
    assert refusal(answer) == (422, "invalid_rego")
    assert answer.json()["detail"] == detail


@pytest.mark.parametrize("version", ["2020-01-01", "", "x"])
def test_an_unknown_schema_version_is_refused_before_the_text(
    api: Api, version: str
) -> None:
    answer = api.post(PATH, {"content": "x", "schema_version": version})
    assert refusal(answer) == (422, "invalid_schema_version")
    assert answer.json()["valid"] is False
    assert answer.json()["detail"] == f"unsupported_schema_version:{version}"


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({}, ["content"]),
        ({"content": ""}, ["content"]),
        ({"content": 7}, ["content"]),
        ({"content": None}, ["content"]),
        ({"content": [TEXT]}, ["content"]),
        ({"content": TEXT, "schema_version": None}, ["schema_version"]),
        ({"content": TEXT, "schema_version": 1}, ["schema_version"]),
        ({"content": TEXT, "name": "x"}, ["name"]),
        ([], []),
        ("x", []),
    ],
    ids=str,
)
def test_a_body_that_is_none_is_refused(api: Api, body: Any, path: list[str]) -> None:
    answer = api.post(PATH, body)
    assert refusal(answer) == (400, "invalid_body")
    assert answer.json()["details"]["issues"][0]["path"] == path


@pytest.mark.parametrize(
    ("content", "content_type", "status", "code"),
    [
        (b"{", "application/json", 400, "invalid_body"),
        (b"", None, 400, "invalid_body"),
        (b"content=x", "application/x-www-form-urlencoded", 415, None),
        (b'{"content": "' + b"x" * 1_100_000 + b'"}', "application/json", 413, None),
    ],
    ids=["malformed", "none", "form", "too large"],
)
def test_a_body_of_another_form_is_refused(
    api: Api, content: bytes, content_type: str | None, status: int, code: str | None
) -> None:
    told = refusal(
        api.request("POST", PATH, content=content, content_type=content_type)
    )
    assert told[0] == status
    assert code is None or told[1] == code


def test_a_lone_surrogate_or_a_nul_is_no_server_error(api: Api) -> None:
    for escape in (b"\\ud800", b"\\u0000"):
        body = b'{"content": "' + escape + b'"}'
        assert api.request("POST", PATH, content=body).status_code in (400, 422)


@pytest.mark.parametrize("capability", ["read", "write"])
def test_every_admin_token_may_validate(zone: Zone, capability: str) -> None:
    minted = services.mint_admin_token(
        "t", actor=ACTOR, scope="zone", capability=capability, zone_id=zone.id
    )
    assert Api(minted.plain).post(PATH, {"content": TEXT}).status_code == 200


@pytest.mark.parametrize("token", [None, "cat_" + "x" * 43])
def test_without_a_token_nothing_is_validated(api: Api, token: str | None) -> None:
    answer = api.as_(token).post(PATH, {"content": TEXT})
    assert refusal(answer) == (401, "invalid_admin_token")


def test_another_method_is_refused(api: Api) -> None:
    answer = api.get(PATH)
    assert refusal(answer) == (405, "method_not_allowed")
    assert answer["Allow"] == "POST"


def test_a_busy_sandbox_is_told_with_when_to_come_back(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sandbox, "WAIT_SECONDS", 0.05)
    with sandbox._pool.worker(), sandbox._pool.worker():
        answer = api.post(PATH, {"content": f"{TEXT}# busy\n"})
    assert refusal(answer) == (503, "policy_validation_busy")
    assert answer["Retry-After"]


def test_the_templates_are_four_and_in_their_order(api: Api) -> None:
    answer = api.get("/v1/policy-templates")
    assert answer.status_code == 200
    rows = answer.json()
    assert [row["id"] for row in rows] == [
        "application-bindings",
        "resource-grants",
        "label-confinement",
        "zone-restriction",
    ]
    assert all(row.keys() == {"id", "name", "description", "content"} for row in rows)
    for row in rows:
        assert api.post(PATH, {"content": row["content"]}).status_code == 200


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda one: str(one.id))
def test_a_template_compiles_and_explains_itself(template: Any) -> None:
    assert validate(template.content).issues == []
    assert template.description.endswith(".")
    first, second, *_ = template.content.splitlines()
    assert first == "# caracal:data-document"
    assert second.startswith("# ")
    assert "import rego.v1" in template.content


def test_the_templates_go_together_and_say_what_they_describe() -> None:
    report = validate_set([(one.name, one.content) for one in TEMPLATES])
    assert (report.issues, report.warnings) == ([], [])
    assert report.data is not None
    assert len(report.data["app_ids"]) == 2
    [view] = report.data["grants"].values()
    assert [len(scopes) for scopes in view["roles"].values()] == [2]
    [rule] = report.data["confinement"]
    assert (rule["label_prefix"], len(rule["scopes"])) == ("customer:", 1)
    assert report.data["restrict"] == {}
    owner = report.data["app_ids"][view["application"]]
    [resource] = report.data["grants"]
    asked = bootstrap(application=owner, resource=resource)
    assert decided(report.data, asked).decision == "allow"
