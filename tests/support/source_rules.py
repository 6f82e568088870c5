"""Readers of the project's own source: comments, docstrings, log texts and names, with the forbidden ones."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from .paths import ROOT

PYTHON_ROOTS = (
    "app.py",
    "realtime_handler.py",
    "voicechat",
    "offline",
    "network",
    "replicas",
    "writing",
    "scripts",
    "benchmarks",
    "docs",
    "tests",
)
LOG_METHODS = {"debug", "info", "warning", "error", "exception", "critical", "log"}
OWN_EXAMPLES = {ROOT / "tests" / "project" / "test_style.py", Path(__file__).resolve()}
"""Files that quote the forbidden phrases as examples."""

FORBIDDEN_PHRASES = [
    re.compile(pattern, flags)
    for flags, patterns in (
        (
            re.IGNORECASE,
            (
                r"(?<!there )(?<!there's )\bis no (?!longer\b|more than\b|later than\b|earlier than\b|less than\b)",
                r"\b(anew|thereby|whoever|nobody|somebody|house|porter|desk|doors?|wishes)\b",
                r"\btold\b(?! apart\b)",
                r"\bso (many|long)\b",
                r"\bharmless when\b",
                r"\bwhat (comes|came)\b",
                r"\b(is|are|was|were|be|been|has|have|had) gone\b",
                r"\bwhat (is|was) gone\b",
                # "line" of a connection or a queue; a line of text may begin, end and be read.
                r"\bwaiting lines?\b|\b(waits?|waited|waiting|stands?|next|first|position) in (the )?line\b",
                r"\bon the line\b|\b(call|socket|server|connection|upstream|visitor)'s line\b",
                r"\bline (is|was) (closed|lost|up|down|broken|dropped|restored)\b",
                # "place" of an admission slot; a place in a text or a file may be searched and kept.
                r"\b(has|have|had|holds?|held|gets?|got|gives? back|given back|without|waits? for|waited for|asks? for)"
                r" (a|an|one|its|his|her|their|the|this|no) (free )?place\b(?! (where|in|of))",
                r"\bfree places?\b|\bplaces? (is|are|was|were|becomes?) (free|taken|full|given)\b",
            ),
        ),
        (0, (r"\bis none\b", r"(^|\. )Of one [a-z]+\b")),
    )
    for pattern in patterns
]
GATEWAY_METAPHOR = re.compile(r"\brelay(s|ed|ing)?\b", re.IGNORECASE)
TURN_SERVER_CONTEXT = re.compile(r"\b(TURN|ICE|STUN|coturn)\b")
"""A text with one of these words means the relay of a TURN server."""
FORBIDDEN_NAME_PARTS = {
    *("told", "gone", "nobody", "somebody", "whoever", "porter", "house", "desk", "door", "wishes"),
    *("relay", "lane", "seat", "farewell"),
}


@dataclass(frozen=True)
class Finding:
    """One forbidden phrase or name."""

    path: str
    line: int
    word: str
    text: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.word!r} in {self.text!r}"


def python_files() -> Iterator[Path]:
    """Yield all Python files of the project."""
    for name in PYTHON_ROOTS:
        root = ROOT / name
        yield from [root] if root.is_file() else sorted(root.rglob("*.py"))


def markdown_files() -> Iterator[Path]:
    """Yield the pages of the English documentation, and the changelog."""
    yield from (
        ROOT / "README.md",
        ROOT / "CONTRIBUTING.md",
        ROOT / "CHANGELOG.md",
        *sorted((ROOT / "docs").glob("*.md")),
    )


def page_source_files() -> Iterator[Path]:
    """Yield the scripts and style sheets of the page."""
    static = ROOT / "voicechat" / "ui" / "static"
    yield from (*sorted(static.rglob("*.js")), *sorted(static.rglob("*.css")))


def find_forbidden_phrases(path: Path) -> list[Finding]:
    """Return the forbidden phrases of a file's prose."""
    if path in OWN_EXAMPLES:
        return []
    readers = {".md": _markdown_texts, ".py": _python_texts}
    texts = readers[path.suffix](path) if path.suffix in readers else page_source_comments(path.read_text("utf-8"))
    name = str(path.relative_to(ROOT))
    return [Finding(name, line, word, text) for line, text in texts for word in forbidden_phrases_in(text)]


