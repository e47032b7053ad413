"""`swrepo serve` over real sockets: headers, ranges, what is never served, starting and stopping."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from swrepo.errors import Busy, UsageError
from swrepo.net.http import HttpClient
from swrepo.web.serve import serve_directory, serving

FQRN = "a.example.org"
OBJECT = "data/0a/" + "b1" * 19
BIG = "data/ff/" + "00" * 19
BIG_BYTES = bytes(range(256)) * 20_000


@pytest.fixture
def root(tmp_path: Path) -> Path:
    served = tmp_path / "srv"
    secret = tmp_path / "secret"
    secret.write_bytes(b"a secret")
    contents = {
        ".cvmfspublished": b"a manifest",
        ".cvmfswhitelist": b"",
        ".htpasswd": b"a secret",
        f"{FQRN}.key": b"a secret",
        OBJECT: b"an object",
        BIG: BIG_BYTES,
        "data/txn/" + "b1" * 19: b"a secret",
    }
    for name, data in contents.items():
        path = served / FQRN / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    (served / FQRN / ".cvmfs_link").symlink_to(secret)
    (served / FQRN / "data" / "0b").symlink_to(tmp_path)
    (tmp_path / ("c2" * 19)).write_bytes(b"a secret")
    (served / "linked.example.org").symlink_to(served / FQRN)
    (served / "empty.example.org").mkdir()
    os.mkfifo(served / FQRN / ".cvmfs_fifo")
    (served / FQRN / ".cvmfs_directory").mkdir()
    return served


@pytest.fixture
def url(root: Path) -> Iterator[str]:
    with serving([root]) as found:
        yield found


def ask(url: str, target: str, method: str = "GET", **headers: str) -> tuple[int, dict[str, str], bytes]:
    """The target goes out as it is, dots and escapes included."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=30)
    connection.putrequest(method, target, skip_accept_encoding=True)
    for name, value in headers.items():
        connection.putheader(name.replace("_", "-"), value)
    connection.endheaders()
    response = connection.getresponse()
    answer = response.status, {name.lower(): value for name, value in response.getheaders()}, response.read()
    connection.close()
    return answer


def test_statistics_are_shown_and_nothing_else_beside_them(url: str, root: Path) -> None:
    (root / FQRN / "stats").mkdir()
    for name in ("index.html", "stats.db", "other"):
        (root / FQRN / "stats" / name).write_text(name)
    status, headers, body = ask(url, f"/cvmfs/{FQRN}/stats/index.html")
    assert (status, body, headers["content-type"]) == (200, b"index.html", "text/html; charset=utf-8")
    assert ask(url, f"/cvmfs/{FQRN}/stats/stats.db")[0] == 200
    assert ask(url, f"/cvmfs/{FQRN}/stats/other")[0] == 404


def test_documents_may_be_kept_for_a_minute(url: str) -> None:
    status, headers, body = ask(url, f"/cvmfs/{FQRN}/.cvmfspublished")
    assert (status, body) == (200, b"a manifest")
    assert headers["content-type"] == "application/x-cvmfs"
    assert headers["cache-control"] == "max-age=61"
    assert "last-modified" not in headers
    assert "etag" not in headers


@pytest.mark.parametrize(("name", "data"), [(OBJECT, b"an object"), (BIG, BIG_BYTES)], ids=["small", "big"])
def test_objects_may_be_kept_for_days(url: str, name: str, data: bytes) -> None:
    status, headers, body = ask(url, f"/cvmfs/{FQRN}/{name}")
    assert (status, body) == (200, data)
    assert headers["content-type"] == "application/octet-stream"
    assert headers["cache-control"] == "max-age=259200"
    assert headers["accept-ranges"] == "bytes"
    assert headers["content-length"] == str(len(data))


def test_an_empty_document_is_served(url: str) -> None:
    assert ask(url, f"/cvmfs/{FQRN}/.cvmfswhitelist")[::2] == (200, b"")


@pytest.mark.parametrize(("name", "data"), [(OBJECT, b"an object"), (BIG, BIG_BYTES)], ids=["small", "big"])
def test_head_gives_the_headers_alone(url: str, name: str, data: bytes) -> None:
    status, headers, body = ask(url, f"/cvmfs/{FQRN}/{name}", "HEAD")
    assert (status, body) == (200, b"")
    assert headers["content-length"] == str(len(data))
    assert ask(url, f"/cvmfs/{FQRN}/nothing", "HEAD")[0] == 404


