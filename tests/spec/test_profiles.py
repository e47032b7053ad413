"""Profiles as values: made of traces, looked up in a revision, planned; and packs that lie."""

from __future__ import annotations

import os
import zlib
from io import BytesIO
from pathlib import Path

import pytest

from swrepo.cache.disk import DiskCache
from swrepo.errors import FormatError, NotFound, ObjectNotFound, UsageError
from swrepo.format import bundle, pack, profile
from swrepo.format.compression import Compression
from swrepo.format.object_id import ObjectId
from swrepo.format.opening import Opening
from swrepo.format.profile import NotedChunk, Profile, ProfileFile
from swrepo.mount.learned_plan import Planner
from swrepo.objects import codec
from swrepo.objects.packs import PackedObjects
from swrepo.objects.store import Want
from swrepo.publish import profiles as making
from swrepo.publish.profiles import PackLimits
from swrepo.repository import profiles
from swrepo.repository.profiles import Resolved
from swrepo.repository.revision import Revision
from tests.simulated_trees import File, Symlink
from tests.simulator import RepositorySimulator

FQRN = "software.example.org"
PIECE = 4096
TREE = {
    b"/bin/prog": File(content=b"#!/bin/prog\n" * 10),
    b"/lib/one": File(content=b"one" * 500),
    b"/lib/two": File(content=b"two" * 500),
    b"/lib/nested/three": File(content=b"three" * 500),
    b"/lib/plain": File(content=b"plain" * 10, compression=Compression.NONE),
    b"/lib/chunked": File(content=b"".join(b"%04d" % n * 1024 for n in range(5)), chunk_size=PIECE),
    b"/lib/external": File(content=b"far away", external=True),
    b"/lib/noise": File(content=os.urandom(40_000)),
    b"/lib/empty": File(content=b""),
    b"/lib/link": Symlink(target=b"one"),
    b"/.swrepo/triggers/prog@0": Symlink(target=b"../../bin/prog"),
    b"/.swrepo/triggers/prog@1": Symlink(target=b"../../bin/../bin/other"),
    b"/.swrepo/triggers/again@0": Symlink(target=b"../../bin/prog"),
    b"/.swrepo/triggers/out@0": Symlink(target=b"../../../etc/passwd"),
    b"/.swrepo/triggers/absolute@0": Symlink(target=b"/bin/prog"),
    b"/.swrepo/triggers/variable@0": Symlink(target=b"../../$(HOME)"),
    b"/.swrepo/triggers/noname": Symlink(target=b"../../bin/prog"),
    b"/.swrepo/triggers/file@0": File(content=b"no link"),
}


@pytest.fixture
def simulator() -> RepositorySimulator:
    found = RepositorySimulator()
    found.publish(TREE, (b"/lib/nested",))
    return found


def revision_of(simulator: RepositorySimulator, directory: Path) -> Revision:
    return Revision(simulator.manifest.root_catalog, DiskCache(directory, simulator), simulator.manifest.root_size)


def some_of(*offsets: int) -> tuple[NotedChunk, ...]:
    return tuple(map(NotedChunk, offsets))


def trace(*paths: bytes, **offsets: int) -> list[Opening]:
    return [Opening(FQRN, path, offset=offsets.get(path.decode().rpartition("/")[2])) for path in paths]


# Triggers


def test_the_links_to_triggers_say_what_starts_a_profile(simulator: RepositorySimulator, tmp_path: Path) -> None:
    with revision_of(simulator, tmp_path) as revision:
        simulator.requests.clear()
        assert profiles.triggers(revision) == {b"/bin/prog": ("again", "prog"), b"/bin/other": ("prog",)}
        assert not simulator.requests, "no request is made to find out"


def test_a_repository_without_profiles_has_no_triggers_and_costs_no_request(tmp_path: Path) -> None:
    simulator = RepositorySimulator()
    simulator.publish({b"/file": File(content=b"x")})
    with revision_of(simulator, tmp_path) as revision:
        simulator.requests.clear()
        assert profiles.triggers(revision) == {}
        assert profiles.names(revision) == []
        assert not simulator.requests


# Files of a profile in a revision


