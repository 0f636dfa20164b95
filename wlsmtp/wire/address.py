"""Addresses: text to ``Address`` and ``Mailbox``, checked once and strictly, so that nothing behind here needs to.

Here belong the grammar of RFC 5321 §4.1.2 (what goes into the envelope), that of RFC 5322 §3.4 (a name with an
address, and lists of them), and internationalised domains. How an address is written into a header does not.

The parser is written by hand: a display name, a comment or a quoted local part that a lenient parser takes for the
address sends mail to somebody else (CVE-2023-27043 and its kin).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import NoReturn

from wlsmtp.errors import MessageError, Stage

MAX_LOCAL = 64
"""Octets before the @ (RFC 5321 §4.5.3.1.1)."""
MAX_DOMAIN = 255
"""Octets after it (§4.5.3.1.2)."""
MAX_ADDRESS = 254
"""Octets in all: a path has 256 at most, its angle brackets included (§4.5.3.1.3)."""

_ATEXT = r"A-Za-z0-9!#$%&'*+/=?^_`{|}~-"
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_LDH_DOMAIN = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_PLAIN = re.compile(rf"([{_ATEXT}]+(?:\.[{_ATEXT}]+)*)@({_LDH_DOMAIN.pattern})")
_UNSEEN = r"\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff"
_NAMED = re.compile(rf'(?:"([^{_UNSEEN}"\\]*)" *|([^{_UNSEEN}"(),:;<>@\[\]\\]*))<{_PLAIN.pattern}>')
"""The two usual ways to put a name before an address; whatever else is allowed is for the tokens below to tell."""
_DOT_ATOM = re.compile(rf"[\x80-\U0010ffff{_ATEXT}]+(?:\.[\x80-\U0010ffff{_ATEXT}]+)*")
_QUOTED = re.compile(r'"(?:[^"\\]|\\[ -~])*"')
_SPLIT = re.compile(r'("(?:[^"\\]|\\.)*"|[^"@]*)@(.*)', re.DOTALL)
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|\[[^][\\]*\]|\s+|[^\s"(),:;<>@\[\]\\]+|.', re.DOTALL)
_COMMENT_PIECE = re.compile(r"\\.|[()]", re.DOTALL)

_JOINERS = "\u200c\u200d"
_DEVIATIONS = frozenset("ßẞς" + _JOINERS)
"""Characters for which IDNA 2003 yields another domain than IDNA 2008 (UTS 46 §7)."""
_NEVER_IN_ADDRESS = {"Cc", "Cf", "Cs", "Zl", "Zp", "Zs"}
_NEVER_IN_NAME = {"Cc", "Cs", "Zl", "Zp"}


@dataclass(frozen=True, slots=True, init=False)
class Address:
    """An address as it was given; ``parse_address`` makes and checks it, and nothing can change it."""

    local: str
    """The part before the @, in quotes if it was."""
    domain: str
    """The part after it: a domain, perhaps in Unicode, or an address literal in brackets."""

    def __init__(self, local: str, domain: str) -> None:
        # The __init__ of a frozen dataclass takes twice as long.
        _set_local(self, local)
        _set_domain(self, domain)

    def __str__(self) -> str:
        return f"{self.local}@{self.domain}"

    @property
    def wire(self) -> str:
        """The address for envelope and headers: an internationalised domain in its A-labels (RFC 5890 §2.3.2.1)."""
        return f"{self.local}@{self.domain if self.domain.isascii() else _a_labels(self.domain)}"

    @property
    def wire_domain(self) -> str:
        """The domain in ASCII; an address literal is itself."""
        return self.domain if self.domain.isascii() else _a_labels(self.domain)

    @property
    def needs_smtputf8(self) -> bool:
        """Whether only SMTPUTF8 (RFC 6531) can carry it: a local part has no ASCII form."""
        return not self.local.isascii()


_set_local = vars(Address)["local"].__set__
_set_domain = vars(Address)["domain"].__set__


@dataclass(frozen=True, slots=True)
class Mailbox:
    """An address and the name shown with it, which may be empty."""

    name: str
    address: Address

    def __str__(self) -> str:
        if not self.name:
            return str(self.address)
        escaped = self.name.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{escaped}" <{self.address}>'


def parse_address(text: str) -> Address:
    """Read ``local@domain`` (RFC 5321 §4.1.2, RFC 6531 §3.3). Raises ``MessageError`` that says what is wrong."""
    if not isinstance(text, str):
        raise MessageError(f"An address must be a str, not {type(text).__name__}", stage=Stage.MESSAGE)
    return _remembered_address(text) if len(text) <= MAX_ADDRESS else _read_address(text)


def _read_address(text: str) -> Address:
    if plain := plain_address(text):
        return plain
    if not text:
        _refuse(text, "it is empty")
    if len(text) > MAX_LOCAL + 1 + MAX_DOMAIN:
        _refuse(text, f"it is longer than {MAX_ADDRESS} octets")
    _check_characters(text)
    split = _SPLIT.fullmatch(text)
    if split is None:
        _refuse(text, "a quotation mark is out of place" if "@" in text else "it has no @")
    address = Address(split[1], split[2])
    _check_local(text, address.local)
    _check_domain(text, address.domain)
    if len(address.wire.encode()) > MAX_ADDRESS:
        _refuse(text, f"it is longer than {MAX_ADDRESS} octets")
    return address


_remembered_address = lru_cache(maxsize=1024)(_read_address)


def parse_path(text: str) -> Address | None:
    """Read a reverse-path: an address, or "" for the null reverse-path ``<>`` (RFC 5321 §4.5.5), which is None."""
    return parse_address(text) if text != "" else None


def parse_mailbox(text: str) -> Mailbox:
    """Read exactly one ``ann@example.com``, ``Ann Example <ann@example.com>`` or ``"Example, Ann" <ann@example.com>``.

    What was read lately is remembered: the sender of ten thousand messages is checked once. Raises ``MessageError``,
    also for a second address in the text.
    """
    if not isinstance(text, str):
        raise MessageError(f"An address must be a str, not {type(text).__name__}", stage=Stage.MESSAGE)
    return _remembered_mailbox(text) if len(text) <= MAX_ADDRESS else _read_mailbox(text)


def plain_address(text: str) -> Address | None:
    """The address, if ``text`` is nothing but one in ASCII, as most are; else it is for the others to read."""
    plain = _PLAIN.fullmatch(text)
    if plain is None or len(text) > MAX_ADDRESS or plain.end(1) > MAX_LOCAL:
        return None
    return Address(plain[1], plain[2])


def _read_mailbox(text: str) -> Mailbox:
    if plain := plain_address(text):
        return Mailbox("", plain)
    if named := _NAMED.fullmatch(text):
        quoted, unquoted, local, domain = named.groups()
        if _fits(local, domain):
            return Mailbox((quoted or unquoted or "").strip(), Address(local, domain))
    return _read_by_tokens(text)


_remembered_mailbox = lru_cache(maxsize=1024)(_read_mailbox)


def _fits(local: str, domain: str) -> bool:
    return len(local) <= MAX_LOCAL and len(local) + len("@") + len(domain) <= MAX_ADDRESS


def _read_by_tokens(text: str) -> Mailbox:
    check_name(text, text)
    tokens = list(_tokens(text))
    if tokens.count("@") > 1 or tokens.count("<") > 1 or "," in tokens or ";" in tokens:
        hint = 'Give several addresses as a list; a comma in a name needs double quotes: "Example, Ann" <ann@…>'
        _refuse(text, "it holds more than one address, or an @ or a comma too many", hint)
    if "(" in tokens or ")" in tokens:
        _refuse(text, "comments in parentheses are not taken", 'Put the name in double quotes: "Ann (work)" <ann@…>')
    if ":" in tokens:
        _refuse(text, "a colon must be in double quotes")
    return _mailbox(text, tokens)


def parse_mailbox_list(text: str) -> list[Mailbox]:
    """Read the value of an address header (RFC 5322 §3.4): mailboxes and groups, comments and folding.

    Encoded words in names stay as they are. Raises ``MessageError`` for whatever is malformed.
    """
    text = re.sub(r"\r?\n(?=[ \t])", "", text)
    check_name(text, text.replace("\t", " "))
    found: list[Mailbox] = []
    entry: list[str] = []
    in_angle = False
    for token in [*_tokens(_without_comments(text)), ","]:
        in_angle = token == "<" or (in_angle and token != ">")
        if token in (",", ";") and not in_angle:
            if "".join(entry).strip():
                found.append(_mailbox(text, entry))
            entry = []
        elif token == ":" and not in_angle:
            entry = []  # What came before is the name of a group.
        else:
            entry.append(token)
    if "".join(entry).strip():
        _refuse(text, "an angle bracket is not closed")
    return found


def check_name(text: str, name: str) -> None:
    """Refuse a display name with line ends or other controls, or lone surrogates."""
    if name.isascii() and name.isprintable():
        return
    for character in name:
        if unicodedata.category(character) in _NEVER_IN_NAME:
            _refuse(text, f"it contains the control character {character!r}")


def _tokens(text: str) -> Iterator[str]:
    for match in _TOKEN.finditer(text):
        if match[0] == '"':
            _refuse(text, "a quotation mark is not closed")
        yield match[0]


def _mailbox(text: str, tokens: list[str]) -> Mailbox:
    if "<" not in tokens:
        return Mailbox("", _address_within(text, "".join(tokens).strip()))
    start = tokens.index("<")
    end = tokens.index(">", start) if ">" in tokens[start:] else 0
    if not end or "".join(tokens[end + 1 :]).strip():
        _refuse(text, "the address in angle brackets must come last, and end with >")
    address = _address_within(text, "".join(tokens[start + 1 : end]).strip())
    return Mailbox(_name(text, tokens[:start]), address)


def _address_within(text: str, part: str) -> Address:
    try:
        return parse_address(part)
    except MessageError as error:
        if part == text:
            raise
        raise MessageError(f"In {_shown(text)}: {error.message}", stage=Stage.MESSAGE, hint=error.hint) from None


def _name(text: str, tokens: list[str]) -> str:
    words = []
    for token in tokens:
        if token.startswith('"'):
            words.append(re.sub(r"\\(.)", r"\1", token[1:-1]))
        elif token in "@>\\" or token[0] == "[":
            _refuse(text, f"{token[0]} in a name must be in double quotes")
        else:
            words.append(token)
    return "".join(words).replace("\t", " ").strip()


def _without_comments(text: str) -> str:
    """The text with a space for each comment (RFC 5322 §3.2.2); they nest, and quotes mean nothing in them."""
    kept: list[str] = []
    position = 0
    while (match := _TOKEN.match(text, position)) is not None:
        position = match.end()
        if match[0] == "(":
            position = _end_of_comment(text, position)
            kept.append(" ")
        else:
            kept.append(match[0])
            if match[0] == '"':
                break
    return "".join(kept)


def _end_of_comment(text: str, start: int) -> int:
    depth = 1
    for match in _COMMENT_PIECE.finditer(text, start):
        depth += {"(": 1, ")": -1}.get(match[0], 0)
        if depth == 0:
            return match.end()
    _refuse(text, "a comment is not closed")


def _check_characters(text: str) -> None:
    # A space is for the grammar to judge: a quoted local part may contain it.
    for character in text:
        if character not in " " + _JOINERS and unicodedata.category(character) in _NEVER_IN_ADDRESS:
            kind = "space" if unicodedata.category(character) == "Zs" else "control character"
            _refuse(text, f"it contains the {kind} {character!r}")


def _check_local(text: str, local: str) -> None:
    if not local:
        _refuse(text, "nothing is before the @")
    if len(local.encode()) > MAX_LOCAL:
        _refuse(text, f"the part before the @ is longer than {MAX_LOCAL} octets")
    if local.startswith('"'):
        if not _QUOTED.fullmatch(local):
            _refuse(text, "a backslash in quotes must stand before an ASCII character")
    elif not _DOT_ATOM.fullmatch(local):
        wrong = re.search(rf"[^.\x80-\U0010ffff{_ATEXT}]", local)
        _refuse(text, f"{wrong[0]!r} cannot be before the @" if wrong else "a dot before the @ is out of place")


def _check_domain(text: str, domain: str) -> None:
    if domain.startswith("["):
        _check_literal(text, domain)
        return
    if "@" in domain:
        _refuse(text, "it has more than one @", "Give several addresses as a list")
    ascii_domain = domain if domain.isascii() else _a_labels(domain, text)
    if len(ascii_domain) > MAX_DOMAIN:
        _refuse(text, f"the domain is longer than {MAX_DOMAIN} octets")
    if not _LDH_DOMAIN.fullmatch(ascii_domain):
        _refuse(text, _domain_fault(ascii_domain))


def _domain_fault(domain: str) -> str:
    if wrong := re.search(r"[^A-Za-z0-9.-]", domain):
        return f"{wrong[0]!r} cannot be in a domain"
    labels = domain.split(".")
    if not all(labels):
        return "nothing is after the @" if not domain else "a dot in the domain is out of place"
    if any(len(label) > 63 for label in labels):
        return "a label of the domain is longer than 63 octets"
    return "a label of the domain begins or ends with a hyphen"


def _check_literal(text: str, literal: str) -> None:
    """``[192.0.2.1]`` or ``[IPv6:2001:db8::1]`` (RFC 5321 §4.1.3)."""
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
        _refuse(text, "the address literal must be like [192.0.2.1] or [IPv6:2001:db8::1]")


@lru_cache(maxsize=1024)
def _a_labels(domain: str, text: str | None = None) -> str:
    try:
        import idna
    except ImportError:
        return _a_labels_of_2003(domain, text or domain)
    try:
        return idna.encode(domain, uts46=True).decode("ascii")
    except (idna.IDNAError, UnicodeError) as error:
        _refuse(text or domain, f"the domain is not valid in IDNA 2008: {error}")


def _a_labels_of_2003(domain: str, text: str) -> str:
    """What the standard library can do; where IDNA 2003 leads to another domain it must not be done."""
    if found := _DEVIATIONS.intersection(domain):
        hint = 'Install it with: pip install "wlsmtp[idna]"'
        _refuse(text, f"a domain with {min(found)!r} needs IDNA 2008, from the package idna", hint)
    try:
        return domain.encode("idna").decode("ascii")
    except UnicodeError as error:
        _refuse(text, f"the domain is not valid: {error}")


def _shown(text: str) -> str:
    return repr(text if len(text) <= 80 else text[:77] + "…")


def _refuse(text: str, why: str, hint: str | None = None) -> NoReturn:
    raise MessageError(f"{_shown(text)} is not an email address: {why}", stage=Stage.MESSAGE, hint=hint)
