"""What does TLS cost a message, next to what OpenSSL alone needs for the same octets?

Messages of 2 KB, rendered beforehand, over one connection of TLS 1.3, and the same in plain text. "OpenSSL alone" is
measured in memory, with no socket and no SMTP: the octets of each message encrypted in records of 16 KiB, and its three
replies decrypted, in records with the replies to 16 messages. The raw socket writes finished windows through Python's
ssl module.
"""

from __future__ import annotations

import ssl
import statistics
import time
from contextlib import suppress

from harness import Bench, Contender, Outcome, Outcomes
from peers import WORK, Unavailable, run
from report import Claim, Question, Section, Table, at_least, rates, ratio, show

SIZE = 2048
SLOW, FAST, WARMUP, COMPILED = 2000, 20_000, 200, 3000
ROUNDS = 5
RECORD, TOGETHER, WINDOWS = 16 * 1024, 16, 40
MANY, MANY_ASYNC = "wlsmtp, send_many", "wlsmtp async, send_many"
CLIENTS = {MANY: "wlsmtp", MANY_ASYNC: "wlsmtp_async"}
CERTIFICATE, KEY = WORK / "tls" / "certificate.pem", WORK / "tls" / "key.pem"


def prepare() -> None:
    """Make a certificate for the sink, of its own authority."""
    if CERTIFICATE.exists():
        return
    CERTIFICATE.parent.mkdir(parents=True, exist_ok=True)
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-days", "3650"]
    run([*command, *names, "-keyout", KEY, "-out", CERTIFICATE], "making a certificate")


def plain(bench: Bench) -> list[Contender]:
    fast, warmup, options = bench.count(FAST), bench.count(WARMUP), {"size": SIZE}
    return [Contender(name, client, "many", fast, warmup, options) for name, client in CLIENTS.items()]


def secured(bench: Bench) -> list[Contender]:
    slow, fast, warmup, compiled = (bench.count(number) for number in (SLOW, FAST, WARMUP, COMPILED))
    options = {"size": SIZE, "ca-file": CERTIFICATE}
    return [
        Contender("raw socket (ceiling)", "raw_socket", "rendered", fast * 2, warmup, options),
        *(Contender(name, client, "many", fast, warmup, options) for name, client in CLIENTS.items()),
        Contender("wlsmtp, send", "wlsmtp", "rendered", slow, warmup, options),
        Contender("wlsmtp async, send", "wlsmtp_async", "rendered", slow, warmup, options),
        Contender("smtplib", "smtplib", "rendered", slow, warmup, options),
        Contender("aiosmtplib", "aiosmtplib", "rendered", slow, warmup, options),
        Contender("Nodemailer", "nodemailer", "rendered", slow, compiled, options),
    ]


def openssl_alone() -> float:
    """CPU time in microseconds of the octets of one message."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = ssl.create_default_context(cafile=str(CERTIFICATE)).wrap_bio(
        incoming, outgoing, server_hostname="localhost"
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE, KEY)
    to_server, from_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    server = context.wrap_bio(to_server, from_server, server_side=True)
    for end in (client, server, client, server):
        with suppress(ssl.SSLWantReadError):
            end.do_handshake()
        to_server.write(outgoing.read())
        incoming.write(from_server.read())
    message = bytes(SIZE + len("MAIL FROM:<ann@example.com>\r\nRCPT TO:<n12345@example.com>\r\nBDAT 2048 LAST\r\n"))
    replies = b"250 2.1.0 Ok\r\n250 2.1.5 Ok\r\n250 2.0.0 Ok: queued as 0000000001\r\n" * TOGETHER
    for _ in range(WINDOWS):
        server.write(replies)
    incoming.write(from_server.read())
    window = memoryview(message * TOGETHER * WINDOWS)
    start = time.process_time()
    for begin in range(0, len(window), RECORD):
        client.write(window[begin : begin + RECORD])
        outgoing.read()
    for _ in range(WINDOWS):
        client.read(RECORD)
    return (time.process_time() - start) / (TOGETHER * WINDOWS) * 1e6


def compete(bench: Bench) -> tuple[Outcomes, Outcomes, float]:
    """Plain and TLS in turn, so that both see the same machine; and OpenSSL alone."""
    in_plain: Outcomes = {one.name: Outcome(one) for one in plain(bench)}
    over_tls: Outcomes = {one.name: Outcome(one) for one in secured(bench)}
    alone: list[float] = []
    with bench.sink() as sink, bench.tls_sink(CERTIFICATE, KEY) as tls_sink:
        for number in range(bench.rounds(ROUNDS)):
            for kind, server, outcomes in (("plain", sink, in_plain), ("TLS", tls_sink, over_tls)):
                still = [one.contender for one in outcomes.values() if one.trouble is None]
                found = bench.compete(f"{kind}, {number + 1}", still, server, 1)
                for name, outcome in found.items():
                    outcomes[name].samples += outcome.samples
                    outcomes[name].trouble = outcome.trouble
            alone += [openssl_alone() for _ in range(5)]
    return in_plain, over_tls, statistics.median(alone)


def costs(in_plain: Outcomes, over_tls: Outcomes, alone: float) -> tuple[Table, list[Claim]]:
    """The CPU time of each world beside the sum of its parts."""
    rows, claims = [], []
    for name in CLIENTS:
        one, other = in_plain[name], over_tls[name]
        what = f"{name} over TLS: CPU of (plain + OpenSSL alone)"
        if not one.samples or not other.samples:
            claims.append(Claim(what, "<= 1.3 x", "no figures", None))
            continue
        value = other.cpu / (one.cpu + alone)
        rows.append((name, f"{one.cpu:.1f}", f"{alone:.1f}", f"{other.cpu:.1f}", f"{value:.2f}"))
        claims.append(Claim(what, "<= 1.3 x", f"{value:.2f} x", value <= 1.3))
    headers = ("client", "plain", "OpenSSL alone", "over TLS", "x (plain + OpenSSL)")
    return Table("CPU us a message", headers, rows), claims


def ask(bench: Bench) -> Section:
    section = Section("TLS", (__doc__ or "").strip())
    try:
        prepare()
        in_plain, over_tls, alone = compete(bench)
    except Unavailable as error:
        section.claims.append(Claim("TLS: CPU of (plain + OpenSSL alone)", "<= 1.3 x", str(error), None))
        return section
    table, section.claims = costs(in_plain, over_tls, alone)
    section.tables = [rates("2 KB over TLS 1.3, no delay", over_tls, "smtplib"), table]
    for name in CLIENTS:
        section.claims.append(ratio(f"{name} over TLS: CPU of smtplib's of ours", 5, over_tls, "smtplib", name, _cpu))
        section.claims.append(at_least(f"{name} over TLS: messages/s of smtplib's", 5, over_tls, name, "smtplib"))
    return section


def _cpu(one: Outcome, other: Outcome) -> float:
    return one.cpu / other.cpu


question: Question = ask

if __name__ == "__main__":
    show(question)
