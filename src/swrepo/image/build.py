"""An image from beginning to end.

the Debian package of swrepo -> a root directory -> versions held against the lock -> disk -> qcow2
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from swrepo.errors import NotFound
from swrepo.image import builder, lock, programs
from swrepo.image.disk import SIZE, DiskBuilder
from swrepo.image.lock import PackageLock
from swrepo.image.recipe import Recipe
from swrepo.image.rootfs import Rootfs
from swrepo.system.atomic import write_atomically

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class BuildOptions:
    """How to build. `sources`: package sources for mmdebstrap; none means this machine's own.

    `lock_file`: versions to come to, or, with `update_lock`, to be written. `epoch`: what new locks are dated.
    """

    package: Path
    lock_file: Path | None = None
    update_lock: bool = False
    size: int = SIZE
    sources: tuple[str, ...] = ()
    epoch: int = 0


def build(recipe: Recipe, target: Path, options: BuildOptions, say: Say) -> None:
    """Make the image of `recipe` in the file `target`, which appears when it is complete."""
    programs.require(programs.BUILDING, programs.GRUB_FILES)
    builder.require_namespace()
    if not options.package.is_file():
        raise NotFound(f"there is no package {options.package}; 'make deb' builds it")
    locked = lock.load(options.lock_file) if options.lock_file is not None and not options.update_lock else None
    epoch = locked.epoch if locked is not None else options.epoch
    place = builder.workshop(target.parent)
    with tempfile.TemporaryDirectory(prefix=".swrepo-image-", dir=place, ignore_cleanup_errors=True) as folder:
        scratch = Path(folder)
        scratch.chmod(0o755)  # the builder may be another user of a user namespace
        rootfs = Rootfs(scratch, options.package.resolve(), epoch, options.sources, locked)
        say(f"{recipe.role}: installing {len(recipe.packages)} packages and what they need")
        with rootfs.made(recipe) as root:
            _settle_versions(root, options, locked, epoch)
            disks = DiskBuilder(scratch, f"swrepo-{recipe.role}", epoch, rootfs.as_builder)
            say(f"{recipe.role}: making a disk of {options.size >> 20} MiB")
            disk = disks.raw(root, options.size)
        say(f"{recipe.role}: compressing")
        disks.compressed(disk, target)


def _settle_versions(root: Path, options: BuildOptions, locked: PackageLock | None, epoch: int) -> None:
    """Hold what was installed against the lock, or make it the lock."""
    installed = {name: version for name, version in lock.installed_in(root).items() if name != "swrepo"}
    if locked is not None:
        locked.check(installed)
    elif options.lock_file is not None:
        write_atomically(options.lock_file, PackageLock(epoch, installed).encode().encode())
