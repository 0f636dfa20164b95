"""Signatures, DKIM and S/MIME, on messages that are already written. Nothing here is loaded before it is used."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

from wlsmtp.errors import ConfigError, ExtensionMissing, Stage
from wlsmtp.message.content import BytesContent, ComposedContent, Content

if TYPE_CHECKING:
    from wlsmtp.message.sign.dkim import Signer
    from wlsmtp.settings.dkim import DKIM
else:
    DKIM = Any  # to import it takes long

SESSION: Literal["session"] = "session"
"""The value of a message that leaves its DKIM signature to the session."""


def checked_dkim(value: Any) -> tuple[DKIM, ...] | Literal["session"] | None:
    """Check what was given as ``dkim=`` of a message. Raises ``ValueError``, of which ``ConfigError`` is one, for what
    cannot sign."""
    if value is None or value == SESSION:
        return None if value is None else SESSION
    from wlsmtp.settings.dkim import DKIM

    keys = (value,) if isinstance(value, DKIM) or not isinstance(value, Iterable) else tuple(value)
    if isinstance(value, str | bytes) or not all(isinstance(key, DKIM) for key in keys) or not keys:
        raise ValueError("must be a DKIM or a list of them; None leaves the message unsigned")
    signers_of(keys)
    return keys


def signers_of(keys: DKIM | tuple[DKIM, ...] | None) -> Sequence[Signer]:
    """Read and check the keys of a session. Raises ``ConfigError`` for one that cannot sign."""
    if keys is None:
        return ()
    from wlsmtp.message.sign import dkim

    return dkim.signers_of(keys if isinstance(keys, tuple) else (keys,))


def signed(content: Content, signers: Sequence[Signer], now: float) -> Content:
    """Sign a content with each key, dated ``now``, unless it is sealed. Raises ``MessageError`` when it cannot be
    signed, and ``ConfigError`` when it was stored to be signed, and there is no key."""
    if content.is_sealed:
        return content
    if signers:
        from wlsmtp.message.sign.signed_content import SignedContent

        return SignedContent(content, signers, now)
    if not content.awaits_signature:
        return content
    words = "dkim: the message was put into the outbox to be signed, and the session that sends it has no key"
    raise ConfigError(words, stage=Stage.SETTINGS, hint="The session that sends needs the DKIM key, too")


def to_be_stored(content: Content, signers: Sequence[Signer]) -> Content:
    """Prepare a content for an outbox, where no key is ever kept. What has a signature of its own is stored with it, in
    7-bit form if it has one, as it cannot be signed again; the rest is signed when it is sent. Raises ``MessageError``
    when it could not be signed then."""
    if content.is_sealed:
        with suppress(ExtensionMissing):
            return content.as_7bit()
        return content
    if signers:
        from wlsmtp.message.sign.signed_content import check_signable

        check_signable(content, signers)
        assert isinstance(content, BytesContent | ComposedContent)
        content.awaits_signature = True
    return content


def self_signed(content: Content, keys: tuple[DKIM, ...] | None) -> Content:
    """Sign a content with keys of its own, or none, in such a way that the session adds no signature."""
    if keys is not None:
        return signed(content, signers_of(keys), datetime.now(UTC).timestamp())
    assert isinstance(content, BytesContent | ComposedContent)
    content.is_sealed = True
    return content
