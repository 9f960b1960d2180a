"""The worked examples of the contract's section 9, each as it stands there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from policies.engine import FAILED, Result
from policies.tests.examples import (
    BILLING,
    CONFINED,
    DATA,
    INVOICES,
    ISSUE,
    LIFECYCLE,
    METRICS,
    READ,
    REPORTS,
    RISK,
    bootstrap,
    decided,
    edge,
    mint,
    use,
)

Allowance = tuple[str, list[Any]]
BY_BOOTSTRAP: Allowance = ("caracal-bootstrap", [])
BY_MINT: Allowance = ("caracal-billing-mint", [])
BY_USE: Allowance = ("caracal-billing-use", [])
STEP_UP = {"step_up_required": "human_approval"}
LOW = {"scope": READ, "tier": "low"}
MONEY = {"scope": ISSUE, "tier": "money"}
SUBJECT = {"context": {"subject_claims": {"sub": "someone"}}}
SPLIT_ROLES = {
    **DATA,
    "grants": {
        INVOICES: {
            "application": "billing",
            "roles": {"reader": [READ], "issuer": [ISSUE]},
        }
    },
}
LIFECYCLE_ROLE = {
    **DATA,
    "grants": {
        INVOICES: {"application": "billing", "roles": {"clerk": [LIFECYCLE, ISSUE]}}
    },
}
EMPTY_ROLE = {"grants": {INVOICES: {"application": "billing", "roles": {"viewer": []}}}}
CONFINED_CLERK = ("clerk", "tenant:eu-4")

ALLOWED: list[tuple[str, Mapping[str, Any], dict[str, Any], Allowance]] = [
    ("1", {}, bootstrap(), BY_BOOTSTRAP),
    ("1b", {}, bootstrap(requested=[LIFECYCLE, LIFECYCLE]), BY_BOOTSTRAP),
    (
        "1d",
        {},
        bootstrap(context={"delegation_edge_id": "edge-1", "session_id": "s"}),
        BY_BOOTSTRAP,
    ),
    ("3", {}, mint(), BY_MINT),
    ("5", {}, mint([READ, ISSUE], ["viewer", "clerk"]), BY_MINT),
    ("6b", CONFINED, mint([READ], CONFINED_CLERK), BY_MINT),
    ("6c", CONFINED, mint([ISSUE], ["clerk", "Tenant:eu-4"]), BY_MINT),
    ("6d bootstrap", CONFINED, bootstrap(labels=["tenant:eu-4"]), BY_BOOTSTRAP),
    ("6d use", CONFINED, use(labels=CONFINED_CLERK), BY_USE),
    (
        "7",
        RISK,
        mint([READ, ISSUE]),
        ("caracal-billing-mint", [STEP_UP, {"risk": [MONEY, LOW]}]),
    ),
    ("7b", RISK, mint([READ]), ("caracal-billing-mint", [{"risk": [LOW]}])),
    (
        "7c",
        RISK,
        mint([READ, ISSUE], context={"challenge_resolved": True}),
        ("caracal-billing-mint", [STEP_UP, {"risk": [MONEY, LOW]}]),
    ),
    (
        "7d",
        RISK,
        mint([ISSUE, ISSUE]),
        ("caracal-billing-mint", [STEP_UP, {"risk": [MONEY, MONEY]}]),
    ),
    ("8", {}, use(), BY_USE),
    ("10b bootstrap {}", {"restrict": {}}, bootstrap(), BY_BOOTSTRAP),
    ("10b mint []", {"restrict": []}, mint(), BY_MINT),
    ("10b use {}", {"restrict": {}}, use(), BY_USE),
    (
        "15",
        {"risk": [{"scope": ISSUE}], "approval_tiers": ["money"]},
        mint(),
        BY_MINT,
    ),
    # Section 8.3 and 8.4.
    (
        "an empty edge id counts",
        {},
        mint(delegation_edge={**edge(), "id": ""}),
        BY_MINT,
    ),
    (
        "confinement as an object",
        {"confinement": {"a": {"label_prefix": "t:", "scopes": []}}},
        mint(),
        BY_MINT,
    ),
    (
        "a prefix that is no string is ignored",
        {"confinement": [{"label_prefix": 3, "scopes": []}]},
        mint(),
        BY_MINT,
    ),
    (
        "equal tiers are one",
        {"risk": [MONEY, MONEY]},
        mint(),
        ("caracal-billing-mint", [{"risk": [MONEY]}]),
    ),
    (
        "two keys of another application",
        {"app_ids": {"billing": BILLING, "a": "x", "b": "x"}},
        mint(),
        BY_MINT,
    ),
    ("a role without scopes is a role", EMPTY_ROLE, use(), BY_USE),
]

DENIED: list[tuple[str, Mapping[str, Any], dict[str, Any]]] = [
    ("1c an extra scope", {}, bootstrap(requested=[LIFECYCLE, READ])),
    ("1c an agent session", {}, bootstrap(context={"agent_session_id": "as-1"})),
    ("1c an edge", {}, bootstrap(delegation_edge=edge())),
    ("1c an empty edge", {}, bootstrap(delegation_edge={})),
    ("1c a subject", {}, bootstrap(**SUBJECT)),
    ("2", {}, bootstrap(application=REPORTS)),
    ("2b", {}, bootstrap(application="app-unknown")),
    ("4", {}, mint(delegation_edge=edge([READ]))),
    ("4 no scopes on the edge", {}, mint(delegation_edge=edge(None))),
    ("4b no agent session", {}, mint(context={"agent_session_id": None})),
    ("4b no edge", {}, mint(delegation_edge=None)),
    ("4b a subject", {}, mint(**SUBJECT)),
    ("4b nothing requested", {}, mint([])),
    ("4c labels null", {}, mint(labels=None)),
    ("4c labels empty", {}, mint(labels=[])),
    ("4d", LIFECYCLE_ROLE, mint([LIFECYCLE], delegation_edge=edge([LIFECYCLE]))),
    (
        "4d with another",
        LIFECYCLE_ROLE,
        mint([LIFECYCLE, ISSUE], delegation_edge=edge([LIFECYCLE, ISSUE])),
    ),
    ("5b", SPLIT_ROLES, mint([READ, ISSUE], ["reader", "issuer"])),
    ("6", CONFINED, mint([ISSUE], CONFINED_CLERK)),
    ("9 another target", {}, use(target=[METRICS])),
    ("9 a target as a string", {}, use(target=INVOICES)),
    ("9 no edge in the subject", {}, use(delegation_edge_id=None)),
    ("9 an empty edge in the subject", {}, use(delegation_edge_id="")),
    ("9 something requested", {}, use([READ])),
    ("9 a label that is no role", {}, use(labels=["stranger"])),
    *(
        (f"10 {frozen} {kind}", {"restrict": frozen}, raw)
        for frozen in (["freeze"], ["x"], {"a": False})
        for kind, raw in (("bootstrap", bootstrap()), ("mint", mint()), ("use", use()))
    ),
    ("14", {"confinement": [{"scopes": [READ]}]}, mint()),
    ("14 and it lists the scope", {"confinement": [{"scopes": [ISSUE]}]}, mint()),
    # Section 8.3 and 8.4.
    (
        "an empty prefix matches every label",
        {"confinement": [{"label_prefix": "", "scopes": [READ]}]},
        mint(),
    ),
    (
        "a matching rule without scopes",
        {"confinement": [{"label_prefix": "clerk"}]},
        mint(),
    ),
    ("another case of the identifier", {}, bootstrap(resource=INVOICES.upper())),
    ("nothing asked for", {}, bootstrap(requested=None)),
]


@pytest.mark.parametrize(
    ("data", "raw", "expected"),
    [example[1:] for example in ALLOWED],
    ids=[example[0] for example in ALLOWED],
)
def test_what_the_examples_allow_is_allowed(
    data: Mapping[str, Any], raw: Any, expected: Allowance
) -> None:
    policy, diagnostics = expected
    assert decided({**DATA, **data}, raw) == Result(
        decision="allow",
        evaluation_status="complete",
        determining_policies=({"policy": policy},),
        diagnostics=tuple(diagnostics),
    )


def denial(reason: str) -> Result:
    return Result(
        decision="deny",
        evaluation_status="complete",
        diagnostics=({"reason": reason},),
    )


@pytest.mark.parametrize(
    ("data", "raw"),
    [example[1:] for example in DENIED],
    ids=[example[0] for example in DENIED],
)
def test_what_the_examples_deny_is_denied(data: Mapping[str, Any], raw: Any) -> None:
    assert decided({**DATA, **data}, raw) == denial("no_rule_matched")


@pytest.mark.parametrize("raw", [bootstrap(), mint(), use()])
def test_without_documents_everything_is_denied(raw: Any) -> None:
    """Example 11."""
    assert decided({}, raw) == denial("no_rule_matched")


@pytest.mark.parametrize("raw", [bootstrap(), mint(), use()])
def test_without_an_active_set_everything_is_denied(raw: Any) -> None:
    """Example 12."""
    assert decided(None, raw) == denial("no_active_policy_set")


@pytest.mark.parametrize(
    ("data", "raw"),
    [
        ({"app_ids": {"billing": BILLING, "alias": BILLING}}, bootstrap()),
        ({"risk": [MONEY, {"scope": ISSUE, "tier": "low"}]}, mint()),
    ],
    ids=["13 two keys for one application", "8.6 two tiers for one scope"],
)
def test_ambiguous_data_fails_the_evaluation(data: Mapping[str, Any], raw: Any) -> None:
    result = decided({**DATA, **data}, raw)
    assert (result.decision, result.evaluation_status) == ("deny", FAILED)
    [diagnostic] = result.diagnostics
    assert diagnostic["reason"] == FAILED
    assert "backtrace" not in diagnostic["message"]
    assert "\n" not in diagnostic["message"]


@pytest.mark.parametrize("restrict", ["freeze", True, 1])
def test_a_restriction_of_no_sensible_shape_restricts(restrict: Any) -> None:
    assert decided({**DATA, "restrict": restrict}, bootstrap()).decision == "deny"
