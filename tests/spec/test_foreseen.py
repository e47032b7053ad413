"""Look-ups whose answers are ready, and files that are read before somebody asks: what is said is what would be said."""

from __future__ import annotations

from pathlib import Path

import pytest

from swrepo.errors import PathNotFound
from swrepo.mount.beforehand import Beforehand
from swrepo.repository.status import Status
from swrepo.vfs.tree import ROOT_NODE
from tests.simulated_trees import Directory, File, Symlink
from tests.spec.test_vfs import Kernel

TREE = {
    b"/d/below/file": File(content=b"nested"),
    b"/d/file": File(content=b"bytes"),
    b"/d/link": Symlink(target=b"$(VAR)/x"),
    b"/d/sub": Directory(),
    b"/large": File(content=b"l" * 200_000),
}
PATIENT = 1.0


def packed(number: int, status: Status) -> bytes:
    return repr((number, status)).encode()


@pytest.fixture
def kernel(tmp_path: Path) -> Kernel:
    found = Kernel(tmp_path, TREE, {b"/d/below"})
    found.vfs.foreseen.pack = packed
    return found


def idle(kernel: Kernel) -> None:
    while kernel.vfs.foreseen.is_reading:
        kernel.vfs.foreseen.read_on()


def test_after_one_look_up_all_answers_of_the_directory_are_ready_and_right(kernel: Kernel) -> None:
    vfs, directory = kernel.vfs, kernel.lookup(b"/d")
    assert vfs.foreseen.answer(directory, b"file") is None
    idle(kernel)
    for name in (b"file", b"link", b"sub", b"below"):
        number, status = vfs.lookup(directory, name)
        answer = vfs.foreseen.answer(directory, name)
        assert answer is not None
        assert (answer.number, answer.packed) == (number, packed(number, status))
    absent = vfs.foreseen.answer(directory, b"nothing")
    assert absent is not None
    assert absent.entry is None
    assert vfs.foreseen.answer(directory, b"n" * 256) is None  # no name at all, which is for others to say


def test_a_directory_below_is_found_by_its_path_afterwards(kernel: Kernel) -> None:
    vfs, directory = kernel.vfs, kernel.lookup(b"/d")
    vfs.foreseen.answer(directory, b"below")
    idle(kernel)
    answer = vfs.foreseen.answer(directory, b"below")
    assert answer is not None
    assert vfs.path(answer.number) == b"/d/below"
    assert kernel.read(kernel.now(lambda: vfs.lookup(answer.number, b"file"))[0]) == b"nested"


def test_a_directory_whose_catalog_is_not_loaded_is_asked_about_as_ever(kernel: Kernel) -> None:
    below = kernel.lookup(b"/d/below")
    assert kernel.vfs.foreseen.answer(below, b"file") is None
    assert not kernel.vfs.foreseen.is_reading


def test_of_what_is_not_read_yet_nothing_is_said(tmp_path: Path) -> None:
    kernel = Kernel(tmp_path, {b"/%03d" % number: File(content=b"x") for number in range(100)})
    table = kernel.vfs.foreseen
    table.answer(ROOT_NODE, b"099")
    table.read_on()
    answers = [table.answer(ROOT_NODE, b"%03d" % number) for number in range(100)]
    known = sum(answer is not None for answer in answers)
    assert 0 < known < 100
    assert all(answer is None or answer.entry is not None for answer in answers)
    assert table.answer(ROOT_NODE, b"nothing") is None
    idle(kernel)
    assert all(table.answer(ROOT_NODE, b"%03d" % number) for number in range(100))


def test_a_new_revision_leaves_no_answer(kernel: Kernel) -> None:
    vfs, directory = kernel.vfs, kernel.lookup(b"/d")
    vfs.foreseen.answer(directory, b"file")
    idle(kernel)
    kernel.publish({**TREE, b"/d/file": File(content=b"other bytes"), b"/d/new": File(content=b"n")})
    assert vfs.foreseen.answer(directory, b"new") is None
    idle(kernel)
    answer = vfs.foreseen.answer(directory, b"file")
    assert answer is not None
    assert kernel.read(answer.number) == b"other bytes"


