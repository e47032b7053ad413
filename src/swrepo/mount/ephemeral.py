"""A writable view of a mount, for the processes of one mount namespace: overlayfs, its changes in a directory of ours.

SESSION/rdonly            the repositories, read-only
SESSION/scratch/current   what was changed, with ofs_workdir beside it
"""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from swrepo.errors import MountFailed
from swrepo.system import assembled_root, mounts

_OPTIONS = ",userxattr,index=off"
"""With user attributes it needs no right outside of its namespace, and renames no directory without copying it."""


@dataclass(frozen=True, slots=True)
class Session:
    """Where the parts of one view are."""

    directory: Path

    @property
    def lower(self) -> Path:
        return self.directory / "rdonly"

    @property
    def scratch(self) -> Path:
        return self.directory / "scratch"

    @property
    def upper(self) -> Path:
        return self.scratch / "current"

    @property
    def _work(self) -> Path:
        return self.scratch / "ofs_workdir"

    def make_directories(self) -> None:
        """Those that the view needs."""
        for directory in (self.lower, self.upper, self._work):
            directory.mkdir(parents=True, exist_ok=True)
        self.upper.chmod(0o755)  # the top directory of the view has its mode

    def show(self, name: str, place: str) -> bool:
        """Let `place`, an absolute path, show the repository `name` that is below `lower`, writable, and whatever is
        in the directory of `place` besides.

        For a mount namespace of our own. Returns whether the changes are on a disk, or in memory, where the file system
        of the session takes no upper layer. MountFailed where the kernel has no overlayfs for us.
        """
        parent = os.path.dirname(place)
        if not os.path.isdir(parent):
            self._make(parent)
        self._make_room(parent, os.path.basename(place))
        try:
            self._mount(name, place)
        except OSError:
            self._use_memory()
            try:
                self._mount(name, place)
            except OSError as error:
                raise MountFailed(
                    f"overlayfs does not take changes over {name} here ({error.strerror}); Linux 5.11 or newer lets "
                    "ordinary users mount it, unless a container or security module forbids it"
                ) from error
            return False
        return True

    def _mount(self, name: str, place: str) -> None:
        here = os.getcwd()
        os.chdir(self.directory)  # relative paths have no commas and colons of ours in them
        try:
            layers = f"lowerdir=rdonly/{name},upperdir=scratch/current,workdir=scratch/ofs_workdir"
            mounts.mount("swrepo", place, "overlay", mounts.NODEV | mounts.NOSUID, layers + _OPTIONS)
        finally:
            os.chdir(here)

    def _use_memory(self) -> None:
        mounts.mount("swrepo", str(self.scratch), "tmpfs", mounts.NODEV | mounts.NOSUID, "mode=0755")
        self.make_directories()

    def _make(self, directory: str) -> None:
        above, name = os.path.split(directory)
        if above == "/":
            assembled_root.add_directory(name)
        else:
            os.makedirs(directory)

    def _make_room(self, parent: str, name: str) -> None:
        """A directory `name` in `parent` that nobody else sees, with what else is there."""
        behind = self.directory / "behind"
        behind.mkdir(exist_ok=True)
        mounts.mount(parent, str(behind), None, mounts.BIND | mounts.REC)
        mounts.mount("swrepo", parent, "tmpfs", mounts.NODEV | mounts.NOSUID, "mode=0755,size=1m")
        os.mkdir(f"{parent}/{name}")
        for entry in sorted(os.scandir(behind), key=lambda found: found.name):
            with suppress(OSError):  # a repository that cannot be mounted at the moment
                if entry.name != name and entry.is_dir(follow_symlinks=False):
                    os.mkdir(f"{parent}/{entry.name}")
                    mounts.mount(entry.path, f"{parent}/{entry.name}", None, mounts.BIND | mounts.REC)
        mounts.detach(str(behind))
