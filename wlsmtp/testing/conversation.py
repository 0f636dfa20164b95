"""The server's side of one conversation (RFC 5321): reads commands in any grouping, answers in order."""

from __future__ import annotations

import base64
import re
import socket
from collections.abc import Iterable
from contextlib import suppress
from typing import TYPE_CHECKING

from wlsmtp.testing.authentication import Cancelled, Examiner, decode

if TYPE_CHECKING:
    from wlsmtp.testing.server import SMTPServer

CLOSE, RESET, SILENCE = "<close>", "<reset>", "<silence>"
"""Instead of a reply: close the connection, close it with RST, or say nothing until the client goes."""
HEAR, FORGET = "<hear>", "<forget>"
"""Between replies: wait for a line of the client's; forget what the client sent and was not looked at yet."""
DEAF = "<deaf>"
"""Instead of a reply: do not even read any more, so that the client's content has nowhere to go."""

Scripted = str | bytes | Iterable[str | bytes]
"""What is said instead of the usual reply: its text, octets exactly as they are, or several of these in a row."""

MAX_LINE = 65536
_PATH = re.compile(r"(?:FROM|TO):\s*<([^>]*)>\s*(.*)", re.IGNORECASE | re.DOTALL)
_TAKEN_AT_ITS_WORD = frozenset({"EHLO", "HELO", "MAIL", "RCPT"})
"""Verbs to which a positive reply that was ordered does what it says: the sender or the recipient counts."""
_BAD = "501 5.5.4 Syntax error in parameters"
_SEQUENCE = "503 5.5.1 Bad sequence of commands"
_DENIED = "535 5.7.8 Authentication credentials invalid"


class Ended(Exception):
    """The conversation is over."""

    def __init__(self, *, by_reset: bool = False) -> None:
        self.by_reset = by_reset


