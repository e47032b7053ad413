"""A program's first file is opened, and all that its profile lists comes at once: on a real mount, over HTTP."""

from __future__ import annotations

import http.server
import json
import os
import random
import subprocess
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from swrepo.cache.disk import DiskCache
from swrepo.format import opening, pack, profile
from swrepo.format.object_id import ObjectId
from swrepo.format.opening import Opening
from swrepo.format.profile import Profile, ProfileFile
from swrepo.publish import profiles as making
from swrepo.publish.profiles import PackLimits
from swrepo.repository.profiles import MOST_STARTED
from swrepo.repository.revision import Revision
from tests.mount.mounted import Mount, mounted, wait_until
from tests.mount.test_reading import Server, server  # noqa: F401 - a fixture
from tests.mount.test_refresh import Served
from tests.simulated_trees import File, Symlink
from tests.simulator import RepositorySimulator

pytestmark = pytest.mark.mount

PIECE = 64 << 10
SMALL = [b"/lib/small%02d" % number for number in range(40)]
NESTED = (b"/nested", b"/nested/deep")
INNER = [b"/nested/in%d" % number for number in range(5)] + [b"/nested/deep/in%d" % number for number in range(5)]
LARGE = [b"/lib/large%d" % number for number in range(3)]
OTHERS = [b"/other/no%d" % number for number in range(20)]
CHUNKED = b"/data/chunked"
PROGRAM = [b"/bin/prog", *SMALL, *INNER, *LARGE]


def body(path: bytes) -> bytes:
    """Large ones do not compress, so that they are not packed."""
    return random.Random(path).randbytes(200_000) if path in LARGE else path * 90


