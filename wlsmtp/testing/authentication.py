"""The server's side of AUTH (RFC 4954): authenticates a client by each mechanism. Written separately from the client's
mechanisms, so that they do not share bugs."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import re
import secrets
import ssl
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import socket

    from wlsmtp.testing.server import SMTPServer

ROUNDS = 4096
NEED_NO_SECRET = frozenset({"PLAIN", "LOGIN", "CRAM-MD5", "XOAUTH2", "OAUTHBEARER"})
"""Mechanisms in which a server that knows no password can say yes. SCRAM has it prove that it does."""
_HASHES = {"SCRAM-SHA-1": "sha1", "SCRAM-SHA-256": "sha256", "SCRAM-SHA-512": "sha512"}


class Cancelled(Exception):
    """The client has cancelled the exchange."""


class Examiner:
    """Authenticates one client. ``ask`` sends a challenge and returns the response."""

    def __init__(self, server: SMTPServer, sock: socket.socket, ask: Callable[[bytes], bytes]) -> None:
        self._server = server
        self._socket = sock
        self._ask = ask
        self._play: dict[str, Callable[[str], str | None]] = {
            "PLAIN": self._plain, "LOGIN": self._login, "CRAM-MD5": self._cram, "XOAUTH2": self._xoauth2,
            "OAUTHBEARER": self._oauthbearer, "EXTERNAL": self._external, "ANONYMOUS": self._anonymous,
            **{name: partial(self._scram, name) for name in _HASHES},
            **{f"{name}-PLUS": partial(self._scram, f"{name}-PLUS") for name in _HASHES},
        }  # fmt: skip

    @property
    def known(self) -> frozenset[str]:
        """All known mechanisms."""
        return frozenset(self._play)

    @property
    def offers(self) -> list[str]:
        """The mechanisms that are useful on this connection."""
        server, is_tls = self._server, isinstance(self._socket, ssl.SSLSocket)
        needs_nobody = {"EXTERNAL", "ANONYMOUS", *(NEED_NO_SECRET if server.any_login else ())}
        known = server.mechanisms if server.users or server.tokens else needs_nobody.intersection(server.mechanisms)
        return [
            name for name in known if (name != "EXTERNAL" or self._certified) and (not name.endswith("-PLUS") or is_tls)
        ]

    def examine(self, mechanism: str, initial: str) -> str | None:
        """Return the user's name; None if the client has not proved its identity, or sends nonsense."""
        try:
            return self._play[mechanism](initial)
        except (ValueError, IndexError):
            return None

    def _first(self, initial: str) -> bytes:
        """Return the initial response, wherever it comes (RFC 4954 §4)."""
        return decode(initial) if initial else self._ask(b"")

    def _plain(self, initial: str) -> str | None:
        words = self._first(initial).split(b"\0")
        return self._check(words[1], words[2]) if len(words) == 3 else None

    def _login(self, initial: str) -> str | None:
        user = decode(initial) if initial else self._ask(b"Username:")
        return self._check(user, self._ask(b"Password:"))

    def _cram(self, _initial: str) -> str | None:
        challenge = f"<{secrets.token_hex(8)}@{self._server.hostname}>".encode()
        user, _, digest = self._ask(challenge).decode().rpartition(" ")
        password = self._server.users.get(user)
        good = hmac.new((password or "").encode(), challenge, "md5").hexdigest()
        is_right = password is not None and hmac.compare_digest(good, digest)
        return user if is_right or self._server.any_login else None

    def _xoauth2(self, initial: str) -> str | None:
        found = re.fullmatch(rb"user=([^\x01]*)\x01auth=Bearer ([^\x01]*)\x01\x01", self._first(initial))
        user = self._bearer(found[1], found[2]) if found else None
        if user is None:
            self._explain({"status": "401", "schemes": "bearer", "scope": "https://mail.example/"}, b"")
        return user

    def _oauthbearer(self, initial: str) -> str | None:
        pattern = rb"n,a=([^,]*),\x01host=[^\x01]+\x01(?:port=\d+\x01)?auth=Bearer ([^\x01]*)\x01\x01"
        found = re.fullmatch(pattern, self._first(initial))
        user = self._bearer(found[1].replace(b"=2C", b",").replace(b"=3D", b"="), found[2]) if found else None
        if user is None:
            self._explain({"status": "invalid_token", "scope": "https://mail.example/"}, b"\1")
        return user

    def _bearer(self, user: bytes, token: bytes) -> str | None:
        is_right = self._server.tokens.get(user.decode()) == token.decode()
        return user.decode() if is_right or self._server.any_login else None

    def _explain(self, problem: dict[str, str], answer: bytes) -> None:
        """Report what is wrong with a token; the client must answer that before it is refused."""
        if self._ask(json.dumps(problem).encode()) != answer:
            raise Cancelled

    def _external(self, initial: str) -> str | None:
        wanted = self._first(initial).decode()
        return next((name for name in self._certified if wanted in ("", name)), None)

    def _anonymous(self, initial: str) -> str | None:
        return self._first(initial).decode() or "anonymous"

    @property
    def _certified(self) -> list[str]:
        """Return the mail addresses in the client's certificate."""
        shown = self._socket.getpeercert() if isinstance(self._socket, ssl.SSLSocket) else None
        names = (shown or {}).get("subjectAltName", ())
        return [str(entry[1]) for entry in names if isinstance(entry, tuple) and entry[0] == "email"]

    def _scram(self, name: str, initial: str) -> str | None:
        """Authenticate by RFC 5802 §3, with the names of its formulas."""
        algorithm = _HASHES[name.removesuffix("-PLUS")]
        flag, authzid, bare = self._first(initial).split(b",", 2)
        user, nonce = (part[2:].decode() for part in bare.split(b",", 1))
        user = user.replace("=2C", ",").replace("=3D", "=")
        binding = self._binding(name, flag)
        if binding is None:
            return None
        password = self._server.users.get(user)
        salt = secrets.token_bytes(16)
        server_first = f"r={nonce}{secrets.token_hex(8)},s={base64.b64encode(salt).decode()},i={ROUNDS}".encode()
        bound, _, proof = self._ask(server_first).rpartition(b",p=")
        header = base64.b64encode(flag + b"," + authzid + b"," + binding)
        salted = hashlib.pbkdf2_hmac(algorithm, (password or "").encode(), salt, ROUNDS)
        client_key = hmac.digest(salted, b"Client Key", algorithm)
        stored_key = hashlib.new(algorithm, client_key).digest()
        message = b",".join((bare, server_first, bound))
        signature = hmac.digest(stored_key, message, algorithm)
        good = bytes(a ^ b for a, b in zip(client_key, signature, strict=True))
        nonces = server_first.partition(b",")[0]
        if password is None or bound != b"c=" + header + b"," + nonces or base64.b64decode(proof) != good:
            return None
        server_key = hmac.digest(salted, b"Server Key", algorithm)
        self._ask(b"v=" + base64.b64encode(hmac.digest(server_key, message, algorithm)))
        return user

    def _binding(self, name: str, flag: bytes) -> bytes | None:
        """Return the data that the client must have bound its proof to; None if its flag does not match (§6)."""
        if not name.endswith("-PLUS"):
            could_bind = f"{name}-PLUS" in self.offers
            return None if flag.startswith(b"p=") or (flag == b"y" and could_bind) else b""
        assert isinstance(self._socket, ssl.SSLSocket)
        match flag:
            case b"p=tls-unique" if self._socket.version() == "TLSv1.2":
                return self._socket.get_channel_binding("tls-unique")
            case b"p=tls-server-end-point":
                return self._server.end_point
            case _:
                return None

    def _check(self, user: bytes, password: bytes) -> str | None:
        if self._server.any_login:
            return user.decode("utf-8", "replace")
        known = self._server.users.get(user.decode("utf-8", "replace"))
        return user.decode() if known is not None and hmac.compare_digest(known.encode(), password) else None


def decode(text: str) -> bytes:
    """Decode a base64 response; empty for ``=`` and for invalid base64."""
    try:
        return base64.b64decode("" if text == "=" else text, validate=True)
    except (binascii.Error, ValueError):
        return b""
