"""Programs that stand in for sendmail: the envelope that they send is the one that they got."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

import wlsmtp
from tests.worlds import World
from wlsmtp import RetryPolicy
from wlsmtp.testing import SMTPServer
from wlsmtp.transports import SendmailTransport

from .namespace import UNPACKED

MESSAGE = b"From: ann@example.test\r\nSubject: x\r\n\r\nx\r\n"


def msmtp(server: SMTPServer, folder: Path) -> list[str]:
    (folder / "msmtprc").write_text(f"account default\nhost {server.host}\nport {server.port}\n")
    (folder / "msmtprc").chmod(0o600)
    return [str(UNPACKED / "msmtpd-1.8/usr/bin/msmtp"), "-C", str(folder / "msmtprc")]


def esmtp(server: SMTPServer, folder: Path) -> list[str]:
    (folder / ".esmtprc").write_text(f"hostname = {server.host}:{server.port}\n")
    (folder / ".esmtprc").chmod(0o600)
    return [str(UNPACKED / "esmtp-1.2/usr/sbin/sendmail")]


def dma(_server: SMTPServer, _folder: Path) -> list[str]:
    return [str(UNPACKED / "dma-0.13/usr/sbin/sendmail")]


def ssmtp(server: SMTPServer, folder: Path) -> list[str]:
    (folder / "ssmtp.conf").write_text(f"mailhub={server.host}:{server.port}\nFromLineOverride=YES\n")
    return [str(UNPACKED / "ssmtp-2.64/usr/sbin/sendmail"), f"-C{folder / 'ssmtp.conf'}"]


Program = Callable[[SMTPServer, Path], list[str]]


@pytest.fixture
def transport(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SendmailTransport:
    program, server = request.param, request.getfixturevalue("server")
    words = program(server, tmp_path)
    if not Path(words[0]).exists():
        reason = f"missing: {words[0]} (scripts/unpack-test-servers.sh unpacks it)"
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(reason)
    folder = UNPACKED / Path(words[0]).relative_to(UNPACKED).parts[0]
    monkeypatch.setenv("LD_LIBRARY_PATH", ":".join(map(str, (folder / "usr/lib").glob("*-linux-gnu"))))
    monkeypatch.setenv("HOME", str(tmp_path))
    return SendmailTransport(words[0], words[1:])


@pytest.fixture
def server() -> SMTPServer:
    return SMTPServer()


@pytest.mark.parametrize("sender", ["", "ann@example.test"])
@pytest.mark.parametrize("transport", [msmtp, esmtp], indirect=True, ids=["msmtp", "esmtp"])
def test_the_sender_of_the_envelope_arrives(
    world: World, server: SMTPServer, transport: SendmailTransport, sender: str
) -> None:
    with server, world.session(transport=transport, retry=RetryPolicy(attempts=1)) as session:
        assert session.send(MESSAGE, sender=sender, recipients=["bob@example.org", "cleo@example.org"])
    (mail,) = server.messages
    assert mail.sender == sender and sorted(mail.recipients) == ["bob@example.org", "cleo@example.org"]


@pytest.mark.parametrize("transport", [dma, ssmtp], indirect=True, ids=["dma", "ssmtp"])
def test_programs_that_know_no_null_sender_are_recognised(
    world: World, server: SMTPServer, transport: SendmailTransport
) -> None:
    with (
        server,
        world.session(transport=transport) as session,
        pytest.raises(wlsmtp.ExtensionMissing, match="null sender"),
    ):
        session.send(MESSAGE, sender="", recipients="bob@example.org")
    assert not server.messages


@pytest.mark.parametrize("transport", [ssmtp], indirect=True, ids=["ssmtp"])
def test_ssmtp_takes_the_sender_from_the_header(world: World, server: SMTPServer, transport: SendmailTransport) -> None:
    """As the docs say; should it learn to take the one that it is given, the docs change."""
    with server, world.session(transport=transport) as session:
        assert session.send(MESSAGE, sender="bounces@example.test", recipients="bob@example.org")
    assert [mail.sender for mail in server.messages] == ["ann@example.test"]
