"""What the guard of a mount keeps, so that a worker that dies can be replaced while the mount goes on.

The guard makes it before the first worker and holds it; each worker inherits it by the fork.
"""

from __future__ import annotations

import os
import pickle
import socket
from contextlib import suppress
from dataclasses import dataclass

from swrepo.fuse import inflight
from swrepo.fuse.wire import Agreement
from swrepo.mount import passthrough
from swrepo.vfs import nodes
from swrepo.vfs.journal import Journal

_LONGEST_MESSAGE = 4096


@dataclass(frozen=True, slots=True)
class Connection:
    """A live mount: its device, what was agreed on with the kernel, and the repository (None where it has many)."""

    device: int
    agreement: Agreement
    fqrn: str | None


class Handover:
    """`connection` is None until a worker has told the guard that the mount answers."""

    def __init__(self) -> None:
        self.requests = inflight.new_memory()
        self.counts = nodes.new_memory()
        self.opens = passthrough.new_memory()
        self.journal = Journal()
        self.connection: Connection | None = None
        self._guards, self._workers = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._guards.settimeout(0)

    def give(self, connection: Connection) -> None:
        """Called by the worker: the mount answers, and the guard may keep it alive from now on."""
        message = pickle.dumps((connection.agreement, connection.fqrn))
        with suppress(OSError):  # without a guard the mount goes on, unguarded
            socket.send_fds(self._workers, [message], [connection.device])

    def receive(self) -> bool:
        """Called by the guard when a worker has ended: take what it gave; whether it gave anything."""
        with suppress(BlockingIOError):
            data, devices, _, _ = socket.recv_fds(self._guards, _LONGEST_MESSAGE, 1)
            self._let_go()
            os.set_inheritable(devices[0], False)  # noqa: FBT003 - the function takes it so
            self.connection = Connection(devices[0], *pickle.loads(data))  # noqa: S301 - from our own child
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
