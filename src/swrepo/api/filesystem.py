"""`cvmfs://NAME/path` for fsspec, and so for pandas, pyarrow, zarr, dask and all else that reads through it.

    fsspec.open("cvmfs://sw.example.org/data/x.csv", server_url="http://host/cvmfs/@fqrn@", key="sw.example.org.pub")

fsspec imports this module itself (entry point `fsspec.specs`); nothing else of swrepo needs fsspec.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, ClassVar
from weakref import WeakValueDictionary

from fsspec.spec import AbstractFileSystem

from swrepo.api.entries import MISSING, DirEntry
from swrepo.api.opening import Keys, open_repository
from swrepo.api.parallel import JOBS, in_parallel
from swrepo.api.repository import Repository
from swrepo.api.values import Stat
from swrepo.errors import NotADirectory, PathNotFound, ReadOnly, SwrepoError
from swrepo.format.wellknown import is_fqrn

_REPOSITORY = "@fqrn@"
_ORGANISATION = "@org@"


class _Open:
    """The repositories that some file system of this process has open: fsspec makes one for each thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()  # guards the opening: what is open is opened once
        self._found: WeakValueDictionary[tuple[object, ...], Repository] = WeakValueDictionary()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._begin_again)

    def get(self, location: str, options: Mapping[str, Any]) -> Repository:
        with self._lock:
            key = (location, *sorted((name, _hashable(value)) for name, value in options.items()))
            found = self._found.get(key)
            if found is None:
                found = self._found[key] = open_repository(location, **options)
            return found

    def _begin_again(self) -> None:
        self._lock = threading.Lock()


def _refuse(*_: Any, **__: Any) -> None:
    """ReadOnly, whatever the arguments."""
    raise ReadOnly("a repository can only be read; it changes by 'swrepo server publish'")


