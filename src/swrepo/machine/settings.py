"""What user data can say about a machine: /etc/swrepo/machine.conf, in the form of all our configuration files.

REPOSITORIES   server: names to create, blanks between (default: dair.cvmfs.server); others: those that must answer
OWNER          server: whom they belong to (default: cvmfs)
VOLUME         server: auto (a second disk, when it is empty or ours), none, or the device that holds the storage
SERVER         client, worker: the server to point to at boot
PROXY          client, worker: as CVMFS_HTTP_PROXY
TRUST          client, worker: yes takes the keys that the server offers; else they lie in /etc/cvmfs/keys
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from swrepo.config import assignments
from swrepo.errors import ConfigError
from swrepo.format.wellknown import is_fqrn

SETTINGS = Path("etc/swrepo/machine.conf")
ROLE = Path("etc/swrepo/role")
SAMPLE_REPOSITORY = "dair.cvmfs.server"

_KNOWN = ("REPOSITORIES", "OWNER", "VOLUME", "SERVER", "PROXY", "TRUST")
_ROLES = ("server", "client", "worker")
_YES = ("yes", "true", "1", "on")


@dataclass(frozen=True, slots=True)
class MachineSettings:
    """What a machine is to be. `volume`: `auto`, `none` or a device."""

    role: str
    repositories: tuple[str, ...] = ()
    owner: str = "cvmfs"
    volume: str = "auto"
    server: str = ""
    proxy: str = ""
    trust: bool = False

    def __post_init__(self) -> None:
        for name in self.repositories:
            if not is_fqrn(name):
                raise ConfigError(f"REPOSITORIES: {name!r} cannot be a repository's name")
        if self.volume not in ("auto", "none") and not self.volume.startswith("/dev/"):
            raise ConfigError(f"VOLUME={self.volume!r}; expected auto, none, or a device such as /dev/vdb")


def load(root: Path) -> MachineSettings:
    """The settings of the machine whose file system is `root`. ConfigError where they cannot be used."""
    role = _text(root / ROLE).strip()
    if role not in _ROLES:
        raise ConfigError(f"{root / ROLE} says {role!r}; expected {', '.join(_ROLES)}: this is none of our images")
    path = root / SETTINGS
    values = {found.name: found.value for found in assignments.parse(_text(path), str(path))}
    unknown = [name for name in values if name not in _KNOWN]
    if unknown:
        raise ConfigError(f"{path}: {unknown[0]} is not known here; known are {', '.join(_KNOWN)}")
    return _settings(role, values)


def _settings(role: str, values: Mapping[str, str]) -> MachineSettings:
    default = SAMPLE_REPOSITORY if role == "server" else ""
    return MachineSettings(
        role=role,
        repositories=tuple((values.get("REPOSITORIES") or default).split()),
        owner=values.get("OWNER") or "cvmfs",
        volume=values.get("VOLUME") or "auto",
        server=values.get("SERVER", ""),
        proxy=values.get("PROXY", ""),
        trust=values.get("TRUST", "").lower() in _YES,
    )


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeError) as error:
        raise ConfigError(f"cannot read {path}: {error}") from error
