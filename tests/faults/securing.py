"""Faults of STARTTLS, of the handshake and of certificates: in every row nothing is sent in plain text."""

from __future__ import annotations

import ssl
import warnings
from typing import Any

from tests.faults.table import NOT_SENT, ONE_MODE, QUICK, SECRET, USER, Again, Fault, Says, nobody
from wlsmtp import TLS, CommandRefused, ConnectionFailed, DeadlineExceeded, ProtocolError, SMTPError, Stage, TLSError
from wlsmtp.testing import CLOSE, RESET, SILENCE, Certificates, SMTPServer
from wlsmtp.testing.certificates import default_certificates
from wlsmtp.testing.conversation import Scripted

SENSITIVE = ("AUTH", "MAIL")
CREDENTIALS: dict[str, Any] = {"username": USER, "password": SECRET}


def secured(
    what: str, error: type[SMTPError] | None, stage: Stage | None, again: Again = Again.NO, *,
    says: tuple[Says, ...] = (), security: str = "tls", code: int | None = None, hint: str | None = None,
    quick: bool = False, **more: Any,
) -> Fault:  # fmt: skip
    """A fault of a session that has a password and wants TLS."""
    return Fault(
        what=what, says=says, options={"security": security, "users": {USER: SECRET}}, modes=ONE_MODE,
        settings={"security": security, **CREDENTIALS, **({"timeout": QUICK} if quick else {}),
                  **more.pop("settings", {})},
        error=error, stage=stage, code=code, hint=hint, again=again, never=SENSITIVE if error else (),
        **nobody(NOT_SENT) if error else {}, **more,
    )  # fmt: skip


def starttls(what: str, reply: Scripted, *rest: Any, **more: Any) -> Fault:
    """A fault of STARTTLS itself."""
    return secured(what, *rest, says=(Says("STARTTLS", reply),), **more)


def shows(what: str, hint: str | None, certificates: Any, **more: Any) -> list[Fault]:
    """A server with another certificate, with STARTTLS and with TLS from the first byte."""

    def other_certificate(server: SMTPServer) -> None:
        server.tls_context = certificates().server_context()

    return [
        secured(f"{what} ({how})", TLSError, Stage.TLS, hint=hint, security=security, does=other_certificate, **more)
        for how, security in (("STARTTLS", "tls"), ("TLS from the first byte", "ssl"))
    ]


def only_tls_1_0(server: SMTPServer) -> None:
    """Make the server as old as can be."""
    server.tls_context = context = default_certificates().server_context()
    context.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1


DELIVERED = Again.DELIVERED
OFFER = "250-testing.example\r\n250 AUTH PLAIN"

SECURING = [
    secured("does not offer STARTTLS any more", TLSError, Stage.STARTTLS, says=(Says("EHLO", OFFER),)),
    starttls("answers STARTTLS with 454", "454 4.7.0 TLS not available", TLSError, Stage.STARTTLS, DELIVERED,
             code=454),
    starttls("answers STARTTLS with 502", "502 5.5.1 No", TLSError, Stage.STARTTLS, code=502),
    starttls("answers STARTTLS with 354", "354 Go ahead", ProtocolError, Stage.STARTTLS, code=354),
    starttls("answers STARTTLS with 199", b"199 Hm\r\n", ProtocolError, Stage.STARTTLS),
    starttls("answers STARTTLS with 600", b"600 Hm\r\n", ProtocolError, Stage.STARTTLS),
    starttls("answers STARTTLS with 454, to a session that would do without TLS", "454 4.7.0 TLS not available",
             TLSError, Stage.STARTTLS, DELIVERED, code=454, settings={"security": "default"}),
    starttls("closes at STARTTLS", CLOSE, ConnectionFailed, Stage.STARTTLS, DELIVERED),
    starttls("closes behind the 220 to STARTTLS", (b"220 go\r\n", CLOSE), ConnectionFailed, Stage.TLS, DELIVERED),
    starttls("never answers STARTTLS", SILENCE, DeadlineExceeded, Stage.STARTTLS, DELIVERED, quick=True),
    starttls("injects a reply behind the 220 to STARTTLS", b"220 go\r\n250 2.0.0 Injected\r\n", ProtocolError,
             Stage.STARTTLS),
    starttls("injects half a reply behind the 220 to STARTTLS", b"220 go\r\n250-Inj", ProtocolError, Stage.STARTTLS),
    *(
        secured(f"{what} ({how})", error, Stage.TLS, again, says=(Says("HANDSHAKE", reply),), security=security,
                quick=quick)
        for how, security in (("STARTTLS", "tls"), ("TLS from the first byte", "ssl"))
        for what, reply, error, again, quick in (
            ("answers the handshake with garbage", b"\r\n\r\n250 garbage\r\n", TLSError, Again.NO, False),
            ("closes in the handshake", CLOSE, ConnectionFailed, DELIVERED, False),
            ("resets the connection in the handshake", RESET, ConnectionFailed, DELIVERED, False),
            ("never answers the handshake", SILENCE, DeadlineExceeded, DELIVERED, True),
        )
    ),
    *shows("has an expired certificate", "renewed", lambda: Certificates.expired(default_certificates())),
    *shows("has a certificate of another name", "server_hostname",
           lambda: Certificates("other.example", authority=default_certificates())),
    *shows("has a certificate of an unknown authority", "ca_file", Certificates),
    *shows("has another certificate than the pinned one", "operator", Certificates,
           settings={"tls": TLS(fingerprint=default_certificates().fingerprint)}),
    secured("knows no TLS but 1.0 (STARTTLS)", TLSError, Stage.TLS, does=only_tls_1_0),
    secured("knows no TLS but 1.0 (TLS from the first byte)", TLSError, Stage.TLS, security="ssl", does=only_tls_1_0),
    secured("refuses EHLO once the connection is secured", CommandRefused, Stage.EHLO, DELIVERED,
            says=(Says("EHLO", "421 4.3.2 Bye", after=1),), code=421),
]  # fmt: skip
