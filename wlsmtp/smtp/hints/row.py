"""One row of the table of hints, and what it is compared with."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Literal

from wlsmtp.errors import Stage

if TYPE_CHECKING:
    from wlsmtp.results.reply import Reply

OPENING = (Stage.GREETING, Stage.EHLO, Stage.STARTTLS)
LOGIN = (Stage.AUTH,)
ENVELOPE = (Stage.MAIL, Stage.RCPT, Stage.DATA, Stage.CONTENT)
CONTENT = (Stage.DATA, Stage.CONTENT)
ANY = (*OPENING, *LOGIN, *ENVELOPE, Stage.RSET, Stage.NOOP)


@dataclass(frozen=True, slots=True)
class Scene:
    """The client's side of a refusal, beside the reply."""

    names: tuple[str, ...] = ()
    """The server's names: the one connected to, and the one in its greeting."""
    is_secure: bool = False
    """True if the connection is encrypted."""
    has_login: bool = False
    """True if a login has succeeded on it."""
    secret: Literal["password", "token", "other"] = "password"
    """The kind of secret that the login sends."""
    may_pass: bool = False
    """True if the same login may succeed later."""


class Words:
    """A pattern that is compiled when a reply is first compared with it. Most programs see few refusals and start
    faster without the whole table."""

    def __init__(self, pattern: str) -> None:
        self._pattern = pattern

    @cached_property
    def compiled(self) -> re.Pattern[str]:
        """The compiled pattern."""
        return re.compile(self._pattern, re.IGNORECASE)

    def search(self, text: str) -> re.Match[str] | None:
        """Search a text for the pattern."""
        return self.compiled.search(text)


@dataclass(frozen=True, slots=True)
class Row:
    """One kind of refusal. It matches a reply at one of its stages that has one of its ``codes``, one of its
    ``enhanced`` codes, or its ``words``, unless one of the fields after those excludes it."""

    situation: str
    stages: tuple[Stage, ...]
    like: str
    """An example from a real server."""
    hint: str | None
    """The advice, in one or two sentences."""
    words: Words | re.Pattern[str] | None = None
    enhanced: frozenset[str] = frozenset()
    codes: frozenset[int] = frozenset()
    only: frozenset[int] = frozenset()
    """Matches only these codes."""
    first_digit: int | None = None
    """Matches only codes that begin with this digit."""
    secure: bool | None = None
    """Matches only connections that are (or are not) encrypted."""
    login: bool | None = None
    """Matches only sessions that are (or are not) logged in."""
    secret: str | None = None
    """Matches only this kind of secret."""
    lasting: bool = False
    """Matches only where waiting will not help."""
    provider_first: bool = False
    """True if the provider's advice, if known, is better than ``hint``."""

    def fits(self, stage: Stage, reply: Reply, text: str, scene: Scene) -> bool:
        """Return whether this row explains the reply."""
        if stage not in self.stages or (self.only and reply.code not in self.only):
            return False
        if self.first_digit is not None and reply.code // 100 != self.first_digit:
            return False
        if self.secure not in (None, scene.is_secure) or self.login not in (None, scene.has_login):
            return False
        if self.secret not in (None, scene.secret) or (self.lasting and scene.may_pass):
            return False
        if reply.code in self.codes or str(reply.enhanced) in self.enhanced:
            return True
        return self.words is not None and self.words.search(text) is not None


def any_of(*patterns: str) -> Words:
    """Return a pattern of words in any case."""
    return Words("|".join(patterns))
