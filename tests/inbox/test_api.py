"""The API, asked as a program on this machine asks it: who is let in, and what is answered."""

from __future__ import annotations

import http.client
import json
from typing import Any, Protocol
from urllib.parse import urlsplit

import pytest

from tests.inbox.hostile import hostile_mails
from tests.inbox.letters import letters
from wlsmtp import Message, SMTPSession
from wlsmtp.inbox import Inbox
from wlsmtp.inbox.app import make_app
from wlsmtp.inbox.store import Facts
from wlsmtp.testing import SMTPServer

FACTS = Facts("ann@example.com", ("bob@example.org",))
OURS = "127.0.0.1"


class Served(Protocol):
    """An inbox, or an application in which one is mounted."""

    @property
    def web_url(self) -> str: ...


def ask(
    inbox: Served, path: str, method: str = "GET", body: Any = None, **headers: str
) -> tuple[int, dict[str, str], bytes]:
    address = urlsplit(inbox.web_url).netloc
    connection = http.client.HTTPConnection(address, timeout=10)
    try:
        content = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, f"/{path}", content, given)
        answer = connection.getresponse()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
    finally:
        connection.close()


def change(inbox: Inbox, path: str, method: str, body: Any = None) -> tuple[int, Any]:
    status, _, content = ask(inbox, path, method, body, X_Inbox_Token=inbox.token or "")
    try:
        return status, json.loads(content)
    except ValueError:
        return status, content.decode()


def get(inbox: Inbox, path: str) -> Any:
    status, _, content = ask(inbox, path)
    assert status == 200, content
    return json.loads(content)


