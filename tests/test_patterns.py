"""Patterns that are compiled when they are first used."""

from __future__ import annotations

import re

import pytest

from wlsmtp.patterns import later


def test_a_pattern_is_compiled_once_and_when_it_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled: list[str] = []
    compile_ = re.compile

    def noting(pattern: str, flags: int) -> re.Pattern[str]:
        compiled.append(pattern)
        return compile_(pattern, flags)

    monkeypatch.setattr(re, "compile", noting)
    pattern = later(r"(\d+)-a", re.IGNORECASE)
    assert pattern.pattern == r"(\d+)-a" and not compiled
    assert [pattern.fullmatch(text) is not None for text in ("12-A", "12-B", "1-a")] == [True, False, True]
    assert pattern.sub("x", "7-a8-A") == "xx" and pattern.flags & re.IGNORECASE
    assert len(compiled) == 3, "once for each of its attributes"


def test_patterns_of_octets_and_what_is_no_attribute() -> None:
    assert later(rb"a+").findall(b"aab") == [b"aa"]
    with pytest.raises(AttributeError):
        later("a").nothing  # type: ignore[attr-defined]  # noqa: B018
    with pytest.raises(AttributeError):
        later("a")._nothing  # type: ignore[attr-defined]  # noqa: B018
