"""What does a distance of 20 or 100 ms cost on one connection, and what does the window change?

Messages of 2 KB, rendered beforehand, one connection through the delay proxy. A client that waits for each reply pays
four round trips a message (MAIL, RCPT, DATA, content); PIPELINING within a message makes that two, and across messages
one (RFC 2920); with CHUNKING (RFC 3030) a whole window of messages is on its way, and a message costs a round trip
divided by the window. The proxy does not delay the TCP handshake; greeting, EHLO and the like are delayed and count.
"""

from __future__ import annotations

from harness import ALL_EXTENSIONS, WITHOUT_CHUNKING, Bench, Contender, Outcomes
from peers import HERE, WORK
from plot import Curve, Plot
from report import Question, Section, Table, at_least, rates, show

WINDOWS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
WAITING = {"smtplib": "smtplib", "aiosmtplib": "aiosmtplib", "libESMTP": "libesmtp"}
MORE_AT_20 = {"pycurl": "pycurl", "smtp-source": "smtp_source", "Nodemailer": "nodemailer"}
BOTH_WORLDS = {"wlsmtp": "wlsmtp", "wlsmtp async": "wlsmtp_async"}
ROUNDS = 3
ENOUGH, LONG_RUN, LONG_CURVE = 15, 5000, 4000


def far(bench: Bench, extensions: tuple[str, ...], delay: int, waiting: int, streaming: int) -> Outcomes:
    """All clients at a distance from a sink with these extensions; those that wait for replies send fewer."""
    peers = WAITING | MORE_AT_20 if delay == 20 else WAITING
    contenders = [
        *(Contender(f"{name}, send_many", client, "many", streaming) for name, client in BOTH_WORLDS.items()),
        *(Contender(f"{name}, send", client, "rendered", waiting) for name, client in BOTH_WORLDS.items()),
        *(Contender(name, client, "rendered", waiting) for name, client in peers.items()),
    ]
    names = "CHUNKING" if "CHUNKING" in extensions else "PIPELINING only"
    with bench.sink(extensions) as sink, bench.delay(sink, delay) as line:
        return bench.compete(f"{delay} ms, {names}", contenders, sink, bench.rounds(ROUNDS), through=line)


def curve(bench: Bench) -> Outcomes:
    """Measure blocking and asyncio sessions at 20 ms, over the number of messages in flight."""
    contenders = [
        Contender(f"{name}, {window}", client, "many", messages_for(bench, window), options={"window": window})
        for window in WINDOWS
        for name, client in BOTH_WORLDS.items()
    ]
    with bench.sink() as sink, bench.delay(sink, 20) as line:
        return bench.compete("the window at 20 ms", contenders, sink, bench.rounds(ROUNDS), through=line)


def messages_for(bench: Bench, window: int) -> int:
    """Enough for some seconds with small windows, and for a few dozen round trips with large ones."""
    return min(bench.count(LONG_CURVE), bench.count(50 * window, at_least=2 * window))


def table_of(outcomes: Outcomes, base: float) -> Table:
    rows = []
    for window in WINDOWS:
        row = [str(window)]
        for name in BOTH_WORLDS:
            outcome = outcomes[f"{name}, {window}"]
            row += [f"{outcome.rate:,.0f}", f"{outcome.rate / base:.1f}"] if outcome.samples else ["-", "-"]
        rows.append(row)
    headers = ["messages in flight"]
    for name in BOTH_WORLDS:
        headers += [f"{name}: messages/s", "x smtplib"]
    return Table("The window, at 20 ms with CHUNKING", headers, rows)


def draw(bench: Bench, outcomes: Outcomes, base: float) -> str:
    """The curve as a picture, as Markdown; a quick run leaves the good picture alone."""
    curves = [
        Curve(
            name,
            [
                (window, outcomes[f"{name}, {window}"].rate)
                for window in WINDOWS
                if outcomes[f"{name}, {window}"].samples
            ],
        )
        for name in BOTH_WORLDS
    ]
    levels = {"smtplib": base, "100 x smtplib": 100 * base}
    plot = Plot("One connection at 20 ms, CHUNKING", "messages in flight", "messages per second", curves, levels)
    path = (WORK if bench.quick else HERE) / "window.svg"
    path.write_text(plot.svg())
    return "![Messages a second over the window at 20 ms](window.svg)"


def ask(bench: Bench) -> Section:
    waiting, streaming = bench.count(ENOUGH), bench.count(LONG_RUN)
    chunking = far(bench, ALL_EXTENSIONS, 20, waiting, streaming)
    pipelining = far(bench, WITHOUT_CHUNKING, 20, waiting, 8 * waiting)
    farther = far(bench, ALL_EXTENSIONS, 100, max(5, waiting // 3), streaming // 2)
    farther_pipelining = far(bench, WITHOUT_CHUNKING, 100, max(5, waiting // 3), 2 * waiting)
    windows = curve(bench)
    section = Section("At a distance: 20 and 100 ms", (__doc__ or "").strip())
    section.tables = [
        rates("20 ms, PIPELINING and CHUNKING", chunking, "smtplib"),
        rates("20 ms, PIPELINING without CHUNKING", pipelining, "smtplib"),
        rates("100 ms, PIPELINING and CHUNKING", farther, "smtplib"),
        rates("100 ms, PIPELINING without CHUNKING", farther_pipelining, "smtplib"),
    ]
    if chunking["smtplib"].samples:
        section.tables.append(table_of(windows, chunking["smtplib"].rate))
        section.after = draw(bench, windows, chunking["smtplib"].rate)
    for world in BOTH_WORLDS:
        many = f"{world}, send_many"
        what = f"20 ms, {world}"
        section.claims += [
            at_least(f"{what}, CHUNKING, default window: messages/s of smtplib's", 100, chunking, many, "smtplib"),
            at_least(f"{what}, PIPELINING alone: messages/s of smtplib's", 3.5, pipelining, many, "smtplib"),
        ]
    return section


question: Question = ask

if __name__ == "__main__":
    show(question)
