"""Projects that use the adapters, as their users write them: `make lint` checks them with mypy strict and pyright."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from email.message import EmailMessage as StdlibMessage
from typing import assert_type

from django.core.mail import EmailMessage

import wlsmtp.contrib.smtplib as smtplib
from wlsmtp import TLS, AsyncSMTPSession, Receipt, SMTPSession
from wlsmtp.contrib.django import EmailBackend, receipt_of
from wlsmtp.contrib.logging import MailHandler
from wlsmtp.contrib.otel import WlsmtpInstrumentor, instrument, observe_outbox
from wlsmtp.events import Listener


class OurBackend(EmailBackend):
    """A backend that adds to Django's."""

    def send_messages(self, email_messages: Sequence[EmailMessage]) -> int:
        return super().send_messages([message for message in email_messages if message.subject])


def with_django(message: EmailMessage) -> str | None:
    backend = OurBackend(host="smtp.example.com", port=587, use_tls=True, fail_silently=True, timeout=10)
    assert_type(backend.send_messages([message]), int)
    receipt = receipt_of(message)
    assert_type(receipt, Receipt | None)
    assert_type(backend.session, SMTPSession)
    return receipt.queue_id if receipt is not None else None


def with_logging(session: SMTPSession) -> logging.Handler:
    handler = MailHandler(session, to=["ops@example.com"], interval=60, level="ERROR")
    logging.getLogger().addHandler(MailHandler("smtp://localhost", sender="site@example.com", to="ops@example.com"))
    assert_type(handler.session, SMTPSession)
    return handler


async def with_opentelemetry(session: SMTPSession) -> None:
    assert_type(instrument(), Listener)
    observe_outbox(session.outbox_statistics, name="blocking")
    async with AsyncSMTPSession("smtp.example.com", listeners=[instrument()], mode="async") as other:
        observe_outbox(other.outbox_statistics)
    WlsmtpInstrumentor().instrument()


class OurSMTP(smtplib.SMTP):
    """A class with a setting that smtplib does not have."""

    settings = {"tls": TLS(ca_file="ca.pem")}


def with_smtplib(message: StdlibMessage) -> dict[str, tuple[int, bytes]]:
    try:
        with OurSMTP("smtp.example.com", 587, timeout=10) as server:
            server.ehlo()
            server.starttls()
            server.login("ann@example.com", "s3cret")
            return server.send_message(message)
    except smtplib.SMTPAuthenticationError as error:
        logging.error("%d %r", error.smtp_code, error.smtp_error)
    except smtplib.SMTPException as error:
        logging.error("%s", error)
    with smtplib.SMTP_SSL("smtp.example.com") as other:
        return other.sendmail("ann@example.com", ["bob@example.org"], b"Subject: Hi\r\n\r\nHello\r\n")