class CvmfsFileSystem(AbstractFileSystem):  # type: ignore[misc]  # fsspec carries no types
    """Repositories as one read-only file system: the first component of a path is a repository's name.

    `server_url`: the repository's URL or the directory that it is served from, `@fqrn@` for the name where several are
    meant; without it the configuration knows the servers. The other options are those of `swrepo.open`. Links are
    followed; `ls` shows links to directories as type "link", so that a walk never goes in circles.
    """

    protocol: ClassVar[str] = "cvmfs"
    root_marker: ClassVar[str] = ""
    cachable: ClassVar[bool] = True

    def __init__(
        self,
        server_url: str | None = None,
        key: Keys = None,
        tag: str | None = None,
        hash: str | None = None,  # noqa: A002 - as swrepo.open calls it
        cache: str | None = None,
        proxy: str | None = None,
        settings: Mapping[str, str] | None = None,
        **more: Any,
    ) -> None:
        super().__init__(**more)
        self._url = server_url
        given = {"key": key, "tag": tag, "hash": hash, "cache": cache, "proxy": proxy, "settings": settings}
        self._options = {name: value for name, value in given.items() if value is not None}
        self._repositories: dict[str, Repository] = {}

    # What fsspec asks for

    def ls(self, path: str, detail: bool = True, **_: Any) -> list[Any]:
        """The entries of a directory; of a file, itself; of the top, the repositories that were used."""
        name, inner = self._split(path)
        if not name:
            found = [self._directory(known) for known in sorted(self._repositories)]
        else:
            repository = self.repository(name)
            try:
                found = [self._listed(name, entry) for entry in repository.scandir("/" + inner)]
            except NotADirectory:
                found = [self._info(name, inner, repository.stat(inner))]
        return found if detail else [entry["name"] for entry in found]

    def info(self, path: str, **_: Any) -> dict[str, Any]:
        """What is known of a path; links are followed."""
        name, inner = self._split(path)
        if not name:
            return self._directory("")
        return self._info(name, inner, self.repository(name).stat(inner))

    def exists(self, path: str, **_: Any) -> bool:
        """Whether there is such a path; False too for a repository that no server has."""
        try:
            self.info(path)
        except (FileNotFoundError, *MISSING):
            return False
        return True

    def _open(self, path: str, mode: str = "rb", **_: Any) -> Any:
        name, inner = self._split(path)
        return self.repository(name).open(inner, mode)

    def cat_file(self, path: str, start: int | None = None, end: int | None = None, **_: Any) -> bytes:
        """Bytes of a file; negative positions count from its end."""
        name, inner = self._split(path)
        return self.repository(name).read_bytes(inner, start, end)

    def cat_ranges(
        self,
        paths: list[str],
        starts: int | list[int],
        ends: int | list[int],
        max_gap: int | None = None,
        on_error: str = "return",
        **_: Any,
    ) -> list[Any]:
        """Many ranges, read by several threads at once; with `on_error="return"` errors stand in their places."""
        if max_gap is not None:
            raise NotImplementedError("max_gap: ranges are read as they are; nothing is gained by joining them")
        count = len(paths)
        first = starts if isinstance(starts, list) else [starts] * count
        last = ends if isinstance(ends, list) else [ends] * count
        if len(first) != count or len(last) != count:
            raise ValueError("cat_ranges wants a start and an end for each path")

        def read(item: tuple[str, int, int]) -> bytes | Exception:
            try:
                return self.cat_file(*item)
            except (SwrepoError, OSError) as error:
                if on_error == "return":
                    return error
                raise

        return list(in_parallel(read, zip(paths, first, last, strict=True), min(JOBS, max(1, count))))

    def cat(self, path: Any, recursive: bool = False, on_error: str = "raise", **more: Any) -> Any:
        """A file's bytes, or a dict of those of several, which are fetched at the same time first."""
        paths = self.expand_path(path, recursive=recursive)
        self._fetch(paths)
        return super().cat(path, recursive=recursive, on_error=on_error, **more)

    def get(self, rpath: Any, lpath: Any, recursive: bool = False, **more: Any) -> None:
        """Copy to local files, which are fetched at the same time first; `swrepo export` keeps links and modes too."""
        self._fetch(self.expand_path(rpath, recursive=recursive))
        super().get(rpath, lpath, recursive=recursive, **more)

    def created(self, path: str) -> datetime:
        """The published modification time: nothing else is known."""
        return self.modified(path)

    def modified(self, path: str) -> datetime:
        """The published modification time."""
        return datetime.fromtimestamp(self.info(path)["mtime"], UTC)

    def checksum(self, path: str) -> int:
        """The same for the same content; an object's name is part of it, so nothing is read."""
        return int.from_bytes(self.ukey(path).encode())

    def ukey(self, path: str) -> str:
        """The same for the same content."""
        name, inner = self._split(path)
        return self.repository(name).content_id(inner)

    def invalidate_cache(self, path: str | None = None) -> None:
        """Look for newer revisions of the repositories that were used (or of that one)."""
        name = self._split(path)[0] if path else None
        for known, repository in self._repositories.items():
            if name in (None, known):
                repository.refresh()
        super().invalidate_cache(path)

    mkdir = makedirs = rmdir = rm_file = _rm = cp_file = touch = _refuse

    # What belongs to the protocol

    def repository(self, name: str) -> Repository:
        """The open repository of that name."""
        found = self._repositories.get(name)
        if found is None:
            if not is_fqrn(name):
                raise PathNotFound(f"cvmfs://{name}: not the name of a repository")
            found = self._repositories[name] = _OPEN.get(self._location(name), self._options)
            if found.name != name:
                del self._repositories[name]
                raise PathNotFound(f"cvmfs://{name}: {self._url} is the repository {found.name}")
        return found

    @classmethod
    def _strip_protocol(cls, path: Any) -> Any:
        if isinstance(path, list):
            return [cls._strip_protocol(one) for one in path]
        text = os.fspath(path)
        for prefix in ("cvmfs://", "cvmfs:"):
            text = text.removeprefix(prefix)
        return text.strip("/")

    def _location(self, name: str) -> str:
        if self._url is None:
            return name
        return self._url.replace(_REPOSITORY, name).replace(_ORGANISATION, name.partition(".")[0])

    def _split(self, path: str) -> tuple[str, str]:
        name, _, inner = self._strip_protocol(path).partition("/")
        return name, inner

    def _fetch(self, paths: Iterable[str]) -> None:
        by_repository: dict[str, list[str]] = {}
        for path in paths:
            name, inner = self._split(path)
            if name and self.repository(name).isfile(inner):
                by_repository.setdefault(name, []).append(inner)
        for name, inners in by_repository.items():
            self.repository(name).fetch(inners)

    def _listed(self, name: str, entry: DirEntry) -> dict[str, Any]:
        inner = entry.path.strip("/")
        if not entry.is_symlink():
            return self._info(name, inner, entry.stat())
        own = self._info(name, inner, entry.stat(follow_symlinks=False))
        followed = entry.is_file()
        status = self._info(name, inner, entry.stat()) if followed else own
        return {**status, "islink": True, "destination": self.repository(name).readlink(inner)}

    @staticmethod
    def _info(name: str, inner: str, status: Stat) -> dict[str, Any]:
        return {
            "name": f"{name}/{inner}" if inner else name,
            "type": status.kind,
            "size": status.st_size if status.kind == "file" else 0,
            "mode": status.st_mode,
            "uid": status.st_uid,
            "gid": status.st_gid,
            "mtime": status.st_mtime,
            "created": status.st_mtime,
            "ino": status.st_ino,
            "nlink": status.st_nlink,
            "islink": status.kind == "link",
        }

    @staticmethod
    def _directory(name: str) -> dict[str, Any]:
        return {"name": name, "type": "directory", "size": 0}


def _hashable(value: object) -> object:
    if isinstance(value, Mapping):
        return tuple(sorted(value.items()))
    if isinstance(value, (str, os.PathLike)):
        return os.fspath(value)
    return tuple(os.fspath(item) for item in value) if isinstance(value, Iterable) else value


_OPEN = _Open()
