"""Every transport of this package keeps the contract."""

from __future__ import annotations

import json
import mailbox
import re
import sys
from collections.abc import Iterator, Sequence
from io import StringIO
from pathlib import Path

import pytest

from wlsmtp import Transport
from wlsmtp.inbox import Inbox, InboxTransport, Store
from wlsmtp.testing import SMTPServer
from wlsmtp.testing.transport_contract import TransportContract
from wlsmtp.transports.by_domain import ByDomainTransport
from wlsmtp.transports.combine import FailoverTransport, RoundRobinTransport
from wlsmtp.transports.console import ConsoleTransport
from wlsmtp.transports.directory import EmlTransport, MaildirTransport
from wlsmtp.transports.memory import MemoryTransport, NullTransport, StoredMessage
from wlsmtp.transports.sendmail import SendmailTransport

NOWHERE = "smtp://127.0.0.1:1"

# The arguments and the input of a sendmail program, written where the test can read them.
PROGRAM = """\
import json, sys, uuid, pathlib
words = sys.argv[1:]
end = words.index("--")
content = sys.stdin.buffer.read().decode("latin-1")
sender = words[words.index("-f") + 1]
told = {"options": words[:end], "sender": sender, "recipients": words[end + 1:], "content": content}
pathlib.Path(__file__).with_name(uuid.uuid4().hex + ".json").write_text(json.dumps(told))
"""


def unwrapped(data: bytes) -> StoredMessage:
    """A file of a directory, taken apart again into envelope and content."""
    sender = re.match(rb"Return-Path: <(.*)>\r\n", data)
    assert sender
    recipients, end = [], sender.end()
    while recipient := re.compile(rb"Delivered-To: (.*)\r\n").match(data, end):
        recipients.append(recipient[1].decode())
        end = recipient.end()
    return StoredMessage(sender[1].decode(), tuple(recipients), data[end:])


class NeverFails(TransportContract):
    test_a_failure_is_told_and_not_raised = None  # type: ignore[assignment]


class TestMemory(NeverFails):
    def make(self, directory: Path) -> Transport | str:
        return "memory:"

    def delivered(self, transport: Transport, directory: Path) -> Sequence[StoredMessage]:
        assert isinstance(transport, MemoryTransport)
        return transport.messages


class TestInbox(TransportContract):
    def make(self, directory: Path) -> Transport | str:
        return f"inbox://{directory}/inbox.db"

    def make_failing(self, directory: Path) -> Transport | str:
        return InboxTransport(store=closed_store())

    def delivered(self, transport: Transport, directory: Path) -> Sequence[StoredMessage]:
        with Inbox(f"{directory}/inbox.db") as inbox:
            return [StoredMessage(mail.sender, mail.recipients, mail.raw) for mail in inbox.messages]


def closed_store() -> Store:
    store = Store()
    store.close()
    return store


class TestNull(NeverFails):
    def make(self, directory: Path) -> Transport | str:
        return NullTransport()


class TestConsole(TransportContract):
    def make(self, directory: Path) -> Transport | str:
        return ConsoleTransport(StringIO())

    def make_failing(self, directory: Path) -> Transport | str:
        (closed := StringIO()).close()
        return ConsoleTransport(closed)


class TestMaildir(TransportContract):
    def make(self, directory: Path) -> Transport | str:
        return f"maildir://{directory}/box"

    def make_failing(self, directory: Path) -> Transport | str:
        (directory / "a file").touch()
        return MaildirTransport(directory / "a file")

    def delivered(self, transport: Transport, directory: Path) -> Sequence[StoredMessage]:
        assert not list((directory / "box" / "tmp").iterdir())
        # The standard library's reader is an independent judge of a Maildir.
        box = mailbox.Maildir(directory / "box", factory=None, create=False)
        return [unwrapped(box.get_bytes(key).replace(b"\n", b"\r\n")) for key in box.keys()]  # noqa: SIM118


class TestEml(TransportContract):
    def make(self, directory: Path) -> Transport | str:
        return f"eml://{directory}/out"

    def make_failing(self, directory: Path) -> Transport | str:
        (directory / "a file").touch()
        return EmlTransport(directory / "a file" / "below")

    def delivered(self, transport: Transport, directory: Path) -> Sequence[StoredMessage]:
        assert {path.suffix for path in (directory / "out").iterdir()} <= {".eml"}
        return [unwrapped(path.read_bytes()) for path in (directory / "out").iterdir()]


class TestSendmail(TransportContract):
    def make(self, directory: Path) -> Transport | str:
        (directory / "program.py").write_text(PROGRAM)
        return SendmailTransport(sys.executable, [str(directory / "program.py")])

    def make_failing(self, directory: Path) -> Transport | str:
        return "sendmail:///no/such/program"

    def delivered(self, transport: Transport, directory: Path) -> Sequence[StoredMessage]:
        told = [json.loads(path.read_text()) for path in directory.glob("*.json")]
        assert all("-i" in one["options"] for one in told)
        return [
            StoredMessage(
                one["sender"].removeprefix("<>"), tuple(one["recipients"]),
                one["content"].encode("latin-1").replace(b"\n", b"\r\n"),
            )
            for one in told
        ]  # fmt: skip


class OverSMTP(TransportContract):
    """Contracts of what ends at SMTP servers."""

    @pytest.fixture(autouse=True)
    def servers(self) -> Iterator[None]:
        with SMTPServer() as self.one, SMTPServer() as self.two:
            yield

    def delivered(self, transport: Transport, directory: Path) -> Sequence[StoredMessage]:
        received = [*self.one.messages, *self.two.messages]
        return [StoredMessage(message.sender, message.recipients, message.content) for message in received]


class TestSMTP(OverSMTP):
    def make(self, directory: Path) -> Transport | str:
        return self.one.url

    def make_failing(self, directory: Path) -> Transport | str:
        return NOWHERE


class TestFailover(OverSMTP):
    def make(self, directory: Path) -> Transport | str:
        return f"failover({NOWHERE}, {self.one.url})"

    def make_failing(self, directory: Path) -> Transport | str:
        return FailoverTransport(NOWHERE, NOWHERE)


class TestRoundRobin(OverSMTP):
    def make(self, directory: Path) -> Transport | str:
        return f"roundrobin(2*{self.one.url}, {NOWHERE}, {self.two.url})"

    def make_failing(self, directory: Path) -> Transport | str:
        return RoundRobinTransport(NOWHERE, NOWHERE)


class TestByDomain(OverSMTP):
    def make(self, directory: Path) -> Transport | str:
        return f"by_domain(example.edu={self.two.url}, *={self.one.url})"

    def make_failing(self, directory: Path) -> Transport | str:
        return ByDomainTransport({"example.edu": self.two.url})
