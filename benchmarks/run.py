"""All questions, one after the other, and RESULTS.md from their answers.

    python benchmarks/run.py [--quick] [QUESTION ...]

With some questions only, or with --quick, the answers go to .work/RESULTS.md. The file is written anew after each
question, so that a run that is stopped leaves what it has found.
"""

from __future__ import annotations

import argparse
import importlib
import sys
import time
import traceback

from charts import draw
from harness import Bench, prepare
from machines import keep
from peers import HERE, WORK, say
from report import Claim, Section, write_results

QUESTIONS = (
    "one_connection",
    "built_per_message",
    "building",
    "whole_letter",
    "signing",
    "tls",
    "latency",
    "connections",
    "attachment",
    "recipients",
    "first_mail",
    "volume",
    "import_time",
    "outbox",
    "inbox_page",
    "outbox_postgres",
    "django_mail",
    "real_postfix",
)


def ask(name: str, bench: Bench) -> Section:
    """Run one benchmark. One that fails is reported and does not stop the others."""
    say(f"\n== {name}")
    started = time.monotonic()
    try:
        section: Section = importlib.import_module(name).question(bench)
    except Exception as error:
        say(traceback.format_exc())
        words = f"{type(error).__name__}: {error}"
        claim = Claim(f"benchmarks/{name}.py", "an answer", words, False)
        section = Section(name, f"This question could not be answered: {words}", claims=[claim])
    say(f"== {name}: {time.monotonic() - started:.0f} s")
    return section


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("questions", nargs="*", metavar="QUESTION", help=f"of {', '.join(QUESTIONS)}")
    parser.add_argument("--quick", action="store_true", help="a sign of life in a minute, not a measurement")
    arguments = parser.parse_args()
    if unknown := set(arguments.questions) - set(QUESTIONS):
        parser.error(f"no such question: {', '.join(sorted(unknown))}")
    bench = prepare(arguments.quick)
    is_complete = not arguments.questions and not arguments.quick
    path = (HERE if is_complete else WORK) / "RESULTS.md"
    sections: list[Section] = []
    started = time.monotonic()
    for name in arguments.questions or QUESTIONS:
        sections.append(ask(name, bench))
        write_results(path, sections, bench, time.monotonic() - started)
    if is_complete:
        keep(path)
        draw(HERE / "charts", path)
    sys.stdout.write(path.read_text())
    say(f"\nwritten: {path.relative_to(HERE.parent)}")


if __name__ == "__main__":
    main()
