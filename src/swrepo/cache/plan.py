"""Which caches to use, as values, and the one function that opens them: caches made of caches."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from swrepo.cache.boots import NO_BOOT
from swrepo.cache.directory import enter_shared, enter_to_fill
from swrepo.cache.disk import DiskCache
from swrepo.cache.inventory import is_filled
from swrepo.cache.memory import MemoryCache
from swrepo.cache.quota import Quota
from swrepo.cache.readonly import ReadOnlyCache
from swrepo.cache.tiered import Below, Tier, TieredCache
from swrepo.objects.store import ObjectSource

_FILLED = "swrepo.preloaded"
"""In a directory that was made to be read: no mount keeps anything in it, nor removes anything from it."""

_WRITERS = 32
"""Threads that may wait for a network file system at a time."""


class Use(Enum):
    """What a directory is to this host."""

    OWN = "own"
    """Its processes share it, with a limit."""
    SHARED = "shared"
    """Other hosts use it too: no limit, no locks; nothing is ever removed."""
    FILL = "fill"
    """For others to read afterwards, like a shared one."""
    READ = "read"
    """Nothing is written."""


@dataclass(frozen=True, slots=True)
class DirectoryPlan:
    """A cache in the directory `root`. `quota` in bytes counts for one's own; None: no limit."""

    root: Path
    use: Use = Use.OWN
    quota: int | None = None


@dataclass(frozen=True, slots=True)
class MemoryPlan:
    """At most `size` bytes in the directory `root` of a file system in memory."""

    root: Path
    size: int


@dataclass(frozen=True, slots=True)
class TieredPlan:
    """See `cache.tiered`. `fills`: what the lower one lacks is kept there too."""

    upper: DirectoryPlan | MemoryPlan | TieredPlan
    lower: DirectoryPlan | MemoryPlan | TieredPlan
    fills: bool = True
    copies: bool = True


CachePlan = DirectoryPlan | MemoryPlan | TieredPlan


def build(plan: CachePlan, source: ObjectSource, workspace: Path | None = None) -> Tier:
    """Open the caches of a plan, filled from `source`; `workspace` takes the notes of one that is read-only.

    A directory that was filled for reading, or that somebody has filled and that may not be written to, is only read:
    a limit would empty it. PermissionRefused or CacheFull where one cannot be used.
    """
    if isinstance(plan, TieredPlan):
        return _tiered(plan, source, workspace)
    if isinstance(plan, MemoryPlan):
        return MemoryCache(plan.root, source, plan.size)
    if plan.use is Use.READ or _is_read_only(plan):
        return ReadOnlyCache(plan.root, source, workspace=None if workspace == plan.root else workspace)
    if plan.use is Use.SHARED:
        return DiskCache(plan.root, source, enter_shared, boot=NO_BOOT, writers=_WRITERS)
    if plan.use is Use.FILL:
        return _to_fill(plan.root, source)
    return DiskCache(plan.root, source, quota=None if plan.quota is None else Quota(plan.root, plan.quota))


def _tiered(plan: TieredPlan, source: ObjectSource, workspace: Path | None) -> Tier:
    lower = build(plan.lower, source)
    try:
        fills = plan.fills and not isinstance(lower, ReadOnlyCache)
        below = Below(lower, source, fills=fills) if plan.copies else None
        return TieredCache(build(plan.upper, source if below is None else below, workspace), lower, below)
    except BaseException:
        lower.close()
        raise


def _to_fill(root: Path, source: ObjectSource) -> DiskCache:
    is_new = not is_filled(root)
    cache = DiskCache(root, source, enter_to_fill)
    if is_new:
        cache.write_note(_FILLED, b"")
    return cache


def _is_read_only(plan: DirectoryPlan) -> bool:
    root = plan.root
    with suppress(OSError, NotImplementedError):
        if plan.use is Use.OWN and (root / _FILLED).exists():
            return True
        return root.is_dir() and not os.access(root, os.W_OK | os.X_OK) and is_filled(root)
    return False
