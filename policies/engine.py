"""The Rego engine: the only module that knows the library behind it.

It imports no Django, so that the sandbox can use it, too. Three things are done with
it: reading text into a syntax tree, evaluating documents, and deciding. Only deciding
happens in the processes that serve requests, and what it runs is the platform's own
``contract.rego``: documents reach it as plain data (``documents.py``).

Decisions run the contract compiled, at a quarter of the interpreter's cost. What is
compiled is stopped after a number of steps that the library fixes, so a question that
meets it goes to the interpreter, as explanations do.

The library's objects belong to the thread that made them, so each thread has engines of
its own with the contract in them, and nothing of any tenant.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar, cast

import msgspec
import orjson
import regorus

from policies.documents import Compiled

CONTRACT = Path(__file__).with_name("contract.rego")
CONTRACT_PACKAGE = "data.caracal.contract"
TENANT_PACKAGE = "data.caracal.authz"
LIFECYCLE_SCOPE = "agent:lifecycle"
RESULT = f"{CONTRACT_PACKAGE}.result"
EXPLANATION = f"{CONTRACT_PACKAGE}.explanation"
COMPLETE = "complete"
FAILED = "policy_eval_failed"
# The library counts a tab as so many columns.
TAB_COLUMNS = 4
# Lines as long as the longest text: lengths are the validation's matter.
LENGTHS = {"max_col": 1_000_000, "max_file_bytes": 4_000_000, "max_lines": 1_000_000}

T = TypeVar("T")

_POSITION = re.compile(r"^--> text-(\d+):(\d+):(\d+)$", re.MULTILINE)
_MESSAGE = re.compile(r"^error: (.*)$", re.MULTILINE)
_STEPS_MET = "exceeded maximum instruction limit"
_here = threading.local()


class EngineFault(Exception):
    """The engine refused a text or could not evaluate it.

    ``text`` is the index of the text, ``line`` and ``column`` count from 1 as an editor
    shows them; all three are 0 when the engine names no place.
    """

    def __init__(
        self, message: str, *, text: int = 0, line: int = 0, column: int = 0
    ) -> None:
        super().__init__(message)
        self.message, self.text, self.line, self.column = message, text, line, column


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What the contract's ``result`` says; meant to be used only when complete."""

    decision: Literal["allow", "deny"]
    evaluation_status: str
    determining_policies: tuple[Mapping[str, Any], ...] = ()
    diagnostics: tuple[Mapping[str, Any], ...] = ()


class Parsed:
    """A text that the engine could parse, with its syntax tree: the package, imports
    and rules with their places. Raises EngineFault for one it could not."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._machine = _blank_machine()
        _asked(self._machine.add_policy, "text-0", text, texts=(text,))

    def tree(self) -> dict[str, Any]:
        """The syntax tree; it has a hundred times the size of the text."""
        try:
            tree = orjson.loads(_asked(self._machine.get_ast_as_json))
        except orjson.JSONDecodeError as error:
            if "memory" in error.msg:
                raise MemoryError from None
            raise EngineFault("the text is nested too deeply") from None
        return cast("dict[str, Any]", tree[0]["ast"])

    def machine_with(self, others: Sequence[Parsed]) -> regorus.Engine:
        """The library's engine with this text and ``others`` in it."""
        texts = (self.text, *(other.text for other in others))
        for index, text in enumerate(texts[1:], start=1):
            _asked(self._machine.add_policy, f"text-{index}", text, texts=texts)
        return self._machine


def merged(parsed: Sequence[Parsed]) -> dict[str, Any]:
    """The documents that the texts define together, as plain JSON. Uses them up."""
    if not parsed:
        return {}
    first, *others = parsed
    machine = first.machine_with(others)
    texts = [each.text for each in parsed]
    found = _asked(machine.eval_query_as_json, TENANT_PACKAGE, texts=texts)
    answers = orjson.loads(found).get("result") or [{}]
    expressions = answers[0].get("expressions") or [{"value": {}}]
    return cast("dict[str, Any]", expressions[0]["value"])


def evaluate(
    compiled: Compiled | None,
    request: Mapping[str, Any],
    *,
    lifecycle_scope: str = LIFECYCLE_SCOPE,
) -> Result:
    """The decision about ``request``, a normalised input document (``inputs.py``).

    ``compiled`` None stands for a zone without an active policy set. A failing
    evaluation is a denial with the status FAILED and the reason in its diagnostics.
    """
    try:
        question = as_question(compiled, request, lifecycle_scope)
        return as_result(_decided(question))
    except EngineFault as fault:
        return Result(
            decision="deny",
            evaluation_status=FAILED,
            diagnostics=({"reason": FAILED, "message": fault.message},),
        )


