"""Mechanisms from elsewhere: an object as a setting, and an entry point of an installed distribution."""

from __future__ import annotations

import base64
import pickle
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.worlds import World
from wlsmtp import AuthenticationFailed, ConfigError, SessionConfig
from wlsmtp.sasl import Mechanism, Proof, Secrets, plugins
from wlsmtp.sasl.base import Exchange
from wlsmtp.testing.scripted import ScriptedPeer

CODE = """
from wlsmtp.sasl import Mechanism, Proof
def sesame(secrets):
    yield Proof(f"open sesame {secrets.username} {len(secrets.password)}".encode())
anonymous = Mechanism("X-NOBODY", lambda secrets: iter([]), needs="nothing")
wrong = 7
"""
POINTS = """[wlsmtp.sasl]
X-SESAME = dummy_mechanisms:sesame
X-OTHER = dummy_mechanisms:anonymous
X-WRONG = dummy_mechanisms:wrong
X-GONE = dummy_mechanisms:gone
"""


@pytest.fixture
def distribution(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A distribution that is installed, as pip leaves one behind."""
    (tmp_path / "dummy_mechanisms.py").write_text(CODE)
    info = tmp_path / "dummy_mechanisms-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: dummy-mechanisms\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(POINTS)
    monkeypatch.syspath_prepend(str(tmp_path))
    plugins.installed.cache_clear()
    yield
    plugins.installed.cache_clear()
    sys.modules.pop("dummy_mechanisms", None)


def own(secrets: Secrets) -> Exchange:
    challenge = yield Proof(b"hello " + secrets.username.encode())
    yield Proof(b"answer to " + challenge)


OWN = Mechanism("X-OWN", own)


def dialogue(*steps: str) -> str:
    return "\n".join(["S: 220 mail", "C: EHLO *", "S: 250-mail", "S: 250 AUTH X-SESAME X-OWN", *steps])


def login(world: World, peer: ScriptedPeer, *mechanisms: Any) -> None:
    settings = {"username": "ann", "password": "pw", "mechanisms": list(mechanisms) or None}
    with world.session("127.0.0.1", peer.port, **settings) as session:
        session.verify()


def test_the_mechanism_of_an_installed_package(world: World, distribution: None) -> None:
    sent = base64.b64encode(b"open sesame ann 2").decode()
    with ScriptedPeer(dialogue(f"C: AUTH X-SESAME {sent}", "S: 235 Welcome", "C: QUIT", "S: 221 Bye")) as peer:
        login(world, peer, "x-sesame")


def test_it_is_used_only_when_it_is_named(world: World, distribution: None) -> None:
    with ScriptedPeer(dialogue("C: QUIT", "S: 221 Bye")) as peer, pytest.raises(AuthenticationFailed):
        login(world, peer)
    assert not any(line.startswith(b"AUTH") for line in peer.received)


def test_a_mechanism_as_an_object(world: World) -> None:
    first, challenge, second = (base64.b64encode(one).decode() for one in (b"hello ann", b"now?", b"answer to now?"))
    steps = [f"C: AUTH X-OWN {first}", f"S: 334 {challenge}", f"C: {second}", "S: 235 Welcome", "C: QUIT", "S: 221 Bye"]
    with ScriptedPeer(dialogue(*steps)) as peer:
        login(world, peer, OWN)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("X-OTHER", "not a mechanism of that name"), ("X-WRONG", "not a mechanism"), ("X-GONE", "cannot be loaded"),
        ("X-NO", "unknown X-NO"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_mechanism(name: str, words: str, distribution: None) -> None:
    with pytest.raises(ConfigError, match=words):
        World("blocking").session("smtp.example.com", username="ann", password="pw", mechanisms=[name])


def test_an_object_that_needs_no_secret_logs_in_without_one() -> None:
    nobody = Mechanism("X-NOBODY", own, needs="nothing")
    assert SessionConfig(server="smtp.example.com", mechanisms=[nobody]).logs_in


def test_settings_with_an_object_can_be_copied_and_pickled() -> None:
    config = SessionConfig(server="smtp.example.com", username="ann", password="pw", mechanisms=[OWN, "PLAIN"])
    for copy in (config.model_copy(update={"port": 25}), pickle.loads(pickle.dumps(config))):
        assert copy.mechanisms == ("X-OWN", "PLAIN")
        assert plugins.own(copy.mechanisms[0]) == OWN


def yields_text(secrets: Secrets) -> Any:
    yield f"hello {secrets.password}"


def raises(secrets: Secrets) -> Any:
    raise KeyError(secrets.password)


async def is_async(secrets: Secrets) -> Any:
    yield b"hello"


@pytest.mark.parametrize("is_slow", [False, True])
@pytest.mark.parametrize(
    ("start", "error", "words"),
    [
        (yields_text, ConfigError, "mechanisms: X-OWN yielded str, not bytes"),
        (raises, AuthenticationFailed, r"The mechanism X-OWN failed \(KeyError\)"),
        (is_async, AuthenticationFailed, "must be a generator function that takes Secrets and yields bytes"),
        (lambda secrets: b"hello", AuthenticationFailed, "must be a generator function"),
        (lambda: iter([b""]), AuthenticationFailed, "must be a generator function"),
    ],
)
def test_a_mechanism_that_is_none_is_an_error_that_shows_no_secret(
    world: World, start: Any, error: type[Exception], words: str, is_slow: bool
) -> None:
    with ScriptedPeer(dialogue()) as peer, pytest.raises(error, match=words) as caught:
        login(world, peer, Mechanism("X-OWN", start, is_slow=is_slow))
    assert "pw" not in str(caught.value)
