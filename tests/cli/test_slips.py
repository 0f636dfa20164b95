"""Slips at the command line: one clear line in its words, an exit code that scripts can rely on, and no secret."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer

from tests.cli.test_cli import SECRET, WRITTEN, run, url_of
from wlsmtp import SMTPSession
from wlsmtp.testing import SMTPServer


@pytest.fixture(scope="module")
def server() -> Iterator[SMTPServer]:
    with SMTPServer() as server:
        yield server


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["send", "--server", "smtp.example.com:587"], "without the port: --server smtp.example.com --port 587"),
        (["send", "--server", "smtp://smtp.example.com"], "is a URL; give it with --url"),
        (["send", "smtp://smtp.example.com"], "is a URL. Put --url before it"),
        (["send", "--server", "[::1"], "--server: must be a host name"),
        (["send", "--url", "smtp://a", "--attempts", "0"], "use --attempts 1"),
        (["send", "--url", "smtp://a", "--fingerprint", "zz"], "--fingerprint: a SHA-256 digest"),
        (["send", "--url", "smtp://a", "--proxy", "zz"], "--proxy: must look like"),
        (["send", "--preset", "gmial"], "--preset: 'gmial' is not known"),
        (["send", "--url", "smtp://a?server=b"], "server is given twice"),
        (["send", "--url", "smtp://a", "--ca-file", "/no/such.pem"], "--ca-file: cannot be read (No such file"),
        (
            ["send", "--url", "smtp://a", "--username", "ann", "--ask-password"],
            "--ask-password: there is nobody to ask",
        ),
        (["check", "a b"], "' ' cannot be in a domain"),
        (["check", "[::1"], "a pair, as in [::1]"),
    ],
    ids=" ".join,
)
def test_it_is_told_in_options(arguments: list[str], words: str) -> None:
    result = run(*arguments, *(WRITTEN if arguments[0] == "send" else []), stdin=b"")
    assert result.exit_code == 2 and words in result.output, result.output


@pytest.mark.parametrize(
    ("arguments", "option"),
    [
        (["send", "--from", "ann@example.com", "--from", "eve@example.com"], "--from"),
        (["send", "--subject", "a", "--to", "b@example.org", "--subject=b"], "--subject"),
        (["send", "--text", "a", "--text", f"{SECRET}"], "--text"),
        (["check", "--port", "25", "--port", "587", "localhost"], "--port"),
        (["merge", "--server", "a", "--server", "b", "t", "r"], "--server"),
        (["outbox", "list", "-o", "a.db", "--outbox", "b.db"], "--outbox"),
        (["dkim", "keygen", "a.org", "s1", "-o", "a", "--output", "b"], "--output"),
    ],
    ids=" ".join,
)
def test_an_option_with_one_value_is_not_given_twice(arguments: list[str], option: str) -> None:
    result = run(*arguments, stdin=b"")
    assert result.exit_code == 2 and option in result.stderr, result.output
    assert "is given twice, and takes one value" in result.stderr and SECRET not in result.output


def test_flags_and_lists_may_be_given_again(server: SMTPServer) -> None:
    more = ["--to", "b@example.org", "--to", "c@example.org", "--json", "--json"]
    assert run("send", "--url", url_of(server), *WRITTEN, *more).exit_code == 0
    assert {"b@example.org", "c@example.org"} <= {*server.messages[-1].recipients}


def test_help_is_short_too_and_a_word_that_finds_no_provider_is_told() -> None:
    assert run("-h").exit_code == run("send", "-h").exit_code == 0
    result = run("presets", "zzz")
    assert (result.exit_code, result.stdout) == (1, "") and "no provider has 'zzz'" in result.stderr


@pytest.mark.parametrize("error", [KeyboardInterrupt, typer.Abort])
def test_an_interrupted_command_says_so(monkeypatch: pytest.MonkeyPatch, error: type[BaseException]) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("wlsmtp.cli.app._deliver", interrupted)
    result = run("send", *WRITTEN)
    assert (result.exit_code, result.stderr) == (130, "wlsmtp: interrupted\n")


COMMAND = f"{sys.executable} -m wlsmtp"


def shell(line: str) -> subprocess.CompletedProcess[str]:
    environ = {name: value for name, value in os.environ.items() if not name.startswith("WLSMTP_")}
    return subprocess.run(["bash", "-c", line], capture_output=True, text=True, env=environ, timeout=60)


def test_a_message_that_was_sent_was_sent_whoever_reads_of_it(server: SMTPServer, tmp_path: Path) -> None:
    words = f"send --url {url_of(server)} --from a@example.com --to b@example.org --text x"
    for to in (">/dev/full", ">&-", "| true", "--json >/dev/full"):
        done = shell(f"{COMMAND} {words} {to}; test ${{PIPESTATUS[0]}} = 0 && echo sent >{tmp_path}/code")
        assert (tmp_path / "code").read_text() == "sent\n", done.stderr
        (tmp_path / "code").unlink()
        assert "Traceback" not in done.stderr and "internal" not in done.stderr and SECRET not in done.stderr
    full = shell(f"{COMMAND} presets >/dev/full")
    assert (full.returncode, full.stderr) == (1, "wlsmtp: No space left on device\n")


TEMPLATE = "{% block subject %}Hi{% endblock %}{% block text %}Hello {{ name }}{% endblock %}"


@pytest.mark.parametrize("to", [">/dev/full", ">&-", "| true"])
def test_a_mailing_goes_on_when_its_output_is_lost(server: SMTPServer, tmp_path: Path, to: str) -> None:
    (tmp_path / "letter.txt").write_text(TEMPLATE)
    (tmp_path / "rows.csv").write_text("to,name\nbob@example.org,Bob\nnobody,Nobody\ncy@example.org,Cy\n")
    before = len(server.messages)
    files = f"{tmp_path}/letter.txt {tmp_path}/rows.csv"
    done = shell(f"{COMMAND} merge {files} --from a@x.org --send --url {url_of(server)} {to}; exit ${{PIPESTATUS[0]}}")
    assert (done.returncode, len(server.messages) - before) == (3, 2), done.stderr
    assert done.stderr == ("wlsmtp: the output cannot be written (No space left on device)\n" if "full" in to else "")


@pytest.mark.parametrize("to", [">/dev/full", "--json | true"])
def test_a_worker_of_an_outbox_goes_on_when_its_output_is_lost(server: SMTPServer, tmp_path: Path, to: str) -> None:
    outbox = f"sqlite:///{tmp_path}/outbox.db"
    with SMTPSession("127.0.0.1", mode="async", outbox=outbox, outbox_worker=False) as session:
        for name in ("bob", "cy"):
            session.send(sender="ann@example.com", to=f"{name}@example.org", text="Hello")
        done = shell(f"{COMMAND} outbox run -o {outbox} --once --url {url_of(server)} {to}; exit ${{PIPESTATUS[0]}}")
        assert (done.returncode, session.outbox_statistics().sent) == (0, 2), done.stderr
    assert done.stderr == ("wlsmtp: the output cannot be written (No space left on device)\n" if "full" in to else "")
