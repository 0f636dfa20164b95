"""Where attachments come from: read as often as needed, and never more or less than was measured."""

from __future__ import annotations

import copy
import gc
import gzip
import io
import os
import pickle
import tempfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from tests.no_secrets import Recorder
from wlsmtp.errors import MessageError
from wlsmtp.message import source as sources
from wlsmtp.message.attachment import Attachment
from wlsmtp.message.model import Message
from wlsmtp.message.source import KEPT, SMALL, FileSource, OctetsSource
from wlsmtp.message.transfer import BLOCK, base64_lines

LARGE = bytes(range(256)) * (SMALL // 256) + b"more"


@pytest.fixture
def large_file(tmp_path: Path) -> Path:
    path = tmp_path / "large.bin"
    path.write_bytes(LARGE)
    return path


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary files are made."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


class Trickle(io.RawIOBase):
    """A stream that cannot be sought, and gives a few octets at a time."""

    def __init__(self, data: bytes) -> None:
        self._data = io.BytesIO(data)

    def read(self, size: int = -1) -> bytes:
        return self._data.read(min(size, 1000))


def blocks_of(attachment: Attachment) -> bytes:
    source = attachment.source
    blocks = list(source.blocks(source.size()))
    assert all(len(block) == BLOCK for block in blocks[:-1])
    return b"".join(blocks)


class TestStreams:
    @pytest.mark.parametrize("data", [b"octets", LARGE[:SMALL], LARGE], ids=len)
    @pytest.mark.parametrize("opened", [io.BytesIO, Trickle])
    def test_what_is_left_is_read_and_the_stream_may_be_closed(
        self, opened: Callable[[bytes], BinaryIO], data: bytes, temporary: Path
    ) -> None:
        stream = opened(b"skipped" + data)
        assert stream.read(7) == b"skipped"
        attachment = Attachment.from_stream(stream, "a.bin")
        assert not stream.closed and stream.read(1) == b""
        stream.close()
        assert blocks_of(attachment) == blocks_of(attachment) == attachment.read() == data
        assert bool(list(temporary.iterdir())) is (len(data) > SMALL and not isinstance(stream, io.BytesIO))

    def test_the_copy_goes_with_the_last_attachment(self, temporary: Path) -> None:
        attachment = Attachment.from_stream(Trickle(LARGE), "a.bin")  # type: ignore[arg-type]
        other = copy.deepcopy(attachment).model_copy(update={"filename": "b.bin"})
        del attachment
        gc.collect()
        assert other.read() == LARGE
        del other
        gc.collect()
        assert list(temporary.iterdir()) == []

    def test_a_large_open_file_is_not_copied(self, large_file: Path, temporary: Path) -> None:
        with large_file.open("rb") as stream:
            stream.read(3)
            attachment = Attachment.from_stream(stream, "a.bin")
            assert stream.read() == b""
        assert blocks_of(attachment) == attachment.read() == LARGE[3:] and list(temporary.iterdir()) == []
        assert attachment.content is None and attachment.path is None

    def test_what_is_added_to_an_open_file_later_does_not_count(self, large_file: Path) -> None:
        with large_file.open("rb") as stream:
            attachment = Attachment.from_stream(stream, "a.log")
        with large_file.open("ab") as log:
            log.write(b"later")
        assert blocks_of(attachment) == attachment.read() == LARGE

    def test_an_open_file_must_stay_the_same_file(self, large_file: Path) -> None:
        with large_file.open("rb") as stream:
            attachment = Attachment.from_stream(stream, "a.log")
        os.truncate(large_file, 10)
        with pytest.raises(MessageError, match=r"a\.log.*shorter"):
            attachment.read()
        other = large_file.with_name("other")
        other.write_bytes(LARGE)
        other.replace(large_file)
        with pytest.raises(MessageError, match=r"a\.log.*another file"):
            attachment.read()

    def test_a_small_open_file_is_read_at_once(self, tmp_path: Path) -> None:
        path = tmp_path / "small"
        path.write_bytes(b"octets")
        with path.open("rb") as stream:
            attachment = Attachment.from_stream(stream, "a.bin")
        path.unlink()
        assert attachment.read() == attachment.content == b"octets"

    def test_without_room_for_a_copy_it_is_an_error_of_the_message(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(tempfile, "tempdir", "/no/such/folder")
        with pytest.raises(MessageError, match=r"a\.bin.*cannot be read"):
            Attachment.from_stream(Trickle(LARGE), "a.bin")  # type: ignore[arg-type]

    def test_a_stream_that_fails_in_the_middle_leaves_nothing_behind(
        self, temporary: Path, nothing_secret_is_told: Recorder
    ) -> None:
        class Failing(Trickle):
            def read(self, size: int = -1) -> Any:
                return super().read(size) or None

        with pytest.raises(MessageError, match="NoneType"):
            Attachment.from_stream(Failing(LARGE), "a.bin")  # type: ignore[arg-type]
        nothing_secret_is_told.errors.clear()  # their frames keep the stream
        gc.collect()
        assert list(temporary.iterdir()) == []

    def test_a_stream_over_a_file_is_not_taken_for_it(self, tmp_path: Path) -> None:
        path = tmp_path / "a.gz"
        path.write_bytes(gzip.compress(os.urandom(SMALL) + LARGE))
        with gzip.open(path) as stream:
            stream.seek(SMALL)
            assert Attachment.from_stream(stream, "a").read() == LARGE  # type: ignore[arg-type]

    def test_a_file_that_is_at_its_path_no_more_is_copied(self, large_file: Path, temporary: Path) -> None:
        with large_file.open("rb") as stream:
            large_file.unlink()
            attachment = Attachment.from_stream(stream, "a.bin")
        assert attachment.read() == LARGE and list(temporary.iterdir())

    @pytest.mark.parametrize(
        ("mode", "words"),
        [
            ("r", "open as text.*'rb'"),
            ("w", "open as text"),
            ("wb", "not open for reading.*'rb'"),
            ("ab", "not open for reading"),
            ("closed", "the file is closed"),
            ("StringIO", r"open as text.*from_text\("),
            ("closed BytesIO", "the file is closed"),
        ],
    )
    def test_what_gives_no_octets_is_refused(self, mode: str, words: str, tmp_path: Path) -> None:
        path = tmp_path / "a.bin"
        path.write_bytes(b"octets")
        stream: Any = io.StringIO("text") if "String" in mode else io.BytesIO(b"octets")
        if "IO" not in mode:
            stream = path.open(mode if mode != "closed" else "rb")
        if "closed" in mode:
            stream.close()
        with pytest.raises(MessageError, match=rf"a\.bin.*cannot be read: .*{words}"):
            Attachment.from_stream(stream, "a.bin")
        stream.close()

    @pytest.mark.parametrize("size", [6, len(LARGE)])
    @pytest.mark.parametrize("kind", ["BytesIO", "rb", "w+b", "unseekable"])
    def test_a_stream_at_its_end_is_no_empty_file(self, kind: str, size: int, tmp_path: Path) -> None:
        path = tmp_path / "a.bin"
        path.write_bytes(LARGE[:size])
        stream: Any = io.BytesIO() if kind == "BytesIO" else Trickle(b"")
        if kind in ("rb", "w+b"):
            stream = path.open(kind)
        with stream:
            if kind in ("BytesIO", "w+b"):
                stream.write(LARGE[:size])  # and no seek(0)
            elif kind == "rb":
                stream.read()
            with pytest.raises(MessageError, match=r"a\.bin.*at its end.*seek\(0\)"):
                Attachment.from_stream(stream, "a.bin")

    @pytest.mark.parametrize(
        "error",
        [zlib.error("bad"), EOFError("cut off"), RuntimeError("boom"), zipfile.BadZipFile("crc"), KeyError("x")],
    )
    @pytest.mark.parametrize("before", [0, SMALL + 5])
    def test_whatever_reading_raises_names_the_attachment(self, error: Exception, before: int) -> None:
        class Broken(Trickle):
            def read(self, count: int = -1) -> bytes:
                if not (octets := super().read(count)):
                    raise error
                return octets

        with pytest.raises(MessageError, match=r"The attachment 'a\.bin' cannot be read: "):
            Attachment.from_stream(Broken(LARGE[:before]), "a.bin")  # type: ignore[arg-type]

    def test_an_empty_file_is_one(self, tmp_path: Path) -> None:
        (tmp_path / "a").touch()
        with (tmp_path / "a").open("rb") as stream:
            assert Attachment.from_stream(stream, "a").read() == Attachment.from_stream(io.BytesIO(), "a").read() == b""

    def test_a_stream_goes_to_another_process_with_its_octets(self, large_file: Path) -> None:
        with large_file.open("rb") as stream:
            stream.read(3)
            attachments = [Attachment.from_stream(stream, "a"), Attachment.from_stream(Trickle(LARGE[3:]), "a")]  # type: ignore[arg-type]
        octets = pickle.dumps(attachments)
        large_file.unlink()
        del attachments
        for attachment in pickle.loads(octets):
            assert attachment.read() == LARGE[3:]


class TestFiles:
    def test_it_is_opened_anew_by_each_reader(self, large_file: Path) -> None:
        attachment = Attachment.from_path(large_file)
        readers = [attachment.source.blocks(len(LARGE)) for _ in range(2)]
        first, second = (b"".join(blocks) for blocks in zip(*zip(*readers, strict=True), strict=True))
        assert first == second == LARGE

    @pytest.mark.parametrize("content", [LARGE[:-1], LARGE + b"x", b""], ids=["shorter", "longer", "empty"])
    def test_another_size_is_told_before_all_is_read(self, large_file: Path, content: bytes) -> None:
        source = Attachment.from_path(large_file).source
        size = source.size()
        large_file.write_bytes(content)
        seen = 0
        with pytest.raises(MessageError, match=r"large\.bin.*size"):
            for block in source.blocks(size):
                seen += len(block)
        assert seen < size

    def test_a_file_that_is_gone_or_no_file_any_more(self, large_file: Path) -> None:
        attachment = Attachment.from_path(large_file)
        large_file.unlink()
        for ask in (attachment.source.size, attachment.read, lambda: blocks_of(attachment)):
            with pytest.raises(MessageError, match=r"large\.bin.*cannot be read"):
                ask()
        large_file.mkdir()
        with pytest.raises(MessageError, match="directory"):
            attachment.source.size()

    @pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="named pipes are of Unix")
    def test_a_named_pipe_is_refused_and_not_waited_for(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "pipe")
        with pytest.raises(MessageError, match="regular file"):
            Attachment.from_path(tmp_path / "pipe")

    @pytest.mark.skipif(not Path("/proc/version").exists(), reason="/proc is of Linux")
    def test_a_file_without_a_size_is_read_all_the_same(self) -> None:
        assert Attachment.from_path("/proc/version").source.base64() == base64_lines(Path("/proc/version").read_bytes())


class TestSharing:
    def test_octets_are_encoded_once_for_all_copies(self) -> None:
        attachment = Attachment.from_bytes(b"x" * 50_000, "a")
        copied = attachment.model_copy(update={"filename": "b"})
        assert copied.source.base64() is attachment.source.base64()
        assert pickle.loads(pickle.dumps(attachment)) == attachment

    @pytest.mark.parametrize(
        "update", [{"filename": "a\r\nBcc: x"}, {"content_type": "a/b\r\nBcc: x"}, {"content": "text"}]
    )
    def test_a_copy_is_checked_as_a_new_one_is(self, update: dict[str, str]) -> None:
        with pytest.raises(MessageError):
            Attachment.from_bytes(b"x", "a").model_copy(update=update)

    def test_a_copy_with_other_octets_has_an_encoding_of_its_own(self) -> None:
        attachment = Attachment.from_bytes(b"one", "a")
        attachment.source.base64()
        assert attachment.model_copy(update={"content": b"two"}).read() == b"two"

    def test_a_file_is_encoded_once_until_it_changes(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sources, "_SETTLED", float("-inf"))
        path = tmp_path / "a.bin"
        path.write_bytes(b"one")
        source = Attachment.from_path(path).source
        assert source.base64() is source.base64()
        path.unlink()
        path.write_bytes(b"three")
        assert source.base64() == base64_lines(b"three")

    def test_a_file_that_changed_a_moment_ago_is_read_again(self, tmp_path: Path) -> None:
        path = tmp_path / "a.bin"
        path.write_bytes(b"one")
        source = Attachment.from_path(path).source
        assert source.base64() == base64_lines(b"one")
        path.write_bytes(b"two")
        assert source.base64() == base64_lines(b"two")

    def test_what_is_kept_is_bounded(self) -> None:
        assert len(base64_lines(b"x" * KEPT)) <= 1024 * 1024

    def test_sources_are_equal_by_what_they_hold(self, large_file: Path) -> None:
        assert OctetsSource(b"x", "a") == OctetsSource(b"x", "b") != OctetsSource(b"y", "a")
        assert FileSource(large_file, "a") == FileSource(large_file, "b") != FileSource(large_file, "a", start=1)
        assert Attachment.from_path(large_file) == Attachment.from_path(large_file)
        assert Attachment.model_construct(content=b"x").read() == b"x"
        assert Attachment.model_construct(path=large_file).read() == LARGE


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("https://example.com/a.pdf", "Nothing is fetched: give the octets with their name"),
        ("file:///tmp/no.pdf", "Give the path alone"),
        ("~/no such file.pdf", r"Use Path\(…\)\.expanduser\(\)"),
    ],
)
def test_what_is_no_path_is_told_what_to_give(path: str, words: str) -> None:
    with pytest.raises(MessageError, match=f"No such file or directory. {words}"):
        Message("ann@example.com", "bob@example.org", text="x", attachments=path)
