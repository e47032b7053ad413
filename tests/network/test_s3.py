"""Storage in S3: the contracts of objects and documents at a real server, publications, and servers that fail."""

from __future__ import annotations

import itertools
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from urllib.request import urlopen

import pytest

import swrepo
from swrepo.errors import ConfigError, CorruptObject, NotFound, PermissionRefused, Unreachable, UsageError
from swrepo.format.object_id import Kind, ObjectId
from swrepo.net import s3_settings
from swrepo.net.s3_batch import S3Batch
from swrepo.net.s3_client import S3Client
from swrepo.net.s3_objects import S3Objects
from swrepo.net.s3_settings import Flavor, S3Settings
from swrepo.net.s3_signing import S3Request, signed
from swrepo.publish import storage
from swrepo.publish.upstream import S3Upstream
from swrepo.upkeep.check import RepositoryCheck, Scope
from swrepo.upkeep.garbage import Collection, Keep
from swrepo.upkeep.opening import Keeper
from tests.contracts import documents, object_source
from tests.contracts.documents import DocumentsContract, WritableDocumentsContract
from tests.contracts.object_source import ObjectSourceContract
from tests.contracts.object_store import ObjectStoreContract
from tests.network.bucket import ACCESS, SECRET, configuration, seaweed
from tests.publishing import Server, fast_options
from tests.replicas import Replica
from tests.simulator import RepositorySimulator

_numbers = itertools.count()


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    with seaweed(tmp_path_factory.mktemp("s3") / "weed") as found:
        S3Objects(S3Client(settings(found)), "none").create()
        yield found


def settings(port: int, **changes: object) -> S3Settings:
    values = {"host": f"127.0.0.1:{port}", "bucket": "software", "access_key": ACCESS, "secret_key": SECRET}
    return S3Settings(**{**values, "dns_buckets": False, "retries": 2, **changes})


def new_store(port: int, **changes: object) -> S3Objects:
    """One that holds nothing yet."""
    return S3Objects(S3Client(settings(port, **changes), pause=lambda _: None), f"repository-{next(_numbers)}")


def filled(port: int, repository: RepositorySimulator) -> S3Objects:
    store = new_store(port)
    for path, data in (repository.documents | repository.stored).items():
        store.write(path, data)
    return store


class TestBucketAsStore(ObjectStoreContract):
    @pytest.fixture
    def store(self, port: int) -> S3Objects:
        return new_store(port)


class TestBucketAsStoreSignedInTheOldWay(ObjectStoreContract):
    @pytest.fixture
    def store(self, port: int) -> S3Objects:
        return new_store(port, flavor=Flavor.V2)


class TestBatchAsStore(ObjectStoreContract):
    @pytest.fixture
    def store(self, port: int) -> S3Batch:
        return S3Batch(new_store(port, connections=4))


class TestBucketAsSource(ObjectSourceContract):
    @pytest.fixture
    def connect(self, port: int) -> object_source.Connect:
        return lambda repository: filled(port, repository)


class TestBucketAsDocuments(DocumentsContract):
    @pytest.fixture
    def connect(self, port: int) -> documents.Connect:
        return lambda repository: filled(port, repository)


class TestBucketAsWritableDocuments(WritableDocumentsContract):
    @pytest.fixture
    def documents(self, port: int) -> S3Objects:
        return new_store(port)


# A bucket


def test_lists_more_objects_than_one_answer_holds(port: int) -> None:
    store = new_store(port)
    batch = S3Batch(store)
    names = {ObjectId.of(f"{number}".encode()) for number in range(1100)}
    for number in range(1100):
        batch.put(ObjectId.of(f"{number}".encode()), f"{number}".encode())
    batch.flush()
    assert set(store.list()) == names
    assert (batch.stored_objects, batch.stored_bytes) == (1100, sum(len(str(number)) for number in range(1100)))


