"""Hostile requests, octet by octet: names of others, other pages, paths, bodies, and clients that are slow."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from typing import Any
from urllib.parse import quote, urlsplit

import pytest

from tests.inbox.test_api import ask
from wlsmtp.inbox import Inbox, Store
from wlsmtp.inbox.app import make_app
from wlsmtp.inbox.events import MAX_LISTENERS
from wlsmtp.inbox.store import Facts

FACTS = Facts("ann@example.com", ("bob@example.org",))
SECRET = b"the secret of ann"


@pytest.fixture(scope="module")
def target() -> Iterator[Inbox]:
    """An inbox with one unread mail."""
    with Store() as store, Inbox(store=store) as inbox:
        store.add(b"Subject: " + SECRET + b"\r\n\r\n" + SECRET + b"\r\n", FACTS)
        yield inbox


def untouched(inbox: Inbox) -> bool:
    totals = inbox.store.totals()
    return (totals.messages, totals.unread, inbox.faults.ordered, inbox.store.tags()) == (1, 1, (), {})


def exchange(inbox: Inbox, octets: bytes) -> bytes:
    """What is answered to these octets, until the server closes or has nothing more to say."""
    address = urlsplit(inbox.web_url)
    answer = b""
    with (
        socket.create_connection((address.hostname, address.port), timeout=10) as connection,
        suppress(OSError),  # it need not read all of what is refused
    ):
        connection.sendall(octets)
        connection.shutdown(socket.SHUT_WR)
        while chunk := connection.recv(65536):
            answer += chunk
    return answer


def status_of(answer: bytes) -> int:
    """The status of an answer; 0 for none."""
    return int(answer.split(b" ", 2)[1]) if answer.startswith(b"HTTP/1.1 ") else 0


def request(line: str = "GET /api/v1/messages", *headers: str, host: str | None = "127.0.0.1", body: str = "") -> bytes:
    hosts = () if host is None else (f"Host: {host}",)
    return "\r\n".join([f"{line} HTTP/1.1", *hosts, "Connection: close", *headers, "", body]).encode("latin-1")


HOSTS = [
    "localhost.", "127.0.0.1.", "127.1", "2130706433", "0x7f.0.0.1", "0", "0.0.0.0", "[::]", "[::ffff:127.0.0.1]",
    "[::1]evil.example", "[::1", "localhost:evil", "localhost:80:80", "localhost@evil.example", "evil.example@localhost",
    "localhost/..", "localhost, evil.example", "localhost evil.example", "localhost%00.evil.example", "localhost\xe9",
    "127.0.0.1.nip.io", "localtest.me", "http://localhost", "localhost#", "localhost?", "*", "_", ".", "localhost:",
]  # fmt: skip
ORIGINS = [
    "null", "file://", "http://127.0.0.1.evil.example", "http://evil.example@127.0.0.1", "http://127.0.0.1:1",
    "http://[::1]", "http://localhost", "http://127.0.0.1/", "http://127.0.0.1, http://evil.example", "127.0.0.1",
    "chrome-extension://abcdefghijklmnop", "http://", "javascript://evil.example/127.0.0.1", "about:blank",
]  # fmt: skip


class TestNamesAndOrigins:
    @pytest.mark.parametrize("host", HOSTS)
    def test_a_host_that_is_not_ours_is_refused(self, target: Inbox, host: str) -> None:
        answer = exchange(target, request(host=host))
        assert status_of(answer) in (400, 403) and SECRET not in answer

    @pytest.mark.parametrize("origin", ORIGINS)
    def test_an_origin_that_is_not_ours_is_refused(self, target: Inbox, origin: str) -> None:
        for line in ("GET /api/v1/messages", "GET /", "GET /api/v1/events", "DELETE /api/v1/messages"):
            answer = exchange(target, request(line, f"Origin: {origin}", f"X-Inbox-Token: {target.token}"))
            assert status_of(answer) in (400, 403) and SECRET not in answer
            assert b"access-control" not in answer.lower()
        assert untouched(target)

    @pytest.mark.parametrize(
        "raw",
        [
            request(host=None),
            request("GET /api/v1/messages", "Host: evil.example"),
            request("GET /api/v1/messages", "Host: 127.0.0.1"),
            request("GET http://127.0.0.1/api/v1/messages", host="evil.example"),
            request("GET /api/v1/messages", "Origin: http://127.0.0.1", "Origin: http://evil.example"),
            request("GET /api/v1/messages", "Sec-Fetch-Site: same-origin", "Sec-Fetch-Site: cross-site"),
            request("GET /api/v1/messages", "Sec-Fetch-Site: SAME-ORIGIN"),
            request("GET /api/v1/messages", "Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: no-cors", "Sec-Fetch-Dest: script"),
            request("GET /page/inbox.js", "Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: no-cors", "Sec-Fetch-Dest: script"),
            request("GET /", "Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: cors", "Sec-Fetch-Dest: empty"),
            request("GET /", "Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: object"),
            request("GET //", "Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document"),
            request("GET /api/v1/events", "Sec-Fetch-Site: same-site", "Accept: text/event-stream"),
            request("GET /api/v1/events", "Origin: http://evil.example", "Upgrade: websocket", "Sec-WebSocket-Key: x",
                    "Sec-WebSocket-Version: 13", "Connection: Upgrade"),
            b"GET /api/v1/messages HTTP/1.0\r\n\r\n",
        ],
    )  # fmt: skip
    def test_what_comes_from_elsewhere_is_refused(self, target: Inbox, raw: bytes) -> None:
        answer = exchange(target, raw)
        assert status_of(answer) in (400, 403) and SECRET not in answer
        assert untouched(target)

    @pytest.mark.parametrize("private", ["", "Access-Control-Request-Private-Network: true"])
    def test_no_other_page_is_allowed_to_ask(self, target: Inbox, private: str) -> None:
        asks = ["Origin: http://evil.example", "Access-Control-Request-Method: DELETE", *([private] if private else [])]
        answer = exchange(target, request("OPTIONS /api/v1/messages", *asks))
        assert status_of(answer) == 403 and b"access-control" not in answer.lower()


class TestMethodsAndFraming:
    @pytest.mark.parametrize(
        "raw",
        [
            request("PATCH /api/v1/messages"), request("TRACE /"), request("PROPFIND /"), request("CONNECT 127.0.0.1:25"),
            request("delete /api/v1/messages"), request("POST /api/v1/messages", "X-HTTP-Method-Override: DELETE"),
            request("POST /api/v1/faults", "Content-Type: text/plain", "Content-Length: 15", body='{"Kind":"busy"}'),
            request("POST /api/v1/send", "Content-Type: application/x-www-form-urlencoded", "Content-Length: 3", body="a=b"),
            request("DELETE /api/v1/messages", "Sec-Fetch-Site: same-origin", "Origin: http://127.0.0.1"),
            request("DELETE /api/v1/messages", "X-Inbox-Token: ", "Cookie: token=x"),
            request("DELETE /api/v1/messages", "Authorization: Basic \xe9\xe9", "X-Forwarded-For: 127.0.0.1"),
            request("DELETE /api/v1/messages?token=x&X-Inbox-Token=x"),
            request("POST /api/v1/messages", "Content-Length: 6", "Transfer-Encoding: chunked",
                    body="0\r\n\r\nDELETE /api/v1/messages HTTP/1.1\r\nHost: localhost\r\n\r\n"),
            request("POST /api/v1/send", "Content-Length: 1", "Content-Length: 2", body="{}"),
            request("POST /api/v1/send", "Content-Length: -1"), request("POST /api/v1/send", "Content-Length: +2", body="{}"),
            request("POST /api/v1/send", "Content-Length: 2, 3", body="{}"),
            request("POST /api/v1/send", "Transfer-Encoding: xchunked", body="0\r\n\r\n"),
            request("POST /api/v1/send", "Transfer-Encoding: chunked, identity", body="0\r\n\r\n"),
            request("POST /api/v1/send", "Transfer-Encoding: chunked", body="zz\r\n{}"),
            request("POST /api/v1/send", "Transfer-Encoding: chunked", body="f" * 40 + "\r\n{}"),
            request("GET /", "X-A : b"), request("GET /", "X-A: b\0c"), request("GET /", "X-A: b\rc"), request("GET /", "X A: b"),
            request("GET /", f"X-A: {'a' * 1_000_000}"), request(f"GET /{'a' * 1_000_000}"), request("GET /\0"),
            request("GET /", *(f"X-{n}: a" for n in range(20_000))), request("GET / HTTP/1.1\r\nHost: evil.example\r\n\r\nGET /"),
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"a" * 200, b"EHLO evil.example\r\nMAIL FROM:<a@b>\r\n",
            b"GET /\r\n\r\n", b"\r\n" * 5000, b"\0" * 5000, b"",
        ],
        ids=lambda raw: repr(raw[:40]),
    )  # fmt: skip
    def test_what_is_no_clean_request_changes_nothing(self, target: Inbox, raw: bytes) -> None:
        answer = exchange(target, raw)
        assert status_of(answer) in (0, 400, 401, 403, 404, 405, 414, 431, 501) and SECRET not in answer
        assert b"set-cookie" not in answer.lower() and b"Traceback" not in answer
        assert untouched(target)

    def test_a_get_changes_nothing_whatever_it_calls_itself(self, target: Inbox) -> None:
        for method in ("GET", "HEAD"):
            for path in (
                "?_method=DELETE",
                "api/v1/messages?_method=DELETE",
                "api/v1/chaos?Sender=x",
                "api/v1/message/latest",
            ):
                status, headers, _ = ask(target, path, method, X_HTTP_Method_Override="DELETE", X_Method="DELETE")
                assert status == 200 and "set-cookie" not in headers and "etag" not in headers
                assert headers["cache-control"] == "no-store"
        assert untouched(target)

    def test_a_body_without_end_is_cut_off(self, target: Inbox) -> None:
        head = request("PUT /api/v1/messages", f"X-Inbox-Token: {target.token}", "Transfer-Encoding: chunked")
        assert status_of(
            exchange(
                target, head + b"10000\r\n" + b"a" * 65536 + b"\r\n" + (b"10000\r\n" + b" " * 65536 + b"\r\n") * 20
            )
        ) in (0, 413)
        assert untouched(target)

    def test_slow_clients_keep_nobody_else_waiting(self, target: Inbox) -> None:
        address = urlsplit(target.web_url)
        slow = [socket.create_connection((address.hostname, address.port), timeout=10) for _ in range(60)]
        try:
            for number, connection in enumerate(slow):
                connection.sendall(request("PUT /api/v1/messages", "Content-Length: 1000")[: 20 + 2 * number])
            assert ask(target, "api/v1/messages")[0] == 200
        finally:
            for connection in slow:
                connection.close()

    def test_too_many_pages_that_listen_are_refused_until_some_go(self, box: Inbox) -> None:
        address = urlsplit(box.web_url)
        wants = request("GET /api/v1/events", "Accept: text/event-stream")
        listening = []
        for _ in range(MAX_LISTENERS):
            connection = socket.create_connection((address.hostname, address.port), timeout=10)
            connection.sendall(wants)
            assert connection.recv(15) == b"HTTP/1.1 200 OK"
            listening.append(connection)
        while not box.events.is_full:
            pass
        assert ask(box, "api/v1/events")[0] == 503 and ask(box, "api/v1/messages")[0] == 200
        for connection in listening:
            connection.close()
        while ask(box, "api/v1/messages")[0] == 200 and box.events.is_full:
            pass


PATHS = [
    "page/..%2fcore.py", "page/%2e%2e/core.py", "page/....//core.py", "page/..\\core.py", "page/inbox.js%00.css",
    "page/%2fetc%2fpasswd", "page/C:\\boot.ini", "view/..%2f..%2f..%2fetc%2fpasswd.html", "view/latest.html/../../x",
    "%2e%2e/%2e%2e/etc/passwd", "/evil.example/%2e%2e", "./", "..", "api/v1/message/%00", "api/v1/message/LATEST",
    "api/v1/message/'%20OR%201=1%20--", "api/v1/message/*", "api/v1/message/%ED%A0%80", "api/v1/message/latest/part/..%2f1",
    "api/v1/message/latest/part/1'", "api/v1/message/latest/part/%00", f"api/v1/message/{'a' * 5000}", "api/v1/",
    "api/v1/message/latest/part/99999999999999999999", "api/v1/message/latest/raw/../../../x", "api/v2/messages", ";",
]  # fmt: skip
QUERIES = [
    "\0", "a\0b", '"a\0"', "tag:\0", "from:\0x", '"', '""', '"""', "a\"b", "{sender}: a", "NEAR(aaa bbb, 2)", "^aaa", "aaa*", "aaa AND",
    "OR OR OR", "NOT aaa", "rowid:1", "search:x", 'subject:"a" OR 1', "'; DROP TABLE messages; --", "%' OR '1'='1", "\\", "%", "_",
    "(" * 900, "a " * 499, "aaa " * 249, "-" * 900, "-a -b !c", ":", ":a", "from:", "is:", "is:x", "has:x", "-from:", "\ufffd", "\U0001f600",
    "larger:999999999999G", "smaller:0", "larger:-1", "before:0000-00-00", "after:99999-01-01", "after:9999-12-31T23:59:59", "before:0001-01-01",
    "+aaa", "aaa+bbb", "a.b*c", "col:{aaa}", "\u202e", "\u0130\u0131", "ſſſ", "x" * 1000, "message-id:<a@b>", "reply-to:\"", "tag:\" --",
]  # fmt: skip