def test_an_entry_that_went_back_to_its_own_number_is_answered_with_that(kernel: Kernel) -> None:
    vfs, directory, file = kernel.vfs, kernel.lookup(b"/d"), kernel.lookup(b"/d/file")
    kernel.publish({**TREE, b"/d/new": File(content=b"n")})
    vfs.foreseen.answer(directory, b"file")
    idle(kernel)
    answer = vfs.foreseen.answer(directory, b"file")
    assert answer is not None
    assert answer.number == file
    vfs.forget(file, 1)
    assert vfs.foreseen.answer(directory, b"file") is None
    idle(kernel)
    answer = vfs.foreseen.answer(directory, b"file")
    assert answer is not None
    assert answer.number != file
    assert kernel.read(answer.number) == b"bytes"


def test_a_repository_that_rests_remembers_nothing(kernel: Kernel) -> None:
    directory = kernel.lookup(b"/d")
    kernel.vfs.foreseen.answer(directory, b"file")
    idle(kernel)
    kernel.vfs.rest(kernel.volume)
    assert kernel.vfs.foreseen.answer(directory, b"file") is None


def test_what_is_kept_is_bounded(tmp_path: Path) -> None:
    kernel = Kernel(tmp_path, {b"/%d/%d" % (place, number): File() for place in range(9) for number in range(1000)})
    directories = [kernel.lookup(b"/%d" % place) for place in range(9)]
    for directory in directories:
        kernel.vfs.foreseen.answer(directory, b"0")
        idle(kernel)
    known = [number for number in directories if kernel.vfs.foreseen.answer(number, b"0") is not None]
    assert known == directories[1:]


def test_a_file_is_read_once_before_it_is_asked_for(kernel: Kernel, tmp_path: Path) -> None:
    vfs, file = kernel.vfs, kernel.lookup(b"/d/file")
    assert kernel.read(file) == b"bytes"
    vfs.close_contents()
    opened = vfs.opened
    vfs.prepare(file)
    assert vfs.opened == opened  # nobody has opened it
    remove_objects(tmp_path)
    assert vfs.content(file).try_pread(0, 4096) == b"bytes"
    assert vfs.opened == opened + 1
    assert vfs.content(file).try_pread(0, 4096) is None  # memory is not the cache
    with pytest.raises(PathNotFound):
        vfs.lookup(ROOT_NODE, b"nothing")


def test_what_is_not_here_or_large_is_prepared_as_far_as_it_can_be(kernel: Kernel) -> None:
    vfs = kernel.vfs
    for path in (b"/d/file", b"/large"):
        number = kernel.lookup(path)
        vfs.prepare(number)
        assert vfs.content(number).try_pread(0, 4096) is None
        assert kernel.read(number) == TREE[path].content


def test_files_are_read_beforehand_as_long_as_they_are_read_afterwards(kernel: Kernel, tmp_path: Path) -> None:
    vfs, files = kernel.vfs, [kernel.lookup(b"/d/file")] + [100 + number for number in range(20)]
    kernel.read(files[0])
    beforehand = Beforehand(vfs)

    def look_up(number: int) -> bool:
        """Whether something is made ready for it."""
        beforehand.looked_up(number, 0o100644, 5)
        return beforehand.work(0.0)

    assert not look_up(files[0])  # nobody has shown yet what comes after a look-up
    beforehand.is_read(files[0])
    vfs.close_contents()
    assert look_up(files[0])
    remove_objects(tmp_path)
    assert vfs.content(files[0]).try_pread(0, 4096) == b"bytes"
    beforehand.is_read(files[0])
    assert [look_up(number) for number in files[1:]].count(True) < len(files) // 2
    assert not look_up(files[1])
    beforehand.looked_up(files[0], 0o40755, 4096)
    assert not beforehand.work(0.0)


def test_directories_are_read_when_nothing_comes_for_a_while(kernel: Kernel) -> None:
    vfs, directory = kernel.vfs, kernel.lookup(b"/d")
    beforehand = Beforehand(vfs)
    vfs.foreseen.answer(directory, b"file")
    assert not beforehand.work(0.0)
    assert beforehand.work(PATIENT)
    assert not beforehand.work(PATIENT)
    assert vfs.foreseen.answer(directory, b"file") is not None


def remove_objects(folder: Path) -> None:
    for path in folder.iterdir():
        path.unlink()
