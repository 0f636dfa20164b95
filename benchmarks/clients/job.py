"""What every client program shares: the job it is given as arguments, the stopwatch, and the answer it prints.

A client is a module of tasks, functions of a job and a watch. Whatever a task does inside ``with watch:`` counts, from
before connecting to after the last acknowledgement; imports, warming up and preparing the input do not.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Self

SENDER = "ann@example.com"
USER, PASSWORD = "ann@example.com", "s3cret"
TEXT = "\r\n".join(["The quick brown fox jumps over the lazy dog, again and again."] * 16) + "\r\n"
ITEMS = [{"title": f"Book number {number}", "price": f"{number + 5}.00 EUR"} for number in range(10)]
"""What is ordered in a whole letter."""
DISTINCT_CONTENTS = 100


@dataclass(frozen=True)
class Job:
    """One run of one client."""

    task: str
    host: str = "127.0.0.1"
    port: int = 0
    count: int = 1
    warmup: int = 0
    """Messages sent beforehand, over a connection of their own, and not counted: caches fill and compilers compile."""
    first: int = 0
    """The number of the first message."""
    size: int = 2048
    connections: int = 1
    recipients: int = 1
    window: int = 0
    """Messages in flight, for clients with such a setting; 0 is the client's default."""
    recipient: str = "n{}@example.com"
    file: str = ""
    ca_file: str = ""

    @property
    def numbers(self) -> range:
        """Of the messages to be sent; the sink ticks each off, and would notice one that comes twice."""
        return range(self.first, self.first + self.count)

    def to(self, number: int) -> str:
        """The recipient of a message."""
        return self.recipient.format(number)

    def many_recipients(self) -> list[str]:
        """For a message that has more than one."""
        return [f"user{number}@example.com" for number in range(self.recipients)]

    def contents(self) -> list[bytes]:
        """Rendered messages of the size asked for. They differ, and there are enough to be taken in turn."""
        return [content(self.size, number) for number in range(min(self.count, DISTINCT_CONTENTS))]

    def rendered(self) -> list[tuple[bytes, str]]:
        """All messages with their recipients, ready to be sent."""
        contents = self.contents()
        return [(contents[number % len(contents)], self.to(number)) for number in self.numbers]

    def shares(self) -> list[Job]:
        """The job cut into one part for each connection."""
        whole, rest = divmod(self.count, self.connections)
        counts = [whole + (index < rest) for index in range(self.connections)]
        starts = [self.first + sum(counts[:index]) for index in range(self.connections)]
        return [replace(self, first=start, count=count) for start, count in zip(starts, counts, strict=True)]


def content(size: int, number: int) -> bytes:
    """A rendered text message of so many octets."""
    head = f"From: {SENDER}\r\nTo: bob@example.org\r\nSubject: Number {number}\r\n\r\n".encode()
    line = b"The quick brown fox jumps over the lazy dog, again and again.\r\n"
    body = line * ((size - len(head)) // len(line) + 1)
    return head + body[: size - len(head) - 2] + b"\r\n"


@dataclass
class Watch:
    """Time, CPU time and memory of the part that counts."""

    seconds: float = 0.0
    cpu_seconds: float = 0.0
    peak_growth: int = 0
    """The most octets of memory held, over those held at the start."""
    memory: list[int] = field(default_factory=list)
    """What ``look_at_memory`` saw."""

    def __enter__(self) -> Self:
        self._memory_before = _resident()
        _forget_peak()
        self._cpu, self._start = _cpu(), time.perf_counter()
        return self

    def __exit__(self, *_: object) -> None:
        self.seconds = time.perf_counter() - self._start
        self.cpu_seconds = _cpu() - self._cpu
        self.peak_growth = _peak() - self._memory_before

    def look_at_memory(self) -> None:
        """Note the memory held now, and the peak so far."""
        self.memory.append(_resident())


Task = Callable[[Job, Watch], None]


def main(tasks: Mapping[str, Task]) -> None:
    """Do the job that the arguments describe, and print the answer as JSON."""
    job = _read_arguments()
    task = tasks.get(job.task)
    if task is None:
        sys.exit(f"this client has no task {job.task!r}")
    if job.warmup:
        task(replace(job, count=job.warmup, first=job.first + job.count), Watch())
    watch = Watch()
    task(job, watch)
    sys.stdout.write(json.dumps({"messages": job.count, **asdict(watch)}) + "\n")


def _read_arguments() -> Job:
    parser = argparse.ArgumentParser()
    for option in fields(Job):
        name = "--" + option.name.replace("_", "-")
        if option.name == "task":
            parser.add_argument(name, required=True)
        else:
            parser.add_argument(name, type=type(option.default), default=option.default)
    return Job(**vars(parser.parse_args()))


def _cpu() -> float:
    """Of this process with its threads, and of the programs it ran."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def _resident() -> int:
    return _memory("VmRSS:")


def _peak() -> int:
    return _memory("VmHWM:")


def _memory(name: str) -> int:
    with open("/proc/self/status") as lines:
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(name))


def _forget_peak() -> None:
    """Let the peak start from what is held now (proc(5), clear_refs)."""
    if os.access("/proc/self/clear_refs", os.W_OK):
        Path("/proc/self/clear_refs").write_text("5")
