"""Words, names and values of which random messages are made."""

from __future__ import annotations

from email import policy
from email.header import Header
from typing import Any

_TEXTS = {
    "ascii": """Hello Bob, see you on Monday: minutes of the meeting (draft) = 100% & more. From here; it's "done" """,
    "iso-8859-1": "Grüße aus Köln für Ærøskøbing: Überraschung à la carte, señor ¡Olé! ½ £5",
    "iso-2022-jp": "会議 の お知らせ と 議事録 を 送り ます 。 山田 太郎 テスト メール",
    "gb18030": "会议 通知 和 记录 你好 世界 測試 郵件 𠀀 測 試",
    "koi8-r": "Привет из Москвы отчёт за март счёт и договор конец",
    "utf-8": "Party 🎉 on Friday 🥳 naïve Ελληνικά עברית العربية ไทย 👩‍👩‍👧‍👦 é ﬁ",
    "windows-1252": "Price: 5 € “quoted” done… naïve Œuvre ÿ",
}
WORDS = {charset: text.split() for charset, text in _TEXTS.items()}
NAMES = ("Bob", "Ann Example", "Doe, John", 'Bob "B" Builder', "Dr. Q. Who", "Müller, Jörg", "山田 太郎", "O'Neill",
         "Bob (work)", "eve@example.net", "Иван Петров", "a\\b", "Zoë 🎉", "x" * 70, "Ünï " * 25, "no?",
         " padded ", "semi;colon", "A <B>", "Straße & Co. KG", "")  # fmt: skip
LOCALS = ("bob", "ann.b", "x+tag", "o'neill", "a_b", "1", "Bob", "a-b", "x" * 60, "a/b=c", "a&b", "{x}", "~me")
FILE_NAMES = ("report.pdf", "a b.txt", "Übersicht für März.pdf", "会議.doc", 'q"uote.txt', "semi;colon.txt", "100%.txt",
              "back\\slash.txt", "'single'.txt", "x" * 120 + ".bin", "ü" * 90 + ".bin", "tab\there.txt", "émoji🎉.png",
              "=?utf-8?q?a?=.txt", "a*b.txt", "(paren).txt", "..", "/etc/passwd", "CON", "файл.pdf", "", " lead.txt",
              "trail.txt ", "a,b=c.txt", "no_ext", "name\u200bzero.txt")  # fmt: skip
POLICIES: tuple[Any, ...] = (
    policy.default,
    policy.SMTP,
    policy.SMTPUTF8,
    policy.HTTP,
    policy.default.clone(cte_type="7bit"),
    policy.default.clone(max_line_length=40),
    policy.default.clone(max_line_length=0),
    policy.default.clone(max_line_length=998),
    policy.SMTP.clone(refold_source="all"),
    policy.SMTP.clone(refold_source="none"),
    policy.default.clone(linesep="\r\n", utf8=True),
    policy.default.clone(mangle_from_=True),
    policy.compat32,
)


OTHER_FIELDS: dict[str, tuple[Any, ...]] = {
    "Date": ("Sun, 29 Nov 2026 10:30:00 +0100", "29 Nov 26 10:30 GMT", "2026-11-29"),
    "Message-ID": ("<1@example.com>", "1@example.com", "<a b@example.com>", "<" + "x" * 200 + "@example.com>"),
    "References": (" ".join(f"<{n}.abc@mail.example.com>" for n in range(60)), "<1@a>\n <2@b>", "<1@a>"),
    "In-Reply-To": ("<1@a>", "Your message of Monday"),
    "List-Unsubscribe": ("<mailto:x@example.com?subject=a>, <https://example.com/" + "u" * 300 + ">",),
    "List-Id": ("The list <list.example.com>", "Liste für alle <list.example.com>"),
    "X-Long": ("v" * 1500, "word " * 400, "ü " * 500, '{"a": [1, 2]}' * 200),
    "X-Tab": ("a\tb", "\tlead", " "),
    "X-Umlaut": ("Büro", Header("Büro", "iso-8859-1"), "=?iso-8859-1?q?B=FCro?="),
    "X-Empty": ("", None),
    "Comments": ("one", "two (nested (comment))"),
    "Keywords": ("a, b, c", "ä, ö"),
    "Received": ("from a by b; Sun, 29 Nov 2026 10:30:00 +0100",),
    "Return-Path": ("<ann@example.com>", "<>"),
    "Precedence": ("bulk",),
    "Organization": ("Müller & Söhne GmbH", "ACME"),
    "Autocrypt": ("addr=ann@example.com; keydata=" + "mQGiBE" * 90,),
    "Content-Language": ("de",),
    "X-Number": (7,),
    "Thread-Topic": ("Größe",),
    "MIME-Version": ("1.0", "1.0 (Generated)"),
}
PART_FIELDS: dict[str, tuple[Any, ...]] = {
    "Content-ID": ("<logo@example.com>", "logo", "<a b>"),
    "Content-Description": ("Büro", "a file", "d" * 1200, Header("Büro", "utf-8")),
    "Content-Location": ("https://example.com/" + "l" * 200, "logo.png"),
    "Content-MD5": ("1B2M2Y8AsgTpgAmY7PhCfg==",),
    "Bcc": ("hidden@example.com",),
    "X-Part": ("é".encode().decode("ascii", "surrogateescape"), "x"),
}
