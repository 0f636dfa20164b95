"""One HTTP request: a form that is posted, and what the server answers (RFC 6749 asks for no more). Blocks."""

from __future__ import annotations

from collections.abc import Mapping
from http.client import HTTPException
from typing import TYPE_CHECKING
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import HTTPRedirectHandler, HTTPSHandler, Request, build_opener

from wlsmtp.io.tls import make_context

if TYPE_CHECKING:
    from typing import Any

    from wlsmtp.config import TLS

MAX_ANSWER = 1 << 20
"""Octets of an answer that are read."""


class _NoRedirect(HTTPRedirectHandler):
    """A form with secrets goes where it was meant to go, or nowhere."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        """Follows nothing: a redirection is then an answer like any other."""


def post_form(
    url: str, fields: Mapping[str, str], *, headers: Mapping[str, str], tls: TLS, timeout: float
) -> tuple[int, bytes]:
    """Status and body, whatever the status is. Proxies are those of the environment (``https_proxy``).

    Raises ``OSError`` when there is no answer; ``timeout`` bounds each wait, in seconds.
    """
    opener = build_opener(HTTPSHandler(context=make_context(tls)), _NoRedirect)
    form = urlencode(fields).encode("ascii")
    try:
        with opener.open(Request(url, form, {"Accept": "application/json", **headers}), timeout=timeout) as answer:
            return answer.status, answer.read(MAX_ANSWER)
    except HTTPError as error:
        with error:
            return error.code, error.read(MAX_ANSWER)
    except HTTPException as error:
        raise ConnectionError(f"the answer is no HTTP ({type(error).__name__})") from error
