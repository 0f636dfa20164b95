"""Address lists, as address header fields hold them (RFC 5322 §3.4), and groups.

One strict parser for header fields of octets, of parsed and of composed messages. It accepts comments, folding, and the
obsolete forms of §4.4. Ambiguous text is refused: a lenient parser loses a recipient, or sends to someone who was not
named.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from wlsmtp.patterns import later
from wlsmtp.wire.address import Address, Mailbox, address_within, check_name, local_name, phrase, plain_address, refuse
from wlsmtp.wire.encoded_words import decode_words

_TOKEN = later(r'"(?:[^"\\]|\\.)*"|\[[^][\\]*\]|\s+|[^\s"(),.:;<>@\[\]\\]+|.', re.DOTALL)
_COMMENT_PIECE = later(r"\\.|[()]", re.DOTALL)
_FOLD = later(r"\r?\n(?=[ \t])")
_LIST_HINT = 'A comma is between two addresses; a name with one needs double quotes: "Example, Ann" <ann@…>'
_END = ""


@dataclass(frozen=True, slots=True)
class Group:
    """A named group of mailboxes (RFC 5322 §3.4): ``Team: ann@example.com, bob@example.org;``. It may be empty, as in
    ``undisclosed-recipients:;``."""

    name: str
    members: tuple[Mailbox, ...] = ()

    def __str__(self) -> str:
        escaped = self.name.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{escaped}": {", ".join(map(str, self.members))};'


def parse_mailbox_list(text: str) -> list[Mailbox]:
    """Parse the value of an address field: all its mailboxes, including those in groups. Raises ``MessageError`` for
    malformed text."""
    if plain := plain_address(text):
        return [Mailbox("", plain)]
    return mailboxes_in(parse_address_list(text))


def mailboxes_in(items: Iterable[Mailbox | Group]) -> list[Mailbox]:
    """Return the mailboxes of a list, including those in its groups."""
    return [box for item in items for box in ((item,) if isinstance(item, Mailbox) else item.members)]


def parse_address_list(text: str) -> list[Mailbox | Group]:
    """Parse the value of an address field: mailboxes and groups. Encoded words in names are decoded. Raises
    ``MessageError`` that shows the malformed text."""
    unfolded = _FOLD.sub("", text)
    check_name(text, unfolded.replace("\t", " "))
    return _Reader(unfolded).items()


class _Reader:
    """Parses one list. ``_entry`` holds the tokens since the last separator."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._items: list[Mailbox | Group] = []
        self._group: str | None = None
        self._members: list[Mailbox] = []
        self._entry: list[str] = []
        self._comments: list[str] = []
        self._is_behind_group = False
        self._names, self._addresses = 0, 0

    def items(self) -> list[Mailbox | Group]:
        in_angle = False
        for token in _tokens(self._text, self._comments):
            if in_angle and token != _END:
                in_angle = token != ">"
                self._entry.append(token)
            elif token in (",", ";", ":", _END):
                self._separate(token)
            else:
                in_angle = token == "<"
                self._add(token)
        if self._names and self._addresses:
            refuse(self._text, "an entry has no @", _LIST_HINT)
        return self._items

    def _add(self, token: str) -> None:
        if self._is_behind_group and not token.isspace():
            refuse(self._text, "a comma must be between a group and what follows it")
        self._entry.append(token)

    def _separate(self, token: str) -> None:
        if token == ":":
            self._begin_group()
            return
        self._is_behind_group = False
        if "".join(self._entry).strip():
            mailbox = self._local_name() or _mailbox(self._text, self._entry)
            if (
                not mailbox.name
                and "<" not in self._entry
                and len(self._comments) == 1
                and "@" not in self._comments[0]
            ):
                mailbox = Mailbox(_name_in(self._comments[0]), mailbox.address)
            (self._items if self._group is None else self._members).append(mailbox)
        self._entry = []
        self._comments.clear()
        if token == ";":
            self._end_group()
        elif token == _END and self._group is not None:
            refuse(self._text, "a group must end with a semicolon")

    def _local_name(self) -> Mailbox | None:
        """Return a name without a domain, as in ``To: root``; not among addresses, where it is part of a name."""
        words = [token for token in self._entry if not token.isspace()]
        is_name = len(words) == 1 or "." in words[1:-1]
        name = local_name("".join(words)) if is_name else None
        self._names += name is not None
        self._addresses += name is None
        return Mailbox("", name) if name is not None else None

    def _begin_group(self) -> None:
        if self._group is not None:
            refuse(self._text, "there is no group in a group; a colon in a name must be in double quotes")
        if self._is_behind_group:
            refuse(self._text, "a comma must be between two groups")
        if "<" in self._entry:
            refuse(self._text, "a colon is out of place")
        name = phrase(self._text, self._entry)
        if not name:
            refuse(self._text, "a group must have a name before its colon")
        self._group, self._entry = name, []
        self._comments.clear()

    def _end_group(self) -> None:
        if self._group is None:
            refuse(self._text, "a semicolon ends a group, and there is none", "Put commas between addresses")
        self._items.append(Group(self._group, tuple(self._members)))
        self._group, self._members, self._is_behind_group = None, [], True


