"""``python -m fuzz [TARGET …]``: run targets under atheris, one after the other, ``FUZZ_SECONDS`` (default 60) each.

What it learns stays in ``fuzz/.work/TARGET`` and is used by the next run. A find is written there as ``crash-…``: put
it into ``fuzz/corpus/TARGET``, where the tests run it again for ever.
"""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from pathlib import Path

from fuzz import TARGETS

HERE = Path(__file__).parent
MAX_OCTETS = 4096
LONGEST_SECONDS = 10
"""One input that takes longer is a find: no hostile text may cost a session its time."""


def main(names: list[str]) -> int:
    """Run the targets; the exit status is that of a command."""
    if unknown := set(names) - set(TARGETS):
        sys.stderr.write(f"No target {', '.join(sorted(unknown))}; there are {', '.join(TARGETS)}.\n")
        return 2
    found = [name for name in names or TARGETS if subprocess.call([sys.executable, "-m", "fuzz", "--here", name])]
    sys.stdout.write(f"Finds in: {', '.join(found)}\n" if found else "No finds.\n")
    return 1 if found else 0


def fuzz(name: str) -> None:
    """Run one target in this process; atheris ends it."""
    import atheris

    with atheris.instrument_imports(include=["wlsmtp", "fuzz"]):
        target = importlib.import_module(f"fuzz.{name}")
    learnt = HERE / ".work" / name
    learnt.mkdir(parents=True, exist_ok=True)
    options = {
        "max_total_time": os.environ.get("FUZZ_SECONDS", "60"),
        "max_len": MAX_OCTETS,
        "timeout": LONGEST_SECONDS,
        "artifact_prefix": f"{learnt}/",
        "print_final_stats": 1,
    }
    arguments = [f"-{option}={value}" for option, value in options.items()]
    atheris.Setup([name, *arguments, str(learnt), str(HERE / "corpus" / name)], target.check)
    atheris.Fuzz()


if __name__ == "__main__":
    if sys.argv[1:2] == ["--here"]:
        fuzz(sys.argv[2])
    else:
        sys.exit(main(sys.argv[1:]))
