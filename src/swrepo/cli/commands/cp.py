"""Copy files and directories out of a repository, without a mount. Modes are kept; with -p owners and times too."""

from __future__ import annotations

import argparse
import os
import stat
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from swrepo.cli.describe import printable
from swrepo.cli.output import note
from swrepo.cli.progress import Progress
from swrepo.cli.selection import add_selection_options
from swrepo.client.local_files import REFUSALS, folded, folds_case, of_this_system
from swrepo.errors import IsADirectory, SwrepoError, UsageError
from swrepo.format.dirent import Dirent
from swrepo.format.paths import basename, is_within, path_key
from swrepo.system.user import is_root

if TYPE_CHECKING:
    from swrepo.cli.opening import Opened

EXAMPLE = "swrepo cp -r http://127.0.0.1:8000/cvmfs/dair.cvmfs.server/bin ./bin --key dair.cvmfs.server.pub"

_PIECE = 1 << 20
_PARALLEL = 16
_BATCH = 1024
_64_BITS = (1 << 64) - 1

Job = tuple[bytes, Dirent, bytes]
"""(path in the repository, its entry, path to write)"""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("sources", nargs="+", metavar="URL/PATH", help="repository and path in it")
    parser.add_argument("destination", metavar="DESTINATION", help="a new name, or a directory to copy into")
    parser.add_argument("-r", "-R", dest="recursive", action="store_true", help="directories with all they hold")
    parser.add_argument(
        "-p", dest="preserve", action="store_true", help="keep times, and owners where the system lets us"
    )
    add_selection_options(parser)


def run(args: argparse.Namespace) -> int:
    from swrepo.cli.opening import open_target

    into = Path(args.destination)
    if len(args.sources) > 1 and not into.is_dir():
        raise UsageError(f"{into} is not a directory, and several sources need one")
    skipped = 0
    for text in args.sources:
        with open_target(args, text) as opened, Progress("copied", "files") as progress:
            skipped += _Copy(opened, args, progress).run(into)
    return SwrepoError.exit_code if skipped else 0


