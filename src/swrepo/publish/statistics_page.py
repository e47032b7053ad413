"""A page that draws what publications and collections did, for web browsers: `stats/index.html` beside a repository.

It is one file without scripts, for it is served as it lies, by any web server.
"""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

_SHOWN = 100
"""Rows that are drawn, the newest."""

_WIDTH, _HEIGHT = 900, 120
_STYLE = "body{font:14px sans-serif;margin:2em}svg{background:#f6f6f6}rect{fill:#47a}rect.failed{fill:#c33}"

Row = Mapping[str, str]


class _Chart(NamedTuple):
    title: str
    column: str


_PUBLISHED = (
    _Chart("Seconds", ""),
    _Chart("Files added", "files_added"),
    _Chart("Files removed", "files_removed"),
    _Chart("Files changed", "files_changed"),
    _Chart("Bytes added", "sz_bytes_added"),
    _Chart("Bytes uploaded", "sz_bytes_uploaded"),
)
_COLLECTED = (
    _Chart("Seconds", ""),
    _Chart("Objects removed", "n_condemned_objects"),
    _Chart("Bytes removed", "sz_condemned_bytes"),
)


def page(fqrn: str, publications: Sequence[Row], collections: Sequence[Row]) -> bytes:
    """The page about rows of the statistics database, oldest first."""
    title = f"Statistics of {html.escape(fqrn)}"
    parts = [f"<!DOCTYPE html><html><head><meta charset='utf-8'><title>{title}</title><style>{_STYLE}</style></head>"]
    parts.append(f"<body><h1>{title}</h1>")
    for what, rows, charts in (("Publications", publications, _PUBLISHED), ("Collections", collections, _COLLECTED)):
        parts.append(f"<h2>{what}: the last {min(len(rows), _SHOWN):,} of {len(rows):,}</h2>")
        parts += [_drawn(chart, rows[-_SHOWN:]) for chart in charts if rows]
    parts.append("</body></html>\n")
    return "\n".join(parts).encode("utf-8", "replace")


def _drawn(chart: _Chart, rows: Sequence[Row]) -> str:
    values = [_seconds(row) if not chart.column else _number(row, chart.column) for row in rows]
    most, step = max(values, default=0), _WIDTH / len(rows)
    bars = []
    for index, (row, value) in enumerate(zip(rows, values, strict=True)):
        height = _HEIGHT * value / most if most else 0
        said = html.escape(f"{row.get('start_time', '')}: {value:,}", quote=True)
        failed = " class='failed'" if row.get("success") == "0" else ""
        place = f"x='{index * step:.1f}' y='{_HEIGHT - height:.1f}' width='{step * 0.8:.1f}' height='{height:.1f}'"
        bars.append(f"<rect {place}{failed}><title>{said}</title></rect>")
    return f"<h3>{chart.title} (at most {most:,})</h3><svg width='{_WIDTH}' height='{_HEIGHT}'>{''.join(bars)}</svg>"


def _number(row: Row, column: str) -> int:
    text = row.get(column, "")
    return int(text) if text.isdecimal() else 0


def _seconds(row: Row) -> int:
    try:
        begin, end = (datetime.fromisoformat(row[name]) for name in ("start_time", "finish_time"))
    except (KeyError, ValueError):
        return 0
    return max(0, int((end - begin).total_seconds()))
