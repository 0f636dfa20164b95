"""Remarks on a message, of the kind that a colleague would make. Nothing is fetched to make them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

from wlsmtp.inbox import html
from wlsmtp.inbox.caniemail import CLIENTS, UNKNOWN
from wlsmtp.inbox.mail import Mail
from wlsmtp.inbox.mime import parse_parameters

Level = Literal["error", "warn", "info", "good"]

GMAIL_CUTS = 102_400
"""Octets of HTML that Gmail shows; the rest is behind a link."""
MAX_REMARKS_ON_CLIENTS = 12
_PLACEHOLDER = re.compile(
    r"\{\{[^{}]{0,60}\}\}|\{%[^{}%]{0,60}%\}|\$\{[^{}]{0,60}\}|<%[^<>%]{0,60}%>|%\(\w{1,40}\)s|(?<![\w%])%s(?!\w)"
    r"|\[\[[^\[\]]{1,40}\]\]|\bundefined\b|\[object Object\]"
)
_LOOKS_LIKE_AN_ADDRESS = re.compile(r"(?:https?://)?((?:[a-z0-9-]{1,63}\.)+[a-z]{2,24})(?:[/:?#]\S*)?", re.IGNORECASE)
_PROPERTY = re.compile(r"(?<![\w-])([a-z-]{2,40})\s*:", re.IGNORECASE)
_AT_HOME = re.compile(
    r"localhost|127(?:\.\d+){3}|\[::1\]|10(?:\.\d+){3}|192\.168(?:\.\d+){2}|.*\.(?:local|localhost|test|internal)"
)
_SECOND_LEVEL = frozenset({"co", "com", "org", "net", "ac", "gov", "edu"})


@dataclass(frozen=True, slots=True)
class Remark:
    """One remark. ``error``: readers will see that it is wrong; ``warn``: some will; ``info``: good to know."""

    level: Level
    title: str
    detail: str = ""


def check(mail: Mail) -> list[Remark]:
    """All remarks on a message, the gravest first."""
    page = _Page(mail)
    found = [
        *_header(mail),
        *_texts(mail, page),
        *_links(page),
        *_images(mail, page),
        *_identity(mail),
        *_clients(page),
    ]
    order = ("error", "warn", "info", "good")
    return sorted(found, key=lambda remark: order.index(remark.level))


class _Page:
    """What the HTML holds, read once."""

    def __init__(self, mail: Mail) -> None:
        self.source = mail.html
        self.tags: list[html.Tag] = []
        self.styles: list[str] = []
        self.links: list[tuple[str, str]] = []
        """Address and text of each link."""
        pieces: list[str] = []
        link: str | None = None
        begin = 0
        for token in html.tokens(self.source[: html.MAX_HTML]):
            if isinstance(token, str):
                pieces.append(token)
                continue
            if not token.is_end:
                self.tags.append(token)
                self.styles += [text for text in (token.attributes.get("style"), token.content) if text]
            if token.name == "a":
                if link is not None:
                    self.links.append((link, "".join(pieces[begin:])))
                link, begin = (None if token.is_end else token.attributes.get("href", "").strip()), len(pieces)
        self.text = "".join(pieces)


def _header(mail: Mail) -> Iterator[Remark]:
    counts = Counter(name.lower() for name, _ in mail.reading.root.fields)
    for name in ("From", "Date", "Message-ID"):
        if not counts[name.lower()]:
            yield Remark(
                "error", f"No {name} field", "RFC 5322 §3.6 requires it, and many servers refuse mail without it."
            )
    for name in ("From", "To", "Cc", "Subject", "Date", "Message-ID", "Reply-To", "Sender"):
        if counts[name.lower()] > 1:
            yield Remark(
                "error", f"{counts[name.lower()]} {name} fields", "Only one is allowed; Gmail refuses the message."
            )
    if not mail.subject.strip():
        yield Remark("warn", "No subject")
    elif len(mail.subject) > 78:
        yield Remark("info", f"The subject has {len(mail.subject)} characters", "Phones show about 40 of them.")
    if not counts["list-unsubscribe"]:
        words = "Gmail and Yahoo require it of newsletters and other mail to many; what answers a user needs none."
        yield Remark("info", "No List-Unsubscribe field", words)
    elif not counts["list-unsubscribe-post"]:
        yield Remark(
            "info", "No List-Unsubscribe-Post field", "Without it, there is no unsubscribing by one click (RFC 8058)."
        )


def _texts(mail: Mail, page: _Page) -> Iterator[Remark]:
    if mail.reading.html_part is not None and not mail.text.strip():
        words = 'Some readers and most spam filters look for one: Message(text="auto") makes it from the HTML.'
        yield Remark("warn", "No text part", words)
    if (size := len(page.source.encode())) > GMAIL_CUTS:
        yield Remark("warn", f"The HTML has {size // 1024} KiB", "Gmail cuts it off at 102 KiB.")
    shown = f"{mail.subject[:2000]}\n{mail.text[:200_000]}\n{page.text[:200_000]}\n" + "\n".join(
        address for address, _ in page.links[:500]
    )
    if left := list(dict.fromkeys(_PLACEHOLDER.findall(shown))):
        yield Remark("error", "Placeholders that were not filled in", ", ".join(left[:10]))
    active = sorted(
        {tag.name for tag in page.tags if tag.name in html.ACTIVE - {"meta", "base", "link", "svg", "math"}}
    )
    if active:
        names = ", ".join(f"<{name}>" for name in active)
        yield Remark("warn", f"Mail programs leave out {names}")


def _links(page: _Page) -> Iterator[Remark]:
    hosts = [(urlsplit_or_none(address), text.strip()) for address, text in page.links[:2000]]
    for address, text in hosts:
        said = _LOOKS_LIKE_AN_ADDRESS.fullmatch(text[:300])
        if said and address and address[0] in ("http", "https") and domain_of(said[1]) != domain_of(address[1]):
            words = f"It says {said[1]} and leads to {address[1]}"
            yield Remark("error", "A link says another address than its own", f"{words}: filters take it for fraud.")
            break
    if plain := sum(1 for address, _ in hosts if address and address[0] == "http"):
        yield Remark("warn", f"{_many(plain, 'link')} without https")
    if empty := sum(1 for address, _ in page.links if address in ("", "#")):
        yield Remark("warn", f"{_many(empty, 'link')} that lead nowhere")
    relative = [
        address
        for address, _ in page.links
        if address and not re.match(r"[a-z][a-z0-9+.-]*:|#|//", address, re.IGNORECASE)
    ]
    if relative:
        yield Remark(
            "error", f"{_many(len(relative), 'relative link')}", f"A mail has no address of its own: {relative[0][:80]}"
        )
    home = sorted({address[1] for address, _ in hosts if address and _AT_HOME.fullmatch(address[1].lower())})
    if home:
        yield Remark("warn", "Links to this machine or a private network", ", ".join(home[:5]))


def _images(mail: Mail, page: _Page) -> Iterator[Remark]:
    images = [tag.attributes for tag in page.tags if tag.name == "img"]
    known = {part.content_id for part in mail.reading.root.walk() if part.content_id}
    if bare := sum(1 for image in images if "alt" not in image):
        words = 'Readers whose program blocks images, or who cannot see, learn nothing. alt="" is for decoration.'
        yield Remark("warn", f"{_many(bare, 'image')} without alt", words)
    sources = [image.get("src", "").strip() for image in images]
    if lost := sorted({source for source in sources if source[:4].lower() == "cid:" and source[4:] not in known}):
        yield Remark("error", "Images that are not in the message", ", ".join(lost[:5]))
    if plain := sum(1 for source in sources if source.lower().startswith("http:")):
        yield Remark(
            "warn", f"{_many(plain, 'image')} without https", "Gmail and Apple do not show them, or with a warning."
        )
    if images and not page.text.strip():
        yield Remark("warn", "The HTML is an image without words", "Spam filters do not like that.")
    used = {source[4:] for source in sources if source[:4].lower() == "cid:"}
    styled = "".join(page.styles)
    unused = [
        part.content_id for part in mail.reading.inline if part.content_id not in used and part.content_id not in styled
    ]
    if unused and mail.reading.html_part is not None:
        yield Remark("info", "Images that the HTML does not use", ", ".join(unused[:5]))


def _identity(mail: Mail) -> Iterator[Remark]:
    """Whether what was signed, and the envelope, belong to the domain that the reader sees (DMARC, RFC 7489 §3.1)."""
    shown = str(mail.entry.summary["sender"]["Address"]).rpartition("@")[2].lower()
    if not shown:
        return
    signatures = [
        parse_parameters(f"x;{value}")[1]
        for name, value in mail.reading.root.fields
        if name.lower() == "dkim-signature"
    ]
    signers = sorted({tags.get("d", "").strip().lower() for tags in signatures} - {""})
    if any(domain_of(signer) == domain_of(shown) for signer in signers):
        yield Remark("good", "DKIM: signed by the domain of the sender", ", ".join(signers))
    elif signers:
        words = f"From is at {shown}, signed is for {', '.join(signers)}: that does not count for DMARC."
        yield Remark("warn", "DKIM: signed by another domain", words)
    else:
        yield Remark("info", "DKIM: not signed here", "Your provider may sign it; SMTPSession(dkim=…) does.")
    envelope = mail.sender.rpartition("@")[2].lower()
    if envelope and domain_of(envelope) != domain_of(shown):
        words = f"The envelope's sender is at {envelope}, From is at {shown}: SPF does not count for DMARC."
        yield Remark("info", "SPF: another domain than that of the sender", words)


def _clients(page: _Page) -> Iterator[Remark]:
    """What clients do not know, those features first that most of them lack."""
    for name in sorted(_features(page), key=lambda name: -len(UNKNOWN[name]))[:MAX_REMARKS_ON_CLIENTS]:
        without = UNKNOWN[name]
        level: Level = "warn" if len(set(without) - {"O"}) >= 2 else "info"
        clients = ", ".join(CLIENTS[letter] for letter in without)
        yield Remark(level, f"{name.removesuffix(':').removesuffix('(')} is unknown to {clients}", "By caniemail.com")


def _features(page: _Page) -> list[str]:
    styles = "\n".join(page.styles).lower()
    properties = {f"{name.lower()}:" for name in _PROPERTY.findall(styles)}
    elements = {f"<{tag.name}>" for tag in page.tags}
    attributes = {f"{name}=" for tag in page.tags for name in tag.attributes}
    flat = re.sub(r":\s+", ":", styles)
    named = properties | elements | attributes
    return [name for name in UNKNOWN if name in named or _stands(name, flat)]


def _stands(name: str, styles: str) -> bool:
    is_plain = name.endswith(":") or name.startswith("<") or name.endswith("=")
    return not is_plain and name in styles


def urlsplit_or_none(address: str) -> tuple[str, str] | None:
    """Scheme and host of an address; None for what is none."""
    try:
        parts = urlsplit(address[:2000])
        return (parts.scheme.lower(), parts.hostname or "") if parts.hostname else None
    except ValueError:
        return None


def domain_of(host: str) -> str:
    """Return the part of a host name that somebody has registered, guessed without a list of suffixes."""
    labels = host.lower().rstrip(".").split(".")
    count = 3 if len(labels) > 2 and labels[-2] in _SECOND_LEVEL and len(labels[-1]) == 2 else 2
    return ".".join(labels[-count:])


def _many(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"


def unknown_features(mail: Mail) -> tuple[int, list[tuple[str, str]]]:
    """How many elements the HTML has, and the features in it that clients do not know, with their letters."""
    page = _Page(mail)
    return len(page.tags), [(name, UNKNOWN[name]) for name in _features(page)]


def as_json(remarks: Iterable[Remark]) -> list[dict[str, str]]:
    """For the API."""
    return [{"Level": one.level, "Title": one.title, "Detail": one.detail} for one in remarks]
