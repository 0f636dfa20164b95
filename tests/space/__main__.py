"""``python -m tests.space [WORD …]``: all cases whose names have all these words, and what is wrong with them.

``SHARE`` (1) tries every so manieth case only; with ``SHOW=1`` the conversation of the first case that fails is shown.
``ODD=1`` tries answers that no server should give instead, and ``MANNERS=1`` replies in all forms.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator

from tests.space.cases import Case, Flow, Sending, cases, in_all_manners, odd_cases
from tests.space.drive import run
from tests.worlds import World


def chosen_cases() -> Iterator[Case]:
    """Those that the environment names."""
    share, make = int(os.environ.get("SHARE", "1")), odd_cases if os.environ.get("ODD") else cases
    every = (
        case
        for flow in Flow
        for stage in flow.stages
        for sending in Sending
        for case in make(flow, stage, sending, share)
    )
    return in_all_manners(every) if os.environ.get("MANNERS") else every


def main(words: list[str]) -> int:
    """Print what is wrong; the exit status says whether anything is."""
    shows = bool(os.environ.get("SHOW"))
    tried = wrong = 0
    started = time.monotonic()
    for name in ("blocking", "asyncio"):
        world = World(name)
        for case in chosen_cases():
            if not all(word in f"{name}, {case}" for word in words):
                continue
            found, server = run(world, case)
            tried += 1
            wrong += bool(found)
            if found:
                sys.stdout.write(f"{name}, {case}\n" + "".join(f"      {fault}\n" for fault in found))
            if found and shows:
                sys.stdout.write("".join(f"   {line}\n" for line in server.record.transcript))
                return 1
        world.close()
    sys.stdout.write(f"{tried} cases, {wrong} wrong, {time.monotonic() - started:.0f} s\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
