"""The answers of the API: JSON in the form of Mailpit's API, version 1, so that its clients can read it."""

from __future__ import annotations

import hashlib
from typing import Any

from wlsmtp.inbox.caniemail import CLIENTS
from wlsmtp.inbox.checks import unknown_features
from wlsmtp.inbox.fields import Box, iso
from wlsmtp.inbox.mail import Mail
from wlsmtp.inbox.mime import Part
from wlsmtp.inbox.store import Entry, Totals

MAX_TREE = 300


def item(entry: Entry) -> dict[str, Any]:
    """A message in a list."""
    summary = entry.summary
    return {
        "ID": entry.id,
        "MessageID": summary["message_id"],
        "Read": entry.is_read,
        "From": summary["sender"],
        "To": summary["to"],
        "Cc": summary["cc"],
        "Bcc": summary["bcc"],
        "ReplyTo": summary["reply_to"],
        "Subject": summary["subject"],
        "Created": iso(entry.received),
        "Username": entry.facts.username or "",
        "Tags": list(entry.tags),
        "Size": entry.size,
        "Attachments": entry.attachments,
        "Snippet": summary["snippet"],
    }


def listing(
    entries: list[Entry], counted: tuple[int, int], totals: Totals, tags: dict[str, int], start: int
) -> dict[str, Any]:
    """A page of a list."""
    return {
        "total": totals.messages,
        "unread": totals.unread,
        "dropped": totals.dropped,
        "count": len(entries),
        "messages_count": counted[0],
        "messages_unread": counted[1],
        "start": start,
        "tags": list(tags),
        "messages": [item(entry) for entry in entries],
    }


def message(mail: Mail) -> dict[str, Any]:
    """A message with its texts and attachments."""
    summary, reading = mail.entry.summary, mail.reading
    boxes: dict[str, list[Box]] = {"To": summary["to"], "Cc": summary["cc"], "Bcc": summary["bcc"]}
    return {
        "ID": mail.id,
        "MessageID": summary["message_id"],
        "From": summary["sender"],
        **boxes,
        "ReplyTo": summary["reply_to"],
        "ReturnPath": mail.sender,
        "Subject": mail.subject,
        "ListUnsubscribe": unsubscribe(mail),
        "Date": summary["date"],
        "Tags": list(mail.tags),
        "Username": mail.facts.username or "",
        "Text": reading.text,
        "HTML": reading.html,
        "Size": mail.entry.size,
        "Inline": [attachment(part) for part in reading.inline],
        "Attachments": [attachment(part) for part in reading.attachments],
    }


def attachment(part: Part) -> dict[str, Any]:
    """An attachment, without its content."""
    content = part.body()
    digests = {name.upper(): hashlib.new(name, content, usedforsecurity=False).hexdigest()
               for name in ("md5", "sha1", "sha256")}  # fmt: skip
    return {
        "PartID": part.path,
        "FileName": part.filename or f"part-{part.path}",
        "ContentType": part.content_type,
        "ContentID": part.content_id,
        "Size": len(content),
        "Checksums": digests,
    }


def unsubscribe(mail: Mail) -> dict[str, Any]:
    """Return the options of List-Unsubscribe (RFC 2369, RFC 8058)."""
    value, post = mail.header("List-Unsubscribe") or "", mail.header("List-Unsubscribe-Post") or ""
    pieces = [piece.strip() for piece in value.split(",") if piece.strip()]
    links = [piece[1:-1] for piece in pieces if piece.startswith("<") and piece.endswith(">")]
    errors = "" if len(links) == len(pieces) else "List-Unsubscribe: each address must stand in angle brackets"
    if post and not any(link.lower().startswith("https:") for link in links):
        errors = "List-Unsubscribe-Post needs an https address in List-Unsubscribe"
    return {"Header": value, "HeaderPost": post, "Links": links, "Errors": errors}


def details(mail: Mail) -> dict[str, Any]:
    """Return the details that the page shows beside a message: the envelope, how it came, its parts, links and codes,
    and what the HTML would do if it could."""
    facts, shown = mail.facts, mail.shown() if mail.reading.html_part else None
    return {
        "Envelope": {"From": facts.sender, "To": list(facts.recipients), "Parameters": facts.parameters},
        "Username": facts.username,
        "TLS": facts.tls,
        "Via": facts.via,
        "Received": iso(mail.entry.received),
        "Tree": tree(mail.reading.root, [MAX_TREE]),
        "Links": mail.links[:500],
        "Codes": mail.codes[:20],
        "Blocked": list(dict.fromkeys(shown.blocked))[:200] if shown else [],
        "Removed": shown.removed if shown else {},
        "IsCut": bool(shown and shown.is_cut),
    }


def tree(part: Part, left: list[int]) -> dict[str, Any]:
    """The parts of a message, as far as ``left`` allows."""
    left[0] -= 1
    return {
        "PartID": part.path,
        "ContentType": part.content_type,
        "Encoding": part.encoding,
        "Disposition": part.disposition,
        "Charset": part.parameters.get("charset", ""),
        "FileName": part.filename,
        "Size": part.size,
        "Parts": [tree(child, left) for child in part.children if left[0] > 0],
    }


def headers(mail: Mail) -> dict[str, list[str]]:
    """All header fields, by name."""
    found: dict[str, list[str]] = {}
    for name, _ in mail.reading.root.fields:
        found.setdefault("-".join(word.capitalize() for word in name.split("-")), [])
    for name, value in mail.reading.root.fields:
        found["-".join(word.capitalize() for word in name.split("-"))].append(value)
    return dict(sorted(found.items()))


def html_check(mail: Mail) -> dict[str, Any]:
    """Report the features of the HTML that clients do not support. Versions of clients are not distinguished."""
    nodes, features = unknown_features(mail)
    total = len(CLIENTS)
    warnings = [
        {
            "Slug": name, "Title": name, "Description": "", "URL": "https://www.caniemail.com/", "Tags": [],
            "Keywords": "",
            "Category": "html" if name.startswith("<") or name.endswith("=") else "css", "NotesByNumber": {},
            "Results": [
                {"Name": client, "Family": client, "Platform": "", "Version": "", "NoteNumber": "",
                 "Support": "no" if letter in without else "yes"} for letter, client in CLIENTS.items()
            ],
            "Score": {"Found": 1, "Supported": 100 * (total - len(without)) / total, "Partial": 0,
                      "Unsupported": 100 * len(without) / total},
        } for name, without in features
    ]  # fmt: skip
    unsupported = sum(len(without) for _, without in features) * 100 / (total * max(1, nodes + len(features)))
    return {
        "Warnings": warnings,
        "Platforms": {client: [client] for client in CLIENTS.values()},
        "Total": {
            "Tests": len(features), "Nodes": nodes, "Supported": 100 - unsupported, "Partial": 0,
            "Unsupported": unsupported,
        },
    }  # fmt: skip