@pytest.mark.parametrize(
    ("asked", "start", "end"),
    [("bytes=0-0", 0, 1), ("bytes=5-", 5, None), ("bytes=-7", -7, None), ("bytes=100-1500000", 100, 1500001)],
)
def test_a_range_is_that_part_of_the_file(url: str, asked: str, start: int, end: int | None) -> None:
    status, headers, body = ask(url, f"/cvmfs/{FQRN}/{BIG}", Range=asked)
    assert status == 206
    assert body == BIG_BYTES[start:end]
    first = start % len(BIG_BYTES)
    assert headers["content-range"] == f"bytes {first}-{first + len(body) - 1}/{len(BIG_BYTES)}"
    assert ask(url, f"/cvmfs/{FQRN}/{BIG}", "HEAD", Range=asked)[0] == 206


def test_a_range_behind_the_end_is_refused(url: str) -> None:
    status, headers, _ = ask(url, f"/cvmfs/{FQRN}/{OBJECT}", Range="bytes=100-")
    assert status == 416
    assert headers["content-range"] == "bytes */9"


@pytest.mark.parametrize("extra", [{"Range": "bytes=0-1,3-4"}, {"Range": "bytes=0-1", "If_Range": '"x"'}])
def test_what_cannot_be_a_part_is_the_whole(url: str, extra: dict[str, str]) -> None:
    assert ask(url, f"/cvmfs/{FQRN}/{OBJECT}", **extra)[::2] == (200, b"an object")


def test_conditions_on_times_are_ignored(url: str) -> None:
    answer = ask(url, f"/cvmfs/{FQRN}/{OBJECT}", If_Modified_Since="Fri, 01 Jan 2100 00:00:00 GMT", If_None_Match="*")
    assert answer[0] == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PROPFIND", "TRACE"])
def test_only_reading_is_allowed(url: str, method: str) -> None:
    status, headers, _ = ask(url, f"/cvmfs/{FQRN}/.cvmfspublished", method)
    assert status == 405
    assert headers["allow"] == "GET, HEAD"


@pytest.mark.parametrize(
    "target",
    [
        "/",
        "/etc/passwd",
        "/cvmfs/../secret",
        "/cvmfs/%2e%2e/secret",
        "/cvmfs/%252e%252e/secret",
        f"/cvmfs/{FQRN}/../../secret",
        f"/cvmfs/{FQRN}/..%2f..%2fsecret",
        f"/cvmfs/{FQRN}/.htpasswd",
        f"/cvmfs/{FQRN}/{FQRN}.key",
        f"/cvmfs/{FQRN}/data/txn/" + "b1" * 19,
        f"/cvmfs/{FQRN}/.cvmfs_link",
        f"/cvmfs/{FQRN}/data/0b/" + "c2" * 19,
        "/cvmfs/linked.example.org/.cvmfspublished",
        f"/cvmfs/{FQRN}/.cvmfs_fifo",
        f"/cvmfs/{FQRN}/.cvmfs_directory",
        f"/cvmfs/{FQRN}/data/0a/" + "b1" * 18 + "b2",
        f"/cvmfs/{FQRN}/.cvmfspublished%00.html",
    ],
)
def test_what_is_not_public_does_not_exist(url: str, target: str) -> None:
    status, headers, body = ask(url, target)
    assert (status, b"secret" in body) == (404, False)
    assert headers["cache-control"] == "no-store", "what is missing now may be published in a second"


def test_the_list_of_repositories_is_made_from_what_is_there(url: str) -> None:
    status, headers, body = ask(url, "/cvmfs/info/v1/repositories.json")
    assert status == 200
    assert (headers["content-type"], headers["cache-control"]) == ("application/json", "max-age=61")
    assert json.loads(body)["repositories"] == [{"name": FQRN, "url": f"/cvmfs/{FQRN}"}]
    assert ask(url, "/cvmfs/info/v1/meta.json")[0] == 404


def test_a_list_on_the_disk_is_served_as_it_is(root: Path, url: str) -> None:
    (root / "info" / "v1").mkdir(parents=True)
    (root / "info" / "v1" / "repositories.json").write_text('{"schema": 1}')
    assert ask(url, "/cvmfs/info/v1/repositories.json")[2] == b'{"schema": 1}'


