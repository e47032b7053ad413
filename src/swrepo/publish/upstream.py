"""Where a repository is stored: `CVMFS_UPSTREAM_STORAGE`. Source: format.md 18.

local,TMP,DIR        in a directory
S3,TMP,ALIAS@CONF    in a bucket, below the key ALIAS; CONF says which bucket, and with which keys
gw,TMP,URL           through a gateway
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from swrepo.errors import ConfigError, UsageError

_FORMS = "local,TMP,DIR or S3,TMP,ALIAS@CONF"


@dataclass(frozen=True, slots=True)
class LocalUpstream:
    """In the directory `directory`; `temporary` is what the original takes for files that are not finished."""

    temporary: Path
    directory: Path

    @classmethod
    def at(cls, directory: Path) -> LocalUpstream:
        """With the original's place for unfinished files."""
        return cls(directory / "data/txn", directory)

    def encode(self) -> str:
        return f"local,{self.temporary},{self.directory}"


@dataclass(frozen=True, slots=True)
class S3Upstream:
    """In a bucket: keys begin with `alias`, the parameters are in the file `configuration`."""

    temporary: Path
    alias: str
    configuration: Path

    def encode(self) -> str:
        return f"S3,{self.temporary},{self.alias}@{self.configuration}"


Upstream = LocalUpstream | S3Upstream


def parse(text: str) -> Upstream:
    """ConfigError where it is none of the forms; UsageError for a gateway."""
    kind, temporary, place = [*text.split(",", 2), "", ""][:3]
    if kind == "gw":
        raise UsageError(f"{text}: publishing through a gateway is not there yet; use {_FORMS}")
    if kind == "local" and temporary and place.startswith("/") and "," not in place:
        return LocalUpstream(Path(temporary), Path(place))
    if kind == "S3" and temporary and place.count("@") == 1:
        alias, _, configuration = place.partition("@")
        if alias.strip("/") and configuration.startswith("/"):
            return S3Upstream(Path(temporary), alias.strip("/"), Path(configuration))
    raise ConfigError(f"{text!r} is no storage; expected {_FORMS}, with absolute paths")
