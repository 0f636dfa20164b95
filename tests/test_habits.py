"""Users of another library learn what to write here, and no other name works."""

from __future__ import annotations

import asyncio
import copy
import importlib
import pickle
import re
import smtplib
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from email.message import EmailMessage
from typing import Any

import pytest

import wlsmtp
from wlsmtp import AsyncSMTPSession, Attachment, ConfigError, Message, SMTPSession
from wlsmtp.habits import (
    OF_ATTACHMENT,
    OF_ATTACHMENT_MAKERS,
    OF_ENVELOPE,
    OF_ERROR,
    OF_FIELDS,
    OF_INBOX,
    OF_INBOX_MAIL,
    OF_MESSAGE,
    OF_OTHER_FIELDS,
    OF_PACKAGE,
    OF_RECEIPT,
    OF_SESSION,
)
from wlsmtp.inbox import Inbox
from wlsmtp.inbox.store import Store
from wlsmtp.message.model import ALL_FIELDS, FIELDS
from wlsmtp.settings.config import SessionConfig
from wlsmtp.transports import MemoryTransport

LETTER = Message("ann@example.com", "bob@example.org", text="Hello")


@pytest.mark.parametrize("kind", [SMTPSession, AsyncSMTPSession])
def test_what_a_client_is_asked_to_do_elsewhere_is_told(kind: type[Any]) -> None:
    session = kind("smtp.example.com")
    for name, advice in OF_SESSION.items():
        assert not hasattr(session, name)
        with pytest.raises(AttributeError, match=f"{kind.__name__}.*{name}.*: {re.escape(advice)}"):
            getattr(session, name)
    with pytest.raises(AttributeError, match=r"'sendd'$") as caught:
        session.sendd  # noqa: B018
    assert caught.value.name == "sendd" and caught.value.obj is session


def test_every_method_of_smtplib_that_sends_or_connects_has_advice() -> None:
    others = {"close", "verify", "send"}  # are here as well
    internal = {
        "docmd",
        "data",
        "mail",
        "rcpt",
        "putcmd",
        "getreply",
        "expn",
        "vrfy",
        "help",
        "ehlo_msg",
        "file",
        "sock",
    }
    internal |= {name for name in dir(smtplib.SMTP) if name.startswith(("_", "auth_", "default_", "debug"))}
    names = {name for name in dir(smtplib.SMTP) if callable(getattr(smtplib.SMTP, name))}
    assert names - internal - others - {"ehlo", "helo"} <= OF_SESSION.keys()


def test_what_a_message_is_asked_to_do_elsewhere_is_told() -> None:
    for name, advice in OF_MESSAGE.items():
        with pytest.raises(AttributeError, match=f"'Message'.*{name}.*: {re.escape(advice)}"):
            getattr(LETTER, name)
    usual = {"attach", "set_content", "add_attachment", "add_alternative", "set_payload", "add_header", "as_string"}
    assert usual <= OF_MESSAGE.keys() & set(dir(EmailMessage))


def test_what_an_attachment_is_asked_to_be_elsewhere_is_told() -> None:
    for name, advice in OF_ATTACHMENT.items():
        assert name not in Attachment.model_fields
        with pytest.raises(TypeError, match=f"^Attachment.*'{name}'; {re.escape(advice)}$"):
            Attachment(b"x", "x.txt", **{name: "y"})  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="'nme'; there are content, path, filename"):
        Attachment(b"x", nme="x.txt")  # type: ignore[arg-type]


def test_what_makes_an_attachment_elsewhere_is_told() -> None:
    for name, advice in OF_ATTACHMENT_MAKERS.items():
        assert not hasattr(Attachment, name)
        with pytest.raises(AttributeError, match=f"^type object 'Attachment'.*{name}': {re.escape(advice)}$"):
            getattr(Attachment, name)
        assert callable(getattr(Attachment, re.findall(r"(?:use |: use )(\w+)\(", advice)[0]))
    with pytest.raises(AttributeError, match=r"^type object 'Attachment' has no attribute 'from_nothing'$"):
        Attachment.from_nothing  # type: ignore[attr-defined]  # noqa: B018


