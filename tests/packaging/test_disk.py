"""A disk made twice of the same tree: the same bytes, whenever the tree was made and in whatever order."""

from __future__ import annotations

import hashlib
import os
import random
import time
from pathlib import Path

import pytest

from swrepo.image import programs
from swrepo.image.disk import DiskBuilder, Layout

NEEDED = [name for name in programs.BUILDING if name not in ("mmdebstrap", "dpkg-deb")]
MISSING = [name for name in NEEDED if programs.find(name) is None]
MISSING += [file for file in programs.GRUB_FILES if not os.path.exists(file)]

pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"these are not here: {', '.join(MISSING)}")

EPOCH = 1_700_000_000
SIZE = 80 << 20
PACKAGED = EPOCH - 1_000_000
NAMES = [f"usr/share/n{number}/{'x' * (number % 40 + 1)}" for number in range(120)]


def tree(root: Path, seed: int, installed: float) -> Path:
    """What mmdebstrap leaves: files as old as their packages, and files and links that were made now."""
    order = list(NAMES)
    random.Random(seed).shuffle(order)
    for name in order:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(hashlib.sha512(name.encode()).digest() * (len(name) * 7))
    (root / "etc").mkdir()
    (root / "etc/machine-id").touch()
    (root / "etc/old").write_text("from a package")
    (root / "etc/link").symlink_to("../usr")
    os.link(root / NAMES[0], root / "etc/hard")
    os.truncate(root / NAMES[1], 1 << 20)
    for path in [root, *root.rglob("*")]:
        os.utime(path, (installed + seed, installed), follow_symlinks=False)
    os.utime(root / "etc/old", (PACKAGED, PACKAGED))
    return root


def image(place: Path, seed: int, installed: float) -> Path:
    place.mkdir()
    builder = DiskBuilder(place, "swrepo-test", EPOCH)
    builder.compressed(builder.raw(tree(place / "root", seed, installed), SIZE), place / "image.qcow2")
    return place / "image.qcow2"


def test_the_same_tree_gives_the_same_image_byte_by_byte(tmp_path):
    now = time.time()
    first, second = image(tmp_path / "a", 1, now), image(tmp_path / "b", 2, now - 3600)
    assert first.read_bytes() == second.read_bytes()


def test_what_is_in_it_is_as_old_as_it_was_and_never_younger_than_the_lock(tmp_path):
    image(tmp_path / "a", 1, time.time())
    disk = f"{tmp_path}/a/disk.raw?offset={Layout(SIZE).root}"
    ages = {}
    for name in ("etc/old", "etc/link", NAMES[5]):
        told = programs.run(["debugfs", "-R", f"stat /{name}", disk], environment={"TZ": "UTC"})
        ages[name] = {line.split(":")[0].strip(): line for line in told.splitlines() if "time:" in line}
    as_lock, as_package = (time.strftime("%a %b %e %H:%M:%S %Y", time.gmtime(when)) for when in (EPOCH, PACKAGED))
    assert as_package in ages["etc/old"]["mtime"]
    for name in ("etc/link", NAMES[5]):
        assert as_lock in ages[name]["mtime"]
    for told in ages.values():
        assert as_lock in told["ctime"]
        assert as_lock in told["crtime"]


def test_the_file_system_is_whole(tmp_path):
    image(tmp_path / "a", 1, time.time())
    programs.run(["e2fsck", "-fn", f"{tmp_path}/a/disk.raw?offset={Layout(SIZE).root}"])


def test_another_tree_gives_another_image(tmp_path):
    first = image(tmp_path / "a", 1, time.time())
    root = tree(tmp_path / "root", 1, time.time())
    (root / "etc/old").write_text("from another package")
    (tmp_path / "b").mkdir()
    builder = DiskBuilder(tmp_path / "b", "swrepo-test", EPOCH)
    builder.compressed(builder.raw(root, SIZE), tmp_path / "b/image.qcow2")
    assert first.read_bytes() != (tmp_path / "b/image.qcow2").read_bytes()
