#!/usr/bin/env python3
"""Caracal's command line, which needs nothing but Python 3.11 to begin with.

Without the project's dependencies it makes `.venv` beside this file, installs the
pinned `requirements.txt` into it and runs itself again in there. Everything up to
that point uses the standard library alone, and this file parses on any Python 3.6+,
so that an old interpreter gets a sentence instead of a syntax error.
"""

import contextlib
import hashlib
import importlib.util
import os
import re
import runpy
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

OLDEST_PYTHON = (3, 11)
ROOT = Path(__file__).resolve().parent
REQUIREMENTS = ROOT / "requirements.txt"
VENV = ROOT / ".venv"
VENV_PYTHON = VENV / "bin" / "python"
# The checksum of the requirements that .venv was finished for; written last.
STAMP = VENV / "caracal-requirements.sha256"
# Exists while pip runs: nothing that an interrupted pip leaves behind is trusted.
UNFINISHED = VENV / "caracal-unfinished"
# How often this process has been re-executed inside .venv.
ENTERED = "CARACAL_ENTERED_VENV"


def newer_python() -> "str | None":
    """The command of a new enough Python on the PATH."""
    for minor in range(OLDEST_PYTHON[1] + 9, OLDEST_PYTHON[1] - 1, -1):
        name = f"python3.{minor}"
        path = shutil.which(name)
        if path and subprocess.call([path, "-c", ""], stderr=subprocess.DEVNULL) == 0:
            return name
    return None


def require_python() -> None:
    """Stops an interpreter that is too old, naming one that would do."""
    if sys.version_info >= OLDEST_PYTHON:
        return
    newer = newer_python()
    advice = f"run it with {newer} instead" if newer else "install a newer one"
    have, need = (f"{v[0]}.{v[1]}" for v in (sys.version_info, OLDEST_PYTHON))
    sys.exit(
        f"Caracal needs Python {need} or newer and this is Python {have}: {advice}."
    )


require_python()


def say(sentence: str) -> None:
    sys.stderr.write(sentence + "\n")
    sys.stderr.flush()


def canonical(name: str) -> str:
    """A distribution's name in the form in which names compare."""
    return re.sub(r"[-_.]+", "_", name).lower()


def required_distributions(requirements: Path) -> set[str]:
    """The canonical names of the distributions a requirements file asks for."""
    lines = requirements.read_text(encoding="utf-8").splitlines()
    names = (re.match(r"[A-Za-z0-9][A-Za-z0-9._-]*", line) for line in lines)
    return {canonical(name[0]) for name in names if name}


def installed_distributions(path: list[str]) -> set[str]:
    """The canonical names of the distributions in the directories of ``path``.

    Reads directory names only: importlib.metadata would parse the metadata of every
    package, and this runs before each command.
    """
    found = set()
    for directory in path:
        with contextlib.suppress(OSError):
            found |= {
                canonical(entry.split("-")[0])
                for entry in os.listdir(directory or ".")
                if entry.endswith((".dist-info", ".egg-info"))
            }
    return found


def is_stamped() -> bool:
    """Whether .venv was finished, and for exactly these requirements."""
    try:
        stamp = STAMP.read_text(encoding="ascii")
        return stamp == fingerprint() and not UNFINISHED.exists()
    except OSError:
        return False


def fingerprint() -> str:
    return hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()


def is_inside_venv() -> bool:
    """Whether this interpreter is the one of the project's .venv."""
    return (
        sys.prefix != sys.base_prefix and Path(sys.prefix).resolve() == VENV.resolve()
    )


def has_dependencies() -> bool:
    """Whether this interpreter can run the project as it is.

    In the .venv made here the exact pins count; in any other environment, which
    versions to have is its owner's choice.
    """
    if is_inside_venv() and STAMP.exists() and not is_stamped():
        return False
    return required_distributions(REQUIREMENTS) <= installed_distributions(sys.path)