class TestPathsAndSearches:
    @pytest.mark.parametrize("path", PATHS)
    def test_a_path_leads_nowhere_else(self, target: Inbox, path: str) -> None:
        status, headers, content = ask(target, path)
        assert status in (404, 405) or (path in ("./", "..") and status in (200, 404)), content
        assert b"root:" not in content and b"import" not in content and "location" not in headers

    @pytest.mark.parametrize("query", QUERIES)
    def test_a_search_is_words_and_no_syntax(self, target: Inbox, query: str) -> None:
        status, _, content = ask(target, f"api/v1/search?query={quote(query)}")
        assert status == 200 and json.loads(content)["total"] == 1
        assert untouched(target)

    @pytest.mark.parametrize(
        "more", ["tz=../../etc/passwd", "tz=%00", "tz=America", "tz=", "tz=Europe/Berlin", "limit=%D9%A3", "start=-1", "limit=1e9",
                 "limit=&start=", "start=999999999", "query=b&query=a", "query=%FF", "query=%ED%A0%80", "limit=9999999999"],
    )  # fmt: skip
    def test_odd_parameters_are_refused_or_harmless(self, target: Inbox, more: str) -> None:
        assert ask(target, f"api/v1/search?query=after:2020-01-01&{more}")[0] in (200, 400)


