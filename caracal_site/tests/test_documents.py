"""The commands of the README and of docs/policies.md, as a newcomer pastes them."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from django.conf import settings

from caracal_site.testing.installation import bare_environment, up

BLOCK = re.compile(r"^```bash\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks_of(path: str, heading: str) -> list[str]:
    """The commands behind a heading of a document, up to the next one."""
    text = (settings.BASE_DIR / path).read_text(encoding="utf-8")
    section = text.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    return BLOCK.findall(section)


@pytest.mark.skipif(shutil.which("curl") is None, reason="the commands are curl's")
def test_the_commands_of_the_documents_do_what_they_say(tmp_path: Path) -> None:
    first = blocks_of("README.md", "With curl")
    then = blocks_of("docs/policies.md", "From a text to what is in force")
    assert (len(first), len(then)) == (1, 4)
    with up(tmp_path / ".caracal") as running:
        running.wait_until_ready()
        done = subprocess.run(
            ["bash", "-eu", "-o", "pipefail", "-c", "\n".join([*first, *then])],
            cwd=tmp_path,
            env=bare_environment(),
            capture_output=True,
            text=True,
            check=False,
        )
    assert (done.returncode, done.stderr) == (0, "")
    in_order = (
        '"effective_scopes":["calendar:read"]',
        '"revoked_edges":1',
        '"next_after":',
        "event: caracal.agents.lifecycle",
        '"valid":true',
        '"would_activate":true',
        '"expected_decision":"allow"',
        '"propagation_status":"loaded"',
        '"access_token":',
        '"change":"allow_to_deny"',
        '"error":"policy_scenarios_failed"',
        '"deactivated":true',
    )
    rest = done.stdout
    for told in in_order:
        assert told in rest
        rest = rest.partition(told)[2]
