"""The one parser of URLs of servers, proxies, outboxes and transports, and of combinations such as ``failover(smtp://a,
smtp://b)``, and the table of transport schemes. It creates no objects from them.

No error repeats a part of the text except its names, as a password may be anywhere in the rest.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Self
from urllib.parse import SplitResult, parse_qsl, unquote, unquote_to_bytes, urlsplit

from wlsmtp.errors import ConfigError, Stage
from wlsmtp.patterns import later

SMTP_SCHEMES = {
    "smtp": "default",
    "smtp+tls": "tls",
    "smtps": "ssl",
    "smtp+unix": "default",
    "lmtp": "default",
    "lmtp+tls": "tls",
    "lmtp+unix": "default",
}
"""The schemes of a server, with the ``security`` that each stands for."""

_ELSEWHERE = {
    **dict.fromkeys(("smtp+starttls", "smtp-tls", "smtptls", "smtp+startls", "submission"), "smtp+tls"),
    **dict.fromkeys(("smtp+ssl", "smtp-ssl", "smtpssl", "ssmtp", "submissions", "smtps+ssl", "smtps+tls"), "smtps"),
}
"""The schemes of other libraries, and their equivalents here."""

OUTBOXES = {
    "memory": "wlsmtp.outbox.memory:MemoryOutbox",
    "sqlite": "wlsmtp.outbox.sqlite:SQLiteOutbox",
    "postgresql": "wlsmtp.outbox.postgres.outbox:PostgresOutbox",
    "postgres": "wlsmtp.outbox.postgres.outbox:PostgresOutbox",
}
"""The schemes of outboxes, and where each is to be found."""

OUTBOX_GROUP = "wlsmtp.outboxes"
"""The entry-point group in which packages offer outboxes: a name, which becomes the scheme, and its ``Outbox``, whose
``from_url`` is given the ``URL``."""

GROUP = "wlsmtp.transports"
"""The entry-point group in which packages offer transports: a name, which becomes the scheme, and its ``Transport``."""

_BUILT_IN = {
    "console": "wlsmtp.transports.console:ConsoleTransport",
    "eml": "wlsmtp.transports.directory:EmlTransport",
    "inbox": "wlsmtp.inbox.transport:InboxTransport",
    "maildir": "wlsmtp.transports.directory:MaildirTransport",
    "memory": "wlsmtp.transports.memory:MemoryTransport",
    "null": "wlsmtp.transports.memory:NullTransport",
    "sendmail": "wlsmtp.transports.sendmail:SendmailTransport",
    "failover": "wlsmtp.transports.combine:FailoverTransport",
    "roundrobin": "wlsmtp.transports.combine:RoundRobinTransport",
    "by_domain": "wlsmtp.transports.by_domain:ByDomainTransport",
}

MAX_DEPTH = 10
"""Maximum nesting depth of combinations."""

_NAME = later(r"[a-z][a-z0-9+._-]*", re.IGNORECASE)
_LABEL = later(r"(\d+)\*|([^\s:=()@,/]+)=")
_BARE = (
    "in the user name, the password or the query, '/' must be percent-encoded as %2F, '?' as %3F, '#' as %23, '@' as "
    "%40, '[' as %5B and '%' as %25; urllib.parse.quote(password, safe='') does that"
)
_BARE_IN_TRANSPORT = "url: a '#', '@', '/', '?', ',' or a parenthesis in a part of a URL must be percent-encoded"


@dataclass(frozen=True, slots=True)
class URL:
    """The parts of a URL, percent-decoded. Its repr contains nothing that may be secret."""

    scheme: str
    """In lower case; for ``failover(…)`` the word before the parenthesis."""
    text: str = field(repr=False)
    """The whole text, as it was given."""
    host: str = field(default="", repr=False)
    port: int | None = None
    username: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)
    path: str = field(default="", repr=False)
    options: Mapping[str, tuple[str, ...]] = field(default_factory=dict, repr=False)
    """The query parameters, by name, each with all of its values."""
    members: tuple[Member, ...] = ()
    """The members of a combination."""

    @classmethod
    def read(cls, text: str, setting: str = "url") -> Self:
        """Parse ``scheme:…``. Raises ``ConfigError``, which names ``setting``."""
        text = _printable(text, setting).strip()
        if not _is_utf8(text):
            raise wrong(f"{setting}: what is percent-encoded must be UTF-8")
        if _has_bare_characters(text):
            raise wrong(f"{setting}: {_BARE}")
        parts, port, problem = _taken_apart(text, has_hosts=setting == "outbox")
        if parts is None:
            raise wrong(f"{setting}: {problem}" + (f"; {_BARE}" if "@" in text else ""))
        if parts.fragment or "@" in (parts.hostname or ""):
            raise wrong(f"{setting}: {_BARE}")
        return cls(
            scheme=parts.scheme,
            text=text,
            host=unquote(parts.hostname or ""),
            port=port,
            username=_decoded(parts.username),
            password=_decoded(parts.password),
            path=unquote(parts.path),
            options=_options(parts.query, setting),
        )

    @property
    def credentials(self) -> dict[str, str]:
        """``username`` and ``password``, if they are given."""
        named = {"username": self.username, "password": self.password}
        return {name: value for name, value in named.items() if value}

    def expect(self, *parts: str, options: Iterable[str] = ()) -> None:
        """Raise ``ConfigError`` for a part that is not among ``parts`` (``"host"``, ``"port"``, ``"username"``,
        ``"password"``, ``"path"``, ``"members"``), or for an option that is not allowed."""
        allowed = tuple(options)
        for part in ("host", "port", "username", "password", "path", "members"):
            if getattr(self, part) and part not in parts:
                raise wrong(f"url: {self.scheme} takes no {part}", _example(self.scheme, parts))
        if unknown := [name for name in self.options if name not in allowed]:
            words = f"allowed after '?' are {', '.join(allowed)}" if allowed else "it takes nothing after '?'"
            # Anything but a plain word may be the rest of a password.
            names = [name if re.fullmatch(r"[a-z][a-z_.]{0,30}", name) else "option of that name" for name in unknown]
            raise wrong(f"url: {self.scheme} knows no {', '.join(names)}; {words}")

    def number(self, option: str, default: float) -> float:
        """Return the value of an option that must be a number of seconds, 0 or more."""
        text = self.options.get(option, (str(default),))[-1]
        if not re.fullmatch(r"\d{1,9}(\.\d{1,9})?", text):
            raise wrong(f"url: {option} must be a number of seconds")
        return float(text)


@dataclass(frozen=True, slots=True)
class Member:
    """One of the transports of a combination."""

    label: str
    """The text before it: the weight of ``3*smtp://a``, the domain of ``example.org=smtp://a``, or nothing."""
    url: URL


