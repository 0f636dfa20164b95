"""URLs of settings: settings or a ``ConfigError``, which never repeats the password."""

from __future__ import annotations

from fuzz.pieces import text_of
from wlsmtp.errors import ConfigError
from wlsmtp.settings.config import SessionConfig

_SECRET = "s3cr3t-pAss"


def check(data: bytes) -> None:
    """The octets stand in the URL as they are, and behind a password."""
    for url in (text_of(data), f"smtp://ann:{_SECRET}@{text_of(data)}"):
        try:
            config = SessionConfig.from_url(url)
        except ConfigError as error:
            assert _SECRET not in str(error) and _SECRET not in repr(error)
            continue
        assert _SECRET not in repr(config) and _SECRET not in config.address
        assert 1 <= config.port <= 65535 and config.address
        assert not any(character in config.address for character in "\r\n\0")
