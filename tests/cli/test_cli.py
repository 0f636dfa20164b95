"""The command line, against the embedded server: what it sends, what it says, and the exit codes scripts rely on."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import wlsmtp.cli
from wlsmtp import Receipt, Status
from wlsmtp.cli.app import app
from wlsmtp.cli.screen import masked
from wlsmtp.testing import SMTPServer

ANN, BOB, CLEO = "ann@example.com", "bob@example.org", "cleo@example.net"
WRITTEN = ["--from", ANN, "--to", BOB, "--subject", "Hi", "--text", "Hello"]
RAW = b"From: ann@example.com\r\nTo: bob@example.org\r\nSubject: raw\r\n\r\n.\r\nas it is\r\n"
SECRET = "s3cret-passw0rd"


@pytest.fixture(autouse=True)
def no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("URL", "SERVER", "PORT", "SECURITY", "USERNAME", "PASSWORD", "TOKEN", "TIMEOUT"):
        monkeypatch.delenv(f"WLSMTP_{name}", raising=False)


@pytest.fixture
def server() -> Iterator[SMTPServer]:
    with SMTPServer() as server:
        yield server


def run(*arguments: str | Path, stdin: bytes | None = None, **options: Any) -> Any:
    return CliRunner().invoke(app, [str(argument) for argument in arguments], input=stdin, **options)


def send(server: SMTPServer, *arguments: str | Path, stdin: bytes | None = None) -> Any:
    return run("send", "--server", server.host, "--port", str(server.port), "--attempts", "1", *arguments, stdin=stdin)


def url_of(server: SMTPServer, user: str = "", scheme: str = "smtp") -> str:
    return f"{scheme}://{user}{'@' if user else ''}{server.host}:{server.port}"


class TestSend:
    def test_a_message_written_with_options(self, server: SMTPServer, tmp_path: Path) -> None:
        (tmp_path / "numbers.csv").write_bytes(b"a,b\r\n1,2\r\n")
        files: list[str | Path] = ["--attach", tmp_path / "numbers.csv", "--html", "<p>Hello</p>"]
        result = send(server, *WRITTEN, "--cc", CLEO, "--bcc", "dan@example.com", *files)
        assert result.exit_code == 0, result.output
        mail = server.messages[0]
        assert mail.sender == ANN and set(mail.recipients) == {BOB, CLEO, "dan@example.com"}
        assert mail.email["Subject"] == "Hi" and mail.email["Cc"] == CLEO and "dan@" not in mail.email.as_string()
        types = [part.get_content_type() for part in mail.email.walk() if not part.is_multipart()]
        assert types == ["text/plain", "text/html", "text/csv"]

    def test_the_receipt_names_status_recipients_and_queue_id(self, server: SMTPServer) -> None:
        result = send(server, *WRITTEN)
        assert "sent: 1 of 1 recipients accepted" in result.stdout and BOB in result.stdout
        assert "queue id: " in result.stdout and "Message-ID: <" in result.stdout
        assert result.stderr == "" and "\x1b" not in result.stdout

    @pytest.mark.parametrize("how", ["file", "stdin"])
    def test_a_finished_message_goes_as_it_is(self, server: SMTPServer, tmp_path: Path, how: str) -> None:
        (tmp_path / "m.eml").write_bytes(RAW)
        result = send(server, tmp_path / "m.eml") if how == "file" else send(server, "-", stdin=RAW)
        assert result.exit_code == 0, result.output
        assert server.messages[0].content == RAW
        assert (server.messages[0].sender, tuple(server.messages[0].recipients)) == (ANN, (BOB,))

    def test_from_and_to_are_the_envelope_of_a_finished_message(self, server: SMTPServer) -> None:
        result = send(server, "-", "--from", "bounces@example.com", "--to", CLEO, "--bcc", ANN, stdin=RAW)
        assert result.exit_code == 0, result.output
        mail = server.messages[0]
        assert (mail.sender, tuple(mail.recipients), mail.content) == ("bounces@example.com", (CLEO, ANN), RAW)

    def test_the_text_may_come_from_standard_input(self, server: SMTPServer) -> None:
        result = send(server, "--from", ANN, "--to", BOB, "--text", "-", stdin="Füße\n".encode())
        assert result.exit_code == 0, result.output
        assert server.messages[0].email.get_content().strip() == "Füße"

    def test_json_is_one_object_with_each_recipient(self, server: SMTPServer) -> None:
        server.refuse(CLEO, "550 5.1.1 No such user")
        result = send(server, *WRITTEN, "--to", CLEO, "--json")
        found = json.loads(result.stdout)
        assert result.exit_code == 3 and found["status"] == "partial"
        words = {"code": 550, "enhanced": "5.1.1", "text": "No such user", "lines": ["5.1.1 No such user"]}
        refused = {"address": CLEO, "status": "refused", "reply": words, "error": None}
        assert list(found) == list(Receipt("", Status.ERROR, ()).as_dict())
        assert refused in found["recipients"] and found["reply"]["code"] == 250 and found["attempts"] == 1

    def test_verbose_shows_the_conversation_on_stderr_without_secrets(self) -> None:
        with SMTPServer(users={"ann": SECRET}) as server:
            result = run("send", "-v", "-u", url_of(server, f"ann:{SECRET}"), *WRITTEN)
        assert result.exit_code == 0, result.output
        assert "C: EHLO" in result.stderr and "S: 250" in result.stderr and "octets of content" in result.stderr
        assert "C:" not in result.stdout and SECRET not in result.output

    def test_the_user_is_the_sender_when_none_is_named(self) -> None:
        with SMTPServer(users={ANN: SECRET}) as server:
            result = send(server, "--username", ANN, "--password", SECRET, "--to", BOB, "--text", "x")
            assert result.exit_code == 0, result.output
            assert server.messages[0].sender == ANN == server.messages[0].username


class TestWhereSettingsComeFrom:
    def test_the_environment(self, server: SMTPServer, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("WLSMTP_URL", url_of(server))
        assert run("send", *WRITTEN).exit_code == 0
        assert len(server.messages) == 1

    def test_a_named_server_never_gets_the_password_of_the_environment(
        self, server: SMTPServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("WLSMTP_URL", f"smtp://ann:{SECRET}@elsewhere.invalid")
        monkeypatch.setenv("WLSMTP_PASSWORD", SECRET)
        assert send(server, *WRITTEN).exit_code == 0
        assert server.messages[0].username is None

    def test_options_win_over_the_url(self, server: SMTPServer) -> None:
        result = run("send", "-u", f"smtp://{server.host}:1", "--port", str(server.port), *WRITTEN)
        assert result.exit_code == 0, result.output

    @pytest.mark.parametrize("how", ["file", "asked"])
    def test_the_password_comes_from_a_file_or_a_prompt(self, tmp_path: Path, how: str) -> None:
        (tmp_path / "password").write_text(SECRET + "\n")
        option = ["--password-file", tmp_path / "password"] if how == "file" else ["--ask-password"]
        with SMTPServer(users={"ann": SECRET}) as server:
            result = send(server, "--username", "ann", *option, *WRITTEN, stdin=f"{SECRET}\n".encode())
            assert result.exit_code == 0, result.output
            assert server.messages[0].username == "ann"
        assert SECRET not in result.output

    def test_tls_with_an_authority_of_its_own(self) -> None:
        with SMTPServer(security="tls", users={"ann": SECRET}) as server:
            secured = ["--security", "tls", "--ca-file", str(server.ca_file)]
            result = send(server, *secured, "--username", "ann", "--password", SECRET, *WRITTEN)
            assert result.exit_code == 0, result.output
            assert server.messages[0].tls


class TestExitCodes:
    def test_refused_for_good_is_1(self, server: SMTPServer) -> None:
        server.refuse(BOB, "550 5.1.1 No such user")
        result = send(server, *WRITTEN)
        assert result.exit_code == 1 and "550 5.1.1 No such user" in result.stderr
        assert BOB in result.stdout and result.stdout.startswith("error: 0 of 1")

    def test_refused_for_some_is_3(self, server: SMTPServer) -> None:
        server.refuse(CLEO)
        result = send(server, *WRITTEN, "--to", CLEO)
        assert result.exit_code == 3 and result.stdout.startswith("partial: 1 of 2")

    def test_no_answer_after_the_content_is_4(self, server: SMTPServer) -> None:
        server.reply_to(".", server.CLOSE, times=1)
        result = send(server, *WRITTEN, "--json")
        assert result.exit_code == 4
        found = json.loads(result.stdout)
        assert found["status"] == "unknown" and found["error"]["ambiguous"] is True

    def test_refused_for_now_is_75(self, server: SMTPServer) -> None:
        server.reply_to("RCPT", "450 4.2.0 Greylisted")
        result = send(server, *WRITTEN)
        assert result.exit_code == 75 and "Greylisted" in result.stderr

    def test_an_unreachable_server_is_75_with_a_hint(self, closed_port: int) -> None:
        result = run("send", "--server", "127.0.0.1", "--port", str(closed_port), "--attempts", "1", *WRITTEN)
        assert result.exit_code == 75
        assert "check the server and the port" in result.stderr and "Traceback" not in result.output

    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            (["--to", BOB, "--text", "x"], "--from is missing"),
            (["--from", ANN, "--text", "x"], "--to is missing"),
            ([], "nothing to send"),
            (["-", "--subject", "x"], "--subject"),
            (["/no/such/file.eml"], "/no/such/file.eml"),
            ([*WRITTEN, "--to", "bob at example.com"], "bob at example.com"),
            ([*WRITTEN, "--attach", "/no/such/file.pdf"], "/no/such/file.pdf"),
            ([*WRITTEN, "--url", "smtp://localhost"], "--url and --server"),
            ([*WRITTEN, "--username", "ann"], "password"),
            ([*WRITTEN, "--username", "ann", "--password-file", "/no/such/file"], "--password-file"),
            ([*WRITTEN, "--timeout", "-1"], "timeout"),
        ],
    )
    def test_what_cannot_work_is_2_and_nothing_is_sent(
        self, server: SMTPServer, arguments: list[str], words: str
    ) -> None:
        result = send(server, *arguments)
        assert result.exit_code == 2 and words in result.stderr, result.output
        as_json = send(server, *arguments, "--json")
        assert as_json.exit_code == 2 and words in json.loads(as_json.stdout)["error"]["message"] + as_json.stdout
        assert as_json.stderr == "" and server.connections == 0

    def test_no_server_at_all_says_how_to_name_one(self) -> None:
        result = run("send", *WRITTEN)
        assert result.exit_code == 2 and "WLSMTP_URL" in result.stderr and "--url" in result.stderr

    def test_the_help_lists_them(self) -> None:
        words = run("send", "--help").stdout
        for code in ("0   ", "1   ", "2   ", "3   ", "4   ", "75  "):
            assert f"  {code}" in words
        assert "--password-file" in words and "--password " not in words


class TestCheck:
    def test_all_stages_pass(self) -> None:
        with SMTPServer(security="tls", users={"ann": SECRET}) as server:
            url = url_of(server, f"ann:{SECRET}", "smtp+tls")
            result = run("check", url, "--ca-file", str(server.ca_file))
            assert server.messages == []
        assert result.exit_code == 0, result.output
        assert [line.split()[:2] for line in result.stdout.splitlines()[:7]] == [
            ["✓", name] for name in ("settings", "connect", "greeting", "EHLO", "TLS", "AUTH", "offers")
        ]
        assert "TLSv1." in result.stdout and "issued by" in result.stdout and "valid until" in result.stdout
        assert "logged in as ann" in result.stdout and SECRET not in result.output

    @pytest.mark.parametrize(
        ("quirks", "extensions", "words"),
        [
            ([], ["PIPELINING", "CHUNKING"], [
                "✓ several commands in one group (PIPELINING, RFC 2920): works",
                "✓ RSET: works",
                "✓ NOOP: works",
                "✓ a refused BDAT takes its octets with it (CHUNKING, RFC 3030): works",
                "– BDAT: only mail shows it",  # noqa: RUF001
                "– commands right behind content sent by DATA: only mail shows it",  # noqa: RUF001
            ]),
            (["no-noop", "unread-chunk"], ["PIPELINING", "CHUNKING"], [
                "✗ NOOP: does not work; instead: any reply counts as a sign of life",
                "✗ a refused BDAT takes its octets with it (CHUNKING, RFC 3030): does not work; instead: DATA",
            ]),
            (["refuses-groups"], ["PIPELINING", "CHUNKING"], [
                "✗ several commands in one group (PIPELINING, RFC 2920): does not work; instead: one command at a time",
                "– a refused BDAT takes its octets with it (CHUNKING, RFC 3030): unknown",  # noqa: RUF001
            ]),
            ([], ["PIPELINING"], [
                "✓ several commands in one group (PIPELINING, RFC 2920): works",
                "– BDAT: not offered (CHUNKING)",  # noqa: RUF001
            ]),
            ([], ["8BITMIME"], [
                "– several commands in one group (PIPELINING, RFC 2920): not offered (PIPELINING)",  # noqa: RUF001
            ]),
        ],
        ids=["all works", "no NOOP, no chunks", "no groups", "no CHUNKING", "no PIPELINING"],
    )  # fmt: skip
    def test_what_the_server_does_is_found_out(
        self, quirks: list[str], extensions: list[str], words: list[str]
    ) -> None:
        with SMTPServer(quirks=quirks, extensions=extensions) as server:
            result = run("check", url_of(server))
            found = json.loads(run("check", url_of(server), "--json").stdout)["findings"]
            assert server.messages == []
        assert result.exit_code == 0 and "probed without sending mail" in result.stdout
        lines = [line.strip() for line in result.stdout.splitlines()]
        assert [line for line in words if line not in lines] == []
        assert found["noop"] == ("broken" if "no-noop" in quirks else "proven") and found["bdat"] == "unproven"

    def test_what_secures_the_connection_is_told_as_json(self) -> None:
        with SMTPServer(security="tls") as server:
            url = url_of(server, scheme="smtp+tls")
            found = json.loads(run("check", url, "--ca-file", server.ca_file or "", "--json").stdout)["tls"]
        assert found["verified"] is True and found["resumed"] is False and found["protocol"].startswith("TLSv1.")
        assert found["subject"] and found["issuer"] and found["not_after"] and len(found["fingerprint"]) == 64

    def test_a_proxy_in_the_way_is_named_without_its_password(self, server: SMTPServer, closed_port: int) -> None:
        result = run("check", url_of(server), "--proxy", f"socks5://ann:{SECRET}@127.0.0.1:{closed_port}")
        assert result.exit_code == 1 and "✗ connect" in result.stdout and SECRET not in result.output
        assert f"The proxy socks5://127.0.0.1:{closed_port} could not be reached" in result.stdout

    def test_what_is_not_done_is_marked_so(self, server: SMTPServer) -> None:
        result = run("check", url_of(server), "--json")
        states = {step["name"]: step["state"] for step in json.loads(result.stdout)["steps"]}
        assert result.exit_code == 0
        assert states["TLS"] == states["AUTH"] == "not done" and states["EHLO"] == states["offers"] == "passed"

    def test_a_directory_is_not_asked_for_a_greeting(self, tmp_path: Path) -> None:
        result = run("check", f"maildir://{tmp_path}")
        assert result.exit_code == 0 and f"✓ connect   MaildirTransport('{tmp_path}')" in result.stdout
        assert "– greeting" in result.stdout and "– EHLO" in result.stdout  # noqa: RUF001
        assert run("check", "maildir:///dev/null/x").exit_code == 1

    def test_a_wrong_password_fails_at_auth_with_the_servers_words(self) -> None:
        with SMTPServer(users={"ann": "right"}) as server:
            result = run("check", url_of(server, f"ann:{SECRET}"))
        assert result.exit_code == 1
        assert "✓ EHLO" in result.stdout and "– TLS" in result.stdout and "✗ AUTH" in result.stdout  # noqa: RUF001
        assert "the server said: 535" in result.stdout and "– offers" in result.stdout  # noqa: RUF001
        assert SECRET not in result.output

    def test_an_unverified_certificate_fails_at_tls_with_a_hint(self) -> None:
        with SMTPServer(security="ssl") as server:
            found = json.loads(run("check", url_of(server, scheme="smtps"), "--json").stdout)
        states = [(step["name"], step["state"]) for step in found["steps"]]
        assert states[:4] == [
            ("settings", "passed"), ("connect", "passed"), ("TLS", "failed"), ("greeting", "not done"),
        ]  # fmt: skip
        assert found["ok"] is False and "ca_file" in found["error"]["hint"]

    def test_a_refused_greeting(self, server: SMTPServer) -> None:
        server.reply_to("CONNECT", "554 5.7.1 Not from there")
        result = run("check", "-u", url_of(server))
        assert result.exit_code == 1
        assert "✓ connect" in result.stdout and "✗ greeting" in result.stdout and "Not from there" in result.stdout

    def test_a_closed_port_fails_at_connect(self, closed_port: int) -> None:
        result = run("check", f"smtp://127.0.0.1:{closed_port}")
        assert result.exit_code == 1 and "✗ connect" in result.stdout and "hint: " in result.stdout

    def test_wrong_settings_are_2(self) -> None:
        result = run("check", "--preset", "gmial")
        assert result.exit_code == 2 and "✗ settings" in result.stdout and "gmail" in result.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ["check", f"smtp://ann:{SECRET}@localhost:99999"],
        ["check", f"ann:{SECRET}@localhost"],
        ["check", f"smtp://ann:{SECRET}#@localhost"],
        ["check", "smtp://localhost", f"smtp://ann:{SECRET}@localhost"],
        ["check", "--preset", f"smtp://ann:{SECRET}@localhost"],
        ["check", "--server", f"smtp://ann:{SECRET}@localhost"],
        ["check", "--port", f"smtp://ann:{SECRET}@localhost"],
        ["send", f"smtp://ann:{SECRET}@localhost", "--server", "localhost"],
        ["send", f"ann:{SECRET}@localhost", "--server", "localhost"],
        ["demo", f"smtp://ann:{SECRET}@localhost"],
        [f"smtp://ann:{SECRET}@localhost"],
    ],
)
def test_a_password_typed_in_the_wrong_place_is_never_printed_back(arguments: list[str]) -> None:
    for extra in ([], ["--json"]) if arguments[0] in ("check", "send") else ([],):
        result = run(*arguments, *extra)
        assert result.exit_code == 2 and SECRET not in result.output + repr(result.exception)


def test_masking_leaves_the_rest_of_a_sentence() -> None:
    assert masked("see smtp://ann:pa ss@w@host:25 now") == "see smtp://***@host:25 now"
    assert masked("mail to ann@example.com") == "mail to ann@example.com"


class TestDemo:
    def test_sends_over_real_sockets_and_counts(self) -> None:
        result = run("demo")
        assert result.exit_code == 0, result.output
        assert result.stdout.splitlines()[-1] == "4 messages sent, 4 received."
        assert "C: STARTTLS" in result.stdout and "C: EHLO" in result.stdout and "octets of content" in result.stdout
        assert "partial: 1 of 2" in result.stdout and "550 5.1.1 No such user here" in result.stdout
        assert "text/plain, text/html, text/csv" in result.stdout and "correct horse" not in result.stdout

    def test_fails_when_a_message_is_missing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        from wlsmtp.cli import demo

        monkeypatch.setattr(demo, "_servers", _forgetful(demo._servers))
        result = run("demo")
        assert result.exit_code == 1 and result.stdout.splitlines()[-1] == "4 messages sent, 3 received."


def _forgetful(servers: Any) -> Any:
    """The demo's servers, of which one does not tell of its messages."""
    from contextlib import contextmanager
    from types import SimpleNamespace

    @contextmanager
    def replaced() -> Iterator[Any]:
        with servers() as (secured, plain):
            yield secured, SimpleNamespace(host=plain.host, port=plain.port, messages=[])

    return replaced


