"""What the messages of the corpus say, whichever library writes them: a ``Letter`` for each thing that may go wrong."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

Person = tuple[str, str]
"""Name and address, as a person would write them."""


@dataclass(frozen=True)
class File:
    """An attachment; an inline one has an identifier."""

    name: str
    type: str
    data: bytes
    identifier: str = ""


@dataclass(frozen=True)
class Letter:
    """What is meant to arrive."""

    name: str
    """What is special about it."""
    subject: str = "Minutes of the meeting"
    text: str = "Hello Bob,\n\nsee you on Monday.\n"
    html: str = ""
    sender: Person = ("Ann Example", "ann@example.com")
    to: tuple[Person, ...] = (("Bob", "bob@example.org"),)
    cc: tuple[Person, ...] = ()
    bcc: tuple[Person, ...] = ()
    reply_to: tuple[Person, ...] = ()
    group: str = ""
    """The name of the group that the recipients in To are shown as; nobody is shown in ``group`` without them."""
    fields: tuple[tuple[str, str], ...] = ()
    files: tuple[File, ...] = ()
    charset: str = "utf-8"
    encoding: str = ""
    """A transfer encoding that is asked for."""
    parameters: tuple[tuple[str, str], ...] = ()
    """More parameters of the text's type."""
    shape: str = "mixed"
    """What the files are to the text: a subtype of multipart."""
    line_end: str = ""
    """Of the octets, where they are written by hand; none: as it is usual there."""
    only_in: tuple[str, ...] = ()
    """The idioms that can say it; none: all."""

    @property
    def shown_to(self) -> tuple[Person, ...]:
        """Those in To, also in a second field."""
        return (*self.to, *[("", value) for name, value in self.fields if name == "To"])

    @property
    def people(self) -> tuple[Person, ...]:
        """Everybody who gets it."""
        return (*self.shown_to, *self.cc, *self.bcc)


PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256))
PDF = b"%PDF-1.4\n\xe2\xe3\xcf\xd3\r\n" + bytes(range(255, -1, -1)) * 5 + b"\n%%EOF"
INNER = b"From: carl@example.net\nTo: ann@example.com\nSubject: An older one\n\nWhat Carl wrote.\n"
CALENDAR = (
    b"BEGIN:VCALENDAR\r\nVERSION:2.0\r\nMETHOD:REQUEST\r\nBEGIN:VEVENT\r\nUID:1@example.com\r\nSUMMARY:Caf\xc3\xa9\r\n"
    b"END:VEVENT\r\nEND:VCALENDAR\r\n"
)
STATUS = (
    b"Reporting-MTA: dns; mail.example.org\n\nFinal-Recipient: rfc822; bob@example.org\nAction: failed\nStatus: 5.1.1\n"
)
HANDMADE = ("MIMEText", "old code", "octets", "parsed")
"""Idioms that can say whatever MIME can."""
WITH_FIELDS = ("MIMEText", "EmailMessage", "old code", "octets", "parsed")
"""Idioms whose header section is the user's own."""

DATE = "Sun, 29 Nov 2026 10:30:00 +0100"
EMOJI = "Party 🎉 on Friday 🥳, bring 🍰"
UMLAUTS = "Grüße aus Köln: Überraschung für Jörg & Änne"
JAPANESE = "会議のお知らせと議事録"
LONG = "A rather long subject that tells about all the topics of the meeting, one by one, and does not come to an end"
LONG_UMLAUTS = "Ein sehr langer Betreff über größere Änderungen, für die man mehr als eine Zeile benötigt: " + UMLAUTS


def _subjects() -> Iterator[Letter]:
    yield Letter("nothing special")
    yield Letter("subject with emoji", subject=EMOJI)
    yield Letter("subject in Latin-1", subject=UMLAUTS, charset="iso-8859-1", text=f"{UMLAUTS}\n")
    yield Letter("subject in ISO-2022-JP", subject=JAPANESE, charset="iso-2022-jp", text=f"{JAPANESE}\n")
    yield Letter("long subject", subject=LONG)
    yield Letter("long subject outside ASCII", subject=LONG_UMLAUTS)
    yield Letter("very long subject", subject=" ".join([LONG] * 12))
    yield Letter("subject of one long word", subject="https://example.com/" + "x" * 150)
    yield Letter("subject like an encoded word", subject="Read =?this?= and = that_one?")
    yield Letter("empty subject", subject="")
    yield Letter("subject with two spaces", subject="Two  spaces   and more")
    yield Letter("subject with quotes", subject='He said "hello, <bob>"; (and left)')


