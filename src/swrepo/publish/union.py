"""A writable view of the last revision for the length of a transaction: overlayfs over a mount of the repository.

What belongs to it lies where the original has it, below the repository's spool directory:

    rdonly            the last revision, mounted by a process of its own
    scratch/current   what was changed (the upper layer), with ofs_workdir beside it
    in_transaction    is there from the beginning of a transaction to its end, whatever happens to mounts meanwhile

From the first transaction on, the work tree is a view and no plain directory; outside of transactions it shows the last
revision and cannot be written.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from swrepo.errors import Busy, InTransaction, MountFailed, NotInTransaction, PermissionRefused, SwrepoError
from swrepo.format import envelope, manifest
from swrepo.format.wellknown import MANIFEST
from swrepo.fuse.mount import mounted_at, umount
from swrepo.publish import checkout, template
from swrepo.publish.layout import RepositoryPlaces
from swrepo.publish.template import Template
from swrepo.system import mounts
from swrepo.system.atomic import make_directory, write_atomically
from swrepo.system.user import is_root

_OVERLAY = "overlay"
_OURS = "fuse.swrepo"
_PROC = Path("/proc")
_SHOWN = 5
_SHOWN_ROOT = "user.root_hash"
"""The magic attribute of our mounts that tells which root catalog they show."""

MountLower = Callable[[RepositoryPlaces, Path], None]
"""Mounts the repository's last revision on a directory, by a process of its own: it must load no private key."""


@dataclass(frozen=True, slots=True)
class Union:
    """The view of one repository. Its methods leave a state that the next call, also after a crash, can go on from."""

    places: RepositoryPlaces
    mount_lower: MountLower

    @property
    def lower(self) -> Path:
        return self.places.spool / "rdonly"

    @property
    def upper(self) -> Path:
        return self.places.spool / "scratch/current"

    @property
    def _work(self) -> Path:
        return self.places.spool / "ofs_workdir"

    @property
    def is_used(self) -> bool:
        """Whether there was a transaction once, so that the work tree is a view."""
        return self.upper.parent.exists()

    @property
    def is_open(self) -> bool:
        """Whether a transaction is under way, mounted or not."""
        return self.places.in_transaction.exists()

    @property
    def is_mounted(self) -> bool:
        """Whether its view is there to be written to."""
        return mounted_at(str(self.places.worktree)) == _OVERLAY

    def begin(self, start: Template | None = None) -> None:
        """Open a transaction, on the last revision or on `start`. InTransaction where one is open."""
        self.check_free()
        self._check_root()
        self._hide(lazy=True)  # of a crash, or of CernVM-FS, whose views stay mounted between its transactions
        if start is not None or not self._shows_newest():  # a crash left it, or somebody published another directory
            self._let_go_of_lower()
        self._clear()
        if start is not None:
            template.write(self.places, start)
        for directory in (self.upper, self._work):
            make_directory(directory)
        os.chmod(self.upper, 0o755)  # noqa: S103 - it is the top directory of what everybody may read
        write_atomically(self.places.in_transaction, f"{os.getpid()}\n".encode())
        self.show()

    def check_free(self) -> None:
        """InTransaction where a transaction is open."""
        if self.is_open:
            where = "is mounted" if self.is_mounted else "lost its mounts; 'cvmfs_server mount' brings them back"
            raise InTransaction(f"a transaction of {self.places.fqrn} is open already and {where}; publish or abort it")

    def show(self) -> None:
        """Mount what belongs there now: the open transaction, else the last revision. Can be called at any time."""
        self._check_root()
        make_directory(self.lower)
        if not self.is_open and not self._shows_newest():
            self._hide(lazy=True)
            self._let_go_of_lower()
        if mounted_at(str(self.lower)) is None:
            self.mount_lower(self.places, self.lower)
        here = mounted_at(str(self.places.worktree))
        if self.is_open and here != _OVERLAY:
            self._hide(lazy=True)
            self._mount_overlay()
        elif not self.is_open and here != _OURS:
            self._hide(lazy=True)
            mounts.mount(str(self.lower), str(self.places.worktree), None, mounts.BIND)

    def freeze(self) -> None:
        """Have nothing written to the view any more. Busy, naming who has files open for writing, where that fails."""
        if not self.is_open:
            raise NotInTransaction(
                f"{self.places.fqrn} is in no transaction; 'cvmfs_server transaction {self.places.fqrn}' opens one"
            )
        self.show()
        try:
            mounts.mount(_OVERLAY, str(self.places.worktree), None, mounts.REMOUNT | mounts.RDONLY)
        except OSError as error:
            raise Busy(
                f"somebody writes to {self.places.worktree} ({self._users()}); let them end, then publish again"
            ) from error

    def thaw(self) -> None:
        """Let the view be written to again."""
        mounts.mount(_OVERLAY, str(self.places.worktree), None, mounts.REMOUNT)

    def end(self, *, force: bool = True) -> str:
        """Close the transaction and forget what was changed; who still uses the view, in words, or nothing.

        Busy, with nothing done, where it is in use and `force` is not given.
        """
        self._check_root()
        users = self._users()
        if users and not force:
            raise Busy(f"{self.places.worktree} is in use ({users}); let them end, or force it (-f)")
        users = self.remove()
        self.show()
        return users

    def remove(self) -> str:
        """Take the view away, with what was changed in an open transaction; who still uses it, in words, or nothing."""
        self._check_root()
        users = self._users()
        self._hide(lazy=True)
        # A crash after this leaves a scratch directory that the next transaction clears.
        self.places.in_transaction.unlink(missing_ok=True)
        self._clear()
        for directory in (self.upper, self._work):
            make_directory(directory)  # CernVM-FS looks for them also while no transaction is open
        self._let_go_of_lower()
        return users

    def renew(self) -> None:
        """Show the revision that the next transaction starts from, which is another one now. Not while one is open."""
        if not self.is_used or self.is_open:
            return
        self._check_root()
        self._hide(lazy=True)
        self._let_go_of_lower()
        self.show()

    def _shows_newest(self) -> bool:
        """Whether what is mounted below is what a transaction starts from; a crash may have left an older one."""
        try:
            start = checkout.read(self.places)
            raw = (self.places.storage / MANIFEST).read_bytes()
            wanted = manifest.parse(envelope.split(raw).body).root_catalog if start is None else start.root
        except (OSError, SwrepoError):
            return True  # whoever mounts it says what is wrong
        try:
            return os.getxattr(self.lower, _SHOWN_ROOT) == str(wanted).encode()
        except OSError:
            return False  # nothing is mounted, or nobody answers any more

    def _let_go_of_lower(self) -> None:
        """It is mounted anew, at the revision that belongs there then."""
        if mounted_at(str(self.lower)) is not None:
            umount(str(self.lower), lazy=True)

    def _mount_overlay(self) -> None:
        options = f"lowerdir={self.lower},upperdir={self.upper},workdir={self._work}"
        # Off: a renamed directory is copied, and so is a file with another owner. So the upper layer tells it all.
        options += ",redirect_dir=off,metacopy=off,index=off"
        try:
            mounts.mount(_OVERLAY, str(self.places.worktree), _OVERLAY, mounts.NODEV, options)
        except OSError as error:
            raise MountFailed(
                f"overlayfs does not take {self.upper} over {self.lower} ({error.strerror}); it needs a kernel that "
                "has it, and a spool directory that is on no overlay itself"
            ) from error

    def _hide(self, *, lazy: bool) -> None:
        while mounted_at(str(self.places.worktree)) in (_OVERLAY, _OURS):
            umount(str(self.places.worktree), lazy=lazy)

    def _clear(self) -> None:
        template.clear(self.places)
        for directory in (self.upper, self._work):
            shutil.rmtree(directory, ignore_errors=True)
            if directory.exists():
                shutil.rmtree(directory)  # and now say why not

    def _check_root(self) -> None:
        if not is_root():
            raise PermissionRefused(f"a transaction mounts on {self.places.worktree}, which only root may; use sudo")

    def _users(self) -> str:
        """Programs that use the view, in words."""
        found = [f"{name} ({pid})" for pid, name in users_of(str(self.places.worktree))]
        more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
        return ", ".join(found[:_SHOWN]) + more