VALUES: list[Any] = [
    None, 1, 1.5, True, "x", [], {}, [[]], [1], ["x"], {"IDs": {}}, {"IDs": [1]}, {"IDs": [None]}, {"IDs": "latest"}, {"IDs": ["\ud800"]},
    {"IDs": ["x"] * 10_001}, {"IDs": ["x"] * 9_999}, {"Read": "no", "IDs": ["x"]}, {"Read": 1, "IDs": ["x"]}, {"Search": 5},
    {"Search": "\ud800", "Read": True, "IDs": ["x"]}, {"Tags": [1]}, {"Tags": ["\ud800"], "IDs": ["x"]}, {"To": "me@example.com"},
    {"To": ["a@b.example\r\nRCPT TO:<c@d>"]}, {"To": ["\ud800@x.example"]}, {"From": 5}, {"From": "a@b.example"}, {"From": {"Email": 5}},
    {"From": {"Email": "a@b.example"}, "To": "abc"}, {"From": {"Email": "a@b.example"}, "To": ["c@d.example"]},
    {"From": {"Email": "a@b.example"}, "To": [{"Email": "c@d.example\r\nX: y"}]},
    {"From": {"Email": "a@b.example"}, "To": [{"Email": "c@d.example", "Name": ["x"]}]},
    {"From": {"Email": "a@b.example"}, "To": [{"Email": "c@d.example"}], "Subject": {"x": 1}},
    {"From": {"Email": "a@b.example"}, "To": [{"Email": "c@d.example"}], "Headers": {"X-A\r\nB": "c"}, "Text": "x"},
    {"From": {"Email": "a@b.example"}, "To": [{"Email": "c@d.example"}], "Text": "\ud800"},
    {"From": {"Email": "a@b.example"}, "To": [{"Email": "c@d.example"}], "Attachments": [{"Filename": "a", "Content": "!é"}], "Text": "x"},
    {"From": {"Email": "a@b.example"}, "To": [{"Email": "c@d.example"}], "Attachments": [5], "Text": "x"},
    {"From": {"Email": "a@b.example"}, "To": [{"Email": "c@d.example"}], "Attachments": [{"Filename": "a", "Content": "", "ContentType": "x\r\ny"}], "Text": "x"},
    {"Kind": 1}, {"Kind": ["busy"]}, {"Kind": "busy", "Times": 1.5}, {"Kind": "busy", "Times": True}, {"Kind": "busy", "Times": "1"},
    {"Kind": "busy", "Times": 10**30}, {"Kind": "slow", "Seconds": "x"}, {"Kind": "slow", "Seconds": float("nan")}, {"Kind": "slow", "Seconds": 1e9},
    {"Kind": "slow", "Seconds": True}, {"Name": 1}, {"Name": ""}, {"Sender": "x"}, {"Sender": [1]}, {"Sender": {"ErrorCode": "451"}},
    {"Sender": {"Probability": 101}}, {"Sender": {"Probability": float("inf")}},
]  # fmt: skip