class ServerSide:
    """One client's conversation."""

    def __init__(self, server: SMTPServer, sock: socket.socket, number: int) -> None:
        self.sock = sock
        self._server = server
        self._number = number
        self._received = bytearray()
        self._unsent = bytearray()
        self._tls: str | None = None
        self._greeted = False
        self._username: str | None = None
        self._instead: Scripted | None = None
        """What was ordered to be said by a handler, in place of its own words."""
        self._forget_transaction()

    def run(self) -> None:
        """Talk until somebody hangs up."""
        if self._server.security == "ssl":
            self._start_tls()
        self._answer("CONNECT", f"220 {self._server.hostname} ESMTP")
        while True:
            self._command(self._line())

    def _forget_transaction(self) -> None:
        self._sender: str | None = None
        self._mail_parameters: dict[str, str | bool] = {}
        self._recipients: dict[str, dict[str, str | bool]] = {}
        self._chunks = bytearray()

    def _command(self, line: bytes) -> None:
        text = line.decode("utf-8", "surrogateescape")
        verb, _, rest = text.partition(" ")
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
        """``reply``, unless another one was ordered for this stage."""
        scripted = self._ordered(stage)
        self._say(reply if scripted is None else scripted)

    def _ordered(self, stage: str) -> Scripted | None:
        """What was ordered to be said at this stage, instead of doing what the client asks for."""
        return self._server.scripted_reply(stage)

    def _do_ehlo(self, name: str) -> None:
        if not self._server.ehlo:
            self._say("500 5.5.1 EHLO is not known here")
            return
        self._greet()
        offers = [self._server.hostname, *self._offers()]
        *first, last = offers
        self._say("\r\n".join([*(f"250-{offer}" for offer in first), f"250 {last}"]))

    def _do_helo(self, name: str) -> None:
        self._greet()
        self._say(f"250 {self._server.hostname}")

    def _greet(self) -> None:
        self._greeted = True
        self._forget_transaction()

    def _offers(self) -> list[str]:
        server = self._server
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
        # What came in the clear behind STARTTLS is not to be trusted (RFC 3207 §4.2).
        self._received.clear()
        self._say("220 2.0.0 Ready to start TLS")
        self._flush()
        self._start_tls()
        self._greeted, self._username = False, None
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
        if mechanism not in examiner.offers:
            self._say("504 5.5.4 Mechanism not offered")
        elif self._username is not None:
            self._say(_SEQUENCE)
        else:
            with suppress(Cancelled):
                self._username = examiner.examine(mechanism, initial)
                self._say("235 2.7.0 Authentication successful" if self._username else _DENIED)

    def _challenge(self, words: bytes) -> bytes:
        self._say(f"334 {base64.b64encode(words).decode()}")
        line = self._line()
        if line == b"*":
            self._say("501 5.7.0 Authentication cancelled")
            raise Cancelled
        return decode(line.decode("ascii", "replace"))

    def _do_mail(self, rest: str) -> None:
        found = _PATH.fullmatch(rest)
        parameters = _parameters(found[2]) if found else {}
        size, limit = str(parameters.get("SIZE", "0")), self._server.size_limit
        if not self._greeted or self._sender is not None:
            self._say(_SEQUENCE)
        elif self._server.require_auth and self._username is None:
            self._say("530 5.7.0 Authentication required")
        elif found is None or not size.isdigit():
            self._say(_BAD)
        elif limit is not None and int(size) > limit:
            self._say("552 5.3.4 Message too big")
        else:
            self._sender, self._mail_parameters = found[1], parameters
            self._say("250 2.1.0 Sender ok")

    def _do_rcpt(self, rest: str) -> None:
        found = _PATH.fullmatch(rest)
        if self._sender is None:
            self._say(_SEQUENCE)
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
        """Once some of the content is there, do what was ordered for the middle of it."""
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
        """A refused BDAT still brings its octets, and fails its transaction (RFC 3030 §2)."""
        size = rest.partition(" ")[0]
        if verb.upper() == "BDAT" and size.isdigit():
            self._take(int(size))
            self._forget_transaction()

    def _finish(self, content: bytes, via: str) -> None:
        from wlsmtp.testing.server import ReceivedMessage

        limit = self._server.size_limit
        scripted = self._ordered(".")
        if scripted is None and limit is not None and len(content) > limit:
            scripted = "552 5.3.4 Message too big"
        if scripted is None or _is_positive(scripted):
            message = ReceivedMessage(
                self._sender or "", tuple(self._recipients), content, self._mail_parameters, self._recipients,
                self._username, self._tls, "BDAT" if via == "BDAT" else "DATA",
            )  # fmt: skip
            number = self._server.store(message)
            scripted = scripted or self._server.scripted_reply("STORED") or f"250 2.0.0 Ok: queued as {number:010X}"
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

    def _say(self, reply: Scripted) -> None:
        reply, self._instead = reply if self._instead is None else self._instead, None
        if isinstance(reply, str | bytes):
            self._say_one(reply)
            return
        for part in reply:
            self._say_one(part)
            self._flush()

    def _say_one(self, reply: str | bytes) -> None:
        match reply:
            case "<close>" | "<reset>":
                self._flush()
                raise Ended(by_reset=reply == RESET)
            case "<silence>":
                while True:
                    self._fill()
            case "<deaf>":
                self._server.closed.wait()
                raise Ended
            case "<hear>":
                if self._line() == b".":  # the end of a content that never was, which ends the transaction too
                    self._forget_transaction()
            case "<forget>":
                self._received.clear()
            case bytes():
                self._unsent += reply
            case _:
                lines = reply.encode("utf-8", "surrogateescape").split(b"\r\n")
                self._server.transcript += [(self._number, "S", line) for line in lines]
                self._unsent += b"\r\n".join(lines) + b"\r\n"

    def _flush(self) -> None:
        size = self._server.cut or len(self._unsent)
        while self._unsent:
            self.sock.sendall(self._unsent[:size])
            del self._unsent[:size]

    def _fill(self) -> None:
        """Read more; what was answered goes out first, so that a group gets its replies together."""
        self._flush()
        self._server.closed.wait(self._server.pace)
        data = self.sock.recv(65536)
        if not data:
            raise Ended
        self._received += data

    def _peek(self, size: int) -> bytes:
        while len(self._received) < size:
            self._fill()
        return bytes(self._received[:size])

    def _take(self, size: int) -> bytes:
        data = self._peek(size)
        del self._received[:size]
        return data

    def _line(self) -> bytes:
        while (end := self._received.find(b"\n")) < 0:
            if len(self._received) > MAX_LINE:
                raise Ended
            self._fill()
        line = bytes(self._received[:end]).removesuffix(b"\r")
        del self._received[: end + 1]
        self._server.transcript.append((self._number, "C", line))
        return line


def _is_positive(reply: Scripted) -> bool:
    first = reply if isinstance(reply, str | bytes) else next(iter(reply))
    return isinstance(first, str) and first.startswith("2")


def _parameters(text: str) -> dict[str, str | bool]:
    pairs = (word.partition("=") for word in text.split())
    return {name.upper(): value if equals else True for name, equals, value in pairs}
