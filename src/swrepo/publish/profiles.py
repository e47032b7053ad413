"""Profiles made from traces, and written into a work tree: the list, its packs, the links to its triggers.

Nothing here publishes: the next publication of the work tree does, as it does with every other file.
"""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from swrepo.errors import NotFound, UsageError
from swrepo.format import pack, profile
from swrepo.format.object_id import ObjectId
from swrepo.format.opening import Opening
from swrepo.format.paths import basename, join, parent
from swrepo.format.profile import NotedCatalog, NotedChunk, Profile, ProfileFile
from swrepo.objects import codec
from swrepo.objects.directory import writing
from swrepo.objects.store import Documents, Want
from swrepo.repository.profiles import name_of_link, resolve
from swrepo.repository.revision import Revision

_MODE_FILE, _MODE_DIRECTORY = 0o644, 0o755


@dataclass(frozen=True, slots=True)
class PackLimits:
    """Which objects are packed, by their stored bytes, and how many bytes make a pack. See docs/adr/0011."""

    largest: int = 128 << 10
    pack: int = 1 << 20

    def __post_init__(self) -> None:
        if not 0 <= self.largest < self.pack <= pack.MOST_BYTES // 2:
            raise UsageError(f"a pack has at most {pack.MOST_BYTES // 2} bytes, and is larger than what goes into it")


class Made(NamedTuple):
    """A profile with the bytes of its packs. `left_out`: paths of the traces that it does not have, and why."""

    profile: Profile
    packs: list[bytes]
    left_out: dict[bytes, str]


def merged(traces: Sequence[Iterable[Opening]], share: float) -> tuple[list[ProfileFile], tuple[bytes, ...]]:
    """The files that at least this share of the traces opens, in the order of their mean place; catalogs likewise."""
    places: dict[bytes, list[float]] = {}
    offsets: dict[bytes, Counter[int]] = {}
    catalogs: Counter[bytes] = Counter()
    for trace in traces:
        order: dict[bytes, int] = {}
        used: dict[bytes, set[int]] = {}
        seen_catalogs: set[bytes] = set()
        for opening in trace:
            if opening.is_catalog:
                seen_catalogs.add(opening.path)
                continue
            order.setdefault(opening.path, len(order))
            if opening.offset is not None:
                used.setdefault(opening.path, set()).add(opening.offset)
        for path, place in order.items():
            places.setdefault(path, []).append(place)
        for path, found in used.items():
            offsets.setdefault(path, Counter()).update(found)
        catalogs.update(seen_catalogs)
    enough = share * len(traces)
    chosen = [(sum(found) / len(found), path) for path, found in places.items() if len(found) >= enough]
    files = [ProfileFile(path, chunks=_used_chunks(offsets.get(path, Counter()), enough)) for _, path in sorted(chosen)]
    return files, tuple(sorted(path for path, count in catalogs.items() if count >= enough))


def as_opened(trigger: bytes, files: Iterable[ProfileFile]) -> bytes:
    """The file whose opening tells that this one is used: of a module of Python, what was compiled of it.

    Python opens only that, where it is newer than the module.
    """
    paths = {file.path for file in files}
    stem, dot, suffix = basename(trigger).rpartition(b".")
    if trigger in paths or not dot or suffix != b"py":
        return trigger
    beginning = join(join(parent(trigger), b"__pycache__"), stem + b".")
    compiled = sorted(path for path in paths if path.startswith(beginning) and path.endswith(b".pyc"))
    return compiled[0] if compiled else trigger


def from_first(files: Sequence[ProfileFile], triggers: Sequence[bytes]) -> list[ProfileFile]:
    """Those that are opened after the first of the triggers, and it. UsageError where no trace opens one."""
    for index, file in enumerate(files):
        if file.path in triggers:
            return list(files[index:])
    names = ", ".join(path.decode("utf-8", "backslashreplace") for path in triggers)
    raise UsageError(f"the traces do not open {names}; a trigger is one of the files that they name")


def make(
    revision: Revision,
    stored: Documents,
    triggers: Sequence[bytes],
    files: Iterable[ProfileFile],
    catalogs: Iterable[bytes] = (),
    limits: PackLimits = PackLimits(),
) -> Made:
    """Look the files up in a revision, and pack what is small. `stored` reads objects by their paths."""
    left_out: dict[bytes, str] = {}
    found: list[ProfileFile] = []
    packer = _Packer(stored, limits)
    for file in files:
        revision.find(file.path)  # so that its catalog is loaded
        known = resolve(revision, file)
        if known is None or not known.wants:
            left_out[file.path] = "it is no file of this revision, or empty, or outside of the repository"
            continue
        entry = revision.lookup(file.path)
        if entry.is_chunked:
            wanted = {want.id for want in known.wants}
            chunks = ((chunk, entry.chunk_id(chunk)) for chunk in revision.chunks(file.path))
            used = tuple(NotedChunk(chunk.offset, chunk.size, name) for chunk, name in chunks if name in wanted)
            found.append(ProfileFile(file.path, None, entry.size, None, entry.compression, used))
        else:
            number = packer.add(known.wants[0])
            found.append(ProfileFile(file.path, entry.content, entry.size, number, entry.compression))
    packs = packer.finish()
    directories = {parent(file.path) for file in found}.union(catalogs)
    noted = tuple(_noted_catalogs(revision, directories))
    return Made(Profile(tuple(triggers), tuple(found), len(packs), noted), packs, left_out)


