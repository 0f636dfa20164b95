"""How many small messages a second over one connection? wlsmtp in both worlds against smtplib and aiosmtplib.

All run in turn, several rounds, against the same embedded server in a process of its own; the table gives the median
of each and its ratio to smtplib in the same run. Absolute figures depend on the machine and on the server, which is
slower than most clients here; quote ratios.

    python benchmarks/one_connection.py [ROUNDS] [MESSAGES]
"""

from __future__ import annotations

import asyncio
import smtplib
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

from wlsmtp import AsyncSMTPSession, PoolLimits, SMTPSession

SENDER, RECIPIENT = "ann@example.com", "bob@example.org"
CONTENT = b"From: ann@example.com\r\nTo: bob@example.org\r\nSubject: x\r\n\r\n" + b"x" * 62 + b"\r\n"
CONTENT += (b"y" * 62 + b"\r\n") * 30
SERVE = "from wlsmtp.testing import SMTPServer; s = SMTPServer(); print(s.port, flush=True); input()"
POOL = PoolLimits(max_messages=None)


def with_wlsmtp(port: int, count: int) -> None:
    with SMTPSession("127.0.0.1", port, pool=POOL) as session:
        for _ in range(count):
            session.send(CONTENT, sender=SENDER, recipients=RECIPIENT)


def with_wlsmtp_async(port: int, count: int) -> None:
    async def main() -> None:
        async with AsyncSMTPSession("127.0.0.1", port, pool=POOL) as session:
            for _ in range(count):
                await session.send(CONTENT, sender=SENDER, recipients=RECIPIENT)

    asyncio.run(main())


def with_smtplib(port: int, count: int) -> None:
    with smtplib.SMTP("127.0.0.1", port, local_hostname="localhost") as client:
        for _ in range(count):
            client.sendmail(SENDER, [RECIPIENT], CONTENT)


def with_aiosmtplib(port: int, count: int) -> None:
    import aiosmtplib

    async def main() -> None:
        async with aiosmtplib.SMTP(hostname="127.0.0.1", port=port, start_tls=False) as client:
            for _ in range(count):
                await client.sendmail(SENDER, [RECIPIENT], CONTENT)

    asyncio.run(main())


CLIENTS: dict[str, Callable[[int, int], None]] = {
    "smtplib": with_smtplib,
    "wlsmtp, blocking": with_wlsmtp,
    "aiosmtplib": with_aiosmtplib,
    "wlsmtp, asyncio": with_wlsmtp_async,
}


def measure(client: Callable[[int, int], None], port: int, count: int) -> tuple[float, float]:
    """Messages a second, and microseconds of this process's CPU a message."""
    wall, cpu = time.perf_counter(), time.process_time()
    client(port, count)
    return count / (time.perf_counter() - wall), (time.process_time() - cpu) / count * 1e6


def main(rounds: int = 7, count: int = 500) -> None:
    server = subprocess.Popen([sys.executable, "-c", SERVE], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None and server.stdin is not None
    port = int(server.stdout.readline())
    results: dict[str, list[tuple[float, float]]] = {name: [] for name in CLIENTS}
    try:
        for _ in range(rounds):
            for name, client in CLIENTS.items():
                results[name].append(measure(client, port, count))
    finally:
        server.communicate("\n", timeout=30)
    base = statistics.median(speed for speed, _ in results["smtplib"])
    lines = [f"{len(CONTENT)} octets, {count} messages a round, {rounds} rounds, medians"]
    for name, figures in results.items():
        speed, cpu = (statistics.median(column) for column in zip(*figures, strict=True))
        lines.append(f"{name:<18} {speed:>7.0f} messages/s  {speed / base:>5.2f} x smtplib  {cpu:>5.0f} us CPU/message")
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main(*(int(word) for word in sys.argv[1:]))
