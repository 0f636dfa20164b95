"""``python -m tests.space [WORD …]``: all cases whose names have all these words, and what is wrong with them.

``SHARE`` (1) tries every so manieth case only; with ``SHOW=1`` the conversation of the first case that fails is shown.
"""

from __future__ import annotations

import os
import sys
import time

from tests.space.cases import Flow, Sending, cases
from tests.space.drive import run
from tests.worlds import World


def main(words: list[str]) -> int:
    """Print what is wrong; the exit status says whether anything is."""
    share, shows = int(os.environ.get("SHARE", "1")), bool(os.environ.get("SHOW"))
    tried = wrong = 0
    started = time.monotonic()
    for name in ("blocking", "asyncio"):
        world = World(name)
        chosen = (
            case
            for flow in Flow
            for stage in flow.stages
            for sending in Sending
            for case in cases(flow, stage, sending, share)
            if all(word in f"{name}, {case}" for word in words)
        )
        for case in chosen:
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
