"""The parameters of MAIL and RCPT by which a message asks for more than delivery: options to words (RFC 3461, 2852,
6710, 4865, 4954, 8689), and whether the server knows them at all."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any

from wlsmtp.errors import ExtensionMissing, MessageError, Stage
from wlsmtp.wire.command import xtext

if TYPE_CHECKING:
    from datetime import timedelta

    from wlsmtp.settings.options import DSN, DeliverBy, DeliveryOptions
    from wlsmtp.wire.extensions import Capabilities

MAX_ENVID, MAX_ORCPT = 100, 500
"""Characters of a value as it is written (RFC 3461 §4.4, §4.2)."""


def mail_parameters(options: DeliveryOptions | None, capabilities: Capabilities) -> list[str]:
    """What the options add to MAIL. Raises ``ExtensionMissing`` for what must be there and is not offered, and
    ``MessageError`` for what the server has said to be beyond its limits."""
    if options is None:
        return []
    words: list[str] = []
    for field, (keyword, rfc, say) in _SAID.items():
        value = getattr(options, field)
        if value is None or value is False:
            continue
        if keyword in capabilities:
            words += say(value, capabilities)
        elif field not in options.optional:
            raise _missing(field, keyword, rfc, capabilities)
    return words


def rcpt_parameters(options: DeliveryOptions | None, address: str, capabilities: Capabilities) -> list[str]:
    """What the options add to RCPT for one recipient."""
    if options is None or options.dsn is None or "DSN" not in capabilities:
        return []
    notify, original = options.dsn.of(address)
    words = [f"NOTIFY={','.join(notify).upper()}"] if notify else []
    return [*words, orcpt(original)] if original else words


def orcpt(address: str) -> str:
    """The original recipient, typed (RFC 3461 §4.2); one that is not ASCII in the form that any server can pass on (RFC
    6533 §3). Raises ``MessageError`` when it is too long."""
    written = f"rfc822;{xtext(address)}" if address.isascii() else f"utf-8;{_UNSAFE.sub(_escaped, address)}"
    if len(written) > MAX_ORCPT:
        words = f"options.dsn.recipients: an original address has more than {MAX_ORCPT} characters as it is written"
        raise MessageError(words, stage=Stage.MESSAGE)
    return f"ORCPT={written}"


_UNSAFE = re.compile(r"[^!-*,-<>-\[\]-~]")  # all but QCHAR of RFC 6533 §3: printable ASCII without + = \


def _escaped(match: re.Match[str]) -> str:
    return f"\\x{{{ord(match[0]):02X}}}"


def _dsn(dsn: DSN, _: Capabilities) -> list[str]:
    words: list[str] = []
    if dsn.ret is not None:
        words.append("RET=FULL" if dsn.ret == "full" else "RET=HDRS")
    if dsn.envid is not None:
        envid = xtext(dsn.envid)
        if len(envid) > MAX_ENVID:
            problem = f"options.dsn.envid: has more than {MAX_ENVID} characters as it is written"
            raise MessageError(problem, stage=Stage.MESSAGE)
        words.append(f"ENVID={envid}")
    return words


def _deliver_by(wish: DeliverBy, capabilities: Capabilities) -> list[str]:
    seconds, shortest = _seconds(wish.within), _number(capabilities, "DELIVERBY")
    if wish.late == "return" and shortest is not None and seconds < shortest:
        words = f"options.deliver_by: {capabilities.name} takes no less than {shortest} seconds (RFC 2852 §3)"
        raise MessageError(words, stage=Stage.MAIL)
    return [f"BY={seconds};{'R' if wish.late == 'return' else 'N'}{'T' if wish.trace else ''}"]


def _priority(priority: int, _: Capabilities) -> list[str]:
    return [f"MT-PRIORITY={priority}"]


def _hold_for(span: timedelta, capabilities: Capabilities) -> list[str]:
    seconds, longest = _seconds(span), _number(capabilities, "FUTURERELEASE")
    if longest is not None and seconds > longest:
        words = f"options.hold_for: {capabilities.name} holds a message for {longest} seconds at most (RFC 4865 §4)"
        raise MessageError(words, stage=Stage.MAIL)
    return [f"HOLDFOR={seconds}"]


def _hold_until(until: datetime, capabilities: Capabilities) -> list[str]:
    latest = _time(capabilities)
    if latest is not None and until > latest:
        words = f"options.hold_until: {capabilities.name} holds a message until {latest:%Y-%m-%dT%H:%M:%SZ} at most"
        raise MessageError(words, stage=Stage.MAIL)
    return [f"HOLDUNTIL={until:%Y-%m-%dT%H:%M:%SZ}"]


def _submitter(address: str, _: Capabilities) -> list[str]:
    return [f"AUTH={xtext(address) or '<>'}"]


def _require_tls(_: bool, __: Capabilities) -> list[str]:
    return ["REQUIRETLS"]


_SAID: dict[str, tuple[str, str, Callable[[Any, Capabilities], list[str]]]] = {
    "dsn": ("DSN", "RFC 3461", _dsn),
    "deliver_by": ("DELIVERBY", "RFC 2852", _deliver_by),
    "priority": ("MT-PRIORITY", "RFC 6710", _priority),
    "hold_for": ("FUTURERELEASE", "RFC 4865", _hold_for),
    "hold_until": ("FUTURERELEASE", "RFC 4865", _hold_until),
    "submitter": ("AUTH", "RFC 4954", _submitter),
    "require_tls": ("REQUIRETLS", "RFC 8689", _require_tls),
}


def _missing(field: str, keyword: str, rfc: str, capabilities: Capabilities) -> ExtensionMissing:
    words = f"options.{field}: needs {keyword} ({rfc}), which {capabilities.name} does not offer"
    hint = f"DeliveryOptions(optional={{{field!r}}}) sends the message without it"
    if field == "require_tls":
        hint = "What a server offers of it counts only over TLS with a certificate that was verified"
    return ExtensionMissing(words, stage=Stage.MAIL, hint=hint)


def _seconds(span: timedelta) -> int:
    return span.days * 86400 + span.seconds


def _number(capabilities: Capabilities, keyword: str) -> int | None:
    """The first parameter of an extension, where it is a number."""
    words = capabilities.extensions.get(keyword, ())
    return int(words[0]) if words and words[0].isascii() and words[0].isdigit() and len(words[0]) < 10 else None


def _time(capabilities: Capabilities) -> datetime | None:
    """The latest time that FUTURERELEASE holds until, where the server gives one that can be read."""
    try:
        latest = datetime.fromisoformat(capabilities.extensions["FUTURERELEASE"][1])
    except (IndexError, ValueError):
        return None
    return latest if latest.tzinfo else None
