"""Refusals of servers, and the row of the table of hints that is meant for each; None if no row is.

``REPLIES`` are in ``refusals.txt``, ``PROFILES`` names the situations of ``wlsmtp.testing`` profiles.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from wlsmtp.errors import Stage
from wlsmtp.results.reply import Reply
from wlsmtp.wire.reply import ReplyParser


def _replies() -> Iterator[tuple[Stage, str, str | None]]:
    rows = re.split(r"\n(?! )", Path(__file__).with_suffix(".txt").read_text(encoding="utf-8").strip())
    for line in rows:
        if not line.startswith("#"):
            stage, row, words = line.split(" | ", 2)
            yield Stage[stage], words.replace("\n  ", "\n"), None if row == "-" else row


REPLIES = list(_replies())

PROFILES: dict[tuple[str, str], str | None] = {
    ("aliyun", "wrong password"): "wrong credentials",
    ("aol", "wrong password"): "app password",
    ("brevo", "mail without login"): "not logged in",
    ("brevo", "address not authorised"): "address not allowed",
    ("brevo", "account not activated"): "sender blocked",
    ("exchange-onprem", "mechanism not offered"): "this way of logging in",
    ("exchange-onprem", "temporary failure"): None,
    ("exchange-onprem", "rate exceeded"): "rate",
    ("gmail", "wrong password"): "app password",
    ("gmail", "app password needed"): "app password",
    ("gmail", "too many logins"): "too many logins",
    ("gmail", "refused at EHLO"): "name at EHLO",
    ("gmail", "quota exceeded"): "the day's limit",
    ("gmail", "message too large"): "size",
    ("gmail", "too many recipients"): "about a recipient",
    ("gmail", "recipient unknown"): "about a recipient",
    ("gmail", "temporary failure"): None,
    ("gmail", "recipient busy"): "about a recipient",
    ("gmx", "sender refused"): "sender not owned",
    ("godaddy", "too many connections"): "too many connections",
    ("icloud", "sender refused"): "sender not owned",
    ("icloud", "wrong password"): "wrong credentials",
    ("mail.ru", "app password needed"): "app password",
    ("mailenable", "mechanism not offered"): "mechanism",
    ("mailgun", "wrong password"): "wrong credentials",
    ("mailgun", "mail without login"): "not logged in",
    ("mailhog", "unknown command"): None,
    ("mailtrap-live", "sender not verified"): "unverified sender",
    ("mailtrap-sandbox", "rate exceeded"): "rate",
    ("mailtrap-sandbox", "rate, new wording"): "rate",
    ("netease", "spam"): "spam",
    ("netease", "sender refused"): "envelope and From",
    ("office365", "wrong password"): "wrong credentials",
    ("office365", "SMTP AUTH switched off"): "SMTP AUTH switched off",
    ("office365", "login by password switched off"): "passwords switched off",
    ("office365", "login against policy"): "policy of the tenant",
    ("office365", "malformed token"): None,
    ("office365", "mail without login"): "not logged in",
    ("office365", "sender refused"): "sender not owned",
    ("office365", "sender refused, older words"): "sender not owned",
    ("office365", "too many connections"): "too many connections",
    ("office365", "rate exceeded"): "rate",
    ("office365", "quota exceeded"): "the day's limit",
    ("office365", "spam"): "sender blocked",
    ("office365", "mailbox full"): "own mailbox full",
    ("office365", "old TLS"): "old TLS",
    ("office365", "temporary failure at login"): None,
    ("orange", "too many connections"): "too many connections",
    ("orange", "service refused"): None,
    ("postfix", "talks too early"): None,
    ("postfix", "sender refused"): "sender not owned",
    ("postfix", "idle"): None,
    ("proton", "mechanism not offered"): "mechanism",
    ("proton", "mail without login"): "not logged in",
    ("proton-bridge", "login forgotten"): None,
    ("proton-bridge", "MAIL with AUTH="): None,
    ("proton-bridge", "sender refused"): "sender not owned",
    ("resend", "sender not verified"): "unverified sender",
    ("sendgrid", "wrong password"): "wrong credentials",
    ("sendgrid", "quota exceeded"): "credits",
    ("sendgrid", "mail without login"): "not logged in",
    ("sendgrid", "sender not verified"): "unverified sender",
    ("ses", "mail without login"): "not logged in",
    ("ses", "TLS required"): "TLS wanted",
    ("ses", "sender not verified"): "unverified identity",
    ("ses", "sender domain not set up"): "MAIL FROM domain",
    ("ses", "rate exceeded"): "rate",
    ("ses", "quota exceeded"): "the day's limit",
    ("ses", "idle"): None,
    ("ses", "too many connections"): "too many connections",
    ("ses", "temporary failure"): None,
    ("stalwart", "wrong password"): "wrong credentials",
    ("yahoo", "wrong password"): "app password",
    ("yahoo", "mail without login"): "not logged in",
    ("yahoo", "sender refused"): "sender not owned",
    ("yandex", "app password needed"): "mail programs not allowed",
    ("yandex", "spam"): "spam",
    ("yandex", "idle"): None,
    ("zoho", "wrong password"): "wrong credentials",
    ("zoho", "sender refused"): "sender not owned",
    ("zoho", "unusual activity"): "rate",
    ("zoho", "account blocked"): "sender blocked",
    ("zoho", "policy violation"): None,
}
"""The same for what the servers of providers say, by the names of the profile and of the situation."""

STAGES = {
    "CONNECT": Stage.GREETING,
    "EHLO": Stage.EHLO,
    "AUTH": Stage.AUTH,
    "LOGIN": Stage.AUTH,
    "MAIL": Stage.MAIL,
    "RCPT": Stage.RCPT,
    "DATA": Stage.DATA,
    ".": Stage.CONTENT,
    "RSET": Stage.RSET,
}


def reply(text: str) -> Reply:
    """The reply of these lines."""
    (found,) = ReplyParser().feed(text.replace("\r\n", "\n").replace("\n", "\r\n").encode() + b"\r\n")
    return found
