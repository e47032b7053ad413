"""`swrepo serve`: processes that serve directories of repositories below /cvmfs/ until told to stop."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from swrepo.web.files import ServedDirectories
from swrepo.web.geo import GeoAnswers
from swrepo.web.listening import answer_until, listen, run, url_of
from swrepo.web.places import Database
from swrepo.web.site import AccessLog, Site


def serve_directory(
    roots: Sequence[Path],
    *,
    bind: str = "127.0.0.1",
    port: int = 8000,
    processes: int = 1,
    access_log: AccessLog | None = None,
    geo: Path | None = None,
    ready: Callable[[str], None] = lambda _url: None,
) -> None:
    """Serve until SIGTERM or SIGINT, then let responses under way end.

    `geo`: a database of places, for the Geo API; it may come later.
    `ready` is called with the URL below which the repositories lie, once requests are answered; port 0 takes a free
    one. Only the main thread may call this. Raises Busy (port taken), PermissionRefused, UsageError.
    """
    with ServedDirectories(roots) as directories:
        sockets = listen(bind, port, processes)
        children: list[int] = []

        def site() -> Site:
            return Site(directories, access_log, None if geo is None else _answers(geo))

        parent = os.pipe()
        try:
            while len(sockets) > 1:
                children.append(_fork(sockets, parent, site()))
                sockets.pop().close()  # or connections would queue up on it if the child died
            asyncio.run(run(sockets[0], site(), lambda: ready(url_of(sockets[0]))))
        finally:
            _end(children)
            for listener in sockets:
                listener.close()
            for descriptor in parent:
                os.close(descriptor)


@contextmanager
def serving(roots: Sequence[Path], *, access_log: AccessLog | None = None, geo: Path | None = None) -> Iterator[str]:
    """The same in a thread of this process, on a free loopback port, as long as the `with` lasts; gives the URL."""
    with ServedDirectories(roots) as directories:
        listener = listen("127.0.0.1", 0, 1)[0]
        started = threading.Event()
        loop = asyncio.new_event_loop()
        until = loop.create_future()
        site = Site(directories, access_log, None if geo is None else _answers(geo))

        def work() -> None:
            try:
                loop.run_until_complete(answer_until(until, listener, site, started.set))
            finally:
                started.set()

        thread = threading.Thread(target=work, name="swrepo-web")
        thread.start()
        try:
            started.wait()
            yield url_of(listener)
        finally:
            loop.call_soon_threadsafe(until.set_result, None)
            thread.join()
            loop.close()
            listener.close()


def _answers(database: Path) -> GeoAnswers:
    return GeoAnswers(Database(database))


def _fork(sockets: Sequence[socket.socket], parent: tuple[int, int], site: Site) -> int:
    """A child that serves the last of `sockets`, and stops when its parent is gone, however that ended."""
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        os.close(parent[1])
        for listener in sockets[:-1]:
            listener.close()
        asyncio.run(run(sockets[-1], site, parent=parent[0]))
        code = 0
    finally:
        os._exit(code)


def _end(children: list[int]) -> None:
    for child in children:
        with suppress(ProcessLookupError):
            os.kill(child, signal.SIGTERM)
    for child in children:
        with suppress(ChildProcessError):
            os.waitpid(child, 0)
