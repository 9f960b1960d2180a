"""The story: authority is made, passed on narrower, shown, and taken back."""

from __future__ import annotations

import json
import time
from typing import Any

from django.conf import settings

from caracal_site.demo.calling import Caller
from caracal_site.demo.deciding import Decisions
from caracal_site.demo.narration import Narrator
from caracal_site.demo.world import READ, WRITE, World

ZONE, PROVIDER = "Demo", "Demo without credential"
APPLICATION, RESOURCE = "Demo assistant", "Demo calendar"
POLICIES = "Demo policies"


class Story:
    """Tells itself by doing it. ``operators`` calls the Management API as an operator,
    ``agents`` the coordinator as the application."""

    def __init__(self, narrator: Narrator, operators: Caller, agents: Caller) -> None:
        self._narrator = narrator
        self._operators = operators
        self._agents = agents
        self.world = World()
        self._decisions = Decisions(narrator, operators, agents, self.world)

    def tell(self) -> None:
        """Everything that leaves evidence. Raises ItDidNotHappen."""
        self._make_a_zone()
        self._make_an_application()
        self._make_a_resource()
        self._put_a_policy_in_force()
        self._get_a_token()
        planner, researcher, writer = self._spawn()
        reading = self._delegate(planner, researcher)
        onward, onward_edge = self._delegate_onward(researcher, writer)
        self._try_to_widen(researcher, writer)
        self._look_at_authority(researcher, writer)
        self._decisions.deny(writer, onward_edge)
        self._decisions.allow(researcher, reading)
        self._decide_for_a_person(planner)
        foreseen = self._preview(reading)
        self._revoke(reading, foreseen)
        self._look_again(planner, researcher, writer, onward)
        self._decisions.refuse_again(researcher, reading)
        self._end(planner)

    def _make_a_zone(self) -> None:
        self._narrator.begin("A zone", "A tenant: nothing in it can refer to another.")
        found = self._operators.find("/v1/zones", ZONE)
        zone = found or self._operators.send(
            "POST", "/v1/zones", {"name": ZONE}, show=("id", "slug")
        )
        self.world.zone = zone["id"]
        self._narrator.call(zone["id"], "zone")

    def _make_an_application(self) -> None:
        self._narrator.begin(
            "An application", "Its secret is shown once, and kept as a digest only."
        )
        path = f"/v1/zones/{self.world.zone}/applications"
        found = self._operators.find(path, APPLICATION)
        if found:
            self._narrator.say("It is there from an earlier run: a new secret for it.")
            self._narrator.call(found["id"], "assistant")
            again = f"{path}/{found['id']}/rotate-secret"
            made = self._operators.send("POST", again, show=("client_secret",))
        else:
            body = {"name": APPLICATION, "registration_method": "managed"}
            made = self._operators.send(
                "POST", path, body, show=("id", "client_secret")
            )
            self._narrator.call(made["id"], "assistant")
        self.world.application = (found or made)["id"]
        self.world.secret = made["client_secret"]

    def _make_a_resource(self) -> None:
        self._narrator.begin(
            "A resource",
            "Authority is always about one: a calendar that can be read and written, "
            "fronted by the application.",
        )
        path = f"/v1/zones/{self.world.zone}"
        found = self._operators.find(f"{path}/resources", RESOURCE)
        if not found:
            found = self._add_resource(path)
        self.world.resource, self.world.identifier = found["id"], found["identifier"]
        self._narrator.call(found["id"], "calendar")

    def _add_resource(self, path: str) -> Any:
        provider = self._operators.find(f"{path}/providers", PROVIDER)
        if not provider:
            plain = {"name": PROVIDER, "kind": "none"}
            provider = self._operators.send(
                "POST", f"{path}/providers", plain, show=("id",)
            )
        self._narrator.call(provider["id"], "no-credential")
        body = {
            "name": RESOURCE,
            "scopes": [settings.AGENT_COORDINATOR_SCOPE, READ, WRITE],
            "upstream_url": "https://calendar.example.com",
            "credential_provider_id": provider["id"],
            "gateway_application_id": self.world.application,
        }
        return self._operators.send(
            "POST", f"{path}/resources", body, show=("id", "identifier")
        )

    def _put_a_policy_in_force(self) -> None:
        self._narrator.begin(
            "A policy",
            "Data, not code: who owns the resource, and what an agent of a role may "
            "have on it. A set of policies is in force as a whole.",
        )
        path = f"/v1/zones/{self.world.zone}"
        found = self._operators.find(f"{path}/policy-sets", POLICIES)
        version_id, is_new = self._keep_policy(f"{path}/policies")
        if found and found["active_version_id"] and not is_new:
            self._narrator.say("It is in force from an earlier run.")
            return
        policy_set = found or self._operators.send(
            "POST", f"{path}/policy-sets", {"name": POLICIES}, show=("id", "name")
        )
        self._activate(f"{path}/policy-sets/{policy_set['id']}", version_id)

    def _keep_policy(self, path: str) -> tuple[str, bool]:
        """The policy version that says what is wanted, and whether it is a new one."""
        content, shown = self._policy(), ("version_id",)
        found = self._operators.find(path, POLICIES)
        if not found:
            body = {"name": POLICIES, "content": content}
            made = self._operators.send("POST", path, body, show=shown)
            return made["version_id"], True
        newest = self._operators.get(f"{path}/{found['id']}")["versions"][0]
        if newest["content"] == content:
            return newest["id"], False
        again = f"{path}/{found['id']}/versions"
        made = self._operators.send("POST", again, {"content": content}, show=shown)
        return made["version_id"], True

    def _activate(self, path: str, policy_version_id: str) -> None:
        manifest = [{"policy_version_id": policy_version_id}]
        version = self._operators.send(
            "POST", f"{path}/versions", {"manifest": manifest}, show=("version_id",)
        )
        self._operators.send(
            "POST",
            f"{path}/activate",
            {"version_id": version["version_id"]},
            show=("activated", "status_url"),
        )

    def _policy(self) -> str:
        """The data document: the assistant owns the calendar, its researchers read it
        and its editors write it, which a person approves each time."""
        roles = {"researcher": [READ], "editor": [READ, WRITE]}
        data = {
            "app_ids": {"assistant": self.world.application},
            "grants": {
                self.world.identifier: {"application": "assistant", "roles": roles}
            },
            "risk": [{"scope": WRITE, "tier": "grave"}],
            "approval_tiers": ["grave"],
        }
        rules = [f"{name} := {json.dumps(value)}\n" for name, value in data.items()]
        head = "# caracal:data-document\npackage caracal.authz\n\nimport rego.v1\n"
        return "\n".join([head, *rules])

    def _get_a_token(self) -> None:
        self._narrator.begin(
            "A token", "The application proves itself and gets fifteen minutes."
        )
        issued = self._agents.send(
            "POST",
            "/oauth/2/token",
            form=self.world.token_form(scope=settings.AGENT_COORDINATOR_SCOPE),
            show=("access_token", "expires_in", "scope"),
        )
        self._agents.token = issued["access_token"]

    def _spawn(self) -> tuple[str, str, str]:
        self._narrator.begin(
            "Three agents", "A planner, its child the researcher, and a writer."
        )
        planner = self._spawn_one("planner")
        researcher = self._spawn_one("researcher", parent_id=planner)
        return planner, researcher, self._spawn_one("writer")

    def _spawn_one(self, name: str, **more: Any) -> str:
        body = {
            "application_id": self.world.application,
            "labels": [name],
            "ttl_seconds": 900,
            **more,
        }
        agent = self._agents.send(
            "POST",
            f"/zones/{self.world.zone}/agents",
            body,
            show=("agent_session_id", "status", "depth"),
        )
        self._narrator.call(agent["agent_session_id"], name)
        return str(agent["agent_session_id"])

    def _delegate(self, planner: str, researcher: str) -> str:
        self._narrator.begin(
            "Narrower authority",
            "The planner may do all its application may. The researcher gets reading, "
            "for ten minutes, and may pass it on once more.",
        )
        edge = self._post_edge(self._edge(planner, researcher, READ, ttl=600, hops=2))
        self._narrator.call(edge, "planner-to-researcher")
        return edge

    def _delegate_onward(
        self, researcher: str, writer: str
    ) -> tuple[dict[str, Any], str]:
        self._narrator.begin(
            "Narrower still",
            "From the researcher to the writer: for five minutes, and no further.",
        )
        body = self._edge(researcher, writer, READ, ttl=300, hops=1)
        edge = self._post_edge(body)
        self._narrator.call(edge, "researcher-to-writer")
        return body, edge

    def _decide_for_a_person(self, planner: str) -> None:
        self._narrator.begin(
            "An editor", "A child of the planner that gets writing as well."
        )
        editor = self._spawn_one("editor", parent_id=planner)
        body = self._edge(planner, editor, WRITE, ttl=600, hops=1)
        edge = self._post_edge(body)
        self._narrator.call(edge, "planner-to-editor")
        self._decisions.ask_a_person(editor, edge)

    def _post_edge(self, body: dict[str, Any]) -> str:
        path = f"/zones/{self.world.zone}/delegations"
        shown = ("delegation_edge_id", "parent_edge_id", "expires_at")
        edge = self._agents.send("POST", path, body, show=shown)
        return str(edge["delegation_edge_id"])

    def _try_to_widen(self, researcher: str, writer: str) -> None:
        self._narrator.begin(
            "Wider is refused", "Nobody passes on what they do not have."
        )
        path = f"/zones/{self.world.zone}/delegations"
        for scope, ttl in ((WRITE, 300), (READ, 3600)):
            body = self._edge(researcher, writer, scope, ttl=ttl, hops=1)
            refused = self._agents.send("POST", path, body, status=403)
            what = f"{scope} for {ttl} seconds is refused"
            code = refused["error"]
            self._narrator.check(
                code == "delegation_exceeds_parent_authority", what, code
            )

    def _look_at_authority(self, researcher: str, writer: str) -> None:
        self._narrator.begin("Effective authority", "What each of them may do now.")
        for name, agent in (("researcher", researcher), ("writer", writer)):
            scopes = self._authority_of(agent)["effective_scopes"]
            self._narrator.check(
                scopes == [READ], f"the {name} can only read", str(scopes)
            )

    def _preview(self, edge: str) -> dict[str, Any]:
        self._narrator.begin(
            "What would be lost", "The impact of a revocation, without revoking."
        )
        shown = ("affected_agents", "narrowed_agents")
        path = f"/zones/{self.world.zone}/delegations/{edge}/impact"
        foreseen: dict[str, Any] = self._agents.get(path, show=shown)
        edges, agents = foreseen["affected_edges"], foreseen["affected_agents"]
        self._narrator.check(
            (len(edges), len(agents)) == (2, 2),
            "two delegations would end, and two agents that live by them",
            f"{len(edges)} and {len(agents)}",
        )
        return foreseen

    def _revoke(self, edge: str, foreseen: dict[str, Any]) -> None:
        self._narrator.begin("It is taken back", "One request, one transaction.")
        began = time.perf_counter()
        revoked = self._agents.send(
            "PATCH",
            f"/zones/{self.world.zone}/delegations/{edge}/revoke",
            show=("revoked_edges", "terminated_agents"),
        )
        took = (time.perf_counter() - began) * 1000
        ended = [revoked["revoked_edges"], revoked["terminated_agents"]]
        promised = [len(foreseen[f"affected_{what}"]) for what in ("edges", "agents")]
        self._narrator.check(
            ended == promised,
            f"exactly what was foreseen, in {took:.0f} ms",
            f"{ended} instead of {promised}",
        )

    def _look_again(
        self, planner: str, researcher: str, writer: str, onward: dict[str, Any]
    ) -> None:
        self._narrator.begin("What is left", "The same questions and the same request.")
        agents = f"/zones/{self.world.zone}/agents"
        for name, agent, wanted in (
            ("planner", planner, "active"),
            ("researcher", researcher, "terminated"),
            ("writer", writer, "terminated"),
        ):
            shown = ("status", "termination_reason")
            status = self._agents.get(f"{agents}/{agent}", show=shown)["status"]
            self._narrator.check(status == wanted, f"the {name} is {wanted}", status)
        for name, agent in (("researcher", researcher), ("writer", writer)):
            scopes = self._authority_of(agent)["effective_scopes"]
            self._narrator.check(
                not scopes, f"the {name} may do nothing any more", str(scopes)
            )
        path = f"/zones/{self.world.zone}/delegations"
        refused = self._agents.send("POST", path, onward, status=404)
        code = refused["error"]
        self._narrator.check(
            code == "delegation_endpoint_not_found",
            "what was granted before is refused now",
            code,
        )

    def _end(self, planner: str) -> None:
        self._narrator.begin("The planner ends", "It cleans up after itself.")
        self._agents.send("DELETE", f"/zones/{self.world.zone}/agents/{planner}")

    def _edge(
        self, source: str, target: str, scope: str, *, ttl: int, hops: int
    ) -> dict[str, Any]:
        return {
            "source_session_id": source,
            "target_session_id": target,
            "issuer_application_id": self.world.application,
            "receiver_application_id": self.world.application,
            "resource_id": self.world.resource,
            "scopes": [scope],
            "ttl_seconds": ttl,
            "constraints": {"max_hops": hops},
        }

    def _authority_of(self, agent: str) -> Any:
        path = f"/zones/{self.world.zone}/agents/{agent}/effective-authority"
        shown = ("effective_scopes", "effective_max_hops", "effective_ttl_seconds")
        return self._agents.get(path, show=shown)
