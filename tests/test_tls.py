"""TLS as a session promises it, in both worlds: whom it trusts, what it says of the connection, what it resumes."""

from __future__ import annotations

import base64
import hashlib
import socket
import ssl
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import NameOID

import wlsmtp
from tests.worlds import Session, World
from wlsmtp import TLS, Message, Network, PoolLimits, RecipientResult, RetryPolicy, SMTPSession, TLSInfo
from wlsmtp.events import Connected, Event
from wlsmtp.io import tls as io_tls
from wlsmtp.testing import CLOSE, RESET, Certificates, SMTPServer

MESSAGE = Message(sender="ann@example.com", to="bob@example.org", text="x")


def session_to(world: World, server: SMTPServer, tls: TLS, **options: Any) -> Session:
    options = {"security": server.security, "retry": RetryPolicy(attempts=1), **options}
    return world.session(server.host, server.port, tls=tls, **options)


@pytest.fixture
def server() -> Iterator[SMTPServer]:
    with SMTPServer(security="tls") as server:
        yield server


@contextmanager
def hanging_up() -> Iterator[int]:
    """A server that ends the connection as soon as the client has begun its handshake; its port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            sock, _ = listener.accept()
            with sock:
                sock.recv(65536)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        thread.join(10)


class TestWhatIsSaid:
    def test_the_receipt_says_what_carried_the_message(self, world: World, server: SMTPServer) -> None:
        with session_to(world, server, TLS(ca_file=server.ca_file)) as session:
            info = session.send(MESSAGE).tls
        assert info is not None and info.protocol == "TLSv1.3" and info.cipher.startswith("TLS_") and info.verified
        seen = info.certificate
        assert seen is not None and seen.subject and seen.issuer and seen.not_after
        assert "trustme" in seen.subject and seen.not_after > datetime.now(UTC)
        assert seen.fingerprint == hashlib.sha256(seen.der).hexdigest() == info.fingerprint

    def test_each_receipt_of_many_says_it(self, world: World, server: SMTPServer) -> None:
        with session_to(world, server, TLS(ca_file=server.ca_file)) as session:
            receipts = list(session.send_many([MESSAGE] * 5))
        assert [receipt.tls is not None and receipt.tls.verified for receipt in receipts] == [True] * 5

    def test_a_message_of_which_a_part_went_in_the_clear_was_not_secured(self) -> None:
        from wlsmtp.receipt import Outcome, RecipientStatus

        secured, newer = (TLSInfo(f"TLSv1.{number}", "", None, verified=True) for number in (2, 3))
        recipients = ("bob@example.org", "cleo@example.org")

        def told(tls: TLSInfo | None, *accepted: str, to: tuple[str, ...] = recipients) -> Outcome:
            results = [
                RecipientResult(one, RecipientStatus.ACCEPTED if one in accepted else RecipientStatus.NOT_SENT)
                for one in to
            ]
            return Outcome(tuple(results), tls=tls)

        bob, cleo = recipients
        for first, then, expected in [
            (told(None), told(secured, bob, cleo), secured),
            (told(secured, bob), told(None, to=(cleo,)), secured),
            (told(secured, bob), told(newer, cleo, to=(cleo,)), newer),
            (told(secured, bob), told(None, cleo, to=(cleo,)), None),
            (told(None, bob), told(secured, cleo, to=(cleo,)), None),
        ]:
            assert first.updated_by(then).tls is expected

    def test_without_tls_it_says_nothing(self, world: World) -> None:
        with SMTPServer() as plain, world.session(plain.host, plain.port) as session:
            assert session.send(MESSAGE).tls is None

    def test_a_certificate_that_nobody_verified_is_still_read(self, world: World, server: SMTPServer) -> None:
        with session_to(world, server, TLS(verify=False)) as session:
            info = session.verify().tls
        assert info is not None and not info.verified
        assert info.certificate is not None and "trustme" in (info.certificate.subject or "")

    def test_a_certificate_that_cannot_be_read_is_no_pinned_one(self) -> None:
        class Shown:
            def getpeercert(self, binary_form: bool = False) -> Any:
                return b"junk" if binary_form else {}

        from wlsmtp.io.certificate import check_pins, read_certificate

        for settings in (TLS(fingerprint="00" * 32), TLS(public_key="00" * 32)):
            with pytest.raises(wlsmtp.TLSError, match="not the pinned one"):
                check_pins(Shown(), settings)  # type: ignore[arg-type]
        seen = read_certificate(Shown())  # type: ignore[arg-type]
        assert seen is not None and (seen.subject, seen.not_after) == (None, None)

    def test_control_characters_in_a_certificate_reach_no_screen(self) -> None:
        from wlsmtp.io.certificate import _name

        assert _name(((("commonName", "evil\r\n\x1b[2J"),), (("2.5.4.97", "x"),))) == "2.5.4.97=x,CN=evil???[2J"


class TestWithoutExtras:
    def test_a_pinned_key_says_what_to_install(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "cryptography", None)
        with SMTPServer(security="tls") as server:
            session = session_to(world, server, TLS(public_key="01" * 32))
            with session, pytest.raises(wlsmtp.ConfigError, match=r"wlsmtp\[tls\]"):
                session.verify()

    def test_a_pinned_certificate_needs_none(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        with SMTPServer(security="tls") as server:
            with session_to(world, server, TLS(verify=False)) as session:
                seen = session.verify().tls
            assert seen is not None and seen.fingerprint
            for name in [name for name in sys.modules if name.startswith("cryptography.x509")]:
                monkeypatch.setitem(sys.modules, name, None)
            with session_to(world, server, TLS(fingerprint=seen.fingerprint)) as session:
                info = session.verify().tls
        assert info is not None and info.certificate is not None
        assert info.certificate.subject is None and info.verified


class TestTrust:
    def test_authorities_of_the_system_through_truststore(
        self, world: World, server: SMTPServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(io_tls, "_system_is_not_openssl", lambda: True)
        io_tls._make_context.cache_clear()
        with session_to(world, server, TLS(trust="system")) as session, pytest.raises(wlsmtp.TLSError):
            session.verify()
        monkeypatch.setenv("SSL_CERT_FILE", server.ca_file or "")
        with session_to(world, server, TLS(trust="system")) as session:
            info = session.verify().tls
        assert info is not None and info.verified
        assert type(io_tls.make_context(TLS())).__module__.startswith("truststore")
        io_tls._make_context.cache_clear()

    def test_bundled_authorities_are_those_of_certifi(self, world: World, server: SMTPServer) -> None:
        context = io_tls.make_context(TLS(trust="bundled"))
        assert context.cert_store_stats()["x509_ca"] > 50
        with session_to(world, server, TLS(trust="bundled")) as session, pytest.raises(wlsmtp.TLSError):
            session.verify()

    def test_the_name_in_the_certificate_may_differ_from_the_address(self, world: World) -> None:
        certificates = Certificates("mail.example.test")
        with SMTPServer(security="ssl", certificates=certificates) as server:
            with (
                session_to(world, server, TLS(ca_file=server.ca_file)) as session,
                pytest.raises(wlsmtp.TLSError, match="server_hostname"),
            ):
                session.verify()
            with session_to(world, server, TLS(ca_file=server.ca_file, server_hostname="mail.example.test")) as session:
                assert session.verify().tls

    @pytest.mark.parametrize("names", [("mail.example.test", "10.1.2.3"), ("*.example.test",)])
    def test_an_error_about_the_name_says_which_names_the_certificate_has(
        self, world: World, names: tuple[str, ...]
    ) -> None:
        with (
            SMTPServer(security="tls", certificates=Certificates(*names)) as server,
            session_to(world, server, TLS(ca_file=server.ca_file)) as session,
            pytest.raises(wlsmtp.TLSError, match="it is for") as caught,
        ):
            session.verify()
        assert all(name in caught.value.message for name in names)

    def test_an_error_about_the_name_does_without_the_names(self) -> None:
        error = ssl.SSLCertVerificationError(1, "x")
        error.verify_code, error.verify_message = 62, "Hostname mismatch."
        assert "its names could not be read" in str(io_tls.handshake_error(error, "x"))

    def test_the_common_name_counts_only_when_the_settings_say_so(self, world: World, tmp_path: Path) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        certificates = SelfIssued(tmp_path, key, name="localhost", has_names=False)
        with SMTPServer(security="tls", certificates=certificates) as server:

            def connect(**fields: Any) -> TLSInfo | None:
                tls = TLS(ca_file=certificates.ca_file, strict_x509=False, **fields)
                with world.session("localhost", server.port, security="tls", tls=tls) as session:
                    return session.verify().tls

            with pytest.raises(wlsmtp.TLSError, match="check_common_name=True"):
                connect()
            assert connect(check_common_name=True)

    @pytest.mark.parametrize("form", ["hex", "colons", "base64"])
    def test_a_pinned_key_outlives_the_certificate(self, world: World, form: str, tmp_path: Path) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        digest = hashlib.sha256(key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).digest()
        spelled = {
            "hex": digest.hex(),
            "colons": digest.hex(":").upper(),
            "base64": f"sha256//{base64.b64encode(digest).decode()}",
        }
        for _renewal in range(2):
            with SMTPServer(security="tls", certificates=SelfIssued(tmp_path, key)) as server:
                with session_to(world, server, TLS(public_key=spelled[form])) as session:
                    info = session.verify().tls
                assert info is not None and info.verified
                wrong = TLS(public_key="00" * 32)
                with session_to(world, server, wrong) as session, pytest.raises(wlsmtp.TLSError, match=digest.hex()):
                    session.verify()

    def test_one_of_several_pins_is_enough(self, world: World, server: SMTPServer) -> None:
        with session_to(world, server, TLS(verify=False)) as session:
            seen = session.verify().tls
        assert seen is not None and seen.fingerprint
        for _resumed in range(2):
            with session_to(world, server, TLS(fingerprint=["00" * 32, seen.fingerprint])) as session:
                assert session.verify().tls

    @pytest.mark.parametrize("security", ["tls", "ssl"])
    @pytest.mark.parametrize(
        "tls",
        [TLS(fingerprint="00" * 32), TLS(), TLS(fingerprint="00" * 32, server_hostname="mail.example.com")],
        ids=["pinned", "unknown authority", "by another name"],
    )
    def test_an_error_about_a_certificate_names_host_and_port(self, world: World, security: Any, tls: TLS) -> None:
        with SMTPServer(security=security) as server, session_to(world, server, tls) as session:
            with pytest.raises(wlsmtp.TLSError) as caught:
                session.verify()
            assert f"{server.host}:{server.port}" in caught.value.message
            assert caught.value.server == f"{server.host}:{server.port}"

    def test_strictness_is_relaxed_by_name(self, world: World, tmp_path: Path) -> None:
        certificates = SelfIssued(tmp_path, ec.generate_private_key(ec.SECP256R1()), is_strict=False)
        with SMTPServer(security="tls", certificates=certificates) as server:
            with (
                session_to(world, server, TLS(ca_file=certificates.ca_file)) as session,
                pytest.raises(wlsmtp.TLSError, match="strict_x509=False"),
            ):
                session.verify()
            with session_to(world, server, TLS(ca_file=certificates.ca_file, strict_x509=False)) as session:
                assert session.verify().tls


class TestWhatIsAgreed:
    def test_a_minimum_version_is_kept(self, world: World, server: SMTPServer) -> None:
        assert server.tls_context is not None
        server.tls_context.maximum_version = ssl.TLSVersion.TLSv1_2
        with session_to(world, server, TLS(ca_file=server.ca_file)) as session:
            info = session.verify().tls
        assert info is not None and info.protocol == "TLSv1.2"
        with (
            session_to(world, server, TLS(ca_file=server.ca_file, minimum_version="1.3")) as session,
            pytest.raises(wlsmtp.TLSError, match="no TLS version that is allowed here"),
        ):
            session.verify()

    def test_ciphers_are_chosen(self, world: World, server: SMTPServer) -> None:
        assert server.tls_context is not None
        server.tls_context.maximum_version = ssl.TLSVersion.TLSv1_2
        with session_to(world, server, TLS(ca_file=server.ca_file, ciphers="ECDHE+CHACHA20")) as session:
            info = session.verify().tls
        assert info is not None and "CHACHA20" in info.cipher
        with (
            session_to(world, server, TLS(ciphers="NONSENSE")) as session,
            pytest.raises(wlsmtp.ConfigError, match=r"tls\.ciphers"),
        ):
            session.verify()

    def test_a_client_certificate_is_shown(self, world: World, tmp_path: Path) -> None:
        authority = trustme.CA()
        client = authority.issue_cert("ann@example.com")
        certificate, key, locked = tmp_path / "client.pem", tmp_path / "client.key", tmp_path / "locked.key"
        client.cert_chain_pems[0].write_to_path(certificate)
        client.private_key_pem.write_to_path(key)
        locked.write_bytes(_encrypted(client.private_key_pem.bytes(), b"s3cret"))
        with SMTPServer(security="ssl") as server:
            assert server.tls_context is not None
            authority.configure_trust(server.tls_context)
            server.tls_context.verify_mode = ssl.CERT_REQUIRED
            trusted: dict[str, Any] = {"ca_file": server.ca_file}
            with session_to(world, server, TLS(**trusted)) as session, pytest.raises(wlsmtp.SMTPError):
                session.verify()
            good: list[dict[str, Any]] = [
                {"client_cert": (certificate, key)},
                {"client_cert": (certificate, locked), "client_key_password": "s3cret"},
            ]
            for fields in good:
                with session_to(world, server, TLS(**trusted, **fields)) as session:
                    assert session.verify().tls
            bad: list[dict[str, Any]] = [{}, {"client_key_password": "wr0ng"}]
            for fields in bad:
                locked_tls = TLS(client_cert=(certificate, locked), **trusted, **fields)
                with (
                    session_to(world, server, locked_tls) as session,
                    pytest.raises(wlsmtp.ConfigError, match="client_key_password") as caught,
                ):
                    session.verify()
                assert "wr0ng" not in f"{caught.value!s}{locked_tls!r}"

    @pytest.mark.parametrize("security", ["ssl", "tls"])
    @pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
    def test_a_missing_client_certificate_is_named(self, world: World, security: str, version: ssl.TLSVersion) -> None:
        authority = trustme.CA()
        with SMTPServer(security=security) as server:
            assert server.tls_context is not None
            server.tls_context.maximum_version = version
            authority.configure_trust(server.tls_context)
            server.tls_context.verify_mode = ssl.CERT_REQUIRED
            with (
                session_to(world, server, TLS(ca_file=server.ca_file)) as session,
                pytest.raises(wlsmtp.TLSError, match="client certificate") as caught,
            ):
                session.send(MESSAGE)
        assert not caught.value.temporary and "TLS(client_cert=…)" in (caught.value.hint or "")


class TestAnswersInTheClear:
    """Servers that send text on a port where TLS comes first."""

    REFUSALS = (
        ([b"421 4.3.2 Busy\r\n"], 421),
        ([b"42", b"1 4.3", b".2 Busy\r\n"], 421),
        ([b"554-No\r\n", b"554 5.7.1 Not you\r\n"], 554),
    )

    @pytest.mark.parametrize("is_early", [True, False], ids=["before the handshake", "in the handshake"])
    @pytest.mark.parametrize("closes", [True, False], ids=["and closes", "and waits"])
    @pytest.mark.parametrize(("parts", "code"), REFUSALS)
    def test_a_refusal_is_reported_in_the_words_of_the_server(
        self, world: World, parts: list[bytes], code: int, is_early: bool, closes: bool
    ) -> None:
        error = refused_by(world, parts, is_early=is_early, closes=closes)
        assert isinstance(error, wlsmtp.CommandRefused) and error.stage is wlsmtp.Stage.GREETING
        assert error.reply is not None and error.reply.code == code
        assert error.temporary is (code == 421)

    @pytest.mark.parametrize("is_early", [True, False], ids=["before the handshake", "in the handshake"])
    @pytest.mark.parametrize(
        "text",
        [
            b"220 mail.example ESMTP\r\n",
            b"4rubbish\r\n",
            b"354 Go ahead\r\n",
            b"HTTP/1.1 400 Bad Request\r\n\r\n",
            b"\0",
        ],
    )
    def test_anything_else_is_no_tls(self, world: World, text: bytes, is_early: bool) -> None:
        error = refused_by(world, [text], is_early=is_early)
        assert type(error) is wlsmtp.TLSError and "security='tls'" in (error.hint or "") and not error.temporary

    @pytest.mark.parametrize("is_early", [True, False], ids=["before the handshake", "in the handshake"])
    def test_an_alert_is_tls(self, world: World, is_early: bool) -> None:
        error = refused_by(world, [b"\x15\x03\x03\0\2", b"\2\x50"], is_early=is_early)
        assert type(error) is wlsmtp.TLSError and "internal error" in error.message

    @pytest.mark.parametrize("is_early", [True, False], ids=["before the handshake", "in the handshake"])
    @pytest.mark.parametrize("parts", [[b"42"], [b"421-4.3.2 Busy\r\n"]])
    def test_half_a_refusal_is_a_lost_connection(self, world: World, parts: list[bytes], is_early: bool) -> None:
        error = refused_by(world, parts, is_early=is_early, closes=True)
        assert isinstance(error, wlsmtp.ConnectionFailed) and error.temporary

    def test_half_a_refusal_and_silence_took_too_long(self, world: World) -> None:
        error = refused_by(world, [b"421"], is_early=False, timeout=0.2)
        assert isinstance(error, wlsmtp.DeadlineExceeded) and error.temporary and error.hint is None

    def test_text_behind_starttls_is_no_refusal(self, world: World, server: SMTPServer) -> None:
        """Anybody on the way could send it, after the server has agreed."""
        server.reply_to("HANDSHAKE", b"421 4.3.2 Busy\r\n")
        with (
            session_to(world, server, TLS(ca_file=server.ca_file)) as session,
            pytest.raises(wlsmtp.TLSError, match="agreed to start TLS") as caught,
        ):
            session.verify()
        assert caught.value.hint is None and caught.value.reply is None

    @pytest.mark.parametrize("end", [CLOSE, RESET])
    def test_the_end_behind_starttls_is_a_lost_connection(self, world: World, server: SMTPServer, end: str) -> None:
        server.reply_to("STARTTLS", (b"220 go\r\n", end))
        for _ in range(10):
            with (
                session_to(world, server, TLS(ca_file=server.ca_file)) as session,
                pytest.raises(wlsmtp.ConnectionFailed) as caught,
            ):
                session.verify()
            assert caught.value.temporary


def refused_by(
    world: World, parts: list[bytes], *, is_early: bool, closes: bool = False, timeout: float = 10
) -> wlsmtp.SMTPError:
    """The error for a server that sends ``parts``, before the client does anything or in answer to it, and then closes
    the connection, or waits for the client to do so."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            sock, _ = listener.accept()
            with sock:
                assert is_early or sock.recv(1)  # the rest is unread, so that to close is to reset
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                for part in parts:
                    sock.sendall(part)
                sock.settimeout(10)
                with suppress(OSError):
                    while not closes and sock.recv(65536):
                        pass

        def connect(host: str, port: int) -> socket.socket:
            sock = socket.create_connection((host, port))
            if is_early:
                sock.recv(1, socket.MSG_PEEK)
            return sock

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        with (
            world.session(
                "127.0.0.1", listener.getsockname()[1], security="ssl", timeout=timeout, retry=RetryPolicy(attempts=1),
                network=Network(connector=connect),
            ) as session,
            pytest.raises(wlsmtp.SMTPError) as caught,
        ):  # fmt: skip
            session.verify()
        thread.join(10)
        assert not thread.is_alive(), "the connection must end"
        return caught.value