CONTENT = {path: body(path) for path in (*PROGRAM, *OTHERS)} | {
    CHUNKED: b"".join(b"%08d" % n * (PIECE // 8) for n in range(6))
}


def tree(**more: File | Symlink) -> dict[bytes, File | Symlink]:
    files: dict[bytes, File | Symlink] = {path: File(content=content) for path, content in CONTENT.items()}
    files[CHUNKED] = File(content=CONTENT[CHUNKED], chunk_size=PIECE)
    return files | {name.encode(): node for name, node in more.items()}


def revision_of(simulator: RepositorySimulator, directory: Path) -> Revision:
    return Revision(simulator.manifest.root_catalog, DiskCache(directory, simulator), simulator.manifest.root_size)


def with_profile(simulator: RepositorySimulator, scratch: Path) -> dict[bytes, File | Symlink]:
    """What a publisher adds: the profile of a trace of the program."""
    trace = [Opening("", path) for path in PROGRAM] + [Opening("", CHUNKED, offset=n * PIECE) for n in (0, 3)]
    with revision_of(simulator, scratch) as revision:
        files, _ = making.merged([trace], 1)
        made = making.make(revision, simulator, [b"/bin/prog"], files, (), PackLimits(60_000, 120_000))
    home = profile.DIRECTORY + b"/prog/"
    packs = {home + b"pack.%d" % number: File(content=data) for number, data in enumerate(made.packs)}
    assert packs
    return {
        **packs,
        home + b"profile.json": File(content=profile.encode(made.profile)),
        profile.TRIGGERS + b"/prog@0": Symlink(target=b"../../bin/prog"),
    }


@pytest.fixture
def served(tmp_path: Path) -> Served:
    found = Served(tmp_path)
    found.publish(tree(), NESTED)
    found.profile = with_profile(found.simulator, tmp_path / "scratch")  # type: ignore[attr-defined]
    found.publish({**tree(), **found.profile}, NESTED)  # type: ignore[attr-defined]
    return found


def over_network(served: Served, server: Server, tmp_path: Path) -> dict:  # noqa: F811
    fqrn = served.simulator.fqrn
    place = tmp_path / "www" / fqrn
    if not place.exists():
        place.symlink_to(served.directory / fqrn)
    return {**served.request(), "urls": [f"{server.url}/{fqrn}"]}


def named_only(served: Served, server: Server, tmp_path: Path) -> dict:  # noqa: F811
    """Guesses would fetch the same objects; whether they do depends on how long this server seems to take."""
    return {**over_network(served, server, tmp_path), "guesses": False}


def read(mount: Mount, path: bytes) -> bytes:
    return (mount.point / path.decode()[1:]).read_bytes()


def ahead(mount: Mount) -> dict[str, int]:
    return {
        line.rpartition(" ")[0]: int(line.rpartition(" ")[2])
        for line in mount.ask("counters").splitlines()
        if line.startswith(("ahead ", "learned "))
    }


def settled(mount: Mount, objects: int) -> dict[str, int]:
    """The counters, once that many objects have come because a list has them."""

    def came() -> int:
        found = ahead(mount)
        return sum(found.get(f"ahead {name} fetched", 0) for name in ("profile", "pack", "bundle"))

    wait_until(lambda: came() >= objects)
    return ahead(mount)


COUNT = len(PROGRAM) - 1 + 2
"""Objects that the profile has fetched: its trigger was asked for already."""


def objects_of(server: Server) -> list[str]:  # noqa: F811
    return [path for path in server.requests if "/data/" in path]


def test_opening_the_trigger_fetches_all_that_is_listed_and_what_is_read_then_was_here(
    served: Served,
    server: Server,  # noqa: F811
    tmp_path: Path,
) -> None:
    with mounted(tmp_path, **named_only(served, server, tmp_path)) as mount:
        assert read(mount, b"/bin/prog") == CONTENT[b"/bin/prog"]
        found = settled(mount, COUNT)
        before = len(server.requests)
        for path in PROGRAM:
            assert read(mount, path) == CONTENT[path]
        assert len(server.requests) == before, "nothing was asked for that was listed"
        found = ahead(mount)
        assert found["learned started"] == 1
        assert found["ahead pack fetched"] == found["ahead pack used"] == len(SMALL) + len(INNER)
        assert found["ahead pack wasted bytes"] == 0
        assert found["learned packs"] >= 1
        assert found["ahead profile fetched"] == len(LARGE) + 2
        assert found["ahead profile used"] == len(LARGE), "the chunks were not read so far"
        with open(mount.point / "data/chunked", "rb", buffering=0) as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_RANDOM)
            assert os.pread(file.fileno(), 8, 3 * PIECE) == b"00000003"
        assert len(server.requests) == before
        shown = json.loads(mount.ask("status"))["ahead"]
        assert (shown["fetched"], shown["wasted"]) == (COUNT, 1), "the status has it: one chunk is left"
    objects = objects_of(server)
    assert len(objects) == len(set(objects)), "each travels once"
    assert len(objects) < 25, "where there are more than 55 objects"


def test_who_opens_at_once_what_the_profile_brings_waits_for_it_and_nothing_travels_twice(
    served: Served,
    server: Server,  # noqa: F811
    tmp_path: Path,
) -> None:
    with mounted(tmp_path, **named_only(served, server, tmp_path)) as mount:
        for path in PROGRAM:
            assert read(mount, path) == CONTENT[path]
        settled(mount, 1)
        assert "ahead walk fetched" not in ahead(mount), "nobody guesses where a list knows"
        assert read(mount, CHUNKED) == CONTENT[CHUNKED]
    objects = objects_of(server)
    assert len(objects) == len(set(objects))


@pytest.mark.parametrize("switch", ["profiles", "prefetch"])
def test_a_mount_that_is_told_to_uses_no_profiles(
    switch: str,
    served: Served,
    server: Server,  # noqa: F811
    tmp_path: Path,
) -> None:
    with mounted(tmp_path, **{switch: False}, **named_only(served, server, tmp_path)) as mount:
        assert read(mount, b"/bin/prog") == CONTENT[b"/bin/prog"]
        assert ahead(mount)["learned started"] == 0


def test_fetching_ahead_is_switched_off_and_on_under_the_mount(
    served: Served,
    server: Server,  # noqa: F811
    tmp_path: Path,
) -> None:
    with mounted(tmp_path, fill=["/other"], **named_only(served, server, tmp_path)) as mount:
        assert mount.ask("prefetch") == "on"
        assert mount.ask("prefetch off") == "off"
        assert "error" in mount.ask("prefetch perhaps")
        read(mount, b"/bin/prog")
        read(mount, OTHERS[0])
        found = json.loads(mount.ask("status"))
        assert (found["prefetch"], found["ahead"]["fetched"]) == (False, 0)
        assert [one["state"] for one in found["filling"]] == ["waits"]
        assert mount.ask("prefetch on") == "on"
        read(mount, OTHERS[1])

        def filling() -> dict[str, Any]:
            (one,) = json.loads(mount.ask("status"))["filling"]
            return dict(one)

        wait_until(lambda: filling()["state"] == "done")
        size = sum(len(CONTENT[path]) for path in OTHERS)
        assert filling() == {"path": "/other", "state": "done", "done": size, "total": size}
        server.requests.clear()
        for path in OTHERS:
            assert read(mount, path) == CONTENT[path]
        assert objects_of(server) == [], "all of it is here"


def test_files_that_start_nothing_fetch_nothing(
    served: Served,
    server: Server,  # noqa: F811
    tmp_path: Path,
) -> None:
    with mounted(tmp_path, **named_only(served, server, tmp_path)) as mount:
        before = len(objects_of(server))
        assert read(mount, OTHERS[0]) == CONTENT[OTHERS[0]]
        assert read(mount, SMALL[0]) == CONTENT[SMALL[0]]
        assert ahead(mount)["learned started"] == 0
        assert len(objects_of(server)) == before + 2


def test_a_profile_holds_over_a_publication_that_changes_some_of_its_files(
    served: Served,
    server: Server,  # noqa: F811
    tmp_path: Path,
) -> None:
    changed = {SMALL[3]: b"changed" * 50, INNER[7]: b"changed below" * 50, LARGE[1]: b"changed, large" * 9000}
    now = {**tree(), **served.profile}  # type: ignore[attr-defined]
    for path, content in changed.items():
        now[path] = File(content=content)
    del now[SMALL[4]]
    served.publish(now, NESTED)
    with mounted(tmp_path, **named_only(served, server, tmp_path)) as mount:
        read(mount, b"/bin/prog")
        settled(mount, COUNT)
        server.requests.clear()
        for path in PROGRAM:
            if path != SMALL[4]:
                assert read(mount, path) == changed.get(path, CONTENT[path])
        assert objects_of(server) == [], "what changed was fetched as it is now"
        assert not (mount.point / SMALL[4].decode()[1:]).exists()
        found = ahead(mount)
        assert found["ahead pack wasted"] <= 1, "the old bytes of a file whose catalog came later than the pack"


def test_a_new_revision_under_the_mount_brings_its_profile(
    served: Served,
    server: Server,  # noqa: F811
    tmp_path: Path,
) -> None:
    (tmp_path / "fresh").mkdir()
    fresh = Served(tmp_path / "fresh")
    fresh.publish(tree(), NESTED)
    (tmp_path / "www" / fresh.simulator.fqrn).symlink_to(fresh.directory / fresh.simulator.fqrn)
    request = {**fresh.request(), "urls": [f"{server.url}/{fresh.simulator.fqrn}"], "guesses": False}
    with mounted(tmp_path / "mounted", **request) as mount:
        read(mount, OTHERS[0])
        fresh.publish({**tree(), **with_profile(fresh.simulator, tmp_path / "s2")}, NESTED)
        mount.ask("remount")
        read(mount, b"/bin/prog")
        settled(mount, COUNT)


BOMB = zlib.compress(bytes(20 << 20), 9)


def lies(served: Served, kind: str) -> dict[bytes, File | Symlink]:
    """The profile of a publisher who means no good, or whose tools are broken."""
    found = dict(served.profile)  # type: ignore[attr-defined]
    home = profile.DIRECTORY + b"/prog/"
    first = home + b"pack.0"
    text = profile.parse(found[home + b"profile.json"].content)
    rows = pack.table(found[first].content)
    if kind == "a pack of other bytes":
        evil = [(row.id, row.plain, b"x" * row.stored) for row in rows]
        found[first] = File(content=pack.encode(evil))
    elif kind == "packs that are bombs":
        found[first] = File(content=pack.encode([(row.id, row.plain, BOMB) for row in rows]))
    elif kind == "packs that are cut off":
        found[first] = File(content=found[first].content[:-100])
    elif kind == "no pack":
        found[first] = File(content=b"nothing of the kind")
    elif kind == "packs that are missing":
        found = {path: node for path, node in found.items() if b"/pack." not in path}
    elif kind == "names that exist nowhere":
        files = tuple(ProfileFile(file.path, ObjectId.of(file.path), 10, file.pack) for file in text.files)
        found[home + b"profile.json"] = File(content=profile.encode(Profile(text.triggers, files, text.packs)))
    elif kind == "paths that exist nowhere":
        files = tuple(ProfileFile(b"/nowhere" + file.path) for file in text.files)
        found[home + b"profile.json"] = File(content=profile.encode(Profile(text.triggers, files)))
    else:
        found[home + b"profile.json"] = File(content=b"{" * 1000)
    return found


@pytest.mark.parametrize(
    "kind",
    [
        "a pack of other bytes",
        "packs that are bombs",
        "packs that are cut off",
        "no pack",
        "packs that are missing",
        "names that exist nowhere",
        "paths that exist nowhere",
        "no profile",
    ],
)
def test_a_hostile_profile_costs_time_at_most(
    kind: str,
    served: Served,
    server: Server,  # noqa: F811
    tmp_path: Path,
) -> None:
    served.publish({**tree(), **lies(served, kind)}, NESTED)
    with mounted(tmp_path, **named_only(served, server, tmp_path)) as mount:
        for path in PROGRAM:
            assert read(mount, path) == CONTENT[path]
        assert read(mount, CHUNKED) == CONTENT[CHUNKED]
        assert ahead(mount)["learned started"] == 1


def test_one_file_starts_so_many_profiles_and_no_more(
    served: Served,
    server: Server,  # noqa: F811
    tmp_path: Path,
) -> None:
    links = {profile.TRIGGERS + b"/p%d@0" % number: Symlink(target=b"../../bin/prog") for number in range(500)}
    served.publish({**tree(), **links}, NESTED)
    with mounted(tmp_path, **named_only(served, server, tmp_path)) as mount:
        assert read(mount, b"/bin/prog") == CONTENT[b"/bin/prog"]
        assert ahead(mount)["learned started"] == MOST_STARTED


def test_a_profile_of_the_node_needs_nothing_of_the_publisher(
    served: Served,
    server: Server,  # noqa: F811
    tmp_path: Path,
) -> None:
    served.publish(tree(), NESTED)
    directory = tmp_path / "profiles" / served.simulator.fqrn
    directory.mkdir(parents=True)
    listed = Profile((OTHERS[0],), tuple(map(ProfileFile, [*SMALL, *INNER])))
    (directory / "mine.json").write_bytes(profile.encode(listed))
    (directory / "broken.json").write_text("{")
    request = named_only(served, server, tmp_path)
    with mounted(tmp_path, profiles_directory=str(directory.parent), expected=("broken.json",), **request) as mount:
        assert ahead(mount)["learned profiles here"] == 1
        read(mount, OTHERS[0])
        found = settled(mount, len(SMALL) + len(INNER))
        assert found["learned packs"] == 0
        server.requests.clear()
        for path in (*SMALL, *INNER):
            assert read(mount, path) == CONTENT[path]
        assert objects_of(server) == []


def bundle(*paths: bytes) -> File:
    document = {"name": "CVMFS_BUNDLE", "version": "1.0.0", "encoding": "UTF-8"}
    return File(content=json.dumps({**document, "dependencies": [path.decode() for path in paths]}).encode())


def test_bundles_of_the_original_are_fetched_unless_it_is_told_not_to(
    served: Served,
    server: Server,  # noqa: F811
    tmp_path: Path,
) -> None:
    listed = [*SMALL[:10], *INNER, CHUNKED, b"/no/such"]
    started = File(content=CONTENT[OTHERS[0]], starts_bundle=True)
    served.publish({**tree(), OTHERS[0]: started, b"/other/.cvmfsbundle-no0": bundle(*listed)}, NESTED)
    request = named_only(served, server, tmp_path)
    with mounted(tmp_path / "with", **request) as mount:
        read(mount, OTHERS[1])
        assert ahead(mount)["learned started"] == 0
        read(mount, OTHERS[0])
        found = settled(mount, 10 + len(INNER) + 6)
        assert found["ahead bundle fetched"] == 10 + len(INNER) + 6, "the file of many chunks is fetched whole"
        assert os.getxattr(mount.point / "other/no0", "user.bundle_trigger") == b"1"
        assert os.getxattr(mount.point / "other/no1", "user.bundle_trigger") == b"0"
    with mounted(tmp_path / "without", bundles=False, **request) as mount:
        read(mount, OTHERS[0])
        assert ahead(mount)["learned started"] == 0


# Round trips


class Rounds:
    """A link that counts: requests that are under way together are answered together, and that is one round trip.

    It answers when no further request has come for a moment; so a slow machine can only make more rounds of it.
    """

    QUIET = 0.3

    def __init__(self, root: Path) -> None:
        self.rounds: list[list[str]] = []
        self._changed = threading.Condition()
        self._waiting: list[tuple[str, threading.Event]] = []
        self._is_open = True
        outer = self

        class Handler(http.server.SimpleHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                go = threading.Event()
                with outer._changed:
                    outer._waiting.append((self.path, go))
                    outer._changed.notify()
                go.wait(60)
                super().do_GET()

            def log_message(self, *_args: object) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(root)))
        self._server.daemon_threads = True
        self._server.request_queue_size = 128
        self._threads = [
            threading.Thread(target=self._server.serve_forever, args=(0.02,)),
            threading.Thread(target=self._answer),
        ]
        for thread in self._threads:
            thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def _answer(self) -> None:
        with self._changed:
            while self._is_open:
                if not self._waiting:
                    self._changed.wait(0.1)
                    continue
                while self._changed.wait(self.QUIET):
                    pass
                together, self._waiting = self._waiting, []
                self.rounds.append([path for path, _ in together])
                for _, go in together:
                    go.set()

    def close(self) -> None:
        with self._changed:
            self._is_open = False
            self._changed.notify()
        self._server.shutdown()
        for thread in self._threads:
            thread.join()
        self._server.server_close()


