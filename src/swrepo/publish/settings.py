"""What an owner decided about a repository, kept in its server.conf as the original keeps it.

A setting that the file does not name has the original's default, for it is then the original's file. The table
(config.table.server) says what each parameter means; `remarks` are about those that do nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import TypeVar

from swrepo.config import assignments
from swrepo.config.files import Setting
from swrepo.config.owner_map import OwnerMap, read_map
from swrepo.config.table import server
from swrepo.config.values import Values
from swrepo.errors import ConfigError, NotFound, UsageError
from swrepo.format.compression import Compression
from swrepo.format.manifest import DEFAULT_TTL
from swrepo.format.object_id import Algorithm
from swrepo.format.wellknown import URL_PREFIX
from swrepo.objects.chunker import ChunkSizes
from swrepo.objects.codec import DEFAULT_LEVEL
from swrepo.publish.balance import DEFAULT_LEAST, DEFAULT_MOST, Weights
from swrepo.publish.encoder import Compressor, Encoder
from swrepo.publish.entries import EntryRules
from swrepo.publish.limits import Limits
from swrepo.publish.packing import Packing

ALGORITHMS = {"sha1": Algorithm.SHA1, "rmd160": Algorithm.RIPEMD160, "shake128": Algorithm.SHAKE128}
COMPRESSIONS = {"default": Compression.ZLIB, "zlib": Compression.ZLIB, "none": Compression.NONE}
_LEVELS = range(1, 13)
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class RepositorySettings:
    """How a repository is published. `chunks` is None where files are not cut; `ttl` in seconds.

    `owner` is the user whom the repository belongs to, as a name, or as a number where there is no name. `external`:
    contents are not stored, but named by their plain bytes. `voms_authz`: who may read, "" for everybody. `weights` is
    None where catalogs are not balanced; `stratum0` is empty for the usual URL.
    """

    fqrn: str
    owner: str
    algorithm: Algorithm = Algorithm.SHA1
    compression: Compression = Compression.ZLIB
    compressor: Compressor = Compressor.LIBDEFLATE
    level: int = DEFAULT_LEVEL
    packing: Packing = field(default_factory=Packing)
    chunks: ChunkSizes | None = field(default_factory=ChunkSizes)
    ttl: int = DEFAULT_TTL
    garbage_collectable: bool = False
    auto_tag: bool = True
    auto_tag_timespan: str = ""
    """Automatic tags older than that (`2 weeks ago`) are removed; empty: never."""
    auto_gc: bool = False
    auto_gc_timespan: str = "3 days ago"
    """What was the newest revision then, and all after it, are kept by the automatic collection."""
    auto_gc_lapse: str = "1 day ago"
    """The automatic collection runs where the last one was before that."""
    gc_deletion_log: str = ""
    check_days: int = 30
    """A check of all repositories passes over those that were checked since."""
    virtual_dir: bool = False
    """Every tag is shown as a directory below `.cvmfs/snapshots`."""
    xattrs: bool = True
    mtime_ns: bool = True
    ignore_special: bool = False
    separate_links: bool = True
    """Hard links between directories become files of their own; else they are an error."""
    uids: OwnerMap | None = None
    gids: OwnerMap | None = None
    weights: Weights | None = None
    limits: Limits = field(default_factory=Limits)
    external: bool = False
    voms_authz: str = ""
    alternative_paths: bool = False
    stratum0: str = ""
    proxy: str = ""
    union: str = ""
    remarks: tuple[str, ...] = field(default=(), compare=False)

    def __post_init__(self) -> None:
        if self.ttl < 0:
            raise ConfigError(f"the time to live of {self.fqrn} is {self.ttl} seconds; it cannot be negative")
        if self.level not in _LEVELS or (self.compressor is Compressor.ZLIB and self.level > 9):
            raise ConfigError(f"{self.compressor} has no level {self.level}; libdeflate has 1 to 12, zlib 1 to 9")

    @property
    def url(self) -> str:
        """Where clients find it."""
        return self.stratum0 or usual_url(self.fqrn)

    @property
    def encoder(self) -> Encoder:
        return Encoder(self.algorithm, self.compression, self.compressor, self.level)

    @property
    def rules(self) -> EntryRules:
        return EntryRules(
            self.algorithm,
            self.compression,
            self.mtime_ns,
            self.xattrs,
            self.ignore_special,
            self.separate_links,
            self.uids,
            self.gids,
        )

    @property
    def has_alternative_paths(self) -> bool:
        """Whether what readers need first also lies outside of `data`: where that is for the permitted only."""
        return self.alternative_paths or bool(self.voms_authz)

    @property
    def ways_of_storing(self) -> str:
        """Equal for settings under which equal files are stored equally."""
        return f"{self.encoder.signature} {self.chunks} {self.packing.signature} {self.external}"


@dataclass(frozen=True, slots=True)
class Choices:
    """What is decided for one publication; None leaves it to the repository's settings.

    `skip_unreadable`: paths that cannot be read stay as they were published, instead of being an error. `revision`:
    the new revision's number, which is made although nothing changed; None is the next one.
    """

    compression: Compression | None = None
    external: bool | None = None
    voms_authz: str | None = None
    skip_unreadable: bool = False
    revision: int | None = None

    def number(self, last: int) -> int:
        """The number of the revision that follows `last`. UsageError where clients would not take it."""
        if self.revision is None:
            return last + 1
        if self.revision <= last:
            raise UsageError(f"-n {self.revision} must be above the last revision, which is {last}")
        return self.revision

    def applied(self, settings: RepositorySettings) -> RepositorySettings:
        chosen = {
            name: value
            for name in ("compression", "external", "voms_authz")
            if (value := getattr(self, name)) is not None
        }
        return replace(settings, **chosen)


def usual_url(fqrn: str) -> str:
    """Where this machine's own clients find a repository that nothing else was said of."""
    return f"http://localhost{URL_PREFIX}{fqrn}"


