"""What a server's refusal means for who sends, and what to do: one table of patterns by stage, pure.

A wrong hint is worse than none. So each row names the stages at which it is meant, its words are those of real servers,
and the first row that fits decides. A row without a hint is for refusals that only look like another one: those about
a recipient, which nothing on this side can change.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

from wlsmtp.presets import advice_for
from wlsmtp.smtp.hints.login import LOGIN_ROWS
from wlsmtp.smtp.hints.message import MESSAGE_ROWS
from wlsmtp.smtp.hints.row import Row, Scene
from wlsmtp.smtp.hints.session import SESSION_ROWS

if TYPE_CHECKING:
    from wlsmtp.errors import SMTPError, Stage
    from wlsmtp.results.reply import Reply

NOWHERE = Scene()
ROWS: tuple[Row, ...] = (*SESSION_ROWS, *LOGIN_ROWS, *MESSAGE_ROWS)
"""The first that fits decides."""

_LOOKED_AT = 2000
"""Characters of a reply that are searched, so that a hostile text costs no time."""
_ADDRESS = re.compile(r"[^\s<>:;,]{1,256}@[^\s<>:;,]{1,256}")
_URL = re.compile(r"https?://([^\s/?#]{1,256})(?:[^\s]{0,200}?[?&](p=\w+)|)[^\s]*")
"""A link: its host, and the word by which Google names a reason."""


def row_for(stage: Stage, reply: Reply, scene: Scene = NOWHERE) -> Row | None:
    """What a refusal means; None where no row is meant for it."""
    if reply.code < 400:
        return None
    return _find(stage, reply, scene)


@lru_cache(maxsize=256)
def _find(stage: Stage, reply: Reply, scene: Scene) -> Row | None:
    text = _without_names(reply.text[:_LOOKED_AT])
    return next((row for row in ROWS if row.fits(stage, reply, text, scene)), None)


def _without_names(text: str) -> str:
    """The server's own words: an address that it repeats may be that of ``spam@…``, and the path of a link tells
    nothing."""
    return _URL.sub(r"\1 \2", _ADDRESS.sub("a@b", text))


def hint_for(stage: Stage, reply: Reply, scene: Scene = NOWHERE) -> str | None:
    """What to do about a refusal; None where that is not known."""
    row = row_for(stage, reply, scene)
    if row is None or not row.provider_first:
        return row.hint if row is not None else None
    return provider_advice(scene) or row.hint


def provider_advice(scene: Scene) -> str | None:
    """What the provider behind one of the server's names asks for at login."""
    return next((advice for name in scene.names if (advice := advice_for(name)) is not None), None)


def advise(error: SMTPError, scene: Scene, server: str) -> None:
    """Name the server in an error, and give one that came with a reply its hint, unless it has one."""
    error.name_server(server)
    if error.hint is None and error.reply is not None and error.stage is not None:
        error.hint = hint_for(error.stage, error.reply, scene)
