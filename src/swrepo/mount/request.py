"""What a mount is to be: one value that the composition root fills in."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from swrepo.client.repositories import Resolver
from swrepo.client.request import AccessRequest, Clock, now
from swrepo.mount.deadlines import DEADLINE
from swrepo.mount.learned import LearnedOptions
from swrepo.mount.logs import LogOptions
from swrepo.mount.watching import NOTHING_MORE, WatchOptions
from swrepo.vfs.owners import Owners

HOURS_24 = 86400
IDLE = 600.0


@dataclass(frozen=True, slots=True)
class Program:
    """The command line that makes a request of this kind again, and its environment; no words where there is none."""

    words: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class MountRequest:
    """Mount `repository` on the absolute path `mountpoint`, or, with `resolve`, many repositories below it.

    `names`: those that must open before the mount is said to answer. `mountpoint` may be `/dev/fd/N`, a connection
    that is mounted already. `validity`: seconds for which the kernel may keep what it was told; it is told of every
    change, so the number hardly matters. `max_ttl`: the most seconds between two looks for a new revision. `control`:
    directory of the control socket (default: the repository's cache). `log`: the file that a daemon writes to;
    without one, syslog. `deadline`: seconds without a byte after which a request of the kernel fails. `owners`:
    others than the published ones. `socket`: the control socket itself, wherever it is; `socket_owner`: the numbers of
    its user and group, where that is not who mounts. `passthrough`: the kernel reads files of the cache by itself,
    where it can. `prefetch`: what will likely be opened next is fetched ahead; `guesses`: also
    what is named nowhere.
    `fill`: directories that are fetched in the background once something in them was opened.
    `service_manager`: the socket that is told when the mount answers.
    `watching`: how it may be watched. `listed`: names of repositories that are listed before somebody looks them up.
    `idle`: seconds after which one that nobody uses lets go of its memory; 0 for never. `again`: what is started to
    serve the mount with the code and configuration of another moment. `learned`: which lists of what programs open are
    used. `trace`: all files are noted that are opened, from the start.
    """

    mountpoint: str
    repository: AccessRequest | None = None
    resolve: Resolver | None = None
    names: tuple[str, ...] = ()
    allow_other: bool = False
    suid: bool = False
    dev: bool = False
    foreground: bool = False
    validity: int = HOURS_24
    max_ttl: int | None = None
    deadline: float = DEADLINE
    control: Path | None = None
    socket: Path | None = None
    socket_owner: tuple[int, int] | None = None
    log: Path | None = None
    logs: LogOptions = field(default_factory=LogOptions)
    owners: Owners | None = None
    passthrough: bool = False
    prefetch: bool = True
    guesses: bool = True
    fill: tuple[bytes, ...] = ()
    service_manager: str | None = None
    watching: WatchOptions = NOTHING_MORE
    listed: Callable[[], Sequence[str]] = tuple
    idle: float = IDLE
    learned: LearnedOptions = field(default_factory=LearnedOptions)
    trace: bool = False
    again: Program = Program()
    clock: Clock = now

    @property
    def is_given_connection(self) -> bool:
        """Whether somebody else has mounted already."""
        return self.mountpoint.startswith("/dev/fd/")

    def control_socket(self, fqrn: str | None) -> Path | None:
        """Where the control socket is: `cvmfs_io.FQRN`, as in the original; None where nothing says where."""
        if self.socket is not None:
            return self.socket
        directory = self.control or (self.repository.cache if self.repository is not None else None)
        return None if directory is None else directory / f"cvmfs_io.{fqrn or 'cvmfs'}"
