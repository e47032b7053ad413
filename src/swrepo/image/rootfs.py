"""A recipe -> a directory with an installed system, by mmdebstrap: as root, or in a user namespace."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from swrepo.errors import ConfigError
from swrepo.image import programs
from swrepo.image.boot_loader import CONFIGURATION
from swrepo.image.lock import PackageLock
from swrepo.image.recipe import SUITE, Recipe, mode_of

_PREFERENCES = "etc/apt/preferences.d/swrepo-lock"
_SOURCES = ("etc/apt/sources.list.d/debian.sources", "etc/apt/sources.list")
_KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
_CONFIGURE = Path(__file__).with_name("configure.sh")


@dataclass(frozen=True, slots=True)
class Rootfs:
    """How root directories are made. `package`: swrepo's Debian package. `sources`: what mmdebstrap fetches from."""

    scratch: Path
    package: Path
    epoch: int
    sources: tuple[str, ...] = ()
    lock: PackageLock | None = None

    @property
    def as_builder(self) -> tuple[str, ...]:
        """What runs a program as the user whom the directory's files belong to."""
        return () if os.geteuid() == 0 else ("mmdebstrap", "--unshare-helper")

    @contextmanager
    def made(self, recipe: Recipe) -> Iterator[Path]:
        """The directory, for as long as the context lasts."""
        root = self.scratch / "root"
        try:
            programs.run(self._words(recipe, root), environment={"SOURCE_DATE_EPOCH": str(self.epoch)})
            yield root
        finally:
            self._remove(root)

    def _words(self, recipe: Recipe, root: Path) -> Sequence[str | Path]:
        overlay = self._overlay(recipe)
        words: list[str | Path] = ["mmdebstrap", "--mode=root" if os.geteuid() == 0 else "--mode=unshare"]
        words += ["--variant=minbase", "--format=directory", f"--include={','.join(recipe.packages)}"]
        words.append('--aptopt=APT::Install-Recommends "false"')
        if not is_debian(Path("/")) and _KEYRING.is_file():
            words.append(f"--keyring={_KEYRING}")  # other distributions do not trust these keys otherwise
        if self.lock is not None:
            pins = self.scratch / "preferences"
            pins.write_text(self.lock.preferences())
            words.append(f"--setup-hook=install -D -m 644 '{pins}' \"$1/{_PREFERENCES}\"")
        words.append(f"--customize-hook=copy-in '{self.package}' /root")
        words.append(f"--customize-hook=copy-in {' '.join(_quoted(path) for path in sorted(overlay.iterdir()))} /")
        settings = f"ROLE={recipe.role} ACCOUNTS='{' '.join(recipe.accounts)}' UNITS='{' '.join(recipe.units)}'"
        words.append(f"--customize-hook={settings} sh '{_CONFIGURE}' \"$1\"")
        words.append(f'--customize-hook=rm -f "$1/{_PREFERENCES}"')
        return [*words, self.lock.suite if self.lock else SUITE, root, *(self.sources or (own_sources(),))]

    def _overlay(self, recipe: Recipe) -> Path:
        """The files of ours, with their permissions, as one directory."""
        merged = self.scratch / "overlay"
        for directory in recipe.overlays:
            shutil.copytree(directory, merged, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
        (merged / "boot/grub").mkdir(parents=True)
        (merged / "boot/grub/grub.cfg").write_text(CONFIGURATION)
        for path in sorted(merged.rglob("*")):
            path.chmod(0o755 if path.is_dir() else mode_of(str(path.relative_to(merged))))
            os.utime(path, (self.epoch, self.epoch))
        return merged

    def _remove(self, root: Path) -> None:
        if not root.exists():
            return
        if self.as_builder:
            # What is in it belongs to users of the namespace, what it is in to us.
            programs.run([*self.as_builder, "find", str(root), "-mindepth", "1", "-delete"])
            root.rmdir()
        else:
            shutil.rmtree(root)


def own_sources(root: Path = Path("/")) -> str:
    """The machine's own package sources, where it is a Debian; the built image keeps them."""
    found = next((path for path in _SOURCES if (root / path).is_file() and (root / path).stat().st_size), None)
    if found is None or not is_debian(root):
        raise ConfigError(
            "this machine has no sources of Debian packages; say where they come from with --mirror URL (on Ubuntu, "
            "their keys are in the package debian-archive-keyring)"
        )
    return str(root / found)


def is_debian(root: Path) -> bool:
    """Whether it is a Debian itself, not a relative that names its releases otherwise."""
    try:
        lines = (root / "etc/os-release").read_text("utf-8").splitlines()
    except OSError:
        return False
    return any(line.replace('"', "") == "ID=debian" for line in lines)


def _quoted(path: Path) -> str:
    return f"'{path}'"
