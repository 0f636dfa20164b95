"""Every Python example in the README runs, in order and in one namespace as a reader would type them; where it says
smtp.example.com, it talks to the embedded server. The examples in docs/ bring their own servers."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import wlsmtp
from tests.contrib import project
from wlsmtp.inbox import Inbox, Store
from wlsmtp.testing import SMTPServer

README = Path(__file__).parent.parent / "README.md"
FENCE = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
BLOCKS = FENCE.findall(README.read_text(encoding="utf-8"))
PAGES = sorted((README.parent / "docs").rglob("*.md"))
HAVE_TESTS_OF_THEIR_OWN = {"wlanguage", "pgp"}
EXAMPLES = [
    pytest.param(page, block, id=f"{page.stem}-{number}")
    for page in PAGES
    if page.stem not in HAVE_TESTS_OF_THEIR_OWN
    for number, block in enumerate(FENCE.findall(page.read_text(encoding="utf-8")))
]
TITLES = [block.strip().splitlines()[0][:60] for block in BLOCKS]


@pytest.fixture(scope="module")
def server() -> Iterator[SMTPServer]:
    users = {"ann@example.com": "s3cret"}
    with SMTPServer(security="tls", users=users, require_auth=True) as server:
        yield server


@pytest.fixture(scope="module")
def provider() -> Iterator[SMTPServer]:
    """Stands in for smtp.example.com, and for Gmail, in the pages of docs."""
    users = {"ann@example.com": "s3cret", "ann@gmail.com": "abcd efgh ijkl mnop"}
    with SMTPServer(security="tls", users=users, require_auth=True) as server:
        yield server


@pytest.fixture(scope="module")
def development() -> Iterator[Inbox]:
    """Stands in for ``wlsmtp inbox``, on a port that is free."""
    with Store() as store, Inbox(store=store).listen() as inbox:
        yield inbox


@pytest.fixture(scope="module")
def namespace() -> dict[str, Any]:
    return {"print": lambda *_: None}


def sent_to(server: SMTPServer, block: str) -> str:
    """The example with the server of the tests in place of the one that it names."""
    block = block.replace('"smtp.example.com", 587', f'"localhost", {server.port}')
    block = re.sub(r'from_preset\("gmail", (?=.*password)', f'from_url("smtp+tls://localhost:{server.port}", ', block)
    return block.replace('Session("smtp.example.com", security', f'Session("localhost", {server.port}, security')


@pytest.mark.parametrize("block", BLOCKS, ids=TITLES)
def test_an_example_runs(
    block: str, server: SMTPServer, development: Inbox, namespace: dict[str, Any], smtp_server: SMTPServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    # OpenSSL's own variable makes the throw-away authority part of the system's trust store.
    monkeypatch.setenv("SSL_CERT_FILE", server.ca_file or "")
    assert development.smtp is not None
    block = block.replace('"127.0.0.1", 1025', f'"127.0.0.1", {development.smtp.port}')
    exec(compile(sent_to(server, block), str(README), "exec"), namespace)
    for name in [name for name in namespace if name.startswith("test_")]:
        namespace.pop(name)(smtp_server)


@pytest.fixture(autouse=True)
def a_project_of_django() -> None:
    """Readers of these pages have a Django project."""
    project.configure()


@pytest.mark.parametrize(("page", "block"), EXAMPLES)
def test_an_example_of_the_docs_runs_on_its_own(
    page: Path, block: str, provider: SMTPServer, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    namespace: dict[str, Any] = {}
    monkeypatch.setenv("SSL_CERT_FILE", provider.ca_file or "")
    if (database := "postgresql://app@db.example.com/shop") in block:
        block = block.replace(database, request.getfixturevalue("postgres").url)
    exec(compile(sent_to(provider, block), str(page), "exec"), namespace)
    for test in [value for name, value in namespace.items() if name.startswith("test_")]:
        test(**{name: request.getfixturevalue(name) for name in inspect.signature(test).parameters})


@pytest.mark.parametrize("page", [README, *PAGES], ids=lambda page: page.stem)
def test_a_link_to_a_file_leads_somewhere(page: Path) -> None:
    """Also on GitHub, but for the pictures that the site draws while it is built."""
    for target in re.findall(r"\]\((?!https?://)([^)#]+)\)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists() or (target.endswith(".svg") and "/" not in target), target


def test_every_error_has_its_section() -> None:
    def below(kind: type[BaseException]) -> list[type[BaseException]]:
        return [one for sub in kind.__subclasses__() for one in (sub, *below(sub))]

    text = (README.parent / "docs" / "reference" / "errors.md").read_text(encoding="utf-8")
    names = {getattr(wlsmtp, name): name for name in wlsmtp.__all__}
    public = [names[kind] for kind in below(wlsmtp.SMTPError) if kind in names]
    assert re.findall(r"^## (\w+)$", text, re.MULTILINE) == public


def test_the_examples_did_send(server: SMTPServer) -> None:
    assert len(server.messages) == 1 + 20 + 100


def test_the_first_mail_is_in_the_inbox(development: Inbox) -> None:
    [mail] = development.messages
    assert (mail.subject, mail.text.strip()) == ("Hi", "Hello Bob")
    assert '"wlsmtp[inbox]"\nwlsmtp inbox --open\n' in README.read_text(encoding="utf-8")


def test_the_wrong_password_of_the_example_is_refused(server: SMTPServer) -> None:
    assert any(line.startswith(b"535") for _, _, line in server.transcript)


def test_the_commands_of_the_docs_have_their_options() -> None:
    runner = pytest.importorskip("typer.testing").CliRunner()
    from wlsmtp.cli.app import app

    text = (README.parent / "docs" / "reference" / "cli.md").read_text(encoding="utf-8")
    for command in ("demo", "check", "send"):
        usage = runner.invoke(app, [command, "--help"], env={"COLUMNS": "200", "NO_COLOR": "1"})
        assert usage.exit_code == 0
        lines = re.findall(rf"^wlsmtp {command}\b.*$", text, re.MULTILINE)
        assert lines
        for line in lines:
            assert all(option in usage.output for option in re.findall(r"--[a-z]+", line)), line


def test_the_readme_is_short() -> None:
    assert len(README.read_text(encoding="utf-8").splitlines()) <= 200