def users_of(mountpoint: str) -> Iterator[tuple[int, str]]:
    """Processes, other than this one, that stand in a mount or have files of it open, by number and name."""
    for process in sorted(_PROC.iterdir(), key=lambda path: path.name):
        if process.name.isdigit() and int(process.name) != os.getpid() and _uses(process, mountpoint):
            with suppress(OSError):
                yield int(process.name), (process / "comm").read_text("utf-8", "replace").strip()


def _uses(process: Path, mountpoint: str) -> bool:
    """By the paths that the kernel shows of it, which mean the same only where the same mounts are seen."""
    try:
        if os.readlink(process / "ns/mnt") != os.readlink("/proc/self/ns/mnt"):
            return False
        links = [process / "cwd", process / "root", process / "exe", *(process / "fd").iterdir()]
    except OSError:
        return False
    for link in links:
        with suppress(OSError):
            if f"{os.readlink(link)}/".startswith(f"{mountpoint}/"):
                return True
    return False


def mount_by_command(program: Sequence[str]) -> MountLower:
    """Mounts with `swrepo mount`, whose first words are `program`."""

    def mount_lower(places: RepositoryPlaces, directory: Path) -> None:
        cache = places.spool / "cache"
        make_directory(cache)
        words = [*program, "mount", "--key", str(places.keys.public), "--cache", str(cache)]
        start = template.read(places) or checkout.read(places)
        if start is not None:
            words += ["-o", f"hash={start.root.text}"]
        words += [f"file://{places.storage}", str(directory)]
        done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        if done.returncode:
            raise MountFailed(f"the last revision of {places.fqrn} cannot be mounted: {done.stderr.strip()}")

    return mount_lower
