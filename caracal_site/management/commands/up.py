"""``manage.py up``: one command that runs the whole platform."""

from __future__ import annotations

import signal
import sys
from argparse import ArgumentTypeError
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser

from caracal_site import supervisor
from caracal_site.embedded import output, processes
from caracal_site.embedded.directory import DataDirectory
from caracal_site.embedded.errors import CannotStart, reason
from caracal_site.embedded.installation import Addresses, Installation, establish
from caracal_site.embedded.stores import Stores, running_stores


def port(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) < 65536:
        raise ArgumentTypeError(f"{text} is no port number between 1 and 65535")
    return int(text)


class Command(BaseCommand):
    help = "Runs everything: database, stream server, API, coordinator, worker, beat."
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--data-dir",
            default=settings.CARACAL_DATA_DIR,
            help="where everything is kept (default: %(default)s)",
        )
        parser.add_argument("--api-port", type=port, default=3000)
        parser.add_argument("--coordinator-port", type=port, default=4000)
        parser.add_argument("--bind", default="127.0.0.1", help="address to listen on")

    def handle(self, *args: Any, **options: Any) -> None:
        for signum in (signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(signum) is not signal.SIG_IGN:
                signal.signal(signum, signal.default_int_handler)
        output.outlive_readers()
        directory = DataDirectory.at(options["data_dir"])
        addresses = Addresses(
            options["bind"], options["api_port"], options["coordinator_port"]
        )
        try:
            failure = self._run(directory, addresses)
        except CannotStart as error:
            failure = str(error)
        except OSError as error:
            failure = f"Caracal cannot run in {directory.path}: {reason(error)}."
        except KeyboardInterrupt:
            failure = None
        if failure:
            sys.exit(failure)

    def _run(self, directory: DataDirectory, addresses: Addresses) -> str | None:
        directory.make()
        with directory.held():
            left = processes.supervised_in(directory.path)
            processes.end(left, within_seconds=3)
            addresses.require_free_ports()
            installation = establish(directory, addresses)
            earlier = directory.read(directory.runtime_file).get("socket_path")
            self._say(f"Starting the database and stream server in {directory.path}")
            with running_stores(
                directory, installation.secrets, earlier_path=earlier
            ) as stores:
                return self._run_on(installation, stores)

    def _run_on(self, installation: Installation, stores: Stores) -> str | None:
        installation.save_runtime(stores.environment, socket_path=stores.path)
        self._say("Preparing the database")
        supervisor.prepare(installation, stores)
        if installation.directory.bootstrap_file.exists():
            self._say(f"Credentials are in {installation.directory.bootstrap_file}")
        failure = supervisor.run(installation, stores)
        return f"{failure} Everything was stopped." if failure else None

    def _say(self, text: str) -> None:
        sys.stdout.write(text + "\n")
        sys.stdout.flush()