def test_caches_are_told_how_long_they_may_keep_what(port: int) -> None:
    store = new_store(port)
    name = ObjectId.of(b"bytes")
    store.put(name, b"bytes")
    store.write(".cvmfspublished", b"text")
    for path, kind, age in ((name.path, "octet-stream", "259200"), (".cvmfspublished", "x-cvmfs", "61")):
        with urlopen(f"http://127.0.0.1:{port}/software/{store.alias}/{path}", timeout=30) as answer:
            assert answer.headers["Content-Type"] == f"application/{kind}"
            assert answer.headers["Cache-Control"] == f"max-age={age}"


def test_a_key_that_is_wrong_is_refused_with_the_reason(port: int) -> None:
    store = new_store(port, secret_key="wrong")
    with pytest.raises(PermissionRefused, match=r"check the key|list the bucket"):
        store.write(".cvmfspublished", b"text")


def test_a_bucket_that_is_not_there_is_named(port: int) -> None:
    store = new_store(port, bucket="nowhere")
    with pytest.raises((NotFound, PermissionRefused), match="nowhere"):
        list(store.list())


# Publishing


def published(tmp_path: Path, port: int) -> tuple[Server, Path]:
    file = tmp_path / "s3.conf"
    file.write_text(configuration(port))
    fqrn = "sw.example.org"
    upstream = S3Upstream(tmp_path / "tmp", f"{tmp_path.name}/{fqrn}", file)
    url = f"http://127.0.0.1:{port}/software/{tmp_path.name}/{fqrn}"
    return Server(tmp_path / "server", fast_options(upstream=upstream, stratum0=url)), file


def test_a_repository_in_a_bucket_is_published_and_read_over_http(tmp_path: Path, port: int) -> None:
    server, _ = published(tmp_path, port)
    (server.tree / "nested").mkdir()
    (server.tree / "nested/.cvmfscatalog").touch()
    (server.tree / "nested/large").write_bytes(bytes(range(256)) * 200)
    (server.tree / "small").write_text("hello")
    outcome = server.publish(open_storage=storage.opened)
    assert outcome.published
    assert outcome.new_objects > 4
    url = f"http://127.0.0.1:{port}/software/{tmp_path.name}/{server.fqrn}"
    with swrepo.open(url, key=server.places.keys.public, cache=tmp_path / "cache") as repository:
        assert repository.read_bytes("/small") == b"hello"
        assert repository.read_bytes("/nested/large") == bytes(range(256)) * 200
    (server.tree / "small").write_text("changed")
    assert server.publish(open_storage=storage.opened).new_objects == 3  # content, catalog, history
    assert not server.publish(open_storage=storage.opened).published


def test_a_repository_that_is_in_the_bucket_is_not_written_over(tmp_path: Path, port: int) -> None:
    server, _ = published(tmp_path, port)
    options = fast_options(upstream=server.places.upstream)
    before = storage.reading(server.places).read(".cvmfspublished")
    with pytest.raises(UsageError, match="holds a repository already"):
        Server(tmp_path / "another", options)
    assert storage.reading(server.places).read(".cvmfspublished") == before


def test_what_is_in_the_bucket_is_not_sent_again(tmp_path: Path, port: int) -> None:
    server, _ = published(tmp_path, port)
    (server.tree / "a").write_text("the same content")
    server.publish()
    (server.tree / "b").write_text("the same content")
    assert server.publish().new_objects == 2  # catalog, history


def test_the_commands_create_publish_and_show(tmp_path: Path, port: int) -> None:
    file = tmp_path / "s3.conf"
    file.write_text(configuration(port, CVMFS_S3_BUCKET="other"))
    environment = {**os.environ, "SWREPO_PREFIX": str(tmp_path / "server")}

    def swrepo(*words: str) -> str:
        command = [sys.executable, "-m", "swrepo.cli.main", *words]
        return subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout

    url = f"http://127.0.0.1:{port}/other"
    assert "stored in   S3," in swrepo("server", "mkfs", "-s", str(file), "-w", url, "b.example.org")
    (tmp_path / "server/cvmfs/b.example.org/f").write_text("content")
    assert "published revision 2" in swrepo("server", "publish", "b.example.org")
    assert "trusted:          yes" in swrepo("server", "info", "b.example.org")
    assert "trunk" in swrepo("server", "tag", "b.example.org")
    assert "valid until" in swrepo("server", "resign", "b.example.org")
    key = tmp_path / "server/etc/cvmfs/keys/b.example.org.pub"
    assert swrepo("cat", f"{url}/b.example.org/f", "--key", str(key), "--cache", str(tmp_path / "cache")) == "content"


