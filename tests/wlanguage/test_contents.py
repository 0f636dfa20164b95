"""What fills an email: the source of another one, a page with its pictures, files."""

from __future__ import annotations

from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wlsmtp.testing import SMTPServer
from wlsmtp.wlanguage import *

MEMBERS = ["Sender", "SenderAddress", "Subject", "Message", "HTML", "MessageID", "Reference", "Importance", "Priority"]
MEMBERS += ["Sensitivity", "DispositionNotification", "ReturnReceipt", "Recipient", "Cc", "Bcc"]


def full() -> EmailVariable:
    message = Email()
    message.Sender, message.SenderAddress = '"Émile Zola" <zola@example.com>', "replies@example.com"
    message.Recipient, message.Cc = ["bob@example.org", '"Lee, Cleo" <cleo@example.net>'], "cc@example.org"
    message.Bcc = "bcc@example.org"
    message.Subject, message.Message, message.HTML = "Grüße", "Hällo\nBob\n", "<p>Hällo</p>\n"
    message.MessageID, message.Reference = "<1@example.com>", "<0@example.com>"
    message.Importance, message.Priority, message.Sensitivity = emailHighPriority, emailLowPriority, emailPrivate
    message.DispositionNotification = True
    message.Attach[1].Name, message.Attach[1].Content = "logo.gif", b"GIF89a"  # type: ignore[union-attr]
    message.Attach[1].Identifier = "logo"  # type: ignore[union-attr]
    message.Attach[2].Name, message.Attach[2].Content = "größe.csv", "a;b"  # type: ignore[union-attr]
    return message


def test_a_source_that_was_built_fills_the_members_again() -> None:
    message = full()
    assert message.BuildSource(emailOptionHeaderBcc), ErrorInfo()
    read = Email()
    assert EmailImportSource(read, message.Source), ErrorInfo()
    assert [getattr(read, name) for name in MEMBERS] == [getattr(message, name) for name in MEMBERS]
    files = [(file.Name, file.Content, file.Identifier) for file in read.Attach]  # type: ignore[union-attr]
    assert files == [("logo.gif", b"GIF89a", "logo"), ("größe.csv", b"a;b", "")]
    assert read.BuildSource(emailOptionHeaderBcc), ErrorInfo()


def test_it_is_the_variables_own_source_or_the_structures() -> None:
    message = full()
    message.BuildSource()
    other = Email()
    other.Source = message.Source
    assert other.ImportSource() and other.Subject == "Grüße" and other.Source == message.Source
    Email.Source = message.Source
    assert EmailImportSource() and Email.Subject == "Grüße"
    EmailReset()
    assert EmailImporteSource(message.Source) and Email.Subject == "Grüße"


def test_an_email_is_changed_in_its_source_and_sent(smtp_server: SMTPServer) -> None:
    message = full()
    assert message.BuildSource()
    message.Source = message.Source.replace("bob@example.org", "eve@example.org")
    assert EmailImportSource(message), ErrorInfo()
    assert EmailStartSMTPSession("ann", smtp_server.host, smtp_server.port)
    assert EmailSendMessage("ann", message), ErrorInfo()
    EmailCloseSession("ann")
    assert "eve@example.org" in smtp_server.messages[0].recipients


@pytest.mark.parametrize(
    "source", ["To: a@x, b@x; c@x\r\n\r\nHi", "no field\r\n\r\nHi", 'From: "a@x.example <b@x.example>\r\n\r\nHi']
)
def test_a_source_that_loses_somebody_is_an_error_and_changes_nothing(source: str) -> None:
    message = full()
    assert message.ImportSource(source) is False and ErrorInfo(errCode) == 2
    assert message.Subject == "Grüße" and message.NbRecipient == 2


def test_what_mail_programs_write_is_read() -> None:
    inner = EmailMessage()
    inner["From"], inner["Subject"] = "eve@example.org", "Inner"
    inner.set_content("inside")
    outer = EmailMessage()
    outer["From"] = "=?utf-8?q?Andr=C3=A9?= <andre@example.com>"
    outer["To"] = "Team: bob@example.org, eve@example.org;"
    outer["Subject"] = "a subject that is long enough to be folded over more than one line, and then some more of it"
    outer.set_content("first\r\nsecond")
    outer.add_attachment(inner)
    outer.add_attachment(b"%PDF", maintype="application", subtype="pdf")
    read = Email()
    assert read.ImportSource(outer.as_string()), ErrorInfo()
    assert (read.Sender, list(read.Recipient)) == (
        '"André" <andre@example.com>',
        ["bob@example.org", "eve@example.org"],
    )
    assert read.Subject == outer["Subject"] and read.Message == "first\nsecond\n"
    mail, pdf = read.Attach
    assert b"Subject: Inner" in mail.Content and mail.ContentType == "message/rfc822"  # type: ignore[union-attr]
    assert (pdf.Content, bool(pdf.Name)) == (b"%PDF", True)  # type: ignore[union-attr]
    assert read.BuildSource(), ErrorInfo()