def _mailbox(text: str, tokens: list[str]) -> Mailbox:
    if "<" not in tokens:
        return Mailbox("", _address(text, tokens))
    start = tokens.index("<")
    end = tokens.index(">", start) if ">" in tokens[start:] else 0
    if not end or "".join(tokens[end + 1 :]).strip():
        refuse(text, "the address in angle brackets must come last, and end with >", _LIST_HINT)
    inner = _without_route(text, tokens[start + 1 : end])
    name = local_name("".join(inner).strip())
    return Mailbox(phrase(text, tokens[:start]), _address(text, inner) if name is None else name)


def _without_route(text: str, tokens: list[str]) -> list[str]:
    """Remove the obsolete route ``@a.example,@b.example:`` from an address in angle brackets (§4.4)."""
    if ":" not in tokens:
        return tokens
    colon = tokens.index(":")
    domains = "".join(tokens[:colon]).replace(" ", "").strip(",").split(",")
    if not all(re.fullmatch(r"@[^@<]+|", domain) for domain in domains) or not any(domains):
        refuse(text, "a colon is out of place")
    return tokens[colon + 1 :]


def _address(text: str, tokens: list[str]) -> Address:
    """Return the address, without comments and white space around @ and dots (obs-local-part and obs-domain)."""
    words = [token for token in tokens if not token.isspace()]
    if len(words) < len(tokens):
        previous = "."
        pending = False
        for token in tokens:
            if token.isspace():
                if token.strip(" \t"):
                    refuse(text, f"it contains the space {token!r}")
                pending = True
                continue
            if pending and previous not in ".@" and token not in ".@":
                refuse(text, "a space is within an address, or a comma is missing between two", _LIST_HINT)
            previous, pending = token, False
    return address_within(text, "".join(_in_one_word(words)))


def _in_one_word(words: list[str]) -> list[str]:
    """Join a local part of several words, some of them quoted (obs-local-part, §4.4): ``"a".b`` is ``a.b``."""
    at = words.index("@") if "@" in words else 0
    local = words[:at]
    if len(local) < 2 or not any(word.startswith('"') for word in local):
        return words
    if len(local) % 2 == 0 or set(local[1::2]) != {"."} or "." in local[::2]:
        return words
    joined = "".join([re.sub(r"\\(.)", r"\1", word[1:-1]) if word.startswith('"') else word for word in local])
    if not plain_address(f"{joined}@x"):
        escaped = re.sub(r'([\\"])', r"\\\1", joined)
        joined = f'"{escaped}"'
    return [joined, *words[at:]]


def _name_in(comment: str) -> str:
    """Return the name in ``bob@example.org (Bob)``, as mail programs wrote it before RFC 822."""
    return decode_words(re.sub(r"\\(.)", r"\1", comment)).replace("\t", " ").strip()


def _tokens(text: str, comments: list[str]) -> Iterator[str]:
    """Return the tokens, with one space for comments and the white space around them (§3.2.2), and an empty one at the
    end. The comments are added to ``comments``."""
    position, space = 0, ""
    while match := _TOKEN.match(text, position):
        token, position = match[0], match.end()
        if token == '"':
            refuse(text, "a quotation mark is not closed")
        if token == "(":
            space, end = " ", _end_of_comment(text, position)
            comments.append(text[position : end - 1])
            position = end
        elif token.isspace() and not token.strip(" \t"):
            space = space or token
        else:
            if space:
                yield space
                space = ""
            yield token
    if space:
        yield space
    yield _END


def _end_of_comment(text: str, start: int) -> int:
    """Find the end of a comment: comments nest, and quotes mean nothing in them."""
    depth = 1
    for match in _COMMENT_PIECE.finditer(text, start):
        depth += {"(": 1, ")": -1}.get(match[0], 0)
        if depth == 0:
            return match.end()
    refuse(text, "a comment is not closed")