def load(path: Path) -> RepositorySettings:
    """Read a server.conf. NotFound where there is none, ConfigError where it cannot be used."""
    found = read(path)
    _refuse_the_impossible(found)
    return _settings(Values(found), path)


def read(path: Path) -> dict[str, Setting]:
    """What a server.conf sets. NotFound where there is none, ConfigError where it cannot be understood."""
    try:
        text = path.read_text("utf-8", "surrogateescape")
    except FileNotFoundError as error:
        name = path.parent.name
        raise NotFound(f"no repository {name} on this machine ({path} is missing); create it with mkfs") from error
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from error
    return dict(_parsed(text, str(path)))


@lru_cache(maxsize=16)  # a publication asks several times, and one of few bytes should not take longer for that
def _parsed(text: str, origin: str) -> Mapping[str, Setting]:
    return {item.name: Setting(item.value, f"{origin}:{item.line}") for item in assignments.parse(text, origin)}


def _settings(values: Values, path: Path) -> RepositorySettings:
    fqrn = values.text("CVMFS_REPOSITORY_NAME") or path.parent.name
    compressor = _one_of(values, "SWREPO_COMPRESSOR", {item.value: item for item in Compressor}, "libdeflate")
    return RepositorySettings(
        fqrn=fqrn,
        owner=values.text("CVMFS_USER") or "root",
        algorithm=_one_of(values, "CVMFS_HASH_ALGORITHM", ALGORITHMS, "sha1"),
        compression=_one_of(values, "CVMFS_COMPRESSION_ALGORITHM", COMPRESSIONS, "default"),
        compressor=compressor,
        level=values.number("SWREPO_COMPRESSION_LEVEL", compressor.usual_level),
        packing=Packing(
            tuple(values.items("SWREPO_UNCOMPRESSED", " \t\n")),
            values.switch("SWREPO_SKIP_INCOMPRESSIBLE", default=False),
        ),
        chunks=_chunks(values),
        ttl=values.number("CVMFS_REPOSITORY_TTL", DEFAULT_TTL),
        garbage_collectable=values.switch("CVMFS_GARBAGE_COLLECTION", default=False),
        auto_tag=values.switch("CVMFS_AUTO_TAG", default=True),
        auto_tag_timespan=values.text("CVMFS_AUTO_TAG_TIMESPAN") or "",
        auto_gc=values.switch("CVMFS_AUTO_GC", default=False),
        auto_gc_timespan=values.text("CVMFS_AUTO_GC_TIMESPAN") or "3 days ago",
        auto_gc_lapse=values.text("CVMFS_AUTO_GC_LAPSE") or "1 day ago",
        gc_deletion_log=values.text("CVMFS_GC_DELETION_LOG") or "",
        check_days=values.number("CVMFS_CHECK_ALL_MIN_DAYS", 30),
        virtual_dir=values.switch("CVMFS_VIRTUAL_DIR", default=False),
        xattrs=values.switch("CVMFS_INCLUDE_XATTRS", default=False),
        mtime_ns=values.switch("CVMFS_ENABLE_MTIME_NS", default=False),
        ignore_special=values.switch("CVMFS_IGNORE_SPECIAL_FILES", default=False),
        separate_links=values.switch("CVMFS_IGNORE_XDIR_HARDLINKS", default=False),
        uids=_map(values, "CVMFS_UID_MAP"),
        gids=_map(values, "CVMFS_GID_MAP"),
        weights=_weights(values),
        limits=Limits(
            values.number("CVMFS_ROOT_KCATALOG_LIMIT", Limits().root_kilo_entries),
            values.number("CVMFS_NESTED_KCATALOG_LIMIT", Limits().nested_kilo_entries),
            values.number("CVMFS_FILE_MBYTE_LIMIT", Limits().file_megabytes),
            values.switch("CVMFS_ENFORCE_LIMITS", default=False),
        ),
        external=values.switch("CVMFS_EXTERNAL_DATA", default=False),
        voms_authz=values.text("CVMFS_VOMS_AUTHZ") or "",
        alternative_paths=values.switch("CVMFS_CATALOG_ALT_PATHS", default=False),
        stratum0="" if values.text("CVMFS_STRATUM0") == usual_url(fqrn) else values.text("CVMFS_STRATUM0") or "",
        proxy=values.text("CVMFS_SERVER_PROXY") or "",
        union=values.text("CVMFS_UNION_FS_TYPE") or "",
        remarks=tuple(server.remarks(values.settings)),
    )


