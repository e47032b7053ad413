"""Everything by which a mount is watched and told what to do: control socket, metrics, the record that leads to it."""

from __future__ import annotations

import errno
import logging
from collections.abc import Sequence
from pathlib import Path

from swrepo.errors import SwrepoError
from swrepo.mount import inside
from swrepo.mount.commands import commands
from swrepo.mount.control import ControlSocket
from swrepo.mount.logs import RECENT
from swrepo.mount.metrics import metrics
from swrepo.mount.mounted import Mounted
from swrepo.mount.records import record, withdraw
from swrepo.mount.refresh import Timer
from swrepo.mount.scraping import Scraping
from swrepo.mount.telemetry import Sender
from swrepo.mount.trace_file import TraceFile

log = logging.getLogger(__name__)

_NO_WRITING = (errno.EACCES, errno.EPERM, errno.EROFS, errno.EOPNOTSUPP)


class Watch:
    """Of one mount, until it is closed. What cannot be had is said in the log; the mount goes on without it."""

    def __init__(self, mounted: Mounted, timer: Timer, history: Sequence[str]) -> None:
        self._mounted = mounted
        mounted.process.expires_in = lambda: timer.expires_in
        logging.getLogger().addHandler(RECENT)
        self._trace = _trace(mounted)
        self._scraping = _scraping(mounted)  # before who asks over the control socket, and hears, looks for metrics
        self._control = _control(mounted, timer, history, self._trace)
        self._sender = _sender(mounted)
        self._record: Path | None = None
        records = mounted.request.watching.records
        if self._control is not None and records is not None:
            self._record = record(records, mounted.request.mountpoint, self._control.path)

    def leave(self) -> None:
        """Leave no socket, record or port behind. Whatever has their names afterwards is another mount's."""
        if self._control is not None:
            self._control.close()
            if self._record is not None:
                withdraw(self._record, self._control.path)
        if self._scraping is not None:
            self._scraping.close()
        self._control = self._scraping = None

    def close(self) -> None:
        """The mount has ended."""
        self.leave()
        if self._sender is not None:
            self._sender.stop()
        if self._trace is not None:
            self._trace.close()


def _control(mounted: Mounted, timer: Timer, history: Sequence[str], trace: TraceFile | None) -> ControlSocket | None:
    path = mounted.request.control_socket(next((a.fqrn for a in mounted.accesses.values()), None))
    if path is None:
        return None
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        return ControlSocket(path, commands(mounted, timer, history, trace), mounted.request.socket_owner)
    except OSError as error:
        if error.errno not in _NO_WRITING:
            raise
        log.warning("no control socket at %s: %s", path, error.strerror)
        return None


def _trace(mounted: Mounted) -> TraceFile | None:
    options = mounted.request.watching.trace
    if options is None:
        return None
    try:
        trace = TraceFile(options)
    except OSError as error:
        log.warning("cannot write the trace %s: %s", options.file, error.strerror)
        return None
    trace.attach(mounted.vfs, mounted.session)
    return trace


def _scraping(mounted: Mounted) -> Scraping | None:
    address = mounted.request.watching.metrics
    if address is None:
        return None
    try:
        return Scraping(address, lambda: metrics(mounted))
    except SwrepoError as error:
        log.warning("%s", error)
        return None


def _sender(mounted: Mounted) -> Sender | None:
    options = mounted.request.watching.telemetry
    return None if options is None else Sender(options, mounted.fqrn or "cvmfs", lambda: inside.counters(mounted))
