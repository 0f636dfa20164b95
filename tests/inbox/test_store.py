"""What is kept, found and deleted."""

from __future__ import annotations

import multiprocessing
import sqlite3
import stat
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from operator import attrgetter
from pathlib import Path
from typing import Any

import pytest

from wlsmtp import ConfigError, Message, SMTPSession
from wlsmtp.inbox import Inbox, Store, core
from wlsmtp.inbox.store import Facts
from wlsmtp.inbox.transport import InboxTransport, share

ANN, BOB = "ann@example.com", "bob@example.org"


def fill(store: Store) -> None:
    for subject, text, to in [
        ("Your invoice", "Please pay 12 euros.", "bob+bills@example.org"),
        ("Grüße aus Köln", "Ein schöner Tag am Rhein", BOB),
        ("你好", "我们明天见", "cleo@example.net"),
    ]:
        store.add(bytes(Message(f"Ann Example <{ANN}>", to, subject=subject, text=text)), Facts(ANN, (to,)))
    files = Message(
        ANN, BOB, subject="Files", text="attached", attachments=[("a.csv", b"1,2")], headers={"X-Tag": "Q2, done"}
    )
    store.add(bytes(files), Facts(ANN, (BOB, "hidden@example.org")))
    store.set_read(True, [store.find()[0].id])


@pytest.fixture(scope="module")
def store() -> Store:
    store = Store()
    fill(store)
    return store


@pytest.mark.parametrize(
    ("query", "subjects"),
    [
        ("", ["Files", "你好", "Grüße aus Köln", "Your invoice"]),
        ("invoice", ["Your invoice"]),
        ("EURO", ["Your invoice"]),
        ("subject:grüße", ["Grüße aus Köln"]),
        ("from:ann to:bob", ["Files", "Grüße aus Köln", "Your invoice"]),
        ("to:bob+bills@example.org", ["Your invoice"]),
        ("-to:bob", ["你好"]),
        ("!invoice is:unread", ["你好", "Grüße aus Köln"]),
        ("明天", ["你好"]),
        ("见", ["你好"]),
        ("天见", ["你好"]),
        ("IN", ["Grüße aus Köln", "Your invoice"]),
        ("subject:KÖ", ["Grüße aus Köln"]),
        ("subject:es", ["Files"]),
        ("from:zq", []),
        ('"a', ["Files", "你好", "Grüße aus Köln", "Your invoice"]),
        ('"schöner Tag"', ["Grüße aus Köln"]),
        ('"Tag schöner"', []),
        ("has:attachment", ["Files"]),
        ("a.csv", ["Files"]),
        ("tag:bills", ["Your invoice"]),
        ("tag:q2 tag:done is:tagged", ["Files"]),
        ("bcc:hidden", ["Files"]),
        ("addressed:cleo", ["你好"]),
        ("is:read", ["Files"]),
        ("larger:1M", []),
        ("smaller:1M after:2020-01-01 before:2099-01-01", ["Files", "你好", "Grüße aus Köln", "Your invoice"]),
        ("after:2099-01-01", []),
        ("after:never", []),
        ('"', ["Files", "你好", "Grüße aus Köln", "Your invoice"]),
        ("100%_", []),
        ('from:" OR 1=1 --', []),
        ("NEAR( AND *", []),
    ],
)
def test_search(store: Store, query: str, subjects: list[str]) -> None:
    assert [entry.summary["subject"] for entry in store.find(query)] == subjects
    assert store.count(query)[0] == len(subjects)
    assert store.page(query, 1, 2) == (store.find(query, 1, 2), store.count(query))


def test_the_oldest_go_when_there_is_no_more_room() -> None:
    store = Store(max_messages=3)
    for number in range(5):
        store.add(b"Subject: %d\r\n\r\n" % number, Facts())
    assert [entry.summary["subject"] for entry in store.find()] == ["4", "3", "2"]
    assert store.totals().dropped == 2 and store.count("0") == (0, 0)
    store = Store(max_octets=2500)
    for number in range(5):
        store.add(b"Subject: %d\r\n\r\n" % number + b"x" * 1000, Facts())
    assert [entry.summary["subject"] for entry in store.find()] == ["4", "3"]
    large = store.add(b"\r\n" + b"x" * 5000, Facts())
    assert [entry.id for entry in store.find()] == [large.id]


