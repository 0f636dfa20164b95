"""Signs a message over and over, and prints the CPU time of each: sign.py LIBRARY KEY FILE COUNT.

LIBRARY is wlsmtp or dkimpy, KEY the folder and the name of a key, FILE the message in octets. With "memory" for COUNT a
message with FILE attached is written and signed once, and the growth of memory is printed.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path


def by_wlsmtp(key: Path, octets: bytes) -> Callable[[], object]:
    from wlsmtp import DKIM
    from wlsmtp.message.read import raw_content
    from wlsmtp.message.sign import signed, signers_of

    signers, content = signers_of(DKIM("example.com", "s1", key=key.with_suffix(".pem"))), raw_content(octets)
    return lambda: next(signed(content, signers, time.time()).chunks())


def by_dkimpy(key: Path, octets: bytes) -> Callable[[], object]:
    import dkim

    private = key.with_suffix(".seed" if key.name == "ed25519" else ".pem").read_bytes()
    algorithm = b"ed25519-sha256" if key.name == "ed25519" else b"rsa-sha256"
    how = {"canonicalize": (b"relaxed", b"relaxed"), "signature_algorithm": algorithm}
    return lambda: dkim.sign(octets, b"s1", b"example.com", private, **how)


def memory(key: Path, file: Path) -> int:
    """Octets by which the process grows."""
    from wlsmtp import DKIM, Message

    keys = DKIM("example.com", "s1", key=key.with_suffix(".pem"))
    message = Message("ann@example.com", "bob@example.org", text="Hello", attachments=[file], dkim=keys)
    for _ in message.replace(attachments=[("small", bytes(300_000))]).render().chunks():
        pass
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in message.render().chunks():
        pass
    return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024


def main() -> None:
    library, key, file, count = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]), sys.argv[4]
    if count == "memory":
        sys.stdout.write(json.dumps({"growth": memory(key, file)}))
        return
    sign = {"wlsmtp": by_wlsmtp, "dkimpy": by_dkimpy}[library](key, file.read_bytes())
    sign()
    started = time.process_time()
    for _ in range(int(count)):
        sign()
    sys.stdout.write(json.dumps({"cpu_seconds": (time.process_time() - started) / int(count)}))


if __name__ == "__main__":
    main()
