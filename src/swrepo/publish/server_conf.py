"""The text of a new repository's server.conf, with the original's names."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

from swrepo.config import assignments
from swrepo.objects.chunker import ChunkSizes
from swrepo.publish.balance import Weights
from swrepo.publish.settings import ALGORITHMS, COMPRESSIONS, RepositorySettings
from swrepo.publish.upstream import Upstream

CREATOR_VERSION = 143
"""The layout of server directories that the original's 2.12 makes."""

_T = TypeVar("_T")


def encode(settings: RepositorySettings, upstream: Upstream, spool: Path, worktree: Path) -> bytes:
    """What `settings.load` reads back; settings that are as the original's defaults are not all named."""
    values = {
        "CVMFS_CREATOR_VERSION": str(CREATOR_VERSION),
        "CVMFS_REPOSITORY_NAME": settings.fqrn,
        "CVMFS_REPOSITORY_TYPE": "stratum0",
        "CVMFS_USER": settings.owner,
        "CVMFS_UNION_DIR": str(worktree),
        "CVMFS_SPOOL_DIR": str(spool),
        "CVMFS_STRATUM0": settings.url,
        "CVMFS_UPSTREAM_STORAGE": upstream.encode(),
        **_contents(settings),
        **_catalogs(settings),
        **{name: value for name, value in _where_set(settings).items() if value},
    }
    lines = [f"{key}={assignments.quote(value)}\n" for key, value in values.items()]
    return ("# Made by swrepo. The names are those of CernVM-FS.\n" + "".join(lines)).encode()


def _contents(settings: RepositorySettings) -> dict[str, str]:
    sizes = settings.chunks or ChunkSizes()
    return {
        "CVMFS_USE_FILE_CHUNKING": _word(settings.chunks is not None),
        "CVMFS_MIN_CHUNK_SIZE": str(sizes.minimum),
        "CVMFS_AVG_CHUNK_SIZE": str(sizes.average),
        "CVMFS_MAX_CHUNK_SIZE": str(sizes.maximum),
        "CVMFS_HASH_ALGORITHM": _name(ALGORITHMS, settings.algorithm),
        "CVMFS_COMPRESSION_ALGORITHM": _name(COMPRESSIONS, settings.compression),
        "CVMFS_EXTERNAL_DATA": _word(settings.external),
        "CVMFS_REPOSITORY_TTL": str(settings.ttl),
        "CVMFS_AUTO_TAG": _word(settings.auto_tag),
        "CVMFS_AUTO_TAG_TIMESPAN": settings.auto_tag_timespan,
        "CVMFS_GARBAGE_COLLECTION": _word(settings.garbage_collectable),
        "CVMFS_INCLUDE_XATTRS": _word(settings.xattrs),
        "CVMFS_ENABLE_MTIME_NS": _word(settings.mtime_ns),
        "CVMFS_IGNORE_XDIR_HARDLINKS": _word(settings.separate_links),
        "SWREPO_COMPRESSOR": settings.compressor,
        "SWREPO_COMPRESSION_LEVEL": str(settings.level),
    }


def _catalogs(settings: RepositorySettings) -> dict[str, str]:
    weights = settings.weights or Weights()
    return {
        "CVMFS_AUTOCATALOGS": _word(settings.weights is not None),
        "CVMFS_AUTOCATALOGS_MAX_WEIGHT": str(weights.most),
        "CVMFS_AUTOCATALOGS_MIN_WEIGHT": str(weights.least),
    }


def _where_set(settings: RepositorySettings) -> dict[str, str]:
    return {
        "CVMFS_UNION_FS_TYPE": settings.union,
        "CVMFS_VOMS_AUTHZ": settings.voms_authz,
        "CVMFS_CATALOG_ALT_PATHS": "true" if settings.alternative_paths else "",
        "CVMFS_SERVER_PROXY": settings.proxy,
    }


def _word(value: bool) -> str:
    return "true" if value else "false"


def _name(choices: Mapping[str, _T], value: _T) -> str:
    return next(name for name, choice in choices.items() if choice == value)
