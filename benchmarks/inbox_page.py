"""The inbox: how soon is a mail visible in the open page, and what do 10,000 messages cost?

The page is open in a real Chromium on the same machine. The clock starts when the client has the server's 250 to the
content, and stops when the browser has put the message into the list. Searches are asked by HTTP, as the page asks
them, of 10,000 messages of 2 kB in memory. The store's limit is 10,000 messages, so that later ones push out the first.
"""

from __future__ import annotations

import contextlib
import gc
import importlib.metadata
import statistics
import sys
import time
import urllib.request
from pathlib import Path
from urllib.parse import quote

from harness import Bench
from peers import HERE, Unavailable, say
from report import Claim, Question, Section, Table, show

sys.path.insert(0, str(HERE.parent))

from tests.inbox.browser import Browser, what_is_missing
from wlsmtp import Message, SMTPSession
from wlsmtp.inbox import Inbox, Store
from wlsmtp.inbox.store import Facts

MESSAGES = 10_000
MAILS = 30
QUERIES = (
    "invoice",
    "from:ann",
    "subject:4711",
    "to:user77",
    "-invoice",
    "has:attachment",
    "ab",
    "nowhere to be found",
)
EXTRA = ("starlette", "uvicorn", "anyio", "idna", "h11", "click", "typing_extensions")
WATCH = """
    window.seen = {};
    new MutationObserver(() => {
        const subject = document.querySelector('.row .subject')?.textContent;
        if (subject && !(subject in window.seen)) window.seen[subject] = performance.timeOrigin + performance.now();
    }).observe(document.querySelector('#rows'), {childList: true, subtree: true});
"""


def resident() -> float:
    """MB of memory that this process has."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096 / 1e6


def visible(bench: Bench) -> list[float]:
    """Milliseconds from the 250 to the page, for each of some mails."""
    if (reason := what_is_missing()) is not None:
        raise Unavailable(reason)
    browser, found = Browser(), []
    try:
        with Store() as store, Inbox(store=store) as inbox, SMTPSession.from_url(inbox.url) as session:
            browser.open(inbox.web_url)
            browser.wait("document.querySelector('.live.on')")
            browser.run(WATCH)
            for number in range(MAILS):
                session.send(Message("ann@example.com", "bob@example.org", subject=f"number {number}", text="Hello"))
                answered = time.time() * 1000
                seen = browser.wait(f"window.seen['number {number}']")
                found.append(seen - answered)
    finally:
        browser.close()
    return found


def fill(store: Store, count: int) -> None:
    words = "The invoice of this month is attached, with all that was ordered and sent. " * 26
    for number in range(count):
        head = f"From: Ann <ann@example.com>\r\nTo: user{number}@example.org\r\nSubject: Order {number}\r\n\r\n"
        store.add(f"{head}{words}\r\n".encode(), Facts("ann@example.com", (f"user{number}@example.org",)))


def ask(bench: Bench) -> Section:
    section = Section("The inbox", (__doc__ or "").strip())
    say("inbox: visible in the page")
    try:
        times = visible(bench)
        rows = [("250 to visible", f"{statistics.median(times):.0f}", f"{max(times):.0f}", str(len(times)))]
        claim = Claim(
            "A mail is visible in the open page",
            "< 300 ms after the 250",
            f"{max(times):.0f} ms at most",
            max(times) < 300,
        )
    except Unavailable as error:
        rows, claim = [], Claim("A mail is visible in the open page", "< 300 ms after the 250", str(error), None)
    section.tables.append(Table("In the page", ("what", "median ms", "longest ms", "mails"), rows))
    section.claims.append(claim)
    _volume(bench, section)
    size = extra_size() / 1e6
    section.claims.append(Claim("Installed size of the extra", "< 10 MB", f"{size:.1f} MB", size < 10))
    return section


def _volume(bench: Bench, section: Section) -> None:
    count = MESSAGES // (10 if bench.quick else 1)
    say(f"inbox: {count} messages")
    with Store(max_messages=count) as store, Inbox(store=store) as inbox:
        gc.collect()
        before, started = resident(), time.perf_counter()
        fill(store, count)
        seconds, once = time.perf_counter() - started, resident()
        rows, slowest = [], 0.0
        for query in QUERIES:
            times = []
            for _ in range(10):
                begin = time.perf_counter()
                with urllib.request.urlopen(f"{inbox.web_url}api/v1/search?query={quote(query)}&limit=60") as answer:
                    answer.read()
                times.append((time.perf_counter() - begin) * 1000)
            rows.append((query, str(store.count(query)[0]), f"{statistics.median(times):.1f}", f"{max(times):.1f}"))
            slowest = max(slowest, statistics.median(times))
        for _ in range(4):
            fill(store, count)
        later = resident()
    section.tables.append(
        Table(f"Searches in {count:,} messages", ("search", "found", "median ms", "longest ms"), rows)
    )
    if not bench.quick:
        memory = [("10,000 messages of 2 kB", f"{once - before:.0f}"), ("and 40,000 more", f"{later - before:.0f}")]
        section.tables.append(Table("Memory", ("what", "MB"), memory, [f"stored at {count / seconds:,.0f} messages/s"]))
        times = (later - before) / (once - before)
        words = "< 3 times that of 10,000 once 50,000 went through"
        section.claims.append(Claim("Memory is bounded", words, f"{times:.1f} times", times < 3))
    section.claims.append(
        Claim("A search in 10,000 messages", "< 100 ms", f"{slowest:.0f} ms, the slowest", slowest < 100)
    )


def extra_size() -> int:
    """Octets that ``pip install "wlsmtp[inbox]"`` adds to wlsmtp: the files of these packages."""
    octets = 0
    for name in EXTRA:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            for file in importlib.metadata.files(name) or ():
                path = Path(str(file.locate()))
                octets += path.stat().st_size if path.is_file() else 0
    return octets


question: Question = ask

if __name__ == "__main__":
    show(question)
