"""``Error``, ``Info`` and ``Trace`` write lines."""

from __future__ import annotations

import sys

import pytest

from wlsmtp.wlanguage import *


def test_each_writes_where_it_belongs(capsys: pytest.CaptureFixture[str]) -> None:
    Error("Unable to send", 7)
    Erreur("Impossible")
    Info("Sent", "to all")
    Trace("sent", 2, emailSent)
    assert capsys.readouterr() == ("Sent\nto all\nsent 2 1\n", "Unable to send\n7\nImpossible\n")


def test_an_error_without_words_is_the_last_one(capsys: pytest.CaptureFixture[str]) -> None:
    EmailStatus("no such identifier")
    Error()
    assert capsys.readouterr().err == f"{ErrorInfo()}\n" and ErrorOccurred


def test_a_program_without_a_console_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", None)
    Error("x")
    Info("x")
    Trace("x")
