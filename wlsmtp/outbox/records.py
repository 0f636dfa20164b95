"""Pure: converts a receipt to text and back, for durable outboxes.

An error is restored as its class with all its attributes, without traceback and cause. An unknown class becomes the
nearest known one with the same answers. Of a certificate, its names, expiry and fingerprint are restored. Fields of a
newer version that are unknown here are kept and written again.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from operator import attrgetter
from typing import Any

from wlsmtp.errors import SMTPError, Stage
from wlsmtp.receipt import OutboxReceipt, RecipientResult, RecipientStatus, Status, Unread
from wlsmtp.results import errors
from wlsmtp.results.receipt import DERIVED, FIELDS, NOTHING_UNREAD, Kind
from wlsmtp.results.reply import Reply
from wlsmtp.results.secured import Certificate, TLSInfo
from wlsmtp.settings.options import DeliveryOptions

_KINDS = {name: kind for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, SMTPError)}
_ANSWERS = ("temporary", "ambiguous", "retry_after")
"""Attributes of any error; an unknown class has their values in its record."""
_OF_ALL_ERRORS = frozenset({"documentation"})
"""What programs set for all errors, and no record has."""
_FIELDS_OF_ERRORS = frozenset({"type", "message", "stage", "reply", "hint", "server", "lasting", "more", *_ANSWERS})
_IN_COLUMNS = frozenset({"id", "status", "next_attempt"})
_OWN = frozenset({"errors", "carried", "waits"})
"""The fields of a record that no receipt shows."""
_FIELDS = {name: kind for name, kind in FIELDS.items() if name not in DERIVED | _IN_COLUMNS}
_CONVERTED_KINDS = (Kind.RECIPIENTS, Kind.REPLY, Kind.ERROR, Kind.TLS, Kind.TIME)
_CONVERTED = {name: kind for name, kind in _FIELDS.items() if kind in _CONVERTED_KINDS}
_PLAIN = tuple(name for name in _FIELDS if name not in _CONVERTED)


def dump(receipt: OutboxReceipt, waits: tuple[float, float] | None = None) -> str:
    """Return a receipt as text, without its id, status and next attempt. ``waits`` are the time of that and the seconds
    until then, for ``Outbox.reclaim``."""
    if not waits and receipt.message_id and len(receipt.recipients) == 1 and _is_usual(receipt):
        [to] = receipt.recipients
        if to.status is _NOT_SENT and to.reply is None and to.error is None:  # the usual case of what is put
            row = f"[{_quoted(to.address)}{_NEVER_TRIED}"
            return f'{{"message_id":{_quoted(receipt.message_id)},"recipients":[{row}]}}'
    errors, unread = _Errors(), receipt.unread
    fields = {name: _text(value) for name, value in zip(_PLAIN, _plain_of(receipt), strict=True) if value}
    for name, value in zip(_CONVERTED, _converted_of(receipt), strict=True):
        if value is not None and (written := _WRITE[name](value, errors, unread)):
            fields[name] = written
    if errors.known:
        fields["errors"] = _text([_error(error) for error in errors.known])
    if receipt.carried:
        fields["carried"] = _text(dict(receipt.carried))
    if waits:
        fields["waits"] = _text(waits)
    if unread.fields:
        fields |= {name: _text(value) for name, value in unread.fields.items() if value}
    return f"{{{','.join([f'{_quoted(name)}:{text}' for name, text in fields.items()])}}}"


def _is_usual(receipt: OutboxReceipt) -> bool:
    """Return whether a receipt has nothing beside its recipients and its Message-ID."""
    if receipt.attempts or receipt.interruptions or receipt.carried or receipt.unread is not NOTHING_UNREAD:
        return False
    return receipt.reply is None and receipt.error is None and receipt.tls is None and not receipt.elapsed


_plain_of, _converted_of = attrgetter(*_PLAIN), attrgetter(*_CONVERTED)
_encode = json.JSONEncoder(separators=(",", ":")).encode
"""The same as ``json.dumps``, which makes an encoder each time."""
_quoted = json.encoder.encode_basestring_ascii


def _text(value: Any) -> str:
    return _quoted(value) if type(value) is str else _encode(value)


def _same(value: Any) -> Any:
    return value


class _Errors:
    """Writes each error once, as a thousand recipients may share it; its index counts from 1, and 0 is none."""

    def __init__(self) -> None:
        self.known: list[SMTPError] = []
        self._places: dict[int, int] = {}

    def place(self, error: SMTPError | None) -> int:
        if error is None:
            return 0
        if id(error) not in self._places:
            self.known.append(error)
            self._places[id(error)] = len(self.known)
        return self._places[id(error)]


_WRITERS: dict[Kind, Callable[[Any, _Errors, Unread], str]] = {
    Kind.RECIPIENTS: lambda results, errors, unread: _rows(results, errors, unread) if results else "",
    Kind.REPLY: lambda reply, errors, unread: _text(_reply(reply)),
    Kind.ERROR: lambda error, errors, unread: str(errors.place(error)),
    Kind.TLS: lambda tls, errors, unread: _text(_tls(tls, unread)),
    Kind.TIME: lambda time, errors, unread: _text(time.isoformat()),
}
_WRITE = {name: _WRITERS[kind] for name, kind in _CONVERTED.items()}


def load(id: str, status: Status, text: str) -> OutboxReceipt:
    """Return the receipt."""
    fields = json.loads(text)
    errors = [None, *map(_to_error, fields.get("errors", ()))]
    read: dict[Kind, Callable[[Any], Any]] = {
        Kind.RECIPIENTS: lambda rows: tuple(_to_result(row, errors) for row in rows or ()),
        Kind.REPLY: _to_reply,
        Kind.COUNT: lambda count: count or 0,
        Kind.ERROR: lambda place: errors[place or 0],
        Kind.SECONDS: lambda seconds: seconds or 0.0,
        Kind.TLS: lambda tls: _to_tls(tls) if tls is not None else None,
        Kind.TIME: lambda time: time and datetime.fromisoformat(time),
    }
    known = {name: read.get(kind, _same)(fields.get(name)) for name, kind in _FIELDS.items()}
    receipt = OutboxReceipt(id=id, status=status, carried=fields.get("carried"), **known)
    receipt.unread = _unread(fields, receipt.tls)
    if receipt.error is not None:
        receipt.error.receipt = receipt
    return receipt


def _unread(fields: dict[str, Any], tls: TLSInfo | None) -> Unread:
    recipients = {}
    for address, state, _, _, *more in fields.get("recipients", ()):
        if more or state not in _STATES:
            recipients[address] = (None if state in _STATES else state, *more)
    others = {name: value for name, value in fields.items() if name not in _FIELDS and name not in _OWN}
    return Unread(others, recipients, (tls, fields["tls"]) if tls is not None else None)


_STATES = frozenset(state.value for state in RecipientStatus)


def _rows(results: Sequence[RecipientResult], errors: _Errors, unread: Unread) -> str:
    return f"[{','.join([_row_of(result, errors, unread) for result in results])}]"


def _row_of(result: RecipientResult, errors: _Errors, unread: Unread) -> str:
    if result.reply is None and result.error is None and not unread.recipients:  # all that is put
        return f"[{_quoted(result.address)}{_UNTRIED[result.status]}"
    return _encode(_row(result, errors, unread))


_UNTRIED = {status: f",{_quoted(status.value)},[],0]" for status in RecipientStatus}
_NOT_SENT = RecipientStatus.NOT_SENT  # a member is slow to read from its class in Python 3.11
_NEVER_TRIED = _UNTRIED[_NOT_SENT]


def _row(result: RecipientResult, errors: _Errors, unread: Unread) -> list[Any]:
    address, status = result.address, result.status
    if address not in unread.recipients:
        return [address, status.value, _reply(result.reply), errors.place(result.error)]
    state, *more = unread.recipients[address]
    if state is None or status is not RecipientStatus.UNKNOWN:
        state = status.value
    return [address, state, _reply(result.reply), errors.place(result.error), *more]


def _to_result(row: list[Any], errors: list[SMTPError | None]) -> RecipientResult:
    address, state, reply, place, *_ = row
    return RecipientResult(address, _to_state(state), _to_reply(reply), errors[place])


def _to_state(state: str) -> RecipientStatus:
    """Convert a state; an unknown one means that nothing is known, so that nobody sends the message again."""
    return RecipientStatus(state) if state in _STATES else RecipientStatus.UNKNOWN


def _tls(tls: TLSInfo | None, unread: Unread) -> Mapping[str, Any] | None:
    if tls is None:
        return None
    if unread.tls is not None and unread.tls[0] is tls:
        return unread.tls[1]
    found = tls.certificate
    expiry = found.not_after.isoformat() if found is not None and found.not_after is not None else None
    certificate = None if found is None else [found.fingerprint, found.subject, found.issuer, expiry]
    words = {"protocol": tls.protocol, "cipher": tls.cipher, "certificate": certificate}
    return {**words, "is": [tls.verified, tls.resumed]}


def _to_tls(fields: dict[str, Any]) -> TLSInfo:
    certificate = None
    if fields["certificate"] is not None:
        fingerprint, subject, issuer, expiry, *_ = fields["certificate"]
        certificate = Certificate(fingerprint, subject, issuer, datetime.fromisoformat(expiry) if expiry else None)
    verified, resumed, *_ = fields["is"]
    return TLSInfo(fields["protocol"], fields["cipher"], certificate, verified, resumed)


def dump_options(options: DeliveryOptions | None) -> str | None:
    """Return the delivery options as text."""
    return None if options is None else options.model_dump_json(exclude_defaults=True)


def load_options(text: str | None) -> DeliveryOptions | None:
    """Return the delivery options from text."""
    return None if text is None else DeliveryOptions(**json.loads(text))


def _reply(reply: Reply | None) -> list[Any]:
    return [] if reply is None else [reply.code, *reply.lines]


def _to_reply(parts: Any) -> Reply | None:
    return Reply(parts[0], tuple(parts[1:])) if parts else None


def _error(error: SMTPError) -> dict[str, Any]:
    kind = next(kind for kind in type(error).__mro__ if kind in _KINDS.values())
    fields = _fields_of(error, kind)
    # A third-party class may answer differently from its base class.
    if kind is not type(error) and _answers(_to_error(fields)) != _answers(error):
        fields = {**_fields_of(error, SMTPError), **{name: getattr(error, name) for name in _ANSWERS}}
    return {**fields, **error._record}


def _fields_of(error: SMTPError, kind: type[SMTPError]) -> dict[str, Any]:
    fields = {
        "type": kind.__name__,
        "message": error.message,
        "stage": error.stage.value if error.stage is not None else None,
        "reply": _reply(error.reply),
        "hint": error.hint,
        "server": error.server,
        "more": _attributes_of(error, kind),
    }
    return {name: value for name, value in fields.items() if value} | _answers(error)


def _attributes_of(error: SMTPError, kind: type[SMTPError]) -> dict[str, Any]:
    """Return the additional attributes of a class, where they differ from the class defaults."""
    names = [name for one in kind.__mro__ if one in _KINDS.values() for name in attributes(one)]
    values = {name: getattr(error, name) for name in names if getattr(error, name) != getattr(kind, name)}
    return {name: dict(value) if isinstance(value, Mapping) else value for name, value in values.items()}


def attributes(kind: type[SMTPError]) -> list[str]:
    """Return the attributes that an error of this class may have, and that can be stored."""
    plain = (bool, int, float, str, Mapping, type(None))
    names = (name for name in vars(kind) if name[0] != "_" and name not in _OF_ALL_ERRORS)
    return [name for name in names if isinstance(vars(kind)[name], plain)]


def _answers(error: SMTPError) -> dict[str, Any]:
    return {name: answer for name in _ANSWERS if (answer := getattr(error, name))}


def _to_error(fields: dict[str, Any]) -> SMTPError:
    kind, stage = _KINDS.get(fields["type"]), fields.get("stage", "")
    is_stage = stage in _STAGES
    error = (kind or SMTPError)(
        fields.get("message", ""),
        stage=Stage(stage) if is_stage else None,
        reply=_to_reply(fields.get("reply")),
        hint=fields.get("hint"),
    )
    if server := fields.get("server"):
        error.name_server(server)
    unknown = {name: value for name, value in fields.items() if name not in _FIELDS_OF_ERRORS}
    if stage and not is_stage:
        unknown["stage"] = stage
    known = {name for one in type(error).__mro__ if one in _KINDS.values() for name in attributes(one)}
    more = fields.get("more", {})
    for name in known & more.keys():
        setattr(error, name, more[name])
    if "lasting" in fields and "is_lasting" in known:  # as it was stored before "more"
        error.is_lasting = fields["lasting"]  # type: ignore[attr-defined]
    if kind is None:
        unknown["type"] = fields["type"]
    if more.keys() - known:
        unknown["more"] = more
    if kind in (None, SMTPError):
        unknown |= {name: fields[name] for name in _ANSWERS if name in fields}
    if unknown:
        error._record = unknown
    return error


_STAGES = frozenset(stage.value for stage in Stage)
