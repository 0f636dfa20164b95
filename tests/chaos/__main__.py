"""``python -m tests.chaos [SEED]``: chaos at length in both worlds, and its account. ``SOAK_MESSAGES`` (20,000) are
sent in each world, spread over the ways of sending and the kinds of server."""

from __future__ import annotations

import itertools
import os
import sys
import time
from collections import Counter

from tests.chaos.account import Balance
from tests.chaos.fate import Fate
from tests.chaos.run import OFFERS, SENDERS, Run
from tests.worlds import World

WORLDS = ("blocking", "asyncio")


def main(seed: int, count: int) -> int:
    """Print the account; the exit status says whether it closes."""
    total, fates = Balance(), Counter[Fate]()
    runs = [
        Run(seed + number, 0, offers, sender, resends)
        for number, (offers, sender, resends) in enumerate(itertools.product(OFFERS, SENDERS, (False, True)))
    ]
    for name in WORLDS:
        world = World(name)
        for number, run in enumerate(runs):
            share = count // len(runs) + (number < count % len(runs))
            started = time.monotonic()
            balance, server = Run(run.seed, share, run.offers, run.sender, run.resends).carry_out(world)
            _show(f"{name}, {run}", balance, time.monotonic() - started)
            total += balance
            fates += server.fates
        world.close()
    _show_account(total, fates)
    return 1 if total.faults else 0


def _show(title: str, balance: Balance, seconds: float) -> None:
    verdict = "does NOT close" if balance.faults else "closes"
    sys.stdout.write(f"{title}: {balance.letters} letters in {seconds:.1f} s, the account {verdict}\n")
    for fault in balance.faults[:20]:
        sys.stdout.write(f"    {fault}\n")
    sys.stdout.flush()


def _show_account(total: Balance, fates: Counter[Fate]) -> None:
    lines = ["", f"{'recipients told':20} {'count':>8} {'copies stored':>14}"]
    lines += [f"{state:20} {number:8} {total.stored[state]:14}" for state, number in sorted(total.states.items())]
    lines += [f"{'together':20} {total.states.total():8} {total.stored.total():14}", ""]
    lines += [f"{total.letters} letters, {total.retried} of them sent in more than one try", ""]
    lines += [f"{fate.value:45} {number:8}" for fate, number in fates.most_common()]
    lines += ["", f"{len(total.faults)} promises broken" if total.faults else "The account closes exactly."]
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    chosen = int(sys.argv[1]) if len(sys.argv) > 1 else int.from_bytes(os.urandom(3))
    sys.exit(main(chosen, int(os.environ.get("SOAK_MESSAGES", "20000"))))
