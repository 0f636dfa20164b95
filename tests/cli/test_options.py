"""The command line speaks its own options, and knows servers by host and port, providers by name, and certificates by
their fingerprints."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import wlsmtp
from tests.cli.test_cli import run
from wlsmtp import ConfigError
from wlsmtp.cli.settings import ServerOptions, with_address
from wlsmtp.cli.words import in_options
from wlsmtp.presets import PRESETS
from wlsmtp.smtp.hints import ROWS
from wlsmtp.testing import SMTPServer

PACKAGE = Path(wlsmtp.__file__).parent
OF_PYTHON_ONLY = re.compile(
    r"client_(?:id|auth)|token_url|listener|open\(\)|close\(\)|encode\(\)|dict\(|from_text|seek\(|send\(|set_content|"
    r"model_copy|session\.config|send_many|DeliveryOptions|outbox=|error's left|replace\(|dkim=|except|"
    r"MIMEText|textwrap|asyncio\.run"
)
"""Advice about calls that the command line does not make."""


@pytest.fixture
def server() -> Iterator[SMTPServer]:
    with SMTPServer(security="tls") as server:
        yield server


def hints_in_the_code() -> set[str]:
    """The texts that are given to errors as hints."""
    found: set[str] = set()
    for path in PACKAGE.rglob("*.py"):
        if path.relative_to(PACKAGE).parts[0] in ("testing", "cli", "wlanguage"):
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            is_keyword = isinstance(node, ast.keyword) and node.arg == "hint"
            if is_keyword or (isinstance(node, ast.Assign) and "hint" in ast.unparse(node.targets[0])):
                found.update(_texts(node.value))  # type: ignore[attr-defined]
    return found


def _texts(value: ast.expr) -> Iterator[str]:
    if isinstance(value, ast.Constant) and isinstance(value.value, str):
        yield value.value
    elif isinstance(value, ast.IfExp):
        yield from (*_texts(value.body), *_texts(value.orelse))


EVERY_HINT = sorted(
    {row.hint for row in ROWS if row.hint}
    | {str(row["advice"]) for row in PRESETS.values()}
    | {hint for hint in hints_in_the_code() if not OF_PYTHON_ONLY.search(hint)}
)


@pytest.mark.parametrize("hint", EVERY_HINT)
def test_no_hint_speaks_python(hint: str) -> None:
    told = re.sub(r"\?[\w.]+=\S* in the URL", "", in_options(hint))
    assert re.findall(r"\w\(|\w+=(?:…|'|True|False)|'(?:tls|ssl)'", told) == []
    assert not re.search(r"username and password\b|\blocal_hostname\b", told)


def test_what_says_nothing_of_settings_stays_as_it_is() -> None:
    for text in ("Check the spelling of the server name", "use a token-ring", "The server said: 550 TLS=no; mode=x"):
        assert in_options(text) == text


@pytest.mark.parametrize(
    ("address", "server", "port", "security"),
    [
        ("smtp.example.com:587", "smtp.example.com", 587, "tls"),
        ("smtp.example.com:465", "smtp.example.com", 465, "ssl"),
        ("smtp.example.com:2525", "smtp.example.com", 2525, "default"),
        ("smtp.example.com", "smtp.example.com", 25, "default"),
        ("[2001:db8::1]:465", "2001:db8::1", 465, "ssl"),
        ("smtps://smtp.example.com", "smtp.example.com", 465, "ssl"),
    ],
)
def test_an_address_is_host_and_port_or_a_url(address: str, server: str, port: int, security: str) -> None:
    config = with_address(ServerOptions(), address).config()
    assert (config.server, config.port, config.security) == (server, port, security)


def test_an_option_wins_over_what_the_port_says() -> None:
    options = ServerOptions(security=wlsmtp.Security.SSL, port=587)
    assert with_address(options, "smtp.example.com:587").config().security == "ssl"
    with pytest.raises(ConfigError, match="twice"):
        with_address(options, "smtp.example.com:465")


class TestCertificates:
    def test_the_one_that_is_not_accepted_is_shown(self, server: SMTPServer) -> None:
        address = f"{server.host}:{server.port}"
        result = run("check", address, "--security", "tls")
        assert result.exit_code == 1 and "✗ TLS" in result.stdout and address in result.stdout
        assert "for localhost, 127.0.0.1" in result.stdout and "--fingerprint" in result.stdout
        shown = json.loads(run("check", address, "--security", "tls", "--json").stdout)["certificate"]
        assert "localhost" in shown["names"] and f"SHA-256 {shown['fingerprint']}" in result.stdout
        assert "issued by" in result.stdout and "trustme" in shown["issuer"]

    @pytest.mark.parametrize("command", ["check", "send"])
    def test_it_can_be_trusted_by_its_fingerprint(self, server: SMTPServer, command: str) -> None:
        address = f"{server.host}:{server.port}"
        shown = json.loads(run("check", address, "--security", "tls", "--json").stdout)["certificate"]
        where = ["--server", server.host, "--port", str(server.port), "--security", "tls"]
        mail = ["--from", "a@example.com", "--to", "b@example.org", "--text", "x"] if command == "send" else []
        trusted = run(command, *where, "--fingerprint", shown["fingerprint"], *mail)
        assert trusted.exit_code == 0, trusted.output
        assert run(command, *where, "--fingerprint", "00" * 32, *mail).exit_code == 1

    @pytest.mark.parametrize("how", ["--insecure", "--ca-file"])
    def test_or_by_its_authority_or_not_at_all(self, server: SMTPServer, how: str) -> None:
        extra = [how, server.ca_file] if how == "--ca-file" else [how]
        result = run("check", f"{server.host}:{server.port}", "--security", "tls", *extra)
        assert result.exit_code == 0, result.output
        assert ("not verified" in result.stdout) is (how == "--insecure")

    def test_not_in_two_ways(self) -> None:
        result = run("check", "localhost:1", "--insecure", "--fingerprint", "00" * 32)
        assert result.exit_code == 2 and "--fingerprint and --insecure cannot be combined" in result.output


def test_a_refusal_is_explained_with_options() -> None:
    with SMTPServer(profile="postfix") as server:
        server.reply_to("MAIL", "530 5.7.1 Authentication required")
        where = ["--server", server.host, "--port", str(server.port)]
        result = run("send", *where, "--from", "a@example.com", "--to", "b@example.org", "--text", "x")
    assert "give --username and --password-file" in result.stderr


def test_a_token_and_a_name_come_with_options(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("ya29.t0ken\n")
    with SMTPServer(tokens={"ann": "ya29.t0ken"}, mechanisms=["XOAUTH2"]) as server:
        where = [f"{server.host}:{server.port}", "--username", "ann", "--token-file", str(tmp_path / "token")]
        result = run("check", *where, "--local-hostname", "client.example.com")
    assert result.exit_code == 0, result.output
    assert "EHLO client.example.com" in result.stdout and "with XOAUTH2" in result.stdout


class TestPresets:
    def test_all_are_listed(self) -> None:
        result = run("presets")
        assert result.exit_code == 0 and len(result.stdout.splitlines()) == len(PRESETS) + 1
        assert "smtp.gmail.com:587" in result.stdout

    @pytest.mark.parametrize(("word", "names"), [("gmail", {"gmail"}), ("Amazon", None), ("orange.fr", {"orange"})])
    def test_those_with_a_word(self, word: str, names: set[str] | None) -> None:
        found = json.loads(run("presets", word, "--json").stdout)
        assert found and set(found) == (names or {name for name in PRESETS if name.startswith("ses-")})

    def test_none_is_a_failure(self) -> None:
        result = run("presets", "nowhere-at-all")
        assert (result.exit_code, result.stdout) == (1, "")


class TestCompletion:
    @pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
    def test_a_script_for_each_shell(self, shell: str) -> None:
        result = run("completion", shell)
        assert result.exit_code == 0 and f"_WLSMTP_COMPLETE=complete_{shell}" in result.stdout

    @pytest.mark.parametrize(
        ("typed", "offered"),
        [("wlsmtp ch", "check"), ("wlsmtp check --finger", "--fingerprint"), ("wlsmtp send --preset gma", "gmail")],
    )
    def test_what_a_shell_is_offered(self, typed: str, offered: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("_WLSMTP_COMPLETE", "complete_bash")
        monkeypatch.setenv("COMP_WORDS", typed)
        monkeypatch.setenv("COMP_CWORD", str(len(typed.split()) - 1))
        assert run(prog_name="wlsmtp").stdout.splitlines() == [offered]
