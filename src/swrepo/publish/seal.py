"""The last steps of a publication: tags, reference log, signed manifest. The manifest is written last.

What a crash leaves: before the reference log, objects that nothing names. After it, a log that knows more than the
manifest says (its checksum is then the one in the spool directory); the old revision is whole, and the next publication
goes on from there. After the manifest, the new revision.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from swrepo.catalog.nested import NestedRef
from swrepo.errors import FormatError, ObjectNotFound, PublishError
from swrepo.format.manifest import Manifest
from swrepo.format.object_id import Kind, ObjectId
from swrepo.format.paths import ROOT
from swrepo.format.wellknown import (
    ALTERNATIVE_PREFIX,
    AUTO_TAG_PREFIX,
    MANIFEST,
    REFLOG,
)
from swrepo.objects.store import CATALOG_LIMIT, LocalObjects, WritableDocuments
from swrepo.publish.checkout import Checkout
from swrepo.publish.encoder import Encoder
from swrepo.publish.opening import OpenRepository
from swrepo.publish.plain import read_object
from swrepo.publish.storage import FlushableStore
from swrepo.repository.history import Branch, HistoryFile, HistoryWriter, Tag, open_history
from swrepo.repository.reflog import ReflogFile, ReflogWriter
from swrepo.system.atomic import write_atomically
from swrepo.trust.signer import SigningKey, sign_manifest

_REFLOG_LIMIT = 1 << 30
_AUTOMATIC = re.compile(rf"{AUTO_TAG_PREFIX[:-1]}(_\d+)?-\d{{4}}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{{1,3}})?Z")
"""Tags that publications without a tag gave, ours and the original's. Source: original.md 2."""

HistoryEdit = Callable[[HistoryWriter, Manifest], object]
"""Changes the tags; the manifest is the new one, as far as it is known by then."""


@dataclass(frozen=True, slots=True)
class TagRequest:
    """A tag that the publisher asked for; an empty name leaves it to the repository's settings."""

    name: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True)
