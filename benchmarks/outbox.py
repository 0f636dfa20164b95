"""How many messages a second go into an outbox, and do look-ups and claims grow slower with what is in it?

Small text messages, built from their parts, put by one program while 1,000 and 100,000 others are pending; nothing is
sent. "full" is on the disk when `send` returns, "normal" is safe from the death of the program and not from a loss of
power. A claim takes 100 mails with their contents, as a worker does; a settlement writes down that they were sent.
Microseconds are the median of ten rounds of 50 look-ups each, of five claims and settlements, and of ten rounds of ten
looks at what is next.
"""

from __future__ import annotations

import json

from harness import Bench
from peers import PYTHON, run, say
from report import Claim, Question, Section, Table, show

FEW, MANY = 1_000, 100_000
LONGEST = 300.0
OUTBOXES = {
    "memory": "MemoryOutbox()",
    "SQLite, full": "SQLiteOutbox(directory + '/outbox.db')",
    "SQLite, normal": "SQLiteOutbox(directory + '/outbox.db', synchronous='normal')",
}
PROGRAM = """
import json, random, statistics, sys, tempfile, threading, time
from wlsmtp import MemoryOutbox, Message, SMTPSession, SQLiteOutbox, Status
from wlsmtp.io.blocking import run

def message(number):
    text = "Your order is on its way. " * 12
    return Message(sender="a@example.com", to="b@example.com", subject=f"Order {number}", text=text)

def rate(count, work):
    start = time.perf_counter()
    work()
    return count / (time.perf_counter() - start)

def microseconds(rounds, count, work):
    times = [1e6 / rate(count, lambda: [work() for _ in range(count)]) for _ in range(rounds)]
    return statistics.median(times)

def in_threads(count, work):
    threads = [threading.Thread(target=lambda: [work() for _ in range(count // 8)]) for _ in range(8)]
    for thread in threads: thread.start()
    for thread in threads: thread.join()

with tempfile.TemporaryDirectory() as directory:
    outbox = {outbox}
    session = SMTPSession("localhost", mode="async", outbox=outbox, outbox_worker=False)
    # Due at once, so that claims find them: nobody sends them, as there is no worker.
    receipts = list(session.send_many([message(number) for number in range({pending})]))
    ids = [receipt.id for receipt in random.Random(1).sample(receipts, 500)]
    found = dict(
        one=rate({count}, lambda: [session.send(message(number)) for number in range({count})]),
        threads=rate({count}, lambda: in_threads({count}, lambda: session.send(message(1)))),
        many=rate({count}, lambda: list(session.send_many([message(number) for number in range({count})]))),
    )
    rest = iter(ids)
    found["status"] = microseconds(10, 50, lambda: session.status(next(rest)))
    claimed = []
    found["claim"] = microseconds(5, 1, lambda: claimed.extend(run(outbox.claim("me", 100)))) / 100
    now = time.time()
    done = [entry.ends(now, entry.receipt.changed(status=Status.SENT)) for entry in claimed]
    batches = iter([done[start:start + 100] for start in range(0, 500, 100)])
    found["settle"] = microseconds(5, 1, lambda: run(outbox.settle("me", next(batches)))) / 100
    found["agenda"] = microseconds(10, 10, lambda: run(outbox.agenda()))
    print(json.dumps(found))
"""


def ask(bench: Bench) -> Section:
    figures: dict[tuple[str, int], dict[str, float]] = {}
    many, count = bench.count(MANY), bench.count(2_000, 800)
    for name, outbox in OUTBOXES.items():
        for pending in (FEW, many):
            say(f"outbox: {name}, {pending:,} pending")
            program = PROGRAM.replace("{outbox}", outbox).replace("{pending}", str(pending))
            command = [PYTHON, "-c", program.replace("{count}", str(count))]
            figures[name, pending] = json.loads(run(command, "outbox", LONGEST).splitlines()[-1])
    section = Section("Outbox", (__doc__ or "").strip())
    puts = [_row(key, found, ("one", "threads", "many"), "{:,.0f}") for key, found in figures.items()]
    looks = [_row(key, found, ("status", "claim", "settle", "agenda"), "{:,.1f}") for key, found in figures.items()]
    heads = ("outbox", "pending")
    section.tables = [
        Table("Messages put a second", (*heads, "send", "send, 8 threads", "send_many(list)"), puts),
        Table("Microseconds", (*heads, "status(id)", "claim, a mail", "settle, a mail", "next due"), looks),
    ]
    durable = figures["SQLite, full", many]
    section.claims = [
        _claim("Messages put a second, on the disk", 5_000, durable["many"]),
        *(
            _flat(f"{what}: {many:,} pending against {FEW:,}", figures["SQLite, full", FEW][name], durable[name])
            for name, what in {"status": "Looking up a status", "claim": "Claiming"}.items()
        ),
    ]
    return section


def _row(key: tuple[str, int], found: dict[str, float], names: tuple[str, ...], form: str) -> tuple[str, ...]:
    return (key[0], f"{key[1]:,}", *(form.format(found[name]) for name in names))


def _claim(what: str, wanted: float, found: float) -> Claim:
    return Claim(what, f">= {wanted:,.0f}", f"{found:,.0f}", found >= wanted)


def _flat(what: str, few: float, many: float) -> Claim:
    return Claim(what, "<= 2 x", f"{many / few:.2f} x", many / few <= 2)


question: Question = ask

if __name__ == "__main__":
    show(question)
