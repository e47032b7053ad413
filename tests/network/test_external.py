"""Files whose content lies on servers of its own: asked for by path, in parts where they are cut, verified."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

import swrepo
from swrepo.cli.main import main
from swrepo.client.access import Access
from swrepo.client.request import AccessRequest
from swrepo.config.network import NetworkParameters, ServerParameters
from swrepo.errors import CorruptObject, ObjectNotFound
from swrepo.format.compression import Compression
from swrepo.net.connect import ExternalConnection
from tests.faults import Exchange, FaultServer, instead, status, truth
from tests.publishing import Server, fast_options
from tests.simulated_trees import File
from tests.simulator import MASTER, NOW, RepositorySimulator, key

WHOLE = b"whole, outside of the repository"
CUT = bytes(range(256)) * 10
PATH = "/data%20of/a%C3%A4%25.root"
NAME = "/data of/aä%.root".encode()


def in_parts(exchange: Exchange) -> None:
    """What web servers do with a Range."""
    asked = exchange.asked.headers.get("range")
    if asked is None or exchange.content is None:
        truth(exchange)
        return
    first, _, last = asked.removeprefix("bytes=").partition("-")
    piece = exchange.content[int(first) : int(last) + 1]
    status(206, {"Content-Range": f"bytes {asked[6:]}/{len(exchange.content)}"}, piece)(exchange)


@pytest.fixture
def repository() -> RepositorySimulator:
    repository = RepositorySimulator()
    repository.publish(
        {
            NAME: File(content=WHOLE, compression=Compression.NONE, external=True),
            b"/cut": File(content=CUT, compression=Compression.NONE, external=True, chunk_size=1000),
            b"/inside": File(content=b"in the repository"),
        }
    )
    return repository


@pytest.fixture
def servers() -> Iterator[tuple[FaultServer, FaultServer]]:
    contents = {f"/ext{PATH}": WHOLE, "/ext/cut": CUT}
    with FaultServer(contents) as first, FaultServer(contents) as second:
        first.always(in_parts)
        second.always(in_parts)
        yield first, second


@pytest.fixture
def opening(repository: RepositorySimulator, tmp_path: Path) -> Iterator[Callable[..., Access]]:
    with ExitStack() as stack:
        contents = {f"/{path}": data for path, data in {**repository.documents, **repository.stored}.items()}
        inside = stack.enter_context(FaultServer(contents))
        public = tmp_path / "key.pub"
        public.write_bytes(key(MASTER).public_key.pem)

        def opened(*external: str) -> Access:
            network = NetworkParameters(external=ServerParameters(urls=external), back_off_first=0.01)
            request = AccessRequest(
                (inside.url,), (public,), tmp_path / "cache", repository.fqrn, clock=lambda: NOW, network=network
            )
            return stack.enter_context(Access(request))

        yield opened


def read(access: Access, path: bytes) -> bytes:
    with access.revision.content(path) as content:
        return b"".join(content.blocks())


def test_a_file_is_fetched_once_by_its_path(opening, servers) -> None:
    access = opening(f"{servers[0].url}/ext/")
    assert read(access, NAME) == WHOLE
    assert read(access, NAME) == WHOLE
    assert [asked.target for asked in servers[0].requests] == [f"/ext{PATH}"]
    assert read(access, b"/inside") == b"in the repository"


def test_a_chunk_is_the_part_of_the_file_that_it_is(opening, servers) -> None:
    access = opening(f"{servers[0].url}/ext")
    with access.revision.content(b"/cut") as content:
        assert content.pread(1500, 100) == CUT[1500:1600]
    assert [asked.headers["range"] for asked in servers[0].requests] == ["bytes=1000-1999"]
    assert read(access, b"/cut") == CUT


def test_a_server_that_knows_no_parts_sends_more_and_it_is_cut_out(opening, servers) -> None:
    servers[0].always(truth)
    assert read(opening(f"{servers[0].url}/ext"), b"/cut") == CUT


@pytest.mark.parametrize("behaviour", [instead(b"damaged"), status(503), status(404)])
def test_another_server_stands_in_for_one_that_fails_or_has_something_else(opening, servers, behaviour) -> None:
    servers[0].always(behaviour)
    access = opening(f"{servers[0].url}/ext", f"{servers[1].url}/ext")
    assert read(access, NAME) == WHOLE
    assert read(access, b"/cut") == CUT


def test_what_no_server_has_right_is_an_error_and_not_shown(opening, servers) -> None:
    servers[0].always(instead(b"damaged"))
    with pytest.raises(CorruptObject):
        read(opening(f"{servers[0].url}/ext"), NAME)


def test_without_a_server_the_error_says_what_to_set(opening) -> None:
    with pytest.raises(ObjectNotFound, match=r"CVMFS_EXTERNAL_URL"):
        read(opening(), NAME)


def test_only_so_many_servers_are_used(servers) -> None:
    urls = tuple(f"{server.url}/ext" for server in servers)
    network = NetworkParameters(external=ServerParameters(urls=urls, most=1))
    connection = ExternalConnection(network)
    try:
        assert connection.files.routes.servers == urls[:1]
    finally:
        connection.close()


def test_what_we_publish_as_external_is_read_from_where_it_lies(tmp_path: Path) -> None:
    server = Server(tmp_path / "server", fast_options(external=True))
    (server.tree / "data of").mkdir()
    (server.tree / os.fsdecode(NAME[1:])).write_bytes(WHOLE)
    (server.tree / "cut").write_bytes(CUT * 20)
    server.publish()
    with FaultServer({f"/ext{PATH}": WHOLE, "/ext/cut": CUT * 20}) as outside:
        outside.always(in_parts)
        given = {"CVMFS_EXTERNAL_URL": f"{outside.url}/ext", "CVMFS_EXTERNAL_HTTP_PROXY": "DIRECT"}
        with swrepo.open(
            server.places.storage, key=server.places.keys.public, cache=tmp_path / "cache", settings=given
        ) as repository:
            assert repository.read_bytes(NAME) == WHOLE
            assert repository.read_bytes("/cut") == CUT * 20


def test_grafted_files_that_the_publisher_never_had_are_read_by_their_parts(tmp_path: Path) -> None:
    content = CUT * 500  # two chunks of 1 MB and some
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "large").write_bytes(content)
    (elsewhere / "small").write_bytes(WHOLE)
    server = Server(tmp_path / "server", fast_options(external=True))
    assert main(["server", "graft", str(elsewhere), "-o", str(server.tree / "data"), "-c", "1"]) == 0
    server.publish()
    with FaultServer({"/data/large": content, "/data/small": WHOLE}) as outside:
        outside.always(in_parts)
        given = {"CVMFS_EXTERNAL_URL": outside.url, "CVMFS_EXTERNAL_HTTP_PROXY": "DIRECT"}
        with swrepo.open(
            server.places.storage, key=server.places.keys.public, cache=tmp_path / "cache", settings=given
        ) as repository:
            assert repository.read_bytes("/data/large") == content
            assert repository.read_bytes("/data/small") == WHOLE
        outside.always(instead(b"damaged"))
        with (
            swrepo.open(
                server.places.storage, key=server.places.keys.public, cache=tmp_path / "other", settings=given
            ) as repository,
            pytest.raises(CorruptObject),
        ):
            repository.read_bytes("/data/small")
