"""Everything of one live mount, put together: what is shown, who answers the kernel, who fetches and refreshes."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from swrepo.client.access import Access
from swrepo.client.repositories import Repositories
from swrepo.client.request import AccessRequest
from swrepo.errors import MountFailed
from swrepo.fuse import mount as mounting
from swrepo.fuse.inflight import InFlight
from swrepo.fuse.mount import MountOptions
from swrepo.mount.adapter import WORKERS, Adapter
from swrepo.mount.ahead_fill import Fill, Filling, wants_below
from swrepo.mount.announcements import Announcements
from swrepo.mount.attributes import MagicAttributes
from swrepo.mount.cache_commands import room
from swrepo.mount.handover import Connection, Handover
from swrepo.mount.learned import Triggers
from swrepo.mount.learned_fetch import Learned
from swrepo.mount.openings import FileRead, Openings
from swrepo.mount.passthrough import OpenFiles
from swrepo.mount.process import Process
from swrepo.mount.quiet import Quiet
from swrepo.mount.refresh import Refresher
from swrepo.mount.request import MountRequest
from swrepo.net.remote import RemoteRepository
from swrepo.objects.store import BringsAhead, ObjectSource
from swrepo.repository.revision import Revision
from swrepo.system.memory import give_back
from swrepo.system.user import is_root
from swrepo.vfs.idle import Idle
from swrepo.vfs.journal import VolumeRecord
from swrepo.vfs.tree import ROOT_NODE, Vfs

log = logging.getLogger(__name__)

_LEFT = 0.1
"""Part of the cache that the background fill and guesses leave free."""

_EARLY = 4
"""Connections for small files that are opened to the server, or proxy, while a repository is opened."""

_NAMES_HOLD = 10.0
"""Seconds after which it is looked again which repositories are configured."""


class Mounted:
    """See the module. `failed`: the loop ended by an error of ours."""

    failed = False
    learned: Learned | None = None
    _fill: Fill | None = None
    _names_due = 0.0

    def __init__(self, request: MountRequest, handover: Handover) -> None:
        """Open the repository, or make ready to open many; then mount, or go on with the mount that was left to us."""
        self.request = request
        self.vfs = Vfs(started=int(request.clock().timestamp()), counts=handover.counts, journal=handover.journal)
        self.pool = ThreadPoolExecutor(WORKERS, thread_name_prefix="fetch")
        self.repositories: Repositories | None = None
        self._access: Access | None = None
        self._refreshers: dict[str, Refresher] = {}
        self._announcements = Announcements(self.refreshers)
        if request.repository is None:
            if request.resolve is None:
                raise MountFailed("nothing to mount: neither a repository nor a way to find repositories was given")
            resolve = request.resolve
            self.repositories = Repositories(lambda name: self._early(resolve(name)))
            self.vfs.mount_many(self.repositories, request.listed)
            if handover.connection is None:
                for name in request.names:
                    self.repositories.open(name)
        try:
            self.device = self._mount() if handover.connection is None else self._resume(handover.connection)
        except BaseException:
            self.close()
            raise
        knows_root = mounting.is_initial_namespace()
        self.adapter = Adapter(
            self.device,
            self.vfs,
            self.pool,
            request.validity,
            knows_root=knows_root,
            deadline=request.deadline,
            owners=request.owners,
            inflight=InFlight(handover.requests),
        )
        self.adapter.room = lambda: room(lambda: self.accesses)
        self.session = self.adapter.session
        self.openings = Openings(self.vfs, self.session, self._fqrn_of, is_tracing=request.trace)
        self.learned = self._learned()
        self.adapter.seen = self._seen
        self.process = Process(self.vfs, self.session, lambda: self.accesses)
        self.quiet = Quiet(lambda: bool(self.session.pending()), lambda: self.process.latencies.total)
        self.adapter.magic = MagicAttributes(self.vfs, self.process, lambda: self.accesses, request.watching.visibility)
        self._hear_of_opening(handover, knows_root=knows_root)
        if handover.connection is not None:
            self.session.go_on(handover.connection.agreement)
        self._fill = self._fetch_ahead()
        self.make_room: Callable[[], object] = lambda: None
        """Has this process end in favour of a program that is started anew, soon."""
        self._idle = Idle(self.vfs, request.idle, give_back) if request.idle else None
        # The kernel keeps the listing of the synthetic root too.
        self.vfs.on_new_volume = lambda: self.session.forget_inode(ROOT_NODE)

    def _hear_of_opening(self, handover: Handover, *, knows_root: bool) -> None:
        """Have the kernel tell when files are opened, where the request wants something that needs it."""
        if self.request.watching.trace is not None:
            self.session.hear_of_opening()
        if self.request.passthrough:
            if knows_root and is_root():
                self.adapter.pass_through(OpenFiles(self.device, handover.opens))
            else:
                log.warning("no passthrough: only the machine's root can hand files to the kernel")

    @property
    def accesses(self) -> dict[str, Access]:
        """The repositories in use, by the name that they have in the tree."""
        if self._access is not None:
            return {"": self._access}
        return dict(self.repositories.accesses) if self.repositories is not None else {}

    def filling(self) -> list[Filling]:
        """How far the directories are that are filled in the background."""
        return [] if self._fill is None else self._fill.progress()

    def _distance(self, name: str) -> float:
        """Seconds that a small object of a repository takes."""
        access = self.accesses.get(name)
        documents = None if access is None else access.documents
        return documents.distance if isinstance(documents, RemoteRepository) else 0.0

    def _fetch_ahead(self) -> Fill | None:
        """Have it fetched ahead as the request says; what fills directories in the background, where some are named."""
        access, ahead, request = self._access, self.adapter.ahead, self.request
        ahead.is_on, ahead.guesses = request.prefetch, request.guesses
        ahead.distance = self._distance
        ahead.has_room(self._has_room)
        if access is None or not request.fill or not isinstance(access.cache, BringsAhead):
            return None
        cache = access.cache
        found = Fill(
            request.fill,
            lambda path: wants_below(access.revision, path),
            lambda wants: ahead.bring(wants, cache),
            is_busy=lambda: not self.quiet.is_enough,
            has_room=self._has_room,
        )
        ahead.on_opening = found.opened
        return found

    def _has_room(self) -> bool:
        """Whether nothing has to go from the cache for what comes."""
        found = room(lambda: self.accesses)
        return found is None or found[1] > _LEFT * found[0]

    def refreshers(self) -> list[Refresher]:
        """One for each repository in use."""
        for name, access in self.accesses.items():
            if name not in self._refreshers and name in self.vfs.volumes:
                self._refreshers.setdefault(name, Refresher(self.vfs, name, access, self.session))
        return list(self._refreshers.values())

    def look_around(self, now: float) -> None:
        """What is to be done now and then, by the main thread. `now`: seconds on the monotonic clock."""
        self._announcements.look()
        if self._idle is not None:
            self._idle.check(now)
        if now >= self._names_due:
            self._names_due = now + _NAMES_HOLD
            if self.vfs.look_for_names():
                self.session.forget_inode(ROOT_NODE)

    def choose_again(self) -> None:
        """Have the next refresh look which revisions the request names: it may be another request by now."""
        for access in self.accesses.values():
            access.choose_again()

    def close(self) -> None:
        """Let go of caches and connections, in order: what was fetched is on the disk afterwards."""
        self._announcements.stop()
        if self.learned is not None:
            self.learned.local.close()
        if self._fill is not None:
            self._fill.close()
        for access in self.accesses.values():
            access.cache.settle()
        if self._access is not None:
            self._access.close()
        if self.repositories is not None:
            self.repositories.close()

    def _seen(self, read: FileRead) -> bool:
        self.openings.note(read)
        return self.learned is not None and self.learned.seen(read)

    def _learned(self) -> Learned:
        triggers = Triggers(self.vfs, self.request.learned, self._fqrn_of)
        adapter = self.adapter
        return Learned(triggers, self.pool, adapter.session, adapter.reads, adapter.ahead, self._source_of)

    def _fqrn_of(self, name: str) -> str | None:
        """The full name of the repository that has this name in the tree."""
        access = self.accesses.get(name)
        return None if access is None else access.fqrn

    def _source_of(self, name: str) -> ObjectSource | None:
        """Where the cache of a repository is filled from."""
        access = self.accesses.get(name)
        return None if access is None else access.cache_source

    @property
    def fqrn(self) -> str | None:
        """The repository that is the whole mount."""
        return self._access.fqrn if self._access is not None else None

    def _mount(self) -> int:
        request = self.request
        if request.repository is not None:
            self._access = Access(self._early(request.repository))
            self.vfs.mount_root(self._access.revision, self._access.variables)
        options = MountOptions(self.fqrn or "cvmfs", request.allow_other, request.suid, request.dev)
        return mounting.mount(request.mountpoint, options)

    def _early(self, repository: AccessRequest) -> AccessRequest:
        """Have connections opened early, if anything is to be had before it is asked for."""
        return replace(repository, early=_EARLY if self.request.prefetch else 0)

    def _resume(self, connection: Connection) -> int:
        self.vfs.resume(lambda record: self._open_again(record, connection.fqrn))
        return connection.device

    def _open_again(self, record: VolumeRecord, fqrn: str | None) -> tuple[Revision, Mapping[str, str]]:
        """Open the revision that the worker before this one showed."""
        if self.repositories is not None:
            return self.repositories.open(record.name, record.root)
        assert self.request.repository is not None  # noqa: S101 - it is one or the other
        self._access = Access(self._early(replace(self.request.repository, fqrn=fqrn)), record.root)
        return self._access.revision, self._access.variables
