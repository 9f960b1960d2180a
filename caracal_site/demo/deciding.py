"""The chapters about decisions: denied, explained, allowed, approved, refused."""

from __future__ import annotations

from typing import Any

from caracal_site.demo.calling import Caller
from caracal_site.demo.narration import Narrator
from caracal_site.demo.world import READ, WRITE, World

TOKEN = "/oauth/2/token"  # noqa: S105
MANDATE = ("access_token", "expires_in", "scope")
WHY = "it moves the review to Thursday"


class Decisions:
    """Token requests of agents, and what the policies and a person say to them."""

    def __init__(
        self, narrator: Narrator, operators: Caller, agents: Caller, world: World
    ) -> None:
        self._narrator = narrator
        self._operators = operators
        self._agents = agents
        self._world = world

    def deny(self, agent: str, edge: str) -> None:
        self._narrator.begin(
            "A denied request",
            "The writer was passed reading, but is of no role the policy knows.",
        )
        self._mint(agent, edge, READ, status=403)
        self._narrator.begin("Why it was denied", "Every decision can be explained.")
        request_id = self._agents.decisions[-1].request_id
        path = f"/v1/zones/{self._world.zone}/audit/by-request/{request_id}/explain"
        told = self._operators.get(path, show=("final_decision",))
        self._narrator.say(str(told["explanation"][0]))
        self._narrator.check(
            "no single label of the agent is a role" in str(told["explanation"]),
            "the explanation names what is missing",
            str(told["explanation"]),
        )

    def allow(self, agent: str, edge: str) -> None:
        self._narrator.begin(
            "A narrowed mandate",
            "The researcher is of a role that reads, and gets a token for just that.",
        )
        issued = self._mint(agent, edge, READ)
        self._narrator.check(
            issued["scope"] == READ, "it is good for reading only", issued["scope"]
        )

    def ask_a_person(self, agent: str, edge: str) -> None:
        """The editor's request waits, is approved, and is good once."""
        self._narrator.begin(
            "Somebody has to approve", "Writing is grave: the request waits."
        )
        asked = self._mint(agent, edge, WRITE, status=401)
        challenge = str(asked["challenge_id"])
        self._narrator.call(challenge, "challenge")
        self._narrator.check(
            asked["error"] == "interaction_required",
            f"it waits for {asked['challenge_type']}",
            asked["error"],
        )
        self._approve(challenge)
        self._narrator.begin("The approved mandate", "The same request, once more.")
        self._mint(agent, edge, WRITE, challenge_id=challenge)
        again = self._mint(agent, edge, WRITE, status=401, challenge_id=challenge)
        self._narrator.check(
            again["error"] == "access_denied",
            "one approval is good for one token",
            again["error"],
        )

    def _approve(self, challenge: str) -> None:
        self._narrator.begin(
            "An approval", "In the inbox of the console, or over the Management API."
        )
        path = f"/v1/zones/{self._world.zone}/step-up-challenges/{challenge}"
        shown = ("state", "agent_session_id", "metadata_json", "expires_at")
        self._operators.get(path, show=shown)
        self._operators.send(
            "POST", f"{path}/satisfy", {"reason": WHY}, show=("satisfied_at",)
        )
        waited = self._agents.get(
            f"/step-up/{challenge}?wait=5", show=("state", "satisfied", "approver")
        )
        self._narrator.check(
            waited["satisfied"], "who waits for it learns it", str(waited)
        )

    def refuse_again(self, agent: str, edge: str) -> None:
        self._narrator.begin(
            "The same request", "What was issued before the revocation is not again."
        )
        self._mint(agent, edge, READ, status=403)

    def _mint(
        self, agent: str, edge: str, scope: str, *, status: int = 200, **more: str
    ) -> Any:
        form = self._world.token_form(
            scope=scope, agent_session_id=agent, delegation_edge_id=edge, **more
        )
        shown = MANDATE if status == 200 else ("error", "challenge_id")
        return self._agents.send("POST", TOKEN, form=form, show=shown, status=status)