def _chunks(values: Values) -> ChunkSizes | None:
    if not values.switch("CVMFS_USE_FILE_CHUNKING", default=True):
        return None
    default = ChunkSizes()
    return ChunkSizes(
        values.number("CVMFS_MIN_CHUNK_SIZE", default.minimum),
        values.number("CVMFS_AVG_CHUNK_SIZE", default.average),
        values.number("CVMFS_MAX_CHUNK_SIZE", default.maximum),
    )


def _weights(values: Values) -> Weights | None:
    if not values.switch("CVMFS_AUTOCATALOGS", default=False):
        return None
    return Weights(
        values.number("CVMFS_AUTOCATALOGS_MAX_WEIGHT", DEFAULT_MOST),
        values.number("CVMFS_AUTOCATALOGS_MIN_WEIGHT", DEFAULT_LEAST),
    )


def _map(values: Values, name: str) -> OwnerMap | None:
    path = values.text(name)
    return None if path is None else read_map(Path(path))


def _one_of(values: Values, name: str, choices: Mapping[str, _T], default: str) -> _T:
    text = (values.text(name) or default).lower()
    if text not in choices:
        raise values.refuse(name, "one of " + ", ".join(choices))
    return choices[text]


def _refuse_the_impossible(found: Mapping[str, Setting]) -> None:
    for name, setting in found.items():
        reason = server.refusal(name, setting.value)
        if reason is not None:
            raise ConfigError(f"{setting.origin}: {name}={setting.value} is refused: {reason}")
