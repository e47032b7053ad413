"""A long link: relays TCP connections with a round trip and a bandwidth that all of them share.

    python -m benchmarks.coldstart.relay --to 127.0.0.1:8080 --rtt-ms 100 --mbit 100

It prints the port that it listens on, and at its end (SIGTERM) connections, requests, and the bytes that came back.
A new connection costs a round trip, and every byte arrives half of one after it was sent, or later where others are in
front of it. Loss and slow start are not modelled, so many connections are not punished as a real link would.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

_BLOCK = 16 << 10
"""Bytes that travel at once: on a shared link a small answer waits for few of another's."""

_QUEUED = 64
_REQUEST = re.compile(rb"GET (\S+) HTTP")


class Carried(NamedTuple):
    """What went over a link; `repeated` are requests for an object that had been asked for before."""

    connections: int
    requests: int
    received: int
    repeated: int = 0


class Direction:
    """One way of the link: when a block that is sent now has arrived at the other end."""

    def __init__(self, one_way: float, bytes_per_second: float) -> None:
        self._one_way = one_way
        self._rate = bytes_per_second
        self._free = 0.0
        self.carried = 0

    def arrival(self, now: float, size: int) -> float:
        """The time at which `size` bytes are there, behind all that were sent before."""
        self._free = max(now, self._free) + size / self._rate
        self.carried += size
        return self._free + self._one_way


class Relay:
    """All connections of one link."""

    def __init__(self, to: tuple[str, int], rtt: float, mbit: float) -> None:
        self._to = to
        self._rtt = rtt
        self._up = Direction(rtt / 2, mbit * 1e6 / 8)
        self._down = Direction(rtt / 2, mbit * 1e6 / 8)
        self._connections = 0
        self._requests = self._repeated = 0
        self._objects: set[bytes] = set()

    @property
    def carried(self) -> Carried:
        return Carried(self._connections, self._requests, self._down.carried, self._repeated)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection of a client."""
        self._connections += 1
        await asyncio.sleep(self._rtt)
        try:
            answers, server = await asyncio.open_connection(*self._to)
        except OSError:
            writer.close()
            return
        for end in (writer, server):
            end.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await asyncio.gather(self._carry(reader, server, self._up), self._carry(answers, writer, self._down))
        for end in (writer, server):
            end.close()

    def _note(self, block: bytes) -> None:
        self._requests += block.count(b"GET ")
        for path in _REQUEST.findall(block):
            self._repeated += path in self._objects
            if b"/data/" in path:
                self._objects.add(path)

    async def _carry(self, source: asyncio.StreamReader, target: asyncio.StreamWriter, way: Direction) -> None:
        clock = asyncio.get_running_loop().time
        queue: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(_QUEUED)
        delivering = asyncio.create_task(_deliver(queue, target))
        with contextlib.suppress(OSError):
            while not delivering.done():
                block = await source.read(_BLOCK)
                if way is self._up:
                    self._note(block)
                await queue.put((way.arrival(clock(), len(block)), block))
                if not block:
                    break
            await delivering


async def _deliver(queue: asyncio.Queue[tuple[float, bytes]], target: asyncio.StreamWriter) -> None:
    clock = asyncio.get_running_loop().time
    with contextlib.suppress(OSError):
        while True:
            arrival, block = await queue.get()
            await asyncio.sleep(max(0.0, arrival - clock()))
            if not block:
                target.write_eof()
                return
            target.write(block)
            await target.drain()


class Link:
    """A relay in a process of its own; `port` is where it listens."""

    def __init__(self, to: str, rtt_ms: float, mbit: float) -> None:
        command = [sys.executable, "-m", "benchmarks.coldstart.relay"]
        options = ["--to", to, "--rtt-ms", str(rtt_ms), "--mbit", str(mbit)]
        self._process = subprocess.Popen([*command, *options], stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        self._lines = self._process.stdout
        self.port = int(self._lines.readline())

    def carried(self) -> Carried:
        """What went over it so far."""
        self._process.send_signal(signal.SIGUSR1)
        return Carried(*json.loads(self._lines.readline()))

    def end(self) -> None:
        """Close it."""
        self._process.terminate()
        self._process.wait()
        self._lines.close()


@contextmanager
def link(to: str, rtt_ms: float, mbit: float) -> Iterator[Link]:
    """A link to the server at `to` (HOST:PORT)."""
    found = Link(to, rtt_ms, mbit)
    try:
        yield found
    finally:
        found.end()


async def _run(arguments: argparse.Namespace) -> None:
    host, _, port = arguments.to.rpartition(":")
    relay = Relay((host, int(port)), arguments.rtt_ms / 1000, arguments.mbit)
    server = await asyncio.start_server(relay.serve, "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGUSR1, lambda: print(json.dumps(relay.carried), flush=True))
    ending = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, ending.set)
    await ending.wait()
    os._exit(0)  # connections that are open need no ceremony


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--to", required=True, metavar="HOST:PORT", help="the server")
    parser.add_argument("--rtt-ms", type=float, default=100, help="the round trip, in milliseconds")
    parser.add_argument("--mbit", type=float, default=100, help="the bandwidth, in Mbit/s")
    asyncio.run(_run(parser.parse_args()))


if __name__ == "__main__":
    main()
