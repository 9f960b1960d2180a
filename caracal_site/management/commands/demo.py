"""``manage.py demo``: the main job of the platform as a story with real requests."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import httpx
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError
from redis import RedisError

from caracal_site.demo import evidence
from caracal_site.demo.calling import Caller
from caracal_site.demo.narration import ItDidNotHappen, Narrator
from caracal_site.demo.starting import started
from caracal_site.demo.story import Story
from caracal_site.embedded.directory import DataDirectory
from caracal_site.embedded.errors import CannotStart

TIMEOUT_SECONDS = 20.0


class Command(BaseCommand):
    help = "Shows what Caracal is for, with real requests to a running `up`."
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--data-dir",
            default=settings.CARACAL_DATA_DIR,
            help="of the installation to use; it is started when it does not run",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        directory = DataDirectory.at(options["data_dir"])
        try:
            if directory.is_held():
                self._tell(directory)
            else:
                self._tell_in_a_while(directory)
        except CannotStart as error:
            raise CommandError(str(error)) from error
        except KeyboardInterrupt:
            sys.exit(130)

    def _tell_in_a_while(self, directory: DataDirectory) -> None:
        """Starts the installation, then begins again: only now is its environment
        known."""
        self.stdout.write(f"Nothing runs in {directory.path} yet: starting it.")
        self.stdout.flush()
        with started(directory) as environment:
            again = [sys.executable, *sys.orig_argv[1:]]
            told = subprocess.run(again, env=environment, check=False)
        self.stdout.write("\nWhat was started for this has been stopped again.")
        if told.returncode:
            sys.exit(told.returncode)

    def _tell(self, directory: DataDirectory) -> None:
        known = directory.read(directory.bootstrap_file)
        narrator = Narrator(self.stdout, self.style)
        with httpx.Client(timeout=TIMEOUT_SECONDS, trust_env=False) as http:
            operators = Caller(narrator, http, known["api_url"], known["admin_token"])
            agents = Caller(narrator, http, known["coordinator_url"])
            story = Story(narrator, operators, agents)
            try:
                since = evidence.now_in_redis()
                story.tell()
                changes = operators.changes + agents.changes
                evidence.show_audit(narrator, changes, agents.decisions)
                evidence.show_events(narrator, story.world.zone, changes, since)
            except (
                ItDidNotHappen,
                httpx.HTTPError,
                DatabaseError,
                RedisError,
            ) as error:
                place = f"Step {narrator.step} ({narrator.title}) failed"
                raise CommandError(f"{place}: {narrator.named(str(error))}") from error
        self.stdout.write(self.style.SUCCESS("\nAll of it happened."))
        console, account = f"{known['api_url']}/admin/", directory.bootstrap_file
        self.stdout.write(f"Look around at {console}, with the account in {account}.")
