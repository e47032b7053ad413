"""Small files into the object store, a batch of them at a time: what threads and processes of a publication do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from swrepo.publish.changes import Identity
from swrepo.publish.comparison import Previous
from swrepo.publish.pieces import Journal, NoJournal
from swrepo.publish.reader import FileReader, Stored, Submit, at_once
from swrepo.publish.source_file import UnstableFileError

_NO_JOURNAL = NoJournal()


class Task(NamedTuple):
    """A file to be read: where it is, what it was when it was found, what it was when it was published."""

    path: bytes
    identity: Identity
    previous: Previous | None


Outcome = Stored | OSError | UnstableFileError


def store_batch(reader: FileReader, tasks: Sequence[Task]) -> list[Outcome]:
    """What became of each file. A failure of one file is that file's; of the store, everybody's: that is raised."""
    return [store_one(reader, task) for task in tasks]


def store_one(reader: FileReader, task: Task, submit: Submit = at_once, journal: Journal = _NO_JOURNAL) -> Outcome:
    """What became of a file. The status is None where it is the file that was found."""
    try:
        stored = reader.store_file(task.path, task.identity.size, task.previous, submit, journal)
    except (OSError, UnstableFileError) as error:
        return error
    if stored.status is not None and Identity.of(stored.status) == task.identity:
        return Stored(stored.content, None)
    return stored
