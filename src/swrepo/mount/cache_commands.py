"""What a mount answers about its caches: the original's commands (original.md 5), by the names that they have there."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from swrepo.cache.inventory import footprint, held
from swrepo.cache.pins import is_pinned
from swrepo.cache.quota import MEGABYTE, Quota
from swrepo.cache.tiered import Tier
from swrepo.client.access import Access
from swrepo.errors import PathNotFound, UsageError
from swrepo.format.paths import normalise
from swrepo.mount.control import Command
from swrepo.objects.store import Want
from swrepo.repository.content import wanted_objects
from swrepo.repository.walk import walk

Accesses = Callable[[], Mapping[str, Access]]
"""The repositories in use, by the name that they have below the mount; an empty name for one that is all of it."""


def cache_commands(accesses: Accesses) -> dict[str, Command]:
    """The commands, by name."""
    return {
        "cache instance": lambda _rest: "\n".join(_described(cache) for cache in _caches(accesses)),
        "cache size": lambda _rest: "\n".join(map(_size, _caches(accesses))),
        "cache list": lambda _rest: "\n".join(_listed(accesses, lambda _path: True)),
        "cache list pinned": lambda _rest: "\n".join(_listed(accesses, is_pinned)),
        "cache list catalogs": lambda _rest: "\n".join(_catalogs(accesses())),
        "cache limit get": lambda _rest: "\n".join(f"{quota.limit // MEGABYTE}" for quota in _quotas(accesses)),
        "cache limit set": lambda rest: _set_limit(_quotas(accesses), _number(rest, "megabytes", least=1)),
        "cleanup": lambda rest: _clean(_quotas(accesses), _number(rest, "megabytes")),
        "cleanup rate": lambda rest: _rate(_quotas(accesses), _number(rest, "minutes", least=1)),
        "evict": lambda rest: _evict(*_meant(accesses(), rest)),
        "pin": lambda rest: _pin(*_meant(accesses(), rest)),
    }


def room(accesses: Accesses) -> tuple[int, int] | None:
    """Bytes that the caches may take and those left of them; None where nothing limits them. Waits for nobody."""
    rooms = [cache.quota.room for cache in _caches(accesses) if cache.quota is not None]
    return (sum(found.total for found in rooms), sum(found.free for found in rooms)) if rooms else None


def _caches(accesses: Accesses) -> list[Tier]:
    """Each directory once."""
    return list({access.cache.root: access.cache for access in accesses().values()}.values())


def _quotas(accesses: Accesses) -> list[Quota]:
    found = [cache.quota for cache in _caches(accesses) if cache.quota is not None]
    if not found:
        raise UsageError("the cache has no limit, so nothing is ever cleaned up")
    return found


def _described(cache: Tier) -> str:
    kind = type(cache).__name__.removesuffix("Cache").lower()
    limit = "no limit" if cache.quota is None else f"limit {cache.quota.limit // MEGABYTE} MB"
    return f"{cache.root}: {kind}, {limit}"


def _size(cache: Tier) -> str:
    total = pinned = 0
    for item in held(cache.root):
        total += footprint(item.size)
        if is_pinned(cache.root / item.path):
            pinned += footprint(item.size)
    return (
        f"Current cache size is {total // MEGABYTE}MB ({total} Bytes), pinned: {pinned // MEGABYTE}MB ({pinned} Bytes)"
    )


def _listed(accesses: Accesses, takes: Callable[[Path], bool]) -> Iterator[str]:
    """Size, time of the last use and name of each object, what goes first at the top."""
    for cache in _caches(accesses):
        for item in sorted(held(cache.root)):
            if takes(cache.root / item.path):
                used = time.strftime("%Y-%m-%d %H:%M", time.localtime(item.used))
                yield f"{item.size:>12} {used} {item.path}{'' if item.is_kept_longer else ' volatile'}"


def _catalogs(accesses: Mapping[str, Access]) -> Iterator[str]:
    for name, access in accesses.items():
        prefix = f"/{name}" if name else ""
        for catalog in access.revision.tree.loaded():
            yield f"{prefix}{os.fsdecode(catalog.mountpoint)}" or "/"


def _set_limit(quotas: list[Quota], megabytes: int) -> str:
    for quota in quotas:
        quota.set_limit(megabytes * MEGABYTE)
    return f"limit set to {megabytes} MB until the end of this mount"


def _clean(quotas: list[Quota], megabytes: int) -> str:
    before = sum(quota.counters.evicted for quota in quotas)
    for quota in quotas:
        quota.clean(down_to=megabytes * MEGABYTE)
    used = sum(quota.counters.used for quota in quotas)
    evicted = sum(quota.counters.evicted for quota in quotas) - before
    return f"{evicted} objects were evicted; {used // MEGABYTE} MB ({used} bytes) are left"


def _rate(quotas: list[Quota], minutes: int) -> str:
    return str(sum(quota.cleanups_within(60.0 * minutes) for quota in quotas))


def _meant(accesses: Mapping[str, Access], text: str) -> tuple[Access, bytes]:
    """The repository and the path in it that a line names; with several repositories its name comes first."""
    if not text:
        raise UsageError("name a path in the repository")
    path = normalise(text)
    if "" in accesses:
        return accesses[""], path
    name, _, rest = path[1:].partition(b"/")
    access = accesses.get(os.fsdecode(name))
    if access is None:
        raise PathNotFound(f"{text}: the mount shows no repository {os.fsdecode(name)!r} at the moment")
    return access, b"/" + rest if rest else b""


def _wants(access: Access, path: bytes) -> Iterator[Want]:
    revision = access.revision
    for inner, entry in walk(revision, path):
        if entry.is_regular and not entry.is_external:
            yield from wanted_objects(entry, revision.chunks(inner) if entry.is_chunked else ())


def _evict(access: Access, path: bytes) -> str:
    count = sum(access.cache.evict(want) for want in _wants(access, path))
    return f"{count} objects were removed from the cache"


def _pin(access: Access, path: bytes) -> str:
    """Fetch, and keep from being evicted until the mount ends."""
    count = 0
    quota = access.cache.quota
    for want in _wants(access, path):
        descriptor = access.cache.open(want)
        try:
            if quota is not None:
                quota.pins.keep(want.id.cache_path, descriptor)
        finally:
            os.close(descriptor)
        count += 1
    return f"{count} objects are in the cache and stay there until the mount ends"


def _number(text: str, unit: str, least: int = 0) -> int:
    if not (text.isascii() and text.isdigit()) or int(text) < least:
        raise UsageError(f"{text!r} is no number of {unit}, from {least} up")
    return int(text)
