"""Messages whose structure, character sets, names and headers attack who reads them."""

from __future__ import annotations

import base64

GIF = "R0lGODlhAQABAAAAACw="


def _page(body: bytes, kind: str = "text/html; charset=utf-8", more: str = "") -> bytes:
    return f"From: eve@example.net\r\nSubject: x\r\n{more}Content-Type: {kind}\r\n\r\n".encode() + body + b"\r\n"


def _with_file(disposition: str, kind: str = "text/plain", content: str = "x", page: str = "<p>x") -> bytes:
    parts = f"--b\r\nContent-Type: text/html\r\n\r\n{page}\r\n--b\r\nContent-Type: {kind}\r\n{disposition}\r\n\r\n{content}\r\n--b--"
    return _page(parts.encode(), "multipart/mixed; boundary=b")


def structures(markup: str, run: str, tracker: str) -> dict[str, bytes]:
    """They all have ``markup`` in a place where it must not be read as HTML, or name the tracker."""
    image = f"<img src=x onerror={run}>"
    attached = "Content-Disposition: attachment; filename="
    found = {
        "utf-7": _page(f"+ADw-img src=x onerror={run}+AD4-".encode(), "text/html; charset=utf-7"),
        "utf-16": _page(image.encode("utf-16"), "text/html; charset=utf-16"),
        "utf-32": _page(image.encode("utf-32-be"), "text/html; charset=utf-32be"),
        "iso-2022-jp": _page(b"<p title=\"\x1b$B\">" + image.encode() + b"\x1b(B\">", "text/html; charset=iso-2022-jp"),
        "iso-2022-jp roman": _page(b"<p title='\x1b(J\\'" + image.encode() + b"'>", "text/html; charset=iso-2022-jp"),
        "hz": _page(b"<p title='~{'~}'>" + image.encode(), "text/html; charset=hz"),
        "gbk that swallows a quote": _page(b'<p title="\x81">' + image.encode() + b'">', "text/html; charset=gbk"),
        "shift_jis that swallows a quote": _page(b'<p title="\x81">' + image.encode(), "text/html; charset=shift_jis"),
        "utf-8 that is cut": _page(b'<p title="\xe2\x80">' + image.encode() + b'\xc0\xbcimg src=x\xc0\xbe', "text/html"),
        "codecs that are no text": _page(base64.b64encode(image.encode()), "text/html; charset=base64"),
        "unicode escapes": _page(rb"\x3cscript\x3e\ud800", "text/html; charset=unicode_escape"),
        "html as an image": _with_file('Content-ID: <a>', "image/png", markup, "<img src=cid:a>"),
        "svg as an image": _with_file("Content-ID: <a>", "image/svg+xml", f"<svg xmlns='http://www.w3.org/2000/svg'><image href='http://{tracker}/s'/></svg>",
                                      "<img src=cid:a><object data=cid:a></object><p style='background:url(cid:a)'>"),
        "pdf as an image": _with_file("Content-ID: <a>", "application/pdf", f"%PDF-1.4 /URI (http://{tracker}/)", "<img src=cid:a><embed src=cid:a>"),
        "image whose name is markup": _with_file('Content-ID: <a"><img src=x>>', "image/gif", GIF, "<img src='cid:a\"&gt;&lt;img src=x&gt;'>"),
        "type that adds a header": _with_file(f"{attached}a", "image/png\r\n \r\n\tSet-Cookie: a=b", markup),
        "type with markup": _with_file(f"{attached}a", "text/html;charset=\"'><img src=x>\"", markup),
        "type of xml": _with_file(f"{attached}a.xml", "application/xml", f"<?xml-stylesheet href='http://{tracker}/x.xsl'?><a/>"),
        "type of xhtml": _page(markup.encode(), "application/xhtml+xml"),
        "name that climbs": _with_file(f'{attached}"../../../etc/passwd"'),
        "name that climbs on Windows": _with_file(f'{attached}"..\\\\..\\\\C:\\\\x.exe"'),
        "name of the directory": _with_file(f'{attached}".."'),
        "name that is turned round": _with_file(f"{attached}x; filename*=utf-8''invoice%E2%80%AEfdp.exe"),
        "name with NUL and line ends": _with_file(f"{attached}x; filename*=utf-8''a%00b%0d%0aSet-Cookie:%20a=b.html"),
        "name without end": _with_file(f'{attached}"{"a" * 9000}.exe"'),
        "name of a prototype": _with_file(f"{attached}__proto__", page="<p id=__proto__>x"),
        "events in the subject": _page(b"x", more="Subject: =?utf-8?q?a=0D=0A=0D=0Aevent:_changed=0Adata:_{}?=\r\n"),
        "line separators in the subject": _page(b"x", more="Subject: =?utf-8?q?a=E2=80=A8</script>=E2=80=A9?=\r\n"),
        "fields of prototypes": _page(b"x", more="__proto__: x\r\nconstructor: y\r\nX-Tag: __proto__, constructor\r\n"),
        "addresses with markup": _page(b"x", more=f"From: =?utf-8?q?=3Cimg_src=3Dx_onerror=3Dx=3E?= <a@b>\r\nTo: <{markup}@x>\r\nReply-To: {markup}\r\n"),
        "addresses that are turned round": _page(b"x", more="To: =?utf-8?q?=E2=80=AEnna?= <a@example.com>\r\n"),
        "headers that name others": _page(b"x", more="".join(f"{name}: <http://{tracker}/{name}>\r\n" for name in (
            "List-Unsubscribe", "List-Archive", "BIMI-Location", "Content-Location", "Content-Base", "Face-URL", "X-Image-URL",
            "Archived-At", "Disposition-Notification-To", "Autocrypt", "Link"))),
        "body elsewhere": _page(b"Content-Type: text/plain\r\n\r\n", f"message/external-body; access-type=URL; URL=\"http://{tracker}/e\""),
        "message in a message": _page(_page(markup.encode()), "message/rfc822"),
        "invitation with html": _page(f"BEGIN:VCALENDAR\r\nX-ALT-DESC;FMTTYPE=text/html:{markup}\r\nATTACH:http://{tracker}/a\r\nEND:VCALENDAR".encode(), "text/calendar; method=REQUEST"),
        "alternative for phones": _page(b"--b\r\nContent-Type: text/x-amp-html\r\n\r\n" + markup.encode() + b"\r\n--b--", "multipart/alternative; boundary=b"),
        "boundary with a pattern": _page(b"--(a+)+$\r\n\r\n" + b"a" * 5000 + b"!\r\n", 'multipart/mixed; boundary="(a+)+$"'),
        "ten thousand parts": _page(b"--b\r\nContent-Type: text/html\r\nContent-Disposition: attachment\r\n\r\nx\r\n" * 10_000, "multipart/mixed; boundary=b"),
        "a header of a megabyte": _page(b"x", more=f"X-Long: {'a' * 1_000_000}\r\nSubject: {'b' * 100_000}\r\n"),
        "a thousand levels": b"".join(b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (n, n) for n in range(1000)) + b"\r\n" + markup.encode(),
        "links that are more than links": _page(f"http://x.example/\"onmouseover={run}// https://{tracker}\\@x javascript:{run} http://\u202ex".encode(), "text/plain; charset=utf-8"),
        "placeholders of the page": _page(b"{token} {{token}} ${token} <%= token %> {% token %}", more="Subject: {token}\r\n"),
    }  # fmt: skip
    return found
