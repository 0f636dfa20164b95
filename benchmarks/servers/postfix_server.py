"""A real Postfix, the one of the tests, that delivers into a Maildir. It speaks as the other servers here do: a line of
JSON when it is ready, one for each line on stdin (once as many messages as the line says are delivered), and it ends
when stdin does."""

from __future__ import annotations

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.real import poll
from tests.real.postfix import PostfixServer, what_is_missing

LONGEST_DELIVERY = 120.0


def say(**values: object) -> None:
    sys.stdout.write(json.dumps(values) + "\n")
    sys.stdout.flush()


def take_delivered(directory: Path) -> int:
    """Count what is new, and throw it away."""
    paths = list(directory.iterdir()) if directory.exists() else []
    for path in paths:
        path.unlink()
    return len(paths)


def main() -> None:
    if (lack := what_is_missing()) is not None:
        sys.exit(lack)
    server = PostfixServer()
    server.start()
    try:
        new = server.maildir("") / "new"
        say(port=server.plain_port, domain=server.domain)
        for line in sys.stdin:
            delivered, expected = 0, int(line)

            def enough() -> bool:
                nonlocal delivered
                delivered += take_delivered(new)
                return delivered >= expected  # noqa: B023 (asked before the next line)

            poll(enough, LONGEST_DELIVERY)
            say(messages=delivered)
    finally:
        server.stop()


if __name__ == "__main__":
    main()
