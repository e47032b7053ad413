"""Requests of the kernel -> calls of the Vfs -> replies.

Whatever can be answered from memory and local files is answered on the loop's thread. What must be fetched first goes
to a bounded pool, and the thread that completes it answers.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor

from swrepo.errors import NoAttribute, SwrepoError
from swrepo.fuse import wire
from swrepo.fuse.inflight import InFlight
from swrepo.fuse.request import LATER, Handler, Later, Request
from swrepo.fuse.session import Session
from swrepo.fuse.wire import Opcode
from swrepo.mount.ahead_fetch import ReadingAhead
from swrepo.mount.answers import (
    BLOCK_SIZE,
    NotSupported,
    numbers_told,
    sized,
)
from swrepo.mount.attributes import MagicAttributes
from swrepo.mount.beforehand import Beforehand
from swrepo.mount.deadlines import DEADLINE, Deadlines, describe
from swrepo.mount.interrupts import is_meant_to_stop
from swrepo.mount.names import Names
from swrepo.mount.openings import FileRead
from swrepo.mount.opens import Opens
from swrepo.mount.passthrough import OpenFiles
from swrepo.mount.reads import Read, Reads
from swrepo.vfs.owners import Owners
from swrepo.vfs.tree import ROOT_NODE, NotHere, Vfs

WORKERS = 32
"""Threads that fetch. More would not fetch faster: the network has its own queue."""

_LOCAL_WORKERS = 4
"""Threads that open catalogs which are on the disk. They do not wait for the network."""

_CATALOGS_PER_REQUEST = 300
"""Nested catalogs that one look-up can lead through: the tree allows 256 above one another."""

_NAME_MAX = 255
_TRUSTED = b"trusted."
_UNSUPPORTED = frozenset(
    {b"security.capability", b"security.selinux", b"system.posix_acl_access", b"system.posix_acl_default"}
)
"""What `ls -l` and its like ask of every entry, until a device says that it has no such thing."""


class Adapter:
    """Serves `device` from a Vfs. `validity`: seconds for which the kernel may keep what it was told.

    `knows_root`: user 0 of a request is root of the machine, and not of a user namespace. `deadline`: seconds without a
    byte after which a request fails. `owners`: others than the published ones.
    """

    def __init__(
        self,
        device: int,
        vfs: Vfs,
        pool: Executor,
        validity: int,
        *,
        knows_root: bool = True,
        deadline: float = DEADLINE,
        inflight: InFlight | None = None,
        owners: Owners | None = None,
    ) -> None:
        self.vfs = vfs
        self.magic: MagicAttributes | None = None
        self.room: Callable[[], tuple[int, int] | None] = lambda: None
        self.seen: Callable[[FileRead], bool] = lambda _read: False
        """Told, on the loop's thread and after the answer, of files that are opened and of chunks that are read.

        Says whether a list knows what comes next: then nobody has to guess.
        """
        self._pool = pool
        self._knows_root = knows_root
        self._beforehand = Beforehand(vfs)
        self._names = names = Names(vfs, validity, owners, self._beforehand)
        self._ask_for_name = self._or_later(names.lookup)
        handlers: dict[Opcode, Handler] = {
            Opcode.LOOKUP: self._lookup,
            Opcode.GETATTR: self._or_later(names.getattr),
            Opcode.READDIR: self._or_later(names.readdir),
            Opcode.READDIRPLUS: self._or_later(names.readdirplus),
            Opcode.READLINK: self._or_later(lambda request: vfs.readlink(request.node)),
            Opcode.GETXATTR: self._or_later(self._getxattr),
            Opcode.LISTXATTR: self._or_later(self._listxattr),
            Opcode.STATFS: self._or_later(self._statfs),
            Opcode.READ: self._read,
            Opcode.FORGET: self._forget,
            Opcode.BATCH_FORGET: self._batch_forget,
        }
        self.session = Session(device, handlers, is_meant_to_stop, self._undelivered, inflight)
        self.session.describe = lambda request: describe(vfs, request)
        self.deadlines = Deadlines(self.session, deadline)
        self._local = ThreadPoolExecutor(_LOCAL_WORKERS, thread_name_prefix="local")
        self.reads = Reads(pool, self.deadlines)
        self.ahead = ReadingAhead(vfs, pool, self.session, self.reads)
        self._opens: Opens | None = None
        self.session.work = self._beforehand.work

    def pass_through(self, open_files: OpenFiles) -> None:
        """Have the kernel read files of the cache by itself, if it can; before the loop runs."""
        self._opens = Opens(self.vfs, self._pool, self.session, self.deadlines, self.ahead, open_files)
        self._opens.seen = lambda read: self.seen(read)  # noqa: PLW0108 - `seen` may be set later
        self.session.ask_for_passthrough(self._opens.open, self._opens.release)

    # Now or later

    def _or_later(self, operation: Callable[[Request], bytes]) -> Handler:
        lock = self.vfs.lock

        def handle(request: Request) -> bytes | Later:
            with lock:
                try:
                    # Delivered with the lock held, so that a refresh knows what the kernel was told before it.
                    return self.session.deliver(request, operation(request))
                except NotHere as error:
                    missing = error
            later = self.session.defer(request)
            self._local.submit(self._attend, request, operation, missing)
            return later

        return handle

    def _attend(
        self, request: Request, operation: Callable[[Request], bytes], missing: NotHere, steps: int = 1
    ) -> None:
        """Runs in `_local`: what is on the disk does not wait behind what the network has to bring."""
        try:
            if missing.is_here():
                self._fetch_and_answer(request, operation, missing, steps)
            else:
                self._pool.submit(self._fetch_and_answer, request, operation, missing, steps)
        except Exception as error:  # noqa: BLE001 - the request gets its answer; the session logs it
            self.session.answer(request, error)

    def _fetch_and_answer(
        self, request: Request, operation: Callable[[Request], bytes], missing: NotHere, steps: int
    ) -> None:
        if not self.session.is_pending(request):  # its caller was killed while it waited for this thread
            return
        try:
            if steps > _CATALOGS_PER_REQUEST:
                raise SwrepoError("a directory lies below more catalogs than there can be")
            with self.deadlines.working_for(request):
                missing.fetch()
            self.ahead.catalog_loaded()
            with self.vfs.lock:
                try:
                    payload = operation(request)
                except NotHere as another:
                    self._local.submit(self._attend, request, operation, another, steps + 1)
                    return
                if not self.session.answer(request, payload):
                    self._undelivered(request, payload)
            if request.node == ROOT_NODE and self.vfs.is_synthetic:
                self.session.forget_inode(ROOT_NODE)  # its listing has one repository more
        except Exception as error:  # noqa: BLE001 - as above
            self.session.answer(request, error)

    def _lookup(self, request: Request) -> bytes | Later:
        with self.vfs.lock:
            answer = self._names.ready(request)
            if answer is not None:
                return self.session.deliver(request, answer)
        return self._ask_for_name(request)

    # Extended attributes

    def _getxattr(self, request: Request) -> bytes:
        size, _ = wire.XATTR_IN.unpack_from(request.body)
        name = request.body[wire.XATTR_IN.size : request.body.index(0, wire.XATTR_IN.size)]
        value = None if self.magic is None else self.magic.value(request.node, name, request.uid, request.gid)
        if value is None:
            value = self.vfs.xattrs(request.node).get(name)
        if value is None:
            raise NotSupported(f"no {name!r} here") if name in _UNSUPPORTED else NoAttribute(f"no attribute {name!r}")
        return sized(value, size)

    def _listxattr(self, request: Request) -> bytes:
        size, _ = wire.XATTR_IN.unpack_from(request.body)
        names = [name for name in self.vfs.xattrs(request.node) if self._may_see(name, request)]
        if self.magic is not None:
            names += [name for name in self.magic.listed(request.node, request.uid, request.gid) if name not in names]
        return sized(b"".join(name + b"\0" for name in names), size)

    def _may_see(self, name: bytes, request: Request) -> bool:
        """As on other file systems, only the machine's root gets to see `trusted.` attributes listed."""
        return not name.startswith(_TRUSTED) or (request.uid == 0 and self._knows_root)

    # Bytes

    def _read(self, request: Request) -> bytes | Later:
        _, offset, size, *_ = wire.READ_IN.unpack_from(request.body)
        with self.vfs.lock:
            count = self.vfs.opened
            content = self.vfs.content(request.node)
            is_new = self.vfs.opened != count
            if is_new:
                self._beforehand.is_read(request.node)
        found = content.try_pread(offset, size)
        self.ahead.is_used(request.node, content, offset, size)
        expected = self.ahead.expects(request.node)
        if found is None:
            later = self.session.defer(request)
            self.reads.wait(self.session, Read(request, content, offset, size), on_loop=True)
        elif is_new or content.chunks or expected:
            later = self.session.deliver(request, found)
        else:
            return found
        is_listed = False
        if is_new or content.chunks:  # behind what somebody waits for
            is_listed = self.seen(FileRead(request.node, request.pid, content, offset, size, is_new))
        if is_listed:
            return later
        missing = content.wants(offset, size)[0] if found is None else None
        if content.chunks:
            self.ahead.chunk_read(request.node, content, offset, missing)
        elif found is None or expected:
            self.ahead.opened(request.node, missing)
        return later

    # The rest

    def _statfs(self, _request: Request) -> bytes:
        """What the cache may take and has left, as the original tells it; without a limit, what is published."""
        size, entries = self.vfs.usage()
        total, free = self.room() or (size, 0)
        blocks, left = -(-total // BLOCK_SIZE), free // BLOCK_SIZE
        return wire.STATFS_OUT.pack(blocks, left, left, entries, 0, BLOCK_SIZE, _NAME_MAX, BLOCK_SIZE, 0)

    def _forget(self, request: Request) -> Later:
        (times,) = wire.FORGET_IN.unpack_from(request.body)
        with self.vfs.lock:
            self.vfs.forget(request.node, times)
        return LATER

    def _batch_forget(self, request: Request) -> Later:
        records = memoryview(request.body)[wire.BATCH_FORGET_IN.size :]
        with self.vfs.lock:
            for number, times in wire.FORGET_ONE.iter_unpack(records):
                self.vfs.forget(number, times)
        return LATER

    def _undelivered(self, request: Request, payload: bytes) -> None:
        """The kernel did not take an answer, so it does not know the numbers in it."""
        if request.opcode == Opcode.OPEN and self._opens is not None:
            self._opens.undelivered(request)
        with self.vfs.lock:
            for number in numbers_told(request, payload):
                self.vfs.forget(number, 1)
