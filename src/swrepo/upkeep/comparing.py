"""Two revisions of a repository of this server side by side, named as people name them."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from swrepo.catalog.counters import Counters
from swrepo.config import moments
from swrepo.errors import NotFound, UsageError
from swrepo.format import envelope
from swrepo.format import manifest as manifests
from swrepo.format.object_id import Kind, ObjectId
from swrepo.format.wellknown import MANIFEST
from swrepo.publish.layout import ServerLayout
from swrepo.publish.plain import PlainObjects
from swrepo.publish.storage import reading
from swrepo.repository.history import HistoryFile, Tag, open_history
from swrepo.repository.revision import Revision
from swrepo.repository.walk import Difference, diff

_HASH = "@"
"""What a root catalog's hash begins with where a tag is expected, as in the original."""


@dataclass(frozen=True, slots=True)
class Compared:
    """Two open revisions, and what they are called."""

    old_tag: Tag
    new_tag: Tag
    old: Revision
    new: Revision

    def counters(self) -> Counters:
        """How much more of everything the newer one has."""
        return self.new.tree.root.counters().total - self.old.tree.root.counters().total

    def differences(self) -> Iterator[Difference]:
        """What differs, in the order of the tree."""
        return diff(self.old, self.new, catalogs=True)


@contextmanager
def compare(layout: ServerLayout, fqrn: str, old: str, new: str) -> Iterator[Compared]:
    """Open two revisions: tags, `@` and a root catalog's hash, or dates. NotFound."""
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        storage = reading(layout.repository(fqrn))
        objects = PlainObjects(storage, scratch)
        manifest = manifests.parse(envelope.split(storage.read(MANIFEST)).body)
        if manifest.history is None:
            raise NotFound(f"{fqrn} has no tags to compare")
        history = stack.enter_context(closing(open_history(manifest.history, objects)))
        tags = [_find(history, name, fqrn) for name in (old, new)]
        revisions = [stack.enter_context(Revision(tag.root, objects, tag.size)) for tag in tags]
        before, after = (_known(*pair) for pair in zip(tags, revisions, strict=True))
        yield Compared(before, after, *revisions)


def _find(history: HistoryFile, name: str, fqrn: str) -> Tag:
    if name.startswith(_HASH):
        root = ObjectId.parse(name.removeprefix(_HASH), Kind.CATALOG)
        return next((tag for tag in history.tags() if tag.root == root), Tag(name, root, None, 0, 0))
    found = history.find(name)
    if found is None:
        found = _by_date(history, name)
    if found is None:
        raise NotFound(f"{fqrn} has no revision {name}: no tag of that name, and none from that time")
    return found


def _by_date(history: HistoryFile, text: str) -> Tag | None:
    try:
        return history.by_date(moments.parse(text, datetime.now().astimezone()))
    except UsageError:
        return None


def _known(tag: Tag, revision: Revision) -> Tag:
    """With the number and time that only the catalog knows, where the revision has no tag."""
    if tag.revision:
        return tag
    root = revision.tree.root
    return Tag(tag.name, tag.root, tag.size, root.revision, root.last_modified)
