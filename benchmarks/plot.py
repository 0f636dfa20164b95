"""A picture of curves, with both axes logarithmic, as SVG."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape

WIDTH, HEIGHT = 760, 460
LEFT, RIGHT, TOP, BOTTOM = 80, 30, 50, 60
COLOURS = ("#1f5fa8", "#c2570c", "#3b7d3b")
GREY, FAINT, INK = "#6b6b6b", "#dedede", "#222222"


@dataclass(frozen=True)
class Curve:
    """A name and its points."""

    name: str
    points: Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Plot:
    """Curves, and levels to compare them with."""

    title: str
    x_label: str
    y_label: str
    curves: Sequence[Curve]
    levels: Mapping[str, float] = field(default_factory=dict)

    def svg(self) -> str:
        """The picture."""
        head = (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" '
            f'viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12" fill="{INK}">'
        )
        parts = [
            head,
            f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
            _text(WIDTH / 2, 26, self.title, "middle", extra='font-size="16" font-weight="bold"'),
            *self._axes(),
            *(self._level(name, value) for name, value in self.levels.items()),
            *(self._curve(index, curve) for index, curve in enumerate(self.curves)),
            *self._legend(),
            "</svg>",
        ]
        return "\n".join(parts) + "\n"

    def _x(self, value: float) -> float:
        values = [x for curve in self.curves for x, _ in curve.points]
        low, high = math.log2(min(values)), math.log2(max(values))
        share = (math.log2(value) - low) / ((high - low) or 1)
        return LEFT + share * (WIDTH - LEFT - RIGHT)

    def _y_range(self) -> tuple[int, int]:
        values = [y for curve in self.curves for _, y in curve.points] + list(self.levels.values())
        return math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))

    def _y(self, value: float) -> float:
        low, high = self._y_range()
        share = (math.log10(value) - low) / ((high - low) or 1)
        return HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM)

    def _axes(self) -> list[str]:
        low, high = self._y_range()
        bottom = HEIGHT - BOTTOM
        parts = []
        for exponent in range(low, high + 1):
            y = self._y(10**exponent)
            parts.append(_line(LEFT, y, WIDTH - RIGHT, y, FAINT))
            parts.append(_text(LEFT - 8, y + 4, f"{10**exponent:,}", "end"))
        for x_value in sorted({x for curve in self.curves for x, _ in curve.points}):
            x = self._x(x_value)
            parts.append(_line(x, bottom, x, bottom + 5, INK))
            parts.append(_text(x, bottom + 19, f"{x_value:g}", "middle"))
        parts.append(_line(LEFT, bottom, WIDTH - RIGHT, bottom, INK))
        parts.append(_line(LEFT, TOP, LEFT, bottom, INK))
        parts.append(_text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 16, self.x_label, "middle", extra='font-size="13"'))
        middle = (TOP + bottom) / 2
        turned = f'font-size="13" transform="rotate(-90 20 {middle:.1f})"'
        return [*parts, _text(20, middle, self.y_label, "middle", extra=turned)]

    def _level(self, name: str, value: float) -> str:
        y = self._y(value)
        line = _line(LEFT, y, WIDTH - RIGHT, y, GREY, 'stroke-dasharray="6 4"')
        return line + _text(WIDTH - RIGHT - 4, y - 5, f"{name}: {value:,.0f}/s", "end", extra=f'fill="{GREY}"')

    def _curve(self, index: int, curve: Curve) -> str:
        colour = COLOURS[index % len(COLOURS)]
        places = [(self._x(x), self._y(y)) for x, y in curve.points]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        dots = "".join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{colour}"/>' for x, y in places)
        return f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>{dots}'

    def _legend(self) -> list[str]:
        parts = []
        for index, curve in enumerate(self.curves):
            y, colour = TOP + 14 + 20 * index, COLOURS[index % len(COLOURS)]
            parts.append(_line(LEFT + 16, y - 4, LEFT + 44, y - 4, colour, 'stroke-width="2"'))
            parts.append(_text(LEFT + 52, y, curve.name, "start", extra='font-size="13"'))
        return parts


def _line(x1: float, y1: float, x2: float, y2: float, colour: str, extra: str = "") -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}" {extra}/>'


def _text(x: float, y: float, words: str, anchor: str, extra: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" {extra}>{escape(words)}</text>'
