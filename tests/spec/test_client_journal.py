"""vfs.journal: what a successor reads is what was written last and whole."""

from __future__ import annotations

import os

from swrepo.format.object_id import Algorithm, Kind, ObjectId
from swrepo.vfs.journal import Journal, Shown, SpanRecord, Stale, Told, VolumeRecord

ROOT = ObjectId.of(b"a catalog", Algorithm.SHA1, Kind.CATALOG)
SPAN = SpanRecord(2, 10, "", b"/nested", ROOT)


def shown(epoch: int, unsaid: Stale | None = None) -> Shown:
    return Shown((VolumeRecord("", ROOT, None, epoch),), (SPAN,), (2, 1), unsaid or Stale())


def test_an_empty_one_shows_nothing() -> None:
    assert Journal().read() == (Shown(), [])


def test_a_full_record_replaces_all_before_it() -> None:
    journal = Journal()
    for epoch in range(4):
        journal.write(shown(epoch))
        journal.add(SPAN)
    assert journal.read() == (shown(3), [SPAN])
    journal.write(shown(4))
    assert journal.read() == (shown(4), [])


def test_what_the_kernel_was_told_is_not_to_be_said_again() -> None:
    journal = Journal()
    journal.write(shown(1, Stale([(1, b"gone")], [5])))
    assert journal.read()[0].unsaid == Stale([(1, b"gone")], [5])

    journal.add(Told())

    assert journal.read()[0] == shown(1)


def test_a_record_whose_writing_was_broken_off_does_not_count() -> None:
    journal = Journal()
    journal.write(shown(1))
    current, other = journal._in_order()
    os.pwrite(current, b"half a record", os.fstat(current).st_size + 8)
    assert journal.read() == (shown(1), [])

    os.ftruncate(other, 0)
    os.pwrite(other, b"half a full record", 16)

    assert journal.read() == (shown(1), [])