def test_a_file_that_is_as_it_was_is_fresh_and_another_is_not(simulator: RepositorySimulator, tmp_path: Path) -> None:
    with revision_of(simulator, tmp_path) as revision:
        content = revision.lookup(b"/lib/one").content
        fresh = profiles.resolve(revision, ProfileFile(b"/lib/one", content, 1500))
        stale = profiles.resolve(revision, ProfileFile(b"/lib/one", ObjectId.of(b"other"), 1500))
        assert fresh is not None
        assert stale is not None
        assert (fresh.is_fresh, stale.is_fresh) == (True, False)
        assert fresh.wants == stale.wants == tuple(revision.content(b"/lib/one").wants())


@pytest.mark.parametrize("path", [b"/lib/gone", b"/lib", b"/lib/link", b"/lib/external", b"/lib/empty/below"])
def test_what_has_no_bytes_in_the_repository_is_passed_over(
    simulator: RepositorySimulator, tmp_path: Path, path: bytes
) -> None:
    with revision_of(simulator, tmp_path) as revision:
        found = profiles.resolve(revision, ProfileFile(path))
        assert found is not None
        assert not found.wants


def test_only_the_chunks_that_are_used_are_wanted(simulator: RepositorySimulator, tmp_path: Path) -> None:
    with revision_of(simulator, tmp_path) as revision:
        every = tuple(revision.content(b"/lib/chunked").wants())
        some = profiles.resolve(revision, ProfileFile(b"/lib/chunked", chunks=some_of(0, 2 * PIECE + 7, 1 << 40)))
        whole = profiles.resolve(revision, ProfileFile(b"/lib/chunked"))
        assert some is not None
        assert whole is not None
        assert some.wants == (every[0], every[2])
        assert whole.wants == every


def test_a_file_in_a_catalog_that_is_not_here_is_known_later(simulator: RepositorySimulator, tmp_path: Path) -> None:
    listed = Profile((b"/bin/prog",), (ProfileFile(b"/lib/nested/three"), ProfileFile(b"/lib/one")))
    with revision_of(simulator, tmp_path) as revision:
        assert profiles.resolve(revision, listed.files[0]) is None
        assert list(profiles.missing_catalogs(revision, listed)) == [b"/lib/nested"]
        revision.tree.find(b"/lib/nested")
        assert list(profiles.missing_catalogs(revision, listed)) == []
        assert profiles.resolve(revision, listed.files[0]) is not None


def test_below_a_catalog_that_did_not_change_everything_is_as_it_was(
    simulator: RepositorySimulator, tmp_path: Path
) -> None:
    with revision_of(simulator, tmp_path / "before") as revision:
        files, _ = making.merged([trace(b"/bin/prog", b"/lib/nested/three", b"/lib/one")], 1)
        listed = making.make(revision, simulator, [b"/bin/prog"], files, limits=PackLimits(0)).profile
    assert [catalog.path for catalog in listed.catalogs] == [b"/lib/nested"]
    three = listed.files[1]
    simulator.publish({**TREE, b"/lib/one": File(content=b"changed")}, (b"/lib/nested",))
    with revision_of(simulator, tmp_path / "above") as revision:
        assert profiles.unchanged(revision, listed)(b"/lib/nested")
        assert [want.id for want in profiles.noted_catalogs(revision, listed, 1 << 30)] == [listed.catalogs[0].object]
        assert profiles.noted_catalogs(revision, listed, 10) == [], "there is no room for it"
        noted = profiles.as_noted(three, is_unchanged=True)
        assert noted is not None
        assert profiles.as_noted(three, is_unchanged=False) is None
        assert revision.content(b"/lib/nested/three").wants() == list(noted.wants)
        assert not profiles.unchanged(revision, listed)(b"/lib/nested"), "it is here, and says itself what it holds"
    simulator.publish({**TREE, b"/lib/nested/more": File(content=b"x")}, (b"/lib/nested",))
    with revision_of(simulator, tmp_path / "below") as revision:
        assert not profiles.unchanged(revision, listed)(b"/lib/nested")
        assert profiles.noted_catalogs(revision, listed, 1 << 30) == []


# Plans


def resolved(number: int, *, pack_number: int | None = None, fresh: bool = True, size: int = 100) -> Resolved:
    name = ObjectId.of(b"%d" % number)
    file = ProfileFile(b"/%d" % number, name, size, pack_number)
    return Resolved(file, (Want(name, size=size),), is_fresh=fresh)


