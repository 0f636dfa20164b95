"""wlsmtp's testing server with TLS from the first byte and one user. It speaks as the other servers here do: a line of
JSON when it is ready, one for each line on stdin, and it ends when stdin does."""

from __future__ import annotations

import json
import sys

from wlsmtp.testing import SMTPServer
from wlsmtp.testing.server import DEFAULT_EXTENSIONS


def say(**values: object) -> None:
    sys.stdout.write(json.dumps(values) + "\n")
    sys.stdout.flush()


def main() -> None:
    users = {"ann@example.com": "s3cret"}
    extensions = [name for name in DEFAULT_EXTENSIONS if name != "CHUNKING" or "--without-chunking" not in sys.argv]
    with SMTPServer(
        security="ssl", users=users, mechanisms=("PLAIN",), require_auth=True, extensions=extensions
    ) as server:
        say(port=server.port, ca_file=server.ca_file)
        for line in sys.stdin:
            expected = int(line)
            messages = server.wait_for_messages(expected)
            say(messages=len(messages))
            server.messages.clear()


if __name__ == "__main__":
    main()