class TestWhoIsLetIn:
    @pytest.mark.parametrize(
        "headers",
        [
            {"Host": "evil.example"},  # a name of theirs that resolves to this machine
            {"Host": "127.0.0.1.evil.example"},
            {"Host": "localhost.evil.example:80"},
            {"Host": "evil.example#localhost"},
            {"Host": ""},
            {"Origin": "http://evil.example"},
            {"Origin": "null"},
            {"Origin": "http://localhost:1"},
            {"Sec_Fetch_Site": "cross-site"},
            {"Sec_Fetch_Site": "same-site"},
            {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "navigate", "Sec_Fetch_Dest": "document"},
            {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "navigate", "Sec_Fetch_Dest": "iframe"},
        ],
    )
    def test_other_pages_are_refused(self, box: Inbox, headers: dict[str, str]) -> None:
        status, answer, content = ask(box, "api/v1/messages", **headers)
        assert status == 403 and b"messages" not in content
        assert "access-control-allow-origin" not in answer

    @pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]", "inbox.localhost", "LOCALHOST:80"])
    def test_names_of_this_machine_are_known(self, box: Inbox, host: str) -> None:
        assert ask(box, "api/v1/messages", Host=host)[0] == 200
        assert ask(box, "api/v1/messages", Host=host, Origin=f"http://{host}", Sec_Fetch_Site="same-origin")[0] == 200

    def test_a_link_may_open_the_page_and_nothing_else(self, box: Inbox) -> None:
        link = {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "navigate", "Sec_Fetch_Dest": "document"}
        assert ask(box, "", **link)[0] == 200
        assert ask(box, "?x=1", "POST", **link)[0] == 403
        assert ask(box, "view/latest.html?remote=1", **link)[0] == 403

    @pytest.mark.parametrize(
        ("method", "path"),
        [
            ("DELETE", "api/v1/messages"), ("PUT", "api/v1/messages"), ("DELETE", "api/v1/search?query=a"),
            ("POST", "api/v1/send"), ("PUT", "api/v1/chaos"), ("POST", "api/v1/faults"), ("PUT", "api/v1/tags"),
            ("POST", "api/v1/message/latest/release"), ("DELETE", "api/v1/tags/a"), ("OPTIONS", "api/v1/messages"),
        ],
    )  # fmt: skip
    def test_a_change_needs_the_token(self, box: Inbox, method: str, path: str) -> None:
        box.store.add(b"Subject: a\r\n\r\n", FACTS)
        for headers in ({}, {"X_Inbox_Token": "wrong"}, {"Authorization": "Bearer x"}, {"Authorization": "Basic !"}):
            assert ask(box, path, method, **headers)[0] == 401
        assert box.store.totals().messages == 1 and box.store.totals().unread == 1

    def test_the_token_comes_in_any_of_three_ways(self, box: Inbox) -> None:
        import base64

        basic = base64.b64encode(f"any:{box.token}".encode()).decode()
        token = box.token or ""
        for headers in (
            {"X_Inbox_Token": token}, {"Authorization": f"Bearer {token}"}, {"Authorization": f"Basic {basic}"}
        ):  # fmt: skip
            assert ask(box, "api/v1/messages", "DELETE", **headers)[0] == 200

    def test_reading_without_the_token_leaves_a_message_unread(self, box: Inbox) -> None:
        box.store.add(b"Subject: a\r\n\r\n", FACTS)
        get(box, "api/v1/message/latest")
        assert box.store.totals().unread == 1
        change(box, "api/v1/message/latest", "GET")
        assert box.store.totals().unread == 0

    def test_each_answer_is_locked_up(self, box: Inbox) -> None:
        box.store.add(bytes(letters()[-1]), FACTS)
        for path in (
            "",
            "view/latest.html",
            "api/v1/messages",
            "api/v1/message/latest/raw",
            "no-such",
            "page/inbox.js",
        ):
            _, headers, _ = ask(box, path)
            assert "default-src 'none'" in headers["content-security-policy"]
            assert headers["x-content-type-options"] == "nosniff" and headers["referrer-policy"] == "no-referrer"
            assert headers["cross-origin-resource-policy"] == "same-origin"
        assert ask(box, "view/latest.html")[1]["content-security-policy"].startswith("sandbox")

    def test_html_and_svg_are_never_shown_as_such(self, box: Inbox) -> None:
        kinds = [
            "text/html",
            "image/svg+xml",
            "application/xhtml+xml",
            "text/xml",
            "image/svg%2bxml",
            "application/pdf",
            "x/y",
        ]
        for kind in kinds:
            head = "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Disposition: attachment\r\n"
            box.store.add(f"{head}Content-Type: {kind}\r\n\r\n<svg>\r\n--b--".encode(), FACTS)
            _, headers, _ = ask(box, "api/v1/message/latest/part/1")
            assert headers["content-disposition"].startswith("attachment")
            assert headers["content-type"].startswith(("application/octet-stream", "application/pdf", "text/plain")), (
                kind
            )

    def test_a_file_is_saved_octet_by_octet(self, box: Inbox) -> None:
        head = b"Content-Type: text/csv; charset=iso-8859-1\r\nContent-Disposition: attachment; filename=a.csv\r\n"
        box.store.add(head + b"Content-Transfer-Encoding: base64\r\n\r\nR3L8bg0KDQo=\r\n", FACTS)
        _, headers, content = ask(box, "api/v1/message/latest/part/1")
        assert (headers["content-type"], content) == ("text/csv; charset=iso-8859-1", b"Gr\xfcn\r\n\r\n")
        assert ask(box, "api/v1/message/latest/part/1?text=1")[2] == "Grün\n\n".encode()

    def test_names_of_files_cannot_add_headers(self, box: Inbox) -> None:
        box.store.add(hostile_mails("x")["headers with markup"], FACTS)
        _, headers, _ = ask(box, "api/v1/message/latest/part/2")
        assert "<" not in headers["content-disposition"] and '"' not in headers["content-disposition"]


