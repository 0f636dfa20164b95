"""The migration page: every program in it sends its email, here to the embedded server."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.wlanguage.page import examples, run
from wlsmtp.testing import SMTPServer

PLAIN = examples("A server that is not secured")
SECURED = examples("A server with TLS on port 587")
BACKGROUND = examples("In the background")


def test_both_examples_are_there_in_both_styles() -> None:
    assert (len(PLAIN), len(SECURED), len(examples("In the background"))) == (2, 3, 2)


@pytest.mark.parametrize("program", [*PLAIN, *SECURED, *BACKGROUND])
def test_a_program_sends_its_email(
    program: str, smtp_server_factory: Callable[..., SMTPServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = smtp_server_factory()
    secured = smtp_server_factory(security="tls", users={"ann@example.com": "pass"}, require_auth=True)
    monkeypatch.setenv("SSL_CERT_FILE", secured.ca_file or "")
    run(program, plain=plain.port, secured=secured.port, user="ann@example.com", password="pass", mailbox="b@x.example")
    (mail,) = [*plain.messages, *secured.messages]
    assert mail.recipients == ("b@x.example",) and mail.header("Subject") == "Hello"
    assert mail.username == ("ann@example.com" if mail.tls else None)