def test_what_an_inbox_and_its_mail_are_asked_elsewhere_is_told() -> None:
    with Store() as store:
        inbox = Inbox(store=store)
        with SMTPSession(transport=inbox.transport) as session:
            session.send(LETTER)
        for thing, table in ((inbox, OF_INBOX), (inbox.messages[0], OF_INBOX_MAIL)):
            for name, advice in table.items():
                assert not hasattr(thing, name), name
                with pytest.raises(AttributeError, match=f"'{type(thing).__name__}'.*{name}.*: {re.escape(advice)}"):
                    getattr(thing, name)


def test_the_wrong_kind_of_with_is_told() -> None:
    async def blocking() -> None:
        async with SMTPSession("smtp.example.com"):  # type: ignore[attr-defined]
            pass

    with pytest.raises(AttributeError, match=r"^SMTPSession: write 'with', or use AsyncSMTPSession"):
        asyncio.run(blocking())
    told = pytest.raises(AttributeError, match=r"^AsyncSMTPSession: write 'async with'")
    with told, AsyncSMTPSession("smtp.example.com"):  # type: ignore[attr-defined]
        pass
    # Frameworks ask for the kind in one of these ways.
    assert not hasattr(SMTPSession("x"), "__aenter__") and not hasattr(AsyncSMTPSession("x"), "__enter__")
    assert not isinstance(SMTPSession("x"), AbstractAsyncContextManager)
    assert not isinstance(AsyncSMTPSession("x"), AbstractContextManager)


def test_what_a_receipt_and_an_error_are_asked_elsewhere_is_told() -> None:
    with SMTPSession(transport=MemoryTransport()) as session:
        receipts = [session.send(LETTER), *session.send_all([b"no header"])]
    assert receipts[1].error is not None
    for thing, table in ((receipts[0], OF_RECEIPT), (receipts[1], OF_RECEIPT), (receipts[1].error, OF_ERROR)):
        for name, advice in table.items():
            assert not hasattr(thing, name)
            with pytest.raises(AttributeError, match=f"'(Receipt|MessageError)'.*{name}.*: {re.escape(advice)}"):
                getattr(thing, name)
        assert str(copy.copy(thing)) == str(thing) and str(pickle.loads(pickle.dumps(thing))) == str(thing)


@pytest.mark.parametrize("name", OF_PACKAGE)
def test_what_is_imported_from_the_package_elsewhere_is_told(name: str) -> None:
    assert not hasattr(wlsmtp, name)
    with pytest.raises(AttributeError, match=f"'{name}': {re.escape(OF_PACKAGE[name])}"):
        getattr(wlsmtp, name)
    with pytest.raises(ImportError, match=f"'{name}' from 'wlsmtp': {re.escape(OF_PACKAGE[name])}"):
        exec(f"from wlsmtp import {name}")


@pytest.mark.parametrize(
    ("name", "ours"),
    [
        ("SmtpSession", "SMTPSession"), ("smtpsession", "SMTPSession"), ("AsyncSmtpSession", "AsyncSMTPSession"),
        ("SmtpError", "SMTPError"), ("Tls", "TLS"), ("Dkim", "DKIM"), ("SqliteOutbox", "SQLiteOutbox"),
        ("Receipts", "Receipt"), ("RetryPolicies", "RetryPolicy"), ("ConfigErrors", "ConfigError"),
        ("Timeouts_", "Timeouts"), ("Message_", "Message"),
    ],
)  # fmt: skip
def test_a_misspelt_name_of_the_package_is_told(name: str, ours: str) -> None:
    assert not hasattr(wlsmtp, name)
    with pytest.raises(ImportError, match=rf"'{name}' from 'wlsmtp': did you mean {ours}\?"):
        exec(f"from wlsmtp import {name}")


def test_modules_of_the_package_and_other_names_are_as_usual() -> None:
    from wlsmtp import session, testing

    assert (session.__name__, testing.__name__) == ("wlsmtp.session", "wlsmtp.testing")
    with pytest.raises(ImportError, match="cannot import name 'xyz' from 'wlsmtp'"):
        exec("from wlsmtp import xyz")
    with pytest.raises(AttributeError, match=r"'_private'$"):
        wlsmtp._private  # noqa: B018


def test_advice_about_names_of_the_package_leads_to_them() -> None:
    for name, advice in OF_PACKAGE.items():
        for ours in re.findall(r"use (\w+)(?=$|,| or|\()", advice):
            assert ours == "wlsmtp" or hasattr(wlsmtp, ours), advice
        if advice.startswith("import it from "):
            assert hasattr(importlib.import_module(advice.removeprefix("import it from ")), name)


