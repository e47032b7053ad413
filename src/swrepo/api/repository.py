"""A repository as a Python object: list, stat, read, walk, without a mount."""

from __future__ import annotations

import hashlib
import os
import weakref
from collections.abc import Iterable, Iterator
from contextlib import closing
from typing import IO, Any, Literal, Self, overload

from swrepo.api import globbing, warming
from swrepo.api.entries import MISSING, DirEntry
from swrepo.api.files import check_mode, opened
from swrepo.api.os_errors import all_raise_os_errors
from swrepo.api.parallel import JOBS
from swrepo.api.paths import AnyPath, raw, rooted, text
from swrepo.api.values import Fetched, Stat, Tag, stat_of, tag_of
from swrepo.client.access import Access
from swrepo.client.attributes import subject_at
from swrepo.client.attributes import value as attribute
from swrepo.errors import NoAttribute, NotASymlink
from swrepo.format import xattr
from swrepo.format.dirent import Dirent
from swrepo.format.paths import join
from swrepo.format.variant import expand
from swrepo.repository.history import open_history
from swrepo.repository.links import MOUNTPOINTS, resolve
from swrepo.repository.revision import Revision


@all_raise_os_errors
class Repository:
    """An open repository, at one revision until `refresh`. Use it in a `with`, or close it, or just forget it.

    Paths are str (bytes that are no UTF-8 become surrogates, as `os.fsdecode` does), bytes or PathLike, from the
    repository's root, with or without a slash in front; "" is the root. Symbolic links are followed as on a mount;
    those that lead out of the repository lead nowhere (PathNotFound). Safe from any thread; a forked child may go on
    using it. What cannot be fetched raises Unreachable, CorruptObject or ObjectNotFound at the moment of reading.
    """

    def __init__(self, access: Access) -> None:
        """Take over `access`; use `swrepo.open`."""
        self._access = access
        self._close = weakref.finalize(self, _close, access, os.getpid())
        self._mountpoint = MOUNTPOINTS + access.fqrn.encode()

    # The whole

    @property
    def name(self) -> str:
        """The repository's full name, as its manifest has it."""
        return self._access.fqrn

    @property
    def revision(self) -> int:
        """Number of the revision that is shown."""
        return self._shown.number

    @property
    def hash(self) -> str:
        """The revision's root catalog, which names it for good: `swrepo.open(..., hash=...)`."""
        return self._shown.root.text

    def tags(self) -> tuple[Tag, ...]:
        """Every named revision, newest first; empty where the repository keeps none."""
        self._check_open()
        manifest = self._access.manifest
        if manifest is None or manifest.history is None:
            return ()
        with closing(open_history(manifest.history, self._access.cache)) as history:
            return tuple(tag_of(tag) for tag in history.tags())

    def refresh(self) -> bool:
        """Ask the server for a newer revision, and show it; whether there was one. Open files stay as they are.

        A repository that was opened at a tag or hash never changes. Raises as opening does; then nothing has changed.
        """
        self._check_open()
        newer = self._access.newer()
        if newer is None:
            return False
        self._access.replace(newer)  # the one before closes when the last thread that reads it lets go
        return True

    def close(self) -> None:
        """Let go of everything but files that are open. Any other use afterwards is a ValueError."""
        self._close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        state = f"revision {self.revision}" if self._close.alive else "closed"
        return f"<swrepo.Repository {self.name}, {state}>"

    # Paths

    def listdir(self, path: AnyPath = "") -> list[str]:
        """The names in a directory, sorted by their bytes."""
        return [text(entry.name) for entry in self._listing(self._shown, path)[1]]

    def scandir(self, path: AnyPath = "") -> list[DirEntry]:
        """The entries of a directory, sorted by the bytes of their names, with what is known of each already."""
        revision = self._shown
        directory, entries = self._listing(revision, path)
        shown = text(raw(path)).rstrip("/")
        prefix = f"{shown}/" if shown or raw(path).startswith(b"/") else ""

        def made(entry: Dirent) -> DirEntry:
            where, name = join(directory, entry.name), text(entry.name)

            def status(follow: bool) -> Stat:
                if not (follow and entry.is_symlink):
                    return self._stat(revision, where, entry)
                return self._stat(revision, *self._resolve(revision, where, follow_last=follow))

            return DirEntry(name, prefix + name, entry.mode, status)

        return [made(entry) for entry in entries]

    def stat(self, path: AnyPath, *, follow_symlinks: bool = True) -> Stat:
        """Type, mode, size, owner and times of a path."""
        revision = self._shown
        return self._stat(revision, *self._resolve(revision, path, follow_last=follow_symlinks))

    def lstat(self, path: AnyPath) -> Stat:
        """The same of a symbolic link itself."""
        return self.stat(path, follow_symlinks=False)

    def exists(self, path: AnyPath) -> bool:
        """Whether there is such a path; broken links count as missing."""
        return self._entry(path) is not None

    def isdir(self, path: AnyPath) -> bool:
        """Whether the path is, or leads to, a directory."""
        entry = self._entry(path)
        return entry is not None and entry.is_directory

    def isfile(self, path: AnyPath) -> bool:
        """Whether the path is, or leads to, a regular file."""
        entry = self._entry(path)
        return entry is not None and entry.is_regular

    def islink(self, path: AnyPath) -> bool:
        """Whether the path is a symbolic link."""
        entry = self._entry(path, follow_last=False)
        return entry is not None and entry.is_symlink

    def readlink(self, path: AnyPath) -> str:
        """The target of a symbolic link, with its variables filled in."""
        where, entry = self._resolve(self._shown, path, follow_last=False)
        if not entry.is_symlink:
            raise NotASymlink(f"not a symbolic link: {text(where) or '/'}")
        return text(expand(entry.symlink, self._access.variables))

    def realpath(self, path: AnyPath) -> str:
        """The path without links that `path` leads to, from the root, with a slash in front."""
        return text(self._resolve(self._shown, path)[0]) or "/"

    def listxattr(self, path: AnyPath, *, follow_symlinks: bool = True) -> list[str]:
        """Names of the published extended attributes."""
        return [text(name) for name in sorted(self._xattrs(path, follow_symlinks)[1])]

    def getxattr(self, path: AnyPath, name: str | bytes, *, follow_symlinks: bool = True) -> bytes:
        """The value of one; NoAttribute. Also of magic ones, as on a mount, such as `user.hash`."""
        revision = self._shown
        where, attributes = self._xattrs(path, follow_symlinks)
        magic = attribute(subject_at(self._access, revision, where), text(raw(name)))
        if magic is not None:
            return raw(magic)
        try:
            return attributes[raw(name)]
        except KeyError:
            message = f"{text(where) or '/'} has no extended attribute {text(raw(name))}"
            raise NoAttribute(message) from None

    # Contents

    @overload
    def open(
        self,
        path: AnyPath,
        mode: Literal["r", "rt", "tr"] = "r",
        buffering: int = -1,
        *,
        encoding: str | None = None,
        errors: str | None = None,
        newline: str | None = None,
    ) -> IO[str]: ...
    @overload
    def open(self, path: AnyPath, mode: Literal["rb", "br"], buffering: int = -1) -> IO[bytes]: ...
    @overload
    def open(self, path: AnyPath, mode: str, buffering: int = -1) -> IO[Any]: ...
    def open(
        self,
        path: AnyPath,
        mode: str = "r",
        buffering: int = -1,
        *,
        encoding: str | None = None,
        errors: str | None = None,
        newline: str | None = None,
    ) -> IO[Any]:
        """A file object, as from the built-in `open`; text is UTF-8 unless `encoding` says otherwise.

        Nothing is fetched before the first read. ReadOnly where `mode` would write.
        """
        binary = check_mode(mode)
        revision = self._shown
        content = revision.content(self._resolve(revision, path)[0])
        return opened(content, text(raw(path)), buffering, None if binary else (encoding or "utf-8", errors, newline))

    def read_bytes(self, path: AnyPath, start: int | None = None, end: int | None = None) -> bytes:
        """A whole file, or the part of it that the slice `[start:end]` of its bytes is."""
        revision = self._shown
        with revision.content(self._resolve(revision, path)[0]) as content:
            first, last, _ = slice(start, end).indices(content.size)
            return content.pread(first, max(0, last - first))

    def read_text(self, path: AnyPath, encoding: str = "utf-8", errors: str = "strict") -> str:
        """A whole file, decoded."""
        return self.read_bytes(path).decode(encoding, errors)

    def content_id(self, path: AnyPath) -> str:
        """What is the same for the same bytes of a file, as it was published: made of its objects' names, not read."""
        revision = self._shown
        where, entry = self._resolve(revision, path)
        with revision.content(where) as content:
            names = " ".join(want.id.text for want in content.wants())
        return hashlib.sha256(f"{entry.size} {names}".encode()).hexdigest()

    # Many paths

    def walk(self, top: AnyPath = "", *, followlinks: bool = False) -> Iterator[tuple[str, list[str], list[str]]]:
        """`(directory, names of directories in it, other names)`, top down, as `os.walk` does.

        Take names out of the second list to leave those directories out. All of one walk is of one revision.
        """
        revision = self._shown
        pending = [raw(top)]
        while pending:
            directory = pending.pop()
            within, entries = self._listing(revision, directory)
            inner: list[str] = []
            others: list[str] = []
            links = set()
            for entry in entries:
                name = text(entry.name)
                if entry.is_symlink and self._leads_to_a_directory(revision, join(within, entry.name)):
                    links.add(name)
                (inner if entry.is_directory or name in links else others).append(name)
            yield text(directory), inner, others
            prefix = directory.rstrip(b"/") + b"/" if directory else b""
            pending += [prefix + raw(name) for name in reversed(inner) if followlinks or name not in links]

    def glob(self, pattern: AnyPath, *, include_hidden: bool = False) -> list[str]:
        """The paths that match a pattern with `*`, `?`, `[...]` and `**` (any number of directories), sorted."""
        return globbing.matches(self, text(raw(pattern)), include_hidden=include_hidden)

    def fetch(self, paths: AnyPath | Iterable[AnyPath] = "", *, jobs: int = JOBS) -> Fetched:
        """Bring files, and all that is below directories, into the cache, `jobs` at a time."""
        revision = self._shown
        single = isinstance(paths, (str, bytes, os.PathLike))
        chosen: Iterable[AnyPath] = [paths] if single else paths  # type: ignore[list-item, assignment]
        starts = [self._resolve(revision, path)[0] for path in chosen]
        return warming.fetch(revision, starts, jobs)

    # What all of these share

    @property
    def _shown(self) -> Revision:
        self._check_open()
        return self._access.revision

    def _check_open(self) -> None:
        if not self._close.alive:
            raise ValueError(f"the repository {self.name} was closed")

    def _resolve(self, revision: Revision, path: AnyPath, *, follow_last: bool = True) -> tuple[bytes, Dirent]:
        return resolve(revision, rooted(path), self._access.variables, self._mountpoint, follow_last=follow_last)

    def _entry(self, path: AnyPath, *, follow_last: bool = True) -> Dirent | None:
        try:
            return self._resolve(self._shown, path, follow_last=follow_last)[1]
        except MISSING:
            return None

    def _listing(self, revision: Revision, path: AnyPath) -> tuple[bytes, list[Dirent]]:
        directory = self._resolve(revision, path)[0]
        return directory, sorted(revision.listing(directory))

    def _stat(self, revision: Revision, path: bytes, entry: Dirent) -> Stat:
        return stat_of(revision, path, entry, self._access.variables, self.name)

    def _leads_to_a_directory(self, revision: Revision, path: bytes) -> bool:
        try:
            return self._resolve(revision, path)[1].is_directory
        except MISSING:
            return False

    def _xattrs(self, path: AnyPath, follow_symlinks: bool) -> tuple[bytes, dict[bytes, bytes]]:
        where, entry = self._resolve(self._shown, path, follow_last=follow_symlinks)
        return where, xattr.decode(entry.xattr_blob)


def _close(access: Access, process: int) -> None:
    """Close, but not in a forked child: it would take its parent's files away."""
    if os.getpid() == process:
        access.close()
