"""Small files into the object store, a batch of them at a time: what threads and processes of a publication do."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from typing import NamedTuple

from swrepo.publish.changes import Identity
from swrepo.publish.comparison import Previous
from swrepo.publish.pieces import Journal, NoJournal
from swrepo.publish.reader import FileReader, Stored, Submit, at_once
from swrepo.publish.source_file import UnstableFileError
from swrepo.publish.staged import Content

_NO_JOURNAL = NoJournal()


class Task(NamedTuple):
    """A file to be read: where it is, what it was when it was found, what it was when it was published."""

    path: bytes
    identity: Identity
    previous: Previous | None


Outcome = Stored | OSError | UnstableFileError

Packed = list[tuple[bytes | None, int] | Outcome]
"""Outcomes for another process: digest and flags of a whole object from a file that is as it was found."""


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


# Named tuples take five times as long as plain ones between processes, so what is usual travels as plain ones.


def pack_tasks(tasks: Sequence[Task]) -> bytes:
    """For another process."""
    plain = [(path, tuple(identity), previous) for path, identity, previous in tasks]
    return pickle.dumps(plain, pickle.HIGHEST_PROTOCOL)


def unpack_tasks(packed: bytes) -> list[Task]:
    """See `pack_tasks`."""
    plain = pickle.loads(packed)  # noqa: S301 - of a process of our own
    return [Task(path, tuple.__new__(Identity, identity), previous) for path, identity, previous in plain]


def pack_outcomes(outcomes: Sequence[Outcome]) -> Packed:
    """For another process."""
    packed: Packed = []
    for outcome in outcomes:
        if isinstance(outcome, Stored) and outcome.status is None and not outcome.content.chunks:
            packed.append((outcome.content.digest, outcome.content.flags))
        else:
            packed.append(outcome)
    return packed


def unpack_outcomes(packed: Packed) -> list[Outcome]:
    """See `pack_outcomes`."""
    outcomes: list[Outcome] = []
    for item in packed:
        if isinstance(item, Stored | OSError | UnstableFileError):
            outcomes.append(item)
        else:
            digest, flags = item
            outcomes.append(Stored(Content(digest, (), flags), None))
    return outcomes
