"""Where a user's configuration, keys, caches and server directories are.

SWREPO_PREFIX moves everything (`/etc/cvmfs`, `/var/lib/cvmfs`, `/srv/cvmfs`, `/cvmfs`) below another directory. Without
it root uses the places of CernVM-FS, and an ordinary user those of the XDG rules.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from swrepo.system.user import is_root

PREFIX_VARIABLE = "SWREPO_PREFIX"
_CACHES = "var/lib/cvmfs"


@dataclass(frozen=True, slots=True)
class Places:
    """`configurations` in the order of reading; `own_configuration` is the one that this user may write."""

    configurations: tuple[Path, ...]
    own_configuration: Path
    cache_base: Path
    server_prefix: Path
    mountpoint: Path
    """Where `/cvmfs` is."""

    environment: Mapping[str, str] = field(default_factory=dict, compare=False)
    """What configuration files see as `$NAME`."""

    @property
    def keys(self) -> tuple[Path, ...]:
        """Directories of trusted master keys, the user's own first."""
        return tuple(directory / "keys" for directory in reversed(self.configurations))

    @property
    def records(self) -> Path:
        """Where the mounts of this user leave word of themselves, for as long as the machine runs."""
        if self.cache_base == self.server_prefix / _CACHES:
            return self.server_prefix / "run/swrepo"
        runtime = self.environment.get("XDG_RUNTIME_DIR", "")
        return Path(runtime) / "swrepo" if runtime.startswith("/") else self.cache_base / "mounts"


def places_in(environment: Mapping[str, str], uid: int | None = None) -> Places:
    """The places of a user with this environment; by default, of the user who runs this."""
    if prefix := environment.get(PREFIX_VARIABLE):
        found = _below(Path(prefix).absolute())
    elif is_root() if uid is None else uid == 0:
        found = _below(Path("/"))
    else:
        found = _of_an_ordinary_user(environment)
    return replace(found, environment=environment)


def _below(prefix: Path) -> Places:
    configuration = prefix / "etc/cvmfs"
    return Places((configuration,), configuration, prefix / _CACHES, prefix, prefix / "cvmfs")


def _of_an_ordinary_user(env: Mapping[str, str]) -> Places:
    home = _home(env)
    own = _xdg(env, "XDG_CONFIG_HOME", home / ".config")
    data = _xdg(env, "XDG_DATA_HOME", home / ".local/share")
    return Places(
        configurations=(Path("/etc/cvmfs"), own),
        own_configuration=own,
        cache_base=_xdg(env, "XDG_CACHE_HOME", home / ".cache"),
        server_prefix=data,
        mountpoint=home / "cvmfs",
    )


def _home(env: Mapping[str, str]) -> Path:
    """The home directory; one that does not exist for a user of whom the machine knows only the number."""
    try:
        return Path(env.get("HOME") or Path.home())
    except RuntimeError:
        return Path("/nonexistent")


def _xdg(env: Mapping[str, str], name: str, default: Path) -> Path:
    value = env.get(name, "")
    return (Path(value) if value.startswith("/") else default) / "swrepo"
