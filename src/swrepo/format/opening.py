"""Traces: the files of a repository that were opened, in order, one JSON object on each line.

    {"time": 0.012, "pid": 4711, "repository": "sw.example.org", "path": "/bin/prog"}
    {"time": 0.034, "pid": 4711, "repository": "sw.example.org", "path": "/lib/big.so", "offset": 4194304}

`offset`: where in a file of many chunks was read. `{"catalog": "/lib", ...}` says that the catalog of a directory was
used. Who reads a trace passes over what it does not know.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from swrepo.errors import FormatError
from swrepo.format.paths import ROOT, normalise


class Opening(NamedTuple):
    """A file was opened (`is_catalog`: a catalog was used) by a process, `time` seconds after the start."""

    repository: str
    path: bytes
    time: float = 0.0
    pid: int = 0
    offset: int | None = None
    is_catalog: bool = False


def encode(opening: Opening) -> str:
    """The line, without its end."""
    record: dict[str, object] = {"time": round(opening.time, 6), "pid": opening.pid}
    record["repository"] = opening.repository
    record["catalog" if opening.is_catalog else "path"] = (opening.path or b"/").decode("utf-8", "surrogateescape")
    if opening.offset is not None:
        record["offset"] = opening.offset
    return json.dumps(record)


def parse(lines: Iterable[str], name: str = "the trace") -> Iterator[Opening]:
    """Read a trace. FormatError for a line that is none, with its number."""
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
            found = _opening(record)
        except (ValueError, RecursionError, FormatError) as error:
            raise FormatError(f"{name}, line {number}, is not of a trace: {error}") from error
        if found is not None:
            yield found


def _opening(record: object) -> Opening | None:
    if not isinstance(record, dict):
        raise FormatError("no JSON object")
    is_catalog = "catalog" in record
    path = record.get("catalog" if is_catalog else "path")
    if path is None:
        return None
    if not isinstance(path, str):
        raise FormatError("a path that is no text")
    repository, pid, time, offset = (record.get(key) for key in ("repository", "pid", "time", "offset"))
    plain = normalise(path)
    if plain == ROOT and not is_catalog:
        raise FormatError("the root directory is no file")
    return Opening(
        repository if isinstance(repository, str) else "",
        plain,
        float(time) if isinstance(time, (int, float)) else 0.0,
        pid if isinstance(pid, int) else 0,
        offset if isinstance(offset, int) and offset >= 0 else None,
        is_catalog,
    )
