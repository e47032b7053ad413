"""What the network thread sleeps on: the sockets that libcurl wants watched, and a bell that any thread may ring."""

from __future__ import annotations

import os
import select
from collections.abc import Callable
from typing import Protocol


class Readiness(Protocol):
    """A set of sockets and the bell, in libcurl's numbers (POLL_*, CSELECT_*). For one thread, `ring` apart."""

    def ring(self) -> None:
        """End the `wait` under way, or the next one."""
        ...

    def watch(self, descriptor: int, wish: int) -> None:
        """Do what libcurl asks for: watch a socket, watch it for something else, or let go of it."""
        ...

    def wait(self, timeout: float | None) -> list[tuple[int, int]]:
        """Until something is ready, the bell rings, or `timeout` seconds are over: (socket, what it is ready for)."""
        ...

    def close(self) -> None:
        """Let go of everything; `ring` must not be called any more."""
        ...


new_readiness: Callable[[], Readiness]
if hasattr(select, "epoll") and hasattr(os, "eventfd"):
    from swrepo.net.epoll import EpollReadiness

    new_readiness = EpollReadiness
else:
    from swrepo.net.selecting import SelectorReadiness

    new_readiness = SelectorReadiness
