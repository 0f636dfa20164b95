"""CPython's own tests of ``smtplib`` pass with ``wlsmtp.contrib.smtplib`` in its place, as far as it offers what they
test."""

from __future__ import annotations

import importlib.util
import os
import re
import smtplib
import sys
import unittest
from pathlib import Path
from types import ModuleType

import pytest

from tests.cpython.left_out import LEFT_OUT
from wlsmtp.contrib import smtplib as ours

UNPACKED = Path(__file__).parent.parent.parent / ".servers" / "mail-readers" / "python" / "usr" / "lib"
"""Where scripts/install-mail-readers.sh puts the tests of a Python that came without them, as Debian's does."""


def _load() -> ModuleType | None:
    """CPython's tests, with wlsmtp's module for their ``smtplib``; None where they are not installed."""
    import test  # type: ignore[import-not-found]

    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    test.__path__.append(str(UNPACKED / version / "test"))
    spec = importlib.util.find_spec("test.test_smtplib")
    if spec is None or spec.loader is None:
        return None
    module = importlib.util.module_from_spec(spec)
    replaced = ModuleType("smtplib")
    vars(replaced).update(vars(smtplib), SMTP=ours.SMTP, SMTP_SSL=ours.SMTP_SSL, LMTP=ours.LMTP)
    try:
        sys.modules["smtplib"] = replaced
        spec.loader.exec_module(module)
    finally:
        sys.modules["smtplib"] = smtplib
    return module


MODULE = _load()


CASES: dict[str, unittest.TestCase] = {}
if MODULE is not None:
    for suite in unittest.defaultTestLoader.loadTestsFromModule(MODULE):
        assert isinstance(suite, unittest.TestSuite)
        for case in suite:
            assert isinstance(case, unittest.TestCase)
            CASES[case.id().removeprefix("test.test_smtplib.")] = case


@pytest.fixture(autouse=True)
def tests_of_this_python() -> None:
    """Some distributions have them in a package of their own."""
    if MODULE is None:
        reason = "CPython's tests of smtplib are not installed: sh scripts/install-mail-readers.sh"
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(reason)


def _why_left_out(name: str) -> str | None:
    return next((why for pattern, why in LEFT_OUT.items() if re.fullmatch(pattern, name)), None)


@pytest.mark.parametrize("name", [name for name in CASES if _why_left_out(name) is None])
def test_it_passes(name: str) -> None:
    result = unittest.TestResult()
    CASES[name].run(result)
    assert not result.skipped
    assert result.wasSuccessful(), "\n".join(text for _, text in (*result.failures, *result.errors))


def test_the_list_has_nothing_else() -> None:
    later = {"SMTPSimTests.test_lowercase_mail_from_rcpt_to"}
    assert [pattern for pattern in LEFT_OUT if not any(re.fullmatch(pattern, name) for name in {*CASES, *later})] == []
    assert sum(_why_left_out(name) is None for name in CASES) > 30
