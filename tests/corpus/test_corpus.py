"""The messages that programs make today arrive as they would by smtplib, and as they were meant, or better: each letter
in each idiom, sent by both to the same strict server, and read by three readers."""

from __future__ import annotations

import os
from functools import cache
from typing import Any

import pytest

from tests.corpus.differences import Ledger
from tests.corpus.letters import Letter
from tests.corpus.readers import READERS, Reading, digest, plain, read_all, what_is_missing
from tests.corpus.sending import Sent, send_all
from tests.corpus.table import ENVELOPES, FORWARD_PATHS, FROM_SMTPLIB, FROM_WHAT_WAS_MEANT, OUTCOMES, REFUSALS
from wlsmtp.testing import ReceivedMessage


@pytest.fixture(scope="module")
def corpus() -> list[Sent]:
    """All messages, sent once."""
    return send_all()


@pytest.fixture(scope="module")
def read(corpus: list[Sent], tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What a reader found in each content, by the reader's name."""

    @cache
    def all_of(reader: str) -> dict[bytes, Reading]:
        if (reason := what_is_missing(reader)) is not None:
            (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(reason)
        contents = [received.content for sent in corpus for received in sent.received]
        return read_all(reader, contents, tmp_path_factory.mktemp("messages"))

    return all_of


def test_there_are_enough_of_them(corpus: list[Sent]) -> None:
    assert len(corpus) > 600 and len({sent.case.idiom for sent in corpus}) == 8


def test_what_one_can_send_the_other_can(corpus: list[Sent]) -> None:
    ledger = Ledger(OUTCOMES)
    for sent in corpus:
        ours, theirs = (isinstance(outcome, ReceivedMessage) for outcome in (sent.ours, sent.theirs))
        if ours != theirs:
            ledger.add(sent, "wlsmtp" if ours else "smtplib", sent.ours, sent.theirs)
    ledger.check()


def test_what_neither_can_send_is_an_error_that_says_why(corpus: list[Sent]) -> None:
    ledger = Ledger(REFUSALS)
    for sent in corpus:
        if not sent.received:
            ledger.add(sent, type(sent.ours).__name__, sent.ours, sent.theirs)
    ledger.check()


def test_the_envelopes_are_the_same(corpus: list[Sent]) -> None:
    ledger = Ledger(ENVELOPES)
    for sent in corpus:
        if len(sent.received) == 2:
            ours, theirs = ((received.sender, sorted(received.recipients)) for received in sent.received)
            if ours != theirs:
                ledger.add(sent, "", ours, theirs)
    ledger.check()


@pytest.mark.parametrize("reader", READERS)
def test_a_reader_finds_the_same(corpus: list[Sent], read: Any, reader: str) -> None:
    readings: dict[bytes, Reading] = read(reader)
    ledger = Ledger(FROM_SMTPLIB, reader)
    for sent in corpus:
        if len(sent.received) == 2:
            ours, theirs = (readings[received.content] for received in sent.received)
            for name in sorted({*ours, *theirs}):
                if ours.get(name) != theirs.get(name):
                    ledger.add(sent, name, ours.get(name), theirs.get(name))
    ledger.check()


@pytest.mark.parametrize("reader", READERS)
def test_it_arrives_as_it_was_meant(corpus: list[Sent], read: Any, reader: str) -> None:
    readings: dict[bytes, Reading] = read(reader)
    ledger = Ledger(FROM_WHAT_WAS_MEANT, reader)
    for sent in corpus:
        if isinstance(sent.ours, ReceivedMessage):
            found, meant = readings[sent.ours.content], meaning(sent.case.letter)
            for name, value in meant.items():
                if found[name] != value:
                    ledger.add(sent, name, found[name], value)
    ledger.check()


def test_everybody_gets_it_and_no_blind_copy_is_shown(corpus: list[Sent]) -> None:
    ledger = Ledger(FORWARD_PATHS)
    for sent in corpus:
        if isinstance(sent.ours, ReceivedMessage):
            found, meant = sorted(sent.ours.recipients), sorted({address for _, address in sent.case.letter.people})
            if found != meant:
                ledger.add(sent, "", found, meant)
            head = sent.ours.content.partition(b"\r\n\r\n")[0].lower()
            assert b"bcc:" not in head and not any(address.encode() in head for _, address in sent.case.letter.bcc[:1])
    ledger.check()


def meaning(letter: Letter) -> Reading:
    """What each reader should find."""
    files = [
        [file.name, digest(file.data.replace(b"\r\n", b"\n") if file.type.startswith("text/") else file.data)]
        for file in letter.files
        if file.name
    ]
    lists = (("from", (letter.sender,)), ("to", letter.shown_to), ("cc", letter.cc), ("reply-to", letter.reply_to))
    people = {
        name: [list(person) for person in (sorted(people) if name in ("to", "cc") else people)]
        for name, people in lists
    }
    texts = {"subject": letter.subject, "text": plain(letter.text), "html": plain(letter.html)}
    return {**people, **texts, **({"files": files} if files else {})}
