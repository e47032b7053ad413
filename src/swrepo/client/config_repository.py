"""The configuration repository without a mount: its `etc/cvmfs`, copied to a directory of the client's once a revision.

A mount would be no way to read it: the process that serves `/cvmfs` must not wait for its own answers.
"""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from swrepo.client.access import open_access
from swrepo.client.request import AccessRequest
from swrepo.config.files import RemoteFiles, World
from swrepo.errors import CacheFull, ConfigError, PathNotFound
from swrepo.format.dirent import Dirent
from swrepo.repository.revision import Revision
from swrepo.repository.walk import walk

log = logging.getLogger(__name__)

INSIDE = "etc/cvmfs"
SNAPSHOTS = "config-repository"
"""Directory beside the caches: below it NAME/ROOT-CATALOG/etc/cvmfs."""

_LARGEST_FILE = 1 << 20
_MOST_FILES = 10_000
_FETCHED_AT_ONCE = 16


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The copy of one revision; `directory` is its etc/cvmfs."""

    directory: Path

    def read(self, name: str) -> str | None:
        """See RemoteFiles."""
        try:
            return (self.directory / name).read_text("utf-8", "surrogateescape")
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            return None
        except OSError as error:
            raise ConfigError(f"cannot read {self.directory / name}: {error.strerror}") from error


class CopiedSources:
    """Where configuration comes from besides the files of this machine (`selection.Sources`). For one thread."""

    def __init__(self, environment: Mapping[str, str], request_for: Callable[[str], AccessRequest], base: Path) -> None:
        """`request_for` tells how a configuration repository is opened; `base` is where caches lie."""
        self._request_for = request_for
        self._base = base
        self._copies: dict[str, Snapshot] = {}
        self.world = World(environment, self._open)

    def place(self, path: str, mount_directory: str) -> Path:
        """A path of the configuration as a file here: what lies in a configuration repository is in its copy."""
        for name, found in self._copies.items():
            root = f"{mount_directory.rstrip('/')}/{name}/{INSIDE}"
            if path == root or path.startswith(root + "/"):
                return found.directory / path[len(root) + 1 :]
        return Path(path)

    def files(self, name: str) -> list[Path]:
        """The files of a name in the configuration repositories that were read."""
        return [path for found in self._copies.values() if (path := found.directory / name).is_file()]

    def _open(self, name: str) -> RemoteFiles:
        if name not in self._copies:
            self._copies[name] = snapshot(self._request_for(name), self._base / SNAPSHOTS / name)
        return self._copies[name]


def snapshot(request: AccessRequest, home: Path) -> Snapshot:
    """The newest revision that can be had, copied below `home` unless it is there. Raises what opening raises."""
    with open_access(request) as access:
        wanted = home / str(access.revision.root) / INSIDE
        if not wanted.is_dir():
            try:
                _copy(access.revision, home, wanted)
            except OSError as error:
                raise CacheFull(f"the configuration repository cannot be copied to {home}: {error.strerror}") from error
        return Snapshot(wanted)


def _copy(revision: Revision, home: Path, wanted: Path) -> None:
    """A crash leaves a directory with a dot before its name, which the next copy removes."""
    home.mkdir(mode=0o755, parents=True, exist_ok=True)
    before = [path for path in home.iterdir() if path.name != wanted.parents[1].name]
    scratch = Path(tempfile.mkdtemp(prefix=".", dir=home))
    scratch.chmod(0o755)
    try:
        _write(revision, scratch / INSIDE)
        with suppress(FileExistsError, NotADirectoryError):  # another process has made the same
            if not wanted.is_dir():
                scratch.rename(wanted.parents[1])
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    for old in before:
        shutil.rmtree(old, ignore_errors=True)


def _write(revision: Revision, target: Path) -> None:
    top = b"/" + INSIDE.encode()
    try:
        entries = dict(walk(revision, top))
    except PathNotFound:
        entries = {}
    if len(entries) > _MOST_FILES:
        raise ConfigError(f"the configuration repository has {len(entries)} files in {INSIDE}: it is none")
    target.mkdir(parents=True)
    files: dict[bytes, Path] = {}
    for path, entry in entries.items():
        place = target / os.fsdecode(path[len(top) :].lstrip(b"/"))
        if entry.is_directory:
            place.mkdir(exist_ok=True, parents=True)
        elif entry.is_symlink:
            _link(place, target, entry)
        elif entry.is_regular and entry.size <= _LARGEST_FILE:
            files[path] = place
    with ThreadPoolExecutor(_FETCHED_AT_ONCE, thread_name_prefix="config") as pool:
        for _ in pool.map(lambda item: _write_file(revision, *item), files.items()):
            pass


def _write_file(revision: Revision, path: bytes, place: Path) -> None:
    content = revision.content(path)
    try:
        place.write_bytes(content.pread(0, content.size))
    finally:
        content.close()


def _link(place: Path, target: Path, entry: Dirent) -> None:
    """Links that stay within the copy; others are left out."""
    text = os.fsdecode(entry.symlink)
    end = os.path.normpath(place.parent / text)
    if not text.startswith("/") and Path(end).is_relative_to(target):
        place.symlink_to(text)
