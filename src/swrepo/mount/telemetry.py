"""Counters sent every so often to an InfluxDB, over UDP in its line protocol, as the original sends them.

A packet that gets lost is lost; nobody waits for a name server or the network but the thread that sends.
"""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Callable

from swrepo.mount.watching import Telemetry

log = logging.getLogger(__name__)

_NANOSECONDS = 1_000_000_000


def line(options: Telemetry, fqrn: str, counters: dict[str, int], now: int) -> str:
    """`NAME_absolute,repo=FQRN[,TAGS] name=value,...[,FIELDS] TIME`: one record at `now`, in seconds."""
    tags = "".join(f",{part}" for part in (f"repo={_escaped(fqrn)}", options.tags) if part)
    fields = ",".join([f"{name}={value}" for name, value in counters.items()] + [options.fields] * bool(options.fields))
    return f"{_escaped(options.name)}_absolute{tags} {fields} {now * _NANOSECONDS}\n"


class Sender:
    """Sends what `counters` gives until it is stopped. `name`: the repository, or what else is mounted."""

    def __init__(self, options: Telemetry, name: str, counters: Callable[[], dict[str, int]]) -> None:
        self._options, self._name = options, name
        self._counters = counters
        self._stopped = threading.Event()
        threading.Thread(target=self._run, name="telemetry", daemon=True).start()

    def stop(self) -> None:
        """Send nothing any more."""
        self._stopped.set()

    def _run(self) -> None:
        failed = False
        while not self._stopped.wait(self._options.rate):
            try:
                self._send()
                failed = False
            except OSError as error:
                if not failed:  # once for each outage
                    log.info("no figures to %s: %s", self._options.host, error.strerror or error)
                failed = True
            except Exception:
                log.exception("the figures could not be sent")

    def _send(self) -> None:
        host, port, now = self._options.host, self._options.port, int(time.time())
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
        with socket.socket(family, kind, protocol) as sending:
            sending.sendto(line(self._options, self._name, self._counters(), now).encode(), address)


def _escaped(text: str) -> str:
    """A name or tag: what separates them is masked. Source: InfluxDB's line protocol."""
    return text.replace(",", r"\,").replace(" ", r"\ ").replace("=", r"\=")