def explain(
    compiled: Compiled,
    request: Mapping[str, Any],
    *,
    lifecycle_scope: str = LIFECYCLE_SCOPE,
) -> dict[str, Any]:
    """For each kind of rule which of its conditions do not hold, sorted, and which
    scopes, confining rules and restrictions stood in the way. Raises EngineFault."""
    question = as_question(compiled, request, lifecycle_scope)
    found = interpreted(EXPLANATION, question)
    return {
        **found,
        "unmet": {kind: sorted(names) for kind, names in found["unmet"].items()},
    }


def as_question(
    compiled: Compiled | None,
    request: Mapping[str, Any],
    lifecycle_scope: str = LIFECYCLE_SCOPE,
) -> str:
    """The contract's input as JSON: the library ends the process over Python strings
    that are not Unicode and over deep nesting, which encoding and parsing refuse."""
    question = {
        "request": request,
        "documents": compiled.bearing_on(request) if compiled else None,
        "lifecycle_scope": lifecycle_scope,
    }
    return _asked(msgspec.json.encode, question).decode()


def _decided(question: str) -> Any:
    """What the contract's ``result`` is for ``question``."""
    machine = getattr(_here, "compiled", None)
    if machine is None:
        machine = _here.compiled = compiled_contract()
    try:
        _asked(machine.set_input_json, question)
        return orjson.loads(_asked(machine.execute))
    except EngineFault as fault:
        if _STEPS_MET not in fault.message:
            raise
        return interpreted(RESULT, question)


def interpreted(rule: str, question: str) -> Any:
    """What the contract's ``rule`` is for ``question``, whatever its size."""
    machine = getattr(_here, "machine", None)
    if machine is None:
        machine = _here.machine = _contract_machine()
    _asked(machine.set_input_json, question)
    return _asked(machine.eval_rule, rule)


def as_result(found: Any) -> Result:
    """Checks that the contract answered in its own form: anything else is a fault."""
    if isinstance(found, dict) and found.get("faults"):
        raise EngineFault("; ".join(sorted(found["faults"])))
    if (
        not isinstance(found, dict)
        or found.get("decision") not in ("allow", "deny")
        or found.get("evaluation_status") != COMPLETE
    ):
        raise EngineFault("the decision contract gave no decision")
    return Result(
        decision=found["decision"],
        evaluation_status=COMPLETE,
        determining_policies=tuple(found["determining_policies"]),
        diagnostics=tuple(found["diagnostics"]),
    )


def _blank_machine() -> regorus.Engine:
    machine = regorus.Engine()
    machine.set_policy_length_config(**LENGTHS)
    return machine


def _contract_machine() -> regorus.Engine:
    machine = _blank_machine()
    _asked(machine.add_policy, "contract", _contract())
    return machine


def compiled_contract() -> regorus.Rvm:
    """The contract compiled: fast, and stopped after so many steps."""
    modules = [("contract", _contract())]
    program = _asked(regorus.Program.compile_from_modules, "{}", modules, [RESULT])
    machine = regorus.Rvm()
    _asked(machine.load_program, program)
    return machine


def _contract() -> str:
    return CONTRACT.read_text(encoding="utf-8")


def _asked(question: Callable[..., T], *words: Any, texts: Sequence[str] = ()) -> T:
    """The library's answer, or an EngineFault without the library's backtrace.

    Its panics are no Exception, and are told by their module.
    """
    try:
        return question(*words)
    except (RuntimeError, ValueError, TypeError, OverflowError, UnicodeError) as error:
        raise _fault(str(error), texts) from None
    except BaseException as error:
        if type(error).__module__ != "pyo3_runtime":
            raise
        raise EngineFault("the policy engine gave up on this") from None


def _fault(words: str, texts: Sequence[str]) -> EngineFault:
    message, place = _MESSAGE.search(words), _POSITION.search(words)
    sentence = message[1] if message else words.strip().partition("\n")[0]
    if place is None:
        return EngineFault(sentence)
    text, line, column = (int(number) for number in place.groups())
    if text < len(texts):
        column = shown_column(texts[text], line, column)
    return EngineFault(sentence, text=text, line=line, column=column)


def shown_column(text: str, line: int, column: int) -> int:
    """The library's ``column`` of a line as an editor counts, one a character.

    The library counts a tab as several, and within double quotes it counts bytes.
    """
    lines = text.split("\n", line)
    if line > len(lines):
        return column
    counted, quote, escaped = 1, "", False
    for index, character in enumerate(lines[line - 1]):
        if counted >= column:
            return index + 1
        in_bytes = quote == '"'
        counted += _width(character, in_bytes=in_bytes)
        if character == quote and not escaped:
            quote = ""
        elif not quote and character in '"`':
            quote = character
        escaped = in_bytes and character == "\\" and not escaped
    return len(lines[line - 1]) + 1


def _width(character: str, *, in_bytes: bool) -> int:
    if character == "\t":
        return TAB_COLUMNS
    return len(character.encode()) if in_bytes else 1
