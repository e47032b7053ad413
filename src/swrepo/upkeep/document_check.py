"""What stands beside the catalogs: the signatures, the tags, the reference log."""

from __future__ import annotations

import re
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from swrepo.errors import FormatError, ObjectNotFound, SwrepoError
from swrepo.format.manifest import Manifest
from swrepo.format.object_id import Kind, ObjectId
from swrepo.format.wellknown import MANIFEST, REFLOG, TRUNK
from swrepo.objects.store import Documents, LocalObjects, ObjectSource, Want
from swrepo.repository.bootstrap import trusted_manifest
from swrepo.repository.history import DEFAULT_BRANCH, Branch, Tag, open_history
from swrepo.repository.reflog import ReflogFile
from swrepo.trust.chain import TrustAnchors
from swrepo.trust.keys import PublicKey
from swrepo.upkeep.catalog_check import HasObject, Tell

_REFLOG_LIMIT = 1 << 30
_BRANCH_NAME = re.compile(r"[a-zA-Z0-9_@./-]*")

TAGS = b"tags"
"""Where faults of the tag database are, in messages."""


@dataclass(frozen=True, slots=True)
class DocumentCheck:
    """The check of the documents of `fqrn`. `scratch` is a directory for files on the way."""

    fqrn: str
    source: ObjectSource
    documents: Documents
    objects: LocalObjects
    tell: Tell
    scratch: Path

    def signatures(self, public_keys: tuple[Path, ...], now: datetime) -> None:
        """Would a client believe the manifest now?"""
        try:
            anchors = TrustAnchors(tuple(key for file in public_keys for key in PublicKey.parse_all(file.read_bytes())))
            trusted_manifest(self.fqrn, self.documents, self.source, anchors, now)
        except OSError as error:
            self.tell(MANIFEST.encode(), f"the public key {error.filename} cannot be read: {error.strerror}")
        except SwrepoError as error:
            self.tell(MANIFEST.encode(), f"clients refuse it: {error}")

    def named(self, manifest: Manifest) -> None:
        """The small objects that the manifest names."""
        for name in (manifest.certificate, manifest.metainfo):
            if name is None:
                continue
            try:
                with open(self.objects.open(Want(name)), "rb"):
                    pass
            except SwrepoError as error:
                self.tell(MANIFEST.encode(), f"the object {name} that it names cannot be used: {error}")

    def tags(self, manifest: Manifest, has_object: HasObject) -> None:
        """The tag database: branches, and revisions that are there."""
        if manifest.history is None:
            return
        try:
            with closing(open_history(manifest.history, self.objects)) as history:
                tags, branches, fqrn = history.tags(), history.branches(), history.fqrn
        except SwrepoError as error:
            self.tell(TAGS, f"the tag database {manifest.history} cannot be used: {error}")
            return
        if fqrn != self.fqrn:
            self.tell(TAGS, f"the tag database is that of {fqrn!r}")
        known = {branch.name: branch for branch in branches}
        for tag in tags:
            self._tag(tag, known)
            if not has_object(tag.root):
                self.tell(TAGS, f"the root catalog {tag.root} of the tag {tag.name} is missing")
        used = {tag.branch for tag in tags} | {DEFAULT_BRANCH}
        for name in known:
            if not _BRANCH_NAME.fullmatch(name):
                self.tell(TAGS, f"{name!r} cannot be the name of a branch")
            if name not in used:
                self.tell(TAGS, f"there is no tag on the branch {name}")
        trunk = next((tag for tag in tags if tag.name == TRUNK), None)
        if trunk is not None and trunk.root != manifest.root_catalog:
            self.tell(TAGS, f"{TRUNK} is {trunk.root}, and the manifest says {manifest.root_catalog}")

    def reflog(self, manifest: Manifest, checksum_file: Path) -> None:
        """The reference log: the one that was written last, and it knows what the manifest names."""
        where = REFLOG.encode()
        try:
            data = self.documents.read(REFLOG, _REFLOG_LIMIT)
        except ObjectNotFound:
            if manifest.reflog is not None:
                self.tell(where, "it is missing, and the manifest names it")
            return
        allowed = _checksums(manifest, checksum_file)
        found = ObjectId.of(data, manifest.root_catalog.algorithm)
        if allowed and found not in allowed:
            self.tell(where, f"it has the hash {found}, expected {' or '.join(sorted(map(str, allowed)))}")
        file = self.scratch / "reflog"
        file.write_bytes(data)
        try:
            with closing(ReflogFile.open(file)) as log:
                noted = {one.id for one in log.references()}
        except FormatError as error:
            self.tell(where, str(error))
            return
        finally:
            file.unlink()
        for name in (manifest.root_catalog, manifest.certificate, manifest.history, manifest.metainfo):
            if name is not None and name not in noted:
                self.tell(where, f"it does not name {name}, which the manifest names")

    def _tag(self, tag: Tag, known: dict[str, Branch]) -> None:
        branch = known.get(tag.branch)
        if branch is None:
            self.tell(TAGS, f"the tag {tag.name} is on the branch {tag.branch}, which does not exist")
        elif tag.revision < branch.initial_revision:
            self.tell(TAGS, f"the tag {tag.name} has revision {tag.revision}, before its branch began")


def _checksums(manifest: Manifest, checksum_file: Path) -> set[ObjectId]:
    """Which the log may have; empty where that cannot be known.

    A collection by CernVM-FS leaves the manifest's as it was: the right one is then only in the file beside it.
    """
    found = {manifest.reflog} if manifest.reflog is not None else set()
    try:
        return found | {ObjectId.parse(checksum_file.read_text("ascii").strip(), Kind.FILE)}
    except (OSError, ValueError, FormatError):
        return set() if manifest.garbage_collectable else found
