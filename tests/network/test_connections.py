"""How many connections there are to one server: as many as the configuration allows, one where it speaks HTTP/2."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from swrepo.config.network import NetworkParameters
from swrepo.net.connect import Chain, Connection
from tests.network.programs import free_port, program, running
from tests.network.test_https import Certificates

REQUESTS = 48


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory that the user whom nginx changes to can enter, as pytest's own are not."""
    with tempfile.TemporaryDirectory(prefix="swrepo-http2-", ignore_cleanup_errors=True) as name:
        Path(name).chmod(0o777)
        yield Path(name)


class Tls:
    """An nginx with TLS that notes the protocol and the connection of each request."""

    def __init__(self, place: Path, protocol: str) -> None:
        self.certificates = Certificates(place)
        self.port = free_port()
        self._place = place
        (place / "root").mkdir()
        (place / "root" / "x").write_bytes(b"content" * 400)
        kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        temporary = "".join(f"{kind}_temp_path {place}/{kind};\n" for kind in kinds)
        (place / "nginx.conf").write_text(
            f"daemon off; pid {place}/nginx.pid; error_log {place}/error.log;\nevents {{ }}\n"
            f"http {{ log_format seen '$server_protocol $connection'; access_log {place}/access.log seen;\n{temporary}"
            f"server {{ listen 127.0.0.1:{self.port} ssl {protocol}; root {place}/root;\n"
            f"ssl_certificate {self.certificates.server}; ssl_certificate_key {self.certificates.key}; }} }}\n"
        )

    def get_all(self) -> None:
        """With one request after another, many at a time by the network thread, and a batch."""
        binary = program("nginx", "nginx-light")
        arguments = [binary, "-c", str(self._place / "nginx.conf"), "-e", str(self._place / "error.log")]
        with running(arguments, self.port, self._place / "output.log"):
            network = NetworkParameters(ca_bundle=str(self.certificates.authority))
            url = f"https://127.0.0.1:{self.port}"
            connection = Connection(Chain((url,)), network)
            try:
                with ThreadPoolExecutor(REQUESTS) as pool:
                    found = set(pool.map(lambda _: connection.repository.read("x"), range(REQUESTS)))
                found |= {transfer.take() for _, transfer in connection.client.run([(f"{url}/x", None)] * REQUESTS)}
            finally:
                connection.close()
        assert found == {b"content" * 400}

    def seen(self) -> tuple[set[str], int]:
        """Protocols, and how many connections there were."""
        lines = [line.split() for line in (self._place / "access.log").read_text().splitlines()]
        assert len(lines) == 2 * REQUESTS
        return {protocol for protocol, _ in lines}, len({connection for _, connection in lines})


def test_a_server_that_speaks_http2_is_asked_over_one_connection_by_each_thread(place: Path) -> None:
    server = Tls(place, "http2")
    server.get_all()
    assert server.seen() == ({"HTTP/2.0"}, 2), "that of the network thread, and that of who runs the batch"


def test_another_is_asked_over_many(place: Path) -> None:
    server = Tls(place, "")
    server.get_all()
    protocols, connections = server.seen()
    assert protocols == {"HTTP/1.1"}
    assert 16 < connections <= 64 + 16


class Gate:
    """A server that answers nobody until the test says so; `most`: connections that it had at a time."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.waiting = 0
        lock = threading.Lock()
        gate = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                with lock:
                    gate.waiting += 1
                gate.go.wait(60)
                self.send_response(200)
                self.send_header("Content-Length", "7")
                self.end_headers()
                self.wfile.write(b"content")

            def log_message(self, *_args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        self.go.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def gate() -> Iterator[Gate]:
    found = Gate()
    yield found
    found.close()


@pytest.mark.parametrize(("connections", "of_a_batch"), [(8, 2), (1, 1)])
def test_the_configuration_says_how_many_there_are(connections: int, of_a_batch: int, gate: Gate) -> None:
    """Who waits for one answer is not behind a batch: that has connections of its own."""
    opened = Connection(Chain((gate.url,)), NetworkParameters(connections=connections))
    try:
        with ThreadPoolExecutor(13) as pool:
            waiting = [pool.submit(opened.repository.read, "x") for _ in range(12)]
            batch = pool.submit(lambda: [t.take() for _, t in opened.client.run([(f"{gate.url}/y", None)] * 12)])
            expected = connections + of_a_batch
            pause = threading.Event()
            while gate.waiting < expected:
                pause.wait(0.01)
            pause.wait(0.3)  # nothing can tell that no further one comes
            assert gate.waiting == expected
            gate.go.set()
            assert {one.result() for one in waiting} == {b"content"}
            assert batch.result() == [b"content"] * 12
    finally:
        gate.go.set()
        opened.close()
