"""A program of a user of the published Python client, run by an interpreter of its own.

Prints as JSON what the client made of the answers. Sources: clients.md 2 to 4.
"""

import asyncio
import json
import os
import sys
from typing import Any

import httpx
from caracalai import (
    ApprovalRequired,
    Caracal,
    CaracalError,
    DelegationConstraints,
    Grant,
)
from caracalai_identity import JwtConfig, verify_config
from caracalai_oauth import ExchangeOptions, OAuthClient

ISSUER = os.environ["CARACAL_STS_URL"]
ZONE, APPLICATION = os.environ["CARACAL_ZONE_ID"], os.environ["CARACAL_APPLICATION_ID"]
SECRET = os.environ["CARACAL_APP_CLIENT_SECRET"]
RESOURCE = os.environ["CARACAL_APP_RESOURCES"]
READ, WRITE = "calendar:read", "calendar:write"


def approve(challenge_id: str) -> int:
    """What a person does in the console."""
    url = f"{os.environ['API_URL']}/v1/zones/{ZONE}/step-up-challenges/{challenge_id}"
    header = {"Authorization": f"Bearer {os.environ['ADMIN_TOKEN']}"}
    return httpx.post(f"{url}/satisfy", json={}, headers=header).status_code


async def checked(mandate: str) -> dict[str, Any]:
    """What a resource's own check of a mandate finds."""
    claims = await verify_config(
        mandate,
        JwtConfig(
            issuer=ISSUER,
            audience=ISSUER,
            expected_zone_id=ZONE,
            required_targets=[RESOURCE],
            require_agent=True,
            require_delegation=True,
            require_chain_contains=[APPLICATION],
        ),
    )
    return {
        "scope": claims.scope,
        "agent": claims.agent_session_id,
        "edge": claims.delegation_edge_id,
        "hops": claims.hop_count,
    }


def refused(client: Caracal, *scopes: str) -> str:
    try:
        client.mint_mandate(RESOURCE, list(scopes))
    except CaracalError as error:
        return type(error).__name__
    return ""


async def within(client: Caracal, told: dict[str, Any]) -> None:
    """What an agent does for which it was given authority."""
    narrow = Grant.narrow(
        [READ, WRITE],
        resource_id=RESOURCE,
        constraints=DelegationConstraints(max_hops=2),
        ttl_seconds=600,
    )
    async with client.spawn(grant=narrow, labels=["editor"]) as editor:
        told["editor"] = [editor.agent_session_id, editor.delegation_edge_id]
        told["read"] = await checked(client.mint_mandate(RESOURCE, [READ]))
        told["beyond"] = refused(client, "calendar:admin")
        try:
            client.mint_mandate(RESOURCE, [WRITE])
        except ApprovalRequired as asked:
            told["approved"] = approve(asked.challenge_id)
            mandate = client.mint_mandate(
                RESOURCE, [WRITE], approval_id=asked.challenge_id
            )
            told["write"] = await checked(mandate)
        async with client.spawn(labels=["editor"]) as helper:
            told["inherited"] = helper.delegation_edge_id
            told["helper"] = await checked(client.mint_mandate(RESOURCE, [READ]))


async def main() -> dict[str, Any]:
    told: dict[str, Any] = {}
    client = Caracal.from_env()
    async with client.spawn(labels=["planner"]) as planner:
        told["planner"] = [planner.agent_session_id, planner.delegation_edge_id]
        told["rootless"] = refused(client, READ)
        await within(client, told)
        async with client.spawn(grant=Grant.none()) as other:
            other_id = other.agent_session_id
            async with (
                client.bind(planner),
                client.delegate(
                    to=other_id,
                    to_application_id=APPLICATION,
                    scopes=[READ],
                    resource_id=RESOURCE,
                    ttl_seconds=600,
                ) as delegated,
            ):
                told["delegated"] = delegated.delegation_edge_id
    service = await client.spawn_service(heartbeat_interval=0.05)
    async with service:
        await service.heartbeat()
        told["service"] = service.agent_session_id
    await client.aclose()
    oauth = OAuthClient(ISSUER, ZONE, APPLICATION)
    options = ExchangeOptions(client_secret=SECRET, scopes=["agent:lifecycle"])
    told["oauth"] = (await oauth.exchange("", RESOURCE, options)).token_type
    try:
        wrong = ExchangeOptions(client_secret="x" * 40, scopes=["agent:lifecycle"])
        await oauth.exchange("", RESOURCE, wrong)
    except RuntimeError as error:
        told["wrong"] = str(error)
    return told


if __name__ == "__main__":
    json.dump(asyncio.run(main()), sys.stdout)
