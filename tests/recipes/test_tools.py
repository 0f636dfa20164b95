"""The pages on Jupyter and pytest."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from tests.recipes import ONCE, blocks, environment, run, unpack
from wlsmtp.testing import SMTPServer


def _untyped(module: str) -> Any:
    return import_module(module)


@pytest.mark.filterwarnings("ignore")  # those of third-party packages
def test_a_notebook_runs(smtp_server: SMTPServer, monkeypatch: pytest.MonkeyPatch) -> None:
    nbclient, notebooks = _untyped("nbclient"), _untyped("nbformat.v4")
    for name, value in environment(smtp_server.port, **ONCE).items():
        monkeypatch.setenv(name, value)
    cells = [notebooks.new_code_cell(text) for text in blocks("recipes/jupyter").values()]
    notebook = notebooks.new_notebook(cells=cells)
    client = nbclient.NotebookClient(notebook, timeout=50, kernel_name="python3")
    with client.setup_kernel():
        for number, cell in enumerate(cells):
            client.execute_cell(cell, number)
        smtp_server.close()
        with pytest.raises(nbclient.exceptions.CellExecutionError, match="ConnectionFailed"):
            client.execute_cell(notebooks.new_code_cell("session.open(); " + blocks("recipes/jupyter")["cell 1"]), 0)
    assert "<Receipt" in cells[0].outputs[0]["data"]["text/plain"]
    assert [message.header("Subject") for message in smtp_server.messages] == ["Results", "More"]


def test_the_tests_of_the_page_pass_on_two_workers(tmp_path: Path) -> None:
    directory = unpack("pytest", tmp_path)
    plugins = ("-p", "xdist.plugin", "-p", "pytest_asyncio.plugin", "-p", "wlsmtp.testing.plugin")
    options = ("-q", "-n", "2", "-p", "no:cacheprovider", "-o", "asyncio_default_fixture_loop_scope=function")
    env = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_ADDOPTS": ""}  # the others that are installed here take long
    done = run(directory, "-m", "pytest", *options, *plugins, port=1, **env)
    assert "7 passed" in done.stdout, done.stdout
