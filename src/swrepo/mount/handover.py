"""What the guard of a mount keeps, so that a worker that ends can be replaced while the mount goes on.

The guard makes it before the first worker and holds it. Each worker that is forked inherits it as it is; a worker that
is another program inherits the descriptors, and a text that says which is which (`Handover.leave`, `Handover.inherit`).
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import pickle
import socket
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Self

from swrepo import __version__
from swrepo.errors import MountFailed
from swrepo.format.dirent import Chunk, Dirent, Flag
from swrepo.format.object_id import Algorithm, Kind, ObjectId
from swrepo.fuse import inflight
from swrepo.fuse.wire import Agreement, Feature
from swrepo.mount import passthrough
from swrepo.vfs import journal, nodes
from swrepo.vfs.journal import Journal, Shown, SpanRecord, Stale, Told, VolumeRecord
from swrepo.vfs.nodes import Frozen

_LONGEST_MESSAGE = 8192
_LONGEST_HISTORY = 15
_MEANING: Final = 1
"""To be raised when what is handed over comes to mean something else and looks as before."""

_INHERITED = ("guard", "worker", "device", "requests", "counts", "opens")
_RECORDS = (Agreement, Shown, VolumeRecord, SpanRecord, Stale, Told, Frozen, Dirent, Chunk, ObjectId)
_NUMBERS = (Algorithm, Kind, Flag, Feature)


@dataclass(frozen=True, slots=True)
class Connection:
    """A live mount: its device, what was agreed on with the kernel, and the repository (None where it has many)."""

    device: int
    agreement: Agreement
    fqrn: str | None


class Handover:
    """`connection` is None until a worker has told the guard that the mount answers.

    `history`: a line for each program that has served the mount. `is_another_program`: this process is one that took
    the place of another.
    """

    def __init__(self, left: Mapping[str, Any] | None = None) -> None:
        """`left`: what another program says of the descriptors that this one has inherited."""
        places = {} if left is None else left
        self.requests = inflight.new_memory(places.get("requests"))
        self.counts = nodes.new_memory(places.get("counts"))
        self.opens = passthrough.new_memory(places.get("opens"))
        self.journal = Journal(places.get("journal", ()))
        self.connection: Connection | None = None
        self.history: tuple[str, ...] = ()
        self.is_another_program = left is not None
        if left is None:
            self._guards, self._workers = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            self._guards.settimeout(0)
        else:
            self._guards = self._workers = socket.socket(fileno=left["worker"])  # the other end is with the guard
            agreement, fqrn, self.history = pickle.loads(bytes.fromhex(left["told"]))  # noqa: S301 - our own guard's
            self.connection = Connection(left["device"], agreement, fqrn)

    def leave(self, guard: int) -> str:
        """Called in a child of the guard that becomes another program: what tells that one where everything is.

        `guard` ends when the guard dies. The descriptors stay open from now on when a program is started.
        """
        assert self.connection is not None  # noqa: S101 - there is nothing to take over before
        memories = (self.requests.descriptor, self.counts.descriptor, self.opens.descriptor)
        numbers = (guard, self._workers.fileno(), self.connection.device, *memories)
        places = dict(zip(_INHERITED, numbers, strict=True))
        for descriptor in (*places.values(), *self.journal.descriptors):
            os.set_inheritable(descriptor, True)  # noqa: FBT003 - the function takes it so
        told = pickle.dumps((self.connection.agreement, self.connection.fqrn, self.history)).hex()
        return json.dumps({"shape": shape(), **places, "journal": self.journal.descriptors, "told": told})

    @classmethod
    def inherit(cls, text: str) -> tuple[Self, int]:
        """What another program left, and the descriptor that ends when the guard dies."""
        left = json.loads(text)
        require_shape(left["shape"])
        for descriptor in (*(left[name] for name in _INHERITED), *left["journal"]):
            os.set_inheritable(descriptor, False)  # noqa: FBT003 - the function takes it so
        return cls(left), left["guard"]

    def note_program(self, now: datetime) -> None:
        """Called by the worker: add a line to `history`, if it is the first one of its program."""
        if not self.history or self.is_another_program:
            line = f"{now.astimezone():%d %b %Y %H:%M:%S}    (start of swrepo {__version__})"
            self.history = (*self.history[-_LONGEST_HISTORY:], line)

    def give(self, connection: Connection) -> None:
        """Called by the worker: the mount answers, and the guard may keep it alive from now on."""
        message = pickle.dumps((connection.agreement, connection.fqrn, self.history))
        with suppress(OSError):  # without a guard the mount goes on, unguarded
            socket.send_fds(self._workers, [message], [connection.device])

    def receive(self) -> bool:
        """Called by the guard when a worker has ended: take what it gave; whether it gave anything."""
        with suppress(BlockingIOError):
            data, devices, _, _ = socket.recv_fds(self._guards, _LONGEST_MESSAGE, 1)
            self._let_go()
            os.set_inheritable(devices[0], False)  # noqa: FBT003 - the function takes it so
            agreement, fqrn, self.history = pickle.loads(data)  # noqa: S301 - from our own child
            self.connection = Connection(devices[0], agreement, fqrn)
            return True
        return False

    def close(self) -> None:
        """Let go of the mount, so that the kernel sees that nobody serves it."""
        self.receive()
        self._let_go()
        self._guards.close()
        self._workers.close()
        self.requests.close()
        self.counts.close()
        self.opens.close()
        self.journal.close()

    def _let_go(self) -> None:
        if self.connection is not None:
            os.close(self.connection.device)
            self.connection = None


def shape() -> str:
    """A digest of the form of everything that is handed over: programs that have the same understand each other."""
    memories = (inflight.SHAPE, nodes.SHAPE, passthrough.SHAPE, journal.SHAPE)
    records = [(kind.__module__, kind.__qualname__, _fields(kind)) for kind in _RECORDS]
    numbers = [(kind.__module__, kind.__qualname__, [(each.name, each.value) for each in kind]) for kind in _NUMBERS]
    return hashlib.sha256(repr((_MEANING, memories, records, numbers)).encode()).hexdigest()[:16]


def require_shape(other: str) -> None:
    """MountFailed where another program hands over in another form."""
    if other != shape():
        raise MountFailed("this version cannot go on with a mount of that one: unmount it and mount it again")


def _fields(kind: type) -> list[tuple[str, str]]:
    if dataclasses.is_dataclass(kind):
        return [(field.name, str(field.type)) for field in dataclasses.fields(kind)]
    return [(name, str(annotation)) for name, annotation in getattr(kind, "__annotations__", {}).items()]
