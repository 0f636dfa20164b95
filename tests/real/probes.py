"""The behaviour of real servers with groups, refusals and their own limits, observed on the wire.

Nothing depends on time: a command that no server knows follows what may be lost, and its reply shows what was.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, fields

from .server import Endpoint
from .wire import HungUp, Wire

MOST_MESSAGES = 30
MOST_REFUSALS = 12

_UNKNOWN = "XUNKNOWN"
_HUNG_UP = "closes the connection"

Answer = tuple[int, list[str]]


@dataclass(frozen=True)
class Observed:
    """What one endpoint does, in the words of the page."""

    offers: str
    group: str
    behind_content: str
    behind_content_without_reset: str
    refused_chunk: str
    after_refused_content: str
    noop: str
    rset: str
    messages: str
    refusals: str


def observe(endpoint: Endpoint) -> Observed:
    """Ask one endpoint for everything, each question over a connection of its own."""
    observed = {}
    for item in fields(Observed):
        try:
            observed[item.name] = _answer(endpoint, item.name)
        except TimeoutError:  # some relays lose a reply now and then: asked again, they show what they are
            observed[item.name] = _answer(endpoint, item.name)
    return Observed(**observed)


def _answer(endpoint: Endpoint, name: str) -> str:
    with Wire(endpoint) as wire:
        try:
            return _PROBES[name](wire)
        except HungUp:
            return _HUNG_UP


def _content() -> bytes:
    return f"X-Begin: probe-{secrets.token_hex(8)}\r\n\r\nHello\r\n".encode()


def _offers(wire: Wire) -> str:
    return ", ".join(wire.keywords) or "nothing"


def _group(wire: Wire) -> str:
    commands = [*wire.envelope(), "DATA"]
    wire.send("".join(f"{command}\r\n" for command in commands).encode())
    return _as_expected([wire.reply() for _ in commands], [250, 250, 354])


def _behind_content(wire: Wire) -> str:
    return _behind(wire, ["RSET", *wire.envelope()])


def _behind_content_without_reset(wire: Wire) -> str:
    return _behind(wire, wire.envelope())


def _behind(wire: Wire, commands: list[str]) -> str:
    unknown = wire.ask(_UNKNOWN)
    wire.begin_data()
    wire.send(_content() + b".\r\n" + "".join(f"{command}\r\n" for command in commands).encode())
    stored = wire.reply()
    if stored[0] != 250:
        return _as_expected([stored], [250])
    wire.send(f"{_UNKNOWN}\r\n".encode())
    answers = []
    while (answer := wire.reply()) != unknown:
        answers.append(answer)
    return _as_expected(answers, [250] * len(commands)) if answers else "throws it away"


def _refused_chunk(wire: Wire) -> str:
    if "CHUNKING" not in wire.keywords:
        return "-"
    # Four replies where it is read as a command.
    unknown = wire.ask(_UNKNOWN)
    wire.send(f"RSET\r\nBDAT 6 LAST\r\nNOOP\r\nRSET\r\n{_UNKNOWN}\r\n".encode())
    answers = list(iter(wire.reply, unknown))
    return {3: "swallows it", 4: "reads it as commands"}[len(answers)]


def _after_refused_content(wire: Wire) -> str:
    if "rejectdot" not in wire.refusals:
        return "-"
    wire.begin_data("rejectdot")
    wire.send(_content() + b".\r\n")
    code, text = wire.reply()
    assert code // 100 == 5, (code, text)
    return {250: "forgets the envelope", 503: "keeps the envelope"}[wire.ask(wire.envelope()[0])[0]]


def _noop(wire: Wire) -> str:
    return str(wire.ask("NOOP")[0])


def _rset(wire: Wire) -> str:
    return str(wire.ask("RSET")[0])


def _messages(wire: Wire) -> str:
    for number in range(MOST_MESSAGES):
        code, text = wire.ask(wire.envelope()[0])
        if code != 250:
            return f"{number}, then {code}"
        assert wire.ask(wire.envelope()[1])[0] == 250 and wire.ask("DATA")[0] == 354
        wire.send(_content() + b".\r\n")
        code, text = wire.reply()
        assert code == 250, (code, text)
    return f"{MOST_MESSAGES} and more"


def _refusals(wire: Wire) -> str:
    if "nouser" not in wire.refusals:
        return "-"
    assert wire.ask(wire.envelope()[0])[0] == 250
    for number in range(1, MOST_REFUSALS + 1):
        code, _ = wire.ask(wire.envelope("nouser")[1])
        if code != 550:
            return f"{number - 1}, then {code}"
    return f"{MOST_REFUSALS} and more"


def _as_expected(answers: list[Answer], expected: list[int]) -> str:
    codes = [code for code, _ in answers]
    if codes == expected:
        return "yes"
    return "answers " + " ".join(map(str, codes))


_PROBES: dict[str, Callable[[Wire], str]] = {
    "offers": _offers,
    "group": _group,
    "behind_content": _behind_content,
    "behind_content_without_reset": _behind_content_without_reset,
    "refused_chunk": _refused_chunk,
    "after_refused_content": _after_refused_content,
    "noop": _noop,
    "rset": _rset,
    "messages": _messages,
    "refusals": _refusals,
}