def _people() -> Iterator[Letter]:
    yield Letter(
        "names outside ASCII", sender=("Jörg Müller", "joerg@example.com"), to=(("Änne", "aenne@example.org"),)
    )
    yield Letter(
        "name with a comma", sender=("Example, Ann", "ann@example.com"), to=(("Doe, John", "john@example.org"),)
    )
    yield Letter(
        "name with a comma outside ASCII", to=(("Müller, Jörg", "joerg@example.org"), ("Bob", "bob@example.org"))
    )
    yield Letter("name with quotes and backslash", to=(('Bob "the \\ builder"', "bob@example.org"),))
    yield Letter("name with parentheses", to=(("Bob (work)", "bob@example.org"),))
    yield Letter("name with a dot", to=(("Dr. Bob Q. Example", "bob@example.org"),))
    yield Letter("name like an address", to=(("eve@example.net", "bob@example.org"),))
    yield Letter("name with an apostrophe", to=(("Bob O'Neill", "bob@example.org"),))
    yield Letter(
        "name in Japanese", to=(("山田太郎", "taro@example.org"),), charset="iso-2022-jp", text=f"{JAPANESE}\n"
    )
    yield Letter(
        "long name",
        to=(("Department of Mechanical Engineering and Robotics, Building 4, East Wing", "bob@example.org"),),
    )
    yield Letter(
        "long name outside ASCII",
        to=(("Institut für Maschinenbau und Robotik der Universität zu Köln", "bob@example.org"),),
    )
    yield Letter("no names", sender=("", "ann@example.com"), to=(("", "bob@example.org"), ("", "carl@example.net")))
    yield Letter("a local part in quotes", to=(("", '"bob smith"@example.org'),))
    yield Letter(
        "dots in quotes",
        to=(("", '"a..b"@docomo.example'),),
        only_in=("MIMEText", "EmailMessage", "octets", "parsed"),
    )
    yield Letter("an address literal", to=(("", "bob@[192.0.2.1]"),))
    yield Letter(
        "copies and blind copies",
        cc=(("Carl", "carl@example.net"),),
        bcc=(("Dan", "dan@example.net"), ("", "eve@example.net")),
    )
    yield Letter("only blind copies", to=(), bcc=(("", "dan@example.net"),))
    yield Letter(
        "the same person twice", cc=(("", "bob@example.org"),), bcc=(("", "dan@example.net"), ("", "dan@example.net"))
    )
    yield Letter("answers to several", reply_to=(("Ann", "ann@example.com"), ("Büro", "office@example.com")))
    yield Letter("200 recipients", to=tuple((f"Person {n}", f"person{n}@example.org") for n in range(200)))
    yield Letter(
        "200 recipients outside ASCII", to=tuple((f"Persön, {n}", f"person{n}@example.org") for n in range(200))
    )
    yield Letter(
        "a group", to=(("Bob", "bob@example.org"), ("", "carl@example.net")), group="The team", only_in=WITH_FIELDS
    )
    yield Letter(
        "undisclosed recipients",
        to=(),
        group="undisclosed-recipients",
        bcc=(("", "dan@example.net"),),
        only_in=WITH_FIELDS,
    )
    yield Letter(
        "a domain outside ASCII", to=(("Bob", "bob@bücher.example"),), only_in=("EmailMessage", "Django", "octets")
    )
    yield Letter("an address outside ASCII", to=(("Jörg", "jörg@example.org"),), only_in=("EmailMessage", "octets"))
    yield Letter("names of this machine", sender=("", "root@localhost"), to=(("", "postmaster@localhost"),))
    yield Letter("Postmaster", to=(("", "Postmaster"),))
    yield Letter("a name without a domain", to=(("", "root"),))
    yield Letter("an underscore in a domain", to=(("", "bob@mail_server.internal"),))
    yield Letter("sent by another", fields=(("Sender", "secretary@example.com"),), only_in=WITH_FIELDS)