class Sealer:
    """What is needed to make a revision current. `now_ms` is the time in milliseconds since 1970."""

    fqrn: str
    store: FlushableStore
    documents: WritableDocuments
    objects: LocalObjects
    encoder: Encoder
    key: SigningKey
    certificate_pem: bytes
    scratch: Path
    checksum_file: Path
    now_ms: int
    auto_tags_since: int | None = None
    """Tags that publications gave themselves before that time (Unix) are removed by the next one."""

    @classmethod
    def of(cls, repository: OpenRepository, now_ms: int) -> Sealer:
        """The sealer of an open repository."""
        places, storage = repository.places, repository.storage
        return cls(
            fqrn=places.fqrn,
            store=storage.store,
            documents=storage.documents,
            objects=repository.objects,
            encoder=repository.settings.encoder,
            key=repository.key,
            certificate_pem=repository.certificate_pem,
            scratch=places.scratch,
            checksum_file=places.reflog_checksum,
            now_ms=now_ms,
        )

    def seal(
        self, draft: Manifest, root: NestedRef, tag: TagRequest, *, auto_tag: bool, also: Iterable[ObjectId] = ()
    ) -> Manifest:
        """Make `root` current. `draft` has the new revision and the ids of the last one; the new manifest comes back.

        Where `root` is the current root already, only the tag is new. `also`: see `amend`.
        """
        is_new = root.id != draft.root_catalog

        def edit(writer: HistoryWriter, manifest: Manifest) -> None:
            size, timestamp = manifest.root_size or 0, manifest.timestamp or 0
            if is_new:
                writer.advance(root.id, size, manifest.revision, timestamp)
                self._remove_outdated(writer)
            name = tag.name or (automatic_tag(self.now_ms) if auto_tag else "")
            if name:
                writer.add(Tag(name, root.id, size, manifest.revision, timestamp, tag.message))

        return self.amend(draft, root, edit, also)

    def amend(
        self, draft: Manifest, root: NestedRef, edit: HistoryEdit | None, also: Iterable[ObjectId] = ()
    ) -> Manifest:
        """Make `root` current, with the tags as `edit` leaves them; None: as they are.

        `also` are noted in the reference log with what the manifest names.
        """
        certificate = self._certificate(draft.certificate)
        timestamp = self._now(draft) if root.id != draft.root_catalog else draft.timestamp or self._now(draft)
        draft = replace(draft, root_catalog=root.id, root_size=root.size, timestamp=timestamp, certificate=certificate)
        if edit is not None:
            draft = replace(draft, history=self._history(draft, edit))
        return self._sign(draft, [*_named(draft), *also], ())

    def seal_on_branch(
        self, current: Manifest, root: NestedRef, revision: int, tag: TagRequest, target: Checkout
    ) -> Manifest:
        """Name a revision on a branch, which begins with it where it is new. The newest revision stays what it is."""

        def edit(writer: HistoryWriter, _: Manifest) -> None:
            if target.branch not in writer.branches():
                writer.add_branch(Branch(target.branch, target.parent, revision))
            elif all(known.root != target.root for known in writer.tags() if known.branch == target.branch):
                raise PublishError(f"the branch {target.branch} was made meanwhile; check it out again")
            when = self.now_ms // 1000
            writer.add(Tag(tag.name, root.id, root.size, revision, when, tag.message, target.branch))

        trunk = NestedRef(ROOT, current.root_catalog, current.root_size)
        return self.amend(current, trunk, edit, also=[root.id])

    def forget(self, manifest: Manifest, gone: Iterable[ObjectId]) -> Manifest:
        """Sign the manifest again, with a reference log that does not know `gone` any more."""
        return self._sign(manifest, [*_named(manifest)], gone)

    def _sign(self, draft: Manifest, noted: Iterable[ObjectId], gone: Iterable[ObjectId]) -> Manifest:
        reflog = self._reflog(draft, noted, gone)
        self.store.flush()
        if draft.alt_catalog_path:
            self._write_alternatives(draft)
        manifest = replace(draft, reflog=ObjectId.of(reflog, self.encoder.algorithm))
        signed = sign_manifest(self.key, manifest.encode(), self.encoder.algorithm)
        # Both checksums of the log are known from here on: the manifest's until the last line, this one after it.
        write_atomically(self.checksum_file, f"{manifest.reflog}\n".encode())
        self.documents.write(REFLOG, reflog)
        self.documents.write(MANIFEST, signed)
        return manifest

    def _now(self, draft: Manifest) -> int:
        """Clients refuse a manifest that goes back in time."""
        return max(self.now_ms // 1000, draft.timestamp or 0)

    def save(self, plain: bytes, kind: Kind) -> ObjectId:
        """Store a catalog or its like: always zlib. Source: format.md 2."""
        stored = self.encoder.pack(plain, kind)
        name = self.encoder.named(stored, kind)
        self.store.put(name, stored)
        return name

    def save_file(self, file: Path, kind: Kind) -> ObjectId:
        """Store a database that is finished, and remove its file."""
        name = self.save(file.read_bytes(), kind)
        file.unlink()
        return name

    def _certificate(self, last: ObjectId | None) -> ObjectId:
        """The certificate's object: that of the last manifest, where the key is still the same."""
        if last is not None and read_object(self.objects, last) == self.certificate_pem:
            return last
        return self.save(self.certificate_pem, Kind.CERTIFICATE)

    def _history(self, draft: Manifest, edit: HistoryEdit) -> ObjectId:
        file = self.scratch / "history"
        with self._old_history(draft.history) as old:
            writer = HistoryWriter(file, self.fqrn) if old is None else HistoryWriter.edit(old, file)
        try:
            edit(writer, draft)
            writer.finish(draft.history)
        except BaseException:
            writer.discard()
            raise
        return self.save_file(file, Kind.HISTORY)

    def _remove_outdated(self, writer: HistoryWriter) -> None:
        since = self.auto_tags_since
        for tag in writer.tags() if since is not None else ():
            if tag.timestamp < (since or 0) and is_automatic(tag.name):
                writer.remove(tag.name)

    @contextmanager
    def _old_history(self, history: ObjectId | None) -> Iterator[HistoryFile | None]:
        if history is None:
            yield None
            return
        old = open_history(history, self.objects)
        try:
            yield old
        finally:
            old.close()

    def _reflog(self, draft: Manifest, noted: Iterable[ObjectId], gone: Iterable[ObjectId]) -> bytes:
        """The reference log with everything that was noted, and without what is gone."""
        file = self.scratch / "reflog"
        writer = self._old_reflog(draft.reflog, file)
        for name in gone:
            writer.remove(name)
        for name in noted:
            writer.add(name, self._now(draft))
        writer.finish()
        data = file.read_bytes()
        file.unlink()
        return data

    def _old_reflog(self, expected: ObjectId | None, file: Path) -> ReflogWriter:
        try:
            data = self.documents.read(REFLOG, _REFLOG_LIMIT)
        except ObjectNotFound:
            if expected is not None:
                raise PublishError(f"{REFLOG} of {self.fqrn} is missing; restore it from a backup or replica") from None
            return ReflogWriter(file, self.fqrn)
        self._check_reflog(data, expected)
        source = self.scratch / "old-reflog"
        source.write_bytes(data)
        old = ReflogFile.open(source)
        try:
            return ReflogWriter.edit(old, file)
        finally:
            old.close()
            source.unlink()

    def _check_reflog(self, data: bytes, expected: ObjectId | None) -> None:
        """It is that of the manifest, or that of a publication which was killed before its manifest."""
        allowed = {expected} if expected is not None else set()
        with suppress(OSError, ValueError, FormatError):  # missing where another machine published last
            allowed.add(ObjectId.parse(self.checksum_file.read_text("ascii").strip()))
        if allowed and all(ObjectId.of(data, name.algorithm) != name for name in allowed):
            raise PublishError(
                f"{REFLOG} of {self.fqrn} is not the one that was written last; restore it from a backup or replica "
                f"(after a garbage collection by CernVM-FS: bring its checksum along, to {self.checksum_file})"
            )

    def _write_alternatives(self, draft: Manifest) -> None:
        """Copies for servers whose data directory needs a permission. Source: format.md 1."""
        for name in _named(draft):
            self.documents.write(ALTERNATIVE_PREFIX + name.name, self.documents.read(name.path, CATALOG_LIMIT))


def automatic_tag(now_ms: int) -> str:
    """The name of the tag that a publication without a tag gets. Source: format.md 7."""
    seconds, milliseconds = divmod(now_ms, 1000)
    return f"{AUTO_TAG_PREFIX}{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{milliseconds:03}Z"


def is_automatic(name: str) -> bool:
    """Whether a tag was given by a publication without one."""
    return _AUTOMATIC.fullmatch(name) is not None


def _named(manifest: Manifest) -> Iterator[ObjectId]:
    """The objects that a manifest names."""
    for name in (manifest.root_catalog, manifest.certificate, manifest.history, manifest.metainfo):
        if name is not None:
            yield name
