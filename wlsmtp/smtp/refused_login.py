"""Remembers a refused login, so that a session does not offer the same secret again and again, and allows one login at
a time until the first has succeeded. Providers lock accounts for less."""

from __future__ import annotations

import hashlib
import hmac
import os
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from wlsmtp.errors import AuthenticationFailed, DeadlineExceeded, Stage
from wlsmtp.io.order import Rank
from wlsmtp.smtp.refusal import REFUSED_LOGIN_RESTS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Hashable

    from wlsmtp.io.base import IO, Condition
    from wlsmtp.io.place import Place
    from wlsmtp.settings.config import SessionConfig
    from wlsmtp.smtp.deadlines import Deadlines
    from wlsmtp.wire.masking import Notations

_POLL_INTERVAL = 1.0
"""Seconds after which a sender that waits for another login checks again: that login may have been cancelled without
notice."""


@dataclass(frozen=True, slots=True)
class RefusedLogin:
    """One refusal, with a mark by which the secret is recognized without being stored."""

    at: float
    error: AuthenticationFailed
    _salt: bytes = field(repr=False)
    _mark: bytes = field(repr=False)

    @classmethod
    def of(cls, secret: str, error: AuthenticationFailed, now: float) -> RefusedLogin:
        """Record that ``secret`` was refused, whatever the mechanism."""
        salt = os.urandom(16)
        # The raised error holds references to the frames that it passed through.
        return cls(now, _copy(error, error.message, error.hint), salt, _hash(salt, secret))

    def error_for(self, secret: str, now: float) -> AuthenticationFailed | None:
        """Return the error for another login with ``secret``; None when the server should be asked."""
        passed = now - self.at
        if passed >= REFUSED_LOGIN_RESTS or not hmac.compare_digest(self._mark, _hash(self._salt, secret)):
            return None
        first = self.error
        words = f"{first.message}, {passed:.0f} seconds ago, and was not tried again with the same secret"
        again = f"verify() and open() try it at once, a send does so in {REFUSED_LOGIN_RESTS - passed:.0f} seconds"
        hint = f"{first.hint.rstrip('.')}. {again}" if first.hint else again
        return _copy(first, words, hint)


def _copy(error: AuthenticationFailed, message: str, hint: str | None) -> AuthenticationFailed:
    copied = AuthenticationFailed(message, stage=Stage.AUTH, reply=error.reply, hint=hint)
    copied.mechanism, copied.problem, copied.is_lasting = error.mechanism, error.problem, error.is_lasting
    return copied


def _hash(salt: bytes, secret: str) -> bytes:
    return hashlib.blake2b(secret.encode("utf-8", "surrogatepass"), key=salt).digest()


def secret_of(config: SessionConfig, token: str | None = None) -> str | None:
    """Return the secret of a login: ``token`` if it came from a provider, else the token or the password of the
    settings."""
    if token is not None or callable(config.token):
        return token
    given = config.token or config.password
    return given.get_secret_value() if given is not None else None


def refuse_again(secret: str | None, quirks: Logins, now: float) -> None:
    """Raise ``AuthenticationFailed`` for a secret that the server has just refused."""
    refused = quirks.refused_login
    if refused is None or secret is None:
        return
    if (error := refused.error_for(secret, now)) is not None:
        raise error


class Turns:
    """Lets one login go first; the others wait until it has succeeded or failed."""

    def __init__(self, io: IO) -> None:
        self._changed: Condition = io.condition(Rank.LOGIN)
        self._is_taken = False
        self._owner: Hashable | None = None

    async def acquire(self, quirks: Logins, deadline: float, io: IO) -> bool:
        """Wait until no other login is running or one has succeeded; return whether this login is now the first."""
        caller = io.caller()
        if self._is_taken and self._owner == caller:
            return False  # a listener of the running login
        async with self._changed:
            while self._is_taken and quirks.is_login_unproven:
                if io.now() >= deadline:
                    raise DeadlineExceeded("Another login took too long", stage=Stage.AUTH)
                try:
                    await self._changed.wait(min(deadline, io.now() + _POLL_INTERVAL))
                except TimeoutError:
                    continue
            self._is_taken, self._owner = quirks.is_login_unproven, caller
            return self._is_taken

    async def release(self) -> None:
        """Let the others go on."""
        self._is_taken = False
        async with self._changed:
            self._changed.notify_all()


@dataclass(slots=True)
class Logins:
    """A session's knowledge of its logins to one server."""

    mechanism: str | None = None
    """The mechanism of the last login. It is tried first, so that mechanisms that are offered but do not work for this
    user do not cost a failed login per connection."""
    broken_mechanisms: set[str] = field(default_factory=set)
    """Mechanisms during which the server closed the connection before the secret was tested. They are skipped while
    another one is left."""
    refused_login: RefusedLogin | None = None
    """The last refused secret, until a login succeeds or a caller wants the server to be asked again."""
    login_turns: dict[Place, Turns] = field(default_factory=dict, repr=False)
    """Which login goes first: at most one object per process and event loop, created on demand."""
    secret: Notations | None = field(default=None, repr=False)
    """The secret of the last login. The server may repeat it, also over a later connection."""

    @property
    def is_login_unproven(self) -> bool:
        """True if no login has succeeded, or the secret was refused since."""
        return self.mechanism is None or self.refused_login is not None


def _turns_here(quirks: Logins, io: IO) -> Turns:
    for place in tuple(quirks.login_turns):
        if place.is_gone:
            quirks.login_turns.pop(place, None)
    # Two threads may both create one; then both use the same.
    return quirks.login_turns.setdefault(io.here(), Turns(io))


@asynccontextmanager
async def own_turn(quirks: Logins, io: IO, deadlines: Deadlines) -> AsyncIterator[None]:
    """Allow one login at a time while no login of the session has succeeded, or the last one was refused."""
    turns = _turns_here(quirks, io) if quirks.is_login_unproven else None
    is_first = turns is not None and await turns.acquire(quirks, deadlines("command"), io)
    try:
        yield
    finally:
        if is_first and turns is not None:
            await turns.release()
