"""Mail in the database of a site, in the transaction that it belongs to: it is sent if that is committed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest

pytest.importorskip("django")

from django.core.exceptions import ImproperlyConfigured
from django.core.mail import EmailMessage, send_mail
from django.db import connections, transaction
from django.http import HttpRequest, HttpResponse
from django.test import Client, override_settings
from django.urls import path

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


def buy(request: HttpRequest) -> HttpResponse:
    """A view: it sends mail of its own, some in a block that fails, and may fail itself."""
    order(connections[ALIAS])
    send_mail(*TO_BOB)
    with suppress(Rollback), transaction.atomic(using=ALIAS):
        send_mail("of the block", *TO_BOB[1:])
        raise Rollback
    if "fails" in request.GET:
        raise Rollback
    return HttpResponse(status=int(request.GET.get("status", 200)))


urlpatterns = [path("buy", buy)]


def test_a_request_is_a_transaction_with_its_mail(shop: Any, mailing: SMTPServer) -> None:
    shop.settings_dict["ATOMIC_REQUESTS"] = True
    client = Client(raise_request_exception=False)
    with override_settings(ROOT_URLCONF=__name__):
        statuses = [client.get(f"/buy?{query}").status_code for query in ("fails", "status=400", "")]
    assert statuses == [500, 400, 200] and orders(shop) == 2
    assert backend().session.flush(timeout=30) == 0
    assert [message.header("Subject") for message in mailing.messages] == [TO_BOB[0]] * 2


def test_a_durable_block_has_its_mail(shop: Any, mailing: SMTPServer) -> None:
    with transaction.atomic(using=ALIAS, durable=True):
        send_mail(*TO_BOB)
        with transaction.atomic(using=ALIAS, savepoint=False):
            send_mail(*TO_BOB)
    with pytest.raises(RuntimeError), transaction.atomic(using=ALIAS):
        send_mail(*TO_BOB)
        with transaction.atomic(using=ALIAS, durable=True):
            send_mail(*TO_BOB)
    assert backend().session.flush(timeout=30) == 0
    assert len(mailing.messages) == 2


def test_a_database_that_cannot_have_an_outbox_is_told(smtp_server: SMTPServer) -> None:
    with (
        mail_settings(host=smtp_server.host, outbox="database"),
        pytest.raises(ImproperlyConfigured, match="not PostgreSQL"),
    ):
        send_mail(*TO_BOB)
    with (
        mail_settings(host=smtp_server.host, outbox="database:elsewhere"),
        pytest.raises(ImproperlyConfigured, match=r"DATABASES has no 'elsewhere'. There are: default"),
    ):
        send_mail(*TO_BOB)
