"""Every Python example in the README runs, in order and in one namespace as a reader would type them; where it says
smtp.example.com, it talks to the embedded server."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import wlsmtp
from wlsmtp.testing import SMTPServer

README = Path(__file__).parent.parent / "README.md"
BLOCKS = re.findall(r"^```python\n(.*?)^```", README.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
TITLES = [block.strip().splitlines()[0][:60] for block in BLOCKS]


@pytest.fixture(scope="module")
def server() -> Iterator[SMTPServer]:
    users = {"ann@example.com": "s3cret"}
    with SMTPServer(security="tls", users=users, require_auth=True) as server:
        yield server


@pytest.fixture(scope="module")
def namespace() -> dict[str, Any]:
    return {"print": lambda *_: None}


@pytest.mark.parametrize("block", BLOCKS, ids=TITLES)
def test_an_example_runs(
    block: str, server: SMTPServer, namespace: dict[str, Any], smtp_server: SMTPServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    # OpenSSL's own variable makes the throw-away authority part of the system's trust store.
    monkeypatch.setenv("SSL_CERT_FILE", server.ca_file or "")
    there = block.replace('"smtp.example.com", 587', f'"localhost", {server.port}')
    there = there.replace('"smtp.example.com", security', f'"localhost", {server.port}, security')
    exec(compile(there, str(README), "exec"), namespace)
    for name in [name for name in namespace if name.startswith("test_")]:
        namespace.pop(name)(smtp_server)


def test_the_examples_did_send(server: SMTPServer) -> None:
    assert len(server.messages) == 1 + 20 + 101


def test_the_wrong_password_of_the_example_is_refused(server: SMTPServer) -> None:
    assert any(line.startswith(b"535") for _, _, line in server.transcript)


def test_the_exit_codes_and_options_are_those_of_the_command() -> None:
    runner = pytest.importorskip("typer.testing").CliRunner()
    from wlsmtp.cli.app import app

    text = README.read_text(encoding="utf-8")
    for command in ("demo", "check", "send"):
        usage = runner.invoke(app, [command, "--help"], env={"COLUMNS": "200", "NO_COLOR": "1"})
        assert usage.exit_code == 0
        for line in re.findall(rf"^wlsmtp {command} .*$", text, re.MULTILINE):
            assert all(option in usage.output for option in re.findall(r"--[a-z]+", line)), line


def test_the_number_of_providers_is_right() -> None:
    from wlsmtp.sources import presets

    assert f"{len(presets())} providers" in README.read_text(encoding="utf-8")
    assert wlsmtp.__version__.startswith("0.1")