def test_garbage_in_a_bucket_is_collected_and_the_rest_is_whole(tmp_path: Path, port: int) -> None:
    file = tmp_path / "s3.conf"
    file.write_text(configuration(port))
    url = f"http://127.0.0.1:{port}/software/{tmp_path.name}"
    upstream = S3Upstream(tmp_path / "tmp", f"{tmp_path.name}/sw.example.org", file)
    options = fast_options(upstream=upstream, stratum0=url, garbage_collectable=True, auto_tag=False)
    server = Server(tmp_path / "server", options)
    for content in ("first", "second", "third"):
        (server.tree / "f").write_text(content)
        server.publish()
    store = storage.reading(server.places)
    before = set(store.list())
    keeper = Keeper(server.layout, server.clock.nanoseconds)
    collected = Collection(keeper, Keep(revisions=0)).run(server.fqrn)
    after = set(store.list())
    assert collected.objects == len(before - after) >= 4
    assert after < before
    faults: list[tuple[bytes, str]] = []
    RepositoryCheck(keeper, Scope(contents=True), lambda *found: faults.append(found)).run(server.fqrn)
    assert faults == []
    assert server.publish().revision == 4


def test_every_object_in_a_bucket_is_read_and_compared(tmp_path: Path, port: int) -> None:
    file = tmp_path / "s3.conf"
    file.write_text(configuration(port))
    upstream = S3Upstream(tmp_path / "tmp", f"{tmp_path.name}/sw.example.org", file)
    server = Server(tmp_path / "server", fast_options(upstream=upstream, stratum0=f"http://127.0.0.1:{port}/software"))
    (server.tree / "f").write_text("content")
    server.publish()
    store, faults = storage.reading(server.places), list[tuple[bytes, str]]()
    check = RepositoryCheck(
        Keeper(server.layout, server.clock.nanoseconds),
        Scope(integrity=True),
        lambda *found: faults.append(found),
    )
    assert (check.run(server.fqrn).objects, faults) == (len(list(store.list())), [])
    victim = next(name for name in store.list() if name.kind is Kind.FILE)
    store.write(victim.path, b"forged")
    check.run(server.fqrn)
    assert faults == [(victim.path.encode(), "its bytes do not match its name")]


PAGE = Path(__file__).resolve().parents[2] / "docs" / "s3.md"


