"""Docstrings and error texts are short, and in the words of the field (``scripts/prose.py``)."""

import ast
import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

import wlsmtp

ROOT = Path(__file__).resolve().parent.parent
MODULES = sorted(Path(wlsmtp.__file__).parent.rglob("*.py"))


@pytest.fixture(scope="module")
def prose() -> ModuleType:
    spec = importlib.util.spec_from_file_location("prose", ROOT / "scripts" / "prose.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_no_error_text_has_a_long_sentence_or_a_word_of_our_own(prose: ModuleType) -> None:
    texts = [text for path in MODULES for _, text in prose.error_texts(ast.parse(path.read_text(encoding="utf-8")))]
    assert len(texts) > 500, "those of nearly all errors are found"
    assert [(text, list(prose.complaints(text, prose.IN_ERRORS))) for text in texts] == [(text, []) for text in texts]


def test_no_docstring_of_a_public_name_and_no_page_has_them_either(prose: ModuleType) -> None:
    paths = prose.all_files()
    assert {path.suffix for path in paths} == {".py", ".md"} and "CHANGELOG.md" in {path.name for path in paths}
    assert {str(path): found for path in paths if (found := prose.findings(path))} == {}


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ('def send():\n    """Whether it was sent."""', "begin with a sentence of its own"),
        ('class A:\n    size: int\n    """See ``B.size``."""', "begin with a sentence of its own"),
        ('"""Return what came of it."""', "the result of"),
        ('"""The connection was lent to a sender."""', "acquire"),
        ('"""Mail that is refused for good is counted."""', "permanently"),
        ('"""A header section with a line that is no field."""', "is not a"),
        (f'"""{"word " * 36}."""', "a sentence of 36 words (at most 35)"),
        (f'raise ConfigError("{"word " * 26}")', "a sentence of 26 words (at most 25)"),
        (f'hint = "{"word " * 26}" if late else None', "a sentence of 26 words (at most 25)"),
    ],
)
def test_what_is_wrong_is_found(prose: ModuleType, tmp_path: Path, code: str, words: str) -> None:
    path = tmp_path / "module.py"
    path.write_text(code)
    assert [words in found for _, found in prose.findings(path)] == [True]


@pytest.mark.parametrize(
    "code",
    [
        'def _own():\n    """Whether it was sent."""',
        '"""There is no field.\n\n>>> told, lent = came of\n"""',
        f'"""{"word " * 30}done. More {"word " * 30}."""',
        '"""Raises ``ConfigError`` for ``told``."""',
    ],
)
def test_what_is_right_is_left_alone(prose: ModuleType, tmp_path: Path, code: str) -> None:
    path = tmp_path / "module.py"
    path.write_text(code)
    assert prose.findings(path) == []


def test_pages_are_read_without_their_code(prose: ModuleType, tmp_path: Path) -> None:
    path = tmp_path / "page.md"
    path.write_text("# Title\n\nText.\n\n```python\ntold = 1\n```\n\nIt was told.\n")
    assert [line for line, _ in prose.findings(path)] == [9]
