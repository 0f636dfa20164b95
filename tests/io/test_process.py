"""Programs run by the seam, in both worlds: fed, observed, and never left behind."""

from __future__ import annotations

import asyncio
import hashlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.io.test_tasks import play
from tests.real import lives, poll
from tests.worlds import World
from wlsmtp.io.base import IO, Ended
from wlsmtp.io.process import MAX_OUTPUT

MEGABYTE = [bytes([number % 256]) * 65536 for number in range(16)]
PATIENCE = 60.0

# Reports that it runs, has a child that would outlive it, and reports when its input has ended.
LINGERS = """
import os, pathlib, subprocess, sys
here = pathlib.Path(sys.argv[1])
subprocess.Popen(["sleep", "600"])
(here / "started.part").write_text(str(os.getpid()))
(here / "started.part").rename(here / "started")
sys.stdin.buffer.read()
(here / "ended").touch()
sys.stdin = None
import time
time.sleep(600)
"""


def python(code: str, *words: str) -> list[str]:
    return [sys.executable, "-c", code, *words]


def once_started(here: Path, *chunks: bytes) -> Iterator[bytes]:
    assert poll((here / "started").exists, PATIENCE)
    yield from chunks


def group_of(here: Path) -> int:
    return int((here / "started").read_text())


def run(world: World, command: list[str], chunks: list[bytes] | Iterator[bytes], seconds: float = PATIENCE) -> Ended:
    async def core(io: IO) -> Ended:
        return await io.run_program(command, chunks, io.now() + seconds)

    ended = play(world, core)
    assert isinstance(ended, Ended)
    return ended


def test_is_given_all_of_its_input(world: World) -> None:
    code = "import sys, hashlib; print(hashlib.sha256(sys.stdin.buffer.read()).hexdigest(), end='')"
    ended = run(world, python(code), MEGABYTE)
    assert ended == Ended(0, True, hashlib.sha256(b"".join(MEGABYTE)).hexdigest().encode())


def test_one_that_talks_before_it_reads_stops_nobody(world: World) -> None:
    code = "import sys; sys.stderr.write('x' * 1_000_000 + 'the end'); sys.stdin.read()"
    ended = run(world, python(code), MEGABYTE)
    assert (ended.status, ended.was_fed) == (0, True)
    assert len(ended.output) == MAX_OUTPUT and ended.output.endswith(b"xthe end")


@pytest.mark.parametrize(("code", "status"), [("raise SystemExit(67)", 67), ("import os; os.kill(os.getpid(), 9)", -9)])
def test_one_that_ends_before_it_has_read_was_not_fed(world: World, code: str, status: int) -> None:
    assert run(world, python(code), MEGABYTE) == Ended(status, False, b"")


def test_no_shell_reads_the_words(world: World, tmp_path: Path) -> None:
    words = [f"; touch {tmp_path}/x", "$(id)", "`id`", "a b", "*"]
    ended = run(world, python("import sys; print(sys.argv[1:], end='')", *words), [])
    assert ended.output.decode() == str(words) and not list(tmp_path.iterdir())


def test_one_that_does_not_exist_is_an_os_error(world: World) -> None:
    with pytest.raises(FileNotFoundError):
        run(world, ["/no/such/program"], [])


def test_one_that_is_too_slow_is_killed_with_its_children(world: World, tmp_path: Path) -> None:
    ended = run(world, python(LINGERS, str(tmp_path)), once_started(tmp_path, b"x"), seconds=1)
    assert ended.status is None
    assert poll(lambda: not lives(group_of(tmp_path)), PATIENCE)
    with pytest.raises(ProcessLookupError):  # it was collected: not even its number is left
        os.kill(group_of(tmp_path), 0)


def test_input_that_breaks_off_never_looks_ended(world: World, tmp_path: Path) -> None:
    def chunks() -> Iterator[bytes]:
        yield from once_started(tmp_path, *MEGABYTE[:1])
        raise KeyError("broke off")

    with pytest.raises(KeyError):
        run(world, python(LINGERS, str(tmp_path)), chunks())
    assert poll(lambda: not lives(group_of(tmp_path)), PATIENCE)
    assert not (tmp_path / "ended").exists()


def test_a_cancelled_task_leaves_no_program_behind(tmp_path: Path) -> None:
    from wlsmtp.io.aio import AsyncioIO

    async def main() -> None:
        io = AsyncioIO()
        task = asyncio.create_task(io.run_program(python(LINGERS, str(tmp_path)), [b"x"], io.now() + PATIENCE))
        assert await asyncio.to_thread(poll, (tmp_path / "ended").exists, PATIENCE)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert poll(lambda: not lives(group_of(tmp_path)), PATIENCE)
