"""The page about PGP, with the program gpg."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pytest

from wlsmtp import AsyncSMTPSession, Message, MessageError, SMTPSession
from wlsmtp.testing import SMTPServer

from . import find_program

PAGE = Path(__file__).parents[2] / "docs" / "recipes" / "pgp.md"
EXAMPLES = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


@pytest.fixture(autouse=True)
def program() -> None:
    if find_program("gpg") is None:
        reason = "gpg is not installed: sh scripts/install-test-servers.sh (as root, on Debian)"
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(reason)


@pytest.mark.parametrize("example", EXAMPLES, ids=["encryption", "signature"])
def test_each_example_sends_what_gpg_reads(example: str) -> None:
    exec(compile(example, str(PAGE), "exec"), {})


async def _send(server: SMTPServer, hook: Any, message: Message) -> None:
    async with AsyncSMTPSession(server.host, server.port, before_send=hook) as session:
        await session.send(message)


def test_a_recipient_without_a_key_gets_nothing(tmp_path: Path) -> None:
    import asyncio

    import gnupg

    namespace: dict[str, Any] = {}
    exec(compile(EXAMPLES[0].partition("\nwith TemporaryDirectory")[0], str(PAGE), "exec"), namespace)
    hook = namespace["PGP"](gnupg.GPG(gnupghome=str(tmp_path)))
    message = Message("ann@example.com", "nobody@example.org", text="For your eyes only")
    with SMTPServer() as server:
        with (
            SMTPSession(server.host, server.port, before_send=hook) as session,
            pytest.raises(MessageError, match="gpg"),
        ):
            session.send(message)
        with pytest.raises(MessageError, match="gpg"):
            asyncio.run(_send(server, hook, message))
    assert not server.messages


def test_a_sender_without_a_key_is_not_signed_for_by_another(tmp_path: Path) -> None:
    import gnupg

    namespace: dict[str, Any] = {}
    exec(compile(EXAMPLES[1].partition("\nwith TemporaryDirectory")[0], str(PAGE), "exec"), namespace)
    gpg = gnupg.GPG(gnupghome=str(tmp_path))
    made = gpg.gen_key_input(name_email="ann@example.com", key_type="EDDSA", key_curve="ed25519", no_protection=True)
    assert gpg.gen_key(made)
    hook = namespace["PGPSignature"](gpg)
    with SMTPServer() as server, SMTPSession(server.host, server.port, before_send=hook) as session:
        assert session.send(Message("ann@example.com", "bob@example.org", text="Hello"))
        with pytest.raises(MessageError, match="gpg did not sign"):
            session.send(Message("eve@example.com", "bob@example.org", text="Hello"))
    assert [message.sender for message in server.messages] == ["ann@example.com"]
