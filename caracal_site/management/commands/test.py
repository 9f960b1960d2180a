"""``manage.py test``: the whole test suite, on real servers of its own.

Everything after ``test`` is pytest's, but for ``--faults``: that runs the fault tests
alone, in their long form, and prints what they counted.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from caracal_site.embedded import processes
from caracal_site.embedded.directory import PASSWORDS, SECRET_MAKERS, DataDirectory
from caracal_site.embedded.errors import CannotStart
from caracal_site.embedded.stores import running_stores

FAULTS = "--faults"
FAULT_TESTS = (
    *("-n", "0", "-s", "-p", "no:randomly"),
    "audit/tests/test_faults.py",
    "audit/tests/test_outages.py",
)
TOKEN_PREFIXES = {"CARACAL_ADMIN_TOKEN": "cat_", "CARACAL_COORDINATOR_TOKEN": "cop_"}


def secrets_for_tests() -> dict[str, str]:
    """The same in every run, so that a failure can be repeated; secret to nobody."""
    return {
        name: TOKEN_PREFIXES.get(name, "")
        + hashlib.sha256(f"caracal tests {name}".encode()).hexdigest()
        for name in SECRET_MAKERS
    }


class Command(BaseCommand):
    help = "Runs the test suite with pytest; every argument is pytest's."
    requires_system_checks = ()

    def run_from_argv(self, argv: list[str]) -> None:
        """Takes the arguments as they are, unlike every other command."""
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        try:
            sys.exit(self.handle(*argv[2:]))
        except CannotStart as error:
            sys.exit(str(error))
        except KeyboardInterrupt:
            sys.exit(2)

    def handle(self, *args: Any, **options: Any) -> int:  # type: ignore[override]
        directory = DataDirectory.at(tempfile.mkdtemp(prefix="caracal-test-"))
        try:
            secrets = secrets_for_tests()
            with running_stores(directory, secrets, durable=False) as stores:
                urls = dict(stores.environment)
                owner = urls.pop("DATABASE_OWNER_URL", None)
                if owner:
                    # Test databases are made by their owner, and owned.
                    urls["DATABASE_URL"] = owner
                own = {
                    **{n: v for n, v in secrets.items() if n not in PASSWORDS},
                    **urls,
                    "CARACAL_MODE": "dev",
                    # Tests make transactions wait, on a busy machine too.
                    "DB_LOCK_TIMEOUT_MS": "9000",
                    "CARACAL_DATA_DIR": str(directory.path),
                    "DJANGO_SETTINGS_MODULE": "caracal_site.settings",
                }
                if FAULTS in args:
                    return self._faults(directory, args, os.environ | own)
                return self._pytest(args, os.environ | own)
        finally:
            shutil.rmtree(directory.path, ignore_errors=True)

    def _faults(
        self,
        directory: DataDirectory,
        arguments: tuple[str, ...],
        environment: dict[str, str],
    ) -> int:
        """The fault tests alone, at full length; then what they counted."""
        counts = directory.path / "fault-counts"
        counts.touch()
        others = tuple(one for one in arguments if one != FAULTS)
        result = self._pytest(
            (*FAULT_TESTS, *others), environment | {"CARACAL_FAULTS": str(counts)}
        )
        self.stdout.write("What was counted:")
        for line in counts.read_text(encoding="utf-8").splitlines():
            self.stdout.write(f"  {line}")
        return result

    def _pytest(self, arguments: tuple[str, ...], environment: dict[str, str]) -> int:
        """Runs pytest to its end, also when both were interrupted at the terminal."""
        workers = ["-n", str(min(4, os.cpu_count() or 1))]
        if "--pdb" in arguments or "--trace" in arguments:
            workers = ["-n", "0"]
        # The last -n counts, so an operator's own choice wins.
        command = [sys.executable, "-m", "pytest", *workers, *arguments]
        process = subprocess.Popen(
            command,
            env=environment,
            cwd=settings.BASE_DIR,
            preexec_fn=processes.leash(signal.SIGINT),
        )
        signal.signal(signal.SIGTERM, lambda *_: process.send_signal(signal.SIGINT))
        while True:
            try:
                return process.wait()
            except KeyboardInterrupt:
                # The terminal interrupted pytest as well, which now sums up.
                continue
