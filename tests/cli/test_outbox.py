"""``wlsmtp outbox``, on a real file and against the embedded server."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tests.postgres import Postgres, missing, what_is_missing
from tests.real import poll
from wlsmtp import Message, SMTPSession, SQLiteOutbox, Status
from wlsmtp.cli.app import app
from wlsmtp.testing import SMTPServer

IMPATIENT = "import wlsmtp.cli.outbox as ours; ours.POLL_INTERVAL = {}; from wlsmtp.cli.app import app; app()"
"""The command, with less time between two reads of the counts."""


@pytest.fixture(autouse=True)
def no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("URL", "SERVER", "PORT", "OUTBOX", "PACE"):
        monkeypatch.delenv(f"WLSMTP_{name}", raising=False)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "outbox.db"


@pytest.fixture
def server() -> Iterator[SMTPServer]:
    with SMTPServer() as server:
        yield server


@pytest.fixture
def producer(path: Path) -> Iterator[SMTPSession]:
    with SMTPSession("localhost", mode="async", outbox=f"sqlite:///{path}", outbox_worker=False) as session:
        yield session


def message(to: str = "bob@example.org") -> Message:
    return Message(sender="ann@example.com", to=to, subject="Hi", text="Hello")


def run(command: str, path: Path, *arguments: str) -> Any:
    return CliRunner().invoke(app, ["outbox", command, "--outbox", str(path), *arguments])


def worker(
    path: Path, server: SMTPServer, *arguments: str, poll_interval: float | None = None
) -> subprocess.Popen[str]:
    where = ["--server", server.host, "--port", str(server.port), "--outbox", str(path)]
    program = ["-m", "wlsmtp"] if poll_interval is None else ["-c", IMPATIENT.format(poll_interval)]
    command = [sys.executable, *program, "outbox", "run", *where, *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


class TestRun:
    def test_once_sends_what_is_due_and_ends(self, path: Path, server: SMTPServer, producer: SMTPSession) -> None:
        server.refuse("no@example.com", "550 5.1.1 No such user")
        good, bad = producer.send(message()), producer.send(message("no@example.com"))
        later = producer.send(message(), send_at=3600)
        process = worker(path, server, "--once")
        output, errors = process.communicate(timeout=30)
        assert process.returncode == 0 and errors == ""
        assert f"{good.id}  sent" in output and f"{bad.id}  error" in output and "550 5.1.1 No such user" in output
        assert producer.status(later.id) is Status.PENDING and len(server.messages) == 1

    def test_json_is_an_object_for_each_finished_message(
        self, path: Path, server: SMTPServer, producer: SMTPSession
    ) -> None:
        receipt = producer.send(message())
        output, _ = worker(path, server, "--once", "--json").communicate(timeout=30)
        found = json.loads(output)
        assert (found["id"], found["status"], found["interruptions"]) == (receipt.id, "sent", 0)
        assert found["queue_id"] and found["recipients"][0]["reply"]["code"] == 250

    @pytest.mark.skipif(os.name != "posix", reason="there are no such signals here")
    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
    def test_finds_the_mail_of_other_programs_until_it_is_told_to_stop(
        self, path: Path, server: SMTPServer, producer: SMTPSession, number: signal.Signals
    ) -> None:
        process = worker(path, server)
        receipt = producer.send(message())
        assert receipt.wait(30).status is Status.SENT
        process.send_signal(number)
        output, errors = process.communicate(timeout=30)
        assert process.returncode == 0 and errors == "" and receipt.id in output

    def test_once_ends_when_the_server_is_not_there(self, path: Path, producer: SMTPSession) -> None:
        producer.send(message())
        with SMTPServer() as gone:
            pass
        process = worker(path, gone, "--once")
        _, errors = process.communicate(timeout=30)
        assert process.returncode == 0 and "wlsmtp: not sent, and tried again in" in errors
        [receipt] = producer.pending()
        assert receipt.attempts >= 1 and receipt.error is not None

    def test_sends_at_the_pace_of_each_lane(self, path: Path, server: SMTPServer, producer: SMTPSession) -> None:
        slow = [producer.send(message("bob@slow.example")) for _ in range(2)]
        others = [producer.send(message()) for _ in range(3)]
        process = worker(path, server, "--pace", "Slow.example=1/day", "--pace", "*=50/second")
        assert poll(lambda: producer.outbox_statistics().sent == 4, 30)
        assert {producer.status(receipt.id) for receipt in others} == {Status.SENT}
        process.terminate()
        assert process.communicate(timeout=30)[1] == "" and process.returncode == 0
        assert [producer.status(receipt.id) for receipt in slow] == [Status.SENT, Status.PENDING]

    def test_the_environment_may_name_the_pace(
        self, path: Path, server: SMTPServer, producer: SMTPSession, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("WLSMTP_PACE", "slow.example=1/day, *=50/second")
        for to in ("bob@slow.example", "cleo@slow.example", "bob@example.org"):
            producer.send(message(to))
        process = worker(path, server)
        assert poll(lambda: producer.outbox_statistics().sent == 2, 30)
        process.terminate()
        process.communicate(timeout=30)
        assert producer.outbox_statistics().pending == 1

    def test_once_waits_for_the_turn_of_what_is_due(
        self, path: Path, server: SMTPServer, producer: SMTPSession
    ) -> None:
        for _ in range(3):
            producer.send(message())
        process = worker(path, server, "--once", "--pace", "*=5/second", poll_interval=0.02)
        assert process.communicate(timeout=30)[1] == "" and process.returncode == 0
        assert producer.outbox_statistics().sent == 3

    def test_once_ends_while_mail_is_due_for_a_server_that_is_not_there(
        self, path: Path, producer: SMTPSession
    ) -> None:
        for _ in range(3):
            producer.send(message())
        with SMTPServer() as gone:
            pass
        process = worker(path, gone, "--once", poll_interval=0.02)
        process.communicate(timeout=30)
        assert process.returncode == 0 and producer.outbox_statistics().pending == 3

    @pytest.mark.parametrize("pace", ["gmail.com", "gmail.com=often", "=1/day", "a=1/day, A=2/day"])
    def test_a_pace_that_is_none_is_refused(self, path: Path, pace: str) -> None:
        result = run("run", path, "--server", "localhost", "--pace", pace)
        assert result.exit_code == 2 and "pace: must be" in result.output and not path.exists()

    def test_mail_in_memory_is_nothing_to_work_on(self, path: Path) -> None:
        result = CliRunner().invoke(app, ["outbox", "run", "--outbox", "memory:", "--server", "localhost"])
        assert result.exit_code == 2 and "in memory" in result.output


class TestLook:
    def test_list_and_show_and_stats(self, path: Path, producer: SMTPSession) -> None:
        first, second = producer.send(message(), send_at=3600), producer.send(message("cleo@example.net"))
        producer.cancel(second.id)
        listed = run("list", path).stdout.splitlines()
        assert listed[0].split()[:2] == [first.id, "pending"] and "bob@example.org" in listed[0]
        assert "The message was cancelled" in listed[1]
        assert run("list", path, "--status", "error").stdout.splitlines() == listed[1:]
        shown = run("show", path, first.id).stdout
        assert "next attempt" in shown and "bob@example.org" in shown
        counts = run("stats", path).stdout
        assert "pending" in counts and json.loads(run("stats", path, "--json").stdout)["pending"] == 1
        lines = run("list", path, "--json").stdout.splitlines()
        assert [json.loads(line)["id"] for line in lines] == [first.id, second.id]
        assert json.loads(run("show", path, first.id, "--json").stdout)["next_attempt"].endswith("+00:00")

    def test_a_file_may_have_any_name(self, tmp_path: Path) -> None:
        path = tmp_path / "50% #1 ann@example.com?.db"
        with SMTPSession("localhost", mode="async", outbox=SQLiteOutbox(path), outbox_worker=False) as producer:
            id = producer.send(message()).id
        assert id in run("list", path).output

    def test_cancel_and_retry(self, path: Path, producer: SMTPSession) -> None:
        ids = [producer.send(message(), send_at=3600).id for _ in range(3)]
        result = run("cancel", path, ids[0])
        assert result.exit_code == 0 and "is cancelled" in result.stdout
        assert run("cancel", path, ids[0]).exit_code == 1
        assert run("retry", path, "--status", "error").exit_code == 0
        assert producer.status(ids[0]) is Status.PENDING
        assert run("cancel", path, "--status", "pending").exit_code == 0
        assert not list(producer.pending())

    def test_what_is_wrong_is_said(self, path: Path, tmp_path: Path, producer: SMTPSession) -> None:
        producer.send(message(), send_at=3600)
        unknown = run("show", path, "nothing")
        assert unknown.exit_code == 1 and "knows no message 'nothing'" in unknown.stderr
        missing = run("list", tmp_path / "missing.db")
        assert missing.exit_code == 2 and "there is no" in missing.stderr
        assert not (tmp_path / "missing.db").exists()
        assert run("retry", path).exit_code == 2

    def test_stats_says_whether_the_workers_keep_up(self, path: Path, producer: SMTPSession) -> None:
        producer.send(message(), send_at=3600)
        assert run("stats", path, "--max-age", "0").exit_code == 0
        producer.send(message())
        assert poll(lambda: producer.outbox_statistics().oldest_due_age > 0, 30)
        behind = run("stats", path, "--max-age", "0", "--json")
        assert behind.exit_code == 1 and json.loads(behind.stdout)["pending"] == 2
        assert run("stats", path, "--max-age", "600").exit_code == 0
        assert run("stats", path, "--max-age", "600", "--watch").exit_code == 2


def test_the_variables_of_an_outbox_are_for_its_commands_only(monkeypatch: pytest.MonkeyPatch) -> None:
    with SMTPServer() as server:
        monkeypatch.setenv("WLSMTP_URL", server.url)
        monkeypatch.setenv("WLSMTP_OUTBOX", "nowhere.db")
        monkeypatch.setenv("WLSMTP_PACE", "*=1/day")
        outcome = CliRunner().invoke(
            app, ["send", "--from", "ann@example.com", "--to", "bob@example.org", "--text", "x"]
        )
        assert outcome.exit_code == 0 and len(server.messages) == 1


class TestPostgres:
    """The same over a database, which several processes share."""

    def test_migrate_makes_the_tables_and_shows_how(self, postgres: Postgres) -> None:
        schema = postgres.schema()
        url: Any = postgres.outbox(schema)
        shown = run("migrate", url, "--sql").stdout
        assert shown.startswith("BEGIN;") and f'CREATE TABLE "{schema}".mails' in shown
        assert postgres.query("SELECT FROM pg_tables WHERE schemaname = %s", schema) == []
        assert run("migrate", url).exit_code == 0
        assert run("migrate", url, "--sql").stdout == "-- Nothing is to be done.\n"
        assert json.loads(run("stats", url, "--json").stdout)["pending"] == 0

    def test_statements_of_another_outbox_are_not_there(self, path: Path) -> None:
        found = run("migrate", path, "--sql")
        assert found.exit_code == 2 and "PostgreSQL" in found.output

    def test_workers_share_it_and_one_that_is_killed_is_replaced(self, postgres: Postgres, server: SMTPServer) -> None:
        url: Any = postgres.outbox(lease=1, application_name=postgres.schema())
        with SMTPSession("localhost", mode="async", outbox=url, outbox_worker=False) as producer:
            producer.send(message())
            process = worker(url, server, "--workers", "2")
            assert poll(lambda: producer.outbox_statistics().sent == 1, 60)
            children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
            assert len(children) == 2
            os.kill(int(children[0]), signal.SIGKILL)
            producer.send_all([message() for _ in range(50)])
            assert poll(lambda: producer.outbox_statistics().sent == 51, 60)
            process.send_signal(signal.SIGTERM)
            _, errors = process.communicate(timeout=60)
        assert "has died" in errors
        assert all(not Path(f"/proc/{child}").exists() for child in children)

    def test_a_worker_says_that_the_database_is_away_and_comes_back(self, server: SMTPServer) -> None:
        if (reason := what_is_missing()) is not None:
            missing(reason)
        database = Postgres()
        try:
            database.start()
            url: Any = database.outbox("mail")
            process = worker(url, server)
            with SMTPSession("localhost", mode="async", outbox=url, outbox_worker=False) as producer:
                assert producer.send(message()).wait(30).status is Status.SENT
                database.stop(signal.SIGQUIT)
                assert process.stderr is not None and "cannot be" in (line := process.stderr.readline()), line
                database.start()
                assert producer.send(message()).wait(60).status is Status.SENT
            process.terminate()
            _, errors = process.communicate(timeout=60)
        finally:
            database.remove()
        assert process.returncode == 0 and "s3cret" not in errors

    def test_stats_watch_counts_until_it_is_told_to_stop(self, path: Path, producer: SMTPSession) -> None:
        producer.send(message())
        command = [sys.executable, "-m", "wlsmtp", "outbox", "stats", "--outbox", str(path), "--watch", "--json"]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        lines = [json.loads(process.stdout.readline()) for _ in range(2)]
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)
        assert process.returncode == 0 and [line["pending"] for line in lines] == [1, 1]
        assert lines[1]["oldest_due_age"] > lines[0]["oldest_due_age"] >= 0