def test_several_directories_are_served_as_one(root: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    (other / "b.example.org").mkdir(parents=True)
    (other / "b.example.org" / ".cvmfspublished").write_bytes(b"another manifest")
    with serving([root, other]) as url:
        assert ask(url, f"/cvmfs/{FQRN}/.cvmfspublished")[2] == b"a manifest"
        assert ask(url, "/cvmfs/b.example.org/.cvmfspublished")[2] == b"another manifest"
        names = [one["name"] for one in json.loads(ask(url, "/cvmfs/info/v1/repositories.json")[2])["repositories"]]
        assert names == [FQRN, "b.example.org"]


def test_a_directory_that_is_not_there_is_an_error_that_says_what_to_give(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="holds the repositories"):
        serve_directory([tmp_path / "nothing"])


@pytest.mark.parametrize("processes", [1, 2])
def test_a_port_that_is_taken_is_an_error_that_says_so(root: Path, url: str, processes: int) -> None:
    port = urlsplit(url).port
    assert port
    with pytest.raises(Busy, match=f"port {port} .*is taken.*another port"):
        serve_directory([root], port=port, processes=processes)


@pytest.mark.parametrize("bind", ["no.such.host.invalid", "192.0.2.1"])
def test_an_address_that_is_not_ours_is_an_error(root: Path, bind: str) -> None:
    with pytest.raises(UsageError, match="cannot listen"):
        serve_directory([root], bind=bind, port=0)


def test_requests_are_logged_where_somebody_listens(root: Path) -> None:
    lines: list[str] = []
    with serving([root], access_log=lines.append) as url:
        ask(url, f"/cvmfs/{FQRN}/.cvmfspublished")
        ask(url, "/nothing")
    assert lines == [f'127.0.0.1 "GET /cvmfs/{FQRN}/.cvmfspublished" 200 10', '127.0.0.1 "GET /nothing" 404 0']


def test_many_clients_at_once_get_the_right_bytes(url: str) -> None:
    client = HttpClient()

    def get(name: str) -> int:
        with client.stream(f"{url}/{FQRN}/{name}") as response:
            return len(b"".join(response.blocks))

    with ThreadPoolExecutor(32) as threads:
        sizes = list(threads.map(get, [OBJECT, BIG, ".cvmfspublished"] * 30))
    client.close()
    assert sizes == [9, len(BIG_BYTES), 10] * 30


PROGRAM = """
import sys
from pathlib import Path
from swrepo.web.serve import serve_directory
serve_directory([Path(sys.argv[1])], port=0, processes=int(sys.argv[2]), bind=sys.argv[3],
                ready=lambda url: print(url, flush=True))
print("stopped in order", flush=True)
"""


class TestProcess:
    """The server as a process of its own."""

    def start(self, root: Path, processes: int = 1, bind: str = "127.0.0.1") -> tuple[subprocess.Popen[str], str]:
        arguments = [sys.executable, "-c", PROGRAM, str(root), str(processes), bind]
        process = subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        return process, process.stdout.readline().strip()

    @pytest.mark.parametrize("processes", [1, 2])
    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
    def test_it_says_its_port_answers_and_stops_in_order(
        self, root: Path, processes: int, number: signal.Signals
    ) -> None:
        process, url = self.start(root, processes)
        with process:
            for _ in range(8):
                assert ask(url, f"/cvmfs/{FQRN}/.cvmfspublished")[0] == 200
            process.send_signal(number)
            output, _ = process.communicate(timeout=60)
        assert output == "stopped in order\n"
        assert process.returncode == 0
        with pytest.raises(OSError, match="refused"):
            socket.create_connection((urlsplit(url).hostname, urlsplit(url).port), timeout=5)

    def test_ipv6_is_served(self, root: Path) -> None:
        process, url = self.start(root, bind="::1")
        assert url.startswith("http://[::1]:")
        with process:
            assert ask(url, f"/cvmfs/{FQRN}/.cvmfspublished")[0] == 200
            process.terminate()

    def test_a_response_under_way_is_finished_before_it_stops(self, root: Path) -> None:
        with (root / FQRN / BIG).open("r+b") as file:
            file.truncate(100 << 20)
        process, url = self.start(root)
        with process, socket.create_connection((urlsplit(url).hostname, urlsplit(url).port), timeout=60) as connection:
            connection.sendall(f"GET /cvmfs/{FQRN}/{BIG} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
            received = len(connection.recv(1 << 16))
            process.terminate()
            while block := connection.recv(1 << 20):
                received += len(block)
            assert received > 100 << 20
            assert process.wait(60) == 0

    def test_children_do_not_outlive_a_parent_that_is_killed(self, root: Path) -> None:
        process, url = self.start(root, processes=3)
        with process:
            children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
            assert len(children) == 2
            gone = [os.pidfd_open(int(child)) for child in children]
            process.kill()
        for descriptor in gone:
            ended = threading.Event()
            waiter = threading.Thread(target=lambda d=descriptor, e=ended: (_wait_readable(d), e.set()))
            waiter.start()
            assert ended.wait(60)
            waiter.join()
            os.close(descriptor)
        assert url


def _wait_readable(descriptor: int) -> None:
    import select

    select.select([descriptor], [], [], 60)
