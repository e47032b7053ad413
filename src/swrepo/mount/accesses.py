"""Which paths of a mount are used, counted on request: what reaches this process, and not what the kernel answers.

While nothing is counted nothing is spent on it: the handlers of the session are exchanged for others that count.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from functools import partial

from swrepo.errors import SwrepoError, UsageError
from swrepo.fuse import wire
from swrepo.fuse.request import Handler, Later, Request
from swrepo.fuse.session import Session
from swrepo.fuse.wire import Opcode
from swrepo.vfs.tree import Vfs

MOST = 10_000
"""Paths that are told apart; those that come later are counted together."""

_SHOWN = 100
_KINDS = {
    Opcode.READ: "reads",
    Opcode.OPEN: "opens",
    Opcode.LOOKUP: "lookups",
    Opcode.READDIR: "listings",
    Opcode.READDIRPLUS: "listings",
}


@dataclass(slots=True)
class Uses:
    """Requests about one path. `size`: bytes that reads asked for; `lookups` are those of names in a directory."""

    path: str
    reads: int = 0
    size: int = 0
    opens: int = 0
    lookups: int = 0
    listings: int = 0

    @property
    def requests(self) -> int:
        return self.reads + self.opens + self.lookups + self.listings


class Accesses:
    """One for a mount. `_lock` guards start and stop; the loop's thread alone counts."""

    def __init__(self, vfs: Vfs, session: Session) -> None:
        self._vfs = vfs
        self._session = session
        self._lock = threading.Lock()
        self._usual: dict[Opcode, Handler] = {}
        self._uses: dict[int, Uses] = {}
        self._others = Uses("(other paths)")

    def command(self, text: str) -> str:
        """`start`, `stop`, `show` or `show N`."""
        word, _, rest = text.partition(" ")
        if text == "start":
            return self.start()
        if text == "stop":
            return self.stop()
        if word == "show" and (not rest or (rest.isascii() and rest.isdigit())):
            return self.show(int(rest or _SHOWN))
        raise UsageError("say start, stop, show, or show and a number of paths")

    def start(self) -> str:
        """Count from now on, from nothing."""
        with self._lock:
            self._uses, self._others = {}, Uses("(other paths)")
            if not self._usual:
                for opcode, kind in _KINDS.items():
                    self._usual[opcode] = self._session.exchange(opcode, partial(self._counted, kind))
        return f"what is used is counted, of up to {MOST} paths; 'accesses show' tells"

    def stop(self) -> str:
        """Do not count any more; what was counted is still told."""
        with self._lock:
            usual, self._usual = self._usual, {}
            for opcode, handler in usual.items():
                self._session.exchange(opcode, partial(_instead, handler))
        return f"{len(self._uses)} paths were used"

    def show(self, most: int = _SHOWN) -> str:
        """A line for each of the paths that were used most: reads, bytes, opens, look-ups, listings, path."""
        found = sorted(self._uses.values(), key=lambda uses: uses.requests, reverse=True)[:most]
        others = [self._others] if self._others.requests else []
        return "\n".join([_line("reads", "bytes", "opens", "lookups", "listings", "path"), *map(_row, found + others)])

    def _counted(self, kind: str, usual: Handler) -> Handler:
        def handle(request: Request) -> bytes | Later:
            uses = self._uses_of(request.node)
            setattr(uses, kind, getattr(uses, kind) + 1)
            if kind == "reads":
                uses.size += wire.READ_IN.unpack_from(request.body)[2]
            return usual(request)

        return handle

    def _uses_of(self, node: int) -> Uses:
        found = self._uses.get(node)
        if found is None:
            if len(self._uses) >= MOST:
                return self._others
            found = self._uses[node] = Uses(self._path(node))
        return found

    def _path(self, node: int) -> str:
        try:
            with self._vfs.lock:
                path = self._vfs.path(node)
        except SwrepoError:
            return f"(node {node})"
        return path.decode("utf-8", "backslashreplace").replace("\n", "\\n")


def _instead(usual: Handler, _counted: Handler) -> Handler:
    return usual


def _row(uses: Uses) -> str:
    return _line(uses.reads, uses.size, uses.opens, uses.lookups, uses.listings, uses.path)


def _line(*columns: object) -> str:
    *numbers, path = columns
    return "".join(f"{number!s:>10}" for number in numbers) + f" {path}"
