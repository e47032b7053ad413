"""Copy files and directories out of a repository, without a mount. Modes are kept; with -p owners and times too."""

from __future__ import annotations

import argparse
import os
import stat
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from swrepo.cli.describe import printable
from swrepo.cli.output import note
from swrepo.cli.progress import Progress
from swrepo.cli.selection import add_selection_options
from swrepo.errors import IsADirectory, SwrepoError, UsageError
from swrepo.format.dirent import Dirent
from swrepo.format.paths import path_key

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
        self._skipped = 0

    def run(self, into: Path) -> int:
        """Copy, and return how many entries were left out (with a note about each)."""
        start, entry = self._opened.target.path, self._opened.revision.lookup(self._opened.target.path)
        if not self._recursive:
            start, entry = self._opened.resolve(start)
        if entry.is_directory and not self._recursive:
            raise IsADirectory(f"{printable(start) or '/'} is a directory; -r copies it with all it holds")
        name = self._opened.target.path.rpartition(b"/")[2] or (self._opened.fqrn or "root").encode()
        base = os.fsencode(into / os.fsdecode(name) if into.is_dir() else into)
        directories: list[Job] = []
        with ThreadPoolExecutor(_PARALLEL) as pool:
            jobs = self._jobs(start, base, directories)
            while batch := list(islice(jobs, _BATCH)):
                for _ in pool.map(self._copy_file, batch):
                    pass
        for job in reversed(directories):
            self._finish(job)
        return self._skipped

    def _jobs(self, start: bytes, base: bytes, directories: list[Job]) -> Iterator[Job]:
        """Make directories and links as they come; yield the files."""
        from swrepo.repository.walk import walk

        for path, entry in walk(self._opened.revision, start):
            job = (path, entry, base + path[len(start) :])
            if entry.is_directory:
                os.makedirs(job[2], mode=0o700, exist_ok=True)
                directories.append(job)
            elif entry.is_symlink:
                self._link(job)
            elif entry.is_regular:
                yield job
            else:
                self._leave_out(path, "it is neither a file, directory nor link")

    def _link(self, job: Job) -> None:
        path, _, destination = job
        target = self._opened.revision.readlink(path, self._opened.variables)
        if not target:
            self._leave_out(path, "it is a link to nothing")
            return
        if os.path.lexists(destination):
            os.unlink(destination)
        os.symlink(target, destination)
        self._finish(job)

    def _leave_out(self, path: bytes, why: str) -> None:
        self._skipped += 1
        note(f"swrepo cp: left out {printable(path)}: {why}")

    def _copy_file(self, job: Job) -> None:
        path, _, destination = job
        # A short name of its own: the real one may be as long as the file system allows.
        temporary = os.path.join(os.path.dirname(destination), b".swrepo-%x-%x" % _name_of(path))
        try:
            with open(temporary, "wb") as out, closing(self._opened.revision.content(path)) as content:
                out.writelines(content.pread(offset, _PIECE) for offset in range(0, content.size, _PIECE))
            os.replace(temporary, destination)
        except BaseException:
            # Whatever went wrong, half a file must not stay behind under any name.
            Path(os.fsdecode(temporary)).unlink(missing_ok=True)
            raise
        self._finish(job)
        self._progress.advance(size=content.size)

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
        if os.geteuid() == 0:
            os.chown(destination, entry.uid, entry.gid, follow_symlinks=False)
        when = entry.mtime * 1_000_000_000 + (entry.mtime_ns or 0)
        os.utime(destination, ns=(when, when), follow_symlinks=False)


def _name_of(path: bytes) -> tuple[int, int]:
    """Numbers that no other path of the repository has."""
    first, second = path_key(path)
    return first & _64_BITS, second & _64_BITS
