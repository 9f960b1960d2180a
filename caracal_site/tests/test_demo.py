"""``manage.py demo`` as a newcomer meets it: the real command on real servers."""

from __future__ import annotations

import json
from pathlib import Path

from caracal_site.demo.narration import shortened
from caracal_site.embedded.directory import DataDirectory
from caracal_site.testing.installation import left_in, manage, read, up

LAST_LINE = "All of it happened."


def test_the_demo_tells_its_story_again_and_again(tmp_path: Path) -> None:
    path = tmp_path / "data"
    alone = manage("demo", "--data-dir", path)
    assert (alone.returncode, alone.stderr) == (0, ""), alone.stdout
    assert alone.stdout.startswith(f"Nothing runs in {path} yet")
    assert LAST_LINE in alone.stdout
    assert "\x1b" not in alone.stdout
    assert left_in(DataDirectory.at(path)) == []

    with up(path) as running:
        running.wait_until_ready()
        again = manage("demo", "--data-dir", path)
        assert (again.returncode, again.stderr) == (0, ""), again.stdout
        assert "from an earlier run" in again.stdout
        assert LAST_LINE in again.stdout

        directory = running.directory
        bootstrap = read(directory.bootstrap_file)
        told = alone.stdout + again.stdout
        for value in (*read(directory.secrets_file).values(), bootstrap["admin_token"]):
            assert value not in told

        wrong = json.dumps(bootstrap | {"admin_token": "cat_wrong"})
        directory.bootstrap_file.write_text(wrong, encoding="utf-8")
        failed = manage("demo", "--data-dir", path)
        assert failed.returncode == 1
        assert "Step 1 (A zone) failed: GET /v1/zones" in failed.stderr
        assert LAST_LINE not in failed.stdout


def test_the_demo_shows_of_a_secret_only_how_it_begins() -> None:
    answer = {"id": "1", "client_secret": "cs_0123456789abcdef"}
    assert shortened(answer) == {"id": "1", "client_secret": "cs_012345…"}
