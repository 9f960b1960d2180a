"""``manage.py demo``: the main job of the platform as a story with real requests."""

from __future__ import annotations

import os
import subprocess
import sys
from argparse import SUPPRESS
from typing import Any

import httpx
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError
from redis import RedisError

from caracal_site.demo import evidence
from caracal_site.demo.calling import Caller
from caracal_site.demo.narration import ItDidNotHappen, Narrator
from caracal_site.demo.starting import (
    answers,
    environment_before,
    started,
    wait_until_it_answers,
)
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
        # What the command calls itself with, once it has started the installation.
        parser.add_argument("--started", action="store_true", help=SUPPRESS)

    def handle(self, *args: Any, **options: Any) -> None:
        directory = DataDirectory.at(options["data_dir"])
        environment = environment_before(directory)
        try:
            if options["started"]:
                self._tell(directory)
            elif directory.is_held():
                self._find(directory, environment)
                self._tell(directory)
                self._show_the_way(directory)
            else:
                self._tell_in_a_while(directory, environment)
        except CannotStart as error:
            raise CommandError(str(error)) from error
        except KeyboardInterrupt:
            sys.exit(130)

    def _tell_in_a_while(
        self, directory: DataDirectory, environment: dict[str, str]
    ) -> None:
        """Starts the installation, then begins again: only now is its environment
        known."""
        self.stdout.write(f"Nothing runs in {directory.path} yet: starting it.")
        self.stdout.flush()
        with started(directory, environment):
            again = [sys.executable, *sys.orig_argv[1:], "--started"]
            told = subprocess.run(again, env=environment, check=False)
        self.stdout.write("What was started for this has been stopped again.")
        if told.returncode:
            sys.exit(told.returncode)

    def _find(self, directory: DataDirectory, environment: dict[str, str]) -> None:
        """Waits for an installation that is only starting, and begins again then."""
        if answers(directory):
            return
        self.stdout.write("Waiting for what is being started.")
        self.stdout.flush()
        wait_until_it_answers(directory)
        again = [sys.executable, *sys.orig_argv[1:]]
        os.execve(sys.executable, again, environment)  # noqa: S606

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

    def _show_the_way(self, directory: DataDirectory) -> None:
        file = directory.bootstrap_file
        console = f"{directory.read(file)['api_url']}/admin/"
        self.stdout.write(f"Look around at {console}, with the account in {file}.")
