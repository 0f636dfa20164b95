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
    """What this side knows beside the reply."""

    names: tuple[str, ...] = ()
    """The server's names: the one that was connected to, and the one that it gives itself."""
    is_secure: bool = False
    """Whether the connection is encrypted."""
    has_login: bool = False
    """Whether a login has succeeded over it."""
    secret: Literal["password", "token", "other"] = "password"
    """What the login shows."""
    may_pass: bool = False
    """Whether the same login may succeed later."""


class Words:
    """A pattern that is compiled when a reply is first compared with it: most programs meet few refusals, and start
    sooner without the whole table."""

    def __init__(self, pattern: str) -> None:
        self._pattern = pattern

    @cached_property
    def compiled(self) -> re.Pattern[str]:
        """What searches."""
        return re.compile(self._pattern, re.IGNORECASE)

    def search(self, text: str) -> re.Match[str] | None:
        """Where a text has it."""
        return self.compiled.search(text)


@dataclass(frozen=True, slots=True)
class Row:
    """One kind of refusal. It fits a reply at one of its stages that has one of its ``codes``, one of its ``enhanced``
    codes, or its ``words``, unless one of the fields below those speaks against it."""

    situation: str
    stages: tuple[Stage, ...]
    like: str
    """What a real server says."""
    hint: str | None
    """What to do, in one or two sentences."""
    words: Words | re.Pattern[str] | None = None
    enhanced: frozenset[str] = frozenset()
    codes: frozenset[int] = frozenset()
    only: frozenset[int] = frozenset()
    """Only with one of these codes."""
    first_digit: int | None = None
    """Only with a code that begins with it."""
    secure: bool | None = None
    """Only over such a connection: encrypted, or in the clear."""
    login: bool | None = None
    """Only with such a session: logged in, or not."""
    secret: str | None = None
    """Only for such a login."""
    lasting: bool = False
    """Only where waiting will not help."""
    provider_first: bool = False
    """Whether the advice of the provider, where it is known, is better than ``hint``."""

    def fits(self, stage: Stage, reply: Reply, text: str, scene: Scene) -> bool:
        """Whether it is meant for this reply."""
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
    """Words, in upper or lower case."""
    return Words("|".join(patterns))
