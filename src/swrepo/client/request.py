"""What is needed to open one repository: where it is, who is trusted, what is kept where."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import unquote, urlsplit

from swrepo.cache.plan import CachePlan
from swrepo.config.network import NetworkParameters
from swrepo.net.http import Timeouts
from swrepo.net.routes import DIRECT, ProxyGroups

DEFAULT_TIMEOUTS = Timeouts()

Clock = Callable[[], datetime]


def now() -> datetime:
    """The time of day, aware: the clock that is used unless another is given."""
    return datetime.now(UTC)


DEFAULT_NETWORK = NetworkParameters()


@dataclass(frozen=True, slots=True)
class AccessRequest:
    """What is needed to open one repository.

    `urls`: the repository at its servers, in order; or one file:// URL. `keys`: files of master public keys. `fqrn`:
    None takes the name from the manifest, which the keys then vouch for. `tag`, `date` or `root_hash` fix the revision;
    without `follow` it stays the one that is found first.
    `variables`: what variant symlinks see; `origins`: where those of them that are parameters were set. `cache`: a
    directory for notes and, unless `caches` says otherwise, for objects; these may take `quota` bytes, None for no
    limit. Without `remember`, what was trusted is not noted at once but by `Access.remember`. `early`: connections for
    small files that are opened while the repository is.
    """

    urls: tuple[str, ...]
    keys: tuple[Path, ...]
    cache: Path
    fqrn: str | None = None
    tag: str | None = None
    date: datetime | None = None
    root_hash: str | None = None
    follow: bool = True
    blacklists: tuple[Path, ...] = ()
    proxies: ProxyGroups = DIRECT
    timeouts: Timeouts = DEFAULT_TIMEOUTS
    max_retries: int = 1
    network: NetworkParameters = DEFAULT_NETWORK
    variables: Mapping[str, str] = field(default_factory=dict)
    origins: Mapping[str, str] = field(default_factory=dict)
    clock: Clock = now
    quota: int | None = None
    caches: CachePlan | None = None
    remember: bool = True
    early: int = 0


def directory_of(url: str) -> Path:
    """The directory of a file:// URL. Windows writes its drive after the slash: file:///C:/srv."""
    path = unquote(urlsplit(url).path)
    return Path(path[1:] if os.path.splitdrive(path[1:])[0] else path)
