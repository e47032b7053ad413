"""A subtree of a revision copied to local files: directories as they come, files by many threads, hard links last.

Nothing here prints, and nothing but what is given is touched.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple

from swrepo.api import attributes, plain_bytes
from swrepo.api.attributes import PLAIN, Keep
from swrepo.api.parallel import JOBS, in_parallel
from swrepo.api.placing import Placing, Refused, remove_tree
from swrepo.api.shape import Shape
from swrepo.errors import CorruptObject, ObjectNotFound, SwrepoError
from swrepo.format import xattr
from swrepo.format.dirent import Dirent
from swrepo.format.paths import is_within
from swrepo.objects.store import ObjectSource
from swrepo.repository.revision import Revision
from swrepo.repository.walk import walk


class Existing(Enum):
    """What becomes of files that are there already."""

    REPLACE = "replace"
    UPDATE = "update"
    """Those that have the published size and time stay."""
    STAY = "stay"


@dataclass(slots=True)
class Summary:
    """What a copy did. `left_out`: what this system cannot hold; `failed`: what could not be had, with the errors."""

    files: int = 0
    size: int = 0
    unchanged: int = 0
    directories: int = 0
    links: int = 0
    special_files: int = 0
    removed: int = 0
    attributes_refused: int = 0
    left_out: list[tuple[bytes, str]] = field(default_factory=list)
    failed: list[tuple[bytes, SwrepoError]] = field(default_factory=list)


class Job(NamedTuple):
    """An entry, its path in the repository, and where it is to be."""

    path: bytes
    entry: Dirent
    place: bytes


@dataclass(frozen=True, slots=True)
class Plan:
    """How to copy. `changed`: paths whose bytes differ from those of an earlier copy although time and size may not.

    `past_cache`: see plain_bytes. `beside` and `remove`: see Placing and Shape; both for trees that are all ours.
    """

    keep: Keep = PLAIN
    existing: Existing = Existing.REPLACE
    changed: frozenset[bytes] = frozenset()
    past_cache: ObjectSource | None = None
    beside: bytes | None = None
    remove: bool = False
    jobs: int = JOBS


class TreeCopy:
    """One subtree on its way. `advance` is told of each file that is done, with its bytes, from any thread."""

    def __init__(
        self,
        revision: Revision,
        readlink: Callable[[bytes], bytes],
        leads_to_directory: Callable[[bytes], bool],
        plan: Plan,
        advance: Callable[[int], object] = lambda _size: None,
    ) -> None:
        self._revision = revision
        self._readlink = readlink
        self._leads_to_directory = leads_to_directory
        self._plan = plan
        self._advance = advance
        self._placing = Placing(plan.keep, plan.beside, force=plan.beside is not None)
        self._directories: list[Job] = []
        self._later: list[tuple[bytes, Job]] = []
        self._unwritten: set[bytes] = set()
        self._first_names: dict[tuple[bytes, int], bytes] = {}
        self.summary = Summary()

    def run(self, start: bytes, place: bytes) -> Summary:
        """Copy `start` and all below it to `place`.

        Raises what makes going on useless (Unreachable, OSError such as a full disk); what concerns one file alone is
        in the summary.
        """
        shape = Shape(start, place)
        self._work(self._jobs(start, shape))
        self._work(self._other_names())
        for job in reversed(self._directories):
            self._finish_directory(job)
        return self.summary

    def _work(self, jobs: Iterator[Job]) -> None:
        for job, outcome in in_parallel(self._attempt, jobs, self._plan.jobs):
            if isinstance(outcome, Refused):
                self.summary.left_out.append((job.path, str(outcome)))
                self._unwritten.add(job.place)
            elif isinstance(outcome, SwrepoError):
                self.summary.failed.append((job.path, outcome))
                self._unwritten.add(job.place)
            else:
                self.summary.files += 1
                self.summary.size += job.entry.size
                self.summary.attributes_refused += outcome

    def _attempt(self, job: Job) -> tuple[Job, int | Refused | SwrepoError]:
        try:
            return job, self._write_file(job)
        except (Refused, CorruptObject, ObjectNotFound) as error:
            return job, error

    def _write_file(self, job: Job) -> int:
        def fill(descriptor: int) -> None:
            with open(descriptor, "r+b", buffering=0, closefd=False) as out:
                plain_bytes.write(self._revision, job.path, job.entry, out, self._plan.past_cache)

        refused = self._placing.file(job.entry, job.place, fill)
        self._advance(job.entry.size)
        return refused

    def _jobs(self, start: bytes, shape: Shape) -> Iterator[Job]:
        """Make directories and links as they come; yield the files that have to be written."""
        left_out: bytes | None = None  # the directory, whatever is below which has no place
        for path, entry in walk(self._revision, start):
            if left_out is not None and is_within(path, left_out):
                continue
            if self._plan.remove:
                for place, names in shape.leave(path):
                    self._remove_others(place, names, shape)
            job = Job(path, entry, shape.place(path))
            try:
                if path != start:
                    shape.claim(path)
                if self._enter(job, shape):
                    yield job
            except Refused as error:
                self.summary.left_out.append((path, str(error)))
                left_out = path if entry.is_directory else left_out
        if self._plan.remove:
            for place, names in shape.leave(None):
                self._remove_others(place, names, shape)

    def _enter(self, job: Job, shape: Shape) -> bool:
        """Make what is no file, or find that a file has its place already; whether it has to be written. Refused."""
        _, entry, place = job
        if place == self._own_directory:
            raise Refused("swrepo keeps its own notes there")
        if entry.is_directory:
            self._placing.directory(place)
            self._directories.append(job)
            self.summary.directories += 1
            if self._plan.remove:
                shape.enter(job.path)
        elif entry.is_symlink:
            self._make_link(job, shape)
        elif entry.is_regular:
            return self._wants_writing(job)
        elif not self._plan.keep.special_files:
            raise Refused("it is neither a file, directory nor link")
        elif not self._is_special(place, entry):
            self.summary.attributes_refused += self._placing.special(entry, place)
            self.summary.special_files += 1
        return False

    def _make_link(self, job: Job, shape: Shape) -> None:
        target = self._readlink(job.path)
        if not target:
            raise Refused("it is a link to nothing")
        existing = self._plan.existing
        stays = os.path.lexists(job.place) if existing is Existing.STAY else _is_link_to(job.place, target)
        if existing is not Existing.REPLACE and stays:
            self.summary.unchanged += 1
            return
        to_directory = shape.rules.typed_links and self._leads_to_directory(job.path)
        self._placing.symlink(job.entry, job.place, target, to_directory=to_directory)
        self.summary.links += 1

    def _wants_writing(self, job: Job) -> bool:
        path, entry, place = job
        if self._plan.keep.hard_links and entry.hardlink_group:
            first = self._first_names.setdefault(self._revision.inode(path), place)
            if first != place:
                self._later.append((first, job))
                return False
        return not self._stays(job)

    def _stays(self, job: Job) -> bool:
        """Whether the file that is there is to stay, with its attributes put right where they differ."""
        existing, keep = self._plan.existing, self._plan.keep
        if existing is Existing.REPLACE:
            return False
        try:
            found = os.lstat(job.place)
        except OSError:
            return False
        if existing is Existing.STAY:
            self.summary.unchanged += 1
            return True
        if not stat.S_ISREG(found.st_mode) or found.st_size != job.entry.size or job.path in self._plan.changed:
            return False
        if not attributes.same_time(found, job.entry):
            return False
        if keep.hard_links and found.st_nlink > 1 and not job.entry.hardlink_group:
            return False  # a name of another file, which it once was
        if not attributes.same_attributes(found, job.entry, keep) or not self._same_xattrs(job):
            self.summary.attributes_refused += attributes.put_on(job.place, job.entry, keep)
        self.summary.unchanged += 1
        return True

    def _same_xattrs(self, job: Job) -> bool:
        if not self._plan.keep.attributes or not hasattr(os, "listxattr"):
            return True
        wanted = xattr.decode(job.entry.xattr_blob)
        try:
            here = {name for name in map(os.fsencode, os.listxattr(job.place)) if name.startswith(b"user.")}
            own = {name: value for name, value in wanted.items() if name.startswith(b"user.")}
            return here == own.keys() and all(os.getxattr(job.place, name) == own[name] for name in here)
        except OSError:
            return not wanted

    def _other_names(self) -> Iterator[Job]:
        """Give files their other names; yield what must be a file of its own, where that cannot be."""
        for first, job in self._later:
            there = _status(job.place)
            same = first not in self._unwritten and there is not None and os.path.samestat(os.lstat(first), there)
            if same or (self._plan.existing is Existing.STAY and there is not None):
                self.summary.unchanged += 1
                continue
            try:
                linked = first not in self._unwritten and self._placing.hard_link(first, job.place)
            except Refused as error:
                self.summary.left_out.append((job.path, str(error)))
                continue
            if linked:
                self.summary.links += 1
            else:
                yield job

    def _finish_directory(self, job: Job) -> None:
        """Mode, owner and times, once nothing is written to the directory any more."""
        found = os.lstat(job.place)
        if not attributes.same_attributes(found, job.entry, self._plan.keep) or not self._same_xattrs(job):
            self.summary.attributes_refused += attributes.put_on(job.place, job.entry, self._plan.keep)

    @staticmethod
    def _is_special(place: bytes, entry: Dirent) -> bool:
        found = _status(place)
        return (
            found is not None
            and stat.S_IFMT(found.st_mode) == stat.S_IFMT(entry.mode)
            and attributes.modification_time(entry) == found.st_mtime_ns
        )

    def _remove_others(self, place: bytes, names: set[str], shape: Shape) -> None:
        for name in os.listdir(place):
            if shape.name(name) not in names and (inner := os.path.join(place, name)) != self._own_directory:
                self.summary.removed += remove_tree(inner)

    @property
    def _own_directory(self) -> bytes | None:
        """Where an export keeps its notes and unfinished files."""
        return None if self._plan.beside is None else os.path.dirname(self._plan.beside)


def _status(path: bytes) -> os.stat_result | None:
    try:
        return os.lstat(path)
    except OSError:
        return None


def _is_link_to(path: bytes, target: bytes) -> bool:
    try:
        return os.readlink(path) == target.replace(b"/", os.sep.encode())
    except OSError:
        return False
