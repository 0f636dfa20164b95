"""Which of Django's tests of its SMTP backend do not hold for ours, and why; as docs/guides/django.md has it."""

from __future__ import annotations

LEFT_OUT = {
    "test_auth_attempted": "the error has other words (5.2), and `smtplib.SMTP.login` is not called (6.1)",
    "test_connection_timeout_custom": "it asks `connection`, a session, for an attribute of `smtplib.SMTP`",
    "test_smtp_connection_uses_timeout": "the same",
    "test_direct_construction_deprecated": "making the backend yourself causes no warning of ours",
    "test_email_msg_uses_crlf": "it replaces `smtplib.SMTP.send`, which is not called",
    "test_serialized_message_uses_crlf_line_ending": "it replaces `smtplib.SMTP.sendmail`, which is not called",
    "test_smtp_connection_uses_host_and_port": "it replaces `smtplib.SMTP`, which is not made",
    "test_email_tls_attempts_starttls": "the error, also an `SMTPException`, has other words",
    "test_reopen_replaces_partial_connection": "a session has no connection that is half open",
    "test_send_messages_after_open_failed": "it replaces `open()`, which sending does not need",
}
"""Names, each with the reason."""
