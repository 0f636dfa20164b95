"""No secret in a log, an event, a repr, an error or its traceback: all that a session says is searched for it."""

from __future__ import annotations

import logging
import traceback
from typing import Any

import pytest

import wlsmtp
from tests.no_secrets import FORMS, Recorder, forms_of
from tests.worlds import World
from wlsmtp import Message, RetryPolicy, Timeouts
from wlsmtp.events import Event, Line
from wlsmtp.testing import CLOSE, SILENCE, SMTPServer

SECRET = "s3cret-Pa55"


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-256", "XOAUTH2", "OAUTHBEARER"])
@pytest.mark.parametrize("known", [SECRET, "another"], ids=["accepted", "refused"])
def test_the_secret_is_nowhere(world: World, mechanism: str, known: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, logger="wlsmtp")
    events: list[Event] = []
    secret = {"token": SECRET} if "OAUTH" in mechanism else {"password": SECRET}
    server = SMTPServer(users={"ann": known}, tokens={"ann": known}, mechanisms=[mechanism])
    said = []
    with (
        server,
        world.session(
            server.host, server.port, username="ann", mechanisms=[mechanism], listeners=(events.append,), **secret
        ) as session,
    ):
        try:
            session.send(Message(sender="ann@example.com", to="bob@example.org", text="x"))
        except wlsmtp.AuthenticationFailed as error:
            said += [repr(error), str(error), repr(error.receipt), *traceback.format_exception(error)]
        said += [repr(session.face), repr(session.face.config), str(session.face.config), repr(session.verify)]
    said += [caplog.text, *map(repr, events)]
    assert (len(server.messages) == 1) is (known == SECRET)
    assert any(isinstance(event, Line) and event.text.startswith(f"AUTH {mechanism}") for event in events)
    assert f"AUTH {mechanism}" in caplog.text
    assert [form for form in forms_of(SECRET) for text in said if form in text] == []


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN", "XOAUTH2", "SCRAM-SHA-256"])
@pytest.mark.parametrize("answer", ["535 5.7.8 No", "no reply", "334 not base64 !", CLOSE, SILENCE], ids=repr)
def test_no_variable_in_a_traceback_holds_a_secret(world: World, mechanism: str, answer: Any) -> None:
    secret = {"token": SECRET} if mechanism == "XOAUTH2" else {"password": SECRET}
    others = {"timeout": Timeouts(command=0.2), "retry": RetryPolicy(attempts=1), "mechanisms": [mechanism]}
    with SMTPServer(users={"ann": "x"}, tokens={"ann": "x"}, mechanisms=[mechanism]) as server:
        server.reply_to("AUTH", answer)
        with world.session(server.host, server.port, username="ann", **others, **secret) as session:
            with pytest.raises(wlsmtp.SMTPError) as caught:
                session.send(Message(sender="ann@example.com", to="bob@example.org", text="x"))
            shown = variables_of(caught.value)
    assert any("SMTPSession" in line for line in shown)
    assert [line for line in shown if any(form in line for form in forms_of(SECRET))] == []


def variables_of(error: BaseException | None) -> list[str]:
    """What a report of a crash shows: the variables of the library's calls, of an error and those behind it."""
    shown: list[str] = []
    seen: set[int] = set()
    found = [error]
    while found:
        error = found.pop()
        if error is None or id(error) in seen:
            continue
        seen.add(id(error))
        for frame, _ in traceback.walk_tb(error.__traceback__):
            if str(frame.f_globals["__name__"]).startswith("wlsmtp."):
                shown += [f"{frame.f_code.co_name}: {name} = {value!r}" for name, value in frame.f_locals.items()]
        found += [error.__cause__, error.__context__]
    return shown


def test_the_search_after_each_test_finds_what_it_should(nothing_secret_is_told: Recorder) -> None:
    recorder = Recorder()
    logging.getLogger("wlsmtp").addHandler(recorder)
    for form in FORMS:
        recorder.said.append(f"AUTH PLAIN {form}")
    recorder.errors.append(wlsmtp.SMTPError("refused"))
    logging.getLogger("wlsmtp").removeHandler(recorder)
    assert len(recorder.leaks()) == len(FORMS) and nothing_secret_is_told.errors
