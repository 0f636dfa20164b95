"""The errors themselves: which builtin each is, that each can be copied and kept, and that its length is bounded."""

from __future__ import annotations

import copy
import inspect
import pickle
import re
from pathlib import Path
from typing import Any

import pytest

import wlsmtp
from tests.worlds import World
from wlsmtp import Message, RetryPolicy, Stage, errors
from wlsmtp.results.reply import Reply
from wlsmtp.testing import SMTPServer

CLASSES = [kind for kind in vars(errors).values() if inspect.isclass(kind) and issubclass(kind, errors.SMTPError)]
LEAVES = [kind for kind in CLASSES if kind is not errors.SMTPError]
BUILTINS: dict[type[errors.SMTPError], tuple[type[Exception], ...]] = {
    errors.ConfigError: (ValueError,),
    errors.MessageError: (ValueError,),
    errors.ConnectionFailed: (ConnectionError,),
    errors.DeadlineExceeded: (TimeoutError,),
    errors.AuthenticationFailed: (PermissionError,),
    errors.OutboxError: (OSError, RuntimeError),
    errors.NotInOutbox: (LookupError,),
}
"""Where it is more than an ``OSError``."""


def by_name(kind: type[Any]) -> str:
    return kind.__name__


@pytest.mark.parametrize("kind", LEAVES, ids=by_name)
def test_each_error_is_an_oserror_unless_it_is_a_valueerror(kind: type[errors.SMTPError]) -> None:
    assert issubclass(kind, OSError) is not issubclass(kind, ValueError)
    assert all(issubclass(kind, builtin) for builtin in BUILTINS.get(kind, (OSError,)))
    with pytest.raises(ValueError if issubclass(kind, ValueError) else OSError) as caught:
        raise kind("It did not work", stage=Stage.DATA)
    assert caught.type is kind


@pytest.mark.parametrize("kind", CLASSES, ids=by_name)
def test_an_error_is_kept_and_copied_whole(kind: type[errors.SMTPError]) -> None:
    error = kind("It did not work", stage=Stage.DATA, reply=Reply(451, ("4.3.0 later",)), hint="Try again")
    for other in (pickle.loads(pickle.dumps(error)), copy.copy(error), copy.deepcopy(error)):
        assert type(other) is kind and vars(other) == vars(error) and other.args == ("It did not work",)
        assert str(other) == "It did not work. The server said: 451 4.3.0 later. Try again."
        assert (other.temporary, other.ambiguous) == (error.temporary, error.ambiguous)


@pytest.mark.parametrize("kind", [kind for kind in LEAVES if issubclass(kind, OSError)], ids=by_name)
def test_what_oserror_has_of_its_own_does_not_show(kind: type[errors.SMTPError]) -> None:
    error = kind("It did not work")
    assert isinstance(error, OSError) and error.errno is None and error.strerror is None and error.filename is None
    assert str(error) == "It did not work." and repr(error) == f"{kind.__name__}('It did not work')"


def test_a_builtin_that_is_named_in_the_docs_is_caught(world: World) -> None:
    with SMTPServer() as server, world.session(server.host, server.port, retry=RetryPolicy(attempts=1)) as session:
        server.reply_to("RCPT", "550 5.1.1 no such user")
        with pytest.raises(OSError, match="no such user"):
            session.send(Message(sender="ann@example.com", to="bob@example.org", text="x"))


def test_an_error_is_of_bounded_length() -> None:
    reply = Reply(550, tuple("no " * 1300 for _ in range(26)))
    error = wlsmtp.ContentRefused("x" * 100_000, stage=Stage.CONTENT, reply=reply, hint="y" * 100_000)
    assert len(str(error)) < 6000 and len(repr(error)) < 3000
    assert str(error).startswith("xxx") and "The server said: 550 no no" in str(error) and "characters…]" in str(error)
    assert len(reply.text) > 100_000, "the reply itself has all of it"
    short = wlsmtp.ContentRefused("Refused", reply=Reply(550, ("a" * 900,)))
    assert str(short) == f"Refused. The server said: 550 {'a' * 900}."


def test_a_reply_of_a_hundred_thousand_octets_makes_no_such_error(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    said = "\r\n".join([*(f"550-{'no mail from here ' * 200}" for _ in range(30)), "550 no"])
    with SMTPServer() as server, world.session(server.host, server.port, retry=RetryPolicy(attempts=1)) as session:
        server.reply_to("RCPT", said)
        with pytest.raises(wlsmtp.RecipientsRefused) as caught:
            session.send(Message(sender="ann@example.com", to="bob@example.org", text="x"))
    assert len(said) > 100_000 and caught.value.receipt is not None
    assert len(str(caught.value)) < 5000 and len(str(caught.value.receipt)) < 5000
    assert all(len(record.getMessage()) < 5000 for record in caplog.records)


@pytest.mark.parametrize("kind", [*LEAVES, wlsmtp.OutboxNotEmpty], ids=by_name)
def test_an_error_names_its_place_in_the_documentation(
    kind: type[errors.SMTPError], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Own(kind):  # type: ignore[misc, valid-type]
        """Of a program."""

    page = (Path(__file__).parent.parent / "docs" / "reference" / "errors.md").read_text(encoding="utf-8")
    anchors = {title.lower() for title in re.findall(r"^## (.*)$", page, re.MULTILINE)}
    error = Own("It did not work")
    path, _, anchor = error.page.partition("#")
    assert path == "reference/errors.html" and anchor == kind.__name__.lower() and anchor in anchors
    assert str(error) == "It did not work."
    monkeypatch.setattr(errors.SMTPError, "documentation", "https://docs.example.com/wlsmtp/")
    assert str(error) == f"It did not work. See https://docs.example.com/wlsmtp/reference/errors.html#{anchor}."
