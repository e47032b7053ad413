"""A port that is listened on, and a loop that answers until it is told to stop. Uses nothing that only Linux has."""

from __future__ import annotations

import asyncio
import errno
import signal
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

from aiohttp import web

from swrepo.errors import Busy, PermissionRefused, SwrepoError, UsageError

_BACKLOG = 1024
_KEEP_ALIVE = 75.0
_GRACE = 10.0
"""Seconds that responses under way get to end after a stop signal."""

_STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Answers(Protocol):
    """Who answers requests."""

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one."""
        ...

    def end_subscriptions(self) -> None:
        """Have responses end that would not end by themselves."""
        ...


def serve_site(site: Answers, *, bind: str, port: int, ready: Callable[[str], None]) -> None:
    """Answer until SIGTERM or SIGINT. `ready` is called with the server's URL. Busy where the port is taken."""
    listener = listen(bind, port, 1)[0]
    try:
        asyncio.run(run(listener, site, lambda: ready(url_of(listener).removesuffix("/cvmfs"))))
    finally:
        listener.close()


async def run(
    listener: socket.socket, site: Answers, ready: Callable[[], None] = lambda: None, parent: int | None = None
) -> None:
    """Answer until a stop signal, or until the process that holds the other end of the pipe `parent` is gone."""
    loop = asyncio.get_running_loop()
    until: asyncio.Future[None] = loop.create_future()

    def stop() -> None:
        if not until.done():
            until.set_result(None)

    for number in _STOP_SIGNALS:
        with suppress(NotImplementedError):  # Windows: there Ctrl-C ends the loop
            loop.add_signal_handler(number, stop)
    if parent is not None:
        loop.add_reader(parent, stop)
    await answer_until(until, listener, site, ready)


async def answer_until(
    until: asyncio.Future[None], listener: socket.socket, site: Answers, ready: Callable[[], None]
) -> None:
    """Answer until `until` is done, then let responses under way end. `ready` is called once requests are answered."""
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


def listen(bind: str, port: int, processes: int) -> list[socket.socket]:
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


def url_of(listener: socket.socket) -> str:
    """Where repositories lie of a server that listens here."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}/cvmfs" if ":" in host else f"http://{host}:{port}/cvmfs"
