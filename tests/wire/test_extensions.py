"""What servers offer, from their own words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wlsmtp import Reply
from wlsmtp.wire.extensions import parse_ehlo

OFFICE = ("LO4P123CA.outlook.office365.com Hello [192.0.2.1]", "SIZE 157286400", "PIPELINING", "DSN",
          "ENHANCEDSTATUSCODES", "STARTTLS", "8BITMIME", "BINARYMIME", "CHUNKING", "SMTPUTF8")  # fmt: skip


def test_a_real_answer() -> None:
    found = parse_ehlo(Reply(250, OFFICE))
    assert found.name == "LO4P123CA.outlook.office365.com" and found.size_limit == 157286400
    assert "starttls" in found and "CHUNKING" in found and "AUTH" not in found and found.mechanisms == ()


def test_both_forms_of_auth_count_once() -> None:
    found = parse_ehlo(Reply(250, ("x", "AUTH=LOGIN PLAIN", "AUTH login CRAM-MD5")))
    assert found.mechanisms == ("LOGIN", "PLAIN", "CRAM-MD5")


@pytest.mark.parametrize(("line", "limit"), [("SIZE", None), ("SIZE 0", None), ("size 10", 10), ("SIZE x", None)])
def test_the_size_limit(line: str, limit: int | None) -> None:
    assert parse_ehlo(Reply(250, ("x", line))).size_limit == limit


@given(st.lists(st.text(), min_size=1).map(tuple))
def test_any_words_are_taken(lines: tuple[str, ...]) -> None:
    found = parse_ehlo(Reply(250, lines))
    assert found.size_limit is None or found.size_limit > 0
    assert str(found)
