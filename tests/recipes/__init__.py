"""The programs of docs/recipes, unpacked from their pages and run as a reader would run them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from wlsmtp.testing import SMTPServer

DOCS = Path(__file__).parent.parent.parent / "docs"
_BLOCK = re.compile(r'^```python title="([^"]+)"\n(.*?)^```', re.MULTILINE | re.DOTALL)


def blocks(page: str) -> dict[str, str]:
    """The programs of a page of the docs, by their titles."""
    return dict(_BLOCK.findall((DOCS / f"{page}.md").read_text(encoding="utf-8")))


def examples(page: str) -> list[str]:
    """The programs of a page that have no title."""
    text = (DOCS / f"{page}.md").read_text(encoding="utf-8")
    return re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def unpack(page: str, directory: Path) -> Path:
    """Write the programs of a page of docs/recipes into a directory."""
    for title, text in blocks(f"recipes/{page}").items():
        (directory / title).write_text(text, encoding="utf-8")
    return directory


def environment(port: int, **more: str) -> dict[str, str]:
    """What a program finds its server by."""
    return {**os.environ, "WLSMTP_URL": f"smtp://127.0.0.1:{port}", "PYTHONUNBUFFERED": "1", **more}


ONCE = {"WLSMTP_RETRY_ATTEMPTS": "1"}
"""For programs whose server is down: nobody waits for the next try."""
SOON = {"WLSMTP_RETRY_ATTEMPTS": "100", "WLSMTP_RETRY_BACKOFF": "0.1", "WLSMTP_RETRY_JITTER": "0"}
"""The same for outboxes."""


def closed_port() -> int:
    """A port at which nobody listens."""
    with SMTPServer() as server:
        return server.port


def run(directory: Path, *arguments: str, port: int, **more: str) -> subprocess.CompletedProcess[str]:
    """Run Python with these arguments to its end."""
    command = [sys.executable, *arguments]
    env = environment(port, **more)
    return subprocess.run(command, cwd=directory, env=env, capture_output=True, text=True, timeout=60, check=False)


def lines_until(pattern: str, stream: IO[str]) -> re.Match[str]:
    """Read until a line matches; what was read before it is shown if none does."""
    seen = []
    for line in stream:
        if found := re.search(pattern, line):
            return found
        seen.append(line)
    raise AssertionError(f"nothing matches {pattern!r} in:\n{''.join(seen)}")


def output(process: subprocess.Popen[str]) -> IO[str]:
    """What the program prints."""
    assert process.stdout is not None
    return process.stdout


@contextmanager
def started(directory: Path, *arguments: str, port: int, **more: str) -> Iterator[subprocess.Popen[str]]:
    """A Python program that is ended with SIGTERM when the block is left; its output and errors are one stream."""
    with subprocess.Popen(
        [sys.executable, *arguments], cwd=directory, env=environment(port, **more), text=True, stdin=subprocess.PIPE,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    ) as process:  # fmt: skip
        try:
            yield process
        finally:
            process.terminate()
            process.communicate(timeout=30)


def ask(url: str, data: bytes | None = None) -> tuple[int, str]:
    """The status and the text that a web server answers."""
    try:
        with urllib.request.urlopen(urllib.request.Request(url, data=data), timeout=30) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()