def test_a_file_survives_and_belongs_to_its_owner(tmp_path: Path) -> None:
    path = tmp_path / "inbox.db"
    with Store(path) as store:
        fill(store)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with Store(path) as store:
        assert store.count("invoice") == (1, 1)
    with pytest.raises(ConfigError, match="cannot be used"):
        Store(tmp_path / "missing" / "inbox.db")
    path.write_bytes(b"no database" * 1000)
    with pytest.raises(ConfigError, match="cannot be used"):
        Store(path)


def _send(path: Path) -> None:
    with SMTPSession.from_url(f"inbox://{path}") as session:
        session.send(Message(ANN, BOB, subject="From another process", text="Hello"))


def test_a_file_is_shared_by_processes(tmp_path: Path) -> None:
    path = tmp_path / "inbox.db"
    with Inbox(path) as inbox:
        before = inbox.store.revision()
        process = multiprocessing.get_context("spawn").Process(target=_send, args=(path,))
        process.start()
        assert inbox.wait_for(BOB, timeout=30).subject == "From another process"
        process.join()
        assert process.exitcode == 0 and inbox.store.revision() != before


def test_threads_write_and_read_at_once(tmp_path: Path) -> None:
    with Store(tmp_path / "inbox.db") as one, Store(tmp_path / "inbox.db") as other:

        def add(store: Store) -> None:
            for _ in range(20):
                store.add(b"Subject: x\r\n\r\n", Facts())
                store.find("subject:xxx")

        threads = [threading.Thread(target=add, args=(store,)) for store in (one, other) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert one.totals().messages == other.totals().messages == 120


def test_a_new_file_waits_for_the_other_that_opens_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = sqlite3.connect(tmp_path / "inbox.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")  # as one that changes the mode of the file; SQLite fails at once then
    with monkeypatch.context() as patch:
        patch.setattr("wlsmtp.inbox.store.time.sleep", lambda seconds: other.execute("COMMIT"))
        with Store(tmp_path / "inbox.db") as store:
            fill(store)
    other.close()


@pytest.mark.parametrize("is_kept", [True, False], ids=["file", "memory"])
def test_threads_that_begin_at_once_share_one_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_kept: bool
) -> None:
    meeting, stores = threading.Barrier(2), []

    class SlowStore(Store):
        def __init__(self, path: str | None = None) -> None:
            with suppress(threading.BrokenBarrierError):
                meeting.wait(0.2)  # for a second one; there must be none
            super().__init__(path)

    monkeypatch.setattr("wlsmtp.inbox.transport.Store", SlowStore)
    before = share(None)
    try:
        transport = InboxTransport(str(tmp_path / "inbox.db") if is_kept else None)
        threads = [threading.Thread(target=lambda: stores.append(transport.store)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(stores) == 8 and len(set(stores)) == 1
        stores[0].close()
    finally:
        share(before)


@pytest.mark.parametrize(("url", "starts"), [("url", "InboxServer"), ("web_url", "Inbox.web_server")])
def test_threads_that_ask_for_a_url_at_once_get_one_server(
    monkeypatch: pytest.MonkeyPatch, url: str, starts: str
) -> None:
    meeting = threading.Barrier(2)
    start: Callable[..., Any] = attrgetter(starts)(core)

    def slow(*args: Any, **options: Any) -> Any:
        with suppress(threading.BrokenBarrierError):
            meeting.wait(0.2)  # for a second one; there must be none
        return start(*args, **options)

    with Inbox(store=Store()) as inbox, ThreadPoolExecutor(4) as threads:
        _ = inbox.asgi
        monkeypatch.setattr(f"wlsmtp.inbox.core.{starts}", slow)
        found = [future.result() for future in [threads.submit(getattr, inbox, url) for _ in range(4)]]
    assert len(set(found)) == 1 and meeting.broken
    inbox.store.close()


def test_tags(store: Store) -> None:
    own = Store()
    fill(own)
    ids = [entry.id for entry in own.find("has:attachment")]
    own.set_tags(ids, ["new <b>", "new b", ""])
    assert own.tags() == {"bills": 1, "new b": 1}
    own.rename_tag("new b", "bills")
    assert own.tags() == {"bills": 2}
    own.rename_tag("bills", None)
    assert own.tags() == {} and own.totals().messages == 4
    own.delete(None, "invoice")
    own.delete([])
    assert own.totals().messages == 3
    own.delete()
    assert own.totals().messages == 0
