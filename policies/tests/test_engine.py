"""The engine between threads, its cache of versions, its faults."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from policies import engine, inputs
from policies.decision import (
    ActiveSet,
    DecisionRequest,
    Principal,
    ResourceFacts,
    decide,
)
from policies.documents import Cache, Compiled
from policies.tests.examples import (
    BILLING,
    DATA,
    INVOICES,
    ISSUE,
    LIFECYCLE,
    READ,
    bootstrap,
    decided,
    edge,
    mint,
)

HEAD = "# caracal:data-document\npackage caracal.authz\n\nimport rego.v1\n\n"


@pytest.fixture(autouse=True)
def collected() -> Iterator[None]:
    """What a caught fault holds of an engine goes with the test: later the collector
    might run in another thread, which engines do not survive."""
    yield
    gc.collect()


def test_many_threads_decide_at_once_over_different_documents() -> None:
    compiled = [
        Compiled({**DATA, "app_ids": {f"key-{number}": BILLING}}) for number in range(8)
    ]
    mine = [
        Compiled({**DATA, "app_ids": {"billing": f"app-{number}"}})
        for number in range(8)
    ]

    def decisions(number: int) -> set[str]:
        asked = inputs.normalised(bootstrap(application=f"app-{number}"))
        pair = (mine[number], compiled[number])
        return {engine.evaluate(each, asked).decision for each in pair * 20}

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(decisions, range(8))) == [{"allow", "deny"}] * 8


def test_an_engine_outlives_the_threads_that_decided() -> None:
    for _ in range(3):
        with ThreadPoolExecutor(1) as pool:
            result = pool.submit(decided, DATA, bootstrap()).result()
        assert result.decision == "allow"


def test_a_decision_is_handed_only_what_bears_on_it() -> None:
    """So its cost does not grow with the documents."""
    grants = {
        f"resource://{number}": {"application": "billing", "roles": {"clerk": [ISSUE]}}
        for number in range(2_000)
    }
    tiers = [{"scope": f"scope-{number}", "tier": "t"} for number in range(900)]
    roles = {f"role-{number}": [ISSUE] for number in range(500)}
    grants[INVOICES] = {"application": "billing", "roles": {**roles, "clerk": [ISSUE]}}
    data = {
        "app_ids": {f"key-{number}": f"app-{number}" for number in range(500)},
        "grants": grants,
        "risk": tiers,
        "restrict": [],
        "confinement": [
            {"label_prefix": f"tenant-{number}:", "scopes": []} for number in range(900)
        ]
        + [{"label_prefix": "cl", "scopes": [ISSUE, READ]}] * 99
        + [{"label_prefix": "cl", "scopes": [ISSUE]}],
    }
    data["app_ids"]["billing"] = BILLING
    found = Compiled(data).bearing_on(inputs.normalised(mint()))
    assert found == {
        "app_ids": {"billing": BILLING},
        "grants": {INVOICES: {"application": "billing", "roles": {"clerk": [ISSUE]}}},
        "confinement": [{"label_prefix": "cl", "scopes": [ISSUE]}],
        "restrict": [],
    }
    assert decided(data, mint()).decision == "allow"


def test_a_question_too_large_for_the_compiled_contract_is_decided_all_the_same() -> (
    None
):
    """It is stopped after so many steps, and the next question is none the worse."""
    labels = [f"l-{number}" for number in range(64)]
    scopes = [f"s-{number}" for number in range(64)]
    roles = dict.fromkeys(labels, scopes)
    capped = {"label_prefix": "l", "scopes": scopes[1:]}
    spread = {
        **DATA,
        "grants": {INVOICES: {"application": "billing", "roles": roles}},
        "confinement": [{"label_prefix": label, "scopes": scopes} for label in labels],
    }
    asked = mint(scopes, labels, delegation_edge=edge(scopes))
    question = engine.as_question(Compiled(spread), inputs.normalised(asked))
    machine = engine.compiled_contract()
    machine.set_input_json(question)
    with pytest.raises(RuntimeError, match="instruction limit"):
        machine.execute()
    assert decided(spread, asked).decision == "allow"
    narrower = {**spread, "confinement": [*spread["confinement"], capped]}
    assert decided(narrower, asked).decision == "deny"
    assert decided(DATA, mint()).decision == "allow"


def test_a_version_is_loaded_once_and_the_oldest_forgotten() -> None:
    cache = Cache(entries=2, characters=1_000_000)
    loaded: list[str] = []

    def load(version_id: str) -> Any:
        loaded.append(version_id)
        return DATA

    for version_id in ("a", "b", "a", "c", "a", "b"):
        cache.get(version_id, lambda v=version_id: load(v))  # type: ignore[misc]
    assert loaded == ["a", "b", "c", "b"]
    assert len(cache) == 2


def test_a_cache_keeps_no_more_than_its_size_but_always_the_last() -> None:
    cache = Cache(entries=100, characters=1_000)
    for version_id in ("a", "b", "c"):
        cache.get(version_id, lambda: {"restrict": ["x" * 600]})
    assert len(cache) == 1
    kept = cache.get("c", lambda: pytest.fail("the last version was forgotten"))
    assert kept.size > 600


def test_what_cannot_be_loaded_is_not_remembered() -> None:
    cache = Cache(entries=2, characters=1_000)

    def away() -> Any:
        raise ConnectionError

    with pytest.raises(ConnectionError):
        cache.get("a", away)
    assert cache.get("a", lambda: DATA).size > 0


@pytest.mark.parametrize(
    ("text", "line", "column"),
    [
        ("package a\n\nx := foo bar", 3, 10),
        ("package a\n\t\tx := foo bar", 2, 12),
        ('package a\nx := {"é": @', 2, 12),
        ('package a\nx := {"😀 \\"é\\"": @', 2, 18),
        ("package a\n\tx := {`é\t`: @", 2, 14),
        ("package a\r\nx := foo bar", 2, 10),
    ],
)
def test_a_fault_has_the_place_an_editor_shows(
    text: str, line: int, column: int
) -> None:
    with pytest.raises(engine.EngineFault) as caught:
        engine.Parsed(text)
    assert (caught.value.line, caught.value.column) == (line, column)
    assert "Stack" not in caught.value.message
    assert "\n" not in caught.value.message


def test_a_fault_of_evaluation_names_its_text() -> None:
    texts = [HEAD + "grants := {}", HEAD + 'grants := {"a": 1}']
    with pytest.raises(engine.EngineFault) as caught:
        engine.merged([engine.Parsed(text) for text in texts])
    assert (caught.value.text, caught.value.line) == (1, 6)


def nested(depth: int) -> Any:
    found: Any = []
    for _ in range(depth):
        found = [found]
    return found


@pytest.mark.parametrize(
    "hostile",
    [
        {"labels": ["\ud800"]},
        {"context": {"subject_claims": {"deep": nested(100_000)}}},
        {"context": {"subject_claims": {"deep": nested(500)}}},
        {"context": {"actor_claims": {"\udfff": 1}}},
    ],
    ids=["half a surrogate", "very deep", "deep", "half a surrogate as a key"],
)
def test_a_request_that_the_engine_cannot_take_is_a_failed_evaluation(
    hostile: Any,
) -> None:
    """The library itself would end the process."""
    result = decided(DATA, bootstrap(**hostile))
    assert (result.decision, result.evaluation_status) == ("deny", engine.FAILED)


def test_large_numbers_are_no_reason_to_fail() -> None:
    claims = {"actor_claims": {"n": 10**40, "f": 1e300}}
    assert decided(DATA, bootstrap(context=claims)).decision == "allow"


def active(data: Mapping[str, Any]) -> ActiveSet:
    return ActiveSet(
        policy_set_id="set",
        version_id="version",
        manifest_sha256="sha",
        compiled=Compiled(data),
    )


def question(*scopes: str) -> DecisionRequest:
    """The application of the examples, as itself."""
    return DecisionRequest(
        principal=Principal(
            id=BILLING, zone_id="zone-a", registration_method="managed"
        ),
        resource=ResourceFacts(id="r", identifier=INVOICES, scopes=scopes),
        requested_scopes=scopes,
        trace_id="req-1",
    )


def test_an_active_set_decides_and_is_named_in_the_decision() -> None:
    alone = question(ISSUE)
    request = replace(
        alone,
        principal=replace(alone.principal, agent_session_id="as-1", labels=("clerk",)),
        delegation_edge_id="edge-1",
        delegation_edge=edge(),
    )
    decision = decide(request, active(DATA))
    assert decision.is_allowed
    assert decision.determining_policies == ({"policy": "caracal-billing-mint"},)
    named = (decision.policy_set_id, decision.policy_set_version_id)
    assert (*named, decision.manifest_sha256) == ("set", "version", "sha")
    assert not decide(request).is_allowed


def test_a_failed_evaluation_allows_nothing_and_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    broken = {**DATA, "app_ids": {"billing": BILLING, "alias": BILLING}}
    decision = decide(question(LIFECYCLE), active(broken))
    assert not decision.is_allowed
    assert decision.evaluation_status == "policy_eval_failed"
    assert decision.policy_set_version_id == "version"
    assert "no decision by policy set version version" in caplog.text


def test_the_platform_decides_by_its_own_name_of_the_lifecycle_scope(
    settings: Any,
) -> None:
    settings.AGENT_COORDINATOR_SCOPE = "agents"
    assert decide(question("agents"), active(DATA)).is_allowed
    assert not decide(question(LIFECYCLE), active(DATA)).is_allowed
