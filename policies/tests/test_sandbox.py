"""Hostile texts end in a refusal, and leave everything else alone."""

from __future__ import annotations

import contextlib
import os
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from policies import sandbox, validation
from policies.sandbox.framing import Job
from policies.validation import validate

HEAD = "# caracal:data-document\npackage caracal.authz\n\nimport rego.v1\n\n"
GOOD = HEAD + "restrict := []\n"

HOSTILE = {
    "a huge range": "grants := {x | some x in numbers.range(1, 100000000)}",
    "nested comprehensions": (
        "restrict := {[a, b, c] | some a in numbers.range(1, 9999); "
        "some b in numbers.range(1, 9999); some c in numbers.range(1, 9999)}"
    ),
    "a regular expression": 'restrict := {regex.match("(a+)+$", "aaaaaaaaaaab")}',
    "recursion": "f(x) := f(x)\nrestrict := f(1)",
    "mutual recursion": "grants := restrict\nrestrict := grants",
    "a string bomb": 'restrict := [concat("", array.concat(["x"], ["y"]))]',
    "a chain of operators": "restrict := " + "+".join(["1"] * 100_000),
    "a chain of references": "restrict := a" + ".b" * 100_000,
    "a chain of indices": "restrict := a" + "[0]" * 60_000,
    "a long head": "restrict" + ".b" * 50_000 + " := 1",
    "a chain of else": "restrict := 1 if false" + "\nelse := 2 if false" * 12_000,
    "a chain of minus": "restrict := " + "-" * 200_000 + "1",
    "deep brackets": "restrict := " + "[" * 100_000 + "]" * 100_000,
    "deep calls": "restrict := " + "f(" * 50_000 + ")" * 50_000,
    "bombs of brackets": "restrict := ["
    + ",".join(["[" * 5 + "]" * 5] * 20_000)
    + "]",
    "a megabyte": "restrict := [" + "1," * 500_000 + "]",
    "many rules": "".join(f"wrong_{n} := {n}\n" for n in range(12_000)),
    "many quotes": '"' * 200_000,
    "many backslashes": 'restrict := ["' + "\\" * 200_000,
    "many lines": "\n" * 250_000,
    "many comments": "# caracal:data-documents\n" * 9_000,
    "long numbers": "restrict := [" + "9" * 200_000 + "]",
    "a huge exponent": "restrict := [1e999999999]",
    "a coerced number": 'restrict := [to_number("1e999999999")]',
}  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_hostile_text_is_refused_and_the_next_one_accepted(text: str) -> None:
    report = validate(HEAD + text)
    assert not report.is_valid
    assert report.issues[0].message
    assert validate(f"{GOOD}# after {len(text)}\n").is_valid


@pytest.mark.parametrize(
    ("text", "code"),
    [
        # It is the rules about text that tell: they take no time to speak of.
        ("#\n" * 130_000, "missing_package_declaration"),
        (HEAD + "restrict := [" + "1," * 120_000 + "1]", "memory_limit_exceeded"),
    ],
    ids=["many lines without a package", "a long list"],
)
def test_what_is_too_much_is_told_for_what_it_is(text: str, code: str) -> None:
    assert [one.code for one in validate(text).issues] == [code]


@pytest.fixture
def worker() -> Iterator[sandbox.Worker]:
    """A worker that has done a job."""
    worker = sandbox.Worker()
    assert worker.examine(job(GOOD, seconds=5)).is_valid
    yield worker
    worker.end()


def job(text: str, *, seconds: float) -> Job:
    return Job(names=[""], texts=[text], alone=True, seconds=seconds)


def test_a_worker_ends_when_its_processor_time_does(worker: sandbox.Worker) -> None:
    text = HEAD + "restrict := [" + ",".join(["[[[]]]"] * 30_000) + "]"
    with pytest.raises(sandbox.TimeExceeded):
        worker.examine(job(text, seconds=0.1))
    assert not worker.is_usable
    assert is_gone(worker.pid)


def test_a_worker_that_gets_no_processor_is_no_fault_of_the_text(
    worker: sandbox.Worker,
) -> None:
    os.kill(worker.pid, signal.SIGSTOP)
    with pytest.raises(sandbox.Busy):
        worker.examine(job(GOOD, seconds=0.05))
    assert is_gone(worker.pid)


def test_a_worker_that_cannot_start_is_no_fault_of_the_text(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "executable", shutil.which("false"))
    with pytest.raises(sandbox.Busy):
        sandbox.Worker().examine(job(GOOD, seconds=2))
    monkeypatch.setattr(sys, "executable", "nothing here")
    with pytest.raises(sandbox.Busy):
        sandbox.Worker()


