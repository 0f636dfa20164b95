"""The server's side of one conversation (RFC 5321): reads commands in any grouping, answers in order."""

from __future__ import annotations

import base64
import re
import socket
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from wlsmtp.testing.authentication import Cancelled, Examiner, decode
from wlsmtp.testing.channel import FORGET, SILENCE, Channel, Ended, Scripted
from wlsmtp.testing.profiles import mechanisms_in
from wlsmtp.testing.quirks import play
from wlsmtp.testing.strict import Strictness

if TYPE_CHECKING:
    from wlsmtp.testing.server import SMTPServer

__all__ = ["Ended", "Scripted", "ServerSide"]

_PATH = re.compile(r"(?:FROM|TO):\s*<([^>]*)>\s*(.*)", re.IGNORECASE | re.DOTALL)
_TAKEN_AT_ITS_WORD = frozenset({"EHLO", "HELO", "MAIL", "RCPT"})
"""Verbs for which an ordered positive reply has its effect: the sender or the recipient is accepted."""
_BAD = "501 5.5.4 Syntax error in parameters"
_SEQUENCE = "503 5.5.1 Bad sequence of commands"
_DENIED = "535 5.7.8 Authentication credentials invalid"


class Envelope(NamedTuple):
    """The envelope so far."""

    sender: str | None
    parameters: dict[str, str | bool]
    recipients: dict[str, dict[str, str | bool]]


