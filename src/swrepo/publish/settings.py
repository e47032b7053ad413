"""What an owner decided about a repository, kept in its server.conf as the original keeps it.

A setting that the file does not name has the original's default, for it is then the original's file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from swrepo.config import assignments
from swrepo.errors import ConfigError, NotFound
from swrepo.format.compression import Compression
from swrepo.format.manifest import DEFAULT_TTL
from swrepo.format.object_id import Algorithm
from swrepo.objects.chunker import ChunkSizes
from swrepo.objects.codec import DEFAULT_LEVEL
from swrepo.publish.balance import DEFAULT_LEAST, DEFAULT_MOST, Weights
from swrepo.publish.encoder import Compressor, Encoder
from swrepo.publish.entries import EntryRules

CREATOR_VERSION = 143
"""The layout of server directories that the original's 2.12 makes."""

_ALGORITHMS = {"sha1": Algorithm.SHA1, "rmd160": Algorithm.RIPEMD160, "shake128": Algorithm.SHAKE128}
_COMPRESSIONS = {"default": Compression.ZLIB, "zlib": Compression.ZLIB, "none": Compression.NONE}
_SWITCH = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}
_LEVELS = range(1, 13)
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class RepositorySettings:
    """How a repository is published. `chunks` is None where files are not cut; `ttl` in seconds.

    `owner` is the user whom the repository belongs to, as a name, or as a number where there is no name.
    """

    fqrn: str
    owner: str
    algorithm: Algorithm = Algorithm.SHA1
    compression: Compression = Compression.ZLIB
    compressor: Compressor = Compressor.LIBDEFLATE
    level: int = DEFAULT_LEVEL
    chunks: ChunkSizes | None = field(default_factory=ChunkSizes)
    ttl: int = DEFAULT_TTL
    garbage_collectable: bool = False
    auto_tag: bool = True
    xattrs: bool = True
    mtime_ns: bool = True
    weights: Weights | None = None
    auto_tag_timespan: str = ""
    """Automatic tags older than that (`2 weeks ago`) are removed; empty: never."""
    auto_gc: bool = False
    auto_gc_timespan: str = "3 days ago"
    """What was the newest revision then, and all after it, are kept by the automatic collection."""
    auto_gc_lapse: str = "1 day ago"
    """The automatic collection runs where the last one was before that."""
    gc_deletion_log: str = ""
    virtual_dir: bool = False
    """Every tag is shown as a directory below `.cvmfs/snapshots`."""

    def __post_init__(self) -> None:
        if self.ttl < 0:
            raise ConfigError(f"the time to live of {self.fqrn} is {self.ttl} seconds; it cannot be negative")
        if self.level not in _LEVELS or (self.compressor is Compressor.ZLIB and self.level > 9):
            raise ConfigError(f"{self.compressor} has no level {self.level}; libdeflate has 1 to 12, zlib 1 to 9")

    @property
    def encoder(self) -> Encoder:
        return Encoder(self.algorithm, self.compression, self.compressor, self.level)

    @property
    def rules(self) -> EntryRules:
        return EntryRules(self.algorithm, self.compression, self.mtime_ns, self.xattrs)

    def encode(self, storage: Path, spool: Path, worktree: Path) -> bytes:
        """The text of server.conf."""
        sizes = self.chunks or ChunkSizes()
        values = {
            "CVMFS_CREATOR_VERSION": str(CREATOR_VERSION),
            "CVMFS_REPOSITORY_NAME": self.fqrn,
            "CVMFS_REPOSITORY_TYPE": "stratum0",
            "CVMFS_USER": self.owner,
            "CVMFS_UNION_DIR": str(worktree),
            "CVMFS_SPOOL_DIR": str(spool),
            "CVMFS_STRATUM0": f"http://localhost/cvmfs/{self.fqrn}",
            "CVMFS_UPSTREAM_STORAGE": f"local,{storage / 'data/txn'},{storage}",
            "CVMFS_USE_FILE_CHUNKING": _word(self.chunks is not None),
            "CVMFS_MIN_CHUNK_SIZE": str(sizes.minimum),
            "CVMFS_AVG_CHUNK_SIZE": str(sizes.average),
            "CVMFS_MAX_CHUNK_SIZE": str(sizes.maximum),
            "CVMFS_HASH_ALGORITHM": _name(_ALGORITHMS, self.algorithm),
            "CVMFS_COMPRESSION_ALGORITHM": _name(_COMPRESSIONS, self.compression),
            "CVMFS_REPOSITORY_TTL": str(self.ttl),
            "CVMFS_AUTO_TAG": _word(self.auto_tag),
            "CVMFS_AUTO_TAG_TIMESPAN": self.auto_tag_timespan,
            "CVMFS_GARBAGE_COLLECTION": _word(self.garbage_collectable),
            "CVMFS_AUTO_GC": _word(self.auto_gc),
            "CVMFS_INCLUDE_XATTRS": _word(self.xattrs),
            "CVMFS_ENABLE_MTIME_NS": _word(self.mtime_ns),
            "CVMFS_AUTOCATALOGS": _word(self.weights is not None),
            "CVMFS_AUTOCATALOGS_MAX_WEIGHT": str((self.weights or Weights()).most),
            "CVMFS_AUTOCATALOGS_MIN_WEIGHT": str((self.weights or Weights()).least),
            "SWREPO_COMPRESSOR": self.compressor,
            "SWREPO_COMPRESSION_LEVEL": str(self.level),
        }
        lines = [f"{key}={assignments.quote(value)}\n" for key, value in values.items()]
        return ("# Made by swrepo. The names are those of CernVM-FS.\n" + "".join(lines)).encode()


