"""What holds for every decision, whatever the documents and the request."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from policies import engine, inputs
from policies.documents import Compiled
from policies.tests.examples import decided

APPLICATIONS = ["app-1", "app-2"]
KEYS = ["one", "two"]
RESOURCES = ["resource://a", "resource://b"]
SCOPES = ["read", "write", "agent:lifecycle"]
LABELS = ["clerk", "viewer", "tenant:eu"]
TIERS = ["low", "high"]
MANY = settings(max_examples=150)

scopes = st.lists(st.sampled_from(SCOPES), max_size=3)
views = st.fixed_dictionaries(
    {
        "application": st.sampled_from(KEYS),
        "roles": st.dictionaries(st.sampled_from(LABELS), scopes, max_size=3),
    }
)
rules = st.fixed_dictionaries(
    {
        "label_prefix": st.sampled_from(["", "tenant:", "clerk", "other"]),
        "scopes": scopes,
    }
)
risks = st.dictionaries(st.sampled_from(SCOPES), st.sampled_from(TIERS), max_size=3)
documents = st.fixed_dictionaries(
    {
        "app_ids": st.sampled_from(
            [{"one": "app-1", "two": "app-2"}, {"one": "app-1"}, {"two": "app-1"}]
        ),
        "grants": st.dictionaries(st.sampled_from(RESOURCES), views, max_size=2),
    },
    optional={
        "confinement": st.lists(rules, max_size=4),
        "restrict": st.sampled_from([[], {}, ["freeze"]]),
        "risk": risks.map(
            lambda given: [{"scope": s, "tier": t} for s, t in given.items()]
        ),
        "approval_tiers": st.lists(st.sampled_from(TIERS), max_size=2),
    },
)
claims = st.fixed_dictionaries(
    {"target": st.sampled_from([RESOURCES[0], RESOURCES[:1], RESOURCES])},
    optional={"delegation_edge_id": st.sampled_from(["edge", ""])},
)
requests = st.fixed_dictionaries(
    {
        "principal": st.fixed_dictionaries(
            {"id": st.sampled_from(APPLICATIONS)},
            optional={"labels": st.lists(st.sampled_from(LABELS), max_size=2)},
        ),
        "resource": st.fixed_dictionaries({"identifier": st.sampled_from(RESOURCES)}),
        "context": st.fixed_dictionaries(
            {"requested_scopes": scopes},
            optional={
                "subject_claims": claims,
                "agent_session_id": st.just("agent"),
            },
        ),
    },
    optional={
        "delegation_edge": st.fixed_dictionaries({"id": st.just("e"), "scopes": scopes})
    },
)
Data = Mapping[str, Any]


def oracle(data: Data, request: Data) -> tuple[str | None, list[Any]]:
    """The contract's sections 8.3 to 8.5 in plain Python, written from their text:
    the determining policy, None for a denial, and the diagnostics of an allowance."""
    principal, context = request["principal"], request["context"]
    labels = principal.get("labels", [])
    asked = context["requested_scopes"]
    identifier = request["resource"]["identifier"]
    subject, edge = context.get("subject_claims"), request.get("delegation_edge")
    view = data["grants"].get(identifier)
    key = next((k for k, i in data["app_ids"].items() if i == principal["id"]), None)
    if view is None or key is None or view["application"] != key:
        return None, []
    if len(data.get("restrict", [])) > 0:
        return None, []
    agent = context.get("agent_session_id")
    if set(asked) == {"agent:lifecycle"} and not (subject or edge or agent):
        return "caracal-bootstrap", []
    roles = view["roles"]
    if edge and agent and not subject and asked and "agent:lifecycle" not in asked:
        confined = all(
            set(asked) <= set(rule["scopes"])
            for rule in data.get("confinement", [])
            if any(label.startswith(rule["label_prefix"]) for label in labels)
        )
        covered = any(set(asked) <= set(roles[lab]) for lab in labels if lab in roles)
        if set(asked) <= set(edge["scopes"]) and confined and covered:
            return f"caracal-{key}-mint", diagnostics(data, asked)
    if subject and subject.get("delegation_edge_id") and not asked:
        targeted = isinstance(subject["target"], list)
        if targeted and identifier in subject["target"] and set(labels) & set(roles):
            return f"caracal-{key}-use", []
    return None, []


def diagnostics(data: Data, asked: list[str]) -> list[Any]:
    tiers = {rule["scope"]: rule["tier"] for rule in data.get("risk", [])}
    found = [{"scope": s, "tier": tiers[s]} for s in sorted(asked) if s in tiers]
    gated = any(one["tier"] in data.get("approval_tiers", []) for one in found)
    step_up = [{"step_up_required": "human_approval"}] if gated else []
    return [*step_up, *([{"risk": found}] if found else [])]


@MANY
@given(documents, requests)
def test_the_engine_decides_as_the_text_of_the_contract(
    data: Data, request: Data
) -> None:
    result = decided(data, request)
    policy, expected = oracle(data, request)
    assert result.evaluation_status == "complete"
    if policy is None:
        assert result.decision == "deny"
        assert result.diagnostics == ({"reason": "no_rule_matched"},)
        assert result.determining_policies == ()
    else:
        assert result.decision == "allow"
        assert result.determining_policies == ({"policy": policy},)
        assert list(result.diagnostics) == expected


@MANY
@given(documents, requests)
def test_the_compiled_contract_and_the_interpreted_one_decide_alike(
    data: Data, request: Data
) -> None:
    question = engine.as_question(Compiled(data), inputs.normalised(request))
    interpreted = engine.as_result(engine.interpreted(engine.RESULT, question))
    assert decided(data, request) == interpreted


@MANY
@given(documents, requests, rules)
def test_another_confinement_never_widens(
    data: Data, request: Data, rule: Data
) -> None:
    confined = {**data, "confinement": [*data.get("confinement", []), rule]}
    if decided(confined, request).decision == "allow":
        assert decided(data, request).decision == "allow"


@MANY
@given(documents, requests)
def test_a_restriction_stops_everything(data: Data, request: Data) -> None:
    assert decided({**data, "restrict": ["freeze"]}, request).decision == "deny"


@MANY
@given(documents, requests, st.sampled_from(["app_ids", "grants"]))
def test_taking_ownership_away_never_widens(
    data: Data, request: Data, name: str
) -> None:
    less = {key: value for key, value in data.items() if key != name}
    assert decided(less, request).decision == "deny"


@MANY
@given(documents, requests)
def test_narrowing_the_edge_never_widens(data: Data, request: Data) -> None:
    if "delegation_edge" not in request:
        return
    wide = request["delegation_edge"]
    narrow = {**request, "delegation_edge": {**wide, "scopes": wide["scopes"][1:]}}
    if decided(data, narrow).decision == "allow":
        assert decided(data, request).decision == "allow"


@MANY
@given(documents, requests, st.randoms(use_true_random=False))
def test_the_order_of_entries_does_not_matter(
    data: Data, request: Data, random: Any
) -> None:
    shuffled: dict[str, Any] = {}
    for name, document in data.items():
        if isinstance(document, dict):
            entries = list(document.items())
            random.shuffle(entries)
            shuffled[name] = dict(entries)
        else:
            shuffled[name] = random.sample(document, len(document))
    assert decided(shuffled, request) == decided(data, request)


@MANY
@given(documents, requests)
def test_a_denial_is_explained_and_an_allowance_has_a_kind_without_gap(
    data: Data, request: Data
) -> None:
    told = engine.explain(Compiled(data), inputs.normalised(request))
    gaps = told["unmet"]
    assert gaps.keys() == {"bootstrap", "mint", "use"}
    satisfied = [kind for kind, names in gaps.items() if not names]
    allowed = decided(data, request).decision == "allow"
    assert len(satisfied) == (1 if allowed else 0)
