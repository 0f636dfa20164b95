"""Profiles of the servers of providers: ``profiles.json`` as values.

Each row of the file is one provider, with what public transcripts and documentation show; the rest is left out.
Addresses, ids and dates in it are made up.

- ``title``, ``host``
- ``greeting``, ``hello`` (the first line of EHLO), ``authenticated``, ``queued`` (the reply to a stored content):
  templates with ``{host}``, ``{client}``, ``{number}`` of the message, ``{message_id}`` and ``{time}``
- ``clear``, ``tls``: the keywords before and after TLS
- ``prompts``: what follows 334 where others say ``Username:``, ``Password:`` or nothing, as it stands on the line
- ``quirks``: names out of ``quirks.py``; ``idle_seconds``: when an idle connection is closed
- ``situations``: replies by name, each with its ``stage`` (as in ``SMTPServer.reply_to``), whether it is really
  ``temporary``, whatever its code says, and whether the server then ``closes``
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from importlib.resources import files
from typing import Any

from wlsmtp.testing.channel import CLOSE


@dataclass(frozen=True)
class Situation:
    """The reply of a provider's server in one situation."""

    stage: str
    reply: str
    temporary: bool | None = None
    """True if the same can succeed later, whatever the code of the reply says; None if unknown."""
    closes: bool = False
    """True if the server then closes the connection."""

    @property
    def said(self) -> tuple[str, ...]:
        """The reply, and the end of the connection if it ends; it always does after 421."""
        return (self.reply, CLOSE) if self.closes or self.reply.startswith("421") else (self.reply,)


@dataclass(frozen=True)
class Profile:
    """How a server presents itself. The defaults are those of a server without a profile."""

    name: str = ""
    title: str = ""
    host: str = "testing.wlsmtp.example"
    greeting: str = "220 {host} ESMTP"
    hello: str = "{host}"
    clear: Sequence[str] = ()
    tls: Sequence[str] = ()
    prompts: Mapping[str, str] = field(default_factory=dict)
    authenticated: str = "235 2.7.0 Authentication successful"
    queued: str = "250 2.0.0 Ok: queued as {number:010X}"
    quirks: Sequence[str] = ()
    idle_seconds: float = 30.0
    situations: Mapping[str, Situation] = field(default_factory=dict)

    def keywords(self, *, secured: bool, offers_tls: bool) -> list[str]:
        """Return the lines of EHLO. A server that offers no TLS lists what others list after it."""
        if offers_tls and not secured:
            return [*self.clear, *([] if "STARTTLS" in self.clear else ["STARTTLS"])]
        listed = [word for word in self.tls or self.clear if word != "STARTTLS"]
        return listed or ["AUTH PLAIN LOGIN"]

    @property
    def mechanisms(self) -> list[str]:
        """All mechanisms that are ever offered."""
        return mechanisms_in([*self.clear, *(self.tls or ["AUTH PLAIN LOGIN"])])

    @property
    def size_limit(self) -> int | None:
        """The number after SIZE."""
        words = [word.split() for word in (*self.clear, *self.tls)]
        sizes = [int(word[1]) for word in words if word[0] == "SIZE" and len(word) == 2]
        return max(sizes, default=None)

    def changed(self, keyword: str, value: str) -> Profile:
        """Return a copy with another value for a keyword that is listed."""

        def change(words: Sequence[str]) -> list[str]:
            return [f"{keyword} {value}" if word.split()[0] == keyword else word for word in words]

        return replace(self, clear=change(self.clear), tls=change(self.tls))

    def queued_as(self, number: int, content: bytes) -> str:
        """Return the reply to a message that was stored."""
        if self.queued == Profile.queued:
            return f"250 2.0.0 Ok: queued as {number:010X}"
        return self.queued.format(
            host=self.host, number=number, time=_TIME + number, message_id=_message_id(content, number)
        )

    def situation(self, name: str) -> Situation:
        """Return the situation of this name. Raises ``ValueError`` if the provider has none."""
        if name not in self.situations:
            whose = f"of {self.name!r}" if self.name else "of a server without a profile"
            raise ValueError(f"{name!r} is not a situation {whose}; known are: {', '.join(self.situations) or 'none'}")
        return self.situations[name]


_TIME = 1_764_417_600
"""Messages are stored a second apart from this time on."""


def mechanisms_in(keywords: Sequence[str]) -> list[str]:
    """Return the mechanisms that EHLO lists."""
    return list(dict.fromkeys(name for line in keywords if line.startswith("AUTH ") for name in line.split()[1:]))


def _message_id(content: bytes, number: int) -> str:
    for line in content.partition(b"\r\n\r\n")[0].split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"message-id":
            return value.strip().decode("utf-8", "replace")
    return f"<{number}@mail.example.com>"


@cache
def profiles() -> dict[str, Profile]:
    """Return all profiles by name."""
    text = files("wlsmtp.testing").joinpath("profiles.json").read_text(encoding="utf-8")
    return {name: _profile(name, row) for name, row in json.loads(text).items()}


def profile_named(name: str | None) -> Profile:
    """Return the profile of this name; the plain server's for None. Raises ``ValueError`` for an unknown name."""
    if name is None:
        return Profile()
    if name not in profiles():
        raise ValueError(f"{name!r} is not a profile; known are: {', '.join(profiles())}")
    return profiles()[name]


def _profile(name: str, row: dict[str, Any]) -> Profile:
    situations = {
        title: Situation(**{**facts, "reply": facts["reply"].replace("\n", "\r\n")})
        for title, facts in row.pop("situations", {}).items()
    }
    return Profile(name, **row, situations=situations)
