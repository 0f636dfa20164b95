"""Timeouts, connection limits, pipelining and retries."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Self

from pydantic import Field, ValidationInfo, field_validator, model_validator

from wlsmtp.errors import ConfigError, Stage
from wlsmtp.patterns import later
from wlsmtp.settings.validation import Seconds, Settings


class Timeouts(Settings):
    """The longest waits in seconds, by stage. RFC 5321 §4.5.3.2 asks for up to ten minutes; a session that people wait
    for fails earlier where that is harmless. It never gives up early on the reply to the content, since that would
    leave the message in doubt."""

    connect: Seconds = 15.0
    """Resolving the name and connecting, all addresses together."""
    tls: Seconds = 30.0
    """The TLS handshake."""
    greeting: Seconds = 60.0
    """The server's greeting."""
    command: Seconds = 60.0
    """The reply to EHLO, STARTTLS, AUTH, MAIL, RCPT, RSET and NOOP."""
    data: Seconds = 120.0
    """The 354 after DATA."""
    block: Seconds = 180.0
    """Passing one block of up to 64 KiB of content to the network."""
    content: Seconds = 600.0
    """The reply to the content."""
    quit: Seconds = 2.0
    """The reply to QUIT, which has no effect."""
    total: Seconds = 1800.0
    """A whole ``send``, including waiting for a connection, connecting, and retries."""

    @classmethod
    def of(cls, seconds: float) -> Self:
        """Return the same limit of silence for every stage, the meaning of ``timeout=30``; ``total`` is unchanged."""
        if not 0 < seconds < math.inf:
            raise ConfigError("timeout: must be a finite number of seconds, greater than 0.", stage=Stage.SETTINGS)
        stages = ("connect", "tls", "greeting", "command", "data", "block", "content")
        return cls(**dict.fromkeys(stages, seconds), quit=min(seconds, cls().quit))


class PoolLimits(Settings):
    """How connections are kept, and the rate of mail."""

    max_connections: Annotated[int, Field(ge=1)] = 4
    """Maximum number of open connections; further senders share them, or wait. Fewer are used for a while after the
    server said that there are too many, or too much mail."""
    max_messages: Annotated[int, Field(ge=1)] | None = 1000
    """Messages per connection before it is replaced; fewer if the server says so (MAILMAX, RFC 9422). None: no
    limit."""
    max_age: Seconds | None = 600.0
    """Seconds after which a connection is replaced. None: no limit."""
    idle_timeout: Seconds | None = 30.0
    """Seconds of idleness after which a connection is not used again. None: no limit."""
    rate: str | None = None
    """Maximum number of messages in any period, as ``"10/second"``, ``"100/minute"`` or ``"2000/hour"``, over all
    connections of the session; senders wait. None: no limit."""

    @field_validator("rate")
    @classmethod
    def _count_per_unit(cls, value: str | None) -> str | None:
        if value is not None:
            rate_of(value)
        return value

    @property
    def messages_per(self) -> tuple[int, float] | None:
        """``rate`` as a number of messages and of seconds."""
        return None if self.rate is None else rate_of(self.rate)


def rate_of(text: str) -> tuple[int, float]:
    """Return a rate as a number of messages and of seconds. Raises ``ValueError``."""
    found = re.fullmatch(r"([1-9][0-9]{0,8}) */ *(second|minute|hour|day)", text)
    if found is None:
        raise ValueError("must be like '10/second', '100/minute', '2000/hour' or '50000/day'")
    return int(found[1]), {"second": 1.0, "minute": 60.0, "hour": 3600.0, "day": 86400.0}[found[2]]


LANE = later(r"[^\x00-\x1f\x7f-\x9f\ud800-\udfff]{1,255}")
"""The name of a lane: what every outbox can store."""


def rates_of(value: object) -> dict[str, str] | None:
    """Return rates by lane, as they are given: a mapping, or one text as ``"gmail.com=20/second, *=100/minute"``.
    Raises ``ValueError``."""
    if value is None:
        return None
    if isinstance(value, str):
        pairs = [pair.partition("=") for pair in value.split(",")]
        value = {lane.strip(): rate.strip() for lane, _, rate in pairs}
        if len(value) < len(pairs):
            raise ValueError("must be rates by lane, one for each lane")
    if not isinstance(value, Mapping) or not value:
        raise ValueError("must be rates by lane, such as {'gmail.com': '20/second', '*': '100/minute'}")
    for lane, rate in value.items():
        if not isinstance(lane, str) or not LANE.fullmatch(lane) or not isinstance(rate, str):
            raise ValueError("must be rates by lane, such as {'gmail.com': '20/second', '*': '100/minute'}")
        rate_of(rate)
    if len({lane.lower() for lane in value}) < len(value):
        raise ValueError("must be rates by lane, one for each lane in upper or lower case")
    return dict(value)


