"""What a replica's owner decided, kept in its server.conf and replica.conf as the original keeps it.

The directory of its configuration may have another name than the repository that is copied (`add-replica -n`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from swrepo.config import assignments
from swrepo.config.files import Setting
from swrepo.config.table import server
from swrepo.config.values import Values
from swrepo.errors import ConfigError, FormatError, NotFound, UsageError
from swrepo.format.wellknown import is_fqrn
from swrepo.publish import settings
from swrepo.publish.layout import RepositoryPlaces
from swrepo.publish.server_conf import CREATOR_VERSION
from swrepo.publish.settings import RepositorySettings
from swrepo.trust.chain import TrustAnchors
from swrepo.trust.keys import PublicKey

STRATUM1 = "stratum1"
_TYPE = "CVMFS_REPOSITORY_TYPE"


@dataclass(frozen=True, slots=True)
class ReplicaSettings:
    """How a repository is copied. `keys`: files of master keys, or directories of them; times in seconds.

    `stratum0`: where it is copied from; `stratum1`: where clients find the copy. `workers`: objects that are fetched at
    a time. `group`: which `snapshot -a -g` copies it.
    """

    fqrn: str
    owner: str
    stratum0: str
    stratum1: str = ""
    keys: tuple[Path, ...] = ()
    workers: int = 16
    timeout: int = 10
    retries: int = 3
    proxy: str = ""
    group: str = ""
    is_active: bool = True
    is_passthrough: bool = False
    auto_gc: bool = False
    auto_gc_timespan: str = "3 days ago"
    auto_gc_lapse: str = "1 day ago"
    gc_deletion_log: str = ""
    check_days: int = 30
    remarks: tuple[str, ...] = field(default=(), compare=False)

    def __post_init__(self) -> None:
        if not is_fqrn(self.fqrn):
            raise ConfigError(f"{self.fqrn!r} cannot be a repository's name")
        if not self.stratum0.startswith(("http://", "https://", "file://")):
            raise ConfigError(f"{self.fqrn}: the stratum 0 {self.stratum0!r} is no http://, https:// or file:// URL")
        if self.workers < 1:
            raise ConfigError(f"{self.fqrn}: CVMFS_NUM_WORKERS is {self.workers}; it has to be 1 at least")

    def anchors(self) -> TrustAnchors:
        """The master keys. ConfigError where one cannot be read, or there is none."""
        return TrustAnchors(tuple(key for path in self.key_files() for key in _keys(path)))

    def key_files(self) -> tuple[Path, ...]:
        """The files of the master keys."""
        return tuple(file for path in self.keys for file in (sorted(path.glob("*.pub")) if path.is_dir() else [path]))


def of_any(places: RepositoryPlaces) -> ReplicaSettings | RepositorySettings:
    """What the owner of a repository decided, whichever it is; NotFound, ConfigError."""
    return load(places) if is_replica(places) else settings.load(places.server_conf)


def identity(places: RepositoryPlaces) -> tuple[str, tuple[Path, ...]]:
    """The repository's name, and the files of its master keys."""
    if not is_replica(places):
        return places.fqrn, (places.keys.public,)
    found = load(places)
    return found.fqrn, found.key_files()


def is_replica(places: RepositoryPlaces) -> bool:
    """Whether what is configured there is a copy; not where nothing is configured."""
    try:
        found = settings.read(places.server_conf).get(_TYPE)
    except NotFound:
        return False
    return found is not None and found.value == STRATUM1


def load(places: RepositoryPlaces) -> ReplicaSettings:
    """Read both files. NotFound where there is no such repository, UsageError where it is published here."""
    found = read(places)
    values = Values(found)
    if values.text(_TYPE) != STRATUM1:
        raise UsageError(f"{places.fqrn} is published on this server and no replica; 'add-replica' makes one elsewhere")
    return ReplicaSettings(
        fqrn=values.text("CVMFS_REPOSITORY_NAME") or places.fqrn,
        owner=values.text("CVMFS_USER") or "root",
        stratum0=(values.text("CVMFS_STRATUM0") or "").rstrip("/"),
        stratum1=values.text("CVMFS_STRATUM1") or "",
        keys=tuple(map(Path, values.items("CVMFS_PUBLIC_KEY", ":"))),
        workers=values.number("CVMFS_NUM_WORKERS", 16),
        timeout=values.number("CVMFS_HTTP_TIMEOUT", 10),
        retries=values.number("CVMFS_HTTP_RETRIES", 3),
        proxy=values.text("CVMFS_SERVER_PROXY") or "",
        group=values.text("CVMFS_SNAPSHOT_GROUP") or "",
        is_active=values.switch("CVMFS_REPLICA_ACTIVE", default=True),
        is_passthrough=values.switch("CVMFS_PASSTHROUGH", default=False),
        auto_gc=values.switch("CVMFS_AUTO_GC", default=False),
        auto_gc_timespan=values.text("CVMFS_AUTO_GC_TIMESPAN") or "3 days ago",
        auto_gc_lapse=values.text("CVMFS_AUTO_GC_LAPSE") or "1 day ago",
        gc_deletion_log=values.text("CVMFS_GC_DELETION_LOG") or "",
        check_days=values.number("CVMFS_CHECK_ALL_MIN_DAYS", 30),
        remarks=tuple(server.remarks(found)),
    )


def read(places: RepositoryPlaces) -> dict[str, Setting]:
    """What server.conf and, after it, replica.conf set."""
    found = settings.read(places.server_conf)
    if places.replica_conf.exists():
        found |= settings.read(places.replica_conf)
    return found


def encode(wanted: ReplicaSettings, places: RepositoryPlaces) -> tuple[bytes, bytes]:
    """The texts of server.conf and replica.conf, which `load` reads back."""
    first = {
        "CVMFS_CREATOR_VERSION": str(CREATOR_VERSION),
        "CVMFS_REPOSITORY_NAME": wanted.fqrn,
        _TYPE: STRATUM1,
        "CVMFS_USER": wanted.owner,
        "CVMFS_SPOOL_DIR": str(places.spool),
        "CVMFS_STRATUM0": wanted.stratum0,
        "CVMFS_STRATUM1": wanted.stratum1,
        "CVMFS_UPSTREAM_STORAGE": places.upstream.encode(),
        "CVMFS_SNAPSHOT_GROUP": wanted.group,
        **({"CVMFS_AUTO_GC": "true"} if wanted.auto_gc else {}),
        **({"CVMFS_SERVER_PROXY": wanted.proxy} if wanted.proxy else {}),
    }
    second = {
        "CVMFS_NUM_WORKERS": str(wanted.workers),
        "CVMFS_PUBLIC_KEY": ":".join(map(str, wanted.keys)),
        "CVMFS_HTTP_TIMEOUT": str(wanted.timeout),
        "CVMFS_HTTP_RETRIES": str(wanted.retries),
    }
    return _text(first), _text({"CVMFS_PASSTHROUGH": "true"} if wanted.is_passthrough else second)


def _text(values: dict[str, str]) -> bytes:
    lines = [f"{key}={assignments.quote(value) if value else ''}\n" for key, value in values.items()]
    return ("# Made by swrepo. The names are those of CernVM-FS.\n" + "".join(lines)).encode()


def _keys(path: Path) -> tuple[PublicKey, ...]:
    try:
        return PublicKey.parse_all(path.read_bytes())
    except OSError as error:
        raise ConfigError(
            f"the public key {path} cannot be read: {error.strerror}; CVMFS_PUBLIC_KEY in replica.conf names it"
        ) from error
    except FormatError as error:
        raise ConfigError(f"{path} holds no public key: {error}") from error