def test_the_commands_of_the_page_run(tmp_path: Path, port: int) -> None:
    blocks = re.findall(r"<!-- runs -->\n```sh\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    assert blocks
    (tmp_path / "etc/cvmfs").mkdir(parents=True)
    environment = {
        **os.environ,
        "SWREPO_PREFIX": str(tmp_path),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
    }
    for block in blocks:
        text = block.replace("CVMFS_S3_HOST=objects.example.org", f"CVMFS_S3_HOST=127.0.0.1\nCVMFS_S3_PORT={port}")
        text = text.replace("objects.example.org", f"127.0.0.1:{port}").replace("software", "of-the-page")
        text = re.sub(r"(?<![\w.])/(etc/)?cvmfs/", lambda found: f"{tmp_path}{found[0]}", text)
        done = subprocess.run(["sh", "-ec", text], env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert done.stdout.endswith("hello\n")


# Servers that fail


class Scripted:
    """A server that gives the answers it was told, then 200; notes what it was asked."""

    def __init__(self, answers: list[int]) -> None:
        self.answers = answers
        self.asked: list[tuple[str, str, dict[str, str], bytes]] = []
        self.lock = threading.Lock()


@contextmanager
def scripted(*answers: int) -> Iterator[tuple[Scripted, int]]:
    state = Scripted(list(answers))

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            with state.lock:
                state.asked.append((self.command, self.path, dict(self.headers), body))
                status = state.answers.pop(0) if state.answers else 200
            if not status:
                self.close_connection = True  # hang up
                return
            self.send_response(status)
            text = b"" if self.command == "HEAD" else b"<Error><Code>Some</Code><Message>reason</Message></Error>"
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        do_GET = do_PUT = do_HEAD = do_DELETE = answer  # noqa: N815 - as http.server has it

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield state, server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize("failure", [500, 503, 429, 0])
def test_what_may_go_by_is_tried_again(failure: int) -> None:
    pauses: list[float] = []
    with scripted(failure, failure) as (state, port):
        store = S3Objects(S3Client(settings(port, peek=False), pause=pauses.append), "a")
        store.put(ObjectId.of(b"bytes"), b"bytes")
    assert [(method, body) for method, _, _, body in state.asked] == [("PUT", b"bytes")] * 3
    assert len(pauses) == 2
    assert 0 < pauses[0] <= 0.1 < 2 * pauses[1] <= 0.4


def test_what_fails_again_and_again_is_an_error_with_every_try() -> None:
    with scripted(500, 503, 0, 0) as (_, port):
        store = S3Objects(S3Client(settings(port), pause=lambda _: None), "a")
        with pytest.raises(Unreachable) as failure:
            store.read(".cvmfspublished")
    assert len(failure.value.tries) == 3
    assert "500 Some: reason" in str(failure.value)


def test_what_will_not_go_by_is_not_tried_again() -> None:
    with scripted(400) as (state, port):
        store = S3Objects(S3Client(settings(port)), "a")
        with pytest.raises(Unreachable, match="HTTP status 400 Some: reason"):
            store.read(".cvmfspublished")
    assert len(state.asked) == 1


def test_an_object_is_asked_for_before_it_is_sent() -> None:
    with scripted(404, 200, 200) as (state, port):
        store = S3Objects(S3Client(settings(port)), "a")
        name = ObjectId.of(b"bytes")
        store.put(name, b"bytes")
        store.put(name, BytesIO(b"bytes"))
    assert [(method, path) for method, path, _, _ in state.asked] == [
        ("HEAD", f"/software/a/{name.path}"),
        ("PUT", f"/software/a/{name.path}"),
        ("HEAD", f"/software/a/{name.path}"),
    ]
    assert state.asked[1][2]["x-amz-acl"] == "public-read"


def test_an_acl_that_is_empty_is_not_sent() -> None:
    with scripted() as (state, port):
        S3Objects(S3Client(settings(port, acl="")), "a").write(".cvmfspublished", b"")
    assert "x-amz-acl" not in state.asked[0][2]


def test_a_batch_tells_of_a_failure_at_the_flush_and_later() -> None:
    with scripted(400) as (_, port):
        batch = S3Batch(S3Objects(S3Client(settings(port, peek=False, connections=1)), "a"))
        batch.put(ObjectId.of(b"bytes"), b"bytes")
        for _ in range(2):
            with pytest.raises(Unreachable, match="400"):
                batch.flush()
        with pytest.raises(Unreachable):
            batch.put(ObjectId.of(b"more"), b"more")


def test_nothing_is_sent_under_a_name_that_is_not_its_own() -> None:
    with scripted() as (state, port), pytest.raises(CorruptObject):
        S3Batch(S3Objects(S3Client(settings(port)), "a")).put(ObjectId.of(b"bytes"), b"others")
    assert not state.asked


def test_a_file_that_is_too_large_for_one_request_is_refused() -> None:
    store = S3Objects(S3Client(settings(1, peek=False)), "a")
    with pytest.raises(UsageError, match="5 GB at a time"):
        store.put_checked(ObjectId.of(b""), b"", "", 6 << 30)


# Signatures and settings

EXAMPLE = S3Settings(
    host="s3.amazonaws.com",
    bucket="examplebucket",
    access_key="AKIAIOSFODNN7EXAMPLE",
    secret_key="wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
)


@pytest.mark.parametrize(
    ("query", "signature"),
    [
        ((("lifecycle", ""),), "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"),
        ((("prefix", "J"), ("max-keys", "2")), "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"),
    ],
)
def test_signatures_are_those_of_the_published_examples(query: tuple[tuple[str, str], ...], signature: str) -> None:
    headers = signed(S3Request("GET", query=query), EXAMPLE, datetime(2013, 5, 24, tzinfo=UTC))
    assert headers["authorization"].endswith(f"Signature={signature}")


def test_the_bucket_is_part_of_the_host_or_of_the_path(tmp_path: Path) -> None:
    request = S3Request("GET", "a b/data/x")
    assert request.url(EXAMPLE) == "http://examplebucket.s3.amazonaws.com/a%20b/data/x"
    (tmp_path / "s3.conf").write_text(configuration(1, CVMFS_S3_USE_HTTPS="yes", CVMFS_S3_PORT="443"))
    assert request.url(s3_settings.load(tmp_path / "s3.conf")) == "https://127.0.0.1/software/a%20b/data/x"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"CVMFS_S3_FLAVOR": "azure"}, "awsv4 or awsv2"),
        ({"CVMFS_S3_X_AMZ_ACL": "everybody"}, "public-read"),
        ({"CVMFS_S3_PORT": "0"}, "from 1 to 65535"),
        ({"CVMFS_S3_REGIO": "x"}, "did you mean CVMFS_S3_REGION"),
        ({"CVMFS_S3_BUCKET": ""}, "does not set CVMFS_S3_BUCKET"),
    ],
)
def test_settings_that_cannot_be_used_are_named(tmp_path: Path, changes: dict[str, str], message: str) -> None:
    (tmp_path / "s3.conf").write_text(configuration(1, **changes))
    with pytest.raises(ConfigError, match=message):
        s3_settings.load(tmp_path / "s3.conf")