def _texts() -> Iterator[Letter]:
    yield Letter("text outside ASCII", text=f"{UMLAUTS}\n{EMOJI}\n")
    yield Letter(
        "text in 8bit", text=f"{UMLAUTS}\n", encoding="8bit", only_in=("EmailMessage", "old code", "octets", "parsed")
    )
    yield Letter(
        "text in quoted-printable",
        text=f"{UMLAUTS} = \n trailing space \n\ttab\t\n",
        encoding="quoted-printable",
        only_in=WITH_FIELDS,
    )
    yield Letter("text in windows-1252", text="Price: 5 €, “quoted”, done\n", charset="windows-1252")
    yield Letter("text in base64", text=f"{UMLAUTS}\n" * 9, encoding="base64", only_in=WITH_FIELDS)
    yield Letter("empty text", text="")
    yield Letter("no line end at the end", text="Hello Bob")
    yield Letter("many blank lines", text="\n\nHello\n\n\n\nBob\n\n\n")
    yield Letter("dots", text=".\n..\n.\n...dots\nText.\n.")
    yield Letter("lines that begin with From", text="From here on\n>From there\nFrom\n")
    yield Letter("a line of 2,000 letters", text="word " * 400 + "\nshort\n")
    yield Letter("a word of 2,000 letters", text="w" * 2000 + "\n")
    yield Letter("a line of 2,000 letters outside ASCII", text="wörd " * 400 + "\n")
    yield Letter("line ends of Windows", text="one\r\ntwo\r\n\r\nthree\r\n", line_end="\r\n")
    yield Letter("line ends of Unix", line_end="\n", only_in=("octets", "parsed"))
    yield Letter("line ends of all kinds", text="one\r\ntwo\nthree\rfour\n")
    yield Letter("trailing spaces", text="one \ntwo\t\n-- \nAnn\n")
    yield Letter(
        "text in format=flowed",
        text="a soft \nline break \nhere\n",
        parameters=(("format", "flowed"), ("delsp", "yes")),
        only_in=WITH_FIELDS,
    )
    yield Letter("HTML beside the text", html=f"<p>Hello <b>Bob</b>, {UMLAUTS}</p>\n")
    yield Letter("HTML with long lines", html="<p>" + "x <i>y</i> " * 300 + "</p>\n")
    yield Letter("a tab and a form feed", text="a\tb\n\x0cnext page\n")


def _files() -> Iterator[Letter]:
    yield Letter("a file", files=(File("report.pdf", "application/pdf", PDF),))
    yield Letter("a file with spaces in its name", files=(File("the final report.pdf", "application/pdf", PDF),))
    yield Letter("a file with a name outside ASCII", files=(File("Übersicht für März.pdf", "application/pdf", PDF),))
    yield Letter(
        "a file with a long name outside ASCII", files=(File("Übersicht " * 12 + ".pdf", "application/pdf", PDF),)
    )
    yield Letter("a file with a long name", files=(File("report-of-" * 12 + "2026.pdf", "application/pdf", PDF),))
    yield Letter("a file with a name in Japanese", files=(File(f"{JAPANESE}.pdf", "application/pdf", PDF),))
    yield Letter(
        "a file with odd characters in its name",
        files=(File("a;b='c' (d) [e] %20 &.txt", "application/octet-stream", b"x"),),
    )
    yield Letter("an empty file", files=(File("empty.bin", "application/octet-stream", b""),))
    yield Letter("a text file", files=(File("table.csv", "text/csv", "a;b\nü;ö\n".encode()),))
    yield Letter(
        "three files",
        files=(
            File("a.pdf", "application/pdf", PDF),
            File("b.png", "image/png", PNG),
            File("c.bin", "application/octet-stream", b"\0\r\n\r\0"),
        ),
    )
    yield Letter(
        "an inline image",
        html='<img src="cid:logo@example.com">\n',
        files=(File("logo.png", "image/png", PNG, "logo@example.com"),),
        shape="related",
        only_in=WITH_FIELDS,
    )
    yield Letter(
        "a calendar",
        files=(File("", "text/calendar; method=REQUEST; charset=utf-8", CALENDAR),),
        shape="alternative",
        only_in=HANDMADE,
    )
    yield Letter("an attached message", files=(File("", "message/rfc822", INNER),), only_in=WITH_FIELDS)
    yield Letter(
        "a report of failure",
        files=(File("", "message/delivery-status", STATUS), File("", "message/rfc822", INNER)),
        shape="report",
        only_in=HANDMADE,
    )
    yield Letter(
        "a signed text",
        files=(File("smime.p7s", "application/pkcs7-signature", PDF),),
        shape="signed",
        only_in=HANDMADE,
    )
    yield Letter(
        "a signed text outside ASCII",
        text=f"{UMLAUTS}\n",
        files=(File("smime.p7s", "application/pkcs7-signature", PDF),),
        shape="signed",
        only_in=HANDMADE,
    )


