"""Directories of messages: seen whole or not at all, kept through a crash, and reported when they cannot be written."""

from __future__ import annotations

import errno
import mailbox
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import wlsmtp
from tests.worlds import World
from wlsmtp import Message, RecipientStatus, RetryPolicy

MESSAGE = Message(sender="ann@example.com", to=["bob@example.org", "cleo@example.net"], subject="Hi", text="x")
NO_RETRY = RetryPolicy(attempts=1)
KINDS = ["maildir", "eml"]


def files(directory: Path) -> list[Path]:
    return [path for path in directory.rglob("*") if path.is_file()]


@pytest.mark.parametrize("kind", KINDS)
def test_only_the_owner_can_read_it(world: World, tmp_path: Path, kind: str) -> None:
    with world.from_url(f"{kind}://{tmp_path}/a/b") as session:
        assert session.send(MESSAGE)
    (file,) = files(tmp_path)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "a" / "b").stat().st_mode) == 0o700


def test_a_maildir_is_read_by_others(world: World, tmp_path: Path) -> None:
    with world.from_url(f"maildir://{tmp_path}/box") as session:
        assert session.send(MESSAGE)
        assert session.verify().server.endswith("box')")
    box = mailbox.Maildir(tmp_path / "box", create=False)
    (email,) = box
    assert email["Return-Path"] == "<ann@example.com>"
    assert email.get_all("Delivered-To") == ["bob@example.org", "cleo@example.net"]
    assert email["Subject"] == "Hi" and email.get_subdir() == "new"
    assert b"\r" not in files(tmp_path)[0].read_bytes()


def test_an_eml_file_has_the_line_ends_of_mail_and_names_sort_by_time(world: World, tmp_path: Path) -> None:
    with world.from_url(f"eml://{tmp_path}") as session:
        for number in range(5):
            assert session.send(f"Subject: {number}\r\n\r\n".encode(), sender="", recipients="bob@example.org")
    contents = [path.read_bytes() for path in sorted(files(tmp_path))]
    assert [content.split(b"\r\n")[2] for content in contents] == [b"Subject: %d" % number for number in range(5)]


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_on_the_disk_before_it_is_seen(
    world: World, tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[str] = []

    def noting(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def noted(*words: Any, **options: Any) -> Any:
            is_directory = name == "fsync" and stat.S_ISDIR(os.fstat(words[0]).st_mode)
            steps.append(f"{name} directory" if is_directory else name)
            return function(*words, **options)

        return noted

    with world.from_url(f"{kind}://{tmp_path}") as session:
        session.verify()  # makes the directories
        monkeypatch.setattr(os, "fsync", noting("fsync", os.fsync))
        monkeypatch.setattr(os, "rename", noting("rename", os.rename))
        assert session.send(MESSAGE)
    assert steps == ["fsync", "rename", "fsync directory"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("code", "temporary"), [(errno.ENOSPC, True), (errno.EDQUOT, True), (errno.EIO, False)])
def test_what_cannot_be_written_is_not_there(
    world: World, tmp_path: Path, kind: str, code: int, temporary: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(descriptor: int) -> None:
        raise OSError(code, os.strerror(code))

    with world.from_url(f"{kind}://{tmp_path}", retry=NO_RETRY) as session:
        session.verify()
        monkeypatch.setattr(os, "fsync", fail)
        with pytest.raises(wlsmtp.LocalDeliveryFailed, match=os.strerror(code)) as caught:
            session.send(MESSAGE)
    assert caught.value.temporary is temporary and isinstance(caught.value, OSError)
    assert caught.value.receipt is not None
    assert {result.status for result in caught.value.receipt.recipients} == {RecipientStatus.NOT_SENT}
    assert files(tmp_path) == []


@pytest.mark.parametrize("kind", KINDS)
def test_a_directory_that_cannot_be_forced_to_the_disk_leaves_doubt(
    world: World, tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    force = os.fsync

    def fail(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        force(descriptor)

    with world.from_url(f"{kind}://{tmp_path}", retry=NO_RETRY) as session:
        session.verify()
        monkeypatch.setattr(os, "fsync", fail)
        with pytest.raises(wlsmtp.OutcomeUnknown, match="survive a crash"):
            session.send(MESSAGE)
    assert len(files(tmp_path)) == 1


@pytest.mark.parametrize("kind", KINDS)
def test_verify_says_what_stands_in_the_way(world: World, tmp_path: Path, kind: str) -> None:
    (tmp_path / "file").touch()
    with (
        world.from_url(f"{kind}://{tmp_path}/file/below") as session,
        pytest.raises(wlsmtp.LocalDeliveryFailed, match="file/below could not be written to"),
    ):
        session.verify()


def test_a_full_disk_may_be_tried_again_and_another_transport_takes_over(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    force, failures = os.fsync, [errno.ENOSPC]

    def fail_once(descriptor: int) -> None:
        if failures:
            raise OSError(failures[0], os.strerror(failures.pop()))
        force(descriptor)

    with world.from_url(f"eml://{tmp_path}/one", retry=RetryPolicy(backoff=0, jitter=0)) as session:
        session.verify()
        monkeypatch.setattr(os, "fsync", fail_once)
        assert session.send(MESSAGE).attempts == 2
    (tmp_path / "file").touch()
    with world.from_url(f"failover(maildir://{tmp_path}/file, eml://{tmp_path}/two)") as session:
        assert session.send(MESSAGE).attempts == 1
    assert [path.parent.name for path in files(tmp_path) if path.suffix] == ["one", "two"]
