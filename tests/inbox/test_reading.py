"""Messages taken apart: what mail programs send, and what nobody should."""

from __future__ import annotations

from email.message import EmailMessage

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.inbox.letters import letters
from wlsmtp.inbox.fields import mailboxes, read, summarise
from wlsmtp.inbox.html import make_showable, to_text
from wlsmtp.inbox.mail import Mail, links_in
from wlsmtp.inbox.mime import decode_words, parse, parse_parameters
from wlsmtp.inbox.store import Facts, Store


def mail_of(text: str = "", html: str = "") -> Mail:
    message = EmailMessage()
    message.set_content(text)
    if html:
        message.add_alternative(html, subtype="html")
    store = Store()
    return Mail(store, store.add(message.as_bytes(), Facts()))


class TestParts:
    def test_those_of_a_message_of_the_standard_library(self) -> None:
        message = EmailMessage()
        message["Subject"] = "Grüße"
        message.set_content("Hällo\n")
        message.add_alternative("<p>Hällo <img src=cid:a>", subtype="html")
        message.get_payload()[1].add_related(b"\x89PNG", "image", "png", cid="<a>")  # type: ignore[index, union-attr]
        message.add_attachment(b"%PDF", maintype="application", subtype="pdf", filename="Übersicht 1/2.pdf")
        reading = read(message.as_bytes())
        assert (reading.text, reading.html) == ("Hällo\n", "<p>Hällo <img src=cid:a>\n")
        assert [(part.filename, part.body()) for part in reading.attachments] == [("Übersicht 1_2.pdf", b"%PDF")]
        assert [(part.content_id, part.path) for part in reading.inline] == [("a", "1.2.2")]
        assert reading.root.get("Subject") == "Grüße"

    def test_the_standard_library_finds_the_same_in_our_letters(self) -> None:
        from email import message_from_bytes, policy

        for letter in letters():
            raw = bytes(letter)
            theirs = [part for part in message_from_bytes(raw, policy=policy.default).walk() if not part.is_multipart()]
            ours = [part for part in parse(raw).walk() if not part.is_multipart]
            assert [part.content_type for part in ours] == [part.get_content_type() for part in theirs]
            assert [part.body() for part in ours] == [part.get_payload(decode=True) for part in theirs]

    @pytest.mark.parametrize(
        ("raw", "text"),
        [
            (b"", ""),
            (b"no header at all", ""),
            (b"\r\nonly a body", "only a body"),
            (b"Content-Type: multipart/mixed; boundary=b\r\n\r\nnothing in it", ""),
            (b"Content-Type: text/plain; charset=no-such\r\n\r\nGr\xfc\xdfe", "Grüße"),
            (b"Content-Type: text/plain; charset=idna\r\n\r\nGr\xc3\xbc", "Grü"),
            (b"Content-Transfer-Encoding: base64\r\n\r\nSGFsbG8*\r\n", "Hallo"),
            (b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n--b\r\n\r\nsecond\r\n--b--", ""),
        ],
    )
    def test_malformed_messages_are_read_as_far_as_possible(self, raw: bytes, text: str) -> None:
        assert read(raw).text == text

    @given(st.binary(max_size=300))
    def test_nothing_is_raised(self, noise: bytes) -> None:
        for raw in (
            noise,
            b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n" + noise + b"\r\n--b\r\n\r\nx\r\n--b--\r\n",
        ):
            summarise(raw, "ann@example.com", ("bob@example.org",), 0.0)

    def test_parameters_in_pieces_and_in_another_charset(self) -> None:
        kind, parameters = parse_parameters('a/b; name*0*=utf-8\'\'%C3%9C; name*1=ber; x="a\\"b"')
        assert (kind, parameters) == ("a/b", {"name": "Über", "x": 'a"b'})

    def test_encoded_words(self) -> None:
        assert decode_words("=?utf-8?q?Gr=C3=BC?= =?utf-8?b?w59l?= =?x-none?q?a?=, b") == "Grüßea, b"
        assert decode_words("=?utf-8?b?w7?= =?utf-8?b?w6Q=?=").isprintable()

    def test_addresses_that_are_malformed_are_found_all_the_same(self) -> None:
        assert mailboxes("Ann <ann@example.com>, bob@example.org") == [
            {"Name": "Ann", "Address": "ann@example.com"},
            {"Name": "", "Address": "bob@example.org"},
        ]
        assert mailboxes("ann@example.com bob@example.org")[1]["Address"] == "bob@example.org"


class TestHTML:
    @pytest.mark.parametrize(
        ("source", "expected"),
        [
            ("<p title='a\"b'>x<b>y", '<p title="a&quot;b">x<b>y'),
            ("a < b &amp; c &lt;i&gt;", "a &lt; b &amp; c &lt;i&gt;"),
            ("<img src=x onerror=y><svg><p>z", "<img><p>z"),
            ("<a href='https://x.example/?a=1&amp;b=2'>",
             '<a href="https://x.example/?a=1&amp;b=2" target="_blank" rel="noopener noreferrer nofollow">'),
            ("<a href='javascript:x'>y</a>", "<a>y</a>"),
            ("<style>a::before{content:'</b>'}</style>", '<style media="">a::before{content:\'\\3c /b>\'}</style>'),
            ("<script>x</script><!-- y -->z<![if mso]>", "z"),
            ("<p style='color:red' class=a>x</p>", '<p style="color:red" class="a">x</p>'),
            ("&#99999999999999999999;" + "&#" + "9" * 9999 + ";", "\ufffd;\ufffd;"),
        ],
    )  # fmt: skip
    def test_it_is_written_anew(self, source: str, expected: str) -> None:
        assert make_showable(source).html.partition("<body>")[2] == expected + "</body></html>"

    def test_images_of_the_mail_are_put_in_place_of_their_names(self) -> None:
        shown = make_showable(
            "<img src=cid:a><p style='background:url(cid:a)'>", lambda name: f"data:image/png;base64,{name}A=="
        )
        assert shown.html.count("data:image/png;base64,aA==") == 2

    def test_what_is_left_out_is_told(self) -> None:
        shown = make_showable("<script src=//x.example/a></script><img src=http://y.example/b onload=z><form>")
        assert shown.blocked == ["//x.example/a", "http://y.example/b"]
        assert shown.removed == {"<script>": 1, "onload=": 1, "<form>": 1}

    def test_the_text_of_it(self) -> None:
        assert to_text("<h1>Hi</h1><p>one <b>two</b><br>three<style>x</style>&nbsp;&zwnj;</p>") == "Hi\none two\nthree"

    @given(st.text(alphabet="<>/!-='\"&; ab\0\n", max_size=80))
    def test_only_known_elements_and_attributes_are_left(self, source: str) -> None:
        from html.parser import HTMLParser

        seen: list[str] = []

        class Reader(HTMLParser):
            def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
                seen.extend([tag, *(name for name, _ in attrs)])

        reader = Reader()
        reader.feed(make_showable(f"<a {source}").html.partition("<body")[2].partition(">")[2])
        reader.close()
        assert set(seen) <= {"a", "b", "href", "target", "rel"}


class TestWhatTestsAskFor:
    def test_links(self) -> None:
        mail = mail_of(
            "See https://example.com/a(b), or <https://example.com/c>.",
            "<a href='https://example.com/?x=1&amp;y=2'>z</a>",
        )
        assert mail.links == ["https://example.com/?x=1&y=2", "https://example.com/a(b)", "https://example.com/c"]
        assert links_in("(https://example.com/x).") == ["https://example.com/x"]

    @pytest.mark.parametrize(
        ("text", "codes"),
        [
            ("Your code is 482913.", ["482913"]),
            ("Order 20260131\n\nUse this code:\n\n  K7QX-93FD\n", ["K7QX-93FD", "20260131"]),
            ("PIN: 4711", ["4711"]),
            ("Your code: 123 456", ["123 456"]),
            ("Call +4930123456, pay 1234.50 or see https://example.com/123456", []),
        ],
    )
    def test_codes(self, text: str, codes: list[str]) -> None:
        assert mail_of(text).codes == codes


def hostile(size: int) -> dict[str, bytes]:
    """Messages of about that size that are made to cost much."""
    nested = b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n"
    header = b"Content-Type: text/html\r\n\r\n"
    many = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n"
    return {
        "delimiters": many + b"--b\r\n" * (size // 5),
        "almost delimiters": many + b"--b x\r\n" * (size // 7),
        "nested": b"".join(nested % (n, n) for n in range(size // 60)),
        "one long field": b"Subject: " + b"=?utf-8?q?a?= " * (size // 14) + b"\r\n\r\n",
        "fields": b"X: y\r\n" * (size // 6) + b"\r\n",
        "folds": b"To: a" + b"\r\n (" * (size // 4) + b"\r\n\r\n",
        "addresses": b"To: " + b"(((((<" * (size // 6) + b"\r\n\r\n",
        "parameters": b"Content-Type: a/b" + b'; a*0*="' * (size // 8) + b"\r\n\r\n",
        "blank lines": many + b"\n" * size,
        "tags": header + b"<a " * (size // 3),
        "comments": header + b"<!--" * (size // 4),
        "quotes": header + b"<a b='" * (size // 6),
        "attributes": header + b"<a" + b" b=c" * (size // 4),
        "spaces": header + b"<a" + b" " * size,
        "references": header + b"&#9" * (size // 3),
        "raw text": header + b"<style>" * (size // 7),
        "styles": header + b"<p style='" + b"url(" * (size // 4),
        "images": header + b"<img src=cid:a>" * (size // 15),
        "links": b"\r\n" + b"https://" * (size // 8),
        "codes": b"\r\n" + b"code A1-" * (size // 8),
    }  # fmt: skip


@pytest.mark.parametrize("name", hostile(100))
def test_hostile_messages_cost_what_their_size_costs(name: str) -> None:
    """A step that takes quadratic time would not end before the test is stopped."""
    store = Store()
    mail = Mail(store, store.add(hostile(300_000)[name], Facts()))
    assert mail.shown().html and len(mail.links) + len(mail.codes) < 300_000