class Pipelining(Settings):
    """Commands sent in groups (RFC 2920), and messages sent one after another without waiting.

    When a connection dies, each message whose end was sent and not answered is in doubt. The window is therefore a
    trade-off between speed and the number of messages in doubt. See docs/explanation/speed.md.
    """

    enabled: bool = True
    """True uses PIPELINING when the server offers it; False: one command, one reply."""
    chunking: bool = True
    """True uses BDAT (RFC 3030) when the server offers CHUNKING; False: DATA."""
    binary: bool = True
    """True sends attachments unencoded when the server offers BINARYMIME (RFC 3030 §3), a quarter smaller."""
    max_in_flight: Annotated[int, Field(ge=1)] = 64
    """Maximum number of messages in flight over one connection. 1: each message waits for the reply to the one
    before."""
    max_bytes: Annotated[int, Field(ge=1)] = 1024 * 1024
    """Maximum octets of content in flight over one connection, unless a single message has more."""
    early_content: Annotated[int, Field(ge=0)] = 256 * 1024
    """Content up to this many octets may follow its recipients without waiting for their replies."""


class RetryPolicy(Settings):
    """How often and when a message that is *certainly not sent* is tried again (RFC 5321 §4.5.4.1)."""

    attempts: Annotated[int, Field(ge=1)] = 3
    """Maximum number of attempts; 1 disables retries."""
    backoff: Annotated[float, Field(ge=0)] = 1.0
    """Seconds before the second attempt; doubled for each later one."""
    max_backoff: Annotated[float, Field(ge=0)] = 60.0
    """The longest pause of ``backoff``, in seconds; if a server asks for a longer one, there is no further attempt."""
    jitter: Annotated[float, Field(ge=0)] = 0.5
    """Up to this many seconds are added at random, so that many clients do not return at the same time."""
    resend_unknown: bool = False
    """True also retries a message with an unknown result; its recipients may then get it twice."""
    stop: Callable[[Any], bool] | None = None
    """When to stop, instead of ``attempts``: a stop strategy of tenacity, such as ``stop_after_delay(300)``, or a
    function of its ``RetryCallState``."""
    wait: Callable[[Any], float] | None = None
    """The pause before the next attempt, instead of ``backoff`` and ``jitter``: a wait strategy of tenacity, such as
    ``wait_random_exponential(max=60)``, or a function of its ``RetryCallState`` that returns seconds."""

    @field_validator("stop", "wait", mode="before")
    @classmethod
    def _strategy(cls, value: object, info: ValidationInfo) -> object:
        if value is not None:
            _check_strategy(value, info.field_name == "stop")
        return value

    @model_validator(mode="after")
    def _one_of_each(self) -> Self:
        given = self.model_fields_set
        if self.stop is not None and "attempts" in given:
            raise ValueError("stop: cannot be combined with attempts; give one of them")
        if self.wait is not None and (both := sorted({"backoff", "jitter"} & given)):
            raise ValueError(f"wait: cannot be combined with {both[0]}; give one of them")
        return self


def _check_strategy(value: object, is_stop: bool) -> None:
    """Raise ``ValueError`` for a strategy that cannot be called, or would return a wrong result. For example, a class
    can be called, and the instance is true: there would never be a second attempt."""
    from inspect import iscoroutinefunction

    from tenacity.retry import retry_base
    from tenacity.stop import stop_base
    from tenacity.wait import wait_base

    other, example, number = (
        ("wait", "stop_after_delay(300)", "attempts") if is_stop else ("stop", "wait_fixed(2)", "backoff")
    )
    if not isinstance(value, type) and isinstance(value, wait_base if is_stop else stop_base):
        raise ValueError(f"is a {other} strategy; give it as {other}=…")
    if isinstance(value, retry_base):
        raise ValueError("is a retry strategy; the policy does not decide which failures are retried")
    if isinstance(value, type):
        example, more = f"{value.__name__}(…)", ", not its class"
    elif not callable(value):
        more = f"; a number is for {number}=…"
    elif iscoroutinefunction(value) or iscoroutinefunction(type(value).__call__):
        more = "; it cannot be async"
    else:
        return
    raise ValueError(f"must be a strategy of tenacity's, such as {example}{more}")


OUTBOX_RETRY = RetryPolicy(attempts=130, backoff=5.0, max_backoff=3600.0, jitter=5.0)
"""The default policy of an outbox: for five days, as RFC 5321 §4.5.4.1 asks of senders that queue, beginning a few
seconds after the first failure and ending with hourly attempts."""