def test_each_call_answers_values_of_the_wrong_kind(box: Inbox) -> None:
    """With 400 at most, never with an error of ours; a message is deleted by a whole and valid call only."""
    routes: list[Any] = make_app(box).routes
    calls = [(method, route.path) for route in routes for method in route.methods - {"GET", "HEAD"}]
    assert len(calls) > 10
    wrong = {}
    for method, path in calls:
        url = path.lstrip("/").replace("{id}", "latest").replace("{tag:path}", "a")
        for value in VALUES:
            if box.store.totals().messages == 0:
                box.store.add(b"Subject: x\r\n\r\n", FACTS)
            status, headers, content = ask(box, url, method, value, X_Inbox_Token=box.token or "")
            if status not in (200, 400, 404) or not headers["content-type"].startswith(
                ("application/json", "text/plain")
            ):
                wrong[method, url, str(value)[:60]] = status, content[:200]
    assert wrong == {}
    assert all(type(fault.times) is int or fault.times is None for fault in box.faults.ordered)


def test_a_fault_of_the_wrong_kind_is_not_ordered(box: Inbox) -> None:
    for value in VALUES:
        if isinstance(value, dict) and "Kind" in value:
            assert ask(box, "api/v1/faults", "POST", value, X_Inbox_Token=box.token or "")[0] == 400, value
    assert box.faults.ordered == ()


