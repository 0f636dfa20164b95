"""Completion in the shells themselves, each with the script that the command prints."""

from __future__ import annotations

import os
import pty
import re
import select
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.test_cli import run

ENVIRONMENT = {
    "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    "TERM": "dumb",
    "LC_ALL": "C.UTF-8",
    "HOME": "/nonexistent",
}
LIMIT = 40.0
"""Seconds after which a shell that says nothing has failed."""


@pytest.fixture
def shell(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """The folder with the script for the shell of this name."""
    if shutil.which(request.param) is None:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(f"{request.param} is not installed")
    script = run("completion", request.param).stdout
    (tmp_path / ("_wlsmtp" if request.param == "zsh" else "script")).write_text(script)
    return tmp_path


def output_of(*command: str) -> str:
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, timeout=LIMIT, check=True)
    assert done.stderr == ""
    return done.stdout


@pytest.mark.parametrize("shell", ["bash"], indirect=True)
def test_bash(shell: Path) -> None:
    function = output_of("bash", "--norc", "-c", f". {shell}/script; complete -p wlsmtp").split()[-2]
    typed = "COMP_WORDS=(wlsmtp send --preset gma); COMP_CWORD=3"
    ask = f'. {shell}/script; {typed}; {function} wlsmtp; echo "${{COMPREPLY[@]}}"'
    assert output_of("bash", "--norc", "-c", ask) == "gmail\n"


@pytest.mark.parametrize("shell", ["fish"], indirect=True)
def test_fish(shell: Path) -> None:
    found = output_of("fish", "--no-config", "-c", f'source {shell}/script; complete -C "wlsmtp send --preset gma"')
    assert [line.partition("\t")[0] for line in found.splitlines()] == ["gmail"]


@pytest.mark.parametrize("shell", ["zsh"], indirect=True)
def test_zsh(shell: Path) -> None:
    """As a user has it: the script in a folder of $fpath, and the tabulator pressed once."""
    terminal, theirs = pty.openpty()
    command = (
        f"fpath=({shell} $fpath); autoload -Uz compinit; compinit -u -d {shell}/dump; PS1='ready '; "
        "unsetopt zle_bracketed_paste\n"
    )
    process = subprocess.Popen(
        ["zsh", "-f", "-i"], stdin=theirs, stdout=theirs, stderr=theirs, env=ENVIRONMENT, start_new_session=True
    )
    os.close(theirs)
    try:
        os.write(terminal, command.encode())
        read_until(terminal, r"\nready |\rready ")
        os.write(terminal, b"echo; wlsmtp send --preset gma\t")
        read_until(terminal, "gmail")
    finally:
        process.kill()
        process.wait()
        os.close(terminal)


def read_until(terminal: int, pattern: str) -> None:
    shown = ""
    while re.search(pattern, shown) is None:
        assert select.select([terminal], [], [], LIMIT)[0], f"nothing more after: {shown!r}"
        shown += os.read(terminal, 4096).decode(errors="replace")
