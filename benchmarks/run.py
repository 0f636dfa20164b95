"""All questions, one after the other, and RESULTS.md from their answers.

    python benchmarks/run.py [--quick] [QUESTION ...]

With some questions only, or with --quick, the answers go to .work/RESULTS.md.
"""

from __future__ import annotations

import argparse
import importlib
import sys
import time

from harness import Bench, prepare
from peers import HERE, PYTHON, WORK, Unavailable, run, say
from report import Claim, Section, write_results

QUESTIONS = (
    "one_connection",
    "built_per_message",
    "latency",
    "connections",
    "attachment",
    "recipients",
    "first_mail",
    "volume",
    "import_time",
    "real_postfix",
)
BUILDING = HERE / "building.py"
LONGEST_BUILDING = 300.0


def ask(name: str, bench: Bench) -> Section:
    """One question. One that breaks is told and does not keep the others from being asked."""
    say(f"\n== {name}")
    started = time.monotonic()
    try:
        section: Section = importlib.import_module(name).question(bench)
    except Unavailable as error:
        claim = Claim(f"benchmarks/{name}.py", "an answer", str(error), False)
        section = Section(name, f"This question could not be asked: {error}", claims=[claim])
    say(f"== {name}: {time.monotonic() - started:.0f} s")
    return section


def building(bench: Bench) -> Section:
    """A program of its own, which compares ways to build a message; its words are taken as they are."""
    say("\n== building")
    command = [PYTHON, BUILDING, *(["--quick"] if bench.quick else [])]
    try:
        words = run(command, "benchmarks/building.py", LONGEST_BUILDING).strip()
    except Unavailable as error:
        words = str(error)
    return Section("Building alone", "What benchmarks/building.py prints.", after=f"```\n{words}\n```")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("questions", nargs="*", metavar="QUESTION", help=f"of {', '.join(QUESTIONS)}")
    parser.add_argument("--quick", action="store_true", help="a sign of life in a minute, not a measurement")
    arguments = parser.parse_args()
    if unknown := set(arguments.questions) - set(QUESTIONS):
        parser.error(f"no such question: {', '.join(sorted(unknown))}")
    bench = prepare(arguments.quick)
    sections = [ask(name, bench) for name in arguments.questions or QUESTIONS]
    if not arguments.questions and BUILDING.exists():
        sections.append(building(bench))
    is_complete = not arguments.questions and not arguments.quick
    path = (HERE if is_complete else WORK) / "RESULTS.md"
    write_results(path, sections, bench)
    sys.stdout.write(path.read_text())
    say(f"\nwritten: {path.relative_to(HERE.parent)}")


if __name__ == "__main__":
    main()
