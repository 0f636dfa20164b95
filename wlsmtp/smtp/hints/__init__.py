"""Explains refusals to the sender and says what to do: one table of patterns by stage, pure.

A wrong hint is worse than none. Each row therefore names the stages it is for, its words are those of real servers, and
the first row that matches decides. A row without a hint is for refusals that only look like others, for example about a
recipient, which nothing on this side can change.
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
"""All rows; the first that matches decides."""

_LOOKED_AT = 2000
"""Number of characters of a reply that are searched, so that a hostile text costs no time."""
_ADDRESS = re.compile(r"[^\s<>:;,]{1,256}@[^\s<>:;,]{1,256}")
_URL = re.compile(r"https?://([^\s/?#]{1,256})(?:[^\s]{0,200}?[?&](p=\w+)|)[^\s]*")
"""A link: its host, and the word by which Google names a reason."""


def row_for(stage: Stage, reply: Reply, scene: Scene = NOWHERE) -> Row | None:
    """Return the row that explains a refusal; None if no row is meant for it."""
    if reply.code < 400:
        return None
    return _find(stage, reply, scene)


@lru_cache(maxsize=256)
def _find(stage: Stage, reply: Reply, scene: Scene) -> Row | None:
    text = _without_names(reply.text[:_LOOKED_AT])
    return next((row for row in ROWS if row.fits(stage, reply, text, scene)), None)


def _without_names(text: str) -> str:
    """Return the server's own words. A repeated address may be that of ``spam@…``, and the path of a link means
    nothing."""
    return _URL.sub(r"\1 \2", _ADDRESS.sub("a@b", text))


def hint_for(stage: Stage, reply: Reply, scene: Scene = NOWHERE) -> str | None:
    """Return what to do about a refusal; None if that is not known."""
    row = row_for(stage, reply, scene)
    if row is None or not row.provider_first:
        return row.hint if row is not None else None
    return provider_advice(scene) or row.hint


def provider_advice(scene: Scene) -> str | None:
    """Return what the provider behind one of the server's names requires at login."""
    return next((advice for name in scene.names if (advice := advice_for(name)) is not None), None)


def advise(error: SMTPError, scene: Scene, server: str) -> None:
    """Name the server in an error. Add a hint to one that came with a reply, unless it has one."""
    error.name_server(server)
    if error.hint is None and error.reply is not None and error.stage is not None:
        error.hint = hint_for(error.stage, error.reply, scene)
