"""What is fetched of the files around an opened one, as the policy decides it: no threads, no files, no links."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable

import pytest

from swrepo.catalog.nested import NestedRef
from swrepo.errors import SwrepoError, Unreachable
from swrepo.format.object_id import Kind, ObjectId
from swrepo.mount.ahead_account import REWARD, UNIT, Account
from swrepo.mount.ahead_catalogs import CatalogsAhead
from swrepo.mount.ahead_lanes import Lanes
from swrepo.mount.ahead_ledger import Ledger, Origin
from swrepo.mount.ahead_neighbours import Neighbours, price
from swrepo.mount.ahead_places import Directory, File, kind, package_of
from swrepo.objects.store import Want

FAR = 0.1
FIRST = 320.0


class Tree:
    """Files by path, as the catalogs of a repository show them."""

    def __init__(self, paths: Iterable[bytes], size: int = 5000) -> None:
        self.sizes = dict.fromkeys(paths, size)
        self.looks = 0
        self.places = {(package_of(path.rpartition(b"/")[0]), path.rpartition(b"/")[2]): path for path in self.sizes}

    def want(self, path: bytes) -> Want:
        return Want(ObjectId.of(path), size=self.sizes[path])

    def directory(self, package: bytes, after: bytes | None) -> Directory | None:
        self.looks += 1
        files, directories = [], {}
        for path in self.sizes:
            directory, _, name = path.rpartition(b"/")
            if package_of(directory) == package:
                files.append(File(name, (self.want(path),), self.sizes[path]))
            elif directory.startswith(package + b"/"):
                directories[package + b"/" + directory[len(package) + 1 :].split(b"/")[0]] = None
        return Directory(tuple(files), tuple(directories))

    def file(self, package: bytes, name: bytes) -> File | None:
        path = self.places.get((package, name))
        return None if path is None else File(name, (self.want(path),), self.sizes[path])


class Program:
    """Opens files of a tree; what was chosen for it is in its cache at once."""

    def __init__(self, tree: Tree, patience: float = FAR, first: float = FIRST) -> None:
        self.tree = tree
        self.patience = patience
        self.account = Account(first, 1024.0)
        self.policy = Neighbours(self.account)
        self.names = {tree.want(path).id: path for path in tree.sizes}
        self.here: set[bytes] = set()
        self.chosen: list[bytes] = []
        self.opened: list[bytes] = []
        self.misses = 0

    def open(self, path: bytes) -> list[bytes]:
        """What is chosen thereupon."""
        directory, _, name = path.rpartition(b"/")
        self.opened.append(path)
        ours = path in self.here and path in self.chosen
        self.misses += path not in self.here
        if path in self.here and not ours:
            return []
        self.here.add(path)
        self.policy.wanted(self.tree.want(path))
        wants = self.policy.opened(package_of(directory), name, self.tree, self.patience, was_guessed=ours)
        found = [self.names[one.id] for one in wants]
        self.chosen += found
        self.here.update(found)
        return found

    def run(self, paths: Iterable[bytes]) -> Program:
        for path in paths:
            self.open(path)
        return self

    @property
    def wasted_bytes(self) -> int:
        return sum(self.tree.sizes[path] for path in set(self.chosen) - set(self.opened))

    @property
    def used_bytes(self) -> int:
        return sum(self.tree.sizes[path] for path in set(self.opened))


def package(path: bytes, count: int, ending: bytes = b".py") -> list[bytes]:
    return [b"%s/m%02d%s" % (path, number, ending) for number in range(count)]


def test_the_first_file_of_a_package_wants_all_of_its_kind_and_no_other() -> None:
    files, texts = package(b"/lib/numpy", 20), package(b"/lib/numpy", 20, b".txt")
    assert sorted(Program(Tree(files + texts)).open(files[3])) == sorted(set(files) - {files[3]})


def test_what_follows_the_opened_file_comes_first() -> None:
    files = package(b"/lib/numpy", 10)
    assert Program(Tree(files)).open(files[6]) == files[7:] + files[:6]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (b"a.cpython-311.pyc", b".cpython-311.pyc"),
        (b"a.cpython-311.opt-1.pyc", b".opt-1.pyc"),
        (b"_c.cpython-311-x86_64-linux-gnu.so", b".so"),
        (b"libstdc++.so.6.0.30", b".so"),
        (b"libz.so", b".so"),
        (b"jquery-3.1.min.js", b".min.js"),
        (b"vector", b""),
        (b".hidden", b""),
        (b"1.2.3", b""),
    ],
)
def test_kinds_of_files(name: bytes, expected: bytes) -> None:
    assert kind(name) == expected


def test_compiled_modules_belong_to_the_package_above() -> None:
    compiled = package(b"/lib/pandas/__pycache__", 5, b".cpython-311.pyc")
    inner = package(b"/lib/pandas/core/__pycache__", 5, b".cpython-311.pyc")
    program = Program(Tree(compiled + inner)).run(compiled[:3])
    assert set(program.chosen) >= set(compiled[1:] + inner), "a dense package is followed into what lies in it"
    assert program.misses == 1


def test_of_a_large_collection_a_few_are_fetched_and_more_where_they_are_used() -> None:
    files = package(b"/include", 400, b".h")
    program = Program(Tree(files))
    assert len(program.open(files[0])) <= 16
    for path in files[1:200]:
        program.open(path)
    assert program.misses <= 3
    assert program.wasted_bytes <= REWARD * program.used_bytes + FIRST * UNIT


def test_directories_that_programs_do_not_start_with_are_left_alone() -> None:
    files, tests = package(b"/lib/pandas", 5), package(b"/lib/pandas/tests", 5)
    assert not set(Program(Tree(files + tests)).run(files).chosen) & set(tests)


def test_libraries_that_come_with_a_package_are_fetched_with_its_first_module() -> None:
    modules, bundled = package(b"/sp/numpy/core", 3, b".so"), package(b"/sp/numpy.libs", 2, b".so.5")
    other = package(b"/sp/numpy", 3)
    program = Program(Tree(modules + bundled + other)).run([*other, modules[0]])
    assert set(program.chosen) >= set(bundled)


def test_the_file_that_begins_one_package_is_fetched_for_its_sisters() -> None:
    sisters = [b"/sp/p%02d/index.js" % number for number in range(20)]
    program = Program(Tree(sisters)).run(sisters[:3])
    assert set(program.chosen) == set(sisters[3:]), "two have shown that it was no chance"


def test_with_which_files_packages_begin_is_learned_and_fetched_for_those_that_follow() -> None:
    packages = [b"/node_modules/p%02d" % number for number in range(20)]
    begins = [[top + b"/package.json", top + b"/dist/index.cjs"] for top in packages]
    other = [top + b"/dist/index.mjs" for top in packages]
    program = Program(Tree([path for pair in begins for path in pair] + other))
    program.run(path for pair in begins for path in pair)
    assert program.misses <= 5
    assert not set(program.chosen) & set(other)


def test_more_sisters_are_looked_at_only_where_those_before_were_used() -> None:
    sisters = [b"/sp/p%03d/index.js" % number for number in range(400)]
    used, unused = Program(Tree(sisters)).run(sisters[:300:2]), Program(Tree(sisters)).run(reversed(sisters[-20:]))
    assert len(used.chosen) > 250
    assert len(unused.chosen) < 80


def test_a_kind_of_which_guesses_are_seldom_right_is_guessed_less_and_others_as_before() -> None:
    chance = random.Random(3)
    data = [path for top in range(60) for path in package(b"/run%d" % top, 40, b".dat")]
    modules = package(b"/lib", 20)
    program = Program(Tree(data + modules, 100_000)).run(chance.sample(data, 300))
    assert program.wasted_bytes <= REWARD * program.used_bytes
    program.chosen.clear()
    program.run(modules[:1])
    assert len(program.chosen) == len(modules) - 1


def test_of_a_huge_directory_that_is_read_here_and_there_few_files_are_fetched_in_vain() -> None:
    files = package(b"/events", 5000, b".dat")
    program = Program(Tree(files)).run(random.Random(4).sample(files, 50))
    assert len(program.chosen) <= 80


def test_large_files_are_worth_a_guess_only_where_the_link_is_long() -> None:
    files = package(b"/lib", 4)
    near, far = Program(Tree(files, 1 << 20), patience=0.01), Program(Tree(files, 1 << 20), patience=0.1)
    assert (len(near.open(files[0])), len(far.open(files[0]))) == (0, 3)


@pytest.mark.parametrize("seed", range(5))
def test_random_readers_of_any_tree_waste_what_the_account_held_and_three_tenths_of_what_they_used(seed: int) -> None:
    chance = random.Random(seed)
    paths = [
        path
        for top in range(20)
        for inner in range(10)
        for path in package(b"/t%d/d%d" % (top, inner), chance.choice((3, 30, 80)))
    ]
    program = Program(Tree(paths, chance.choice((500, 20_000, 200_000))))
    program.run(chance.sample(paths, len(paths) // 10))
    assert program.wasted_bytes <= REWARD * program.used_bytes + FIRST * UNIT


def test_an_empty_account_fetches_nothing_until_something_was_wanted() -> None:
    files = package(b"/lib", 30)
    program = Program(Tree(files, UNIT), first=0.0)
    assert program.open(files[0]) == []
    assert len(program.run(files[1:20]).chosen) >= 1


def test_what_was_here_is_paid_back() -> None:
    files = package(b"/lib", 30)
    program = Program(Tree(files))
    for path in program.open(files[0]):
        program.policy.was_here(program.tree.want(path).id)
    assert program.account.credit >= FIRST


def test_what_is_wanted_earns_once_however_many_reads_it_takes() -> None:
    files = package(b"/lib", 30)
    program = Program(Tree(files), first=0.0)
    for _ in range(50):
        program.policy.wanted(program.tree.want(files[0]))
    assert program.account.credit == REWARD * price(program.tree.sizes[files[0]])


def test_a_file_of_many_objects_is_paid_back_object_by_object() -> None:
    pieces = tuple(Want(ObjectId.of(b"%d" % number), size=UNIT) for number in range(4))

    class Chunked(Tree):
        def directory(self, package: bytes, after: bytes | None) -> Directory | None:
            return Directory((File(b"a.so", (self.want(b"/lib/a.so"),), 10), File(b"b.so", pieces, 4 * UNIT)))

    account = Account(FIRST, 1024.0)
    policy, tree = Neighbours(account), Chunked([b"/lib/a.so"])
    assert policy.opened(b"/lib", b"a.so", tree, FAR, was_guessed=False) == list(pieces)
    assert account.credit == FIRST - price(4 * UNIT)
    for piece in pieces:
        policy.wanted(piece)
    assert account.credit >= FIRST


def test_files_with_the_same_bytes_are_fetched_and_paid_once() -> None:
    class Twins(Tree):
        def want(self, path: bytes) -> Want:
            return Want(ObjectId.of(b"the same in all"), size=UNIT)

    account = Account(FIRST, 1024.0)
    wants = Neighbours(account).opened(b"/lib", b"m00.py", Twins(package(b"/lib", 30), UNIT), FAR, was_guessed=False)
    assert len(wants) == 1
    assert account.credit == FIRST - price(UNIT)


def test_one_look_around_lists_few_directories_however_many_there_are() -> None:
    files = package(b"/lib", 5) + [b"/lib/d%03d/m.py" % number for number in range(400)]
    program = Program(Tree(files, 100))
    for path in files[:5]:
        before = program.tree.looks
        program.open(path)
        assert program.tree.looks - before <= 2 + 2 * 8


def test_names_that_are_all_of_different_kinds_are_forgotten() -> None:
    policy = Neighbours(Account(FIRST, 1024.0))
    empty = Tree([])
    for number in range(10_000):
        policy.opened(b"/lib", b"a.k%d" % number, empty, FAR, was_guessed=False)
    assert len(policy._kinds) <= 4096


def test_nothing_is_guessed_where_the_catalog_is_not_loaded() -> None:
    class Closed(Tree):
        def directory(self, package: bytes, after: bytes | None) -> Directory | None:
            return None

    assert Program(Closed(package(b"/lib", 30))).open(b"/lib/m00.py") == []


def test_after_stop_packages_are_looked_at_anew() -> None:
    files = package(b"/lib", 10)
    program = Program(Tree(files)).run(files[:1])
    before = program.tree.looks
    program.policy.stop()
    program.run(files[1:2])
    assert program.tree.looks > before


# Catalogs


def nested(count: int, size: int) -> list[NestedRef]:
    return [
        NestedRef(b"/c%d" % number, ObjectId.of(b"%d" % number, kind=Kind.CATALOG), size + number)
        for number in range(count)
    ]


def test_small_catalogs_below_one_that_is_loaded_are_fetched_once() -> None:
    policy = CatalogsAhead(Account(100.0, 100.0))
    assert len(policy.loaded(b"", nested(3, 20_000), FAR)) == 3
    assert policy.loaded(b"", nested(3, 20_000), FAR) == []


def test_large_catalogs_wait_until_somebody_needs_them() -> None:
    policy = CatalogsAhead(Account(100.0, 100.0))
    assert policy.loaded(b"", nested(3, 50 << 20), FAR) == []
    assert len(policy.loaded(b"/a", nested(300, 3000), FAR)) == 32


def test_catalogs_that_are_used_pay_for_those_below_them() -> None:
    account = Account(2.0, 100.0)
    policy = CatalogsAhead(account)
    policy.loaded(b"", nested(2, UNIT // 2), FAR)
    left = account.credit
    policy.loaded(b"/c1", (), FAR)
    assert account.credit > left


def test_a_chain_of_catalogs_is_followed_and_a_tree_of_them_is_not() -> None:
    policy = CatalogsAhead(Account(100.0, 100.0))
    assert len(policy.came(nested(1, 3000), FAR)) == 1
    assert policy.came(nested(30, 4000), FAR) == []


def test_a_catalog_that_was_here_is_paid_back_and_those_of_long_ago_are_forgotten() -> None:
    account = Account(100.0, 100.0)
    policy = CatalogsAhead(account)
    for ref in policy.loaded(b"", nested(3, 20_000), FAR):
        policy.was_here(ref.id)
    assert account.credit == 100.0
    for number in range(500):
        refs = [NestedRef(b"/c%d/%d" % (number, i), ObjectId.of(b"%d %d" % (number, i)), 1) for i in range(20)]
        for ref in policy.loaded(b"/c%d" % number, refs, FAR):
            account.refund(1.0)
            assert policy.was_fetched_for(ref.path) == ref.id
    assert policy.was_fetched_for(b"/c0/0") is None


# The lanes


class Now:
    """Runs what is submitted when the test says so."""

    def __init__(self) -> None:
        self.tasks: list[Callable[[], object]] = []

    def submit(self, task: Callable[[], object]) -> None:
        self.tasks.append(task)

    def run(self) -> None:
        while self.tasks:
            self.tasks.pop(0)()


class Nobody:
    """Reads of which none waits for anything."""

    def expect(self, wants: list[Want], _activity: object) -> list[Want]:
        return wants

    def arrived(self, _session: object, wants: list[Want], error: SwrepoError | None = None) -> None:
        pass


class Far:
    """Objects at a server far away: what was fetched together, in order. `error`: what is raised in place of it."""

    def __init__(self) -> None:
        self.batches: list[list[Want]] = []
        self.error: SwrepoError | None = None
        self.is_full = False

    def bring_many(self, wants: list[Want], arrived: Callable[[Want, bool], object], _source: object = None) -> list:
        if self.error is not None:
            raise self.error
        self.batches.append(wants)
        for want in wants:
            arrived(want, False)
        return []

    def bring(self, _want: Want) -> bool:
        raise AssertionError("all of them suit a batch")


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def lanes() -> tuple[Lanes, Now, Far, Clock]:
    pool, clock = Now(), Clock()
    return Lanes(pool, None, Nobody(), Ledger(), clock), pool, Far(), clock  # type: ignore[arg-type]


def wants(first: int, count: int, size: int = 1000) -> list[Want]:
    return [Want(ObjectId.of(b"%d" % number), size=size) for number in range(first, first + count)]


def test_what_a_list_has_goes_before_guesses_that_were_asked_for_earlier() -> None:
    lane, pool, far, _ = lanes()
    lane.fetch(wants(0, 20), far, Origin.NEIGHBOURS)
    lane.fetch(wants(100, 3), far, Origin.PROFILE)
    lane.fetch(wants(200, 2), far, Origin.CATALOGS)
    pool.run()
    assert far.batches[0][:5] == wants(200, 2) + wants(100, 3)


def test_a_batch_is_bounded_by_bytes_and_by_number() -> None:
    lane, pool, far, _ = lanes()
    lane.fetch(wants(0, 40), far, Origin.NEIGHBOURS)
    lane.fetch(wants(100, 20, 1 << 20), far, Origin.NEIGHBOURS)
    pool.run()
    assert max(map(len, far.batches)) == 16
    assert max(sum(one.size or 0 for one in batch) for batch in far.batches) <= 5 << 20


def test_guesses_give_way_to_a_full_cache_and_lists_do_not() -> None:
    lane, pool, far, _ = lanes()
    given_back: list[Want] = []
    lane.on_here = given_back.append
    lane.has_room = lambda: False
    lane.fetch(wants(0, 20), far, Origin.NEIGHBOURS)
    lane.fetch(wants(50, 20), far, Origin.WALK)
    lane.fetch(wants(100, 3), far, Origin.PROFILE)
    pool.run()
    assert far.batches == [wants(100, 3)]
    assert given_back == wants(50, 20) + wants(0, 20)


def test_after_errors_there_is_peace_for_a_while_longer_each_time() -> None:
    lane, pool, far, clock = lanes()
    far.error = Unreachable("no way", ())
    for number, pause in enumerate((1.0, 2.0, 4.0, 8.0)):
        lane.fetch(wants(10 * number, 5), far, Origin.NEIGHBOURS)
        pool.run()
        clock.now += pause - 0.1
        lane.fetch(wants(10 * number + 5, 5), far, Origin.NEIGHBOURS)
        assert not pool.tasks
        clock.now += 0.1
    far.error = None
    lane.fetch(wants(0, 5), far, Origin.NEIGHBOURS)
    pool.run()
    assert far.batches == [wants(0, 5)], "nothing of what was given up is kept from being fetched later"


# The ledger


def want(number: int) -> Want:
    return Want(ObjectId.of(b"%d" % number), size=10)


def test_the_ledger_tells_by_origin_what_came_and_what_was_used() -> None:
    ledger = Ledger()
    assert ledger.ask([want(1), want(2)], Origin.WALK) == [want(1), want(2)]
    assert ledger.ask([want(2), want(3)], Origin.PROFILE) == [want(3)], "who asked first gets the praise"
    for number in (1, 2, 3):
        ledger.arrived(want(number).id)
    assert ledger.opened(want(1).id) is Origin.WALK
    assert ledger.opened(want(1).id) is None
    assert ledger.opened(want(3).id) is Origin.PROFILE
    walk = ledger.counters()[Origin.WALK]
    assert (walk.fetched, walk.used, walk.wasted, walk.wasted_bytes) == (2, 1, 1, 10)
    assert (ledger.total.fetched, ledger.total.used) == (3, 2)


def test_what_was_opened_while_it_still_travelled_was_of_use() -> None:
    ledger = Ledger()
    ledger.ask([want(1)], Origin.CHUNKS)
    assert ledger.opened(want(1).id) is Origin.CHUNKS
    ledger.arrived(want(1).id)
    assert ledger.total.used == 1


def test_what_was_not_fetched_is_not_counted() -> None:
    ledger = Ledger()
    ledger.ask([want(1)], Origin.WALK)
    ledger.drop(want(1).id)
    ledger.arrived(want(1).id)
    assert ledger.opened(want(1).id) is None
    assert ledger.total.fetched == 0
    assert not ledger.is_waiting
