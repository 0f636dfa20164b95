"""Secrets that are repeated are hidden, in whatever notation; all other words stay."""

from __future__ import annotations

import base64
import html
import json
import random
from collections.abc import Callable
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from wlsmtp.errors import AuthenticationFailed
from wlsmtp.results.reply import Reply
from wlsmtp.wire.masking import MASK, Masking, Notations
from wlsmtp.wire.reply import printable

PASSWORD = "Hunter2+S3CR3T/pä%&"
RESPONSE = b"\0ann\0" + PASSWORD.encode()
SENT = base64.b64encode(RESPONSE).decode()


def b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


NOTATIONS: dict[str, str] = {
    "as it is": PASSWORD,
    "with its user": f"ann:{PASSWORD}@host",
    "in upper case": PASSWORD.upper(),
    "its beginning": PASSWORD[:8],
    "its end": PASSWORD[-8:],
    "percent-encoded": quote(PASSWORD, safe=""),
    "as of a form": quote_plus(PASSWORD),
    "in xtext": quote(PASSWORD, safe="").replace("%", "+"),
    "in HTML": html.escape(PASSWORD),
    "in JSON": json.dumps({"password": PASSWORD}),
    "in Python": repr(PASSWORD.encode()),
    "in hex": PASSWORD.encode().hex().upper(),
    "in hex, octet by octet": PASSWORD.encode().hex(" "),
    "in hex, with colons": PASSWORD.encode().hex(":").upper(),
    "as numbers of C": " ".join(f"0x{octet:02x}" for octet in PASSWORD.encode()),
    "as bytes of C": "".join(f"\\x{octet:02X}" for octet in PASSWORD.encode()),
    "in octal": "".join(f"\\{octet:03o}" for octet in PASSWORD.encode()),
    "percent-encoded, each octet": "".join(f"%{octet:02X}" for octet in PASSWORD.encode()),
    "in quoted-printable, each octet": "".join(f"={octet:02X}" for octet in PASSWORD.encode()),
    "as entities of HTML": "".join(f"&#{octet};" for octet in PASSWORD.encode()),
    "in JSON, each character": "".join(f"\\u{octet:04x}" for octet in PASSWORD.encode("latin-1")),
    "letter by letter": " ".join(PASSWORD),
    "as Latin-1": printable(PASSWORD.encode("latin-1")),
    "in base64": b64(PASSWORD),
    "in base64 behind one octet": b64(":" + PASSWORD),
    "in base64 behind two octets": b64("n:" + PASSWORD),
    "in base64 for URLs": base64.urlsafe_b64encode(PASSWORD.encode()).decode(),
    "what was sent": f"AUTH PLAIN {SENT}",
    "what was sent, in upper case": f"AUTH PLAIN {SENT}".upper(),
    "what was sent, cut off": SENT[:10],
    "the rest of what was sent": SENT[-10:],
    "what was sent, percent-encoded": quote(SENT, safe=""),
    "what was sent, in base64": b64(SENT),
    "what was sent, read": printable(RESPONSE),
}


def masking() -> Masking:
    return Masking(Notations.of_secret(PASSWORD), Notations.of_response(RESPONSE))


@pytest.mark.parametrize("repeated", NOTATIONS.values(), ids=NOTATIONS)
def test_a_secret_is_hidden_in_each_notation(repeated: str) -> None:
    for text in (repeated, f"cannot accept '{repeated}' now", f"<{repeated}>", f"x={repeated}"):
        hidden = masking().hide(text)
        assert MASK in hidden
        pieces = [repeated[start : start + 6] for start in range(len(repeated) - 5)]
        known = [piece for piece in pieces if piece.lower() in f"{PASSWORD} {SENT} {quote(PASSWORD)}".lower()]
        assert not [piece for piece in known if piece in hidden]
        assert len(hidden) < len(text) + len(MASK)


ORDINARY = [
    "2.0.0 Ok: queued as 4XyZ7Ab2Kz1",
    "Authentication failed: invalid password",
    "smtp.example.com ESMTP Postfix (Debian/GNU)",
    "5.7.8 Username and Password not accepted. For more information, go to https://support.google.com/mail/?p=BadC",
    "",
    "İ" * 40,
]


@pytest.mark.parametrize("text", ORDINARY)
def test_all_other_words_stay(text: str) -> None:
    assert masking().hide(text) == text
    assert Masking(Notations.of_secret("password-of-2026")).hide(text) == text, "an ordinary word of a longer secret"


@pytest.mark.parametrize(
    ("secret", "text", "hidden"),
    [
        ("pw1", "cannot accept pw1 here", f"cannot accept {MASK} here"),
        ("pw1", "cannot accept ':pw1'", f"cannot accept ':{MASK}'"),
        ("pw1", "spw12 is not it", "spw12 is not it"),
        ("4", "5.7.4 not 4 me", "5.7.4 not 4 me"),
        ("password", "invalid password", f"invalid {MASK}"),
        ("two words of it", "no two words of it, please", f"no {MASK}, please"),
    ],
)
def test_short_and_odd_secrets(secret: str, text: str, hidden: str) -> None:
    assert Masking(Notations.of_secret(secret)).hide(text) == hidden


def test_the_codes_of_a_reply_stay() -> None:
    hiding = Masking(Notations.of_secret("5.7.8 no"), Notations.of_secret("250 5.7.8"))
    reply = hiding.reply(Reply(550, ("5.7.8 no", "5.7.8 and no more")))
    assert reply.code == 550 and str(reply.enhanced) == "5.7.8"
    clean = Reply(250, ("2.1.0 Ok",))
    assert hiding.reply(clean) is clean


@pytest.mark.parametrize("keyword", ["STARTTLS", "PIPELINING", "SIZE 12345678", "AUTH PLAIN SCRAM-SHA-256"])
def test_a_secret_does_not_take_away_what_a_server_offers(keyword: str) -> None:
    hiding = Masking(*(Notations.of_secret(word) for word in keyword.split()), Notations.of_secret(PASSWORD))
    reply = Reply(250, (f"mail.example.com {PASSWORD}", keyword))
    assert hiding.offer(reply).lines == (f"mail.example.com {MASK}", keyword)


def test_an_error_loses_its_secrets_everywhere() -> None:
    error = AuthenticationFailed(f"No {PASSWORD}", reply=Reply(535, (f"5.7.8 {SENT}",)))
    error.problem = {"status": "400", "said": PASSWORD}
    masking().error(error)
    assert PASSWORD not in f"{error}{error!r}{error.args}{error.problem}" and SENT not in str(error)
    assert error.problem["status"] == "400"


def test_a_long_token_is_hidden_too() -> None:
    token = base64.urlsafe_b64encode(random.Random(7).randbytes(2000)).decode()
    response = f"user=ann\1auth=Bearer {token}\1\1".encode()
    hiding = Masking(Notations.of_secret(token), Notations.of_response(response))
    for text in (token, token[500:600], base64.b64encode(response).decode()[:512], quote(token)):
        assert hiding.hide(f"what is {text} ?") == f"what is {MASK} ?"


@given(st.text(min_size=6, max_size=40), st.text(max_size=60), st.text(max_size=60))
@example("000001", "000000001", "000000")
def test_whatever_the_secret_it_is_not_left(secret: str, before: str, behind: str) -> None:
    hide: Callable[[str], str] = Masking(Notations.of_secret(secret)).hide
    assert secret not in hide(f"{before}{secret}{behind}") or secret in MASK