def test_memory_is_limited() -> None:
    """By half a gigabyte on top of what a worker has once it has started."""
    hungry = (
        "from policies.sandbox import worker\n"
        "worker.limit_resources()\n"
        "fits = bytearray(200 * 2**20)\n"
        "del fits\n"
        "try:\n"
        "    bytearray(600 * 2**20)\n"
        "except MemoryError:\n"
        "    print('refused')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", hungry],
        cwd=sandbox.ROOT,
        env=sandbox.ENVIRONMENT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "refused\n"


def test_the_engines_own_memory_is_limited(worker: sandbox.Worker) -> None:
    """It aborts when memory is refused."""
    resource.prlimit(worker.pid, resource.RLIMIT_AS, (2**27, 2**27))
    text = HEAD + "restrict := [" + "[1]," * 60_000 + "]"
    with pytest.raises(sandbox.MemoryExceeded):
        worker.examine(job(text, seconds=20))
    assert is_gone(worker.pid)


def test_a_worker_that_dies_is_replaced() -> None:
    with sandbox._pool.worker() as worker:
        worker.examine(job(GOOD, seconds=5))
    os.kill(worker.pid, signal.SIGKILL)
    for number in range(sandbox.WORKERS + 1):
        assert validate(f"{GOOD}# after a death {number}\n").is_valid
    assert is_gone(worker.pid)


def test_a_worker_knows_no_secret(worker: sandbox.Worker) -> None:
    environment = Path(f"/proc/{worker.pid}/environ").read_bytes()
    loaded = Path(f"/proc/{worker.pid}/maps").read_text(encoding="utf-8")
    names = {line.partition(b"=")[0] for line in environment.split(b"\0") if line}
    assert names == {b"PATH", b"LANG", b"MIMALLOC_ARENA_RESERVE"}
    assert "regorus" in loaded
    assert "psycopg" not in loaded


def test_workers_end_with_their_parent_and_forks_have_their_own() -> None:
    """A fork that wrote into its parent's pipes would get the parent's reports."""
    program = (
        "import os\n"
        "from policies import sandbox\n"
        "from policies.validation import validate\n"
        "def worker_of(text):\n"
        f"    assert validate({GOOD!r} + text).is_valid\n"
        "    [worker] = sandbox._pool._idle\n"
        "    print(worker.pid, flush=True)\n"
        "worker_of('# parent')\n"
        "child = os.fork()\n"
        "if child == 0:\n"
        "    worker_of('# child')\n"
        "    os.kill(os.getpid(), 9)\n"
        "os.waitpid(child, 0)\n"
        "worker_of('# parent again')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=sandbox.ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    parents, childs, again = (int(line) for line in done.stdout.split())
    assert parents == again != childs
    for pid in (parents, childs):
        with contextlib.suppress(psutil.NoSuchProcess):
            psutil.Process(pid).wait(timeout=10)


def test_a_worker_ends_with_its_parent_within_a_job() -> None:
    program = (
        "import os, sys\n"
        "from policies import sandbox\n"
        "from policies.sandbox.framing import Job\n"
        "worker = sandbox.Worker()\n"
        f"job = Job(names=[''], texts=[{GOOD!r}], alone=True, seconds=5)\n"
        "assert worker.examine(job).is_valid\n"
        # Endless: what it is asked for does not come.
        "os.write(worker._pipes[0].fileno(), (99).to_bytes(4, 'big'))\n"
        "print(worker.pid, flush=True)\n"
        "if os.fork() == 0:\n"
        "    sys.stdin.read()\n"
        "    os._exit(0)\n"
        "os.kill(os.getpid(), 9)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program],
        cwd=sandbox.ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        parent.wait(timeout=10)
        # The fork still holds the worker's pipe open, so its input does not end.
        with contextlib.suppress(psutil.NoSuchProcess):
            psutil.Process(pid).wait(timeout=10)


def test_more_at_once_than_workers_all_get_their_report() -> None:
    texts = [f"{GOOD}# parallel {number}\n" for number in range(24)]
    with ThreadPoolExecutor(12) as pool:
        assert all(report.is_valid for report in pool.map(validate, texts))
    assert len(sandbox._pool._idle) <= sandbox.WORKERS


def test_who_finds_no_worker_in_time_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, "WAIT_SECONDS", 0.05)
    taken = [sandbox._pool.worker() for _ in range(sandbox.WORKERS)]
    for place in taken:
        place.__enter__()
    with pytest.raises(sandbox.Busy):
        validate(GOOD + "# no place\n")
    for place in taken:
        place.__exit__(None, None, None)
    assert validate(GOOD + "# no place\n").is_valid


def test_a_report_that_was_made_is_not_made_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first = validate(GOOD + "# again\n")
    monkeypatch.setattr(sandbox, "WAIT_SECONDS", 0.05)
    monkeypatch.setattr(sandbox, "_pool", None)
    assert validate(GOOD + "# again\n") is first
    same_text = [("", GOOD + "# again\n")]
    monkeypatch.undo()
    assert validation.validate_set(same_text).preview is None


def is_gone(pid: int) -> bool:
    return not Path(f"/proc/{pid}").exists()
