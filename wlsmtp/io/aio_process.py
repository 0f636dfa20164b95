"""Runs programs under asyncio."""

from __future__ import annotations

import asyncio
from asyncio.subprocess import Process
from collections.abc import Iterable, Sequence
from tempfile import TemporaryFile

from wlsmtp.io.base import Ended
from wlsmtp.io.process import kept_of, kill_group


async def run_program(command: Sequence[str], chunks: Iterable[bytes], deadline: float) -> Ended:
    """Run a program; see ``IO.run_program``."""
    with TemporaryFile() as output:
        process = await asyncio.create_subprocess_exec(
            *command, stdin=asyncio.subprocess.PIPE, stdout=output, stderr=output, start_new_session=True
        )
        was_fed = False
        try:
            async with asyncio.timeout_at(deadline):
                was_fed = await _feed(process, chunks)
                status: int | None = await process.wait()
        except TimeoutError:
            status = None
        finally:
            await _end(process)
        return Ended(status, was_fed, kept_of(output))


async def _feed(process: Process, chunks: Iterable[bytes]) -> bool:
    """Return whether the program received all of its input, and the end of it."""
    assert process.stdin is not None
    try:
        for chunk in chunks:
            process.stdin.write(chunk)
            await process.stdin.drain()
        process.stdin.close()
        await process.stdin.wait_closed()
    except (BrokenPipeError, ConnectionResetError):
        return False
    return True


async def _end(process: Process) -> None:
    """End the program as ``process._end`` does; it is reaped first, even if the caller is cancelled meanwhile."""
    if process.returncode is None:
        kill_group(process.pid)
    end = asyncio.ensure_future(process.wait())
    interrupted: asyncio.CancelledError | None = None
    while not end.done():
        try:
            await asyncio.wait([end])
        except asyncio.CancelledError as error:
            interrupted = error
    if interrupted is not None:
        raise interrupted