def test_without_a_region_requests_are_signed_as_the_original_does(tmp_path: Path) -> None:
    (tmp_path / "s3.conf").write_text(configuration(1, CVMFS_S3_REGION=""))
    assert s3_settings.load(tmp_path / "s3.conf").flavor is Flavor.V2


def test_the_secret_is_in_no_message() -> None:
    assert SECRET not in repr(settings(1))


def test_a_replica_in_a_bucket_of_a_repository_in_a_bucket(tmp_path: Path, port: int) -> None:
    server, file = published(tmp_path, port)
    (server.tree / "nested").mkdir()
    (server.tree / "nested/.cvmfscatalog").touch()
    (server.tree / "nested/large").write_bytes(os.urandom(2 << 20))
    (server.tree / "small").write_text("hello")
    server.publish()
    upstream = S3Upstream(tmp_path / "tmp", f"{tmp_path.name}/copy/{server.fqrn}", file)
    replica = Replica(
        tmp_path / "stratum1",
        server,
        f"http://127.0.0.1:{port}/software/{tmp_path.name}/{server.fqrn}",
        upstream=upstream,
    )
    done = replica.snapshot()
    assert done.is_new
    assert replica.faults() == []
    url = f"http://127.0.0.1:{port}/software/{tmp_path.name}/copy/{server.fqrn}"
    with swrepo.open(url, key=server.places.keys.public, cache=tmp_path / "cache") as repository:
        assert repository.read_bytes("/small") == b"hello"
        assert repository.read_bytes("/nested/large") == (server.tree / "nested/large").read_bytes()
    (server.tree / "small").write_text("changed")
    server.publish()
    assert replica.snapshot().fetched == 3  # content, catalog, history
    assert replica.snapshot().fetched == 0
    assert replica.faults() == []
