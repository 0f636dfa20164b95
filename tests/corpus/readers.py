"""The content of a message as readers see it: Python's ``email``, mailparser (Node.js) and MIME::Parser (Perl), each
called once for all messages. A reading has the same names for all readers, and more where a reader reports more."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any

READERS = ("email", "mailparser", "MIME::Parser")
INSTALLED = Path(__file__).parent.parent.parent / ".servers" / "mail-readers"
"""Where scripts/install-mail-readers.sh puts them."""

Reading = Mapping[str, Any]
"""``subject``, ``from``, ``to``, ``cc`` and ``reply-to`` (pairs of name and address), ``text``, ``html``, and ``files``
(pairs of name and digest); and whatever else is to be compared."""

_HERE = Path(__file__).parent
_PERL = INSTALLED / "perl" / "usr" / "share" / "perl5"
_NODE = INSTALLED / "node" / "node_modules"
_ADDRESSES = ("from", "sender", "to", "cc", "bcc", "reply-to")


def what_is_missing(reader: str) -> str | None:
    """Why a reader cannot be had here."""
    if reader == "mailparser" and not (shutil.which("node") and _NODE.is_dir()):
        return "mailparser is not installed: sh scripts/install-mail-readers.sh (it needs npm)"
    if reader == "MIME::Parser" and not (shutil.which("perl") and _PERL.is_dir()):
        return "MIME::Parser is not installed: sh scripts/install-mail-readers.sh (it needs apt)"
    return None


def read_all(reader: str, contents: Iterable[bytes], folder: Path) -> dict[bytes, Reading]:
    """What the reader finds in each content."""
    unique = {digest(content): content for content in contents}
    if reader == "email":
        return {content: _normal(_read(content)) for content in unique.values()}
    for name, content in unique.items():
        (folder / f"{name}.eml").write_bytes(content)
    if reader == "mailparser":
        command, environment = ["node", str(_HERE / "mailparser.js")], {"NODE_PATH": str(_NODE)}
    else:
        command, environment = ["perl", str(_HERE / "mime_parser.pl")], {"PERL5LIB": str(_PERL)}
    done = subprocess.run([*command, folder], capture_output=True, env={**os.environ, **environment}, timeout=50)
    assert done.returncode == 0, f"{reader}: {done.stderr.decode()[-2000:]}"
    found = json.loads(done.stdout)
    return {content: _normal(found[name]) for name, content in unique.items()}


def digest(octets: bytes) -> str:
    """What stands for the octets of a file."""
    return hashlib.sha256(octets).hexdigest()


def plain(text: str) -> str:
    """A text with line ends as in Python, and none at its end: some senders must add one."""
    return re.sub(r"\r\n?", "\n", text).rstrip("\n")


def _normal(reading: dict[str, Any]) -> Reading:
    """Text, HTML and files picked out of the parts, where the reader has not done so."""
    if "parts" in reading:
        parts = reading["parts"]
        for name, kind in (("text", "text/plain"), ("html", "text/html")):
            texts = [
                content for type, _, disposition, content, *_ in parts if type == kind and disposition != "attachment"
            ]
            reading[name] = "".join(texts[:1])
        reading["files"] = [[name, content] for _, name, disposition, content, *_ in parts if disposition]
    # Flask-Mail keeps recipients in sets.
    in_order = {name: sorted(reading[name]) for name in ("to", "cc")}
    return reading | in_order | {name: plain(reading[name]) for name in ("text", "html")}


def _read(content: bytes) -> dict[str, Any]:
    message: Any = message_from_bytes(content, policy=policy.default)
    reading: dict[str, Any] = {"subject": "", **{name: [] for name in _ADDRESSES}}
    for name in map(str.lower, message.keys()):
        if name in _ADDRESSES:
            groups = [group for field in message.get_all(name) for group in field.groups]
            boxes = [box for group in groups for box in group.addresses]
            reading[name] = [[_utf8(box.display_name), _utf8(box.addr_spec)] for box in boxes]
            reading[f"groups in {name}"] = [group.display_name for group in groups if group.display_name is not None]
        elif not name.startswith("content-"):
            values = [_utf8(str(value)) for value in message.get_all(name)]
            reading[name] = values[0] if len(values) == 1 else values
    reading["parts"] = [_part(part) for part in message.walk()]
    return reading


def _utf8(text: str) -> str:
    """Raw octets, which the standard library has as surrogates."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "surrogateescape")


def _part(part: Any) -> list[Any]:
    """Type, name of the file, disposition, text or digest, identifier, and parameters of the type."""
    kind, disposition = part.get_content_type(), part.get_content_disposition() or ""
    if part.is_multipart():
        content = ""
    elif kind.startswith("text/") and disposition != "attachment":
        content = plain(part.get_content())
    else:
        octets = part.get_payload(decode=True)
        content = digest(octets.replace(b"\r\n", b"\n") if kind.startswith("text/") else octets)
    parameters = dict(part["Content-Type"].params) if "Content-Type" in part else {}
    for name in ("boundary", "charset", "name"):
        parameters.pop(name, None)
    return [kind, part.get_filename() or "", disposition, content, str(part["Content-ID"] or ""), parameters]