def is_repairable() -> bool:
    """Whether pip can bring .venv up to date, so that it need not be made anew."""
    if UNFINISHED.exists() or not os.access(VENV_PYTHON, os.X_OK):
        return False
    check = [str(VENV_PYTHON), "-m", "pip", "--version"]
    return subprocess.run(check, capture_output=True, check=False).returncode == 0


def make_venv() -> None:
    """Makes an empty .venv with pip, in place of whatever was there."""
    if not (importlib.util.find_spec("venv") and importlib.util.find_spec("ensurepip")):
        sys.exit(
            "This Python has no venv module to install the dependencies with: add it "
            f"(Debian, Ubuntu: apt install python3.{sys.version_info[1]}-venv) and run "
            "the same command again."
        )
    # Not sys.executable: in a broken .venv that is a file about to be removed.
    python = getattr(sys, "_base_executable", sys.executable)
    made = subprocess.run(
        [python, "-m", "venv", "--clear", str(VENV)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    if made.returncode != 0:
        reason = made.stdout.decode(errors="replace").strip().rpartition("\n")[2]
        sys.exit(f"Python could not make {VENV}: {reason or 'it gives no reason'}")


def install() -> None:
    """Brings .venv to the pinned requirements, however far an earlier run got."""
    say(f"Installing Caracal's dependencies into {VENV}, which takes a minute once.")
    if not is_repairable():
        make_venv()
    UNFINISHED.touch()
    pip = [str(VENV_PYTHON), "-m", "pip", "install", "--disable-pip-version-check"]
    # On stderr, because stdout belongs to the command that was asked for.
    status = subprocess.call(
        [*pip, "-r", str(REQUIREMENTS)], stdout=sys.stderr.fileno()
    )
    if status != 0:
        sys.exit(
            "The dependencies could not be installed, for the reason pip gives above: "
            "check the disk and the network (pip must reach a package index), and run "
            "the same command again."
        )
    STAMP.write_text(fingerprint(), encoding="ascii")
    UNFINISHED.unlink()


@contextlib.contextmanager
def one_installation() -> Iterator[None]:
    """Keeps the first commands of two terminals from installing over each other."""
    import fcntl

    with REQUIREMENTS.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def enter_venv() -> None:
    """Continues inside .venv, which is made or repaired first when it has to be."""
    entered = int(os.environ.get(ENTERED, "0"))
    if entered > 1:
        sys.exit(f"{VENV} does not work: remove it and run the same command again.")
    try:
        with one_installation():
            if entered and is_stamped():
                # Its stamp is right and packages are missing all the same: it was
                # damaged, or made by another Python version.
                UNFINISHED.touch()
            if not is_stamped():
                install()
    except OSError as error:
        sys.exit(f"The dependencies could not be installed into {VENV}: {error}.")
    except KeyboardInterrupt:
        sys.exit("Stopped before the dependencies were installed.")
    os.environ[ENTERED] = str(entered + 1)
    python = str(VENV_PYTHON)
    os.execv(python, [python, str(ROOT / "manage.py"), *sys.argv[1:]])  # noqa: S606


def main() -> None:
    if not has_dependencies():
        enter_venv()
    os.environ.pop(ENTERED, None)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "caracal_site.settings")
    # Run from its file: importing the package reads the settings, and those read the
    # environment that this prepares.
    attach = runpy.run_path(str(ROOT / "caracal_site" / "runtime.py"))["attach"]
    arguments = attach(sys.argv)

    from django.core.management import execute_from_command_line
    from django.db import OperationalError

    try:
        execute_from_command_line(arguments)
    except OperationalError as error:
        if "--traceback" in arguments or "connection" not in str(error):
            raise
        sys.exit(
            f"The database does not answer ({str(error).strip().splitlines()[0]}): "
            "start Caracal with `manage.py up`, or set DATABASE_URL."
        )


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
