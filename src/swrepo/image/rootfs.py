"""A recipe -> a directory with an installed system, by mmdebstrap: the same as root and as anybody."""

from __future__ import annotations

import io
import shutil
import tarfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from swrepo.errors import ConfigError, SwrepoError
from swrepo.image import builder, programs
from swrepo.image.boot_loader import CONFIGURATION
from swrepo.image.lock import PackageLock
from swrepo.image.recipe import SUITE, Recipe, mode_of

_PREFERENCES = "etc/apt/preferences.d/swrepo-lock"
_SOURCES = ("etc/apt/sources.list.d/debian.sources", "etc/apt/sources.list")
_KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
_UPLOADED = "swrepo_given.deb"  # as configure.sh expects it
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
        return () if builder.is_root() else builder.AS_NAMESPACE_ROOT

    @contextmanager
    def made(self, recipe: Recipe) -> Iterator[Path]:
        """The directory, for as long as the context lasts."""
        root = self.scratch / "root"
        try:
            programs.run(self._words(recipe, root), environment={"SOURCE_DATE_EPOCH": str(self.epoch)})
            # Only root could make devices; no system that we start needs any before its kernel has made them.
            programs.run([*self.as_builder, "find", root / "dev", "-mindepth", "1", "-delete"])
            yield root
        except BaseException as error:
            self._remove_after(error, root)
            raise
        self._remove(root)

    def _words(self, recipe: Recipe, root: Path) -> Sequence[str | Path]:
        words: list[str | Path] = ["mmdebstrap", "--mode=root" if builder.is_root() else "--mode=unshare"]
        words += ["--variant=minbase", "--format=directory", f"--include={','.join(recipe.packages)}"]
        words.append('--aptopt=APT::Install-Recommends "false"')
        if not is_debian(Path("/")) and _KEYRING.is_file():
            words.append(f"--keyring={_KEYRING}")  # other distributions do not trust these keys otherwise
        if self.lock is not None:
            pins = self._lent("preferences", self.lock.preferences())
            words.append(f"--setup-hook=install -D -m 644 '{pins}' \"$1/{_PREFERENCES}\"")
        # What is uploaded, and what is in an archive of ours, belongs to root; a copy would be the builder's.
        words.append(f"--customize-hook=upload '{self.package}' /root/{_UPLOADED}")
        words.append(f"--customize-hook=tar-in '{self._overlay(recipe)}' /")
        settings = f"ROLE={recipe.role} ACCOUNTS='{' '.join(recipe.accounts)}' UNITS='{' '.join(recipe.units)}'"
        configure = self._lent("configure.sh", _CONFIGURE.read_text("utf-8"))
        words.append(f"--customize-hook={settings} sh '{configure}' \"$1\"")
        words.append(f'--customize-hook=rm -f "$1/{_PREFERENCES}"')
        return [*words, self.lock.suite if self.lock else SUITE, root, *(self.sources or (own_sources(),))]

    def _lent(self, name: str, text: str) -> Path:
        """A file of ours that programs inside the system read."""
        path = self.scratch / name
        path.write_text(text, "utf-8")
        path.chmod(0o644)
        return path

    def _overlay(self, recipe: Recipe) -> Path:
        """The files of ours, with their permissions, as an archive. Directories that are there stay as they are."""
        files = {"boot/grub/grub.cfg": CONFIGURATION.encode()}
        for directory in recipe.overlays:
            paths = (path for path in directory.rglob("*") if path.is_file() and path.parent.name != "__pycache__")
            files |= {str(path.relative_to(directory)): path.read_bytes() for path in paths}
        target = self.scratch / "overlay.tar"
        with tarfile.open(target, "w", format=tarfile.PAX_FORMAT) as archive:
            for name, data in sorted(files.items()):
                item = tarfile.TarInfo(name)
                item.size, item.mode, item.mtime = len(data), mode_of(name), self.epoch
                archive.addfile(item, io.BytesIO(data))
        return target

    def _remove_after(self, error: BaseException, root: Path) -> None:
        """What failed first is what is told first."""
        try:
            self._remove(root)
        except (SwrepoError, OSError) as second:
            error.add_note(f"what was made so far is still in {root}: {second}")

    def _remove(self, root: Path) -> None:
        if not root.exists():
            return
        if self.as_builder:
            # What is in it belongs to users of the namespace, what it is in to us.
            programs.run([*self.as_builder, "find", root, "-mindepth", "1", "-delete"])
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
