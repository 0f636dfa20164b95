"""The quirks of real servers: each has a name, the servers that have it, and a few lines that implement it.

A quirk wraps each command. It inspects a ``Step``, and lets the server ``proceed`` or replies itself. The docstring is
the quirk's description in the docs.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from wlsmtp.testing.channel import CLOSE, FORGET, Rewrite
from wlsmtp.testing.step import Step

if TYPE_CHECKING:
    from wlsmtp.testing.conversation import ServerSide


Play = Callable[[Step], None]


@dataclass(frozen=True)
class Quirk:
    """A row of the table."""

    name: str
    seen_at: str
    """Servers that have it."""
    takes_number: bool
    """True if the name is written with a number: ``max-messages:10``."""
    play: Play

    @property
    def form(self) -> str:
        """The name as it is written."""
        return f"{self.name}:N" if self.takes_number else self.name

    @property
    def description(self) -> str:
        """The description, from the docstring."""
        return " ".join((self.play.__doc__ or "").split())


QUIRKS: dict[str, Quirk] = {}
"""All quirks by name."""
Played = tuple[tuple[Play, int], ...]


def chosen(names: Iterable[str]) -> Played:
    """Return the quirks of these names in the order of the table. Raises ``ValueError`` for an unknown name."""
    rows = list(QUIRKS.values())
    found = sorted((_chosen(text) for text in names), key=lambda pair: rows.index(pair[0]))
    return tuple((quirk.play, number) for quirk, number in found)


def _chosen(text: str) -> tuple[Quirk, int]:
    name, colon, number = text.partition(":")
    quirk = QUIRKS.get(name)
    if quirk is None:
        known = ", ".join(row.form for row in QUIRKS.values())
        raise ValueError(f"{text!r} is not a quirk; known are: {known}")
    if quirk.takes_number != bool(colon) or (colon and not number.isdigit()):
        raise ValueError(f"{text!r} is not a quirk, but {quirk.form} is")
    return quirk, int(number or 0)


def play(quirks: Played, side: ServerSide, verb: str, rest: str, proceed: Callable[[], None]) -> None:
    """Execute a command wrapped by these quirks, the last outermost: those that change replies change all."""
    for act, limit in quirks:
        proceed = partial(act, Step(side, verb, rest, limit, proceed))
    proceed()


def _quirk(name: str, seen_at: str) -> Callable[[Play], Play]:
    def add(play: Play) -> Play:
        bare, colon, _ = name.partition(":")
        QUIRKS[bare] = Quirk(bare, seen_at, bool(colon), play)
        return play

    return add


# Groups of commands, and commands after content.


@_quirk("keeps-envelope", "Postfix, smtpd_end_of_data_restrictions")
def _(step: Step) -> None:
    """After a refusal at the end of the content the envelope stays: MAIL without RSET is answered 503 (nested MAIL)."""
    envelope = step.side.envelope
    step.proceed()
    if step.ends_content and envelope.sender is not None and step.side.last_reply[:1] in ("4", "5"):
        step.side.envelope = envelope


@_quirk("discards-behind-content", "chasquid 1.11")
def _(step: Step) -> None:
    """What was received behind the final dot by the time the content is answered is lost, without an answer."""
    step.proceed()
    if step.verb == "DATA" and step.side.last_reply[:1] != "3":
        step.side.received.clear()


@_quirk("refuses-behind-content", "Haraka 3.3.4")
def _(step: Step) -> None:
    """Each command that was received behind the final dot by the time the content is answered is answered 503."""
    step.proceed()
    if step.verb == "DATA" and step.side.last_reply[:1] != "3":
        commands = step.side.received.count(b"\n")
        step.side.received.clear()
        step.side.say(["503 Bad sequence of commands - pipelined after end of DATA"] * commands)


@_quirk("drops-behind-content", "not known by name")
def _(step: Step) -> None:
    """The content is answered, and the connection is closed if anything was received behind it."""
    step.proceed()
    if step.ends_content and step.side.received:
        step.side.say(CLOSE)


@_quirk("crashes-without-rset", "Dovecot submission 2.3 and 2.4")
def _(step: Step) -> None:
    """The connection is cut when MAIL without RSET before it was received together with the end of a content."""
    step.proceed()
    if step.ends_content and step.side.received[:4].upper() == b"MAIL":
        step.side.say(CLOSE)


@_quirk("refuses-groups", "Postfix, reject_unauth_pipelining, where PIPELINING was not offered")
def _(step: Step) -> None:
    """A command with another one behind it is answered 503 (improper command pipelining), PIPELINING or not."""
    step.instead(step.is_in_group, "503 5.5.1 Improper use of SMTP command pipelining")


@_quirk("drops-groups", "not known by name")
def _(step: Step) -> None:
    """The connection is closed, without an answer, at a command with another one behind it."""
    step.instead(step.is_in_group, CLOSE)


@_quirk("ends-at-groups", "OpenSMTPD 5.4, which did not offer PIPELINING")
def _(step: Step) -> None:
    """A command with another one behind it is answered 500 (pipelining not supported), and the connection closed."""
    step.instead(step.is_in_group, "500 5.5.1 Invalid command: Pipelining not supported", CLOSE)


@_quirk("flushes-after-refusal", "not known by name; RFC 2920 §3.2 forbids it")
def _(step: Step) -> None:
    """After a refusal, what was received behind the command is lost, without an answer."""
    step.proceed()
    if step.side.last_reply[:1] in ("4", "5"):
        step.side.received.clear()


@_quirk("slow-window", "not known by name")
def _(step: Step) -> None:
    """Small buffers, 512 octets read at a time, and each answer sent before the next command is looked at: a client
    that writes on without reading blocks, and so does the server."""
    if step.verb == "CONNECT":
        step.side.shrink_buffers(512)
    step.proceed()
    step.side.flush()


# Chunks (RFC 3030).


@_quirk("unread-chunk", "go-smtp 0.21")
def _(step: Step) -> None:
    """BDAT without an accepted recipient is answered 502, and the octets of its chunk are read as commands."""
    step.instead(
        step.verb == "BDAT" and not step.has_recipient, "502 5.5.1 Missing RCPT TO command.", reads_chunk=False
    )


@_quirk("bdat-unimplemented", "not known by name")
def _(step: Step) -> None:
    """CHUNKING is offered, and BDAT answered 502; its octets are read and dropped."""
    step.instead(step.verb == "BDAT", "502 5.5.1 BDAT is not implemented")


@_quirk("bdat-unknown", "not known by name")
def _(step: Step) -> None:
    """CHUNKING is offered, and BDAT answered 500; its octets are read as commands."""
    step.instead(step.verb == "BDAT", "500 5.5.1 Command not recognised", reads_chunk=False)


@_quirk("one-reply-for-chunks", "not known by name")
def _(step: Step) -> None:
    """A message in several chunks is answered once, behind the last of them."""
    if step.verb == "BDAT" and not step.ends_content:
        step.proceed_and_rewrite(lambda reply: None if reply.startswith("2") else reply)
    else:
        step.proceed()


@_quirk("two-replies-to-last-chunk", "SubEthaSMTP 6")
def _(step: Step) -> None:
    """The last chunk is answered when it was read, and once more when the message was handled."""
    step.proceed()
    if step.verb == "BDAT" and step.ends_content:
        step.side.say("250 2.0.0 Message handled")


# Unknown commands, and content without recipients.


@_quirk("no-noop", "Twisted, msmtpd, MailSlurper")
def _(step: Step) -> None:
    """NOOP is answered 500."""
    step.instead(step.verb == "NOOP", "500 5.5.1 Command not implemented")


@_quirk("no-rset", "eYou MTA")
def _(step: Step) -> None:
    """RSET is answered 502, and the envelope stays."""
    step.instead(step.verb == "RSET", "502 5.5.1 Unimplemented")


@_quirk("silent-quit", "not known by name")
def _(step: Step) -> None:
    """The connection is closed at QUIT, without an answer."""
    step.instead(step.verb == "QUIT", CLOSE)


@_quirk("354-without-recipients", "allowed by RFC 2920 §3.1")
def _(step: Step) -> None:
    """DATA is answered 354 even if no recipient was accepted, and the content then 554."""
    if step.verb == "DATA" and step.side.envelope.sender is not None and not step.has_recipient:
        step.side.say("354 Go ahead")
        step.side.read_content()
        step.side.forget_envelope()
        step.side.say("554 5.5.1 No valid recipients")
    else:
        step.proceed()


@_quirk("250-without-recipients", "not known by name; a client must not take it for a success")
def _(step: Step) -> None:
    """A content is answered 250 even if no recipient was accepted, and is stored for nobody."""
    if step.ends_content and step.side.envelope.sender is not None and not step.has_recipient:
        if step.verb == "DATA":
            step.side.say("354 Go ahead")
            step.side.read_content()
        step.side.skip_chunk(step.verb, step.rest)
        step.side.forget_envelope()
        step.side.say("250 2.0.0 Ok")
    else:
        step.proceed()


# Limits.


@_quirk("max-messages:N", "Exim, smtp_accept_max_per_connection")
def _(step: Step) -> None:
    """MAIL beyond the Nth of a connection is answered 421; the connection stays open, and answers 503 from then on."""
    step.instead(step.is_mail_beyond_limit, "421 4.7.0 Too many messages in this connection")


@_quirk("max-messages-close:N", "Amazon SES and many others")
def _(step: Step) -> None:
    """MAIL beyond the Nth of a connection is answered 421, and the connection closed."""
    step.instead(step.is_mail_beyond_limit, "421 4.3.2 Maximum message count per session reached", CLOSE)


@_quirk("max-messages-452:N", "not known by name; of one kind with Exim's")
def _(step: Step) -> None:
    """MAIL beyond the Nth of a connection is answered 452; the connection stays open."""
    step.instead(step.is_mail_beyond_limit, "452 4.3.2 Too many messages in this connection")


@_quirk("max-messages-at-rset:N", "not known by name; of one kind with Exim's")
def _(step: Step) -> None:
    """RSET behind the Nth message of a connection is answered 421, and the connection closed."""
    is_last = step.verb == "RSET" and step.side.stored >= step.limit
    step.instead(is_last, "421 4.3.2 Too many messages in this connection", CLOSE)


@_quirk("421-behind-content:N", "GMX, which says so after a while without a command")
def _(step: Step) -> None:
    """The Nth message of a connection is answered as usual, then comes 421, and the connection is closed."""
    step.proceed()
    if step.ends_content and step.side.stored >= step.limit:
        step.side.say(["421 4.4.2 Service closing transmission channel", CLOSE])


@_quirk("max-errors:N", "Postfix: 20, but 1 while all its processes are busy")
def _(step: Step) -> None:
    """The Nth refusal over a connection is followed by 421, and the connection closed."""
    step.proceed()
    if step.side.last_reply[:1] in ("4", "5"):
        step.side.commands["refused"] += 1
        if step.side.commands["refused"] >= step.limit:
            step.side.say(("421 4.7.0 Error: too many errors", CLOSE))


@_quirk("closes-silently:N", "any server that is restarted")
def _(step: Step) -> None:
    """MAIL behind the Nth message of a connection has no answer: the connection is closed."""
    step.instead(step.verb == "MAIL" and step.side.stored >= step.limit, CLOSE)


@_quirk("max-recipients:N", "Postfix, smtpd_recipient_limit; Gmail")
def _(step: Step) -> None:
    """RCPT beyond the Nth recipient of a message is answered 452 4.5.3."""
    _limit_recipients(step, "452 4.5.3 Too many recipients")


@_quirk("max-recipients-451:N", "Exim, an ACL that defers")
def _(step: Step) -> None:
    """RCPT beyond the Nth recipient of a message is answered 451 4.5.3."""
    _limit_recipients(step, "451 4.5.3 Too many recipients")


def _limit_recipients(step: Step, reply: str) -> None:
    is_full = len(step.side.envelope.recipients) >= step.limit
    step.instead(step.verb == "RCPT" and is_full, step.side.words("too many recipients", reply))


@_quirk("max-connections:N", "Orange, Amazon SES, Exim")
def _(step: Step) -> None:
    """Instead of a greeting, a connection beyond N open ones gets 421, and is closed."""
    if step.verb == "CONNECT" and step.side.rank > step.limit:
        step.side.say([step.side.words("too many connections", "421 4.7.0 Too many connections"), CLOSE])
    step.proceed()


@_quirk("max-connections-in-clear:N", "Exim on port 465")
def _(step: Step) -> None:
    """Where TLS is spoken from the first byte, one beyond N open ones gets 421 in plain text, and is closed."""
    if step.verb == "ACCEPT" and step.side.rank > step.limit:
        step.side.wait_for_input()
        words = step.side.words("too many connections", "421 Too many concurrent SMTP connections")
        step.side.say([FORGET, words, CLOSE])
    step.proceed()


@_quirk("max-connections-432:N", "Microsoft 365, which allows three")
def _(step: Step) -> None:
    """MAIL is answered 432 over a connection beyond N open ones; it stays open."""
    words = step.side.words("too many connections", "432 4.3.2 Sender thread limit exceeded")
    step.instead(step.verb == "MAIL" and step.side.rank > step.limit, words)


@_quirk("idle-451", "Amazon SES, after ten seconds")
def _(step: Step) -> None:
    """A connection that has carried a message answers 451 4.4.2 to each later MAIL, as if it had been idle too long."""
    step.instead(step.verb == "MAIL" and step.side.stored > 0, "451 4.4.2 Timeout waiting for data from client.")


@_quirk("idle-421", "Postfix, Yandex")
def _(step: Step) -> None:
    """A connection that has carried a message answers 421 4.4.2 to its next command but QUIT, and is closed."""
    step.instead(step.side.stored > 0 and step.verb != "QUIT", "421 4.4.2 Error: timeout exceeded", CLOSE)


@_quirk("greylists", "postgrey and its kind")
def _(step: Step) -> None:
    """The first RCPT for each pair of sender and recipient is answered 451 4.7.1, the next ones as usual."""
    pair = f"{step.side.envelope.sender}\n{step.rest}".casefold()
    is_new = step.verb == "RCPT" and step.side.server.is_new(pair)
    step.instead(is_new, "451 4.7.1 Greylisted, try again later")


@_quirk("tests-newcomers", "Postfix, postscreen with its deep protocol tests")
def _(step: Step) -> None:
    """Over the first connection every RCPT is answered 450 4.3.2; later connections work."""
    step.instead(step.verb == "RCPT" and step.side.number == 1, "450 4.3.2 Service currently unavailable")


# Codes and texts of replies.

_PLAIN = ("CONNECT", "HELO", "MAIL", "RCPT", "DATA", "BDAT", "RSET", "NOOP", "QUIT")


@_quirk("refuses-with-503", "not known by name")
def _(step: Step) -> None:
    """A recipient that is refused permanently is refused with 503, which is the code for commands out of order."""
    _rewrite_at(step, ("RCPT",), lambda reply: re.sub(r"(?s)^55\d.*", "503 5.7.1 This one is not wanted here", reply))


@_quirk("refuses-with-pipelining-words", "not known by name")
def _(step: Step) -> None:
    """What is refused permanently is refused with words that hold "pipelin"."""
    words = "550 5.7.1 Rejected by our content pipeline"
    _rewrite_at(step, ("MAIL", "RCPT", "DATA", "BDAT"), lambda reply: re.sub(r"(?s)^55\d.*", words, reply))


@_quirk("refused-login-451", "SendGrid")
def _(step: Step) -> None:
    """A login that is refused permanently is refused with 451, and the connection closed."""
    _rewrite_at(step, ("AUTH",), lambda reply: re.sub(r"(?s)^535.*", "451 Authentication failed", reply))
    if step.verb == "AUTH" and step.side.last_reply.startswith("451"):
        step.side.say(CLOSE)


@_quirk("refused-login-454", "go-smtp")
def _(step: Step) -> None:
    """A login that is refused permanently is refused with 454 4.7.0."""
    _rewrite_at(step, ("AUTH",), lambda reply: re.sub(r"(?s)^535.*", "454 4.7.0 Invalid credentials", reply))


@_quirk("odd-success-codes", "not known by name; the first digit is what counts (RFC 5321 §4.2.1)")
def _(step: Step) -> None:
    """Success is said with other codes that begin with 2: 251 to RCPT, 200 to MAIL and to the content."""
    codes = {"RCPT": "251", "MAIL": "200", "DATA": "200", "BDAT": "200"}
    _rewrite_at(step, tuple(codes), lambda reply: re.sub(r"^250", codes.get(step.verb, "250"), reply))


@_quirk("bare-codes", "allowed by RFC 5321 §4.2")
def _(step: Step) -> None:
    """Replies to the greeting and to all commands but EHLO and AUTH are a code without words."""
    _rewrite_at(step, _PLAIN, lambda reply: reply[:3])


@_quirk("many-lines", "Gmail, Orange")
def _(step: Step) -> None:
    """The greeting and each reply to a command but EHLO and AUTH have three lines."""
    _rewrite_at(step, _PLAIN, lambda reply: f"{reply[:3]}-{reply[4:]}\r\n{reply[:3]}-\r\n{reply}")


@_quirk("lone-lf", "not known by name")
def _(step: Step) -> None:
    """Replies end with LF alone."""
    step.side.line_end = b"\n"
    step.proceed()


def _rewrite_at(step: Step, verbs: Sequence[str], rewrite: Rewrite) -> None:
    if step.verb in verbs:
        step.proceed_and_rewrite(rewrite)
    else:
        step.proceed()


# The lines of EHLO, and the login.


@_quirk("odd-keywords", "Amazon SES, Yahoo, NetEase, SendGrid")
def _(step: Step) -> None:
    """EHLO has lines that are no keyword: ``AUTH=PLAIN``, ``8 BITMIME``, ``coremail`` with a token, ``Ok``."""
    more = "\r\n250-AUTH=PLAIN LOGIN\r\n250-8 BITMIME\r\n250-coremail 1Uxr2xKj7kG0xkI17xGrU7I0s8FY2U3Uj\r\n250 Ok"
    _rewrite_at(step, ("EHLO",), lambda reply: re.sub("^250 ", "250-", reply, flags=re.MULTILINE) + more)


@_quirk("masks-keywords", "Cisco firewalls that inspect SMTP")
def _(step: Step) -> None:
    """EHLO has X in place of each letter of PIPELINING, CHUNKING and STARTTLS."""
    hidden = re.compile("PIPELINING|CHUNKING|STARTTLS")
    _rewrite_at(step, ("EHLO",), lambda reply: hidden.sub(lambda found: "X" * len(found[0]), reply))


@_quirk("ehlo-forgets-login", "Proton Bridge")
def _(step: Step) -> None:
    """EHLO after AUTH makes the client a stranger again."""
    if step.verb == "EHLO":
        step.side.forget_login()
    step.proceed()


@_quirk("closes-at-auth-in-clear", "NetEase (126.com)")
def _(step: Step) -> None:
    """The connection is closed, without an answer, at AUTH before TLS, where TLS is offered."""
    step.instead(step.verb == "AUTH" and step.side.server.security == "tls" and not step.side.is_secure, CLOSE)
