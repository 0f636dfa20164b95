"""Checks the prose of docstrings, error texts and documentation: short sentences, and the words of the field.

    python scripts/prose.py [FILE …]       # by default the package, README, CONTRIBUTING, CHANGELOG and docs

A sentence has at most 35 words, one in an error text 25. ``DIALECT`` lists words that new readers do not understand at
the first reading, with those to write instead. A docstring of a public name begins with a sentence of its own.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
IN_DOCS, IN_ERRORS = 35, 25

DIALECT = {
    r"told|tells? (?:apart|nobody|what|whether|who)": "report, say, detect",
    r"lent|lends?|learnt|loan(?:ed)?": "acquire, lease, detect",
    r"whoever|whomever|nobody knows|somebody else's?": "the caller, another sender, unknown, third-party",
    r"(?:came|comes|become|becomes|became) of": "the result of",
    r"(?:other )?ways? out": "transport",
    r"farewells?|(?:takes?|took) (?:its|their) leave": "closing reply",
    r"hung up|hangs? up|hanging up": "close the connection",
    r"in the clear": "in plain text",
    r"(?:both|two|the|blocking|asyncio|sync) worlds?": "blocking and asyncio",
    r"the house|rooms? (?:of|above|below) (?:the|io)": "the architecture, a package",
    r"(?:stands?|stood) in the way": "prevents",
    r"awake|asleep": "spin, block",
    r"for good": "permanently",
    r"(?:is|are|be|was|were) left alone": "is not changed",
    r"obstacles?": "what prevents it, a session error",
    r"(?<!there )is no (?!longer|more|other|one|need|limit|doubt|way|such|reason)[a-z]+": "is not a …",
}
"""Patterns, and what to write instead."""

_DIALECT = [(re.compile(rf"\b(?:{words})\b", re.IGNORECASE), instead) for words, instead in DIALECT.items()]
_OPENING = re.compile(r"(?:What|Whether|Who)\b|See (?:``[^`]*``|pydantic)[.;]")
_CODE = re.compile(r"``.*?``|`[^`]*`|https?://\S+|\[RFC[^\]]*\]|\([^()]*§[^()]*\)", re.DOTALL)
_SENTENCE = re.compile(
    r"(?<=[.!?])[)\"'*]*\s+(?=[A-Z0-9`\"'(*>])|(?<=[:;])\s+(?=[A-Z])|\n\s*\n|\n\s*(?=[-*|] |\d+\.? {1,3}\S|>>>)|\|"
)
_FENCED = re.compile(
    r"^(?P<fence>```|~~~).*?^(?P=fence)|<!--.*?-->|^---\n.*?^---$|^ {4,}\S.*$", re.DOTALL | re.MULTILINE
)
_EXAMPLE = re.compile(r"^\s*(?:>>>|\.\.\.) .*$|::\n\n(?:[ \t]+.*\n|\n)+", re.MULTILINE)
_ERROR = re.compile(
    r"(?:Error|Failed|Refused|Missing|Unknown|Exceeded|Cancelled|NotInOutbox|OutboxNotEmpty|OutOfStep)$"
)
_ERROR_NAMES = frozenset({"hint", "words", "why", "message", "advice"})

Finding = tuple[int, str]


def complaints(text: str, limit: int) -> Iterator[str]:
    """Yield what is wrong with a text."""
    plain = _CODE.sub("Code", text)
    for words, instead in _DIALECT:
        if found := words.search(plain):
            yield f"“{found[0]}”: write {instead}"
    for sentence in _SENTENCE.split(plain):
        count = len(re.findall(r"\w[\w'./-]*", sentence))
        if count > limit:
            yield f"a sentence of {count} words (at most {limit}): “{' '.join(sentence.split())[:70]}…”"


def of_markdown(path: Path) -> Iterator[Finding]:
    """Yield the findings of a page, whose code blocks and comments are left out."""
    text = _FENCED.sub(lambda code: "\n" * code[0].count("\n"), path.read_text(encoding="utf-8"))
    line = 1
    for paragraph in re.split(r"(\n\s*\n|\n(?=[-*|] ))", text):
        for complaint in complaints(paragraph, IN_DOCS):
            yield line, complaint
        line += paragraph.count("\n")


def of_python(path: Path) -> Iterator[Finding]:
    """Yield the findings of a module: the docstrings of public names, and error texts."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for line, docstring in _docstrings(tree, is_public=True):
        if _OPENING.match(docstring):
            yield line, f"“{' '.join(docstring.split())[:40]}…”: begin with a sentence of its own"
        for complaint in complaints(_EXAMPLE.sub("\n\n", docstring), IN_DOCS):
            yield line, complaint
    for line, text in error_texts(tree):
        for complaint in complaints(text, IN_ERRORS):
            yield line, complaint


def _docstrings(node: ast.AST, *, is_public: bool) -> Iterator[Finding]:
    body = getattr(node, "body", ())
    name: str | None = None
    for place, child in enumerate(body if isinstance(body, list) else ()):
        is_documented = is_public and (place == 0 or (name is not None and not name.startswith("_")))
        if is_documented and isinstance(child, ast.Expr) and (text := _literal(child.value)) is not None:
            yield child.lineno, text
        target = child.target if isinstance(child, ast.AnnAssign) else getattr(child, "targets", [None])[0]
        name = getattr(target, "attr", getattr(target, "id", None))
        own = getattr(child, "name", "")
        if isinstance(child, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            is_named = not own.startswith("_") or own == "__init__"
            yield from _docstrings(child, is_public=is_public and is_named)


def error_texts(tree: ast.AST) -> Iterator[Finding]:
    """Yield the literal texts that are given to exceptions, as messages and as hints."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and _ERROR.search(ast.unparse(node.func)):
            values = [*node.args[:1], *(keyword.value for keyword in node.keywords if keyword.arg == "hint")]
        elif isinstance(node, ast.Assign) and ast.unparse(node.targets[0]).rpartition(".")[2] in _ERROR_NAMES:
            values = [node.value]
        else:
            continue
        for value in values:
            for part in (value.body, value.orelse) if isinstance(value, ast.IfExp) else (value,):
                if (text := _literal(part)) is not None:
                    yield part.lineno, text


def _literal(node: ast.expr) -> str | None:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(str(part.value) if isinstance(part, ast.Constant) else "Code" for part in node.values)
    return None


def findings(path: Path) -> list[Finding]:
    """Return what is wrong with a file, by line."""
    return sorted(of_python(path) if path.suffix == ".py" else of_markdown(path))


def all_files() -> list[Path]:
    """Return the modules of the package and the pages of the documentation."""
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").rglob("*.md")]
    return sorted([*(ROOT / "wlsmtp").rglob("*.py"), *pages])


def main(arguments: list[str]) -> int:
    paths = [Path(name) for name in arguments] or all_files()
    found = [(path, line, words) for path in paths for line, words in findings(path)]
    for path, line, words in found:
        print(f"{path.relative_to(ROOT) if path.is_absolute() else path}:{line}: {words}")  # noqa: T201
    return bool(found)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
