"""A server that repeats what it was shown at the login, at once or later: the secret comes into no error, no event, no
log and no receipt."""

from __future__ import annotations

import base64
import logging
import pickle
import socket
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any
from urllib.parse import quote

import pytest

import wlsmtp
from tests.worlds import World
from wlsmtp import Message, RetryPolicy
from wlsmtp.events import Event

SECRET = "Hunter2+S3CR3T/pw"
MECHANISMS = ("PLAIN", "LOGIN", "CRAM-MD5", "XOAUTH2", "OAUTHBEARER")
MAIL = Message(sender="ann@example.com", to="bob@example.org", text="x")


def responses() -> list[str]:
    """What is sent for the secret, and what it stands for."""
    plain = [f"\0ann\0{SECRET}", SECRET, f"user=ann\1auth=Bearer {SECRET}\1\1", f"auth=Bearer {SECRET}\1\1"]
    return [SECRET, quote(SECRET, safe=""), *(base64.b64encode(text.encode()).decode() for text in plain)]


def leaks(text: str) -> list[str]:
    """The parts of the secret, of eight characters, that a text holds in any form."""
    shown = text.lower()
    parts = {form[start : start + 8].lower() for form in responses() for start in range(len(form) - 7)}
    return sorted(part for part in parts if part in shown)


class Parrot:
    """Each of its replies repeats the lines that came at the last login, as ``notation`` has them."""

    def __init__(self, notation: Callable[[str], str], refuses: str) -> None:
        self._notation = notation
        self._refuses = refuses
        self._heard = ""
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]

    def serve(self) -> None:
        while True:
            try:
                connection = self._listener.accept()[0]
            except OSError:
                return
            # The next one may be opened before the one before is closed.
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, suppress(OSError), connection.makefile("rwb") as file:
            self._converse(file)

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _converse(self, file: Any) -> None:
        def say(code: str, verb: str, last: str = "") -> None:
            code = "550" if verb == self._refuses else code
            words = self._notation(self._heard)
            file.write(f"{code}-{words}\r\n{code} {last or words}\r\n".encode())
            file.flush()

        def hear() -> str:
            return str(file.readline().decode().strip())

        say("220", "greeting")
        while line := hear():
            match line.split()[0]:
                case "EHLO":
                    say("250", "EHLO", "AUTH " + " ".join(MECHANISMS))
                case "AUTH":
                    self._heard = line
                    for challenge in ("VXNlcm5hbWU6", "UGFzc3dvcmQ6")[: 2 * line.startswith("AUTH LOGIN")]:
                        file.write(f"334 {challenge}\r\n".encode())
                        file.flush()
                        self._heard += " " + hear()
                    if line == "AUTH CRAM-MD5":
                        file.write(b"334 PDFAYT4=\r\n")
                        file.flush()
                        self._heard += " " + hear()
                    say("235", "AUTH")
                case "DATA":
                    say("354", "DATA")
                    while hear() != ".":
                        pass
                    say("250", ".")
                case verb:
                    say("250", verb)


@contextmanager
def serving(server: Parrot) -> Iterator[Parrot]:
    thread = threading.Thread(target=server.serve)
    thread.start()
    yield server
    server.close()
    thread.join(10)


def everything_said(world: World, server: Parrot, caplog: pytest.LogCaptureFixture, **login: Any) -> list[str]:
    """All that a session says of two messages, each over a connection of its own."""
    caplog.set_level(logging.DEBUG, logger="wlsmtp")
    events: list[Event] = []
    said: list[str] = []
    options: dict[str, Any] = {"retry": RetryPolicy(attempts=1), "listeners": (events.append,), **login}
    options["pool"] = wlsmtp.PoolLimits(max_messages=1)
    with world.session("127.0.0.1", server.port, username="ann", **options) as session:
        for _ in range(2):
            try:
                receipt = session.send(MAIL)
            except wlsmtp.SMTPError as error:
                said += [str(error), repr(error), repr(error.args), repr(error.reply), repr(vars(error))]
                said += traceback.format_exception(error)
                assert error.receipt is not None
                receipt = error.receipt
            said += [str(receipt), repr(receipt), repr(receipt.recipients), repr(receipt.reply)]
            said += [repr(pickle.dumps(receipt.reply)), repr(receipt.queue_id)]
        said.append(repr(session.capabilities))
    return [*said, caplog.text, *map(repr, events)]


