"""Magic extended attributes of a mount: what its process tells of itself, and what the client tells of each entry.

Any entry can be asked for any of them; which listings show them is the administrator's choice. Nothing here waits: what
reads much or fetches raises `NotHere` first, and has its value when it is asked again.
"""

from __future__ import annotations

import os
import resource
from collections.abc import Callable, Mapping
from typing import TypeAlias

from swrepo.client import attributes as client
from swrepo.client.access import Access
from swrepo.client.attributes import REPOSITORY, SLOW, Subject
from swrepo.errors import SwrepoError
from swrepo.mount import pages
from swrepo.mount.process import Process
from swrepo.mount.watching import NEVER, ROOT_ONLY, Visibility
from swrepo.vfs.tree import ROOT_NODE, NotHere, Vfs

_PREFIXES = (b"user.", b"xfsroot.")
_MINUTE = 60
_ABANDONED = 256

Value: TypeAlias = Callable[[Process], str]


def _descriptors(_process: Process) -> str:
    return str(len(os.listdir("/proc/self/fd")))


PROCESS: Mapping[str, Value] = {
    "user.expires": lambda process: str(int(process.expires_in() // _MINUTE)),
    "user.inode_max": lambda process: str(process.highest_inode()),
    "user.logbuffer": lambda process: process.recent_log(),
    "user.maxfd": lambda _process: str(resource.getrlimit(resource.RLIMIT_NOFILE)[0]),
    "user.ncleanup24": lambda process: str(process.cleanups()),
    "user.ndiropen": lambda process: str(process.listings()),
    "user.nioerr": lambda process: str(process.errors()),
    "user.nopen": lambda process: str(process.files_opened()),
    "user.pid": lambda _process: str(os.getpid()),
    "user.proxy_list_external": lambda process: process.external_proxies(),
    "user.speed": lambda process: str(process.speed()),
    "user.timestamp_last_ioerr": lambda process: str(process.last_error()),
    "user.uptime": lambda process: str(int(process.uptime() // _MINUTE)),
    "user.usedfd": _descriptors,
    "user.useddirp": lambda _process: "0",
    "user.version": lambda process: process.version,
}
"""What has one value for the whole mount."""


class MagicAttributes:
    """For one thread at a time (the lock of `Vfs`)."""

    def __init__(
        self,
        vfs: Vfs,
        process: Process,
        accesses: Callable[[], Mapping[str, Access]],
        visibility: Visibility,
    ) -> None:
        self._vfs = vfs
        self._process = process
        self._accesses = accesses
        self._visibility = visibility
        self._slow: dict[tuple[int, str], str | SwrepoError | None] = {}

    def value(self, number: int, name: bytes, uid: int, gid: int) -> bytes | None:
        """The value of an attribute of a node, for this user; None where it has none. NotHere, SwrepoError."""
        if not name.startswith(_PREFIXES):
            return None
        wanted, way, page = pages.split(os.fsdecode(name))
        if wanted not in PROCESS and wanted not in REPOSITORY and wanted not in client.ENTRY:
            return None
        if not self._may_read(wanted, uid, gid):
            return None
        found = self._found(number, wanted)
        return None if found is None else pages.page(os.fsencode(found), way, page)

    def listed(self, number: int, uid: int, gid: int) -> list[bytes]:
        """The names that a listing of the attributes of a node shows to this user."""
        shown = self._visibility.listings
        if shown == NEVER or (shown == ROOT_ONLY and not self._is_root(number)):
            return []
        subject = self._subject(number)
        names = set(PROCESS) if subject is None else {*PROCESS, *client.names(subject)}
        return [os.fsencode(name) for name in sorted(names) if self._may_read(name, uid, gid)]

    def _found(self, number: int, name: str) -> str | None:
        if name in PROCESS:
            return PROCESS[name](self._process)
        subject = self._subject(number)
        if subject is None:
            return None
        return self._slowly(number, name, subject) if name in SLOW else client.value(subject, name)

    def _slowly(self, number: int, name: str, subject: Subject) -> str | None:
        """The first time around `NotHere`; then what its fetch found, once."""
        key = number, name
        if key not in self._slow:

            def find() -> None:
                if len(self._slow) >= _ABANDONED:  # their callers were killed before they took them
                    self._slow.clear()
                try:
                    self._slow[key] = client.value(subject, name)
                except SwrepoError as error:
                    self._slow[key] = error

            raise NotHere(find, lambda: name == "user.lhash")
        found = self._slow.pop(key)
        if isinstance(found, SwrepoError):
            raise found
        return found

    def _subject(self, number: int) -> Subject | None:
        """None for the root of many repositories."""
        node = self._vfs.described(number)
        if node is None:
            return None
        access = self._accesses()[node.volume.name]
        return Subject(access, node.volume.revision, node.entry, node.chunks, node.catalog, node.path)

    def _is_root(self, number: int) -> bool:
        """Whether the node is the top of the mount or of a repository."""
        if number == ROOT_NODE:
            return True
        try:
            return self._vfs.is_synthetic and self._vfs.path(number).count(b"/") == 1
        except SwrepoError:
            return False

    def _may_read(self, name: str, uid: int, gid: int) -> bool:
        visibility = self._visibility
        return name not in visibility.protected or uid == 0 or gid in visibility.privileged
