"""How many round trips are there from connecting to the end of QUIT: TLS, AUTH PLAIN, one mail?

A new connection at 20 ms with TLS from the first byte, to wlsmtp's testing server, which offers PIPELINING and, in the
first table, CHUNKING. One round trip each take:

1. TCP: SYN, SYN-ACK. The proxy cannot delay or count it; a real connection has it on top of the count.
2. TLS 1.3: ClientHello; the answer ends with the server's Finished.
3. The client's Finished; the greeting. A server could send its greeting with its Finished, but Python's does not.
4. EHLO; the extensions.
5. AUTH PLAIN with its initial response; 235. RFC 4954 lets nothing follow it in the same group.
6. MAIL, RCPT and DATA in one group; 354.
7. The content with its dot; 250. With CHUNKING, 6 and 7 could be one.
8. QUIT; 221. A client need not wait for it.

So 7 on the count below (2 to 8) are what PIPELINING takes. With CHUNKING one less is possible, but not safe: servers
exist that refuse a chunk and then read its octets as commands, so wlsmtp sends no content ahead of the replies to the
recipients before a server has shown that it discards refused chunks, and for one mail it does not ask. Fewer are not
possible without early data, which RFC 8446 §8 makes unsafe for anything but requests that may be repeated. A client
that waits for each reply has 9, as MAIL, RCPT and DATA are then three; one that closes without waiting for 221 has one
less, although RFC 5321 §4.1.1.10 asks to wait.
"""

from __future__ import annotations

from harness import Bench, Contender, Outcome, Outcomes
from report import Question, Section, Table, at_most, show, troubles

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


FEWEST = {"PIPELINING and CHUNKING": 7, "PIPELINING without CHUNKING": 7}
WORLDS = ("wlsmtp", "wlsmtp async")


def compete(bench: Bench, extensions: str) -> Outcomes:
    words = ["--without-chunking"] if "without" in extensions else []
    with bench.python_server("tls_server.py", *words) as server, bench.delay(server, RTT) as line:
        options = {"ca-file": server.about["ca_file"]}
        contenders = [Contender(name, client, "first", 1, options=options) for name, client in CLIENTS.items()]
        return bench.compete(f"first mail, {extensions}", contenders, server, bench.rounds(ROUNDS), through=line)


def row(outcome: Outcome) -> tuple[str, ...]:
    if not outcome.samples:
        return (outcome.contender.name, "-", "-", "-", "-")
    trips, milliseconds = outcome.round_trips, outcome.seconds * 1e3
    by_time = f"{milliseconds / RTT:.1f}"
    return (outcome.contender.name, str(trips), f"{milliseconds:.0f}", by_time, f"{outcome.cpu / 1e3:.1f}")


def ask(bench: Bench) -> Section:
    headers = ("client", "round trips", "milliseconds", "milliseconds / RTT", "CPU ms")
    section = Section("First mail on a new connection", (__doc__ or "").strip())
    for extensions, fewest in FEWEST.items():
        outcomes = compete(bench, extensions)
        title = f"TLS, AUTH PLAIN, one mail of 2 KB, QUIT, at {RTT} ms, {extensions}"
        section.tables.append(Table(title, headers, [row(one) for one in outcomes.values()], troubles(outcomes)))
        section.claims += [
            at_most(f"First mail, {extensions}, {world}: round trips", fewest, outcomes[world], round_trips)
            for world in WORLDS
        ]
    return section


def round_trips(outcome: Outcome) -> float:
    return outcome.round_trips


question: Question = ask

if __name__ == "__main__":
    show(question)