@contextmanager
def rounds(root: Path) -> Iterator[Rounds]:
    found = Rounds(root)
    try:
        yield found
    finally:
        found.close()


def test_a_program_starts_in_a_few_round_trips_however_many_files_it_opens(served: Served, tmp_path: Path) -> None:
    with rounds(served.directory) as link:
        request = {**served.request(), "urls": [f"{link.url}/{served.simulator.fqrn}"]}
        with mounted(tmp_path, **request) as mount:
            before = len(link.rounds)
            for path in PROGRAM:
                assert read(mount, path) == CONTENT[path]
            found = link.rounds[before:]
            assert len(PROGRAM) > 50
            assert len(found) <= 6, "profile, then catalogs, packs and objects, then what lies in deeper catalogs"
            assert sum(map(len, found)) < 25


# Traces


def traced(text: str) -> list[Opening]:
    return list(opening.parse(text.splitlines()))


def test_a_mount_remembers_what_was_opened_in_order(served: Served, tmp_path: Path) -> None:
    with mounted(tmp_path, **served.request()) as mount:
        for path in (SMALL[2], INNER[6], SMALL[1], SMALL[2]):
            read(mount, path)
        found = traced(mount.ask("trace"))
        assert [one.path for one in found] == [SMALL[2], INNER[6], SMALL[1]]
        assert {one.repository for one in found} == {served.simulator.fqrn}
        assert {one.pid for one in found} == {os.getpid()} or all(one.pid for one in found)


