"""`cvmfs_config setup`: what a machine needs besides the programs: directories, mount(8)'s way to us, autofs' map."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from swrepo.cli.administration.tending import mount_directory, which
from swrepo.cli.configured import cache_base
from swrepo.cli.places import Places
from swrepo.errors import ConfigError, UsageError
from swrepo.system.atomic import make_directory, write_atomically

_WORDS = frozenset({"nouser", "nocfgmod", "nostart", "noautofs"})
_USER = "cvmfs"
_DROP_IN = "auto.master.d/cvmfs.autofs"


def setup(words: Sequence[str], places: Places) -> int:
    """Make what is missing; run again it changes nothing. See `cvmfs_config` for the words."""
    if strange := set(words) - _WORDS:
        raise UsageError(f"cvmfs_config setup: bad option {', '.join(sorted(strange))}; there are {', '.join(_WORDS)}")
    make_directory(places.own_configuration / "keys")
    make_directory(cache_base(places))
    point = mount_directory(places)
    point.mkdir(parents=True, exist_ok=True)
    system = places.own_configuration.parent.parent
    if "nouser" not in words and system == Path("/"):
        _make_user()
    if "nocfgmod" not in words:
        _link_helper(system)
    if "noautofs" not in words and (system / "etc/auto.master").exists():
        _configure_autofs(system, point, start="nostart" not in words)
    return 0


def _make_user() -> None:
    """The owner that CVMFS_CLAIM_OWNERSHIP shows. A machine without useradd does without."""
    import pwd

    try:
        pwd.getpwnam(_USER)
    except KeyError:
        program = which("useradd")
        if program is None:
            print(f"There is no user {_USER}, and no useradd to make one")
            return
        words = [program, "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", _USER]
        done = subprocess.run(words, stdin=subprocess.DEVNULL, check=False)
        if done.returncode != 0:
            raise ConfigError(f"the user {_USER} cannot be made: useradd ended with {done.returncode}") from None


def _link_helper(system: Path) -> None:
    """mount(8) looks for `mount.cvmfs` in /sbin only."""
    link, program = system / "sbin/mount.cvmfs", Path(sys.argv[0]).absolute().with_name("mount.cvmfs")
    if link.exists() or not program.exists():
        return
    link.unlink(missing_ok=True)  # one that leads nowhere
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(program)
    print(f"{link} leads to {program}")


def _configure_autofs(system: Path, point: Path, *, start: bool) -> None:
    program = Path(sys.argv[0]).absolute().with_name("auto.cvmfs")
    path = system / "etc" / _DROP_IN
    text = f"# Written by cvmfs_config setup.\n{point} program:{program}\n"
    if path.exists() and path.read_text("utf-8", "replace") == text:
        return
    make_directory(path.parent)
    write_atomically(path, text.encode())
    print(f"autofs mounts repositories on {point} (written to {path})")
    if start and system == Path("/") and (systemctl := which("systemctl")) is not None:
        subprocess.run([systemctl, "reload-or-restart", "autofs"], stdin=subprocess.DEVNULL, check=False)