def test_events_carry_one_line_of_json_each_whatever_the_subject(box: Inbox) -> None:
    address = urlsplit(box.web_url)
    with socket.create_connection((address.hostname, address.port), timeout=10) as connection, ExitStack() as streams:
        connection.sendall(request("GET /api/v1/events"))
        stream = streams.enter_context(connection.makefile("rb"))
        while b"data: {}" not in stream.readline():
            pass
        for subject in (
            b"a\r\n\tb",
            b"=?utf-8?q?a=0A=0Aevent:_changed=0Adata:_x?=",
            "\u2028event: x".encode(),
            b"=?utf-16?b?CgAKAGQA?=",
        ):
            box.store.add(b"Subject: " + subject + b"\r\n\r\n\n\nevent: x\ndata: y\n\n", FACTS)
        seen: list[str] = []
        while len(seen) < 4:
            line = stream.readline().strip()
            if line.startswith(b"event: "):
                assert line in (b"event: message", b"event: changed")
            elif line.startswith(b"data: "):
                assert line.isascii()
                seen += [json.loads(line[6:])["message"]["Subject"]] if b'"message"' in line else []
            else:
                assert line == b"" or line.startswith(b":") or all(char in b"0123456789abcdef" for char in line)
        assert all("\n" not in subject for subject in seen)
