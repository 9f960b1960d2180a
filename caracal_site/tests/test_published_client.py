"""The published Python client, installed from its index and run for real.

Its packages ask for a newer Python than this project, but their code runs on this one.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from caracal_site.testing.installation import bare_environment, read, up

PACKAGES = ("caracalai-sdk==0.1.6rc3", "caracalai-oauth==0.1.6rc3")
PROGRAM = Path(__file__).with_name("published_client.py")
SCOPES = ["agent:lifecycle", "calendar:read", "calendar:write"]
DOCUMENT = """# caracal:data-document
package caracal.authz
import rego.v1
app_ids := {{"assistant": "{application}"}}
grants := {{"{resource}": {{
    "application": "assistant",
    "roles": {{"editor": ["calendar:read", "calendar:write"]}},
}}}}
risk := [{{"scope": "calendar:write", "tier": "changing"}}]
approval_tiers := ["changing"]
"""


@pytest.fixture(scope="module")
def interpreter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python that has the client."""
    environment = tmp_path_factory.mktemp("client") / "venv"
    subprocess.run([sys.executable, "-m", "venv", environment], check=True)
    python = environment / "bin" / "python"
    install = [python, "-m", "pip", "install", "--quiet", "--ignore-requires-python"]
    installed = subprocess.run(
        [*install, *PACKAGES], capture_output=True, text=True, check=False
    )
    if installed.returncode != 0:
        last = (installed.stderr.strip().splitlines() or ["no reason given"])[-1]
        pytest.skip(f"{', '.join(PACKAGES)} cannot be installed here: {last}")
    return python


class Management:
    """What an operator prepares over the Management API."""

    def __init__(self, http: httpx.Client) -> None:
        self.http = http
        self.zone = self.made("/v1/zones", name="Clients")["id"]

    def made(self, path: str, **fields: Any) -> dict[str, Any]:
        answer = self.http.post(path, json=fields)
        assert answer.is_success, answer.text
        body: dict[str, Any] = answer.json()
        return body

    def own(self, path: str, **fields: Any) -> dict[str, Any]:
        return self.made(f"/v1/zones/{self.zone}/{path}", **fields)

    def put_in_force(self, content: str) -> None:
        version = self.own("policies", name="p", content=content)["version_id"]
        path = f"policy-sets/{self.own('policy-sets', name='s')['id']}"
        manifest = [{"policy_version_id": version}]
        version_id = self.own(f"{path}/versions", manifest=manifest)["version_id"]
        self.own(f"{path}/activate", version_id=version_id)


def prepared(operator: Management, bootstrap: dict[str, str]) -> dict[str, str]:
    """The environment of the program: an application, its resource and policies."""
    application = operator.own(
        "applications", name="assistant", registration_method="managed"
    )
    provider = operator.own("providers", name="none", kind="none")
    resource = operator.own(
        "resources",
        name="calendar",
        upstream_url="https://calendar.example.com",
        scopes=SCOPES,
        credential_provider_id=provider["id"],
        gateway_application_id=application["id"],
    )["identifier"]
    operator.put_in_force(
        DOCUMENT.format(application=application["id"], resource=resource)
    )
    return {
        "CARACAL_COORDINATOR_URL": bootstrap["coordinator_url"],
        "CARACAL_STS_URL": bootstrap["coordinator_url"],
        "CARACAL_ZONE_ID": operator.zone,
        "CARACAL_APPLICATION_ID": application["id"],
        "CARACAL_APP_CLIENT_SECRET": application["client_secret"],
        "CARACAL_APP_RESOURCES": resource,
        "API_URL": bootstrap["api_url"],
        "ADMIN_TOKEN": bootstrap["admin_token"],
    }


def test_the_published_client_works_unmodified(
    interpreter: Path, tmp_path: Path
) -> None:
    with up(tmp_path / ".caracal") as running:
        running.wait_until_ready()
        bootstrap = read(running.directory.bootstrap_file)
        url, token = bootstrap["api_url"], bootstrap["admin_token"]
        header = {"Authorization": f"Bearer {token}"}
        with httpx.Client(base_url=url, headers=header, trust_env=False) as http:
            environment = prepared(Management(http), bootstrap)
        done = subprocess.run(
            [interpreter, PROGRAM],
            env=bare_environment() | environment,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr + running.output
    told = json.loads(done.stdout)
    (editor, edge), (planner, none) = told["editor"], told["planner"]
    assert None not in (planner, editor, edge, told["delegated"], told["service"])
    assert none is None
    assert told["rootless"] == "AccessDenied"
    assert told["read"] == {
        "scope": "calendar:read", "agent": editor, "edge": edge, "hops": 1
    }  # fmt: skip
    assert told["beyond"] == "AccessDenied"
    assert (told["approved"], told["write"]["scope"]) == (200, "calendar:write")
    assert told["inherited"] not in (None, edge)
    assert told["helper"]["edge"] == told["inherited"]
    assert told["oauth"] == "Bearer"
    assert "client" in told["wrong"], "what was wrong with the secret is told"
