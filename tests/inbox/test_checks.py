"""Remarks on a message: each with a mail that deserves it, and none on a good one."""

from __future__ import annotations

import os

import pytest

from tests.inbox.letters import letters
from wlsmtp import Message
from wlsmtp.inbox import Mail, Store
from wlsmtp.inbox.checks import check, domain_of
from wlsmtp.inbox.spam import _of_rspamd, _of_spamassassin, installed, score
from wlsmtp.inbox.store import Facts

ANN, BOB = "ann@example.com", "bob@example.org"
HEAD = {"List-Unsubscribe": "<https://example.com/u>", "List-Unsubscribe-Post": "List-Unsubscribe=One-Click"}
SIGNED = b"DKIM-Signature: v=1; a=rsa-sha256; d=%s; s=s1; b=x\r\n"


def titles(raw: bytes, sender: str = ANN) -> dict[str, str]:
    store = Store()
    return {remark.title: remark.level for remark in check(Mail(store, store.add(raw, Facts(sender, (BOB,)))))}


def html(source: str, text: str = "Hello", subject: str = "Hello") -> bytes:
    return bytes(Message(ANN, BOB, subject=subject, text=text, html=source, headers=HEAD))


def test_a_good_mail_gets_no_bad_remark() -> None:
    good = html(
        '<p>Hello, <a href="https://example.com/a">see example.com</a>,'
        ' <img src="https://example.com/i.png" alt="a cat">'
    )
    assert titles(SIGNED % b"mail.example.com" + good) == {"DKIM: signed by the domain of the sender": "good"}


@pytest.mark.parametrize(
    ("raw", "title", "level"),
    [
        (b"Subject: x\r\n\r\n", "No From field", "error"),
        (b"From: a@b.example\r\nFrom: c@d.example\r\n\r\n", "2 From fields", "error"),
        (html("<p>x", subject=""), "No subject", "warn"),
        (html("<p>x", text=" "), "No text part", "warn"),
        (html("<p>" + "x" * 103_000), "The HTML has 100 KiB", "warn"),
        (html("<p>Dear {{ name }}"), "Placeholders that were not filled in", "error"),
        (html("<p>x", text="Dear %(name)s"), "Placeholders that were not filled in", "error"),
        (html("<p>x", subject="Your order %s"), "Placeholders that were not filled in", "error"),
        (html('<a href="https://evil.example/">https://example.com/</a>'), "A link says another address than its own",
         "error"),
        (html('<a href="http://example.com/">x</a>'), "1 link without https", "warn"),
        (html('<a href="">x</a><a href="#">y</a>'), "2 links that lead nowhere", "warn"),
        (html('<a href="/account">x</a>'), "1 relative link", "error"),
        (html('<a href="https://localhost:8000/">x</a>'), "Links to this machine or a private network", "warn"),
        (html('<p>x<img src="https://example.com/a.png">'), "1 image without alt", "warn"),
        (html('<p>x<img alt="" src="cid:none">'), "Images that are not in the message", "error"),
        (html('<p>x<img alt="" src="http://example.com/a.png">'), "1 image without https", "warn"),
        (html('<img alt="" src="https://example.com/a.png">'), "The HTML is an image without words", "warn"),
        (html("<p>x<form></form><script></script>"), "Mail programs leave out <form>, <script>", "warn"),
        (html("<p style='display: grid'>x"), "display:grid is unknown to Outlook on Windows", "info"),
        (html("x<video></video>"), "<video> is unknown to Gmail, Outlook on Windows, Outlook.com, Yahoo, Proton Mail",
         "warn"),
        (bytes(Message(ANN, BOB, text="x")), "No List-Unsubscribe field", "info"),
        (SIGNED % b"other.example" + html("<p>x"), "DKIM: signed by another domain", "warn"),
        (html("<p>x"), "DKIM: not signed here", "info"),
    ],
)  # fmt: skip
def test_a_remark(raw: bytes, title: str, level: str) -> None:
    assert titles(raw).get(title) == level


@pytest.mark.parametrize(
    "source",
    [
        '<a href="https://www.example.com/x">example.com</a>',
        '<a href="https://example.com/x">Read more...</a>',
        '<a href="https://click.example.co.uk/x">example.co.uk/a</a>',
        "<p>100 %s off, {one}, $5, 5 % sale",
        '<a href="mailto:ann@example.com">ann@example.com</a><a href="#top">top</a>',
    ],
)
def test_what_is_no_mistake(source: str) -> None:
    assert "error" not in titles(html(source.replace("100 %s", "100%"))).values()


def test_an_envelope_of_another_domain_is_told() -> None:
    assert titles(html("<p>x"), "bounce@mailer.example")["SPF: another domain than that of the sender"] == "info"
    assert domain_of("a.b.example.co.uk") == "example.co.uk" and domain_of("A.example.com.") == "example.com"


def test_our_letters_have_no_errors() -> None:
    for letter in letters():
        assert "error" not in titles(bytes(letter)).values()


class TestSpamFilters:
    def test_the_report_of_spamassassin(self) -> None:
        report = (
            "X-Spam-Status: No, score=4.2 required=5.0 tests=A,\n\tB autolearn=no\n\nbody\n"
            "Content analysis details:   (4.2 points, 5.0 required)\n\n pts rule name              description\n"
            "---- ---------------------- ---\n 1.2 MISSING_HEADERS        Missing To: header\n 3.0 B_RULE  b\n"
        )
        answer = _of_spamassassin(report)
        assert (answer["Score"], answer["IsSpam"]) == (4.2, False)
        assert [rule["Name"] for rule in answer["Rules"]] == ["MISSING_HEADERS", "B_RULE"]

    def test_a_real_filter_is_asked(self) -> None:
        if installed() is None:
            (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)("spamassassin is not installed")
        sample = "XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X"
        answer = score(bytes(Message(ANN, BOB, subject="Hi", text=sample)))
        assert answer["IsSpam"] and answer["Score"] > 100 and "GTUBE" in {rule["Name"] for rule in answer["Rules"]}

    def test_the_report_of_rspamd(self) -> None:
        answer = _of_rspamd('{"score": 7.5, "action": "add header", "symbols": {"A": {"name": "A", "score": 7.5}}}')
        assert (answer["Score"], answer["IsSpam"], answer["Rules"][0]["Name"]) == (7.5, True, "A")

    def test_without_a_filter_it_says_so(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PATH", "")
        assert "installed" in score(b"\r\n")["Error"]
