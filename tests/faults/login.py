"""Faults of AUTH."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.faults.table import NOT_SENT, ONE_MODE, QUICK, SECRET, USER, Again, Fault, Says, nobody
from wlsmtp import AuthenticationFailed, ConnectionFailed, DeadlineExceeded, ProtocolError, SMTPError, Stage
from wlsmtp.testing import CLOSE, HEAR, RESET, SILENCE
from wlsmtp.testing.conversation import Scripted

PASSWORD: Mapping[str, Any] = {"username": USER, "password": SECRET}
TOKEN: Mapping[str, Any] = {"username": USER, "token": SECRET}


def login(
    what: str, reply: Scripted, error: type[SMTPError] | None = AuthenticationFailed, again: Again = Again.NO, *,
    mechanism: str = "PLAIN", code: int | None = None, hint: str | None = None, quick: bool = False,
    over_tls: bool = False, secret: Mapping[str, Any] = PASSWORD,
) -> Fault:  # fmt: skip
    """A fault of AUTH: nothing of a message was said."""
    return Fault(
        what=what, says=(Says("AUTH", reply),), modes=ONE_MODE, over_tls=over_tls,
        options={"users": {USER: SECRET}, "tokens": {USER: SECRET}, "mechanisms": mechanism.split()},
        settings={**secret, **({"timeout": QUICK} if quick else {})},
        error=error, stage=Stage.AUTH if error else None, code=code, hint=hint,
        again=again if error else Again.NEEDLESS, never=("MAIL",) if error else (),
        **nobody(NOT_SENT) if error else {},
    )  # fmt: skip


DELIVERED = Again.DELIVERED
MORE = ("334 bW9yZQ==", HEAR) * 100

LOGIN = [
    login("refuses the password: 535", "535 5.7.8 Wrong", code=535, over_tls=True),
    login("refuses the only mechanism: 534", "534 5.7.9 Mechanism too weak", code=534),
    login("cannot check the password now: 454", "454 4.7.0 Later", again=DELIVERED, code=454),
    login("says 451 for a wrong password", "451 Authentication failed: Could not authenticate", code=451,
          hint="password"),
    login("says 454 for invalid credentials", "454 4.7.0 Invalid credentials", code=454, hint="password"),
    login("has had too many logins: 454", "454 4.7.0 Too many login attempts, please try again later.", code=454,
          hint="less often"),
    login("has had too many logins: 421", ("421 4.7.0 Too many failed logins", CLOSE), code=421, hint="wait"),
    login("answers AUTH with 421", ("421 4.3.2 Bye", CLOSE), again=DELIVERED, code=421),
    login("closes at AUTH", CLOSE, ConnectionFailed, DELIVERED, over_tls=True),
    login("resets the connection at AUTH", RESET, ConnectionFailed, DELIVERED, over_tls=True),
    login("never answers AUTH", SILENCE, DeadlineExceeded, DELIVERED, quick=True),
    login("closes in the middle of the exchange", ("334 VXNlcm5hbWU6", HEAR, CLOSE), ConnectionFailed, DELIVERED,
          mechanism="LOGIN"),
    login("closes at SCRAM, and takes PLAIN", CLOSE, None, mechanism="SCRAM-SHA-256 PLAIN", over_tls=True),
    login("refuses the user name of LOGIN for now, and takes CRAM-MD5", ("334 VXNlcm5hbWU6", HEAR, "454 4.7.0 Later"),
          None, mechanism="LOGIN CRAM-MD5"),
    login("answers AUTH with garbage", b"\x00\x01\r\n", ProtocolError),
    login("asks on and on: 334 after 334", MORE, ProtocolError),
    login("asks for LOGIN's words in plain text", ("334 Wer da?", HEAR, "334 Und?", HEAR, "235 2.7.0 Ok"), None,
          mechanism="LOGIN"),
    login("asks for LOGIN's words with nothing but the code", (b"334\r\n", HEAR, b"334\r\n", HEAR, "235 Ok"), None,
          mechanism="LOGIN"),
    login("refuses the user name in the middle of LOGIN", ("334 VXNlcm5hbWU6", HEAR, "535 5.7.8 Wrong"), code=535,
          mechanism="LOGIN"),
    login("takes no initial response: 501", "501 5.5.2 Syntax", code=501),
    login("gives a CRAM-MD5 challenge that is not base64", ("334 ???", HEAR, "501 5.5.2 Bad"), mechanism="CRAM-MD5",
          code=501),
    login("refuses the token with an error in a challenge", ("334 eyJzdGF0dXMiOiI0MDEifQ==", HEAR, "535 5.7.8 Wrong"),
          mechanism="XOAUTH2", code=535, hint="token", secret=TOKEN),
    login("accepts the login with an unknown 2xx", "299 Fine", None),
    Fault(
        what="offers no AUTH, although there is a password", modes=ONE_MODE, says=(Says("EHLO", "250 hi"),),
        options={"users": {USER: SECRET}}, settings=PASSWORD,
        error=AuthenticationFailed, stage=Stage.AUTH, hint="auth='optional'", again=Again.NO,
        never=("AUTH", "MAIL"), **nobody(NOT_SENT),
    ),
]  # fmt: skip
