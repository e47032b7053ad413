"""Files brought into the cache before they are read."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator

from swrepo.api.parallel import in_parallel
from swrepo.api.values import Fetched
from swrepo.format.dirent import Dirent
from swrepo.repository.content import wanted_objects
from swrepo.repository.revision import Revision
from swrepo.repository.walk import walk


def fetch(revision: Revision, starts: Iterable[bytes], jobs: int) -> Fetched:
    """All regular files at and below `starts`, `jobs` at a time. Raises the first error that one of them has.

    External files are left out: they lie elsewhere.
    """

    def bring(found: tuple[bytes, Dirent]) -> int:
        path, entry = found
        for want in wanted_objects(entry, revision.chunks(path) if entry.is_chunked else ()):
            os.close(revision.objects.open(want))
        return entry.size

    files = size = 0
    for brought in in_parallel(bring, _files(revision, starts), jobs):
        files, size = files + 1, size + brought
    return Fetched(files, size)


def _files(revision: Revision, starts: Iterable[bytes]) -> Iterator[tuple[bytes, Dirent]]:
    for start in starts:
        for path, entry in walk(revision, start):
            if entry.is_regular and not entry.is_external:
                yield path, entry
