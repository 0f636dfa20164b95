"""Addresses: text to ``Address`` and ``Mailbox``, checked once and strictly, so that later code need not check.

This module has the grammar of RFC 5321 §4.1.2 (envelope addresses), and a name with an address (RFC 5322 §3.4). Domains
are checked in ``domains.py``, lists are parsed in ``mailboxes.py``; writing addresses into headers is not done here.

The parser is written by hand: a lenient parser may take a display name, a comment or a quoted local part for the
address, and so send mail to the wrong person (CVE-2023-27043 and similar).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import NoReturn

from wlsmtp.errors import MessageError, Stage
from wlsmtp.patterns import later
from wlsmtp.wire.domains import JOINERS, LDH_DOMAIN, MAX_DOMAIN, DomainError, a_labels, checked_domain
from wlsmtp.wire.encoded_words import decode_words, has_encoded_word

MAX_LOCAL = 64
"""Maximum octets before the @ (RFC 5321 §4.5.3.1.1)."""
MAX_ADDRESS = 254
"""Maximum octets in all: a path has at most 256, including its angle brackets (§4.5.3.1.3)."""

_ATEXT = r"A-Za-z0-9!#$%&'*+/=?^_`{|}~-"
_PLAIN = re.compile(rf"([{_ATEXT}]+(?:\.[{_ATEXT}]+)*)@({LDH_DOMAIN.pattern})")
_USUAL = re.compile(r"[A-Za-z0-9]++(?:[._+-][A-Za-z0-9]++)*+@(?:[a-z0-9]++\.)++[a-z]++")
"""Most addresses, matched in half the time. What it matches within ``MAX_LOCAL`` octets in all, ``_PLAIN`` matches too,
with labels and local part within their limits."""
_usual_domains: set[str] = set()
"""Domains of addresses that it has matched, at most ``_MOST_DOMAINS``."""
_MOST_DOMAINS = 1024
_NAMED = later(rf'(?:"([^"\\]*)" *|([^"(),:;<>@\[\]\\]*))<{_PLAIN.pattern}>')
"""The two usual ways to put a printable name before an address; the tokenizer below handles other forms."""
_LOCAL_NAME = later(r"[A-Za-z0-9_][A-Za-z0-9_+=-]*(?:\.[A-Za-z0-9_+=-]+)*")
"""Excludes names that a mail system could take for a program, a file or a route: those begin with | or /, or have ! or
%."""
_UTF8_ATOM = r'[^\x00-\x20\x7f"(),.:;<>@\[\]\\]+'
_DOT_ATOM = later(rf"{_UTF8_ATOM}(?:\.{_UTF8_ATOM})*")
_QUOTED = later(r'"(?:[^"\\]|\\[ -~])*"')
_ENCODED_WORD = later(r"=\?\S{1,40}\?[qQbB]\?\S*\?=(?: =\?\S*\?=)*")
_SPLIT = later(r'("(?:[^"\\]|\\.)*"|[^"@]*)@(.*)', re.DOTALL)
_TOKEN = later(r'"(?:[^"\\]|\\.)*"|\[[^][\\]*\]|\s+|[^\s"(),:;<>@\[\]\\]+|.', re.DOTALL)

_NO_PLACEHOLDERS = (
    "Nothing is filled in here; letter.merge(rows) takes a dict of fields for each row: {'to': row['email']}"
)
_FOLD = later(r"\r?\n[ \t]+")

_NEVER_IN_ADDRESS = {"Cc", "Cf", "Cs", "Zl", "Zp", "Zs"}
_NEVER_IN_NAME = {"Cc", "Cs", "Zl", "Zp"}


@dataclass(frozen=True, slots=True, init=False)
class Address:
    """An address as it was given; immutable, made and checked by ``parse_address``."""

    local: str
    """The part before the @, in quotes if it was."""
    domain: str
    """The part after the @: a domain, perhaps in Unicode, or an address literal in brackets. Empty for a local name."""

    def __init__(self, local: str, domain: str) -> None:
        # The __init__ of a frozen dataclass takes twice as long.
        _set_local(self, local)
        _set_domain(self, domain)

    def __str__(self) -> str:
        return f"{self.local}@{self.domain}" if self.domain else self.local

    @property
    def wire(self) -> str:
        """The address for envelope and headers, with an internationalised domain in A-labels (RFC 5890 §2.3.2.1)."""
        domain = self.domain if self.domain.isascii() else _in_a_labels(a_labels, self.domain, self.domain)
        return f"{self.local}@{domain}" if domain else self.local

    @property
    def wire_domain(self) -> str:
        """The domain in ASCII; an address literal is unchanged."""
        return self.domain if self.domain.isascii() else _in_a_labels(a_labels, self.domain, self.domain)

    @property
    def needs_smtputf8(self) -> bool:
        """True if it requires SMTPUTF8 (RFC 6531): a local part has no ASCII form."""
        return not self.local.isascii()


_set_local = vars(Address)["local"].__set__
_set_domain = vars(Address)["domain"].__set__


@dataclass(frozen=True, slots=True, init=False)
class Mailbox:
    """An address and the name shown with it, which may be empty."""

    name: str
    address: Address

    def __init__(self, name: str, address: Address) -> None:
        _set_name(self, name)
        _set_address(self, address)

    def __str__(self) -> str:
        if not self.name:
            return str(self.address)
        escaped = self.name.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{escaped}" <{self.address}>'


_set_name = vars(Mailbox)["name"].__set__
_set_address = vars(Mailbox)["address"].__set__


def parse_address(text: str) -> Address:
    """Parse ``local@domain`` (RFC 5321 §4.1.2, RFC 6531 §3.3). Raises ``MessageError`` that says what is wrong."""
    if not isinstance(text, str):
        raise MessageError(f"An address must be a str, not {type(text).__name__}", stage=Stage.MESSAGE)
    return _remembered_address(text) if len(text) <= MAX_ADDRESS else _read_address(text)


def _read_address(text: str) -> Address:
    if plain := plain_address(text):
        return plain
    if not text:
        refuse(text, "it is empty")
    if len(text) > MAX_LOCAL + 1 + MAX_DOMAIN:
        refuse(text, f"it is longer than {MAX_ADDRESS} octets")
    _check_characters(text)
    split = _SPLIT.fullmatch(text)
    if split is None and _ENCODED_WORD.fullmatch(text):
        hint = "Encode the name alone, as email.utils.formataddr does, or give the pair (name, address)"
        refuse(text, "an encoded word is no address", hint)
    if split is None:
        advice = _NO_PLACEHOLDERS if re.search(r"\{.*\}", text) else None
        refuse(text, "a quotation mark is out of place" if "@" in text else "it has no @", advice)
    address = Address(split[1], split[2])
    _check_local(text, address.local)
    _check_domain(text, address.domain)
    if len(address.wire.encode()) > MAX_ADDRESS:
        refuse(text, f"it is longer than {MAX_ADDRESS} octets")
    return address


_remembered_address = lru_cache(maxsize=1024)(_read_address)


def parse_path(text: str) -> Address | None:
    """Parse a reverse-path: an address, or "" or "<>" for the null reverse-path (RFC 5321 §4.5.5), which is None."""
    return parse_address(text) if text not in ("", "<>") else None


def local_name(text: str) -> Address | None:
    """Return a name without a domain, such as ``root`` or ``Postmaster``, if the text is just that. It is for delivery
    on the machine itself, and in RCPT for Postmaster (RFC 5321 §4.1.1.3)."""
    return Address(text, "") if len(text) <= MAX_LOCAL and _LOCAL_NAME.fullmatch(text) else None


def foreign_mailbox(value: object) -> tuple[str, str] | None:
    """Return name and address of a mailbox object from another library: ``Address`` of ``email.headerregistry``, or
    ``NameEmail`` of pydantic."""
    for name, address in (("display_name", "addr_spec"), ("name", "email")):
        found = getattr(value, name, None), getattr(value, address, None)
        if isinstance(found[0], str) and isinstance(found[1], str):
            return found  # type: ignore[return-value]
    return None


def text_of(value: object) -> str | None:
    """Return the text of a str, or of an object that becomes one when needed, such as a lazy translation."""
    if isinstance(value, str):
        return value
    # Such classes have nothing in common but the methods of a str.
    casefold = getattr(value, "casefold", None)
    return str(value) if callable(casefold) and isinstance(casefold(), str) else None


def parse_mailbox(text: str) -> Mailbox:
    """Parse exactly one ``ann@example.com``, ``Ann Example <ann@example.com>`` or ``"Example, Ann" <ann@example.com>``.

    Recent results are cached: the sender of ten thousand messages is checked once. Raises ``MessageError``, also for a
    second address in the text.
    """
    if not isinstance(text, str):
        raise MessageError(f"An address must be a str, not {type(text).__name__}", stage=Stage.MESSAGE)
    return _remembered_mailbox(text) if len(text) <= MAX_ADDRESS else _read_mailbox(text)


def is_plain_address(text: str) -> bool:
    """Return whether ``text`` is just an address in ASCII, which ``plain_address`` would return."""
    local, _, domain = text.partition("@")
    # Letters and digits before a domain that is known: in two thirds of the pattern's time.
    if domain in _usual_domains and local.isalnum() and local.isascii() and len(text) <= MAX_LOCAL:
        return True
    if len(text) <= MAX_LOCAL and _USUAL.fullmatch(text) is not None:
        if len(_usual_domains) >= _MOST_DOMAINS:
            _usual_domains.clear()
        _usual_domains.add(domain)
        return True
    plain = _PLAIN.fullmatch(text)
    return plain is not None and len(text) <= MAX_ADDRESS and plain.end(1) <= MAX_LOCAL and text.find("=?") < 0


def plain_address(text: str) -> Address | None:
    """Return the address if ``text`` is just one in ASCII, the usual case; None leaves it to the full parser."""
    if len(text) <= MAX_LOCAL and _USUAL.fullmatch(text) is not None:
        local, _, domain = text.partition("@")
        return Address(local, domain)
    plain = _PLAIN.fullmatch(text)
    if plain is None or len(text) > MAX_ADDRESS or plain.end(1) > MAX_LOCAL or "=?" in text:
        return None
    return Address(plain[1], plain[2])


def _read_mailbox(text: str) -> Mailbox:
    if plain := plain_address(text):
        return Mailbox("", plain)
    # Encoded words are left to the tokenizer below.
    if "=?" not in text and text.isprintable() and (named := _NAMED.fullmatch(text)):
        quoted, unquoted, local, domain = named.groups()
        if _fits(local, domain):
            return Mailbox((quoted or unquoted or "").strip(), Address(local, domain))
    return _read_by_tokens(text)


_remembered_mailbox = lru_cache(maxsize=1024)(_read_mailbox)


def _fits(local: str, domain: str) -> bool:
    return len(local) <= MAX_LOCAL and len(local) + len("@") + len(domain) <= MAX_ADDRESS


def _read_by_tokens(text: str) -> Mailbox:
    # Header.encode() folds a long name, and so does Django.
    unfolded = _FOLD.sub(" ", text) if "\n" in text else text
    check_name(text, unfolded)
    tokens = list(_tokens(unfolded))
    if tokens.count("@") > 1 or tokens.count("<") > 1 or "," in tokens or ";" in tokens:
        hint = 'Give several addresses as a list; a comma in a name needs double quotes: "Example, Ann" <ann@…>'
        refuse(text, "it holds more than one address, or an @ or a comma too many", hint)
    if "(" in tokens or ")" in tokens:
        refuse(text, "comments in parentheses are not accepted", 'Put the name in double quotes: "Ann (work)" <ann@…>')
    if ":" in tokens:
        refuse(text, "a colon must be in double quotes")
    return _mailbox(text, tokens)


def check_name(text: str, name: str) -> None:
    """Refuse a display name with line ends or other control characters, or lone surrogates."""
    if name.isascii() and name.isprintable():
        return
    for character in name:
        if unicodedata.category(character) in _NEVER_IN_NAME:
            refuse(text, f"it contains the control character {character!r}")


def _tokens(text: str) -> Iterator[str]:
    for match in _TOKEN.finditer(text):
        if match[0] == '"':
            refuse(text, "a quotation mark is not closed")
        yield match[0]


def _mailbox(text: str, tokens: list[str]) -> Mailbox:
    if "<" not in tokens:
        return Mailbox("", address_within(text, "".join(tokens).strip()))
    start = tokens.index("<")
    end = tokens.index(">", start) if ">" in tokens[start:] else 0
    if not end or "".join(tokens[end + 1 :]).strip():
        refuse(text, "the address in angle brackets must come last, and end with >")
    part = "".join(tokens[start + 1 : end]).strip()
    return Mailbox(phrase(text, tokens[:start]), local_name(part) or address_within(text, part))


def address_within(text: str, part: str) -> Address:
    """Return the address inside a longer text, for an error."""
    try:
        return parse_address(part)
    except MessageError as error:
        if part == text:
            raise
        raise MessageError(f"In {_shown(text)}: {error.message}", stage=Stage.MESSAGE, hint=error.hint) from None


def phrase(text: str, tokens: list[str]) -> str:
    """Return the name that the tokens of a phrase form (RFC 5322 §3.2.5). Encoded words are decoded, unless quoted."""
    words: list[str] = []
    bare = ""
    for token in tokens:
        if token.startswith('"'):
            words += [decode_words(bare), re.sub(r"\\(.)", r"\1", token[1:-1])]
            bare = ""
        elif token in "@>\\" or token[0] == "[":
            refuse(text, f"{token[0]} in a name must be in double quotes")
        else:
            bare += token
    return "".join((*words, decode_words(bare))).replace("\t", " ").strip()


def _check_characters(text: str) -> None:
    # Spaces are left to the grammar: a quoted local part may contain them.
    for character in text:
        if character not in " " + JOINERS and unicodedata.category(character) in _NEVER_IN_ADDRESS:
            kind = "space" if unicodedata.category(character) == "Zs" else "control character"
            refuse(text, f"it contains the {kind} {character!r}")


def _check_local(text: str, local: str) -> None:
    if not local:
        refuse(text, "nothing is before the @")
    if len(local.encode()) > MAX_LOCAL:
        refuse(text, f"the part before the @ is longer than {MAX_LOCAL} octets")
    if local.startswith('"'):
        if not _QUOTED.fullmatch(local):
            refuse(text, "a backslash in quotes must stand before an ASCII character")
    elif not _DOT_ATOM.fullmatch(local):
        wrong = re.search(rf"[^.\x80-\U0010ffff{_ATEXT}]", local)
        if wrong:
            refuse(text, f"{wrong[0]!r} cannot be before the @")
        quoted = f'"{local}"@{text.rpartition("@")[2]}'
        refuse(
            text, "a dot before the @ is out of place", f"If that is intended, put double quotes around it: {quoted}"
        )
    elif has_encoded_word(local):
        quoted = f'"{local}"@{text.rpartition("@")[2]}'
        words = "the part before the @ has an encoded word, which some programs decode into another address"
        refuse(text, words, f"If that is intended, put double quotes around it: {quoted}")


def _check_domain(text: str, domain: str) -> None:
    if domain.startswith("["):
        _check_literal(text, domain)
        return
    if "@" in domain:
        refuse(text, "it has more than one @", "Give several addresses as a list")
    _in_a_labels(checked_domain, domain, text)


def _in_a_labels(convert: Callable[[str], str], domain: str, text: str) -> str:
    try:
        return convert(domain)
    except DomainError as error:
        refuse(text, str(error), error.hint)


def _check_literal(text: str, literal: str) -> None:
    """Check ``[192.0.2.1]`` or ``[IPv6:2001:db8::1]`` (RFC 5321 §4.1.3)."""
    from ipaddress import IPv4Address, IPv6Address

    inner = literal[1:-1]
    try:
        if not literal.endswith("]") or "%" in inner:
            raise ValueError
        if inner[:5].upper() == "IPV6:":
            IPv6Address(inner[5:])
        else:
            IPv4Address(inner)
    except ValueError:
        refuse(text, "the address literal must be like [192.0.2.1] or [IPv6:2001:db8::1]")


def _shown(text: str) -> str:
    return repr(text if len(text) <= 80 else text[:77] + "…")


def refuse(text: str, why: str, hint: str | None = None) -> NoReturn:
    """Raise the ``MessageError`` that shows the beginning of the text."""
    raise MessageError(f"{_shown(text)} is not an email address: {why}", stage=Stage.MESSAGE, hint=hint)
