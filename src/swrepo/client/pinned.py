"""Earlier revisions of a repository: by the name of a tag, or by a date."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from swrepo.errors import PathNotFound
from swrepo.format.manifest import Manifest
from swrepo.objects.store import LocalObjects
from swrepo.repository.history import HistoryFile, Tag, open_history
from swrepo.repository.revision import Revision


def tagged_revision(found: Manifest, tag: str, objects: LocalObjects) -> Revision:
    """The revision that the history of a trusted manifest calls `tag`; PathNotFound where it has no such tag."""
    return _revision(found, objects, lambda history: history.find(tag), f"no tag {tag}")


def dated_revision(found: Manifest, date: datetime, objects: LocalObjects) -> Revision:
    """The last revision with a tag at `date`; PathNotFound where there is none."""
    return _revision(found, objects, lambda history: history.by_date(date), f"no tag as old as {date}")


def _revision(
    found: Manifest, objects: LocalObjects, find: Callable[[HistoryFile], Tag | None], otherwise: str
) -> Revision:
    if found.history is None:
        raise PathNotFound(f"the repository {found.fqrn} has no history, so it has {otherwise}")
    history = open_history(found.history, objects)
    try:
        entry = find(history)
    finally:
        history.close()
    if entry is None:
        raise PathNotFound(f"the repository {found.fqrn} has {otherwise}")
    return Revision(entry.root, objects, entry.size or None)