def test_packed_files_come_from_their_packs_and_others_by_themselves() -> None:
    files = [resolved(1, pack_number=0), resolved(2), resolved(3, pack_number=1), resolved(4, pack_number=0)]
    found = Planner(1000).plan(files)
    assert found.packs == {0: [files[0].wants[0], files[3].wants[0]], 1: [files[2].wants[0]]}
    assert found.singles == [files[1].wants[0]]


def test_a_pack_of_which_little_is_left_is_not_fetched() -> None:
    files = [resolved(1, pack_number=0), *(resolved(n, pack_number=0, fresh=False) for n in (2, 3))]
    found = Planner(1000).plan(files)
    assert not found.packs
    assert found.singles == [file.wants[0] for file in files]


def test_a_plan_stays_within_its_room_and_asks_for_nothing_twice() -> None:
    planner = Planner(250)
    first = planner.plan([resolved(1), resolved(2), resolved(1), resolved(3)])
    assert first.singles == [resolved(1).wants[0], resolved(2).wants[0]]
    assert planner.plan([resolved(2), resolved(4, size=50), resolved(5, size=1)]).singles == [
        resolved(4, size=50).wants[0]
    ]


# Traces become profiles


def test_what_half_of_the_traces_open_is_merged_in_the_order_of_use() -> None:
    traces = [trace(b"/a", b"/b", b"/c"), trace(b"/a", b"/c", b"/b", b"/only-here"), trace(b"/a", b"/b", b"/c")]
    files, _ = making.merged(traces, 0.5)
    assert [file.path for file in files] == [b"/a", b"/b", b"/c"]
    everything, _ = making.merged(traces, 0.01)
    assert b"/only-here" in [file.path for file in everything]


def test_chunks_and_catalogs_of_traces_are_merged_too() -> None:
    one = [Opening(FQRN, b"/big", offset=0), Opening(FQRN, b"/big", offset=8), Opening(FQRN, b"/lib", is_catalog=True)]
    (file,), catalogs = making.merged([one, [Opening(FQRN, b"/big", offset=8)]], 0.5)
    assert file.chunks == some_of(0, 8)
    assert catalogs == (b"/lib",)


def test_what_came_before_the_trigger_is_no_part_of_the_profile() -> None:
    files, _ = making.merged([trace(b"/shell", b"/bin/prog", b"/lib/one")], 1)
    assert [file.path for file in making.from_first(files, [b"/bin/prog"])] == [b"/bin/prog", b"/lib/one"]
    with pytest.raises(UsageError, match="do not open /nowhere"):
        making.from_first(files, [b"/nowhere"])


@pytest.mark.parametrize(
    ("named", "opened"),
    [
        (b"/np/__init__.py", b"/np/__pycache__/__init__.cpython-311.pyc"),
        (b"/np/core.py", b"/np/core.py"),
        (b"/np/other.py", b"/np/other.py"),
        (b"/np/.py", b"/np/.py"),
        (b"/bin/prog", b"/bin/prog"),
    ],
)
def test_a_module_is_opened_as_what_python_compiled_of_it(named: bytes, opened: bytes) -> None:
    compiled = b"/np/__pycache__/__init__.cpython-311.pyc", b"/np/__pycache__/core.cpython-311.pyc"
    files, _ = making.merged([trace(*compiled, b"/np/__pycache__/otherwise.cpython-311.pyc", b"/np/core.py")], 1)
    assert making.as_opened(named, files) == opened