class ServerSide(Channel):
    """One client's conversation. Names without an underscore are for the quirks."""

    def __init__(self, server: SMTPServer, sock: socket.socket, number: int) -> None:
        super().__init__(server, sock, number)
        self.commands: Counter[str] = Counter()
        """Number of commands of each verb on the connection; counted for quirks only."""
        self.stored: int = 0
        """Number of messages of this connection that were stored."""
        self._strict = Strictness(self) if server.strict else None
        self._profile = server.profile
        self._tls: str | None = None
        self._greeted = False
        self._username: str | None = None
        self._forget_transaction()

    def run(self) -> None:
        """Talk until either side closes."""
        if self._server.security == "ssl":
            self._with_quirks("ACCEPT", "", self._start_tls)
        greeting = self._profile.greeting.format(host=self._server.hostname)
        self._with_quirks("CONNECT", "", lambda: self._answer("CONNECT", greeting))
        while True:
            self._command(self._line())

    @property
    def rank(self) -> int:
        """1 for the oldest open connection, 2 for the next, …"""
        return self.server.rank(self.number)

    @property
    def is_secure(self) -> bool:
        """True if the connection uses TLS."""
        return self._tls is not None

    def words(self, situation: str, usual: str) -> str:
        """Return the server's reply in a situation, according to its profile."""
        known = self._profile.situations.get(situation)
        return usual if known is None else known.reply

    def end_idle(self) -> None:
        """End a connection whose client was silent for too long."""
        if "idle" in self._profile.situations:
            self._say(self.words("idle", ""))
            self._flush()

    def _forget_transaction(self) -> None:
        self._sender: str | None = None
        self._mail_parameters: dict[str, str | bool] = {}
        self._recipients: dict[str, dict[str, str | bool]] = {}
        self._chunks = bytearray()

    @property
    def envelope(self) -> Envelope:
        """The envelope of the current message."""
        return Envelope(self._sender, self._mail_parameters, self._recipients)

    @envelope.setter
    def envelope(self, envelope: Envelope) -> None:
        self._forget_transaction()
        self._sender, self._mail_parameters, self._recipients = envelope

    def forget_envelope(self) -> None:
        """Reset the envelope, as RSET does."""
        self._forget_transaction()

    def read_content(self) -> bytes:
        """Return the content up to the final dot."""
        return self._content()

    def skip_chunk(self, verb: str, rest: str) -> None:
        """Read and discard the octets of a BDAT."""
        self._skip_chunk(verb, rest)

    def forget_login(self) -> None:
        """Forget the login of the client."""
        self._username = None

    def _refusal_of_line(self, line: bytes, *, is_command: bool) -> str | None:
        return None if self._strict is None else self._strict.line(line, is_command=is_command)

    def _command(self, line: bytes) -> None:
        text = line.decode("utf-8", "surrogateescape")
        verb, _, rest = text.partition(" ")
        if self._strict is not None and (refusal := self._strict.command(verb, rest)) is not None:
            self._skip_chunk(verb, rest)
            self._say(refusal)
        elif self._server.played:
            self._with_quirks(verb, rest, lambda: self._carry_out(verb, rest))
        else:
            self._carry_out(verb, rest)

    def _with_quirks(self, verb: str, rest: str, carry_out: Callable[[], None]) -> None:
        """Execute the client's command with the server's quirks."""
        self.commands[verb.upper()] += 1
        play(self._server.played, self, verb.upper(), rest, carry_out)

    def _carry_out(self, verb: str, rest: str) -> None:
        handler = getattr(self, f"_do_{verb.lower()}", None) if verb.isalpha() else None
        if handler is None:
            self._say("500 5.5.2 Command not recognised")
            return
        is_in_group = bool(self._received) and verb.upper() != "BDAT"  # what follows BDAT is its content
        in_group = self._server.scripted_reply("GROUP") if is_in_group else None
        scripted = self._ordered(verb.upper()) if in_group is None else in_group
        if scripted is not None and not (_is_positive(scripted) and verb.upper() in _TAKEN_AT_ITS_WORD):
            self._skip_chunk(verb, rest)
            self._say(scripted)
            return
        self._instead = scripted
        handler(rest)

    def _answer(self, stage: str, reply: str) -> None:
        """Send ``reply``, unless another one was ordered for this stage."""
        scripted = self._ordered(stage)
        self._say(reply if scripted is None else scripted)

    def _ordered(self, stage: str) -> Scripted | None:
        """Return the reply ordered for this stage, instead of executing the command."""
        return self._server.scripted_reply(stage)

    def _do_ehlo(self, name: str) -> None:
        if not self._server.ehlo:
            self._say("500 5.5.1 EHLO is not known here")
            return
        self._greet()
        first_line = self._profile.hello.format(host=self._server.hostname, client=name)
        offers = [first_line, *self._offers()]
        if self._strict is not None:
            self._strict.offer(offers[1:])
        *first, last = offers
        self._say("\r\n".join([*(f"250-{offer}" for offer in first), f"250 {last}"]))

    def _do_helo(self, name: str) -> None:
        self._greet()
        if self._strict is not None:
            self._strict.offer([])
        self._say(f"250 {self._server.hostname}")

    def _greet(self) -> None:
        self._greeted = True
        self._forget_transaction()

    def _offers(self) -> list[str]:
        server = self._server
        if server.has_keywords_of_profile:
            return self._profile.keywords(secured=self.is_secure, offers_tls=server.security == "tls")
        offers = list(server.extensions)
        if server.size_limit is not None:
            offers.append(f"SIZE {server.size_limit}")
        if server.security == "tls" and self._tls is None:
            offers.append("STARTTLS")
        if mechanisms := Examiner(server, self.sock, self._challenge).offers:
            offers.append("AUTH " + " ".join(mechanisms))
        return offers

    def _do_starttls(self, _rest: str) -> None:
        if self._server.security != "tls" or self._tls is not None:
            self._say("502 5.5.1 STARTTLS is not offered")
            return
        # Plain text received after STARTTLS must not be trusted (RFC 3207 §4.2).
        self._received.clear()
        self._say("220 2.0.0 Ready to start TLS")
        self._flush()
        self._start_tls()
        self._greeted, self._username = False, None
        if self._strict is not None:
            self._strict.offer([])
        self._forget_transaction()

    def _start_tls(self) -> None:
        if (scripted := self._server.scripted_reply("HANDSHAKE")) is not None:
            self._peek(1)
            self._say([FORGET, *([scripted] if isinstance(scripted, str | bytes) else scripted), SILENCE])
        assert self._server.tls_context is not None
        old = self.sock
        self.sock = secured = self._server.tls_context.wrap_socket(
            old, server_side=True, do_handshake_on_connect=False, suppress_ragged_eofs=True
        )
        self._server.replace_socket(old, secured)
        secured.do_handshake()
        self._tls = secured.version()

    def _do_auth(self, rest: str) -> None:
        mechanism, _, initial = rest.partition(" ")
        examiner = Examiner(self._server, self.sock, self._challenge)
        mechanism = mechanism.upper()
        offered = examiner.offers
        if self._server.has_keywords_of_profile:
            offered = [name for name in mechanisms_in(self._offers()) if name in examiner.known]
        if mechanism not in offered:
            self._say(self.words("mechanism not offered", "504 5.5.4 Mechanism not offered"))
        elif self._username is not None:
            self._say(_SEQUENCE)
        else:
            with suppress(Cancelled):
                self._conclude_login(examiner.examine(mechanism, initial))

    def _conclude_login(self, name: str | None) -> None:
        reply = self._server.scripted_reply("LOGIN")
        if reply is None and name is None:
            wrong = self._profile.situations.get("wrong password")
            reply = _DENIED if wrong is None else wrong.said
        self._username = name if reply is None or _is_positive(reply) else None
        self._say(self._profile.authenticated if reply is None else reply)

    def _challenge(self, words: bytes) -> bytes:
        prompt = self._profile.prompts.get(words.decode("utf-8", "replace"))
        self._say(f"334 {base64.b64encode(words).decode() if prompt is None else prompt}")
        line = self._line(is_command=False)
        if line == b"*":
            self._say("501 5.7.0 Authentication cancelled")
            raise Cancelled
        return decode(line.decode("ascii", "replace"))

    def _needs_login(self, stage: str) -> bool:
        """Return whether the client is refused at this stage because it has not logged in."""
        known = self._profile.situations.get("mail without login")
        refused_at = "MAIL" if known is None else known.stage
        return self._server.require_auth and self._username is None and stage == refused_at

    def _do_mail(self, rest: str) -> None:
        found = _PATH.fullmatch(rest)
        parameters = _parameters(found[2]) if found else {}
        size, limit = str(parameters.get("SIZE", "0")), self._server.size_limit
        if not self._greeted or self._sender is not None:
            self._say(_SEQUENCE)
        elif self._needs_login("MAIL"):
            self._say(self.words("mail without login", "530 5.7.0 Authentication required"))
        elif found is None or not size.isdigit():
            self._say(_BAD)
        elif limit is not None and int(size) > limit:
            self._say(self.words("message too large", "552 5.3.4 Message too big"))
        else:
            self._sender, self._mail_parameters = found[1], parameters
            self._say("250 2.1.0 Sender ok")

    def _do_rcpt(self, rest: str) -> None:
        found = _PATH.fullmatch(rest)
        if self._sender is None:
            self._say(_SEQUENCE)
        elif self._needs_login("RCPT"):
            self._say(self.words("mail without login", ""))
        elif found is None or not found[1]:
            self._say(_BAD)
        else:
            reply = self._server.scripted_reply(f"RCPT <{found[1]}>".upper()) or "250 2.1.5 Recipient ok"
            if _is_positive(reply):
                self._recipients[found[1]] = _parameters(found[2])
            self._say(reply)

    def _do_data(self, _rest: str) -> None:
        if self._sender is None or self._chunks:
            self._say(_SEQUENCE)
            return
        if not self._recipients:
            self._say("554 5.5.1 No valid recipients")
            return
        self._say("354 Go ahead, end with a dot on its own line")
        self._interrupt_content()
        self._finish(self._content(), "DATA")

    def _interrupt_content(self) -> None:
        """Once some of the content has arrived, do what was ordered for the middle of it."""
        if (scripted := self._server.scripted_reply("CONTENT")) is not None:
            self._peek(1)
            self._say(scripted)

    def _content(self) -> bytes:
        if self._peek(3) == b".\r\n":
            del self._received[:3]
            return b""
        start = 0
        while (end := self._received.find(b"\r\n.\r\n", start)) < 0:
            start = max(0, len(self._received) - 4)
            self._fill()
        content = bytes(self._received[: end + 2])
        del self._received[: end + 5]
        unstuffed = content.replace(b"\r\n..", b"\r\n.")
        return unstuffed[1:] if unstuffed.startswith(b"..") else unstuffed

    def _do_bdat(self, rest: str) -> None:
        size, _, last = rest.partition(" ")
        if not size.isdigit() or last.upper() not in ("", "LAST"):
            self._say(_BAD)
            return
        self._interrupt_content()
        chunk = self._take(int(size))
        if self._sender is None or not self._recipients:
            self._say(_SEQUENCE)
            return
        self._chunks += chunk
        if last:
            self._finish(bytes(self._chunks), "BDAT")
        else:
            self._say(f"250 2.0.0 {len(chunk)} octets received")

    def _skip_chunk(self, verb: str, rest: str) -> None:
        """Discard the octets of a refused BDAT, which also fails its transaction (RFC 3030 §2)."""
        size = rest.partition(" ")[0]
        if verb.upper() == "BDAT" and size.isdigit():
            self._take(int(size))
            self._forget_transaction()

    def _finish(self, content: bytes, via: str) -> None:
        from wlsmtp.testing.server import ReceivedMessage

        limit = self._server.size_limit
        scripted = self._ordered(".")
        if scripted is None and limit is not None and len(content) > limit:
            scripted = self.words("message too large", "552 5.3.4 Message too big")
        if self._strict is not None:
            scripted = self._strict.content(content, is_chunked=via == "BDAT") or scripted
        if scripted is None or _is_positive(scripted):
            envelope = self.envelope
            message = ReceivedMessage(
                envelope.sender or "", tuple(envelope.recipients), content, envelope.parameters, envelope.recipients,
                self._username, self._tls, "BDAT" if via == "BDAT" else "DATA",
            )  # fmt: skip
            number = self._server.store(message)
            self.stored += 1
            scripted = scripted or self._server.scripted_reply("STORED") or self._profile.queued_as(number, content)
        self._forget_transaction()
        self._say(scripted)

    def _do_rset(self, _rest: str) -> None:
        self._forget_transaction()
        self._say("250 2.0.0 Ok")

    def _do_noop(self, _rest: str) -> None:
        self._say("250 2.0.0 Ok")

    def _do_vrfy(self, _rest: str) -> None:
        self._say("252 2.5.0 Cannot verify, try to send")

    def _do_quit(self, _rest: str) -> None:
        self._say("221 2.0.0 Bye")
        self._flush()
        raise Ended


def _is_positive(reply: Scripted) -> bool:
    first = reply if isinstance(reply, str | bytes) else next(iter(reply))
    return isinstance(first, str) and first.startswith("2")


def _parameters(text: str) -> dict[str, str | bool]:
    pairs = (word.partition("=") for word in text.split())
    return {name.upper(): value if equals else True for name, equals, value in pairs}