def parse_transport(text: str, *, depth: int = 0) -> URL:
    """Parse ``scheme:…`` or ``name(member, member)?options``. Raises ``ConfigError``."""
    text = _printable(text).strip()
    name = _NAME.match(text)
    following = text[name.end() : name.end() + 1] if name else ""
    if name is None or following not in (":", "("):
        examples = "as in smtp+tls://smtp.example.com or maildir:///path"
        raise wrong(f"url: must begin with a scheme, {examples}, or be like failover(smtp://a, smtp://b)")
    if following == "(":
        return _combination(text, name[0].lower(), name.end() + 1, depth)
    if re.search(r"[(),]", text):
        raise wrong(_BARE_IN_TRANSPORT)
    return URL.read(text)


def home_of(scheme: str) -> str:
    """Return where the transport of a scheme is defined, as ``module:name``. Raises ``ConfigError`` for an unknown
    scheme."""
    home = _BUILT_IN.get(scheme) or _offered(GROUP).get(scheme)
    if home is None and scheme in _ELSEWHERE:
        raise wrong(f"url: {scheme} is not known; use {_ELSEWHERE[scheme]}://")
    if home is None:
        names = ", ".join(f"{name}:" for name in (*SMTP_SCHEMES, *_BUILT_IN, *_offered(GROUP)))
        raise wrong(f"url: the scheme is not known; known are {names}")
    return home


def outbox_home_of(text: str) -> str:
    """Return where the class of an outbox is defined, as ``module:name``. Raises ``ValueError``."""
    scheme, _, rest = text.partition(":") if isinstance(text, str) else ("", "", "")
    home = OUTBOXES.get(scheme.lower()) or _offered(OUTBOX_GROUP).get(scheme.lower())
    if home is None or (scheme == "sqlite" and not rest.startswith("///")):
        more = "".join(f"'{name}:', " for name in _offered(OUTBOX_GROUP))
        words = f"must be 'memory:', 'sqlite:///path', 'postgresql://user@host/database', {more}or an Outbox"
        raise ValueError(words)
    return home


