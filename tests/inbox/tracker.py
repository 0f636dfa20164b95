"""Somebody who wants to know who reads his mail: a server that counts who connects."""

from __future__ import annotations

import socketserver
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self


class _Handler(BaseHTTPRequestHandler):
    server: Tracker

    timeout = 5

    def do_GET(self) -> None:
        page = self.server.pages.get(self.path)
        if page is None:
            self.server.asked.append(self.path)
        content, policy = page or (b"", "")
        self.send_response(200)
        if policy:
            self.send_header("Content-Security-Policy", policy)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_POST = do_GET  # noqa: N815 - the name is that of the base

    def log_message(self, format: str, *args: Any) -> None:
        pass


class Tracker(ThreadingHTTPServer):
    """Listens on 127.0.0.1. ``asked`` are the paths of others than its own pages, ``connections`` all who connected."""

    daemon_threads = True
    block_on_close = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked: list[str] = []
        self.pages: dict[str, tuple[bytes, str]] = {}
        self.connections = 0
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self._thread.start()

    @property
    def address(self) -> str:
        """Host and port."""
        return f"127.0.0.1:{self.server_address[1]}"

    def get_request(self) -> Any:
        self.connections += 1
        return super().get_request()

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self._thread.join(5)
        socketserver.TCPServer.server_close(self)