def without_objects(triggers: Sequence[bytes], files: Iterable[ProfileFile], catalogs: Iterable[bytes]) -> Profile:
    """A profile for a node or site: paths alone."""
    listed = tuple(replace(file, object=None, pack=None) for file in files)
    return Profile(tuple(triggers), listed, 0, tuple(map(NotedCatalog, catalogs)))


def write(worktree: Path, name: str, made: Made) -> None:
    """Put a profile into a work tree, in the place of one of that name."""
    if not profile.is_name(name):
        raise UsageError(f"{name!r} cannot be a profile's name: letters, digits and ._+- make one")
    with writing(worktree):
        _write_all(worktree, name, made)


def _write_all(worktree: Path, name: str, made: Made) -> None:
    directory = worktree / os.fsdecode(profile.DIRECTORY[1:]) / name
    links = worktree / os.fsdecode(profile.TRIGGERS[1:])
    for path in (directory, links):
        _make_directories(worktree, path)
    for number, data in enumerate(made.packs):
        _write(directory / f"{os.fsdecode(profile.PACK_PREFIX)}{number}", data)
    _write(directory / os.fsdecode(profile.FILE_NAME), profile.encode(made.profile))
    for path in directory.iterdir():
        prefix, _, digits = path.name.rpartition(".")
        if prefix == "pack" and digits.isdigit() and int(digits) >= len(made.packs):
            path.unlink()
    _remove_links(links, name)
    for number, trigger in enumerate(made.profile.triggers):
        (links / f"{name}@{number}").symlink_to(os.fsdecode(b"../.." + trigger))


def remove(worktree: Path, name: str) -> None:
    """Take a profile out of a work tree. NotFound."""
    directory = worktree / os.fsdecode(profile.DIRECTORY[1:]) / name
    if not profile.is_name(name) or not directory.is_dir():
        raise NotFound(f"there is no profile {name} in {worktree}; 'swrepo profile list' shows those that there are")
    with writing(worktree):
        _remove_links(worktree / os.fsdecode(profile.TRIGGERS[1:]), name)
        shutil.rmtree(directory)


def _used_chunks(offsets: Counter[int], enough: float) -> tuple[NotedChunk, ...]:
    often = [offset for offset, count in offsets.items() if count >= enough]
    return tuple(map(NotedChunk, sorted(often or offsets)))


def _noted_catalogs(revision: Revision, directories: Iterable[bytes]) -> Iterator[NotedCatalog]:
    """The nested catalogs on the way to directories, upper ones first."""
    tree = revision.tree
    found: set[bytes] = set()
    for directory in directories:
        mountpoint = tree.find(directory).mountpoint
        while mountpoint and mountpoint not in found:
            found.add(mountpoint)
            mountpoint = tree.holder(mountpoint).mountpoint
    for path in sorted(found):
        ref = tree.mounted(path)
        if ref is not None:
            yield NotedCatalog(path, ref.id if ref.size else None, ref.size or 0)


class _Packer:
    """Fills packs with objects in the order in which they are used. A pack begins with its first, in `add`."""

    def __init__(self, stored: Documents, limits: PackLimits) -> None:
        self._stored = stored
        self._limits = limits
        self._full: list[bytes] = []
        self._open: list[tuple[ObjectId, int, bytes]] = []
        self._size = 0
        self._places: dict[ObjectId, int] = {}

    def add(self, want: Want) -> int | None:
        """The number of the pack that holds the object; None where it is too large to be packed."""
        known = self._places.get(want.id)
        if known is not None:
            return known
        # Nothing makes an object of more plain bytes than this worth looking at: files hardly shrink to a sixteenth.
        if want.size is None or want.size > 16 * self._limits.largest:
            return None
        data = self._stored.read(want.id.path, limit=want.size + want.size // 64 + (64 << 10))
        if len(data) > self._limits.largest:
            return None
        codec.decode_whole(data, want)
        if self._size + len(data) > self._limits.pack or len(self._open) >= pack.MOST_OBJECTS:
            self._close()
        self._open.append((want.id, want.size, data))
        self._size += len(data)
        self._places[want.id] = len(self._full)
        return len(self._full)

    def finish(self) -> list[bytes]:
        """All packs."""
        if self._open:
            self._close()
        return self._full

    def _close(self) -> None:
        self._full.append(pack.encode(self._open))
        self._open, self._size = [], 0


def _make_directories(worktree: Path, directory: Path) -> None:
    missing: Iterator[Path] = (path for path in (*reversed(directory.parents), directory) if worktree in path.parents)
    for path in missing:
        if not path.is_dir():
            path.mkdir(mode=_MODE_DIRECTORY)
            path.chmod(_MODE_DIRECTORY)


def _write(path: Path, data: bytes) -> None:
    temporary = path.with_name(f".{path.name}.new")
    with temporary.open("wb") as file:
        os.fchmod(file.fileno(), _MODE_FILE)
        file.write(data)
    temporary.replace(path)


def _remove_links(links: Path, name: str) -> None:
    for link in links.iterdir() if links.is_dir() else ():
        if name_of_link(os.fsencode(link.name)) == name:
            link.unlink()
