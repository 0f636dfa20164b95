"""How many round trips are there from connecting to the end of QUIT: TLS, AUTH PLAIN, one mail?

A new connection at 20 ms with TLS from the first byte, to wlsmtp's testing server. One round trip each take:

1. TCP: SYN, SYN-ACK. The proxy cannot delay or count it; a real connection has it on top of the count.
2. TLS 1.3: ClientHello; the answer ends with the server's Finished.
3. The client's Finished; the greeting. A server could send its greeting with its Finished, but Python's does not.
4. EHLO; the extensions.
5. AUTH PLAIN with its initial response; 235. RFC 4954 lets nothing follow it in the same group.
6. MAIL, RCPT and DATA in one group; 354.
7. The content with its dot; 250. With CHUNKING, 6 and 7 are one.
8. QUIT; 221. A client need not wait for it.

So 7 on the count below are what PIPELINING takes, and 6 are what CHUNKING takes. A client that waits for each reply has
9, as MAIL, RCPT and DATA are then three.
"""

from __future__ import annotations

from harness import Bench, Contender, Outcome
from report import Question, Section, Table, show, troubles

CLIENTS = {
    "wlsmtp": "wlsmtp",
    "wlsmtp async": "wlsmtp_async",
    "smtplib": "smtplib",
    "aiosmtplib": "aiosmtplib",
    "pycurl": "pycurl",
    "Nodemailer": "nodemailer",
}
ROUNDS = 5
RTT = 20


def ask(bench: Bench) -> Section:
    with bench.python_server("tls_server.py") as server, bench.delay(server, RTT) as line:
        options = {"ca-file": server.about["ca_file"]}
        contenders = [Contender(name, client, "first", 1, options=options) for name, client in CLIENTS.items()]
        outcomes = bench.compete("first mail", contenders, server, bench.rounds(ROUNDS), through=line)

    def row(outcome: Outcome) -> tuple[str, ...]:
        if not outcome.samples:
            return (outcome.contender.name, "-", "-", "-", "-")
        trips, milliseconds = outcome.round_trips, outcome.seconds * 1e3
        by_time = f"{milliseconds / RTT:.1f}"
        return (outcome.contender.name, str(trips), f"{milliseconds:.0f}", by_time, f"{outcome.cpu / 1e3:.1f}")

    headers = ("client", "round trips", "milliseconds", "milliseconds / RTT", "CPU ms")
    section = Section("First mail on a new connection", (__doc__ or "").strip())
    rows = [row(outcome) for outcome in outcomes.values()]
    section.tables = [Table(f"TLS, AUTH PLAIN, one mail of 2 KB, QUIT, at {RTT} ms", headers, rows, troubles(outcomes))]
    return section


question: Question = ask

if __name__ == "__main__":
    show(question)
