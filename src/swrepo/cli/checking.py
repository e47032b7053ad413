"""A whole revision fetched past every cache and checked: what `swrepo verify` does."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field

from swrepo.cli.progress import Progress
from swrepo.client.access import Access
from swrepo.errors import SwrepoError
from swrepo.format.object_id import ObjectId
from swrepo.objects.store import ObjectSource, Want
from swrepo.repository.content import wanted_objects
from swrepo.repository.walk import walk

_PARALLEL = 32
_AHEAD = 512
"""Requests that wait for their turn: enough to keep all threads busy."""


@dataclass(slots=True)
class Verdict:
    """What was found. `external` files are kept elsewhere and were not looked at."""

    objects: int = 0
    size: int = 0
    entries: int = 0
    external: int = 0
    errors: list[SwrepoError] = field(default_factory=list)


def check(access: Access, progress: Progress) -> Verdict:
    """Fetch and check every object that the open revision reaches, each once."""
    verdict = Verdict()
    lock = threading.Lock()
    source = access.cache_source

    def fetch(want: Want) -> None:
        try:
            size = _fetched_size(source, want)
        except SwrepoError as error:
            with lock:
                verdict.errors.append(error)
            return
        with lock:
            verdict.objects += 1
            verdict.size += size
        progress.advance(size=size)

    with ThreadPoolExecutor(_PARALLEL) as pool:
        waiting: set[Future[None]] = set()
        for want in _distinct(_reachable(access, verdict)):
            waiting.add(pool.submit(fetch, want))
            if len(waiting) >= _AHEAD:
                waiting = wait(waiting, return_when="FIRST_COMPLETED").not_done
    return verdict


def _reachable(access: Access, verdict: Verdict) -> Iterator[Want]:
    """Everything that the manifest names, then all catalogs and contents of the revision."""
    manifest, revision = access.manifest, access.revision
    if manifest is not None:
        for named in (manifest.certificate, manifest.history, manifest.metainfo):
            if named is not None:
                yield Want(named)
    yield Want(revision.root)
    for path, entry in walk(revision):
        verdict.entries += 1
        if entry.is_nested_mountpoint or entry.is_bind_mountpoint:
            nested = revision.tree.mounted(path)
            if nested is not None:
                yield Want(nested.id, size=nested.size)
        elif entry.is_external:
            verdict.external += 1
        elif entry.is_regular:
            yield from wanted_objects(entry, revision.chunks(path) if entry.is_chunked else ())


def _distinct(wants: Iterator[Want]) -> Iterator[Want]:
    seen: set[ObjectId] = set()
    for want in wants:
        if want.id not in seen:
            seen.add(want.id)
            yield want


def _fetched_size(source: ObjectSource, want: Want) -> int:
    """Fetch, check, and throw away; the number of plain bytes."""
    nowhere = _Nowhere()
    source.fetch(want, nowhere)
    return nowhere.tell()


class _Nowhere(io.BytesIO):
    """A file that only knows how far it has been written."""

    def __init__(self) -> None:
        super().__init__()
        self._size = 0

    def write(self, data: bytes | bytearray | memoryview, /) -> int:  # type: ignore[override]
        self._size += len(data)
        return len(data)

    def tell(self) -> int:
        return self._size

    def seek(self, offset: int, whence: int = 0, /) -> int:
        if whence == 0:
            self._size = offset
        return self._size

    def truncate(self, size: int | None = None, /) -> int:
        self._size = self._size if size is None else size
        return self._size
