"""The results as a drawing (SVG): seconds against the round trip, a panel for each program, a line for each client."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from html import escape
from typing import NamedTuple

from benchmarks.coldstart.clients import NEIGHBOURS, ORIGINAL, PLAIN, PROFILE
from benchmarks.coldstart.results import Needs, Results

_MBIT = 100.0
_LIMIT = "limit of the link"
_LINES = {
    ORIGINAL: ("CernVM-FS 2.12", "#8c564b", ""),
    PLAIN: ("swrepo, nothing fetched ahead", "#7f7f7f", ""),
    NEIGHBOURS: ("swrepo, first run anywhere", "#1f77b4", ""),
    PROFILE: ("swrepo, with a profile", "#2ca02c", ""),
    _LIMIT: ("bytes, five round trips, warm run", "#000000", "5 4"),
}
_WIDTH, _HEIGHT, _COLUMNS = 420, 260, 2
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 14, 30, 38
_LEGEND = 56
_STEPS = (1, 2, 5)
_FONT = 'font-family="sans-serif" font-size="12"'

Points = list[tuple[float, float]]


class _Scale(NamedTuple):
    """Round trips run linearly, seconds by their logarithm."""

    most_rtt: float
    least: float
    most: float

    def x(self, rtt: float) -> float:
        return _LEFT + (_WIDTH - _LEFT - _RIGHT) * rtt / self.most_rtt

    def y(self, seconds: float) -> float:
        share = math.log(seconds / self.least) / math.log(self.most / self.least)
        return _HEIGHT - _BOTTOM - (_HEIGHT - _TOP - _BOTTOM) * share


def plot(results: Results) -> str:
    """The document: programs that were measured with at least two round trips, at 100 Mbit/s."""
    lines = {name: _points(results, needed) for name, needed in results.needs.items()}
    panels = [
        (results.needs[name], found) for name, found in lines.items() if any(len(one) > 1 for one in found.values())
    ]
    height = _LEGEND + _HEIGHT * -(-len(panels) // _COLUMNS)
    width = _WIDTH * _COLUMNS
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" {_FONT}>',
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
        *_legend({name for _, found in panels for name in found}),
    ]
    for number, (needed, found) in enumerate(panels):
        row, column = divmod(number, _COLUMNS)
        parts.append(f'<g transform="translate({column * _WIDTH} {_LEGEND + row * _HEIGHT})">')
        parts += [*_panel(needed, found), "</g>"]
    return "\n".join([*parts, "</svg>\n"])


def _points(results: Results, needed: Needs) -> dict[str, Points]:
    found: dict[str, Points] = {}
    for row in sorted(results.rows, key=lambda row: row.rtt):
        if row.program == needed.program and row.mbit == _MBIT:
            found.setdefault(row.client, []).append((row.rtt, row.seconds))
    rtts = sorted({rtt for points in found.values() for rtt, _ in points})
    if rtts:
        found[_LIMIT] = [(rtt, needed.limit(rtt, _MBIT)) for rtt in rtts]
    return found


def _panel(needed: Needs, found: dict[str, Points]) -> Iterator[str]:
    every = [seconds for points in found.values() for _, seconds in points]
    scale = _Scale(max(rtt for points in found.values() for rtt, _ in points), 0.8 * min(every), 1.2 * max(every))
    yield f'<text x="{_LEFT}" y="18" font-weight="bold">{escape(needed.title)}</text>'
    yield from _axes(scale, found)
    for name, (_, colour, dashes) in _LINES.items():
        points = found.get(name, [])
        path = " ".join(f"{scale.x(rtt):.1f},{scale.y(seconds):.1f}" for rtt, seconds in points)
        if path:
            yield f'<polyline points="{path}" fill="none" {_stroke(colour, dashes)}/>'
        if name != _LIMIT:
            for rtt, seconds in points:
                yield f'<circle cx="{scale.x(rtt):.1f}" cy="{scale.y(seconds):.1f}" r="3" fill="{colour}"/>'


def _axes(scale: _Scale, found: dict[str, Points]) -> Iterator[str]:
    right, bottom = _WIDTH - _RIGHT, _HEIGHT - _BOTTOM
    for seconds in _ticks(scale.least, scale.most):
        y = scale.y(seconds)
        yield f'<line x1="{_LEFT}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}" stroke="#dddddd"/>'
        yield f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end" fill="#555555">{seconds:g} s</text>'
    shown = -math.inf
    for rtt in sorted({rtt for points in found.values() for rtt, _ in points}):
        x = scale.x(rtt)
        yield f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{bottom}" y2="{bottom + 4}" stroke="#555555"/>'
        if x - shown > 24:  # numbers do not touch each other
            yield f'<text x="{x:.1f}" y="{bottom + 17}" text-anchor="middle" fill="#555555">{rtt:g}</text>'
            shown = x
    yield f'<line x1="{_LEFT}" x2="{right}" y1="{bottom}" y2="{bottom}" stroke="#555555"/>'
    words = f"round trip, ms ({_MBIT:g} Mbit/s)"
    yield f'<text x="{right}" y="{bottom + 32}" text-anchor="end" fill="#555555">{words}</text>'


def _ticks(least: float, most: float) -> Iterable[float]:
    decades = range(math.floor(math.log10(least)), math.ceil(math.log10(most)) + 1)
    every = (step * 10.0**decade for decade in decades for step in _STEPS)
    return [value for value in every if least <= value <= most]


def _legend(shown: set[str]) -> Iterator[str]:
    x, y = 16, 20
    for name, (label, colour, dashes) in _LINES.items():
        if name not in shown:
            continue
        if x + 40 + 7 * len(label) > _WIDTH * _COLUMNS:
            x, y = 16, y + 20
        yield f'<line x1="{x}" x2="{x + 26}" y1="{y - 4}" y2="{y - 4}" {_stroke(colour, dashes)}/>'
        yield f'<text x="{x + 32}" y="{y}">{escape(label)}</text>'
        x += 48 + 7 * len(label)


def _stroke(colour: str, dashes: str) -> str:
    return f'stroke="{colour}" stroke-width="2" stroke-dasharray="{dashes}"'
