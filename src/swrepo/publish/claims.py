"""Which paths came from archives and images, so that publishing a directory that lacks them does not remove them.

Only `ingest -d` does. What the directory has of them it publishes, as everything else.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from swrepo.format.paths import ROOT, is_within, parent
from swrepo.system.atomic import write_atomically
from swrepo.system.ownership import leave_to_owner


def read(path: Path) -> frozenset[bytes]:
    """The paths in the record."""
    try:
        return frozenset(item for item in path.read_bytes().split(b"\0") if item)
    except FileNotFoundError:
        return frozenset()


def add(path: Path, claims: Iterable[bytes]) -> None:
    """Note them before they are published: a claim on what is not there does nothing."""
    _write(path, read(path).union(claims))


def remove(path: Path, gone: Iterable[bytes], claims: Iterable[bytes]) -> None:
    """Forget what was deleted, once that is published, but for `claims`."""
    removed = tuple(gone)
    _write(path, {item for item in read(path) if not any(is_within(item, top) for top in removed)}.union(claims))


def with_ways(claims: Iterable[bytes]) -> frozenset[bytes]:
    """The claims, and the directories on the way to them."""
    found: set[bytes] = set()
    for item in claims:
        at = item
        while at != ROOT and at not in found:
            found.add(at)
            at = parent(at)
    return frozenset(found)


def _write(path: Path, claims: Iterable[bytes]) -> None:
    data = b"".join(item + b"\0" for item in sorted(claims))
    if data or path.exists():
        write_atomically(path, data)
        leave_to_owner(path)
