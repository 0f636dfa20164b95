"""SCRAM against the examples of its specifications, against servers that lie, and its channel binding."""

from __future__ import annotations

import base64
import datetime
import hashlib
import subprocess
import sys
from collections.abc import Callable

import pytest
import scramp
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st
from scramp.core import Nonce

from wlsmtp import AuthenticationFailed
from wlsmtp.sasl import MECHANISMS, Confirmed, Proof, Secrets, Unusable
from wlsmtp.sasl.binding import channel_binding

USER = Secrets("user", password="pencil")
BINDING = ("tls-server-end-point", b"0123456789abcdef")

# RFC 5802 §5 and RFC 7677 §3, with the nonces of their clients.
EXAMPLES = {
    "SCRAM-SHA-1": (
        "fyko+d2lbbFgONRv9qkxdawL",
        b"n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL",
        b"r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096",
        b"c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
        b"v=rmF9pqV8S7suAoZWja4dJRkFsKQ=",
    ),
    "SCRAM-SHA-256": (
        "rOprNGfwEbeRWgbNEkqO",
        b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO",
        b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
        b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
        b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
    ),
}


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_examples_of_the_specifications(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    nonce, first, challenge, final, verdict = EXAMPLES[name]
    monkeypatch.setattr(Nonce, "create", lambda: Nonce(nonce))
    exchange = MECHANISMS[name].start(USER)
    said = [next(exchange), exchange.send(challenge), exchange.send(verdict)]
    assert said == [first, final, b""]
    assert [type(response) for response in said] == [bytes, Proof, Confirmed]


@pytest.mark.parametrize(
    ("name", "secrets", "flag"),
    [
        ("SCRAM-SHA-256", USER, b"n,,"),
        ("SCRAM-SHA-256", Secrets("user", "pencil", binding=BINDING), b"y,,"),
        ("SCRAM-SHA-256", Secrets("user", "pencil", binding=BINDING, server_binds=True), b"n,,"),
        (
            "SCRAM-SHA-256-PLUS",
            Secrets("user", "pencil", binding=BINDING, server_binds=True),
            b"p=tls-server-end-point,,",
        ),
    ],
    ids=["no TLS", "not offered", "offered and not used", "used"],
)
def test_the_flag_tells_the_server_whether_binding_was_taken_away(name: str, secrets: Secrets, flag: bytes) -> None:
    assert next(MECHANISMS[name].start(secrets)).startswith(flag)


LIES: dict[str, Callable[[bytes], bytes]] = {
    "another nonce": lambda nonce: b"r=other,s=QSXCR+Q6sek8bf92AAAA,i=4096",
    "few rounds": lambda nonce: b"r=" + nonce + b"x,s=QSXCR+Q6sek8bf92AAAA,i=1",
    "endless rounds": lambda nonce: b"r=" + nonce + b"x,s=QSXCR+Q6sek8bf92AAAA,i=2000000000",
    "no salt": lambda nonce: b"r=" + nonce + b"x,i=4096",
    "an extension": lambda nonce: b"m=x,r=" + nonce + b"x,s=QSXCR+Q6sek8bf92AAAA,i=4096",
    "no text": lambda nonce: b"\xff\xfe",
    "nothing": lambda nonce: b"",
}


@pytest.mark.parametrize("lie", LIES)
def test_a_challenge_that_is_not_valid_is_not_answered(lie: str) -> None:
    exchange = MECHANISMS["SCRAM-SHA-256"].start(USER)
    nonce = next(exchange).rpartition(b"r=")[2]
    with pytest.raises(AuthenticationFailed, match="not valid") as caught:
        exchange.send(LIES[lie](nonce))
    assert "pencil" not in str(caught.value)


PARTS = st.sampled_from(
    ["", "=", "a", "AAAA", "QSXCR+Q6sek8bf92AAAA", "4096", "04096", "-1", "1e9", "m=x", "\u0663", ","]
)


@given(own_nonce=st.booleans(), nonce=PARTS, salt=PARTS, rounds=PARTS, more=PARTS, verdict=PARTS | st.text(max_size=20))
def test_no_server_makes_it_fail_in_a_way_of_its_own(
    own_nonce: bool, nonce: str, salt: str, rounds: str, more: str, verdict: str
) -> None:
    exchange = MECHANISMS["SCRAM-SHA-256"].start(USER)
    first = next(exchange)
    own = first.rpartition(b"r=")[2].decode() if own_nonce else ""
    with pytest.raises(AuthenticationFailed):
        exchange.send(f"r={own}{nonce},s={salt},i={rounds}{more}".encode())
        exchange.send(f"v={verdict}".encode())


@pytest.mark.parametrize("verdict", [b"v=" + base64.b64encode(b"x" * 32), b"", b"v=", b"\xff"])
def test_a_server_that_does_not_know_the_password_is_found_out(verdict: bytes) -> None:
    exchange = MECHANISMS["SCRAM-SHA-256"].start(USER)
    nonce = next(exchange).rpartition(b"r=")[2]
    exchange.send(b"r=" + nonce + b"x,s=QSXCR+Q6sek8bf92AAAA,i=4096")
    with pytest.raises(AuthenticationFailed, match="not valid"):
        exchange.send(verdict)


def test_an_error_of_the_server_leads_to_its_reply() -> None:
    exchange = MECHANISMS["SCRAM-SHA-256"].start(USER)
    nonce = next(exchange).rpartition(b"r=")[2]
    exchange.send(b"r=" + nonce + b"x,s=QSXCR+Q6sek8bf92AAAA,i=4096")
    answer = exchange.send(b"e=invalid-proof")
    assert answer == b"" and not isinstance(answer, Confirmed)


def test_a_password_that_it_cannot_express_makes_it_unusable() -> None:
    with pytest.raises(Unusable, match="cannot express") as caught:
        next(MECHANISMS["SCRAM-SHA-256"].start(Secrets("user", "bell\a")))
    assert "bell" not in str(caught.value)


@pytest.mark.parametrize("hash_name", ["SHA-1", "SHA-256", "SHA-512"])
@pytest.mark.parametrize("plus", ["", "-PLUS"])
def test_it_agrees_with_a_server_of_another_hand(hash_name: str, plus: str) -> None:
    name = f"SCRAM-{hash_name}{plus}"
    mechanism = scramp.ScramMechanism(name)
    info = mechanism.make_auth_info("pencil")
    server = mechanism.make_server(lambda user: info, channel_binding=BINDING if plus else None)
    exchange = MECHANISMS[name].start(Secrets("user", "pencil", binding=BINDING if plus else None))
    server.set_client_first(next(exchange).decode())
    server.set_client_final(exchange.send(server.get_server_first().encode()).decode())
    assert isinstance(exchange.send(server.get_server_final().encode()), Confirmed)


def certificate(key: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey, algorithm: hashes.SHA384 | None) -> bytes:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime(2026, 1, 1)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(now).not_valid_after(now + datetime.timedelta(days=1))
    return builder.sign(key, algorithm).public_bytes(serialization.Encoding.DER)


def test_the_end_point_is_named_by_the_hash_that_its_certificate_is_signed_with() -> None:
    der = certificate(ec.generate_private_key(ec.SECP256R1()), hashes.SHA384())
    assert channel_binding(der, None) == ("tls-server-end-point", hashlib.sha384(der).digest())
    assert channel_binding(der, b"finished") == ("tls-unique", b"finished")


def test_only_the_default_binding_is_used_where_that_is_wanted() -> None:
    der = certificate(ec.generate_private_key(ec.SECP256R1()), hashes.SHA384())
    assert channel_binding(der, None, default_only=True) is None
    assert channel_binding(der, b"finished", default_only=True) == ("tls-unique", b"finished")


def test_a_connection_without_a_usable_certificate_has_no_binding() -> None:
    assert channel_binding(None, None) is None
    assert channel_binding(certificate(ed25519.Ed25519PrivateKey.generate(), None), None) is None
    assert channel_binding(b"no certificate", None) is None


def test_the_package_is_imported_when_it_is_used_and_not_before() -> None:
    code = "import wlsmtp.sasl, wlsmtp.session, sys; assert not {'scramp', 'asn1crypto', 'spnego'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
