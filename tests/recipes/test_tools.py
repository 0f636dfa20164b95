"""The pages on Jupyter, pytest, tables and PGP."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from tests.recipes import ONCE, blocks, environment, examples, run, unpack
from tests.recipes.postfix import MailServer
from wlsmtp import ConnectionFailed, RetryPolicy, SMTPSession


def _untyped(module: str) -> Any:
    return import_module(module)


@pytest.mark.filterwarnings("ignore")  # those of third-party packages
def test_a_notebook_runs(mail_server: MailServer, monkeypatch: pytest.MonkeyPatch) -> None:
    nbclient, notebooks = _untyped("nbclient"), _untyped("nbformat.v4")
    for name, value in environment(mail_server.port, **ONCE).items():
        monkeypatch.setenv(name, value)
    cells = [notebooks.new_code_cell(text) for text in blocks("recipes/jupyter").values()]
    notebook = notebooks.new_notebook(cells=cells)
    client = nbclient.NotebookClient(notebook, timeout=50, kernel_name="python3")
    with client.setup_kernel():
        for number, cell in enumerate(cells):
            client.execute_cell(cell, number)
        mail_server.close()
        with pytest.raises(nbclient.exceptions.CellExecutionError, match="ConnectionFailed"):
            client.execute_cell(notebooks.new_code_cell("session.open(); " + blocks("recipes/jupyter")["cell 1"]), 0)
    assert "<Receipt" in cells[0].outputs[0]["data"]["text/plain"]
    assert [message.header("Subject") for message in mail_server.messages] == ["Results", "More"]


def test_the_tests_of_the_page_pass_on_two_workers(tmp_path: Path) -> None:
    directory = unpack("pytest", tmp_path)
    plugins = ("-p", "xdist.plugin", "-p", "pytest_asyncio.plugin", "-p", "wlsmtp.testing.plugin")
    options = ("-q", "-n", "2", "-p", "no:cacheprovider", "-o", "asyncio_default_fixture_loop_scope=function")
    env = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_ADDOPTS": ""}  # the others that are installed here take long
    done = run(directory, "-m", "pytest", *options, *plugins, port=1, **env)
    assert "7 passed" in done.stdout, done.stdout


def test_a_frame_that_could_not_be_sent_is_sent_later_as_the_same_message(mail_server: MailServer) -> None:
    example: dict[str, Any] = {}
    exec(examples("recipes/dataframe")[0], example)
    mail_server.close()
    with SMTPSession(mail_server.host, mail_server.port, retry=RetryPolicy(attempts=1)) as session:
        with pytest.raises(ConnectionFailed) as down:
            session.send(example["message"])
        mail_server.open()
        receipt = session.send(example["message"])
    [received] = mail_server.messages
    [table] = received.email.iter_attachments()
    assert "Köln,12" in table.get_content()
    assert down.value.receipt is not None
    assert received.header("Message-ID") == receipt.message_id == down.value.receipt.message_id


def test_an_outbox_keeps_the_encrypted_message_until_the_server_is_back(
    mail_server: MailServer, tmp_path: Path
) -> None:
    before_send, _, _ = examples("recipes/pgp")[0].partition("with TemporaryDirectory()")
    example: dict[str, Any] = {}
    exec(before_send, example)
    gpg = example["gnupg"].GPG(gnupghome=str(tmp_path))
    settings = {"name_email": "bob@example.org", "key_type": "EDDSA", "key_curve": "ed25519"}
    gpg.gen_key(gpg.gen_key_input(**settings, subkey_type="ECDH", subkey_curve="cv25519", no_protection=True))
    mail_server.close()
    retry = RetryPolicy(attempts=100, backoff=0.1, jitter=0)
    options: dict[str, Any] = {"mode": "async", "outbox": "memory:", "before_send": example["PGP"](gpg)}
    with SMTPSession(mail_server.host, mail_server.port, retry=retry, **options) as session:
        kept = session.send(sender="ann@example.com", to="bob@example.org", subject="Hi", text="For your eyes only")
        mail_server.open()
        assert kept.wait(30)
    [received] = mail_server.messages
    [_, encrypted] = received.email.iter_parts()
    assert b"For your eyes only" not in received.content
    assert b"For your eyes only" in gpg.decrypt(encrypted.get_payload(decode=True)).data
