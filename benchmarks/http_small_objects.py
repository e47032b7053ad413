"""Small objects over HTTP: time and CPU per object, of the client's whole way and of the server.

    python benchmarks/http_small_objects.py [OBJECTS]

Server and client are two processes on loopback. The baseline is libcurl's multi interface in a bare loop, which neither
checks nor inflates anything and has one thread.
"""

from __future__ import annotations

import os
import random
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from io import BytesIO
from pathlib import Path

import pycurl

from swrepo.cache.disk import DiskCache
from swrepo.format.compression import Compression
from swrepo.format.object_id import ObjectId
from swrepo.net.http import HttpClient
from swrepo.net.remote import RemoteRepository
from swrepo.net.routes import Routes
from swrepo.objects import codec
from swrepo.objects.store import Want

FQRN = "bench.example.org"
SERVE = """
import sys
from pathlib import Path
from swrepo.web.serve import serve_directory
serve_directory([Path(sys.argv[1])], port=0, ready=lambda url: print(url, flush=True))
"""
WORDS = [f"word{number} ".encode() for number in range(4000)]


def make_objects(root: Path, count: int) -> list[Want]:
    chance = random.Random(1)
    wants = []
    for _ in range(count):
        plain = b"".join(chance.choices(WORDS, k=900))
        stored = codec.encode(plain, Compression.ZLIB)
        want = Want(ObjectId.of(stored), size=len(plain))
        path = root / FQRN / want.id.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(stored)
        wants.append(want)
    return wants


def measured(name: str, count: int, run: Callable[[], object]) -> None:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    cpu, start = usage.ru_utime + usage.ru_stime, time.perf_counter()
    run()
    elapsed = time.perf_counter() - start
    usage = resource.getrusage(resource.RUSAGE_SELF)
    cpu = usage.ru_utime + usage.ru_stime - cpu
    print(f"{name:44} {elapsed / count * 1e6:9.0f} {cpu / count * 1e6:9.0f} {count / elapsed:9.0f}")


def in_threads(number: int, wants: Iterable[Want], work: Callable[[Want], object]) -> None:
    waiting, lock = iter(wants), threading.Lock()

    def loop() -> None:
        while True:
            with lock:
                want = next(waiting, None)
            if want is None:
                return
            work(want)

    threads = [threading.Thread(target=loop) for _ in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def bare_libcurl(urls: Sequence[str], connections: int = 64) -> None:
    multi, waiting, left = pycurl.CurlMulti(), iter(urls), len(urls)
    idle = []
    for _ in range(connections):
        curl = pycurl.Curl()
        curl.body = BytesIO()
        curl.setopt(pycurl.WRITEFUNCTION, curl.body.write)
        idle.append(curl)
    while left:
        while idle and (url := next(waiting, None)) is not None:
            curl = idle.pop()
            curl.setopt(pycurl.URL, url)
            multi.add_handle(curl)
        multi.perform()
        _, done, failed = multi.info_read()
        if failed:
            raise SystemExit(f"bare libcurl: {failed[0][2]}")
        for curl in done:
            multi.remove_handle(curl)
            idle.append(curl)
            left -= 1
        if not done:
            multi.select(1)


def main(count: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        wants = make_objects(root / "srv", count)
        arguments = [sys.executable, "-c", SERVE, str(root / "srv")]
        with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as server:
            url = f"{server.stdout.readline().strip()}/{FQRN}"
            sizes = sum((root / "srv" / FQRN / want.id.path).stat().st_size for want in wants) // count
            print(f"{count} objects of {sizes} bytes as stored; per object:")
            print(f"{'':44} {'us':>9} {'us CPU':>9} {'per s':>9}")
            client = HttpClient()
            remote = RemoteRepository(Routes([url]), client)
            measured(
                "libcurl multi, bare loop (baseline)",
                count,
                lambda: bare_libcurl([f"{url}/{want.id.path}" for want in wants]),
            )
            for threads in (1, 8, 16, 32, 64):
                fetch = lambda want: remote.fetch(want, BytesIO())  # noqa: E731
                measured(
                    f"RemoteRepository.fetch, {threads} threads",
                    count,
                    lambda t=threads, f=fetch: in_threads(t, wants, f),
                )
            for threads in (1, 16):
                cache = DiskCache(root / f"cache{threads}", remote)
                fill = lambda want, c=cache: os.close(c.open(want))  # noqa: E731
                measured(
                    f"DiskCache.open (miss), {threads} threads",
                    count,
                    lambda t=threads, f=fill: in_threads(t, wants, f),
                )
                measured(
                    f"DiskCache.open (hit), {threads} threads", count, lambda t=threads, f=fill: in_threads(t, wants, f)
                )
            client.close()
            server.terminate()


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5000)