def test_small_objects_are_packed_and_come_out_of_the_packs_alone(
    simulator: RepositorySimulator, tmp_path: Path
) -> None:
    listed = [path for path in TREE if path.startswith((b"/bin", b"/lib"))]
    with revision_of(simulator, tmp_path / "cache") as revision:
        files, catalogs = making.merged([trace(*listed)], 1)
        made = making.make(revision, simulator, [b"/bin/prog"], files, catalogs, PackLimits(2000, 4000))
    by_path = {file.path: file for file in made.profile.files}
    assert set(made.left_out) == {b"/lib/external", b"/lib/link", b"/lib/empty"}
    assert by_path[b"/lib/noise"].pack is None, "too large to be packed"
    assert [chunk.offset for chunk in by_path[b"/lib/chunked"].chunks] == list(range(0, 5 * PIECE, PIECE))
    assert by_path[b"/lib/plain"].compression is Compression.NONE
    assert len(made.packs) == made.profile.packs > 0
    simulator.requests.clear()
    found: dict[ObjectId, bytes] = {}
    for number, data in enumerate(made.packs):
        source = PackedObjects(simulator, [Want(simulator.put(data), size=len(data))])
        noted = [profiles.as_noted(file, is_unchanged=False) for file in made.profile.files if file.pack == number]
        wants = [one.wants[0] for one in noted if one is not None]
        assert source.fetch_many(wants, lambda want, plain: found.__setitem__(want.id, plain)) == []
    assert len(found) == sum(file.pack is not None for file in made.profile.files)
    assert len(simulator.requests) == len(made.packs)


def test_a_profile_is_written_over_the_one_before_and_removed(tmp_path: Path) -> None:
    def made(packs: int, *triggers: bytes) -> making.Made:
        return making.Made(Profile(triggers, (), packs), [b"pack"] * packs, {})

    making.write(tmp_path, "prog", made(3, b"/a", b"/b/c"))
    making.write(tmp_path, "other", made(0, b"/a"))
    making.write(tmp_path, "prog", made(1, b"/d"))
    directory, links = tmp_path / ".swrepo/profiles/prog", tmp_path / ".swrepo/triggers"
    assert sorted(path.name for path in directory.iterdir()) == ["pack.0", "profile.json"]
    assert {link.name: os.readlink(link) for link in links.iterdir()} == {"prog@0": "../../d", "other@0": "../../a"}
    making.remove(tmp_path, "prog")
    assert [link.name for link in links.iterdir()] == ["other@0"]
    with pytest.raises(NotFound, match="profile list"):
        making.remove(tmp_path, "prog")
    with pytest.raises(UsageError, match="name"):
        making.write(tmp_path, "../x", made(0, b"/a"))


def test_limits_that_make_no_sense_are_refused() -> None:
    for largest, size in ((5, 5), (-1, 10), (10, pack.MOST_BYTES)):
        with pytest.raises(UsageError):
            PackLimits(largest, size)


# Packs that lie


class Memory:
    """Objects in memory. `served` counts."""

    def __init__(self) -> None:
        self.stored: dict[ObjectId, bytes] = {}
        self.served = 0

    def put(self, plain: bytes) -> Want:
        name = ObjectId.of(codec.encode(plain, Compression.ZLIB))
        self.stored[name] = codec.encode(plain, Compression.ZLIB)
        return Want(name, size=len(plain))

    def fetch(self, want: Want, out: BytesIO) -> None:
        self.served += 1
        if want.id not in self.stored:
            raise ObjectNotFound(want.id.text)
        codec.decode([self.stored[want.id]], want, out)


BOMB = zlib.compress(bytes(50 << 20), 9)


def hostile_packs(good: Want, stored: bytes) -> dict[str, bytes]:
    line = b"%s %d %d\n"
    name = good.id.text.encode()
    size = good.size or 0

    def one(*rows: tuple[bytes, int, int], body: bytes) -> bytes:
        return pack.MAGIC + b"%d\n" % len(rows) + b"".join(line % row for row in rows) + body

    return {
        "other bytes under the name": pack.encode([(good.id, size, codec.encode(b"evil" * 9, Compression.ZLIB))]),
        "a bomb under the name": pack.encode([(good.id, size, BOMB)]),
        "a bomb under its own name": pack.encode([(ObjectId.of(BOMB), 5, BOMB)]),
        "cut off": one((name, size, len(stored)), body=stored[:-3]),
        "more at the end": one((name, size, len(stored)), body=stored + b"x"),
        "lengths that overlap": one((name, size, len(stored)), (name, size, len(stored)), body=stored),
        "a length that is absurd": one((name, size, 10**11), body=stored),
        "a count that is absurd": pack.MAGIC + b"9999999999\n" + stored,
        "a table without an end": pack.MAGIC + b"20000\n" + line % (name, size, 0) * 19_999,
        "no pack": b"something else",
        "nothing": b"",
    }