def forbidden_phrases_in(text: str) -> list[str]:
    """Return the forbidden phrases of one text."""
    text = " ".join(text.split())
    found = [match[0] for pattern in FORBIDDEN_PHRASES for match in pattern.finditer(text)]
    if not TURN_SERVER_CONTEXT.search(text):
        found += [match[0] for match in GATEWAY_METAPHOR.finditer(text)]
    return found


def find_forbidden_names(path: Path) -> list[Finding]:
    """Return definitions whose name has a forbidden part."""
    found = []
    for node in ast.walk(_tree(path)):
        name = _defined_name(node)
        parts = re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", name)
        forbidden = FORBIDDEN_NAME_PARTS & {part.lower() for part in parts}
        found += [Finding(str(path.relative_to(ROOT)), getattr(node, "lineno", 0), part, name) for part in forbidden]
    return found


def class_definitions(path: Path) -> list[tuple[str, int]]:
    """Return name and line of each class, nested ones included."""
    return [(node.name, node.lineno) for node in ast.walk(_tree(path)) if isinstance(node, ast.ClassDef)]


def function_definitions(path: Path) -> list[str]:
    """Return the names of all functions and methods."""
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    return [node.name for node in ast.walk(_tree(path)) if isinstance(node, functions)]


def imported_names(path: Path) -> list[str]:
    """Return the imported modules and names, with their modules."""
    names = []
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names += [f"{node.module or ''}.{alias.name}" for alias in node.names]
    return names


@cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"))


def _defined_name(node: ast.AST) -> str:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return node.name
    if isinstance(node, ast.arg):
        return node.arg
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
        return node.id
    if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
        return node.attr
    return ""


def _python_texts(path: Path) -> Iterator[tuple[int, str]]:
    """Yield comments (adjacent ones joined), docstrings, assert messages and log texts, each with its line."""
    yield from _comments(path.read_text("utf-8"))
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            yield node.lineno, node.value.value
        elif isinstance(node, ast.Assert) and node.msg is not None:
            for part in ast.walk(node.msg):
                if isinstance(part, ast.Constant) and isinstance(part.value, str):
                    yield part.lineno, part.value
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in LOG_METHODS:
            for part in (part for argument in node.args for part in ast.walk(argument)):
                if isinstance(part, ast.Constant) and isinstance(part.value, str):
                    yield part.lineno, part.value


def _comments(source: str) -> Iterator[tuple[int, str]]:
    first, last, lines = 0, -1, list[str]()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type != tokenize.COMMENT:
            continue
        if token.start[0] != last + 1:
            yield first, " ".join(lines)
            first, lines = token.start[0], []
        last = token.start[0]
        lines.append(token.string.lstrip("# "))
    yield first, " ".join(lines)


PAGE_SOURCE_TOKEN = re.compile(
    r"""/\*.*?\*/|(?:^[ \t]*//[^\n]*\n?)+|//[^\n]*|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|`(?:\\.|[^`\\])*`""",
    re.DOTALL | re.MULTILINE,
)
"""Comment (adjacent lines of `//` joined) or string of JavaScript and CSS."""


def page_source_comments(source: str) -> Iterator[tuple[int, str]]:
    """Yield the comments of a script or a style sheet, each with its line."""
    for token in PAGE_SOURCE_TOKEN.finditer(source):
        text = token[0].lstrip()
        if text.startswith(("/*", "//")):
            yield source.count("\n", 0, token.start()) + 1, re.sub(r"(?m)^\s*(//+|/?\*+/?)|\*/", " ", text)


def _markdown_texts(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the paragraphs and table rows, without code."""
    text = re.sub(r"^```.*?^```", lambda code: "\n" * code[0].count("\n"), path.read_text("utf-8"), flags=re.M | re.S)
    text = re.sub(r"`[^`\n]*`", "``", text)
    first, lines = 1, list[str]()
    for number, line in enumerate([*text.split("\n"), ""], 1):
        if not line.strip() or line.startswith(("|", "#", "- ")):
            yield first, " ".join(lines)
            first, lines = number, []
        lines.append(line)
    yield first, " ".join(lines)