def load(path: Path) -> RepositorySettings:
    """Read a server.conf. NotFound where there is none, ConfigError where it cannot be used."""
    try:
        text = path.read_text("utf-8", "surrogateescape")
    except FileNotFoundError as error:
        name = path.parent.name
        raise NotFound(f"no repository {name} on this machine ({path} is missing); create it with mkfs") from error
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from error
    values = {found.name: found.value for found in assignments.parse(text, str(path))}
    return _Values(values, path).settings()


@dataclass(frozen=True, slots=True)
class _Values:
    """The assignments of one file."""

    values: Mapping[str, str]
    path: Path

    def settings(self) -> RepositorySettings:
        sizes = None
        if self.switch("CVMFS_USE_FILE_CHUNKING", default=True):
            default = ChunkSizes()
            sizes = ChunkSizes(
                self.number("CVMFS_MIN_CHUNK_SIZE", default.minimum),
                self.number("CVMFS_AVG_CHUNK_SIZE", default.average),
                self.number("CVMFS_MAX_CHUNK_SIZE", default.maximum),
            )
        return RepositorySettings(
            fqrn=self.text("CVMFS_REPOSITORY_NAME", self.path.parent.name),
            owner=self.text("CVMFS_USER", "root"),
            algorithm=self.one_of("CVMFS_HASH_ALGORITHM", _ALGORITHMS, "sha1"),
            compression=self.one_of("CVMFS_COMPRESSION_ALGORITHM", _COMPRESSIONS, "default"),
            compressor=self.one_of("SWREPO_COMPRESSOR", {item.value: item for item in Compressor}, "libdeflate"),
            level=self.number("SWREPO_COMPRESSION_LEVEL", DEFAULT_LEVEL),
            chunks=sizes,
            ttl=self.number("CVMFS_REPOSITORY_TTL", DEFAULT_TTL),
            garbage_collectable=self.switch("CVMFS_GARBAGE_COLLECTION", default=False),
            auto_tag=self.switch("CVMFS_AUTO_TAG", default=True),
            xattrs=self.switch("CVMFS_INCLUDE_XATTRS", default=False),
            mtime_ns=self.switch("CVMFS_ENABLE_MTIME_NS", default=False),
            weights=self.weights(),
            auto_tag_timespan=self.text("CVMFS_AUTO_TAG_TIMESPAN", ""),
            auto_gc=self.switch("CVMFS_AUTO_GC", default=False),
            auto_gc_timespan=self.text("CVMFS_AUTO_GC_TIMESPAN", "3 days ago"),
            auto_gc_lapse=self.text("CVMFS_AUTO_GC_LAPSE", "1 day ago"),
            gc_deletion_log=self.text("CVMFS_GC_DELETION_LOG", ""),
            virtual_dir=self.switch("CVMFS_VIRTUAL_DIR", default=False),
        )

    def weights(self) -> Weights | None:
        if not self.switch("CVMFS_AUTOCATALOGS", default=False):
            return None
        return Weights(
            self.number("CVMFS_AUTOCATALOGS_MAX_WEIGHT", DEFAULT_MOST),
            self.number("CVMFS_AUTOCATALOGS_MIN_WEIGHT", DEFAULT_LEAST),
        )

    def text(self, key: str, default: str) -> str:
        return self.values.get(key) or default

    def number(self, key: str, default: int) -> int:
        text = self.text(key, str(default))
        if not (text.isascii() and text.isdigit()):
            raise self.refusal(key, "a number")
        return int(text)

    def switch(self, key: str, *, default: bool) -> bool:
        return self.one_of(key, _SWITCH, _word(default))

    def one_of(self, key: str, choices: Mapping[str, _T], default: str) -> _T:
        text = self.text(key, default).lower()
        if text not in choices:
            raise self.refusal(key, "one of " + ", ".join(choices))
        return choices[text]

    def refusal(self, key: str, expected: str) -> ConfigError:
        return ConfigError(f"{self.path}: {key}={self.values.get(key)!r}; expected {expected}")


def _word(value: bool) -> str:
    return "true" if value else "false"


def _name(choices: Mapping[str, _T], value: _T) -> str:
    return next(name for name, choice in choices.items() if choice == value)
