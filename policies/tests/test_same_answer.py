"""A simulation answers what a token request would be answered, whatever the data."""

from __future__ import annotations

from typing import Any

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from policies import active, inputs, rules, services
from policies.decision import DecisionRequest, Principal, ResourceFacts, decide
from policies.services import Question
from policies.tests.factories import activate, document, make_version
from zones.models import Zone

SCOPES = ("agent:lifecycle", "docs:read", "docs:write")
LABELS = ("clerk", "viewer", "tenant:eu", "tenant:us")
APPLICATIONS = ("app-1", "app-2")
RESOURCES = ("resource://a", "resource://b")
KEYS = ("main", "other")
TIERS = ("low", "high")

Strategy = st.SearchStrategy[dict[str, Any]]
scopes = st.lists(st.sampled_from(SCOPES), max_size=3)
some_scopes = st.lists(st.sampled_from(SCOPES), min_size=1, max_size=3, unique=True)
labels = st.lists(st.sampled_from(LABELS), max_size=2, unique=True)
views: Strategy = st.fixed_dictionaries(
    {
        "application": st.sampled_from(KEYS),
        "roles": st.dictionaries(st.sampled_from(LABELS), some_scopes, max_size=2),
    }
)
documents: Strategy = st.fixed_dictionaries(
    {  # type: ignore[arg-type]  # of several types
        "app_ids": st.sampled_from(
            ({}, {"main": "app-1"}, {"main": "app-1", "other": "app-2"})
        ),
        "grants": st.dictionaries(st.sampled_from(RESOURCES), views, max_size=2),
    },
    optional={
        "confinement": st.lists(
            st.fixed_dictionaries(
                {
                    "label_prefix": st.sampled_from(("", "tenant:", "clerk")),
                    "scopes": scopes,
                }
            ),
            max_size=2,
        ),
        "restrict": st.sampled_from(([], {}, ["noon"])),
        "risk": st.lists(
            st.fixed_dictionaries(
                {"scope": st.sampled_from(SCOPES), "tier": st.sampled_from(TIERS)}
            ),
            max_size=2,
            unique_by=lambda rule: rule["scope"],
        ),
        "approval_tiers": st.lists(st.sampled_from(TIERS), max_size=2, unique=True),
    },
)
edges = st.none() | st.fixed_dictionaries(
    {"id": st.sampled_from(("", "edge-1"))}, optional={"scopes": scopes}
)
claims = st.none() | st.fixed_dictionaries(
    {},
    optional={
        "delegation_edge_id": st.sampled_from(("", "edge-1")),
        "target": st.lists(st.sampled_from(RESOURCES), max_size=2)
        | st.sampled_from(RESOURCES),
    },
)


@st.composite
def requests(draw: st.DrawFn) -> DecisionRequest:
    agent = draw(st.none() | st.just("agent-1"))
    edge = draw(edges)
    return DecisionRequest(
        principal=Principal(
            id=draw(st.sampled_from(APPLICATIONS)),
            zone_id="zone",
            registration_method="managed",
            agent_session_id=agent,
            labels=tuple(draw(labels)),
        ),
        resource=ResourceFacts(
            id="resource-1",
            identifier=draw(st.sampled_from(RESOURCES)),
            scopes=SCOPES,
        ),
        requested_scopes=tuple(draw(scopes)),
        trace_id="request-1",
        delegation_edge_id=edge["id"] if edge else None,
        delegation_edge=edge,
        subject_claims=draw(claims),
    )


def as_json(value: Any) -> Any:
    return orjson.loads(orjson.dumps(value))


@settings(max_examples=40)
@given(data=documents, asked=st.lists(requests(), min_size=1, max_size=8))
def test_simulating_deciding_and_comparing_give_one_answer(
    zone: Zone, data: dict[str, Any], asked: list[DecisionRequest]
) -> None:
    version = make_version(zone, document(**data))
    activate(version)
    in_force = active.set_of(version.id)
    for request in asked:
        decided = as_json(rules.answered(decide(request, in_force)))
        written = as_json(inputs.document(request))
        found = services.simulate(
            version.policy_set_id,
            zone_id=zone.id,
            version_id=version.id,
            document=written,
        )
        assert as_json(found.answer) == decided
        assert found.explanation["decision"] == decided["decision"]
        assert found.explanation["reason"]
        compared = services.compare(
            version.policy_set_id,
            zone_id=zone.id,
            version_id=version.id,
            asked=[Question("q", written)],
        )
        assert (compared.compared, compared.flips) == (1, ())


@settings(max_examples=100)
@given(request=requests())
def test_what_the_ledger_keeps_reads_back_as_the_same_question(
    request: DecisionRequest,
) -> None:
    written = as_json(inputs.document(request))
    assert inputs.normalised(written) == written