class TestResumption:
    @pytest.mark.parametrize("security", ["tls", "ssl"])
    @pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
    def test_later_connections_of_the_pool_resume(self, world: World, security: str, version: ssl.TLSVersion) -> None:
        events: list[Event] = []
        with SMTPServer(security=security) as server:
            assert server.tls_context is not None
            server.tls_context.maximum_version = version
            pool, tls = PoolLimits(max_messages=1), TLS(ca_file=server.ca_file)
            with session_to(world, server, tls, pool=pool, listeners=(events.append,)) as session:
                receipts = [session.send(MESSAGE) for _ in range(4)]
                counts = session.face.statistics()
            resumed = [event.resumed for event in events if isinstance(event, Connected)]
            assert resumed == [False, True, True, True]
            assert [receipt.tls is not None and receipt.tls.resumed for receipt in receipts] == resumed
            assert {receipt.tls.fingerprint for receipt in receipts if receipt.tls} != {None}
            assert (counts.connections_opened, counts.connections_resumed) == (4, 3)

    def test_it_can_be_switched_off(self, world: World, server: SMTPServer) -> None:
        for _ in range(2):
            with session_to(world, server, TLS(ca_file=server.ca_file, resumption=False)) as session:
                info = session.verify().tls
            assert info is not None and not info.resumed

    def test_a_session_that_the_server_forgot_costs_nothing(self, world: World) -> None:
        certificates = Certificates()
        for _restart in range(2):
            with (
                SMTPServer(security="tls", certificates=certificates) as server,
                session_to(world, server, TLS(ca_file=certificates.ca_file)) as session,
            ):
                info = session.verify().tls
            assert info is not None and not info.resumed

    def test_no_session_is_carried_over_to_other_settings(self, world: World, server: SMTPServer) -> None:
        with session_to(world, server, TLS(verify=False)) as session:
            session.verify()
        with session_to(world, server, TLS(ca_file=server.ca_file)) as session:
            info = session.verify().tls
        assert info is not None and info.verified and not info.resumed

    def test_no_session_is_carried_over_to_another_name(self, world: World) -> None:
        certificates = Certificates("localhost")
        tls = TLS(ca_file=certificates.ca_file)
        with SMTPServer(security="tls", certificates=certificates) as server:
            for is_resumed in (False, True):
                with world.session("localhost", server.port, security="tls", tls=tls) as session:
                    info = session.verify().tls
                assert info is not None and info.resumed is is_resumed
            with session_to(world, server, tls) as session, pytest.raises(wlsmtp.TLSError, match="mismatch"):
                session.verify()

    def test_a_server_that_trips_over_a_session_is_offered_none_again(self, world: World) -> None:
        certificates = Certificates()
        tls = TLS(ca_file=certificates.ca_file)
        with SMTPServer(security="tls", certificates=certificates) as server:
            for is_resumed in (False, True):
                with session_to(world, server, tls) as session:
                    info = session.verify().tls
                assert info is not None and info.resumed is is_resumed
            with (
                hanging_up() as port,
                world.session(server.host, port, security="ssl", tls=tls, retry=RetryPolicy(attempts=1)) as session,
                pytest.raises(wlsmtp.SMTPError),
            ):
                session.verify()
            for _ in range(2):
                with session_to(world, server, tls) as session:
                    info = session.verify().tls
                assert info is not None and not info.resumed

    def test_what_is_kept_is_bounded(self) -> None:
        context = io_tls.ResumingContext(ssl.PROTOCOL_TLS_CLIENT)
        for number in range(300):
            for _ in range(20):
                context.keep(f"{number}.example", object())  # type: ignore[arg-type]
        assert len(context._sessions) == 256 and {len(kept) for kept in context._sessions.values()} == {8}
        assert context.take("0.example") is None and context.take("299.example") is not None


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"fingerprint": "12"}, "64 hex digits"),
        ({"public_key": ["x"]}, "64 hex digits"),
        ({"minimum_version": "1.1"}, "minimum_version"),
        ({"trust": "me"}, "trust"),
    ],
)
def test_wrong_settings_are_named(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(wlsmtp.ConfigError, match=words):
        SMTPSession("x", tls=TLS(**fields))


class SelfIssued(Certificates):
    """A certificate for a key that may outlive it, from an authority that may leave out what RFC 5280 asks for."""

    def __init__(
        self,
        directory: Path,
        key: ec.EllipticCurvePrivateKey,
        *,
        is_strict: bool = True,
        name: str = "a server",
        has_names: bool = True,
    ) -> None:
        authority_key = ec.generate_private_key(ec.SECP256R1())
        names = x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.IPAddress(ip_address("127.0.0.1"))])
        authority = _unsigned("an authority", authority_key).add_extension(x509.BasicConstraints(True, None), True)
        leaf = _unsigned(name, key)
        if has_names:
            leaf = leaf.add_extension(names, False)
        if is_strict:
            identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key())
            leaf = leaf.add_extension(identifier, False)
        self.ca_file, self._file = str(directory / "authority.pem"), directory / "server.pem"
        Path(self.ca_file).write_bytes(authority.sign(authority_key, hashes.SHA256()).public_bytes(Encoding.PEM))
        private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        self._file.write_bytes(private + leaf.sign(authority_key, hashes.SHA256()).public_bytes(Encoding.PEM))

    def server_context(self, *, asks_client: bool = False) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self._file)
        return context


def _unsigned(subject: str, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "an authority")]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
    )


def _encrypted(pem: bytes, password: bytes) -> bytes:
    key = load_pem_private_key(pem, None)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(password))


def test_an_absolute_name_is_found_in_the_certificate_without_its_dot(world: World, server: SMTPServer) -> None:
    def connect(host: str, port: int) -> socket.socket:
        assert host == "localhost."  # as it is looked up
        return socket.create_connection(("localhost", port))

    options: dict[str, Any] = {"tls": TLS(ca_file=server.ca_file), "network": Network(connector=connect)}
    with world.session("localhost.", server.port, security="tls", **options) as session:
        assert session.send(MESSAGE)