HOSTILE = sorted(hostile_packs(Want(ObjectId.of(b""), size=1), b""))


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_pack_costs_time_and_never_a_wrong_byte(kind: str, tmp_path: Path) -> None:
    memory = Memory()
    good = memory.put(b"the right bytes" * 3)
    lying = Want(good.id, size=good.size)
    data = hostile_packs(good, memory.stored[good.id])[kind]
    name = memory.put(data)
    cache = DiskCache(tmp_path, memory)  # type: ignore[arg-type]
    arrived: list[ObjectId] = []
    source = PackedObjects(memory, [name])  # type: ignore[arg-type]
    bomb = Want(ObjectId.of(BOMB), size=5)
    left = cache.bring_many([lying, bomb], lambda want, _was_here: arrived.append(want.id), source)
    assert {want.id for want in left} | set(arrived) == {good.id, bomb.id}
    assert bomb.id not in arrived
    assert cache.open_if_here(bomb) is None
    with os.fdopen(cache.open(good), "rb") as file:
        assert file.read() == b"the right bytes" * 3
    cache.close()


def test_a_pack_that_is_too_large_is_not_fetched_at_all() -> None:
    memory = Memory()
    source = PackedObjects(memory, [Want(ObjectId.of(b"huge"), size=pack.MOST_BYTES + 1)])  # type: ignore[arg-type]
    good = memory.put(b"x")
    assert source.fetch_many([good], lambda *_: None) == [good]
    assert memory.served == 0


# Profiles and bundles that lie


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"[]",
        b"{",
        b'{"profile": 2, "triggers": ["/a"]}',
        b'{"profile": 1}',
        b'{"profile": 1, "triggers": []}',
        b'{"profile": 1, "triggers": ["/../etc"]}',
        b'{"profile": 1, "triggers": ["/"]}',
        b'{"profile": 1, "triggers": ["/a"], "files": [["/x", "00", 1]]}',
        b'{"profile": 1, "triggers": ["/a"], "files": [["/x", null, -1]]}',
        b'{"profile": 1, "triggers": ["/a"], "files": [["/x", null, 1, 0]]}',
        b'{"profile": 1, "triggers": ["/a"], "files": [["/../../x"]]}',
        b'{"profile": 1, "triggers": ["/a"], "files": [["/x", null, 1, null, 9]]}',
        b'{"profile": 1, "triggers": ["/a"], "packs": 1001}',
        b'{"profile": 1, "triggers": ["/a"], "catalogs": [["/x", "00"]]}',
        b'{"profile": 1, "triggers": ["/a"], "catalogs": ["/"]}',
        b'{"profile": 1, "triggers": ["/a"], "files": [["/x", null, 1, null, 0, [[1, 2]]]]}',
        b'{"profile": 1, "triggers": ["/a"], "files": [["/x", null, 1, null, 0, [-1]]]}',
        b'{"profile": 1, "triggers": ["/a"], "files": [["/x", null, 1, null, 7]]}',
        b"[" * 100_000,
        b'{"profile": 1, "triggers": ["/a"], "files": [' + b"[]," * 100_001 + b"[]]}",
    ],
)
def test_what_is_no_profile_is_refused(text: bytes) -> None:
    with pytest.raises(FormatError):
        profile.parse(text)


def test_a_bundle_of_the_original_is_read() -> None:
    text = b"""#%CVMFS_BUNDLE version=1.0.0
    {"name": "CVMFS_BUNDLE", "version": "1.0.0", "encoding": "UTF-8",
     "dependencies": ["/lib/one", "./beside", "two", "/lib/one", "/../out", "", "/", 7]}"""
    assert bundle.parse(text, b"/dir") == (b"/lib/one", b"/dir/beside", b"/dir/two")


@pytest.mark.parametrize(
    "text",
    [
        b"{}",
        b'{"name": "CVMFS_BUNDLE", "version": "2.0", "dependencies": []}',
        b'{"name": "CVMFS_BUNDLE", "version": "1.0.0"}',
        b'{"name": "OTHER", "version": "1.0.0", "dependencies": []}',
        b"#",
    ],
)
def test_what_is_no_bundle_is_refused(text: bytes) -> None:
    with pytest.raises(FormatError):
        bundle.parse(text, b"/dir")
