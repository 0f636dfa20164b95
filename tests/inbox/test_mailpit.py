"""What was written for Mailpit runs against the inbox: its client from npm, the commands of cypress-mailpit, and a
suite for Playwright. scripts/install-mail-readers.sh installs them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.corpus.readers import INSTALLED
from wlsmtp.inbox import Inbox, Store
from wlsmtp.testing import SMTPServer

HERE = Path(__file__).parent
MODULES = INSTALLED / "node" / "node_modules"


def needs(*packages: str) -> str:
    """The program node; the test is skipped where a package of npm is missing."""
    node = shutil.which("node")
    missing = [package for package in packages if not (MODULES / package).is_dir()]
    if node is None or missing:
        reason = f"not installed: {' '.join(missing) or 'node'}: sh scripts/install-mail-readers.sh (it needs npm)"
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(reason)
    assert node is not None
    return node


def test_each_call_of_its_client_is_answered() -> None:
    node = needs("mailpit-api")
    client = MODULES / "mailpit-api" / "dist" / "index.mjs"
    with SMTPServer() as outside, Store() as store, Inbox(store=store, release=outside.url) as inbox:
        command = [node, str(HERE / "mailpit_calls.mjs"), client.as_uri(), inbox.web_url, inbox.token or ""]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=50, check=False)
        assert "all calls answered" in ended.stdout, ended.stderr
        assert [message.recipients for message in outside.messages] == [("me@example.com",)]


def test_each_command_of_cypress_mailpit_is_answered() -> None:
    node = needs("cypress-mailpit")
    with Store() as store, Inbox(store=store) as inbox:
        package = (MODULES / "cypress-mailpit" / "dist" / "index.js").as_uri()
        command = [node, str(HERE / "cypress_calls.cjs"), package, inbox.web_url, inbox.token or ""]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=50, check=False)
        assert "all commands answered" in ended.stdout, ended.stderr


def test_a_suite_for_playwright_passes(tmp_path: Path) -> None:
    node, chromium = needs("@playwright/test", "mailpit-api"), shutil.which("chromium")
    if chromium is None:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)("not installed: chromium")
    (tmp_path / "node_modules").symlink_to(MODULES)
    shutil.copy(HERE / "playwright" / "signup.spec.mjs", tmp_path)
    launch = json.dumps({"executablePath": chromium, "args": ["--no-sandbox", "--disable-dev-shm-usage"]})
    settings = f"export default {{ workers: 1, reporter: 'line', use: {{ launchOptions: {launch} }} }};"
    (tmp_path / "playwright.config.mjs").write_text(settings)
    with Store() as store, Inbox(store=store).listen() as inbox:
        assert inbox.smtp is not None
        environment = {
            **os.environ,
            "MAILPIT_URL": inbox.web_url,
            "MAILPIT_TOKEN": inbox.token or "",
            "SMTP_PORT": str(inbox.smtp.port),
        }
        command = [node, str(MODULES / "@playwright" / "test" / "cli.js"), "test"]
        ended = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=55, check=False
        )
        assert ended.returncode == 0 and "2 passed" in ended.stdout, ended.stdout + ended.stderr
