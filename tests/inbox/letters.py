"""Letters as programs send them: for the tests and for the screenshots in the docs."""

from __future__ import annotations

import struct
import zlib
from functools import cache

from wlsmtp import Attachment, Message
from wlsmtp.inbox import Store
from wlsmtp.inbox.store import Facts
from wlsmtp.wire.mailboxes import mailboxes_in

ANN, BOB = "Ann Example <ann@example.com>", "Bob Builder <bob@example.org>"


@cache
def png(width: int, height: int, first: tuple[int, int, int], last: tuple[int, int, int]) -> bytes:
    """An image with a gradient."""
    rows = b""
    for y in range(height):
        rows += b"\0" + b"".join(
            bytes(a + (b - a) * (x + y) // (width + height) for a, b in zip(first, last, strict=True))
            for x in range(width)
        )

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


WELCOME = """\
<!doctype html><html><body style="margin:0;background:#f3f4f8;font-family:Helvetica,Arial,sans-serif;color:#23232e">
<table role="presentation" width="100%" cellpadding="0" cellspacing="0"><tr><td align="center" style="padding:32px 12px">
<table role="presentation" width="100%" cellpadding="0" cellspacing="0" style="max-width:560px;background:#ffffff;
border-radius:14px;overflow:hidden">
<tr><td><img src="cid:banner" alt="Northwind" width="560" height="150" style="display:block;width:100%"></td></tr>
<tr><td style="padding:32px 36px 8px"><h1 style="margin:0 0 10px;font-size:26px;letter-spacing:-.02em">Welcome aboard, Bob</h1>
<p style="margin:0 0 20px;font-size:16px;line-height:1.6;color:#55556a">Your workspace is ready. Confirm your address, and
you can invite the rest of the crew.</p>
<p style="margin:0 0 24px"><a href="https://northwind.example/confirm?code=482913" style="display:inline-block;padding:13px 26px;
border-radius:9px;background:#4f46e5;color:#ffffff;font-weight:bold;text-decoration:none">Confirm my address</a></p>
<p style="margin:0 0 6px;font-size:15px;color:#55556a">Or type in this code:</p>
<p style="margin:0 0 28px;font:bold 30px/1.2 Menlo,Consolas,monospace;letter-spacing:.22em">482913</p></td></tr>
<tr><td style="padding:18px 36px 28px;border-top:1px solid #ececf2;font-size:13px;color:#77778a">You get this because you
signed up at northwind.example. <a href="https://northwind.example/unsubscribe" style="color:#77778a">Unsubscribe</a></td></tr>
</table></td></tr></table></body></html>"""

NEWSLETTER = """\
<html><body style="font-family:Georgia,serif;max-width:600px;margin:24px auto;color:#222">
<img src="https://tracker.example/open.gif?u=42" width="1" height="1">
<h1 style="font-size:30px">The week in weather</h1><img src="https://cdn.example/clouds.jpg" alt="Clouds over the bay" width="600"
height="240"><p style="font-size:17px;line-height:1.6">A calm week is ahead. Winds from the south-west, and a good chance of
sun on Thursday.</p><p><a href="http://weather.example/archive">Read more</a></p></body></html>"""


def letters() -> list[Message]:
    """Some, oldest first."""
    report = b"month,sold,returned\r\nMay,120,3\r\nJune,190,4\r\nJuly,174,2\r\n"
    return [
        Message("Nightly build <ci@example.net>", "team@example.org", subject="[main] 2,914 tests passed in 3 min 12 s",
                text="All green.\n\nhttps://ci.example.net/builds/5120\n", headers={"X-Tag": "ci"}),
        Message("Mara Lindqvist <mara@example.com>", BOB, subject="Re: Lunch on Friday?",
                text="Sure! The place by the harbour, at half past twelve?\n\n> Are you free on Friday?\n> Bob\n"),
        Message("Weather Weekly <news@weather.example>", "bob+news@example.org", subject="The week in weather",
                text="A calm week is ahead.", html=NEWSLETTER),
        Message("Accounts <accounts@example.com>", [BOB, "Cleo <cleo@example.net>"], subject="Sales of the second quarter",
                text="Hello both,\n\nthe numbers are attached, with a chart.\n\nAccounts\n",
                attachments=[Attachment.from_bytes(report, "sales.csv", "text/csv"),
                             Attachment.from_bytes(png(320, 180, (60, 190, 160), (30, 70, 160)), "chart.png", "image/png"),
                             Attachment.from_bytes(b"%PDF-1.4\n%%EOF\n" * 900, "report.pdf", "application/pdf")]),
        Message("Ops <ops@example.net>", "bob@example.org", subject="Disk on db-2 is 91 % full",
                text="db-2: /var is 91 % full.\nGrowth: 2 % a day.\n", headers={"X-Tag": "alert"}),
        Message("Northwind <hello@northwind.example>", "Bob Builder <bob+signup@example.org>",
                subject="Welcome aboard: confirm your address", text="Welcome aboard, Bob.\n\nYour code is 482913.\n"
                "https://northwind.example/confirm?code=482913\n", html=WELCOME,
                headers={"List-Unsubscribe": "<https://northwind.example/unsubscribe>"},
                attachments=[Attachment(png(560, 150, (99, 102, 241), (217, 70, 160)), "banner.png", "image/png", "inline",
                                        "banner")]),
    ]  # fmt: skip


def keep_letters(store: Store) -> None:
    """Put them all into a store."""
    for message in letters():
        recipients = tuple(str(box.address) for box in mailboxes_in(message.to))
        store.add(bytes(message), Facts(str(message.sender.address), recipients, tls="TLSv1.3", username="app"))
