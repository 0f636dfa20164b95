"""From the setting to the outbox."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from wlsmtp import ConfigError, MemoryOutbox, SessionConfig, SMTPSession, SQLiteOutbox
from wlsmtp.outbox.choice import make_outbox
from wlsmtp.settings import urls


def sqlite(setting: str) -> SQLiteOutbox:
    outbox = make_outbox(setting)
    assert isinstance(outbox, SQLiteOutbox)
    return outbox


def test_memory_is_the_default() -> None:
    assert isinstance(make_outbox(SessionConfig(server="x").outbox), MemoryOutbox)
    assert make_outbox("memory:?keep=5").keep == 5


def test_a_url_of_three_slashes_is_relative_and_of_four_absolute(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert sqlite("sqlite:///a/b.db").path == tmp_path / "a" / "b.db"
    assert sqlite("sqlite:////var/mail%20box.db").path == Path("/var/mail box.db")
    configured = sqlite("sqlite:///x.db?lease=5&keep=60&synchronous=normal")
    assert (configured.lease, configured.keep) == (5, 60)


def test_an_outbox_is_taken_as_it_is() -> None:
    outbox = MemoryOutbox()
    assert make_outbox(outbox) is outbox


def test_a_database_may_have_several_hosts() -> None:
    pytest.importorskip("psycopg")
    outbox = make_outbox("postgresql://user:secret@one:1,[::1]:2,three/db?target_session_attrs=read-write")
    assert repr(outbox) == "PostgresOutbox('postgresql://one,::1,three/db', schema='wlsmtp')"


@pytest.mark.parametrize(
    "setting",
    [
        "sqlite://", "sqlite:///", "sqlite:///x?lease=soon", "sqlite:///x?synchronous=off", "sqlite:///x?lease=0",
        "sqlite:///x?keep=-1", "sqlite:///x?lease=nan", "sqlite:///x?colour=red", "memory:x", "memory:?lease=1",
        "sqlite:///a#b.db", "sqlite:///a?keep=1@2", "sqlite:///a\nb", "redis://h", "postgresql://h:x/db", 7, None,
    ],
)  # fmt: skip
def test_what_makes_no_outbox_is_refused(setting: Any) -> None:
    with pytest.raises(ConfigError, match="outbox"):
        make_outbox(setting)


def test_mail_in_memory_needs_a_worker_of_its_own() -> None:
    with pytest.raises(ConfigError, match="outbox_worker"):
        SMTPSession("localhost", mode="async", outbox_worker=False)


def test_the_environment_and_a_url_may_choose_it(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/x.db"
    config = SessionConfig.from_env({"WLSMTP_SERVER": "h", "WLSMTP_MODE": "async", "WLSMTP_OUTBOX": url})
    assert (config.mode, config.outbox) == ("async", url)
    assert SessionConfig.from_url("smtp://h?mode=async&outbox=memory:").mode == "async"


class Theirs(MemoryOutbox):
    """An outbox of another package."""


def test_a_package_offers_another_one_by_an_entry_point(monkeypatch: pytest.MonkeyPatch) -> None:
    offered = metadata.EntryPoint("theirs", f"{__name__}:Theirs", "wlsmtp.outboxes")
    monkeypatch.setattr(metadata, "entry_points", lambda group: [offered] if group == offered.group else [])
    urls._offered.cache_clear()
    try:
        assert type(make_outbox("theirs:?keep=5")) is Theirs
        assert SessionConfig(server="x", mode="async", outbox="theirs:").outbox == "theirs:"
        with pytest.raises(ConfigError, match="'theirs:'"):
            make_outbox("ours:")
    finally:
        urls._offered.cache_clear()