class TestTheDoor:
    def test_without_the_extra_it_says_what_to_install(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        for name in [name for name in sys.modules if name.startswith("wlsmtp.cli.")]:
            monkeypatch.delitem(sys.modules, name)
        monkeypatch.setitem(sys.modules, "typer", None)
        with pytest.raises(SystemExit) as ended:
            wlsmtp.cli.main()
        assert ended.value.code == 1
        assert capsys.readouterr().err == 'The wlsmtp command needs: pip install "wlsmtp[cli]"\n'

    def test_main_runs_a_command(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        monkeypatch.setattr(sys, "argv", ["wlsmtp", "--version"])
        with pytest.raises(SystemExit) as ended:
            wlsmtp.cli.main()
        assert ended.value.code == 0 and capsys.readouterr().out == f"wlsmtp {wlsmtp.__version__}\n"

    def test_a_fault_of_the_program_is_one_line(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        def fault(*_: object, **__: object) -> None:
            raise RuntimeError(f"smtp://ann:{SECRET}@localhost")

        monkeypatch.setattr("wlsmtp.cli.check.check", fault)
        monkeypatch.setattr(sys, "argv", ["wlsmtp", "check", "smtp://localhost"])
        with pytest.raises(SystemExit) as ended:
            wlsmtp.cli.main()
        shown = capsys.readouterr().err
        assert ended.value.code == 1 and "RuntimeError" in shown and SECRET not in shown and shown.count("\n") == 1
