"""The contract's rules about a policy's text (policies-and-grants.md 2, 1 to 9).

They look at the text before the engine does, in the contract's order, and tell the
first fault. All of it is linear in the length of the text.
"""

from __future__ import annotations

import re

from policies.examination.report import Issue

MAX_CHARACTERS = 262_144
# The documents need four levels; the engine's parser takes time exponential in them.
MAX_DEPTH = 6
PACKAGE = "caracal.authz"
DIRECTIVE = "caracal:data-document"
FORBIDDEN_BUILTINS = (
    "http.send",
    "net.lookup_ip_addr",
    "net.cidr_contains",
    "net.cidr_intersects",
    "net.cidr_expand",
    "net.cidr_merge",
    "opa.runtime",
    "rand.intn",
    "time.now_ns",
)

_PART = re.compile(
    r"""(?P<comment>\#[^\n]*)
      | (?P<text>"(?:[^"\\\n]|\\[^\n])*"|`[^`]*`)
      | (?P<opening>[(\[{])
      | (?P<closing>[)\]}])
      | (?P<unterminated>["`])
      | (?P<other>[^\#"`()\[\]{}]+)""",
    re.VERBOSE,
)
_CLOSES = {")": "(", "]": "[", "}": "{"}
_NO_TEXT = re.compile("[\x00\ud800-\udfff]")
_NOT_NEWLINE = re.compile(r"[^\n]")
_DIRECTIVE = re.compile(rf"#\s*{re.escape(DIRECTIVE)}\b")
# Not over lines: looking for it at each of many blank ones would take quadratic time.
_PACKAGE = re.compile(r"^[^\S\n]*package[ \t]+([A-Za-z0-9_.]+)", re.MULTILINE)
_PACKAGE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*")


# Kind, text and offset of a stretch of the text.
_Part = tuple[str, str, int]


class Refused(Exception):
    """The text breaks a rule; ``issue`` says which and where."""

    def __init__(self, issue: Issue) -> None:
        super().__init__(issue.code)
        self.issue = issue


def utf16_length(text: str) -> int:
    """Length as the contract counts it: in UTF-16 units."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def check(text: str) -> None:
    """Raises Refused for the first rule that ``text`` breaks."""
    check_characters(text)
    parts = _parts(text)
    _check_strings(text, parts)
    _check_delimiters(text, parts)
    bare = _bare(text, parts)
    package, offset = _package(text, bare)
    _check_builtins(text, bare)
    if package != PACKAGE:
        raise _refused(
            text,
            offset,
            "must_use_package_caracal_authz",
            f"the package is {package}",
            f"Write `package {PACKAGE}`.",
        )
    comments = (words for kind, words, _ in parts if kind == "comment")
    if not any(_DIRECTIVE.match(comment) for comment in comments):
        raise _refused(
            text,
            0,
            "must_be_data_document",
            "the text does not say that it is a data document",
            f"Start it with the line `# {DIRECTIVE}`.",
        )


def _parts(text: str) -> list[_Part]:
    return [
        (match.lastgroup or "", match[0], match.start())
        for match in _PART.finditer(text)
    ]


def _refused(text: str, offset: int, code: str, message: str, hint: str) -> Refused:
    start = text.rfind("\n", 0, offset) + 1
    return Refused(
        Issue(
            line=text.count("\n", 0, offset) + 1,
            column=offset - start + 1,
            code=code,
            message=message,
            hint=hint,
        )
    )


def check_characters(text: str) -> None:
    """Raises Refused unless the length and each character are what text may have."""
    if not text:
        raise _refused(text, 0, "empty_policy", "the text is empty", "")
    if utf16_length(text) > MAX_CHARACTERS:
        raise _refused(
            text,
            0,
            "content_too_large",
            f"the text has more than {MAX_CHARACTERS} characters",
            "Divide it into several policies of one policy set.",
        )
    odd = _NO_TEXT.search(text)
    if odd is not None:
        message = "here is a character that text cannot have"
        raise _refused(text, odd.start(), "syntax_error", message, "")


def _check_strings(text: str, parts: list[_Part]) -> None:
    for kind, _, offset in parts:
        if kind == "unterminated":
            raise _refused(
                text,
                offset,
                "unterminated_string",
                "a string starts here and does not end",
                "Close it with the same quote; only `...` may go over several lines.",
            )


def _check_delimiters(text: str, parts: list[_Part]) -> None:
    """Checks nesting; the depth only of what nests well, as the contract orders."""
    opened: list[tuple[str, int]] = []
    deepest: int | None = None
    for kind, mark, offset in parts:
        if kind == "opening":
            opened.append((mark, offset))
            if len(opened) > MAX_DEPTH and deepest is None:
                deepest = offset
        elif kind == "closing" and (not opened or opened.pop()[0] != _CLOSES[mark]):
            raise _unbalanced(text, mark, offset)
    if opened:
        raise _unbalanced(text, *opened[-1])
    if deepest is not None:
        raise _refused(
            text,
            deepest,
            "too_deeply_nested",
            f"brackets are nested more than {MAX_DEPTH} levels deep",
            "No document needs more than four.",
        )


def _unbalanced(text: str, mark: str, offset: int) -> Refused:
    return _refused(
        text,
        offset,
        "unbalanced_delimiters",
        f"the `{mark}` here has no counterpart",
        "Every bracket that is opened is closed, the last one first.",
    )


def _bare(text: str, parts: list[_Part]) -> str:
    """The text with blanks for comments and strings: offsets stay."""
    return "".join(
        _blank(words) if kind in ("comment", "text") else words
        for kind, words, _ in parts
    )


def _blank(words: str) -> str:
    if "\n" in words:
        return _NOT_NEWLINE.sub(" ", words)
    return " " * len(words)


def _package(text: str, bare: str) -> tuple[str, int]:
    found = _PACKAGE.search(bare)
    if found is None:
        raise _refused(
            text,
            0,
            "missing_package_declaration",
            "there is no package line",
            f"Write `package {PACKAGE}` above the documents.",
        )
    if not _PACKAGE_NAME.fullmatch(found[1]):
        raise _refused(
            text,
            found.start(1),
            "invalid_package_name",
            f"{found[1]} is no package name",
            f"Write `package {PACKAGE}`.",
        )
    return found[1], found.start(1)


def _check_builtins(text: str, bare: str) -> None:
    for name in FORBIDDEN_BUILTINS:
        call = re.search(rf"(?<![A-Za-z0-9_.]){re.escape(name)}[ \t]*\(", bare)
        if call is not None:
            raise _refused(
                text,
                call.start(),
                f"forbidden_builtin:{name}",
                f"{name} is not available to policies",
                "Documents are plain data: write the value itself.",
            )
