"""Explain a parameter: its meaning and default, which line of which file set it, and what that overrode."""

from __future__ import annotations

import argparse
from collections.abc import Collection
from contextlib import suppress
from typing import Any

from swrepo.cli.configured import all_settings, full_name
from swrepo.cli.output import write_json
from swrepo.cli.places import current
from swrepo.config.assignments import quote
from swrepo.config.files import Setting
from swrepo.config.parameter import Parameter, Standing
from swrepo.config.table import server
from swrepo.config.table.client import find, nearest
from swrepo.errors import NotFound, UsageError

EXAMPLE = """swrepo config explain CVMFS_HTTP_PROXY
swrepo config explain autocatalogs
swrepo config explain server_url dair.cvmfs.server"""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("parameter", help="its name; CVMFS_ may be left out")
    parser.add_argument("repository", nargs="?", help="name of a repository; without one, what holds for all")
    parser.add_argument("--json", action="store_true", help="a JSON document")


def run(args: argparse.Namespace) -> None:
    here = current()
    fqrn = full_name(args.repository, here) if args.repository is not None else None
    found, published = all_settings(fqrn, here), _published(fqrn)
    name = _name(args.parameter, {*found, *published})
    row, history = find(name), found.get(name, [])
    server_row, server_history = server.find(name), [published[name]] if name in published else []
    if args.json:
        document = _document(name, row, history)
        if server_row is not None:
            document["publisher"] = _document(name, server_row, server_history)
        write_json(document)
        return
    if row is not None or history or server_row is None:
        _print(name, "", row, history, fqrn)
    if server_row is not None:
        _print(name, " of a publisher", server_row, server_history, fqrn)


def _published(fqrn: str | None) -> dict[str, Setting]:
    """What the server.conf of a repository of this machine says."""
    if fqrn is None:
        return {}
    from swrepo.publish.layout import ServerLayout
    from swrepo.publish.settings import read

    with suppress(NotFound, UsageError):
        return read(ServerLayout(current().server_prefix).new_repository(fqrn).server_conf)
    return {}


def _print(name: str, whose: str, row: Parameter | None, history: list[Setting], fqrn: str | None) -> None:
    print(f"{name}{whose}{'' if row is None else f'  ({row.kind})'}")
    for line in _lines(row, history, fqrn):
        print(f"  {line}")


def _name(typed: str, found: Collection[str]) -> str:
    """The parameter that is meant. UsageError where there is none, with one that is spelt like it."""
    name = typed.upper()
    for candidate in (typed, name, f"CVMFS_{name}"):
        if find(candidate) is not None or server.find(candidate) is not None or candidate in found:
            return candidate
    near = next(
        (meant for word in (name, f"CVMFS_{name}") for look in (nearest, server.nearest) if (meant := look(word))), None
    )
    raise UsageError(f"there is no parameter {typed}{f'; did you mean {near}?' if near else ''}")


def _lines(row: Parameter | None, history: list[Setting], fqrn: str | None) -> list[str]:
    lines = [row.meaning if row is not None else "A variable of your own: configuration files and symlinks see it."]
    if row is not None and row.standing is not Standing.HONOURED:
        lines.append(f"Here: {row.standing.value}: {row.reason}.")
    if row is not None:
        lines.append(f"Default: {_default(row)}.")
    if not history:
        lines.append(f"Nothing sets it{f' for {fqrn}' if fqrn else ''}.")
        return lines
    winner = history[-1]
    lines.append(f"{quote(winner.value)}, set by {winner.origin}")
    lines += [f"  over {quote(setting.value)}, set by {setting.origin}" for setting in reversed(history[:-1])]
    return lines


def _default(row: Parameter) -> str:
    value = row.default or ("" if row.otherwise else "empty")
    return ": ".join(part for part in (value, row.otherwise.replace("`", "")) if part)


def _document(name: str, row: Parameter | None, history: list[Setting]) -> dict[str, Any]:
    about = None
    if row is not None:
        about = {"kind": row.kind, "default": _default(row), "meaning": row.meaning, "standing": row.standing.value}
        if row.reason:
            about["reason"] = row.reason
    return {
        "name": name,
        "parameter": about,
        "value": history[-1].value if history else None,
        "set": [{"value": setting.value, "origin": setting.origin} for setting in reversed(history)],
    }
