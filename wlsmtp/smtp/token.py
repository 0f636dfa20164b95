"""Tokens from a provider: asked for at each login, and once more when the server has refused the one it got."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import SecretStr

from wlsmtp.errors import AuthenticationFailed, ConfigError, ConnectionFailed, DeadlineExceeded, SMTPError, Stage

if TYPE_CHECKING:
    from wlsmtp.config import SessionConfig, TokenProvider
    from wlsmtp.io.base import IO
    from wlsmtp.smtp.deadlines import Deadlines


async def fetch_token(config: SessionConfig, io: IO, deadlines: Deadlines) -> str | None:
    """The token of the settings; None when they have none. Whatever a provider raises becomes an ``SMTPError``: the
    network may come back, anything else will not."""
    if config.token is None or isinstance(config.token, SecretStr):
        return config.token.get_secret_value() if config.token else None
    try:
        token = await io.call(config.token, deadlines("command"))
    except SMTPError:
        raise
    except TimeoutError as error:
        raise DeadlineExceeded("The token provider took too long", stage=Stage.AUTH) from error
    except OSError as error:
        raise ConnectionFailed(f"The token provider failed ({error})", stage=Stage.AUTH) from error
    except Exception as error:
        raise AuthenticationFailed(f"The token provider failed ({type(error).__name__})", stage=Stage.AUTH) from error
    if not isinstance(token, str) or not token:
        raise ConfigError("token: the provider must return a string that is not empty.", stage=Stage.AUTH)
    return token


async def renew_token(
    config: SessionConfig, io: IO, deadlines: Deadlines, refused: str | None, error: AuthenticationFailed
) -> str | None:
    """Another token than the ``refused`` one; None when the token was not the problem or there is no other."""
    provider = config.token
    if provider is None or isinstance(provider, SecretStr) or not _is_about_token(error):
        return None
    _forget(provider, refused)
    token = await fetch_token(config, io, deadlines)
    return token if token != refused else None


def _is_about_token(error: AuthenticationFailed) -> bool:
    return error.reply is not None and error.reply.is_permanent and (error.reply.code == 535 or bool(error.problem))


def _forget(provider: TokenProvider, token: str | None) -> None:
    forget = getattr(provider, "forget", None)
    if forget is not None:
        forget(token)