@given(st.text())
def test_no_text_makes_it_raise(source: str) -> None:
    message = Email()
    assert message.ImportSource(source) in (True, False)


@pytest.fixture
def site(tmp_path: Path) -> Path:
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "logo.gif").write_bytes(b"GIF89a")
    (tmp_path / "a photo.png").write_bytes(b"PNG")
    return tmp_path


def parts(message: EmailVariable) -> dict[str, bytes]:
    assert message.BuildSource(), ErrorInfo()
    email = message_from_bytes(message.Source.encode(), policy=policy.default)
    return {part["Content-ID"]: part.get_content() for part in email.walk() if part["Content-ID"]}


def test_a_page_brings_its_pictures(site: Path) -> None:
    page = (
        '<body background="images/logo.gif"><IMG alt=x SRC = \'images\\\\logo.gif\'><img src="a%20photo.png">'
        '<img src=images/logo.gif><img src="https://example.com/x.gif"><img src="cid:own"><img src="data:image/gif,x">'
        "<a href='images/logo.gif'>src=\"no.gif\"</a><script src=no.js></script></body>"
    )
    message = Email()
    message.Sender, message.Recipient = "ann@example.com", "bob@example.org"
    assert EmailImportHTML(message, page, str(site)), ErrorInfo()
    assert message.HTML.count('"cid:picture1"') == 3 and message.HTML.count('"cid:picture2"') == 1
    for kept in (
        "https://example.com/x.gif",
        "cid:own",
        "data:image/gif,x",
        "href='images/logo.gif'",
        'src="no.gif"',
        "src=no.js",
    ):
        assert kept in message.HTML
    assert parts(message) == {"<picture1>": b"GIF89a", "<picture2>": b"PNG"}
    assert message.ImportHTML('<img src="a photo.png">', str(site)) and message.HTML == '<img src="cid:picture3">'


def test_the_structure_takes_a_page_as_well(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(site)
    assert EmailImportHTML('<img src="images/logo.gif">') and Email.NbAttach == 1
    assert EmailImporteHTML("<p>Hi</p>", str(site)) and Email.HTML == "<p>Hi</p>"
    assert EmailImportHTML(html="<p>by name</p>", directory=str(site)) and Email.HTML == "<p>by name</p>"


def test_without_a_page_or_a_file_nothing_is_emptied() -> None:
    message = Email()
    message.HTML = "<p>kept</p>"
    for call in (EmailImportHTML, EmailLoadAttachment):
        with pytest.raises(WLanguageError, match=r"must be .*, not Null"):
            call(message)
    assert message.HTML == "<p>kept</p>" and message.NbAttach == 0


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("missing.gif", "missing.gif cannot be read"),
        ("../secret.txt", "outside"),
        ("/etc/hostname", "outside"),
        ("images/../../secret.txt", "outside"),
        ("..%2Fsecret.txt", "outside"),
        ("images", "cannot be read"),
    ],
)
def test_a_picture_that_is_not_there_or_elsewhere_is_an_error_and_changes_nothing(
    source: str, words: str, site: Path
) -> None:
    (site.parent / "secret.txt").write_text("secret")
    message = Email()
    message.HTML = "before"
    page = f'<img src="images/logo.gif"><img src="{source}">'
    assert EmailImportHTML(message, page, str(site)) is False
    assert words in ErrorInfo() and ErrorInfo(errCode) == 2
    assert message.HTML == "before" and message.NbAttach == 0


def test_a_file_is_attached_by_a_method_as_it_is_now(tmp_path: Path) -> None:
    file = tmp_path / "report.pdf"
    file.write_bytes(b"%PDF")
    message = Email()
    assert message.LoadAttachment(str(file)) and message.ChargeFichierAttaché(file)
    assert EmailChargeFichierAttaché(message, str(file)) and EmailLoadAttachment(str(file))
    file.unlink()
    assert message.NbAttach == 3 and Email.NbAttach == 1
    assert {(each.Name, each.Content) for each in message.Attach} == {("report.pdf", b"%PDF")}  # type: ignore[union-attr]
    assert message.LoadAttachment(str(file)) is False and "report.pdf cannot be read" in ErrorInfo()
    assert message.NbAttach == 3
