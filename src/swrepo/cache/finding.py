"""Whether an object's file may be served: it has the announced size, and no power cut is to be feared for it."""

from __future__ import annotations

import os
from typing import Protocol

from swrepo.cache.boots import Boots
from swrepo.errors import TruncatedObject
from swrepo.objects.store import Want


class Readable(Protocol):
    """A cache's directory, as far as reading goes."""

    def open(self, directory: str, name: str) -> tuple[int, os.stat_result] | None:
        """See CacheDirectory."""
        ...


def opened(directory: Readable, boots: Boots, want: Want) -> tuple[int, os.stat_result] | None:
    """Descriptor and status of an object that is here and whole; one of another size was damaged by somebody else."""
    path = want.id.cache_path
    found = directory.open(path[:2], path[3:])
    if found is None:
        return None
    descriptor, status = found
    # Nothing whose size is not announced (certificates, catalogs of tags) is ever empty.
    if status.st_size != want.size and (want.size is not None or not status.st_size):
        os.close(descriptor)
        return None
    if boots.suspects and not boots.vouches_for(path, descriptor):
        os.close(descriptor)
        return None
    return found


def checked_size(want: Want, size: int) -> int:
    """A source that keeps its promise never fails here; what it says is not taken on trust all the same."""
    if want.size is not None and size != want.size:
        raise TruncatedObject(f"object {want.id} came as {size} of {want.size} bytes; it was not kept")
    return size