def decoded(heard: str) -> str:
    """What a server made of the line."""
    words = [base64.b64decode(word).decode() for word in heard.split()[2:] if len(word) % 4 == 0]
    return " ".join(words).replace("\0", ":").replace("\1", ",")


NOTATIONS: dict[str, Callable[[str], str]] = {
    "as it came": lambda heard: f"cannot accept '{heard}'",
    "in upper case": str.upper,
    "cut off": lambda heard: heard[:-7],
    "read": decoded,
    "read and percent-encoded": lambda heard: quote(decoded(heard), safe=""),
}


@pytest.mark.parametrize("notation", NOTATIONS.values(), ids=NOTATIONS)
@pytest.mark.parametrize("refuses", ["AUTH", "nothing", "MAIL", "."])
def test_what_the_server_repeats_is_masked(
    world: World, refuses: str, notation: Callable[[str], str], caplog: pytest.LogCaptureFixture
) -> None:
    with serving(Parrot(notation, refuses)) as server:
        said = everything_said(world, server, caplog, password=SECRET, mechanisms=["PLAIN"])
    assert "********" in "".join(said) and [leak for text in said for leak in leaks(text)] == []


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_so_is_the_response_of_each_mechanism(world: World, mechanism: str, caplog: pytest.LogCaptureFixture) -> None:
    login = {"token": SECRET} if "OAUTH" in mechanism or "BEARER" in mechanism else {"password": SECRET}
    with serving(Parrot(NOTATIONS["as it came"], "AUTH")) as server:
        said = everything_said(world, server, caplog, mechanisms=[mechanism], **login)
    assert "********" in "".join(said) and [leak for text in said for leak in leaks(text)] == []


@pytest.mark.parametrize("repeated", ["{}", "550 {}", "AUTH PLAIN {}"])
def test_so_is_a_line_that_is_no_reply(world: World, repeated: str, caplog: pytest.LogCaptureFixture) -> None:
    class Echo(Parrot):
        def _converse(self, file: Any) -> None:
            file.write(b"220 x\r\n")
            file.flush()
            for line in file:
                is_login = line.startswith(b"AUTH")
                echoed = repeated.format(line.split()[-1].decode()).encode()
                file.write(echoed + b"\r\n" if is_login else b"250-x\r\n250 AUTH PLAIN\r\n")
                file.flush()

    with serving(Echo(str, "")) as server:
        said = everything_said(world, server, caplog, password=SECRET)
    assert "********" in "".join(said) and [leak for text in said for leak in leaks(text)] == []


def test_the_challenge_of_a_refused_token_is_masked(world: World, caplog: pytest.LogCaptureFixture) -> None:
    class Problem(Parrot):
        def _converse(self, file: Any) -> None:
            file.write(b"220 x\r\n")
            file.flush()
            for line in file:
                if line.startswith(b"AUTH"):
                    problem = f'{{"status": "400", "said": "no {SECRET}"}}'
                    said = b"334 " + base64.b64encode(problem.encode())
                else:
                    said = b"250-x\r\n250 AUTH XOAUTH2" if line.startswith(b"EHLO") else b"535 5.7.8 no"
                file.write(said + b"\r\n")
                file.flush()

    with serving(Problem(str, "")) as server:
        said = everything_said(world, server, caplog, token=SECRET)
    assert "status: 400" in "".join(said) and "********" in "".join(said)
    assert [leak for text in said for leak in leaks(text)] == []
