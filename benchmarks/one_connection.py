"""Small messages per second over one connection, and their cost in CPU time.

Messages of 2 KB, rendered beforehand, over one connection without delay. send_many keeps a window of messages in
flight; send waits for each acknowledgement, as all the others do. The raw socket is not a client: it writes finished
windows in a loop, and shows how much faster the sink is than the clients measured with it.

The second table has the same on cores that enter no idle state, as beside other work: a client that waits for each
reply then pays less for it.
"""

from __future__ import annotations

from harness import Bench, Contender, Outcome
from idle_states import no_idle_states
from report import Claim, Question, Section, at_least, cpu_ratio, rates, show

SIZE = {"size": 2048}
SLOW, FAST, WARMUP, COMPILED = 2000, 20_000, 200, 3000
ROUNDS = 7


def contenders(bench: Bench) -> list[Contender]:
    slow, fast, warmup, compiled = (bench.count(number) for number in (SLOW, FAST, WARMUP, COMPILED))
    return [
        Contender("raw socket (ceiling)", "raw_socket", "rendered", fast * 5, warmup, SIZE),
        Contender("wlsmtp, send_many", "wlsmtp", "many", fast, warmup, SIZE),
        Contender("wlsmtp async, send_many", "wlsmtp_async", "many", fast, warmup, SIZE),
        Contender("wlsmtp, send", "wlsmtp", "rendered", slow, warmup, SIZE),
        Contender("wlsmtp async, send", "wlsmtp_async", "rendered", slow, warmup, SIZE),
        Contender("smtplib", "smtplib", "rendered", slow, warmup, SIZE),
        Contender("aiosmtplib", "aiosmtplib", "rendered", slow, warmup, SIZE),
        Contender("pycurl", "pycurl", "rendered", slow, warmup, SIZE),
        Contender("smtp-source", "smtp_source", "rendered", slow, warmup, SIZE),
        Contender("libESMTP", "libesmtp", "rendered", slow, warmup, SIZE),
        Contender("Nodemailer", "nodemailer", "rendered", slow, compiled, SIZE),
        Contender("Jakarta Mail", "jakarta_mail", "rendered", slow, compiled, SIZE),
    ]


def ask(bench: Bench) -> Section:
    with bench.sink() as sink:
        outcomes = bench.compete("one connection", contenders(bench), sink, bench.rounds(ROUNDS))
        with no_idle_states():
            busy = bench.compete("no idle states", contenders(bench), sink, bench.rounds(ROUNDS))
    section = Section("One connection, messages rendered beforehand", (__doc__ or "").strip())
    section.tables = [
        rates("2 KB, no delay", outcomes, "smtplib"),
        rates("2 KB, no delay, no idle states", busy, "smtplib"),
    ]
    many, many_async = "wlsmtp, send_many", "wlsmtp async, send_many"
    section.claims = [
        cpu_ratio("2 KB on one connection: CPU of smtplib", 7, busy, "smtplib", many),
        cpu_ratio("2 KB on one connection, asyncio: CPU of smtplib", 7, busy, "smtplib", many_async),
        cpu_ratio("2 KB on one connection: CPU of libESMTP, in C", 2.5, busy, "libESMTP", many),
        cpu_ratio("2 KB on one connection, asyncio: CPU of libESMTP, in C", 2.5, busy, "libESMTP", many_async),
        cpu_ratio("2 KB on one connection, asyncio: CPU of aiosmtplib", 8, busy, "aiosmtplib", many_async),
        at_least("2 KB on one connection, no idle states: messages/s of smtplib's", 10, busy, many, "smtplib"),
        at_least("2 KB on one connection, no idle states: messages/s of smtp-source's", 1, busy, many, "smtp-source"),
        *_one_connection_each([*outcomes.values(), *busy.values()]),
    ]
    return section


def _one_connection_each(outcomes: list[Outcome]) -> list[Claim]:
    """Two for each run, one of which is for the warming up."""
    ours = [outcome for outcome in outcomes if outcome.samples and outcome.contender.client.startswith("wlsmtp")]
    most = max((sample.sink["connections"] for outcome in ours for sample in outcome.samples), default=0)
    what = "wlsmtp used one connection, as all others do (and one to warm up)"
    return [Claim(what, "2", str(most), most == 2 if ours else None)]


question: Question = ask

if __name__ == "__main__":
    show(question)
