"""How a question is asked: servers in processes of their own, clients run in turn for several rounds, every message
counted at the server.

A client is a program that does one job and prints what it took (clients/job.py). A run whose messages did not all
arrive, each once, is a failure and no figure.
"""

from __future__ import annotations

import json
import statistics
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from peers import HERE, PYTHON, Peers, Unavailable, build, run, say

ALL_EXTENSIONS = ("PIPELINING", "CHUNKING", "SIZE", "8BITMIME", "SMTPUTF8", "AUTH PLAIN LOGIN")
WITHOUT_CHUNKING = tuple(name for name in ALL_EXTENSIONS if name != "CHUNKING")
LONGEST_RUN = 180.0


class Server:
    """A program that prints a line of JSON when it is ready, another for each line on its stdin, and ends with it."""

    def __init__(self, command: Sequence[object]) -> None:
        self._command = [str(word) for word in command]

    def __enter__(self) -> Self:
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(self._command, stdin=pipe, stdout=pipe, text=True)
        self.about = self._read()
        self.port: int = self.about["port"]
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()

    def counters(self, expected: int = 0) -> dict[str, Any]:
        """Return what was counted since the last time. Slow servers are given what to wait for."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{expected}\n")
        self._process.stdin.flush()
        return self._read()

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise Unavailable(f"{self._command[0]} ended")
        answer: dict[str, Any] = json.loads(line)
        return answer


@dataclass(frozen=True)
class Contender:
    """A client with a task: one row of a table."""

    name: str
    client: str
    task: str
    count: int
    warmup: int = 0
    options: Mapping[str, object] = field(default_factory=dict)
    at_most: int | None = None
    """Rounds, where one takes long and all are alike."""


@dataclass(frozen=True)
class Sample:
    """One run."""

    messages: int
    seconds: float
    cpu_seconds: float
    peak_growth: int
    memory: list[int]
    sink: dict[str, Any]
    """What the server counted."""
    line: dict[str, Any]
    """What the delay proxy counted; empty without one."""


@dataclass
class Outcome:
    """All runs of one contender."""

    contender: Contender
    samples: list[Sample] = field(default_factory=list)
    trouble: str | None = None
    """Why there are no figures."""

    @property
    def rates(self) -> list[float]:
        """Messages a second, of each run."""
        return [sample.messages / sample.seconds for sample in self.samples]

    @property
    def rate(self) -> float:
        """The median of messages a second."""
        return statistics.median(self.rates)

    @property
    def seconds(self) -> float:
        """The median."""
        return statistics.median(sample.seconds for sample in self.samples)

    @property
    def cpu(self) -> float:
        """The median of microseconds of CPU time for a message."""
        return statistics.median(sample.cpu_seconds / sample.messages * 1e6 for sample in self.samples)

    @property
    def sink_cpu(self) -> float | None:
        """The same of the server, where it tells."""
        told = [sample.sink for sample in self.samples if "cpu_seconds" in sample.sink]
        return statistics.median(sink["cpu_seconds"] / sink["messages"] * 1e6 for sink in told) if told else None

    @property
    def peak_growth(self) -> float:
        """The worst, in octets: a limit on memory holds always or not at all."""
        return max(sample.peak_growth for sample in self.samples)

    @property
    def round_trips(self) -> int:
        """The worst, as the proxy counted them."""
        return max(int(sample.line["round_trips"]) for sample in self.samples)


Outcomes = dict[str, Outcome]


@dataclass
class Bench:
    """Everything that a question needs."""

    peers: Peers
    quick: bool = False

    def rounds(self, number: int) -> int:
        """How often to go round; once when only a sign of life is wanted."""
        return 1 if self.quick else number

    def count(self, number: int, at_least: int = 5) -> int:
        """How many messages; a tenth when only a sign of life is wanted."""
        return max(at_least, number // 10) if self.quick else number

    def sink(self, extensions: Sequence[str] = ALL_EXTENSIONS) -> Server:
        """The server that throws mail away."""
        return Server([build(HERE / "sink" / "sink.c"), *extensions])

    def tls_sink(self, certificate: Path, key: Path) -> Server:
        """The same over TLS from the first octet. Raises ``Unavailable`` where OpenSSL's headers are missing."""
        program = build(HERE / "sink" / "tls_sink.c", "-lssl", "-lcrypto")
        return Server([program, certificate, key, *ALL_EXTENSIONS])

    def delay(self, server: Server, milliseconds: float) -> Server:
        """A distance to a server."""
        return Server([build(HERE / "sink" / "delay.c"), server.port, milliseconds])

    def python_server(self, name: str, *words: str) -> Server:
        """One that is written in Python, from ``servers/``."""
        return Server([PYTHON, HERE / "servers" / name, *words])

    def compete(
        self, title: str, contenders: Sequence[Contender], server: Server, rounds: int, through: Server | None = None
    ) -> Outcomes:
        """Let all take turns, ``rounds`` times. One that fails is out."""
        outcomes = {contender.name: Outcome(contender) for contender in contenders}
        for number in range(1, rounds + 1):
            say(f"{title}: round {number} of {rounds}")
            for outcome in outcomes.values():
                if outcome.trouble is None and number <= (outcome.contender.at_most or rounds):
                    self._take_turn(outcome, server, through)
        return outcomes

    def _take_turn(self, outcome: Outcome, server: Server, through: Server | None) -> None:
        client = outcome.contender.client
        if client in self.peers.missing:
            outcome.trouble = f"not available: {self.peers.missing[client]}"
            return
        try:
            outcome.samples.append(self._run(outcome.contender, server, through))
        except Unavailable as error:
            outcome.trouble = str(error)
            outcome.samples.clear()
            say(f"  {outcome.contender.name}: {error}")
            server.counters()

    def _run(self, contender: Contender, server: Server, through: Server | None) -> Sample:
        options = {
            "task": contender.task, "count": contender.count, "warmup": contender.warmup,
            "port": (through or server).port, **contender.options,
        }  # fmt: skip
        words = [word for name, value in options.items() for word in (f"--{name}", value)]
        command = [*self.peers.commands[contender.client], *words]
        answer = json.loads(run(command, contender.task, LONGEST_RUN).splitlines()[-1])
        sent = contender.count + contender.warmup
        counted = server.counters(sent)
        line = through.counters() if through else {}
        recipients = sent * int(str(contender.options.get("recipients", 1)))
        complete = counted["messages"] == sent and counted.get("recipients", recipients) == recipients
        if not complete or counted.get("errors") or counted.get("duplicates"):
            raise Unavailable(f"{sent} messages to {recipients} recipients were sent, and the server counted {counted}")
        return Sample(**answer, sink=counted, line=line)


def prepare(quick: bool = False) -> Bench:
    """Install and build everything."""
    peers = Peers()
    peers.prepare()
    return Bench(peers, quick)