class TestWhatIsAnswered:
    @pytest.mark.parametrize(
        ("path", "status"),
        [
            ("api/v1/message/none", 404), ("api/v1/message/latest", 404), ("api/v1/messages?limit=x", 400),
            ("view/none.html", 404), ("page/../core.py", 404), ("page/index.html", 404), ("nothing", 404),
        ],
    )  # fmt: skip
    def test_what_is_not_there(self, box: Inbox, path: str, status: int) -> None:
        assert ask(box, path)[0] == status

    @pytest.mark.parametrize(
        ("method", "path", "body"),
        [
            ("PUT", "api/v1/messages", b"no json"), ("PUT", "api/v1/messages", [1]),
            ("DELETE", "api/v1/messages", {"IDs": 1}), ("PUT", "api/v1/messages", b"[" * 100_000),
            ("DELETE", "api/v1/search", None), ("POST", "api/v1/faults", {"Kind": "x"}),
            ("POST", "api/v1/faults", {"Kind": "busy", "Times": 0}),
            ("PUT", "api/v1/chaos", {"Sender": {"ErrorCode": 200}}),
            ("POST", "api/v1/send", {"To": []}), ("POST", "api/v1/send", {"From": {"Email": "a\r\nb"}}),
        ],
    )  # fmt: skip
    def test_bad_requests_are_told(self, box: Inbox, method: str, path: str, body: Any) -> None:
        status, answer = change(box, path, method, body)
        assert status == 400 and answer["Error"]

    def test_the_document_names_each_path_and_method(self, box: Inbox) -> None:
        described = get(box, "api/v1/openapi.json")
        told = {(method.upper(), path) for path, methods in described["paths"].items() for method in methods}
        routes: list[Any] = make_app(box).routes
        served = {(method, route.path.replace(":path", "")) for route in routes for method in route.methods - {"HEAD"}}
        assert {pair for pair in served if pair[1] != "/" and not pair[1].startswith("/page")} == told
        assert all("security" in described["paths"][path][method.lower()] for method, path in told if method != "GET")

    def test_a_body_has_a_limit(self, box: Inbox) -> None:
        assert change(box, "api/v1/messages", "PUT", b" " * 1_100_000)[0] == 413

    def test_a_message(self, box: Inbox) -> None:
        with SMTPSession.from_url(box.url) as session:
            for letter in letters():
                session.send(letter)
        listed = get(box, "api/v1/messages?limit=2")
        assert (listed["total"], listed["count"], len(listed["messages"])) == (6, 2, 2)
        first = listed["messages"][0]
        assert first["From"] == {"Name": "Northwind", "Address": "hello@northwind.example"}
        assert (first["Tags"], first["Read"], first["Attachments"]) == (["signup"], False, 0)
        mail = get(box, f"api/v1/message/{first['ID']}")
        assert "482913" in mail["Text"] and mail["HTML"].startswith("<!doctype html>")
        [banner] = mail["Inline"]
        assert (banner["ContentID"], banner["ContentType"]) == ("banner", "image/png")
        assert mail["ListUnsubscribe"]["Links"] == ["https://northwind.example/unsubscribe"]
        details = get(box, f"api/v1/message/{first['ID']}/details")
        assert details["Envelope"]["To"] == ["bob+signup@example.org"] and details["Codes"] == ["482913"]
        assert details["Tree"]["ContentType"] == "multipart/alternative" or details["Tree"]["Parts"]
        shown = ask(box, f"view/{first['ID']}.html")[2]
        assert b"data:image/png;base64," in shown and b"cid:" not in shown
        assert ask(box, f"api/v1/message/{first['ID']}/raw?dl=1")[1]["content-disposition"].endswith('.eml"')

    def test_events_tell_of_a_message_at_once(self, box: Inbox) -> None:
        connection = http.client.HTTPConnection(urlsplit(box.web_url).netloc, timeout=10)
        connection.request("GET", "/api/v1/events")
        answer = connection.getresponse()
        assert answer.getheader("content-type", "").startswith("text/event-stream")
        while b"data: {}" not in answer.readline():
            pass
        box.store.add(b"Subject: now\r\n\r\n", FACTS)
        while not (line := answer.readline()).startswith(b'data: {"total"'):
            pass
        assert json.loads(line[6:])["message"]["Subject"] == "now"
        box.store.delete()
        while b"event: changed" not in answer.readline():
            pass
        connection.close()


class TestRelease:
    def test_it_goes_to_those_who_were_asked_for_and_to_nobody_else(self) -> None:
        with SMTPServer() as outside, Inbox(release=outside.url) as inbox:
            raw = bytes(Message("ann@example.com", ["bob@example.org", "cleo@example.net"], subject="Hi", text="x"))
            inbox.store.add(raw, Facts("ann@example.com", ("bob@example.org", "cleo@example.net")))
            assert change(inbox, "api/v1/message/latest/release", "POST", {"To": ["me@example.com"]}) == (200, "ok")
            [released] = outside.messages
            assert (released.recipients, released.sender, released.content) == (
                ("me@example.com",),
                "ann@example.com",
                raw,
            )
            status, answer = change(inbox, "api/v1/message/latest/release", "POST", {"To": []})
            assert status == 400 and "recipients" in answer["Error"] and len(outside.messages) == 1
            inbox.clear()

    def test_without_a_server_nothing_is_sent(self, box: Inbox) -> None:
        box.store.add(b"Subject: a\r\n\r\n", FACTS)
        status, answer = change(box, "api/v1/message/latest/release", "POST", {"To": ["me@example.com"]})
        assert status == 400 and "release=" in answer["Error"]