def _header_fields() -> Iterator[Letter]:
    references = " ".join(f"<{number}.abcdefgh.1234@mail.example.com>" for number in range(40))
    yield Letter("fields of a list", fields=(
        ("List-Id", "The list <list.example.com>"),
        ("List-Unsubscribe", "<mailto:leave@example.com?subject=leave>, <https://example.com/leave?id=1&x=y>"),
        ("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"),
        ("Precedence", "bulk"),
    ))  # fmt: skip
    yield Letter(
        "an answer in a long thread",
        fields=(("In-Reply-To", "<39.abcdefgh.1234@mail.example.com>"), ("References", references)),
    )
    yield Letter("a field outside ASCII", fields=(("X-Department", "Büro für Öffentlichkeit"), ("X-Emoji", EMOJI)))
    yield Letter(
        "a long field",
        fields=(("X-Data", '{"key": ["value", 1, 2, 3]} ' * 60 + "end"), ("X-Mailer", "Mailer/1.0 (x; y)")),
    )
    yield Letter(
        "importance",
        fields=(("X-Priority", "1 (Highest)"), ("Importance", "high"), ("Auto-Submitted", "auto-generated")),
    )
    trace = "from a.example.net (a.example.net [192.0.2.1]) by b.example.org (Postfix) with ESMTPS id 4F; " + DATE
    yield Letter(
        "a chain of Received",
        fields=(("Return-Path", "<ann@example.com>"), *[("Received", trace)] * 5),
        only_in=WITH_FIELDS,
    )
    yield Letter(
        "resent",
        fields=(
            ("Resent-From", "Carl <carl@example.net>"),
            ("Resent-To", "Dan <dan@example.net>"),
            ("Resent-Cc", "eve@example.net"),
            ("Resent-Bcc", "fay@example.net"),
            ("Resent-Date", DATE),
            ("Resent-Message-ID", "<r@example.net>"),
        ),
        only_in=WITH_FIELDS,
    )
    yield Letter(
        "a receipt is asked for",
        fields=(("Disposition-Notification-To", "Jörg <joerg@example.com>"), ("Return-Receipt-To", "ann@example.com")),
    )


def _faults() -> Iterator[Letter]:
    """What could mean more than one thing."""
    for name, to in (
        ("a semicolon between recipients", "bob@example.org, carl@example.net; dan@example.net"),
        ("two addresses in one entry", "bob@example.org <eve@example.net>"),
        ("a comma forgotten", "bob@example.org carl@example.net"),
    ):
        yield Letter(name, to=(), fields=(("To", to),), only_in=("MIMEText", "EmailMessage", "old code", "parsed"))
    yield Letter("two senders", fields=(("From", "eve@example.net"),), only_in=HANDMADE)
    yield Letter("two fields of recipients", fields=(("To", "carl@example.net"),), only_in=HANDMADE)


def letters() -> list[Letter]:
    """All of them. Date and Message-ID are given, so that no writer makes up its own."""
    fixed = (("Date", DATE), ("Message-ID", "<20261129.1030.corpus@example.com>"))
    found = [*_subjects(), *_people(), *_texts(), *_files(), *_header_fields(), *_faults()]
    return [replace(letter, fields=(*fixed, *letter.fields)) for letter in found]
