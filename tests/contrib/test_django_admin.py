"""The page of the admin site for the outbox, asked by Django's test client."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("django")

from django.core.mail import EmailMessage

from tests.contrib import project
from tests.contrib.site import backend, mail_settings
from wlsmtp import RetryPolicy, SMTPSession, Status
from wlsmtp.contrib import django as ours
from wlsmtp.contrib.django import receipt_of
from wlsmtp.testing import SMTPServer

LIST = "/admin/wlsmtp/outboxmessage/"


@pytest.fixture(scope="module")
def database() -> Iterator[None]:
    project.set_up()
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    yield
    from django.db import connections

    connections.close_all()


@pytest.fixture
def outbox(database: None, smtp_server: SMTPServer, tmp_path: Path) -> Iterator[SMTPSession]:
    """The session of a site with an outbox whose server is busy for now."""
    smtp_server.reply_to("RCPT", "451 4.3.0 <b>Later</b>")
    path = f"sqlite:///{tmp_path}/outbox.db"
    retry = RetryPolicy(attempts=5, backoff=3600, max_backoff=3600)
    with mail_settings(host=smtp_server.host, port=smtp_server.port, outbox=path, retry=retry):
        yield backend().session
        ours.kept.close_all()


def put(session: SMTPSession, to: str = "bob@example.org") -> str:
    """Put a message into the outbox, and wait until it was tried once."""
    message = EmailMessage("Hi", "Hello", "ann@example.com", [to])
    message.send()
    receipt = receipt_of(message)
    assert receipt is not None
    session.flush(timeout=10)
    assert session.receipt(receipt.id).attempts == 1
    return receipt.id


def somebody(name: str, *permissions: str, is_staff: bool = True, **more: Any) -> Any:
    """A client that is logged in as a user with these permissions."""
    from django.contrib.auth.models import Permission, User
    from django.test import Client

    User.objects.filter(username=name).delete()
    user = User.objects.create_user(name, password="pw", is_staff=is_staff, **more)
    user.user_permissions.set(Permission.objects.filter(content_type__app_label="wlsmtp", codename__in=permissions))
    client = Client(enforce_csrf_checks=True)
    client.force_login(user)
    return client


def viewer() -> Any:
    return somebody("viewer", "view_outboxmessage")


def changer() -> Any:
    return somebody("changer", "view_outboxmessage", "change_outboxmessage")


def press(client: Any, id: str, button: str) -> str:
    """Press a button on the page of a message, and read the page that comes."""
    page = f"{LIST}{id}/change/"
    client.get(page)
    answer = client.post(page, {button: "1", "csrfmiddlewaretoken": client.cookies["csrftoken"].value}, follow=True)
    assert answer.status_code == 200
    return str(answer.content.decode())


def test_the_list_shows_each_message_and_why_it_waits(outbox: SMTPSession) -> None:
    id = put(outbox)
    text = viewer().get(LIST).content.decode()
    assert id in text and "bob@example.org" in text and "1 pending" in text and "451 4.3.0" in text


def test_what_a_server_says_is_no_html(outbox: SMTPSession) -> None:
    id = put(outbox)
    client = viewer()
    for page in (LIST, f"{LIST}{id}/change/"):
        text = client.get(page).content.decode()
        assert "&lt;b&gt;Later" in text and "<b>Later" not in text


def test_the_list_can_be_narrowed_to_a_status(outbox: SMTPSession) -> None:
    id = put(outbox)
    client = viewer()
    assert id in client.get(LIST, {"status": "pending"}).content.decode()
    assert id not in client.get(LIST, {"status": "sent"}).content.decode()
    assert id in client.get(LIST, {"status": "<script>", "p": "x"}).content.decode()


def test_a_long_list_has_pages(outbox: SMTPSession, monkeypatch: pytest.MonkeyPatch) -> None:
    from wlsmtp.contrib.django import admin

    monkeypatch.setattr(admin, "ON_A_PAGE", 2)
    ids = [put(outbox, f"user{number}@example.org") for number in range(3)]
    client = viewer()
    first, second = (client.get(LIST, {"p": page}).content.decode() for page in (0, 1))
    assert ids[0] in first and ids[1] in first and ids[2] not in first and "p=1" in first
    assert ids[2] in second and ids[0] not in second and "p=0" in second and "p=2" not in second


def test_a_message_is_tried_again(outbox: SMTPSession, smtp_server: SMTPServer) -> None:
    id = put(outbox)
    smtp_server._scripted.clear()
    assert f"{id} is tried again" in press(changer(), id, "retry")
    assert outbox.flush(timeout=10) == 0
    assert outbox.status(id) is Status.SENT
    assert [message.recipients for message in smtp_server.messages] == [("bob@example.org",)]


def test_a_message_is_cancelled_once(outbox: SMTPSession, smtp_server: SMTPServer) -> None:
    id = put(outbox)
    client = changer()
    assert f"{id} is cancelled" in press(client, id, "cancel")
    assert outbox.status(id) is Status.ERROR
    assert "cannot be cancelled" in press(client, id, "cancel")
    history = client.get(f"{LIST}{id}/history/").content.decode()
    assert history.count("Cancelled") == 1


def test_who_may_only_view_changes_nothing(outbox: SMTPSession) -> None:
    id = put(outbox)
    client = viewer()
    page = client.get(f"{LIST}{id}/change/")
    assert b"Try again now" not in page.content
    client.get("/admin/password_change/")  # a page with a form, and so with a token
    token = client.cookies["csrftoken"].value
    assert client.post(f"{LIST}{id}/change/", {"cancel": "1", "csrfmiddlewaretoken": token}).status_code == 403
    assert outbox.status(id) is Status.PENDING


def test_a_form_of_another_site_changes_nothing(outbox: SMTPSession) -> None:
    id = put(outbox)
    assert changer().post(f"{LIST}{id}/change/", {"cancel": "1"}).status_code == 403
    assert outbox.status(id) is Status.PENDING


def test_others_see_nothing(outbox: SMTPSession) -> None:
    id = put(outbox)
    pages = [LIST, f"{LIST}{id}/change/", f"{LIST}{id}/history/"]
    assert [somebody("clerk").get(page).status_code for page in pages] == [403] * 3
    customer = somebody("customer", "view_outboxmessage", is_staff=False)
    assert [customer.get(page).status_code for page in pages] == [302] * 3  # to the login


def test_nobody_adds_or_deletes(outbox: SMTPSession) -> None:
    id = put(outbox)
    root = somebody("root", is_superuser=True)
    assert root.get(f"{LIST}add/").status_code == root.get(f"{LIST}{id}/delete/").status_code == 403


def test_the_index_has_the_page(outbox: SMTPSession) -> None:
    assert LIST in viewer().get("/admin/").content.decode()


def test_an_id_that_no_outbox_knows_is_not_found(outbox: SMTPSession) -> None:
    assert viewer().get(f"{LIST}nobody/change/").status_code == 404


def test_a_site_without_an_outbox_is_told_how_to_have_one(database: None) -> None:
    with mail_settings(host="mail.example.com"):
        assert b"No mailer has an outbox" in viewer().get(LIST).content


def test_the_applications_other_commands_work_as_before(database: None) -> None:
    from django.core.management import call_command

    dumped = io.StringIO()
    call_command("dumpdata", "wlsmtp", stdout=dumped)
    call_command("dumpdata", "wlsmtp", use_base_manager=True, stdout=dumped)
    assert "".join(dumped.getvalue().split()) == "[][]"
    checked = io.StringIO()
    call_command("makemigrations", "--check", "--dry-run", stdout=checked)
    assert "No changes" in checked.getvalue()