def test_advice_names_what_there_is() -> None:
    for advice in OF_SESSION.values():
        for name in re.findall(r"(?<!receipt\.)\b(\w+)\(", advice):
            assert callable(getattr(SMTPSession, name)), advice
        for name in re.findall(r"(\w+)=", advice):
            assert name in SessionConfig.model_fields or name in (*FIELDS, "recipients"), advice
    for advice in OF_MESSAGE.values():
        for name in re.findall(r"(?<!session\.)\b(\w+)\(", advice):
            assert callable(getattr(Message, name)), advice
        assert set(re.findall(r"(\w+)=", advice)) <= set(FIELDS), advice
    assert set(OF_FIELDS.values()) <= set(ALL_FIELDS) and OF_FIELDS.keys().isdisjoint(ALL_FIELDS)


@pytest.mark.parametrize("name", OF_FIELDS.keys() - {"message", "recipients"})
def test_the_names_that_others_have_for_fields_are_told(name: str) -> None:
    wanted = OF_FIELDS[name]
    fields: dict[str, Any] = {"sender": "ann@example.com", "to": "bob@example.org", name: "x"}
    transport = MemoryTransport()
    with SMTPSession(transport=transport) as session:
        with pytest.raises(TypeError, match=f"{name}.*it is {wanted}= here"):
            session.send(**fields)
        (receipt,) = session.send_all(LETTER.merge([{name: "x"}]))
    assert f"did you mean '{wanted}'" in str(receipt.error) and not transport.messages


@pytest.mark.parametrize("name", OF_OTHER_FIELDS)
def test_what_is_no_field_is_told_where_it_belongs(name: str) -> None:
    fields: dict[str, Any] = {"sender": "ann@example.com", "to": "bob@example.org", name: "x"}
    with pytest.raises(TypeError, match=f"{name}'; ") as caught:
        Message(**fields)
    assert OF_OTHER_FIELDS[name] in str(caught.value)


def test_a_subject_and_a_text_have_names_and_are_no_copies_to_somebody() -> None:
    with pytest.raises(TypeError, match="positional arguments"):
        Message("ann@example.com", "bob@example.org", "Hello", "Dear Bob")  # type: ignore[call-arg]


@pytest.mark.parametrize("name", OF_ENVELOPE)
def test_beside_a_message_they_are_those_of_its_envelope(name: str) -> None:
    with SMTPSession(transport=MemoryTransport()) as session:
        with pytest.raises(TypeError, match=f"{name}.*it is {OF_ENVELOPE[name]}= here"):
            session.send(LETTER, **{name: "x"})  # type: ignore[call-overload]
        assert session.send(LETTER, recipients="bob@example.org", sender="ann@example.com", options=None)


def test_a_merge_is_told_of_message_and_recipients_too() -> None:
    with SMTPSession(transport=MemoryTransport()) as session:
        errors = [str(each.error) for each in session.send_all(LETTER.merge([{"message": "x"}, {"recipients": "x"}]))]
    assert "'text'" in errors[0] and "'to'" in errors[1]


def test_sessions_and_messages_are_copied_and_pickled_as_before() -> None:
    for thing in (SMTPSession("smtp.example.com"), LETTER):
        assert type(copy.copy(thing)) is type(pickle.loads(pickle.dumps(thing))) is type(thing)
    assert copy.deepcopy(LETTER) == LETTER
    with pytest.raises(AttributeError, match=r"'_mailer'$"):  # not made yet
        SMTPSession.__new__(SMTPSession)._mailer  # noqa: B018


@pytest.mark.parametrize(
    ("name", "ours"),
    [
        ("ServerAddress", "server="), ("AdresseServeur", "server="), ("Port", "port"), ("Option", "security="),
        ("Asynchronous", "mode="), ("Asynchrone", "mode="), ("Name", "username="), ("Nom", "username="),
        ("Password", "password"), ("MotDePasse", "password="), ("AuthToken", "token="),
    ],
)  # fmt: skip
def test_the_members_of_the_original_are_told_as_well(name: str, ours: str) -> None:
    settings: dict[str, Any] = {name: "x"}
    with pytest.raises(ConfigError, match=rf"{name}: is not known; (?:use|did you mean) {ours}"):
        SMTPSession("smtp.example.com", **settings)
