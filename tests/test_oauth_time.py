"""A token endpoint has one deadline for the whole exchange, and what is for this machine stays on it."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from wlsmtp import TLS, ConnectionFailed, RefreshToken
from wlsmtp.io.http import post_form
from wlsmtp.io.renewal import Renewable

HEADERS = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n"
DRIPS = {
    "silence": b"",
    "the status": b"HTTP/1.1 2",
    "the headers": HEADERS,
    "the body": HEADERS + b"\r\n",
    "a refusal": b"HTTP/1.1 400 Bad\r\nContent-Length: 100000\r\n\r\n",
}


class _Dripping:
    """Sends its beginning, and then an octet now and then, for ever."""

    def __init__(self, beginning: bytes, *, pace: float = 0.005) -> None:
        self._beginning = beginning
        self._pace = pace
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._is_over = threading.Event()
        self.port = self._listener.getsockname()[1]
        self.has_lost_its_client = threading.Event()
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        try:
            with self._listener.accept()[0] as sock:
                sock.sendall(self._beginning)
                while not self._is_over.wait(self._pace):
                    sock.sendall(b" ")
        except OSError:
            self.has_lost_its_client.set()

    def close(self) -> None:
        self._is_over.set()
        self._listener.close()


@pytest.fixture(params=DRIPS)
def dripping(request: pytest.FixtureRequest) -> Iterator[_Dripping]:
    server = _Dripping(DRIPS[request.param])
    yield server
    server.close()


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_an_endpoint_that_sends_an_octet_now_and_then_holds_nobody(dripping: _Dripping, scheme: str) -> None:
    url = f"{scheme}://127.0.0.1:{dripping.port}/token"
    provider = RefreshToken(token_url=url, client_id="c", refresh_token="r", timeout=0.15)
    with pytest.raises(ConnectionFailed, match="could not be reached") as caught:
        provider()
    assert scheme == "https" or "(no whole answer in 0.15 seconds)" in str(caught.value)  # an octet that is not TLS
    assert dripping.has_lost_its_client.wait(10)


def test_so_does_a_proxy_on_the_way(monkeypatch: pytest.MonkeyPatch) -> None:
    proxy = _Dripping(b"HTTP/1.1 200 Connection establis")
    monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{proxy.port}")
    monkeypatch.delenv("no_proxy", raising=False)
    with pytest.raises(OSError, match="no whole answer"):
        post_form("https://login.example/token", {}, headers={}, tls=TLS(), timeout=0.15)
    proxy.close()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]"])
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_what_is_for_this_machine_goes_to_no_proxy(host: str, scheme: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as proxy:
        for name in ("http_proxy", "https_proxy", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.getsockname()[1]}")
        monkeypatch.delenv("no_proxy", raising=False)
        provider = RefreshToken(token_url=f"{scheme}://{host}:1/token", client_id="c", refresh_token="r", timeout=5)
        with pytest.raises(ConnectionFailed):
            provider()
        proxy.setblocking(False)
        with pytest.raises(BlockingIOError):
            proxy.accept()


def test_those_who_wait_for_one_renewal_share_its_failure() -> None:
    asked: list[Any] = []
    may_fail = threading.Event()

    def make() -> tuple[str, float]:
        asked.append(None)
        may_fail.wait(30)
        raise ConnectionFailed("down")

    renewable = Renewable(make, 0)

    def get(_: int) -> str:
        with pytest.raises(ConnectionFailed):
            renewable.get()
        return "failed"

    with ThreadPoolExecutor(4) as threads:
        results = threads.map(get, range(4))
        while renewable.waiting < 3:
            threading.Event().wait(0.001)
        may_fail.set()
        assert list(results) == ["failed"] * 4
    assert len(asked) == 1
