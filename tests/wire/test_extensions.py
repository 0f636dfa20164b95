"""What servers offer, from their own words."""

from __future__ import annotations

import copy
import json
import pickle
from dataclasses import asdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wlsmtp import Reply
from wlsmtp.wire.extensions import Capabilities, parse_ehlo

POSTFIX = ("mail.example.com", "PIPELINING", "SIZE 10240000", "VRFY", "ETRN", "STARTTLS", "AUTH PLAIN LOGIN",
           "AUTH=PLAIN LOGIN", "ENHANCEDSTATUSCODES", "8BITMIME", "DSN", "SMTPUTF8", "CHUNKING")  # fmt: skip
GMAIL = ("smtp.gmail.com at your service, [192.0.2.1]", "SIZE 35882577", "8BITMIME",
         "AUTH LOGIN PLAIN XOAUTH2 PLAIN-CLIENTTOKEN OAUTHBEARER XOAUTH", "ENHANCEDSTATUSCODES", "PIPELINING",
         "CHUNKING", "SMTPUTF8")  # fmt: skip
EXCHANGE = ("MAIL01.corp.example Hello [10.0.0.1]", "SIZE 37748736", "PIPELINING", "DSN", "ENHANCEDSTATUSCODES",
            "STARTTLS", "X-ANONYMOUSTLS", "AUTH NTLM LOGIN", "X-EXPS GSSAPI NTLM", "8BITMIME", "BINARYMIME", "CHUNKING",
            "XEXCH50", "XRDST")  # fmt: skip
OFFICE = ("LO4P123CA.outlook.office365.com Hello [192.0.2.1]", "SIZE 157286400", "PIPELINING", "DSN",
          "ENHANCEDSTATUSCODES", "STARTTLS", "8BITMIME", "BINARYMIME", "CHUNKING", "SMTPUTF8")  # fmt: skip


def test_a_real_answer() -> None:
    found = parse_ehlo(Reply(250, OFFICE))
    assert found.name == "LO4P123CA.outlook.office365.com" and found.size_limit == 157286400
    assert "starttls" in found and "CHUNKING" in found and "AUTH" not in found and found.mechanisms == ()


@pytest.mark.parametrize(
    ("lines", "name", "size", "mechanisms"),
    [
        (POSTFIX, "mail.example.com", 10240000, ("PLAIN", "LOGIN")),
        (GMAIL, "smtp.gmail.com", 35882577,
         ("LOGIN", "PLAIN", "XOAUTH2", "PLAIN-CLIENTTOKEN", "OAUTHBEARER", "XOAUTH")),
        (EXCHANGE, "MAIL01.corp.example", 37748736, ("NTLM", "LOGIN")),
        (OFFICE, "LO4P123CA.outlook.office365.com", 157286400, ()),
    ],
    ids=["Postfix", "Gmail", "Exchange", "Microsoft 365"],
)  # fmt: skip
def test_the_answers_of_real_servers(lines: tuple[str, ...], name: str, size: int, mechanisms: tuple[str, ...]) -> None:
    found = parse_ehlo(Reply(250, lines))
    assert (found.name, found.size_limit, found.mechanisms) == (name, size, mechanisms)
    assert {"PIPELINING", "8BITMIME", "ENHANCEDSTATUSCODES", "CHUNKING"} <= set(found)


def test_unknown_extensions_are_kept_with_their_words() -> None:
    found = parse_ehlo(Reply(250, EXCHANGE))
    assert "x-exps" in found and found.extensions["X-EXPS"] == ("GSSAPI", "NTLM") and 7 not in found
    assert "X-EXPS GSSAPI NTLM" in str(found)


@pytest.mark.parametrize("lines", [("mail.example.com",), ("",)])
def test_an_answer_of_one_line_offers_nothing(lines: tuple[str, ...]) -> None:
    found = parse_ehlo(Reply(250, lines))
    assert list(found) == [] and found.name == lines[0] and str(found) == "no extensions"


def test_what_a_server_offers_cannot_be_changed() -> None:
    with pytest.raises(TypeError):
        parse_ehlo(Reply(250, POSTFIX)).extensions["AUTH"] = ()  # type: ignore[index]
    with pytest.raises(TypeError):
        Capabilities().extensions.update({})  # type: ignore[attr-defined]


def test_what_a_server_offers_can_be_copied_and_written() -> None:
    found = parse_ehlo(Reply(250, POSTFIX))
    for other in (copy.deepcopy(found), pickle.loads(pickle.dumps(found)), Capabilities(**asdict(found))):
        assert other == found
        with pytest.raises(TypeError):
            del other.extensions["SIZE"]  # type: ignore[union-attr]
    assert json.loads(json.dumps(asdict(found)))["extensions"]["SIZE"] == [str(found.size_limit)]


def test_both_forms_of_auth_count_once() -> None:
    found = parse_ehlo(Reply(250, ("x", "AUTH=LOGIN PLAIN", "AUTH login CRAM-MD5")))
    assert found.mechanisms == ("LOGIN", "PLAIN", "CRAM-MD5")


@pytest.mark.parametrize(
    ("line", "limit"),
    [("SIZE", None), ("SIZE 0", None), ("size 10", 10), ("SIZE x", None), ("SIZE -1", None), ("SIZE 10 20", 10),
     ("SIZE=10", None), ("SIZE 1e3", None), ("SIZE \u0661", None), ("SIZE " + "9" * 5000, None), ("SIZE  7", 7)],
)  # fmt: skip
def test_the_size_limit(line: str, limit: int | None) -> None:
    assert parse_ehlo(Reply(250, ("x", line))).size_limit == limit


@given(st.lists(st.text(), min_size=1).map(tuple))
def test_any_words_are_taken(lines: tuple[str, ...]) -> None:
    found = parse_ehlo(Reply(250, lines))
    assert found.size_limit is None or found.size_limit > 0
    assert str(found)
