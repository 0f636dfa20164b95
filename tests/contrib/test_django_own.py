"""Django's own tests of its SMTP backend pass with ours in its place, but for those that are listed with a reason."""

from __future__ import annotations

import importlib
import os
import re
import sys
import unittest
from pathlib import Path
from types import SimpleNamespace

import django
import pytest

from tests.contrib import project
from tests.contrib.left_out import LEFT_OUT

UNPACKED = Path(__file__).parent.parent.parent / ".servers" / "django-tests" / django.__version__
"""Where scripts/fetch-django-tests.sh puts them."""
MODULE = "mail.test_backends" if django.VERSION >= (6, 0) else "mail.tests"


missing = "they were not fetched: sh scripts/fetch-django-tests.sh .venv/bin/python"
"""Why Django's own tests are not there, if they are not."""


def _load() -> dict[str, unittest.TestCase]:
    """All cases of the SMTP backend, by name."""
    global missing
    if not UNPACKED.is_dir():
        return {}
    project.set_up()
    from wlsmtp.contrib.django import EmailBackend

    sys.path.insert(0, str(UNPACKED))
    try:
        module = importlib.import_module(MODULE)
    except ImportError as error:
        missing = f"those of Django {django.__version__} need a later release of this Python ({error})"
        return {}
    module.smtp = SimpleNamespace(EmailBackend=EmailBackend)  # type: ignore[attr-defined]
    module.SMTPBackendTests.email_backend = "wlsmtp.contrib.django.EmailBackend"
    module.SMTPBackendTests.backend_class = EmailBackend
    loader = unittest.defaultTestLoader
    kinds = (module.SMTPBackendTests, module.SMTPBackendStoppedServerTests)
    return {name: kind(name) for kind in kinds for name in loader.getTestCaseNames(kind)}


CASES = _load()


@pytest.fixture(autouse=True)
def fetched() -> None:
    if not CASES:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(f"Django's own tests are not run: {missing}")


@pytest.mark.parametrize("name", [name for name in CASES if name not in LEFT_OUT])
def test_it_passes(name: str) -> None:
    result = unittest.TestResult()
    unittest.TestSuite([CASES[name]]).run(result)
    words = "\n".join(text for _, text in (*result.failures, *result.errors))
    assert not result.skipped
    assert result.wasSuccessful(), words


def test_the_list_has_nothing_else() -> None:
    result = unittest.TestResult()
    unittest.TestSuite([CASES[name] for name in CASES if name in LEFT_OUT]).run(result)
    failed = {case.id().rpartition(".")[2] for case, _ in (*result.failures, *result.errors)}
    assert failed == LEFT_OUT.keys() & CASES.keys()
    assert len(CASES) - len(failed) > 40


def test_the_page_has_the_same_list() -> None:
    page = Path(__file__).parent.parent.parent / "docs" / "guides" / "django.md"
    text = page.read_text(encoding="utf-8")
    assert [f"| `{name}` | {why} |" for name, why in LEFT_OUT.items()] == re.findall(r"^\| `test_.*$", text, re.M)
