"""What does an outbox in PostgreSQL cost, and does it stay quick when it is large, or when somebody keeps a snapshot?

Small text messages, put and claimed by one program over a unix socket; the database keeps its default durability, as
SQLite does with `synchronous=full` in the same run. A claim takes 100 messages with their contents, a settlement writes
down that they were sent; what filled the tables has been written to the disk before. The held snapshot is a transaction
of others, such as a nightly dump: PostgreSQL cannot forget a row that was changed since. "Without the start" is the
same claim looking at all that waits each time. The workers are processes whose transport takes 100 ms a message, which
is what a conversation without PIPELINING takes at 20 ms. The shared rate (`pace`) is that of four processes together,
behind the first hundred messages; each message waits for the disk twice.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from harness import Bench
from peers import PYTHON, run, say
from report import Claim, Question, Section, Table, show

sys.path.insert(0, str(Path(__file__).parent / "servers"))
from postgresql import postgresql

FEW, MANY, HELD = 1_000, 1_000_000, 500_000
LONGEST = 3600.0
COMMON = """
import json, os, statistics, subprocess, sys, time
import psycopg
from wlsmtp import Message, PostgresOutbox, SMTPSession, SQLiteOutbox, Status

def message(number):
    text = "Your order is on its way. " * 12
    return Message(sender="a@example.com", to="b@example.com", subject=f"Order {number}", text=text)

def put(outbox, count):
    with SMTPSession("localhost", mode="async", outbox=outbox, outbox_worker=False) as session:
        session.outbox_statistics()
        start = time.perf_counter()
        session.send_all([message(number) for number in range(count)])
        return count / (time.perf_counter() - start)

def multiply(url, schema, count):
    with psycopg.connect(url, autocommit=True) as connection:
        columns = ("key, status, priority, due, owner, set_aside, created, expires, finished, sender, options, waiting,"
                   "size, traits, attempts, interruptions, receipt")
        of_each = columns.replace("due", "due + number * 1e-6")
        id, numbers = "lpad(to_hex(number), 32, '0')", f"generate_series(1, {count}) AS number"
        connection.execute(f"INSERT INTO {schema}.mails (id, {columns}) SELECT {id}, {of_each} "
                           f"FROM (SELECT * FROM {schema}.mails LIMIT 1) AS one, {numbers}")
        connection.execute(f"INSERT INTO {schema}.contents SELECT {id}, 0, octets "
                           f"FROM (SELECT * FROM {schema}.contents LIMIT 1) AS one, {numbers}")
        connection.execute(f"VACUUM ANALYZE {schema}.mails")
        connection.execute(f"VACUUM ANALYZE {schema}.contents")
        connection.execute("CHECKPOINT")
    os.sync()

def opened(url, schema):
    outbox = PostgresOutbox(url, schema=schema)
    io = outbox.io = SMTPSession._io()
    io.run_blocking(outbox.open())
    return outbox, io.run_blocking

def turn(outbox, play):
    start = time.perf_counter()
    claimed = play(outbox.claim("me", 100))
    now = time.time()
    play(outbox.settle("me", [one.ends(now, one.receipt.changed(status=Status.SENT)) for one in claimed]))
    return (time.perf_counter() - start) * 1e6 / max(1, len(claimed)), len(claimed)
"""
PUTS = (
    COMMON
    + """
import tempfile
url, count = sys.argv[1], int(sys.argv[2])
with tempfile.TemporaryDirectory() as directory:
    sqlite = put(SQLiteOutbox(directory + "/outbox.db"), count)
print(json.dumps({"SQLite, full": sqlite, "PostgreSQL": put(PostgresOutbox(url, schema="puts"), count)}))
"""
)
TURNS = (
    COMMON
    + """
url, count = sys.argv[1], int(sys.argv[2])
schema = f"turns_{count}"
put(PostgresOutbox(url, schema=schema), 1)
multiply(url, schema, count + 24 * 100)  # so that as many are pending at the end
outbox, play = opened(url, schema)
times = [turn(outbox, play)[0] for _ in range(24)][3:]
play(outbox.close())
print(json.dumps(statistics.median(times)))
"""
)
SNAPSHOT = (
    COMMON
    + """
url, count, cured = sys.argv[1], int(sys.argv[2]), sys.argv[3] == "cured"
schema = f"held_{cured}".lower()
put(PostgresOutbox(url, schema=schema), 1)
multiply(url, schema, count)
outbox, play = opened(url, schema)
with psycopg.connect(url) as holder:
    holder.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
    holder.execute(f"SELECT count(*) FROM {schema}.mails")
    times, done = [], 0
    while done < count:
        if not cured:
            outbox._starts = {}
        spent, claimed = turn(outbox, play)
        times.append(spent)
        done += claimed
        if not claimed:
            break