class _Copy:
    """One source's way to its destination."""

    def __init__(self, opened: Opened, args: argparse.Namespace, progress: Progress) -> None:
        self._opened = opened
        self._recursive = args.recursive
        self._preserve = args.preserve
        self._progress = progress
        self._rules = of_this_system()
        self._taken: dict[str, bytes] | None = None
        self._skipped = 0

    def run(self, into: Path) -> int:
        """Copy, and return how many entries were left out (with a note about each)."""
        start, entry = self._opened.target.path, self._opened.revision.lookup(self._opened.target.path)
        if not self._recursive:
            start, entry = self._opened.resolve(start)
        if entry.is_directory and not self._recursive:
            raise IsADirectory(f"{printable(start) or '/'} is a directory; -r copies it with all it holds")
        name = self._opened.target.path.rpartition(b"/")[2] or (self._opened.fqrn or "root").encode()
        if into.is_dir():
            if why := self._rules.objection(name):
                self._leave_out(start, why)
                return self._skipped
            into = into / os.fsdecode(name)
        if self._recursive and folds_case(_nearest_directory(into)):
            self._taken = {}
        directories: list[Job] = []
        with ThreadPoolExecutor(_PARALLEL) as pool:
            jobs = self._jobs(start, os.fsencode(into), directories)
            while batch := list(islice(jobs, _BATCH)):
                for job, why in zip(batch, pool.map(self._copy_file, batch), strict=True):
                    if why:
                        self._leave_out(job[0], why)
        for job in reversed(directories):
            self._finish(job)
        return self._skipped

    def _jobs(self, start: bytes, base: bytes, directories: list[Job]) -> Iterator[Job]:
        """Make directories and links as they come; yield the files."""
        from swrepo.repository.walk import walk

        left_out: bytes | None = None  # the directory, whatever is below which has no place
        for path, entry in walk(self._opened.revision, start):
            if left_out is not None and is_within(path, left_out):
                continue
            job = (path, entry, base + path[len(start) :])
            why = self._objection(path) if path != start else None
            if why is None and entry.is_regular:
                yield job
                continue
            why = why or self._make(job)
            if why is not None:
                self._leave_out(path, why)
                left_out = path if entry.is_directory else left_out
            elif entry.is_directory:
                directories.append(job)

    def _objection(self, path: bytes) -> str | None:
        """Why this system has no place for the last name of `path`, as far as names tell."""
        if why := self._rules.objection(basename(path)):
            return f"{why}, which this system does not hold"
        if self._taken is not None and (first := self._taken.setdefault(folded(path), path)) != path:
            return f"for this file system it has the same name as {printable(first)}"
        return None

    def _make(self, job: Job) -> str | None:
        """Make what is no file; None, or why it cannot be."""
        path, entry, destination = job
        if entry.is_directory:
            return _attempt(lambda: os.makedirs(destination, mode=0o700, exist_ok=True))
        if not entry.is_symlink:
            return "it is neither a file, directory nor link"
        target = self._opened.revision.readlink(path, self._opened.variables)
        if not target:
            return "it is a link to nothing"
        if os.path.lexists(destination):
            os.unlink(destination)
        is_directory = self._rules.typed_links and self._leads_to_a_directory(path)
        local = target.replace(b"/", os.sep.encode())
        why = _attempt(lambda: os.symlink(local, destination, target_is_directory=is_directory))
        if why is None:
            self._finish(job)
        return why

    def _leads_to_a_directory(self, path: bytes) -> bool:
        try:
            return self._opened.resolve(path)[1].is_directory
        except SwrepoError:
            return False

    def _leave_out(self, path: bytes, why: str) -> None:
        self._skipped += 1
        note(f"swrepo cp: left out {printable(path)}: {why}")

    def _copy_file(self, job: Job) -> str | None:
        """None, or why this system cannot hold the file."""
        path, _, destination = job
        # A short name of its own: the real one may be as long as the file system allows.
        temporary = os.path.join(os.path.dirname(destination), b".swrepo-%x-%x" % _name_of(path))
        try:
            with open(temporary, "wb") as out, closing(self._opened.revision.content(path)) as content:
                out.writelines(content.pread(offset, _PIECE) for offset in range(0, content.size, _PIECE))
            why = _attempt(lambda: _replace(temporary, destination))
        except BaseException:
            # Whatever went wrong, half a file must not stay behind under any name.
            Path(os.fsdecode(temporary)).unlink(missing_ok=True)
            raise
        if why is not None:
            os.unlink(temporary)
            return why
        self._finish(job)
        self._progress.advance(size=content.size)
        return None

    def _finish(self, job: Job) -> None:
        """Mode, owner and times, once nothing is written to the path any more."""
        _, entry, destination = job
        if self._preserve:
            self._preserve_owner_and_times(entry, destination)
        if not entry.is_symlink:
            # Special bits only make sense with the owner that they were published for.
            bits = stat.S_IMODE(entry.mode)
            os.chmod(destination, bits if self._preserve else bits & 0o777)

    @staticmethod
    def _preserve_owner_and_times(entry: Dirent, destination: bytes) -> None:
        if is_root():
            os.chown(destination, entry.uid, entry.gid, follow_symlinks=False)
        when = entry.mtime * 1_000_000_000 + (entry.mtime_ns or 0)
        if not entry.is_symlink:
            os.utime(destination, ns=(when, when))
        elif os.utime in os.supports_follow_symlinks:
            os.utime(destination, ns=(when, when), follow_symlinks=False)


def _name_of(path: bytes) -> tuple[int, int]:
    """Numbers that no other path of the repository has."""
    first, second = path_key(path)
    return first & _64_BITS, second & _64_BITS


def _nearest_directory(path: Path) -> bytes:
    """The directory in which `path` is, or its first missing ancestor would be, made."""
    return os.fsencode(next(above for above in path.absolute().parents if above.is_dir()))


def _attempt(make: Callable[[], object]) -> str | None:
    """None, or how the file system refused the name or link; other errors are raised."""
    try:
        make()
    except UnicodeError:
        return "this system does not hold such bytes in a name"
    except OSError as error:
        if error.errno not in REFUSALS:
            raise
        return f"this system does not hold it ({error.strerror})"
    return None


def _replace(temporary: bytes, destination: bytes) -> None:
    try:
        os.replace(temporary, destination)
    except PermissionError:
        os.chmod(destination, stat.S_IWRITE | stat.S_IREAD)  # Windows replaces no file that is read-only
        os.replace(temporary, destination)
