"""Transports of other packages: the one of the documentation keeps the contract, and an entry point gives it a URL."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest

from tests.test_readme import FENCE, PAGES
from tests.worlds import World
from wlsmtp import (
    AsyncSMTPSession,
    ConfigError,
    MemoryTransport,
    Message,
    Receipt,
    RecipientStatus,
    SMTPError,
    SMTPSession,
    Status,
)
from wlsmtp.testing.transport_contract import TransportContract
from wlsmtp.transports import ByDomainTransport, EmlTransport, FailoverTransport

PAGE = next(page for page in PAGES if page.stem == "transports").read_text(encoding="utf-8")
EXAMPLE = next(block for block in FENCE.findall(PAGE) if "class JSONLinesTransport" in block)
TESTS = next(block for block in FENCE.findall(PAGE) if "class TestJSONLines" in block)

NAMESPACE: dict[str, Any] = {}
exec(compile(EXAMPLE + TESTS, "docs/guides/transports.md", "exec"), NAMESPACE)
Example: Any = NAMESPACE["TestJSONLines"]


class TestTheExample(Example, TransportContract):  # type: ignore[misc]
    pass


def test_the_example_leaves_no_part_of_a_message_when_the_file_cannot_grow(tmp_path: Path) -> None:
    limit = 2000
    code = f"""
import resource, signal
from wlsmtp import Message, SMTPSession
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))
session = SMTPSession(transport=JSONLinesTransport({str(tmp_path / "out.jsonl")!r}))
for size in (10, 3000, 20):
    message = Message(sender="ann@example.com", to="bob@example.org", text="x" * size)
    [receipt] = session.send_all([message])
    print(receipt.status)
"""
    run = subprocess.run([sys.executable, "-c", EXAMPLE + code], capture_output=True, text=True, timeout=60)
    assert (run.stdout, run.stderr) == ("sent\nerror\nsent\n", "")
    contents = [json.loads(line)["content"] for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [content.count("x" * 10) for content in contents] == [1, 2]


@pytest.mark.parametrize("face", ["SMTPSession", "AsyncSMTPSession"])
def test_an_entry_point_makes_its_name_a_scheme(tmp_path: Path, face: str) -> None:
    package = tmp_path / "site"
    (package / "example-1.0.dist-info").mkdir(parents=True)
    (package / "example.py").write_text(EXAMPLE)
    (package / "example-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: example\nVersion: 1.0\n")
    points = "[wlsmtp.transports]\njsonlines = example:JSONLinesTransport\n"
    (package / "example-1.0.dist-info" / "entry_points.txt").write_text(points)
    code = f"""
import asyncio, inspect, sys
sys.path.insert(0, {str(package)!r})
from wlsmtp import {face}, Message
async def wait(result): return await result
session = {face}.from_url("failover(jsonlines://{tmp_path}/out.jsonl)")
result = session.send(Message(sender="ann@example.com", to="bob@example.org", text="x"))
receipt = asyncio.run(wait(result)) if inspect.isawaitable(result) else result
print(receipt.status)
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (run.stdout, run.stderr) == ("sent\n", "")
    assert json.loads((tmp_path / "out.jsonl").read_text())["recipients"] == ["bob@example.org"]


class EndsEarly(MemoryTransport):
    """Reads two messages of a stream, reports one, and ends the stream."""

    async def deliver_many(
        self, mails: Any, deadlines: Any, connections: int | None = None
    ) -> AsyncGenerator[Any, None]:
        read = []
        async for mail in mails:
            read.append(mail)
            if len(read) == 2:
                break
        for first in read[:1]:
            yield [await self.deliver(first.envelope, first.content, deadlines())]


def test_a_stream_that_ends_early_leaves_no_message_unreported(world: World) -> None:
    messages = [Message(sender="ann@example.com", to=f"u{number}@example.org", text="x") for number in range(3)]
    receipts: list[Receipt] = []
    with world.session(transport=EndsEarly()) as session:
        with pytest.raises(SMTPError, match=r"EndsEarly ended the stream; the rest of the input was not sent"):
            for receipt in session.send_many(messages):
                receipts.append(receipt)  # noqa: PERF402 - kept when it raises
        assert [receipt.status for receipt in receipts] == [Status.SENT, Status.UNKNOWN]
        assert [result.status for result in receipts[1].recipients] == [RecipientStatus.UNKNOWN]
        assert (session.statistics().sent, session.statistics().unknown) == (1, 1)


def test_after_a_stream_that_ends_early_no_message_has_the_receipt_of_another(world: World) -> None:
    messages = [Message(sender="ann@example.com", to=f"u{number}@example.org", text="x") for number in range(4)]
    with world.session(transport=FailoverTransport(EndsEarly())) as session:
        receipts = list(session.send_many(messages))
    assert [receipt.status for receipt in receipts] == [Status.SENT, Status.UNKNOWN] * 2
    assert [receipt.message_id for receipt in receipts] == [message.message_id for message in messages]
    assert [receipt.recipients[0].address for receipt in receipts] == [f"u{number}@example.org" for number in range(4)]


def test_one_object_serves_several_sessions_of_one_kind(world: World, tmp_path: Path) -> None:
    transport = EmlTransport(tmp_path)
    with world.session(transport=transport) as one, world.session(transport=transport) as other:
        for session in (one, other, one):
            assert session.send(sender="ann@example.com", to="bob@example.org", text="x")
    assert len([*tmp_path.glob("*.eml")]) == 3


def test_one_object_does_not_serve_sessions_of_both_kinds(world: World) -> None:
    transport = MemoryTransport()
    other = AsyncSMTPSession if world.name == "blocking" else SMTPSession
    with world.session(transport=transport) as session:
        with pytest.raises(ConfigError, match="cannot serve a blocking session and one for asyncio"):
            other(transport=transport)
        assert session.send(sender="ann@example.com", to="bob@example.org", text="x")


def test_a_combination_belongs_to_one_session(world: World) -> None:
    member = MemoryTransport()
    transport = FailoverTransport(member, retry_after=5)
    with world.session(transport=transport) as session:
        with pytest.raises(ConfigError, match=r"this FailoverTransport belongs to another session\. Make one for each"):
            world.session(transport=transport)
        with world.session(transport=FailoverTransport(member)) as other:
            assert other.send(sender="ann@example.com", to="bob@example.org", text="x")
        assert session.send(sender="ann@example.com", to="bob@example.org", text="x")
    assert len(member.messages) == 2


def test_a_transport_that_a_session_has_refused_is_free_for_another(world: World) -> None:
    transport = ByDomainTransport({"*": "memory:"})
    with pytest.raises(ConfigError, match="partial"):
        world.session(transport=transport, partial="abort")
    with world.session(transport=transport) as session:
        assert session.send(sender="ann@example.com", to="bob@example.org", text="x")
