"""A ``Message`` as one HTML file: what its recipients will see, in a frame that runs nothing and fetches nothing."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterator
from html import escape
from typing import TYPE_CHECKING
from urllib.parse import quote

from wlsmtp.message.preview import head_lines

if TYPE_CHECKING:
    from wlsmtp.message.attachment import Attachment
    from wlsmtp.message.model import Message

_PAGE = """\
<!DOCTYPE html>
<html>
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<meta http-equiv="x-dns-prefetch-control" content="off">
<meta name="referrer" content="no-referrer">
<title>{title}</title>
<style>
body {{ font: 15px/1.4 sans-serif; margin: 2em auto; max-width: 60em; padding: 0 1em; color: #222; background: #fff }}
th {{ text-align: left; vertical-align: top; padding-right: 1em; font-weight: normal; color: #666 }}
td {{ overflow-wrap: anywhere }}
h2 {{ font-size: 1em; color: #666; border-bottom: 1px solid #ccc; margin-top: 2em }}
pre {{ white-space: pre-wrap; overflow-wrap: anywhere }}
iframe {{ width: 100%; height: 40em; border: 1px solid #ccc }}
</style>
</head>
<body>
<table>
{head}</table>
{parts}</body>
</html>
"""


def preview_html(message: Message) -> str:
    """Return a page for a browser; see ``Message.preview_html``."""
    rows = (line.partition(": ") for line in head_lines(message))
    head = "".join(f"<tr><th>{escape(name)}<td>{escape(value)}\n" for name, _, value in rows)
    return _PAGE.format(title=escape(message.subject), head=head, parts="".join(_parts(message)))


def _parts(message: Message) -> Iterator[str]:
    if message.html is not None:
        # Sandboxed, it has no scripts, forms, plugins or navigation, and it inherits the page's policy.
        yield f'<h2>HTML</h2>\n<iframe sandbox="" srcdoc="{escape(_with_pictures(message, message.html))}"></iframe>\n'
    if message.text is not None:
        yield f"<h2>Text</h2>\n<pre>{escape(message.text)}</pre>\n"
    if message.calendar is not None:
        yield f"<h2>Calendar</h2>\n<pre>{escape(message.calendar)}</pre>\n"


def _with_pictures(message: Message, html: str) -> str:
    """The HTML with its inline attachments in it."""
    inline = {spelt: one for one in message.attachments if one.content_id for spelt in _spellings(one.content_id)}
    if not inline:
        return html
    ids = "|".join(map(re.escape, sorted(inline, key=len, reverse=True)))
    return re.sub(rf"cid:({ids})(?![\w.@%+-])", lambda found: _data_url(inline[found[1]]), html, flags=re.ASCII)


def _spellings(content_id: str) -> set[str]:
    return {content_id, quote(content_id), quote(content_id, safe="@"), escape(content_id)}


def _data_url(attachment: Attachment) -> str:
    kind = attachment.content_type.partition(";")[0].strip()
    return f"data:{kind};base64,{b64encode(attachment.read()).decode()}"
