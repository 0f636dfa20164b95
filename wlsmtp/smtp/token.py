"""Tokens from a provider: requested at each login, and once more when the server has refused the token."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from pydantic import SecretStr

from wlsmtp.errors import AuthenticationFailed, ConfigError, ConnectionFailed, DeadlineExceeded, SMTPError, Stage

if TYPE_CHECKING:
    from wlsmtp.io.base import IO
    from wlsmtp.settings.config import SessionConfig
    from wlsmtp.smtp.deadlines import Deadlines

T = TypeVar("T")


async def fetch_token(config: SessionConfig, io: IO, deadlines: Deadlines) -> str | None:
    """Return the token of the settings; None if they have none."""
    if config.token is None or isinstance(config.token, SecretStr):
        return config.token.get_secret_value() if config.token else None
    token = await _call(config.token, io, deadlines)
    if not isinstance(token, str) or not token:
        raise ConfigError("token: the provider must return a string that is not empty.", stage=Stage.AUTH)
    return token


async def renew_token(
    config: SessionConfig, io: IO, deadlines: Deadlines, refused: str | None, error: AuthenticationFailed
) -> str | None:
    """Return a token other than the ``refused`` one; None if the token was not the problem or there is no other."""
    provider = config.token
    if provider is None or isinstance(provider, SecretStr) or not _is_about_token(error):
        return None
    if (forget := getattr(provider, "forget", None)) is not None:
        await _call(partial(forget, refused), io, deadlines)
    token = await fetch_token(config, io, deadlines)
    return token if token != refused else None


def _is_about_token(error: AuthenticationFailed) -> bool:
    if error.reply is None or error.temporary:
        return False
    return error.reply.code == 535 or error.is_lasting or bool(error.problem)


async def _call(function: Callable[[], T | Awaitable[T]], io: IO, deadlines: Deadlines) -> T:
    """Call a method of a provider. Any exception becomes an ``SMTPError``: network errors are temporary, others are
    not."""
    try:
        return await io.call(function, deadlines("command"))
    except SMTPError:
        raise
    except TimeoutError as error:
        raise DeadlineExceeded("The token provider took too long", stage=Stage.AUTH) from error
    except OSError as error:
        raise ConnectionFailed(f"The token provider failed ({error})", stage=Stage.AUTH) from error
    except Exception as error:
        raise AuthenticationFailed(f"The token provider failed ({type(error).__name__})", stage=Stage.AUTH) from error
