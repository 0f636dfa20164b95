"""Mailpit's client from npm makes its calls to the inbox. scripts/install-mail-readers.sh installs it."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.corpus.readers import INSTALLED
from wlsmtp.inbox import Inbox, Store
from wlsmtp.testing import SMTPServer

CLIENT = INSTALLED / "node" / "node_modules" / "mailpit-api" / "dist" / "index.mjs"


def test_each_call_of_its_client_is_answered() -> None:
    node = shutil.which("node")
    if node is None or not CLIENT.is_file():
        reason = "mailpit-api is not installed: sh scripts/install-mail-readers.sh (it needs npm)"
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(reason)
    with SMTPServer() as outside, Store() as store, Inbox(store=store, release=outside.url) as inbox:
        calls = Path(__file__).with_name("mailpit_calls.mjs")
        command = [node, str(calls), CLIENT.as_uri(), inbox.web_url, inbox.token or ""]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=50, check=False)
        assert "all calls answered" in ended.stdout, ended.stderr
        assert [message.recipients for message in outside.messages] == [("me@example.com",)]
