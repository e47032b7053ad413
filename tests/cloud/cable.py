"""A cable between a client and a service on loopback, which can be cut in the middle of a transfer and mended."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress

_PIECE = 1 << 16


class Cable:
    """Forwards connections to `port`. After `cut(up=N)` or `cut(down=N)` bytes more all are reset, and new ones, too."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._lock = threading.Lock()
        self._left: dict[str, int] = {}
        self._broken = False
        self._stays = False
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def port(self) -> int:
        return int(self._socket.getsockname()[1])

    def cut(self, *, stays: bool = True, **left: int) -> None:
        """Break after that many bytes `up` or `down`; `stays`: until it is mended, else for what is under way alone."""
        with self._lock:
            self._left, self._stays, self._broken = left, stays, False

    def mend(self) -> None:
        """As if it were new."""
        with self._lock:
            self._left, self._broken = {}, False

    def close(self) -> None:
        """Nobody can connect any more."""
        self._socket.close()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._socket.accept()
            except OSError:
                return
            if self._broken:
                _reset(near)
                continue
            threading.Thread(target=self._carry, args=(near,), daemon=True).start()

    def _carry(self, near: socket.socket) -> None:
        """One connection, until both ways have ended."""
        with near, socket.create_connection(("127.0.0.1", self._target)) as far:
            up = threading.Thread(target=self._forward, args=("up", near, far), daemon=True)
            up.start()
            self._forward("down", far, near)
            up.join()

    def _forward(self, way: str, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(_PIECE):
                if self._breaks(way, len(data)):
                    _reset(source)
                    if way == "up":
                        _reset(target)
                    break  # what is on its way down arrives: a reset would take it back
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)

    def _breaks(self, way: str, count: int) -> bool:
        with self._lock:
            if self._broken:
                return True
            if way not in self._left:
                return False
            self._left[way] -= count
            if self._left[way] >= 0:
                return False
            self._left, self._broken = {}, self._stays
            return True


def _reset(one: socket.socket) -> None:
    """Close it as a broken line does: without a good-bye."""
    with suppress(OSError):
        one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        one.shutdown(socket.SHUT_RDWR)
    with suppress(OSError):
        one.close()
