"""``python -m tests.chaos [SEED]``: chaos at length, against servers with quirks, and its account.

``SOAK_MESSAGES`` (20,000) are sent in each world, spread over the ways of sending and the kinds of server.
"""

from __future__ import annotations

import itertools
import os
import sys
import time
from collections import Counter
from collections.abc import Callable

from tests.chaos.account import Balance
from tests.chaos.fate import Fate
from tests.chaos.quirks import quirks_of
from tests.chaos.run import OFFERS, SENDERS, Run
from tests.chaos.server import ChaosServer
from tests.chaos.virtual import VirtualWorld
from tests.worlds import World


def main(seed: int, count: int) -> int:
    """Print the account; the exit status says whether it closes."""
    total, fates = Balance(), Counter[Fate]()
    kinds = list(itertools.product(OFFERS, SENDERS, (False, True)))
    for world, make in WORLDS.items():
        for number, (offers, sender, resends) in enumerate(kinds):
            share = count // len(kinds) + (number < count % len(kinds))
            run = Run(seed + number, share, offers, sender, resends, quirks_of(seed + number))
            started = time.monotonic()
            balance = _carry_out(run, server := run.server(), make(server))
            _show(f"{world}, {run}", balance, time.monotonic() - started)
            total += balance
            fates += server.fates
    _show_account(total, fates)
    return 1 if total.faults else 0


WORLDS: dict[str, Callable[[ChaosServer], World]] = {
    "blocking": lambda _: World("blocking"),
    "asyncio": lambda _: World("asyncio"),
    "virtual": VirtualWorld,
}


def _carry_out(run: Run, server: ChaosServer, world: World) -> Balance:
    try:
        return run.carry_out(world, server)
    finally:
        world.close()


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
