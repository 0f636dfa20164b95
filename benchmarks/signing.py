"""What does a DKIM signature cost?

From a message in memory to its signature, relaxed/relaxed, with nothing sent: CPU time, medians of several rounds in
turn. RSA keys have 2,048 bits. dkimpy has RSA of its own in Python, and Ed25519 by PyNaCl. Nodemailer signs as it
writes the message, and knows RSA only. The memory is that of a message with a file of 100 MB, written and signed by
wlsmtp.
"""

from __future__ import annotations

import json
import shutil
import statistics
from collections.abc import Sequence
from pathlib import Path

from harness import Bench
from peers import CLIENTS, PYTHON, WORK, Unavailable, install_dkimpy, run
from report import Claim, Question, Section, Table, show

ROUNDS = 5
FOLDER = WORK / "signing"
LINE = b"The quick brown fox jumps over the lazy dog, again and again.\r\n"
HEAD = (
    b"From: Ann <ann@example.com>\r\nTo: Bob <bob@example.org>\r\nSubject: Report\r\n"
    b"Date: Sun, 29 Nov 2026 12:00:00 +0000\r\nMessage-ID: <1@example.com>\r\nMIME-Version: 1.0\r\n"
    b"Content-Type: text/plain\r\n\r\n"
)
LETTER, TEXT, FILE = "2 KB of text", "1 MB of text", "1 MB of base64"
BASE64 = b"QWxsIHRoZSBxdWljayBicm93biBmb3hlcyBqdW1wIG92ZXIgYWxsIHRoZSBsYXp5IGRvZ3Mh\r\n"
BODIES = {LETTER: (LINE * 30, 300), TEXT: (LINE * 16_000, 20), FILE: (BASE64 * 13_500, 20)}
LIBRARIES = ("wlsmtp", "dkimpy", "Nodemailer")
ROWS = [(LETTER, "rsa"), (LETTER, "ed25519"), (TEXT, "rsa"), (FILE, "rsa")]


def prepare() -> None:
    """Write the messages and the keys."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, (body, _) in BODIES.items():
        (FOLDER / f"{name}.eml").write_bytes(HEAD + body)
    code = (
        "import base64, sys; from wlsmtp.message.sign.record import new_key; from pathlib import Path\n"
        "from cryptography.hazmat.primitives.serialization import load_pem_private_key as load\n"
        "for kind in ('rsa', 'ed25519'): Path(sys.argv[1], kind + '.pem').write_bytes(new_key(kind)[0])\n"
        "key = load(Path(sys.argv[1], 'ed25519.pem').read_bytes(), None)\n"
        "Path(sys.argv[1], 'ed25519.seed').write_bytes(base64.b64encode(key.private_bytes_raw()))\n"
    )
    run([PYTHON, "-c", code, FOLDER], "making keys")


def command(library: str, kind: str, file: Path, count: object) -> list[object]:
    """How a library is run."""
    if library != "Nodemailer":
        return [PYTHON, CLIENTS / "sign.py", library, FOLDER / kind, file, count]
    script = shutil.copy(CLIENTS / "sign_nodemailer.js", WORK / "node")
    return ["node", script, library, FOLDER / kind, file, count]


def microseconds(bench: Bench, name: str, kind: str) -> dict[str, float]:
    """The median CPU time of each library for one message."""
    samples: dict[str, list[float]] = {}
    for _ in range(bench.rounds(ROUNDS)):
        for library in LIBRARIES:
            if library == "Nodemailer" and kind != "rsa":
                continue
            # dkimpy takes long for one, and all are alike.
            count = max(2, bench.count(BODIES[name][1]) // (5 if library == "dkimpy" else 1))
            try:
                answer = run(command(library, kind, FOLDER / f"{name}.eml", count), library)
            except Unavailable:
                continue
            samples.setdefault(library, []).append(json.loads(answer)["cpu_seconds"] * 1e6)
    return {library: statistics.median(found) for library, found in samples.items()}


def growth(size: int) -> int:
    """Octets of memory for a file of so many."""
    file = FOLDER / "large.bin"
    with file.open("wb") as stream:
        stream.truncate(size)
    answer = run([PYTHON, CLIENTS / "sign.py", "wlsmtp", FOLDER / "rsa", file, "memory"], "wlsmtp")
    file.unlink()
    return int(json.loads(answer)["growth"])


def words(figures: dict[str, float], library: str) -> Sequence[str]:
    """The cells of a row: the time, and as a multiple of ours."""
    if library not in figures:
        return ("-", "-")
    return (f"{figures[library]:,.0f}", f"{figures[library] / figures['wlsmtp']:.1f}")


def ask(bench: Bench) -> Section:
    install_dkimpy()
    prepare()
    section = Section("DKIM signatures", (__doc__ or "").strip())
    found = {row: microseconds(bench, *row) for row in ROWS}
    headers = ("message and key", "wlsmtp, us", "dkimpy, us", "x", "Nodemailer, us", "x")
    rows = [
        (f"{name}, {kind}", f"{one['wlsmtp']:,.0f}", *words(one, "dkimpy"), *words(one, "Nodemailer"))
        for (name, kind), one in found.items()
    ]
    grown = growth(100_000_000)
    note = f"A message with a file of 100 MB, signed: memory grows by {grown / 1e6:.2f} MB."
    section.tables = [Table("CPU time to sign one message", headers, rows, [note])]
    for row in ((LETTER, "rsa"), (FILE, "rsa")):
        value = found[row].get("dkimpy", 0.0) / found[row]["wlsmtp"]
        what = f"Signing {row[0]} with RSA: CPU time of dkimpy's of ours"
        section.claims.append(Claim(what, ">= 10 x", f"{value:.1f} x", value >= 10 if value else None))
    section.claims.append(
        Claim("Signing 100 MB: growth of memory", "< 1 MB", f"{grown / 1e6:.2f} MB", grown < 1_000_000)
    )
    return section


question: Question = ask

if __name__ == "__main__":
    show(question)
