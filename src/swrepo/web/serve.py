"""`swrepo serve`: processes that serve directories of repositories below /cvmfs/ until told to stop."""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from aiohttp import web

from swrepo.errors import Busy, PermissionRefused, SwrepoError, UsageError
from swrepo.web.files import ServedDirectories
from swrepo.web.site import AccessLog, Site

_BACKLOG = 1024
_KEEP_ALIVE = 75.0
_GRACE = 10.0
"""Seconds that responses under way get to end after a stop signal."""

_STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)


def serve_directory(
    roots: Sequence[Path],
    *,
    bind: str = "127.0.0.1",
    port: int = 8000,
    processes: int = 1,
    access_log: AccessLog | None = None,
    ready: Callable[[str], None] = lambda _url: None,
) -> None:
    """Serve until SIGTERM or SIGINT, then let responses under way end.

    `ready` is called with the URL below which the repositories lie, once requests are answered; port 0 takes a free
    one. Only the main thread may call this. Raises Busy (port taken), PermissionRefused, UsageError.
    """
    with ServedDirectories(roots) as directories:
        sockets = _listen(bind, port, processes)
        children: list[int] = []
        parent = os.pipe()
        try:
            while len(sockets) > 1:
                children.append(_fork(sockets, parent, Site(directories, access_log)))
                sockets.pop().close()  # or connections would queue up on it if the child died
            asyncio.run(_run(sockets[0], Site(directories, access_log), lambda: ready(_url(sockets[0]))))
        finally:
            _end(children)
            for listener in sockets:
                listener.close()
            for descriptor in parent:
                os.close(descriptor)


@contextmanager
def serving(roots: Sequence[Path], *, access_log: AccessLog | None = None) -> Iterator[str]:
    """The same in a thread of this process, on a free loopback port, as long as the `with` lasts; gives the URL."""
    with ServedDirectories(roots) as directories:
        listener = _listen("127.0.0.1", 0, 1)[0]
        started = threading.Event()
        loop = asyncio.new_event_loop()
        until = loop.create_future()
        site = Site(directories, access_log)

        def run() -> None:
            try:
                loop.run_until_complete(_answer_until(until, listener, site, started.set))
            finally:
                started.set()

        thread = threading.Thread(target=run, name="swrepo-web")
        thread.start()
        try:
            started.wait()
            yield _url(listener)
        finally:
            loop.call_soon_threadsafe(until.set_result, None)
            thread.join()
            loop.close()
            listener.close()


async def _run(
    listener: socket.socket, site: Site, ready: Callable[[], None] = lambda: None, parent: int | None = None
) -> None:
    """Answer until a stop signal, or until the process that holds the other end of the pipe `parent` is gone."""
    loop = asyncio.get_running_loop()
    until: asyncio.Future[None] = loop.create_future()

    def stop() -> None:
        if not until.done():
            until.set_result(None)

    for number in _STOP_SIGNALS:
        loop.add_signal_handler(number, stop)
    if parent is not None:
        loop.add_reader(parent, stop)
    await _answer_until(until, listener, site, ready)


async def _answer_until(
    until: asyncio.Future[None], listener: socket.socket, site: Site, ready: Callable[[], None]
) -> None:
    server = web.Server(site.handle, access_log=None, keepalive_timeout=_KEEP_ALIVE)
    runner = web.ServerRunner(server, shutdown_timeout=_GRACE)
    await runner.setup()
    try:
        await web.SockSite(runner, listener, backlog=_BACKLOG).start()
        ready()
        await until
    finally:
        site.end_subscriptions()
        await runner.cleanup()


def _listen(bind: str, port: int, processes: int) -> list[socket.socket]:
    """A listening socket for each process, all on one port; the kernel deals the connections out."""
    if not 0 <= port <= 65535 or processes < 1:
        raise UsageError(f"cannot serve on port {port} with {processes} processes: ports are 0 to 65535")
    family = socket.AF_INET6 if ":" in bind else socket.AF_INET
    sockets: list[socket.socket] = []
    try:
        # Alone on the port first: with SO_REUSEPORT two servers of one user would share it without a word.
        with socket.create_server((bind, port), family=family) as first:
            number = first.getsockname()[1]
        while len(sockets) < processes:
            listener = socket.create_server((bind, number), family=family, backlog=_BACKLOG, reuse_port=processes > 1)
            sockets.append(listener)
    except OSError as error:
        for listener in sockets:
            listener.close()
        raise _cannot_listen(bind, port, error) from error
    return sockets


def _cannot_listen(bind: str, port: int, error: OSError) -> SwrepoError:
    where = f"port {port} of {bind}"
    if error.errno == errno.EADDRINUSE:
        return Busy(f"{where} is taken by another program: stop it, or choose another port (0: any free one)")
    if error.errno in (errno.EACCES, errno.EPERM):
        return PermissionRefused(f"{where} is not for us: ports below 1024 need root; choose a higher one")
    return UsageError(f"cannot listen on {where}: {error.strerror or error}")


def _url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}/cvmfs" if ":" in host else f"http://{host}:{port}/cvmfs"


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
        asyncio.run(_run(sockets[-1], site, parent=parent[0]))
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
