"""Members are checked when they are set; arrays begin at 1."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wlsmtp.wlanguage import *


def test_an_array_begins_at_1_and_grows_by_one() -> None:
    message = Email()
    message.Recipient[1] = "bob@example.org"
    message.Recipient[2] = "eve@example.org"
    message.Recipient[1] = "ann@example.org"
    assert message.Recipient == ["ann@example.org", "eve@example.org"]
    assert message.Recipient[2] == "eve@example.org" and len(message.Recipient) == 2


@pytest.mark.parametrize("index", [0, -1, 3, "1", True])
def test_another_index_is_an_error_that_says_so(index: int) -> None:
    message = Email()
    message.Recipient[1] = "bob@example.org"
    with pytest.raises(WLanguageError, match=r"arrays begin at 1|a number"):
        message.Recipient[index] = "eve@example.org"
    with pytest.raises(WLanguageError):
        message.Recipient[index]


@given(st.lists(st.text()))
def test_an_array_keeps_what_is_added_in_order(items: list[str]) -> None:
    message = Email()
    for number, item in enumerate(items, 1):
        assert Add(message.Cc, item) == number
    assert list(message.Cc) == items == [message.Cc[number] for number in range(1, len(items) + 1)]


@given(st.lists(st.text(min_size=1)), st.integers(0, 20))
def test_a_count_drops_or_adds_at_the_end(items: list[str], count: int) -> None:
    message = Email()
    message.Bcc = items
    message.NbBcc = count
    assert list(message.Bcc) == (items + [""] * count)[:count] and message.NbBcc == count


@pytest.mark.parametrize("count", [-1, "1", True, 1.5, 10**30])
def test_a_count_is_a_whole_number(count: object) -> None:
    message = Email()
    with pytest.raises(WLanguageError, match="NbRecipient: must be a whole number"):
        message.NbRecipient = count  # type: ignore[assignment]


def test_a_single_value_makes_an_array_of_one() -> None:
    message = Email()
    message.Recipient, message.Cc = "bob@example.org", ("a@example.org", "b@example.org")
    message.Attach = Path("a.pdf")
    assert (message.NbRecipient, message.NbCc, message.NbAttach) == (1, 2, 1)
    message.Recipient = ""
    assert message.NbRecipient == 0


def test_the_next_attached_file_is_there_once_it_is_named() -> None:
    message = Email()
    message.Attach[1].Name = "logo.gif"  # type: ignore[union-attr]
    assert message.NbAttach == 1
    with pytest.raises(WLanguageError):
        message.Attach[3]


@pytest.mark.parametrize(
    ("member", "value", "words"),
    [
        ("Sender", 1, "must be a character string, not an integer"),
        ("Recipient", [b"bob@example.org"], "must be a character string, not a buffer"),
        ("Attach", [b"octets"], "must be the path of a file, not a buffer"),
        ("DispositionNotification", "yes", "must be True or False"),
        ("Importance", 17, "must be one of emailHighPriority, emailNormalPriority, emailLowPriority"),
        ("Sensitivity", True, "must be one of emailNotConfidential, "),
    ],
)
def test_a_wrong_value_is_an_error_that_names_the_member(member: str, value: object, words: str) -> None:
    with pytest.raises(WLanguageError, match=rf"^Email\.{member}: {words}"):
        setattr(Email(), member, value)


@pytest.mark.parametrize(
    ("member", "value", "words"),
    [
        ("Port", 0, "from 1 to 65535"),
        ("Port", "70000", "from 1 to 65535"),
        ("Port", "smtp", "must be a whole number, not a character string"),
        ("Port", 25.5, "must be a whole number, not a real"),
        ("ServerAddress", None, "must be a character string, not Null"),
        ("Option", 1, "must be one of emailOptionDefault, emailOptionSecuredTLS, emailOptionSecuredSSL"),
        ("Asynchronous", 2, "True or False"),
        ("AuthToken", 5, "an OAuth 2.0 access token"),
        ("Password", b"s3cret", "must be a character string, not a buffer"),
    ],
)
def test_a_session_too_checks_its_members(member: str, value: object, words: str) -> None:
    with pytest.raises(WLanguageError, match=rf"emailSMTPSession\.{member}: .*{words}") as caught:
        setattr(emailSMTPSession(), member, value)
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("variable", [Email(), emailSMTPSession(), emailAttach(), Email])
def test_a_misspelled_member_is_an_error(variable: object) -> None:
    with pytest.raises(AttributeError):
        variable.Sujett  # type: ignore[attr-defined]  # noqa: B018
    with pytest.raises(WLanguageError, match="has no member Sujett"):
        variable.Sujett = "Hello"  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", ["ServerAdress", "serverAdresss"])
def test_the_nearest_member_is_named(name: str) -> None:
    with pytest.raises(WLanguageError, match=rf"has no member {name}\. Did you mean ServerAddress\?"):
        setattr(emailSMTPSession(), name, "smtp.example.com")


@pytest.mark.parametrize("port", [587, "587", " 587 ", 587.0])
def test_a_port_may_be_a_text_as_it_comes_from_a_settings_file(port: object) -> None:
    session = emailSMTPSession()
    session.Port = port
    assert session.Port == 587


def test_an_omitted_password_may_be_none() -> None:
    session = emailSMTPSession()
    session.Password = None
    assert session.Password == ""


def test_elements_are_added_by_method_and_by_function() -> None:
    message = Email()
    assert message.Recipient.Add("a@example.org") == 1 and message.Recipient.Ajoute("b@example.org") == 2
    assert message.Recipient.ajoute("c@example.org") == 3  # type: ignore[attr-defined]
    assert ArrayAdd(message.Recipient, "d@example.org") == 4 and TableauAjoute(message.Recipient, "e@example.org") == 5
    assert [address[0] for address in message.Recipient] == list("abcde")
    for add in (message.Recipient.Add, lambda value: Add(message.Recipient, value)):
        with pytest.raises(WLanguageError, match="must be a character string, not an integer"):
            add(6)
    with pytest.raises(WLanguageError, match="Add: takes an array, not a character string"):
        Add("a@example.org", "b@example.org")  # type: ignore[arg-type]
    some = ["a"]
    assert Add(some, "b") == 2 and some == ["a", "b"]
    with pytest.raises(WLanguageError, match="an array has no member Append"):
        message.Recipient.Append("f@example.org")  # type: ignore[attr-defined]


def test_variables_show_neither_secrets_nor_the_text_of_a_mail() -> None:
    session, message, file = emailSMTPSession(), Email(), emailAttach()
    session.ServerAddress, session.Name, session.Password, session.AuthToken = (
        "smtp.example.com",
        "ann",
        "s3cret",
        "t0ken",
    )
    message.Subject, message.Message, file.Name, file.Content = "Hello", "private", "a.pdf", "private"
    assert "smtp.example.com" in repr(session) and "Hello" in repr(message) and "a.pdf" in repr(file)
    for secret in ("s3cret", "t0ken", "private"):
        assert secret not in f"{session!r}{message!r}{file!r}"
