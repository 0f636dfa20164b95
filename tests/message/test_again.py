"""A stdlib message that is sent again is not written again, and whatever has changed in it since is noticed."""

from __future__ import annotations

import copy
import gc
from collections.abc import Callable
from email import policy
from email.header import Header
from email.headerregistry import HeaderRegistry, UnstructuredHeader
from email.message import EmailMessage
from email.mime.text import MIMEText
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.message.test_stdlib import AnyEmail, old_style, text, with_everything
from wlsmtp.errors import MessageError
from wlsmtp.message import again
from wlsmtp.message.render import content_of, envelope_of


def sent(message: AnyEmail) -> tuple[bytes, str, tuple[str, ...]]:
    """What is sent, and from whom to whom; or why not."""
    try:
        envelope = envelope_of(message)
        return b"".join(content_of(message).chunks()), str(envelope.sender), envelope.addresses
    except MessageError as error:
        return b"", str(error), ()


def anew(message: AnyEmail) -> tuple[bytes, str, tuple[str, ...]]:
    """The same for a message that was never sent before."""
    return sent(copy.deepcopy(message))


def bounded(message: AnyEmail) -> AnyEmail:
    """The message with boundaries of its own, where the standard library would make them at random."""
    for number, part in enumerate(message.walk()):
        if part.is_multipart():
            part.set_boundary(f"=={number}==")
    return message


def leaf(message: AnyEmail) -> Any:
    return next(part for part in message.walk() if not part.is_multipart())


def _payload(message: AnyEmail, payload: object) -> None:
    message._payload = payload  # type: ignore[attr-defined]


def _remove_last(message: Any) -> None:
    if message.is_multipart() and len(message.get_payload()) > 1:
        del message.get_payload()[-1]


CHANGES: dict[str, Callable[[Any], object]] = {
    "a field is added": lambda message: message.__setitem__("X-New", "1"),
    "a field is deleted": lambda message: message.__delitem__("Message-ID"),
    "a field is replaced": lambda message: message.replace_header("Subject", "Other"),
    "recipients are replaced": lambda message: message.replace_header("To", "eve@example.net"),
    "the sender is replaced": lambda message: message.replace_header("From", "eve@example.com"),
    "fields change their order": lambda message: message._headers.reverse(),
    "a field is swapped": lambda message: message._headers.__setitem__(1, ("To", "eve@example.net")),
    "a text is replaced": lambda message: leaf(message).set_payload("Other\n"),
    "the charset is set": lambda message: leaf(message).set_param("charset", "us-ascii"),
    "a field of a part": lambda message: leaf(message).__setitem__("Content-Description", "x"),
    "a parameter of a part": lambda message: leaf(message).set_param("name", "x.txt"),
    "the last part goes": _remove_last,
    "a part is attached": lambda message: message.is_multipart() and message.attach(MIMEText("more", "html", "ascii")),
    "parts change their order": lambda message: message.is_multipart() and message.get_payload().reverse(),
    "the boundary": lambda message: message.is_multipart() and message.set_boundary("other"),
    "a preamble": lambda message: setattr(message, "preamble", "In parts.\n"),
    "an epilogue": lambda message: setattr(message, "epilogue", "The end.\n"),
    "the policy": lambda message: setattr(message, "policy", policy.SMTP),
    "its type": lambda message: message.set_type("multipart/related" if message.is_multipart() else "text/html"),
    "nothing": lambda message: None,
}
SHAPES: dict[str, Callable[[], AnyEmail]] = {
    "text": text,
    "everything": lambda: bounded(with_everything()),
    "old": lambda: bounded(old_style()),
}


@pytest.mark.parametrize("shape", ["text", "everything"])
def test_a_message_sent_again_is_not_written_again(shape: str) -> None:
    message = SHAPES[shape]()
    first = sent(message)
    assert first[0] and sent(message) == first
    assert content_of(message) is content_of(message)
    assert envelope_of(message) is envelope_of(message)
    assert envelope_of(message, recipients="eve@example.net").addresses == ("eve@example.net",)
    assert envelope_of(message, sender="eve@example.net").addresses == first[2]
    assert sent(message) == first == anew(message)


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("shape", SHAPES)
def test_each_change_is_noticed(shape: str, change: str) -> None:
    message = SHAPES[shape]()
    assert sent(message) == sent(message)
    CHANGES[change](message)
    assert sent(message) == anew(message)


@settings(max_examples=12)
@given(st.sampled_from(sorted(SHAPES)), st.lists(st.sampled_from(sorted(CHANGES)), max_size=6))
def test_any_changes_one_after_another_are_noticed(shape: str, changes: list[str]) -> None:
    message: Any = SHAPES[shape]()
    for change in changes:
        try:
            CHANGES[change](message)
        except KeyError:  # it was deleted before
            continue
        for _ in range(3):
            assert sent(message) == anew(message)


def test_a_value_that_can_change_within_is_read_each_time() -> None:
    message = old_style()
    del message["Subject"]
    message["Subject"] = subject = Header("One", "utf-8")
    before = [sent(message) for _ in range(3)][-1]
    subject.append("Two", "utf-8")
    assert sent(message) != before

    message = text()
    payload: list[Any] = [text("a\n"), text("b\n")]
    message = EmailMessage()
    message["From"], message["To"], message["Content-Type"] = "a@example.com", "b@example.org", "multipart/mixed"
    message.set_boundary("=")
    _payload(message, payload)
    before = [sent(message) for _ in range(3)][-1]
    payload[1].replace_header("Subject", "Other")
    assert sent(message) == anew(message) != before


def test_a_field_of_a_class_of_their_own_is_read_each_time() -> None:
    class Counting(UnstructuredHeader):
        count = 0

        def fold(self, **_: Any) -> str:
            Counting.count += 1
            return f"X-Count: number {Counting.count}\r\n"

    registry = HeaderRegistry()
    registry.map_to_type("x-count", cast(Any, Counting))
    message = EmailMessage(policy=policy.default.clone(header_factory=registry))
    message["From"], message["To"], message["X-Count"] = "a@example.com", "b@example.org", "x" * 80
    message.set_content("text")
    assert len({id(content) for content in [content_of(message) for _ in range(4)]}) == 4


def test_a_subclass_is_read_each_time() -> None:
    class Mine(EmailMessage):
        def raw_items(self) -> Any:
            self.add_header("X-Count", str(len(self.items())))
            return super().raw_items()

    message = Mine()
    message["From"], message["To"] = "a@example.com", "b@example.org"
    message.set_content("text")
    assert len({id(content) for content in [content_of(message) for _ in range(4)]}) == 4


def test_a_message_in_itself_is_an_error_each_time() -> None:
    message = old_style()
    message.attach(message)
    for _ in range(2):
        with pytest.raises((MessageError, RecursionError)):
            content_of(message)


def test_what_is_large_and_what_is_gone_is_not_kept() -> None:
    message = text("line\n" * (again.LARGEST // 5))
    assert len({id(content) for content in [content_of(message) for _ in range(4)]}) == 4
    message = text()
    assert content_of(message) is not content_of(message)
    assert again._latest is not None
    del message
    gc.collect()
    assert again._latest is None