def test_a_trace_sees_also_what_the_kernel_has_and_which_chunks_and_catalogs_are_used(
    served: Served, tmp_path: Path
) -> None:
    with mounted(tmp_path, **served.request()) as mount:
        read(mount, SMALL[0])
        mount.ask("trace start")
        read(mount, SMALL[0])
        with open(mount.point / "data/chunked", "rb", buffering=0) as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_RANDOM)
            for piece in (4, 4, 1):
                os.pread(file.fileno(), 10, piece * PIECE + 100)
        read(mount, INNER[9])
        found = traced(mount.ask("trace stop"))
        assert [(one.path, one.offset) for one in found if not one.is_catalog] == [
            (SMALL[0], None),
            (CHUNKED, 4 * PIECE),
            (CHUNKED, 1 * PIECE),
            (INNER[9], None),
        ]
        assert {one.path for one in found if one.is_catalog} == {b"/nested", b"/nested/deep"}
        assert mount.ask("trace") == ""
        assert mount.ask("trace on").startswith("error: say trace")


def test_traces_do_not_change_what_is_read(served: Served, tmp_path: Path) -> None:
    with mounted(tmp_path, **served.request()) as mount:
        reader = subprocess.Popen(["sh", "-c", f"while cat {mount.point}/lib/*; do :; done"], stdout=subprocess.DEVNULL)
        try:
            for _ in range(20):
                mount.ask("trace start")
                assert read(mount, LARGE[0]) == CONTENT[LARGE[0]]
                mount.ask("trace stop")
            assert reader.poll() is None
        finally:
            reader.kill()
            reader.wait()