def known_outbox(value: object) -> object:
    """Return an outbox as it is given. Raises ``ValueError`` for a URL that leads to none."""
    if isinstance(value, str):
        outbox_home_of(value)
    return value


@cache
def _offered(group: str) -> dict[str, str]:
    from importlib.metadata import entry_points  # takes longer to import than all of this package

    return {entry.name.lower(): f"{entry.module}:{entry.attr}" for entry in entry_points(group=group)}


def _combination(text: str, name: str, start: int, depth: int) -> URL:
    if name in SMTP_SCHEMES:
        raise wrong(f"url: {name} is followed by ://")
    if depth >= MAX_DEPTH:
        raise wrong(f"url: combinations are nested more than {MAX_DEPTH} deep")
    pieces, end = _split(text, start)
    after = text[end:]
    if after and not after.startswith("?"):
        raise wrong(f"url: nothing but ?options may follow the parenthesis of {name}(…)")
    members = tuple(_member(piece.strip(), depth + 1) for piece in pieces)
    return URL(scheme=name, text=text, options=_options(after[1:]), members=members)


def _split(text: str, start: int) -> tuple[list[str], int]:
    """Return the pieces between the commas of the parenthesis that was opened before ``start``, and its end."""
    pieces, begin, depth = [], start, 0
    for position in range(start, len(text)):
        character = text[position]
        if character in ",)" and depth == 0:
            pieces.append(text[begin:position])
            begin = position + 1
            if character == ")":
                return pieces, begin
        depth += {"(": 1, ")": -1}.get(character, 0)
    raise wrong("url: a parenthesis is not closed")


def _member(piece: str, depth: int) -> Member:
    label = _LABEL.match(piece)
    if label is None:
        return Member("", parse_transport(piece, depth=depth))
    return Member(label[1] or label[2], parse_transport(piece[label.end() :], depth=depth))


def _taken_apart(text: str, *, has_hosts: bool = False) -> tuple[SplitResult | None, int | None, str]:
    """Return the parts and the port, or what is wrong. Nothing is raised: urllib's errors repeat what they refuse. A
    URL that may have several hosts, each with its port, has no port of its own then: libpq reads them."""
    parts = None
    try:
        parts = urlsplit(text)
        return parts, None if has_hosts and "," in parts.netloc.rpartition("@")[2] else parts.port, ""
    except ValueError:
        return None, None, "is malformed" if parts is None else "the port must be a number from 1 to 65535"


def _has_bare_characters(text: str) -> bool:
    """Return whether the apparent host is the beginning of a password, such as ``u:a`` in ``smtp://u:a/b@host``."""
    authority, _, rest = text.partition("://")[2].replace("?", "/").replace("#", "/").partition("/")
    return bool(authority) and "@" in rest


def _is_utf8(text: str) -> bool:
    """Return whether percent-encoded text is valid UTF-8. Invalid text would be replaced silently, in a password as
    well."""
    try:
        unquote_to_bytes(text).decode()
    except ValueError:
        return False
    return True


def _printable(text: str, setting: str = "url") -> str:
    if not isinstance(text, str):  # often None, from a variable that is not set
        raise wrong(f"{setting}: must be a str, not {type(text).__name__}")
    if not text.isprintable():  # urlsplit would silently drop a newline, and with it a part of a password
        raise wrong(f"{setting}: control characters must be percent-encoded")
    return text


def _options(query: str, setting: str = "url") -> dict[str, tuple[str, ...]]:
    if "@" in query:  # the rest of a password with a bare '?'; it must not be repeated
        raise wrong(f"{setting}: {_BARE}")
    found: dict[str, tuple[str, ...]] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        found[name] = (*found.get(name, ()), value)
    return found


def _decoded(part: str | None) -> str | None:
    return unquote(part) if part else None


def _example(scheme: str, parts: tuple[str, ...]) -> str | None:
    if parts == ("path",):
        return f"A path has three slashes: {scheme}:///var/mail/out"
    return None


def wrong(message: str, hint: str | None = None) -> ConfigError:
    """Return the error for a setting that is given as text."""
    return ConfigError(message, stage=Stage.SETTINGS, hint=hint)
