"""Pictures of the documentation that are drawn from what wlsmtp does: conversations, and tables of states."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from html import escape
from itertools import groupby
from typing import Any

from wlsmtp import Message, SMTPSession
from wlsmtp.events import Line, listener
from wlsmtp.outbox import lifecycle as worker
from wlsmtp.relay import pipeline
from wlsmtp.smtp import connection
from wlsmtp.testing import SMTPServer

INK, GREY, CLIENT, SERVER = "#222222", "#8a8a8a", "#1f5fa8", "#3b7d3b"
OFFERS = {
    "One command at a time": (),
    "PIPELINING": ("PIPELINING",),
    "PIPELINING and CHUNKING": ("PIPELINING", "CHUNKING"),
}
MESSAGES = 3
COLUMN, ROW, LINE, TOP, STEP = 330, 20, 13, 78, 170


def round_trips() -> str:
    """Three messages with each kind of server, an arrow for what is sent together."""
    columns = {title: _conversation(extensions) for title, extensions in OFFERS.items()}
    parts, heights = [], []
    for number, (title, flights) in enumerate(columns.items()):
        drawn, height = _column(COLUMN * number + 20, title, flights)
        parts += drawn
        heights.append(height)
    return _svg(COLUMN * len(columns) + 10, max(heights) + 20, parts)


def _conversation(extensions: Sequence[str]) -> list[tuple[str, list[str]]]:
    """What goes in each direction at a time, for three messages behind those with which a session tries a server."""
    lines: list[Line] = []
    letters = [Message("ann@example.com", "bob@example.org", subject="Hi", text="Hello") for _ in range(MESSAGES)]
    tries = letters if extensions else letters[:1]
    listeners = [listener(Line)(lines.append)]
    with (
        SMTPServer(extensions=extensions) as server,
        SMTPSession(server.host, server.port, listeners=listeners) as session,
    ):
        session.send_all(tries)
        del lines[:]
        session.send_all(letters)
        said = list(lines)
    flights = [(who, [_short(line.text) for line in group]) for who, group in groupby(said, lambda line: line.who)]
    return flights


def _short(text: str) -> str:
    words = text.split()
    if text.startswith("["):
        return "content"
    return " ".join(words[:1] if words[0] in {"MAIL", "RCPT", "DATA", "RSET"} or words[0].isdigit() else words[:3])


def _column(x: int, title: str, flights: Sequence[tuple[str, list[str]]]) -> tuple[list[str], int]:
    left, right, y = x + 10, x + COLUMN - 60, TOP
    waits = sum(who == "server" for who, _ in flights)
    trips = f"{waits} round trip{'s' * (waits != 1)} for {MESSAGES} messages"
    parts = [_text(x, 22, title, size=14, weight="bold"), _text(x, 40, trips, fill=GREY)]
    parts += [_text(left - 8, 62, "client", fill=CLIENT), _text(right - 30, 62, "server", fill=SERVER)]
    for who, said in flights:
        colour, start, end = (CLIENT, left, right) if who == "client" else (SERVER, right, left)
        for line in _wrapped(said):
            parts.append(_text(left + 14, y, line, fill=colour))
            y += LINE
        parts.append(_arrow(start, y - 6, end, y + 4, colour))
        y += ROW
    for place in (left, right):
        parts.append(f'<line x1="{place}" y1="68" x2="{place}" y2="{y}" stroke="{GREY}"/>')
    return parts, y


def _wrapped(words: Sequence[str], width: int = 38) -> list[str]:
    lines = [""]
    for word in words:
        if lines[-1] and len(lines[-1]) + len(word) + 2 > width:
            lines.append("")
        lines[-1] += f", {word}" if lines[-1] else word
    return lines


Table = Mapping[Any, frozenset[Any]]
STATES: dict[str, Callable[[], Table]] = {
    "worker": lambda: worker.ALLOWED,
    "connection": lambda: connection.ALLOWED,
    "stream": lambda: pipeline.ALLOWED,
}


def states(name: str) -> str:
    """A table of states and what may follow each, as a diagram; arcs above lead forth, those below lead back."""
    table = STATES[name]()
    order: list[Enum] = list(type(next(iter(table))))
    boxes = {state: 70 + STEP * number for number, state in enumerate(order)}
    spans = [boxes[other] - boxes[state] for state, follows in table.items() for other in follows]
    above, below = (max([0, *(span * side for span in spans)]) for side in (1, -1))
    middle = 50 + above // 4
    parts = []
    for state, x in boxes.items():
        parts.append(
            f'<rect x="{x - 52}" y="{middle - 16}" width="104" height="32" rx="8" fill="#fff" stroke="{INK}"/>'
        )
        parts.append(_text(x, middle + 4, state.name, anchor="middle"))
    for state, follows in table.items():
        parts += [_arc(boxes[state], boxes[other], middle) for other in follows]
    return _svg(max(boxes.values()) + 70, middle + 40 + below // 4, parts)


def _arc(start: int, end: int, middle: int) -> str:
    if end - start == STEP:
        return _arrow(start + 52, middle, end - 53, middle, CLIENT)
    side, shift = (-1, 8) if end > start else (1, -8)
    y, bend = middle + 17 * side, middle + side * (20 + abs(end - start) * 0.32)
    a, b = start + shift, end - shift
    path = f"M{a},{y} C{a},{bend} {b},{bend} {b},{y}"
    return f'<path d="{path}" fill="none" stroke="{CLIENT}" stroke-width="1.4" marker-end="url(#{CLIENT[1:]})"/>'


def _arrow(x1: float, y1: float, x2: float, y2: float, colour: str) -> str:
    place = f'x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}"'
    return f'<line {place} stroke="{colour}" stroke-width="1.4" marker-end="url(#{colour[1:]})"/>'


def _text(
    x: float, y: float, words: str, *, fill: str = INK, size: int = 11, anchor: str = "start", weight: str = "normal"
) -> str:
    style = f'font-size="{size}" font-weight="{weight}" fill="{fill}" text-anchor="{anchor}"'
    return f'<text x="{x}" y="{y}" {style}>{escape(words)}</text>'


def _svg(width: int, height: int, parts: Sequence[str]) -> str:
    size = f'viewBox="0 0 {width} {height}" width="{width}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif">'
    tip = 'viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto"'
    tips = [f'<marker id="{c[1:]}" {tip}><path d="M0,0 L8,4 L0,8 z" fill="{c}"/></marker>' for c in (CLIENT, SERVER)]
    paper = f'<rect width="{width}" height="{height}" fill="#ffffff"/>'
    return "\n".join([head, "<defs>", *tips, "</defs>", paper, *parts, "</svg>"]) + "\n"
