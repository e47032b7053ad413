"""Real servers and proxies that are killed, stalled and started again while many read: nobody sees an error."""

from __future__ import annotations

import random
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from io import BytesIO
from pathlib import Path

import pytest

from swrepo.config.network import NetworkParameters
from swrepo.net.connect import Chain, Connection
from swrepo.net.http import Timeouts
from swrepo.net.routes import DIRECT, ProxyGroups, Route
from swrepo.objects.store import Want
from tests.network import programs
from tests.simulator import RepositorySimulator

READERS = 8
OBJECTS = 200
PATIENCE = 60.0


class Load:
    """Readers that fetch objects one after another, until the end; `errors` is what any of them saw."""

    def __init__(self, connection: Connection, wants: list[Want]) -> None:
        self.errors: list[Exception] = []
        self.longest = 0.0
        self._connection = connection
        self._wants = wants
        self._over = threading.Event()
        self._counts = [0] * READERS
        self._threads = [threading.Thread(target=self._read, args=(number,)) for number in range(READERS)]
        for thread in self._threads:
            thread.start()

    def _read(self, number: int) -> None:
        chosen = random.Random(number)
        while not self._over.is_set():
            begun = time.monotonic()
            try:
                self._connection.repository.fetch(chosen.choice(self._wants), BytesIO())
            except Exception as error:  # noqa: BLE001 - whatever it is, the test fails
                self.errors.append(error)
                return
            self.longest = max(self.longest, time.monotonic() - begun)
            self._counts[number] += 1

    def route(self, key: str = "") -> Route:
        """The way that is in use."""
        return self._connection.repository.routes.current(key)

    def until(self, is_so: Callable[[], bool]) -> None:
        """Wait for something that readers bring about."""
        deadline = time.monotonic() + PATIENCE
        while not is_so():
            assert time.monotonic() < deadline
            threading.Event().wait(0.02)

    def everybody_reads_on(self) -> None:
        """Wait until each reader, in what it began from now on, had five answers."""
        goal = [count + 6 for count in self._counts]
        deadline = time.monotonic() + PATIENCE
        while not self.errors and any(count < wanted for count, wanted in zip(self._counts, goal, strict=True)):
            assert time.monotonic() < deadline, "the readers are stuck"
            threading.Event().wait(0.02)
        assert not self.errors, self.errors[0]

    def end(self) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()


class Site:
    """Two nginx and two squid, by the names a, b, p, q."""

    def __init__(self, place: Path, repository: RepositorySimulator) -> None:
        self.servers: dict[str, programs.Server] = {}
        self.urls: dict[str, str] = {}
        for name in "ab":
            root = place / f"root-{name}" / "cvmfs"
            root.mkdir(parents=True)
            repository.save(root)
            self.servers[name], url = programs.nginx(place / name, root.parent)
            self.urls[name] = f"{url}/cvmfs/{repository.fqrn}"
        for name in "pq":
            self.servers[name], self.urls[name] = programs.squid(place / name)

    def name(self, url: str | None) -> str:
        """Whose URL that is."""
        return next(name for name, known in self.urls.items() if known == url)

    def __getitem__(self, name: str) -> programs.Server:
        return self.servers[name]


@pytest.fixture
def wants() -> list[Want]:
    return []


@pytest.fixture
def site(wants: list[Want]) -> Iterator[Site]:
    repository = RepositorySimulator()
    for number in range(OBJECTS):
        plain = number.to_bytes(2) * random.Random(number).choice([10, 1000, 40000])
        wants.append(Want(repository.put(plain), size=len(plain)))
    with tempfile.TemporaryDirectory(prefix="swrepo-load-", ignore_cleanup_errors=True) as name:
        place = Path(name)
        place.chmod(0o777)
        site = Site(place, repository)
        try:
            for server in site.servers.values():
                server.start()
            yield site
        finally:
            for server in site.servers.values():
                with suppress(ProcessLookupError):
                    server.kill()


@pytest.fixture
def reading(site: Site, wants: list[Want]) -> Iterator[Callable[[ProxyGroups], Load]]:
    ends: list[Callable[[], None]] = []

    def begin(proxies: ProxyGroups, **options: object) -> Load:
        network = NetworkParameters(back_off_first=0.05, server_reset=2.0, proxy_reset=2.0, **options)
        chain = Chain((site.urls["a"], site.urls["b"]), proxies, Timeouts(direct=1.0, proxied=1.0))
        connection = Connection(chain, network)
        load = Load(connection, wants)
        ends.extend((load.end, connection.close))
        load.everybody_reads_on()
        return load

    yield begin
    for end in ends:
        end()


ROUNDS = 2


def test_the_server_in_use_dies_or_stalls_and_another_stands_in(site, reading) -> None:
    load = reading(DIRECT)
    for _ in range(ROUNDS):
        server = site[site.name(load.route().server)]
        server.kill()
        load.everybody_reads_on()
        server.start()
        server = site[site.name(load.route().server)]
        server.stall()
        load.everybody_reads_on()
        server.go_on()


def test_the_proxy_in_use_dies_or_stalls_and_another_stands_in(site, reading) -> None:
    load = reading(((site.urls["p"], site.urls["q"]),))
    for _ in range(ROUNDS):
        proxy = site[site.name(load.route().proxy)]
        proxy.kill()
        load.everybody_reads_on()
        proxy.start()
        proxy = site[site.name(load.route().proxy)]
        proxy.stall()
        load.everybody_reads_on()
        proxy.go_on()


def test_what_a_proxy_has_of_the_objects_others_bring_when_it_dies_or_stalls(site, reading) -> None:
    load = reading(((site.urls["p"], site.urls["q"]),), shard=True)
    for name in "pqpq":
        load.until(lambda name=name: site.urls[name] in {load.route(f"{key}").proxy for key in range(50)})
        site[name].kill() if name == "p" else site[name].stall()
        load.everybody_reads_on()
        site[name].start() if name == "p" else site[name].go_on()


def test_a_server_behind_proxies_and_then_the_proxies_too(site, reading) -> None:
    load = reading(((site.urls["p"],), (site.urls["q"],), (None,)))
    site["a"].kill()
    load.everybody_reads_on()
    site["p"].stall()
    load.everybody_reads_on()
    site["q"].kill()
    load.everybody_reads_on()
    site["a"].start()
    site["b"].stall()
    load.everybody_reads_on()
    site["p"].go_on()
    site["q"].start()
    site["b"].go_on()
    load.everybody_reads_on()
