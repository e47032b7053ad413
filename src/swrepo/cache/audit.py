"""Every object of a cache checked against what was noted when it came; what is wrong is removed."""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from swrepo.cache import record
from swrepo.cache.inventory import Held, footprint, held
from swrepo.cache.ledger import Ledger
from swrepo.errors import FormatError, PermissionRefused
from swrepo.format.object_id import ObjectId

_AHEAD = 512
_BLOCK = 1 << 20
_READ = (
    os.O_RDONLY
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_NONBLOCK", 0)
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_BINARY", 0)
)
_QUIETLY = getattr(os, "O_NOATIME", 0)
"""Being checked is no use of an object."""


class State(Enum):
    """What can be said of an object's file."""

    GOOD = "good"
    WRONG = "wrong"
    UNKNOWN = "unknown"
    """Nothing was noted, and its stored form, made again, has another name: perhaps only another compressor."""
    GONE = "gone"


@dataclass(slots=True)
class Findings:
    """How many objects were in which state, their bytes, and the paths in the cache of what was damaged and removed."""

    good: int = 0
    unknown: int = 0
    size: int = 0
    damaged: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()


def audit(
    root: Path,
    *,
    strict: bool = False,
    jobs: int = 4,
    remove: bool = True,
    expected: Callable[[int, int], object] = lambda _count, _size: None,
    seen: Callable[[int], object] = lambda _size: None,
    told: Callable[[str, str], object] | None = None,
) -> Findings:
    """Check all objects of the cache at `root`, `jobs` at a time; `remove` what is wrong, `strict`ly also the unknown.

    `expected` is told at first how many there are, and their bytes; `seen` of each with its size, `told` of its path
    and state. Others may use the cache meanwhile: who has a wrong file open keeps it, who opens it next fetches it.
    PermissionRefused where a file cannot be read or removed.
    """
    items = list(held(root))
    expected(len(items), sum(item.size for item in items))
    findings = Findings()
    damaged: list[str] = []
    removed: list[str] = []
    freed = 0
    with ThreadPoolExecutor(jobs) as pool:
        for item, state in _judged(pool, root, items):
            seen(item.size)
            findings.good += state is State.GOOD
            findings.unknown += state is State.UNKNOWN
            findings.size += item.size
            if told is not None:
                told(item.path, state.value)
            if state is State.WRONG:
                damaged.append(item.path)
            if remove and (state is State.WRONG or (strict and state is State.UNKNOWN)):
                _remove(root / item.path)
                removed.append(item.path)
                freed += footprint(item.size)
    findings.damaged, findings.removed = tuple(sorted(damaged)), tuple(sorted(removed))
    if freed:
        with suppress(OSError):
            Ledger(root).add(-freed)
    return findings


def judge(path: Path, name: str) -> State:
    """Read one file, whose path in the cache is `name`. PermissionRefused where it cannot be read."""
    try:
        descriptor = _open(path)
    except FileNotFoundError:
        return State.GONE
    except PermissionError as error:
        raise PermissionRefused(f"cannot read {path}: {error.strerror}; run as the owner of the cache") from error
    except OSError:
        return State.WRONG
    try:
        found = record.read(descriptor)
        if found is not None:
            return State.GOOD if record.matches(found, descriptor) else State.WRONG
        return State.GOOD if _has_its_name(descriptor, name) else State.UNKNOWN
    except OSError:  # the disk cannot read it
        return State.WRONG
    finally:
        os.close(descriptor)


def _judged(pool: ThreadPoolExecutor, root: Path, items: Iterable[Held]) -> Iterator[tuple[Held, State]]:
    waiting: dict[Future[State], Held] = {}
    for item in items:
        waiting[pool.submit(judge, root / item.path, item.path)] = item
        if len(waiting) >= _AHEAD:
            for done in wait(waiting, return_when="FIRST_COMPLETED").done:
                yield waiting.pop(done), done.result()
    for future, item in waiting.items():
        yield item, future.result()


def _open(path: Path) -> int:
    try:
        return os.open(path, _READ | _QUIETLY)
    except PermissionError:  # only the owner may ask for O_NOATIME
        return os.open(path, _READ)


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise PermissionRefused(f"cannot remove {path}: {error.strerror}; run as the owner of the cache") from error


def _has_its_name(descriptor: int, name: str) -> bool:
    """Whether the name is the hash of the bytes: as they are, or as zlib packs them, which the original uses."""
    try:
        expected = ObjectId.parse(name.replace("/", ""))
    except FormatError:
        return False
    raw, packed = expected.algorithm.hasher(), expected.algorithm.hasher()
    packer = zlib.compressobj()
    while block := os.read(descriptor, _BLOCK):
        raw.update(block)
        packed.update(packer.compress(block))
    packed.update(packer.flush())
    return expected.digest in (raw.digest(), packed.digest())
