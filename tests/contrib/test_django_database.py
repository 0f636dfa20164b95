"""Mail in the database of a site, in the transaction that it belongs to: it is sent if that is committed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("django")

from django.core.exceptions import ImproperlyConfigured
from django.core.mail import EmailMessage, send_mail
from django.db import connections, transaction

from tests.contrib import project
from tests.contrib.site import backend, mail_settings
from tests.postgres import Postgres
from wlsmtp import Status
from wlsmtp.contrib import django as ours
from wlsmtp.contrib.django import receipt_of
from wlsmtp.testing import SMTPServer

ALIAS = "shop"
TO_BOB = ("Your order", "Hello", "shop@example.com", ["bob@example.org"])


class Rollback(Exception):
    """Ends a transaction."""


@pytest.fixture
def shop(postgres: Postgres) -> Iterator[Any]:
    """A connection to the database of a site, with a table of orders."""
    project.set_up()
    where = {"HOST": "127.0.0.1", "PORT": postgres.port, "USER": "tester", "NAME": "postgres"}
    settings = {"ENGINE": "django.db.backends.postgresql", **where}
    connections.settings[ALIAS] = connections.configure_settings({"default": {}, ALIAS: settings})[ALIAS]
    connection = connections[ALIAS]
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE IF EXISTS orders")
        cursor.execute("CREATE TABLE orders (number integer)")
    yield connection
    ours.kept.close_all()
    connection.close()
    del connections[ALIAS]
    del connections.settings[ALIAS]


@pytest.fixture
def mailing(shop: Any, smtp_server: SMTPServer) -> Iterator[SMTPServer]:
    """The settings of the site, and its server."""
    with mail_settings(host=smtp_server.host, port=smtp_server.port, outbox=f"database:{ALIAS}"):
        yield smtp_server


def orders(connection: Any) -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM orders")
        return int(cursor.fetchone()[0])


def order(connection: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO orders VALUES (4711)")


def test_a_commit_sends_one_mail(shop: Any, mailing: SMTPServer) -> None:
    with transaction.atomic(using=ALIAS):
        order(shop)
        message = EmailMessage(*TO_BOB)
        assert message.send() == 1
        receipt = receipt_of(message)
        assert receipt is not None and receipt.status is Status.PENDING
        assert not mailing.messages
    assert orders(shop) == 1
    assert backend().session.flush(timeout=30) == 0
    assert [message.recipients for message in mailing.messages] == [("bob@example.org",)]


def test_a_rollback_sends_none(shop: Any, mailing: SMTPServer) -> None:
    with pytest.raises(Rollback), transaction.atomic(using=ALIAS):
        order(shop)
        assert send_mail(*TO_BOB) == 1
        raise Rollback
    assert orders(shop) == 0
    assert backend().session.flush(timeout=30) == 0
    assert backend().session.outbox_statistics().pending == 0
    assert not mailing.messages


def test_several_mails_are_for_the_transaction_too(shop: Any, mailing: SMTPServer) -> None:
    with pytest.raises(Rollback), transaction.atomic(using=ALIAS):
        assert backend().send_messages([EmailMessage(*TO_BOB) for _ in range(3)]) == 3
        raise Rollback
    with transaction.atomic(using=ALIAS):
        assert backend().send_messages([EmailMessage(*TO_BOB) for _ in range(3)]) == 3
    assert backend().session.flush(timeout=30) == 0
    assert len(mailing.messages) == 3


def test_without_a_transaction_mail_is_kept_at_once(shop: Any, mailing: SMTPServer) -> None:
    assert send_mail(*TO_BOB) == 1
    assert backend().session.flush(timeout=30) == 0
    assert len(mailing.messages) == 1


def test_an_inner_rollback_takes_its_mail_only(shop: Any, mailing: SMTPServer) -> None:
    with transaction.atomic(using=ALIAS):
        send_mail("outer", *TO_BOB[1:])
        with pytest.raises(Rollback), transaction.atomic(using=ALIAS):
            send_mail("inner", *TO_BOB[1:])
            raise Rollback
    assert backend().session.flush(timeout=30) == 0
    assert [message.header("Subject") for message in mailing.messages] == ["outer"]


def test_a_database_that_cannot_have_an_outbox_is_told(smtp_server: SMTPServer) -> None:
    with (
        mail_settings(host=smtp_server.host, outbox="database"),
        pytest.raises(ImproperlyConfigured, match="not PostgreSQL"),
    ):
        send_mail(*TO_BOB)