play(outbox.close())
tenth = max(1, len(times) // 10)
first, last = times[1:1 + tenth], times[-tenth:]
print(json.dumps([statistics.median(first), statistics.median(last), statistics.mean(first), statistics.mean(last)]))
"""
)
WORKER = (
    COMMON
    + """
from wlsmtp import MemoryTransport

class Slow(MemoryTransport):
    async def deliver(self, envelope, content, deadlines):
        await self.io.sleep(0.1)
        return await super().deliver(envelope, content, deadlines)

with SMTPSession(transport=Slow(), mode="async", outbox=sys.argv[1]) as session:
    session.outbox_statistics()
    session.open()
    print("ready", flush=True)
    sys.stdin.readline()
    session.close(drain=False)
"""
)
WORKERS = (
    COMMON
    + """
url, count, workers, program = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
outbox = f"{url}&schema=workers_{workers}"
put(outbox, 1)
command = [sys.executable, "-c", program, outbox]
started = [subprocess.Popen(command, stdin=-1, stdout=-1, text=True) for _ in range(workers)]
for one in started: one.stdout.readline()
with SMTPSession("localhost", mode="async", outbox=outbox, outbox_worker=False) as session:
    start = time.perf_counter()
    session.send_all([message(number) for number in range(count)])
    while session.outbox_statistics().sent < count + 1: time.sleep(0.05)
    took = time.perf_counter() - start
for one in started: one.communicate("stop\\n")
print(json.dumps(count / took))
"""
)
PACED_WORKER = (
    COMMON
    + """
from wlsmtp import MemoryTransport

pace = {"example.com": sys.argv[2]}
with SMTPSession(transport=MemoryTransport(), mode="async", outbox=sys.argv[1], pace=pace) as session:
    session.open()
    print("ready", flush=True)
    sys.stdin.readline()
    session.close(drain=False)
"""
)
PACED = (
    COMMON
    + """
url, rate, count, workers, program = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), sys.argv[5]
outbox = f"{url}&schema=paced"
command = [sys.executable, "-c", program, outbox, f"{rate}/second"]
started = [subprocess.Popen(command, stdin=-1, stdout=-1, text=True) for _ in range(workers)]
for one in started: one.stdout.readline()
with SMTPSession("localhost", mode="async", outbox=outbox, outbox_worker=False) as session:
    session.send_all([message(number) for number in range(count)])
    while session.outbox_statistics().sent < count: time.sleep(0.1)
with psycopg.connect(url) as connection:
    # Where the rate has settled, not what may be sent ahead.
    settled = "SELECT finished FROM paced.mails ORDER BY finished OFFSET 100"
    query = f"SELECT count(*) - 1, max(finished) - min(finished) FROM ({settled}) AS sent"
    others, took = connection.execute(query).fetchone()
for one in started: one.communicate("stop\\n")
print(json.dumps(others / took))
"""
)
PACE = 50
"""Messages a second that the workers together may send."""


def ask(bench: Bench) -> Section:
    many, held, puts = bench.count(MANY), bench.count(HELD), bench.count(20_000)

    def answer(program: str, *arguments: object) -> object:
        words = [PYTHON, "-c", program, *map(str, arguments)]
        return json.loads(run(words, "outbox_postgres", LONGEST).splitlines()[-1])

    with postgresql() as url:
        say("outbox_postgres: puts")
        rates = answer(PUTS, url, puts)
        say(f"outbox_postgres: claims with {FEW:,} and {many:,} pending")
        small, large = answer(TURNS, url, FEW), answer(TURNS, url, many)
        say(f"outbox_postgres: {held:,} messages through a held snapshot")
        cured, bare = answer(SNAPSHOT, url, held, "cured"), answer(SNAPSHOT, url, held // 10, "bare")
        say("outbox_postgres: workers")
        one, eight = answer(WORKERS, url, 60, 1, WORKER), answer(WORKERS, url, 480, 8, WORKER)
        say("outbox_postgres: a rate that 4 workers share")
        shared = answer(PACED, url, PACE, 600, 4, PACED_WORKER)
    assert isinstance(rates, dict) and isinstance(cured, list) and isinstance(bare, list)
    assert isinstance(small, float) and isinstance(large, float) and isinstance(one, float) and isinstance(eight, float)
    assert isinstance(shared, float)
    section = Section("Outbox in PostgreSQL", (__doc__ or "").strip())
    snapshots = [(f"{held:,}", "from the last", cured), (f"{held // 10:,}", "without the start", bare)]
    section.tables = [
        Table("Messages put a second, in lists", ("outbox", "rate"), [(k, f"{v:,.0f}") for k, v in rates.items()]),
        Table(
            "Claim and settle, microseconds a message", ("pending", "time"),
            [(f"{FEW:,}", f"{small:,.1f}"), (f"{many:,}", f"{large:,.1f}")],
        ),
        Table(
            "The same through a held snapshot, first and last tenth",
            ("messages", "claims", "first, median", "last, median", "first, mean", "last, mean"),
            [(count, how, *(f"{time:,.1f}" for time in found)) for count, how, found in snapshots],
        ),
        Table(
            "Messages sent a second, 100 ms each", ("workers", "rate"),
            [("1", f"{one:,.1f}"), ("8", f"{eight:,.1f}")],
        ),
        Table(
            "Messages sent a second by 4 workers that share a rate", ("rate", "found"),
            [(f"{PACE}/second", f"{shared:,.1f}")],
        ),
    ]  # fmt: skip
    section.claims = [
        _claim("Puts in lists, against SQLite, full", ">=", 1.5, rates["PostgreSQL"] / rates["SQLite, full"]),
        _claim(f"Claim and settle: {many:,} pending against {FEW:,}", "<=", 1.5, large / small),
        _claim("The last tenth of a held snapshot against the first (mean)", "<=", 2.0, cured[3] / cured[2]),
        _claim("8 workers against one", ">=", 7.0, eight / one),
        Claim("A rate that 4 workers share", "<= 5 % off", f"{shared / PACE - 1:+.1%}", abs(shared / PACE - 1) <= 0.05),
    ]
    return section


def _claim(what: str, sign: str, wanted: float, found: float) -> Claim:
    return Claim(what, f"{sign} {wanted} x", f"{found:.2f} x", found >= wanted if sign == ">=" else found <= wanted)


question: Question = ask

if __name__ == "__main__":
    show(question)
