"""A publication from beginning to end: what stands in the work tree becomes the next revision, or nothing changes.

    lock -> keys, whitelist and last manifest -> scan -> contents -> catalogs, leaves first -> tags -> reference log
         -> signed manifest

Killed at any moment, it leaves the last revision as it was; run again, it completes, and finds what it had stored.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from swrepo.catalog import schema
from swrepo.catalog.nested import NestedRef
from swrepo.errors import UsageError
from swrepo.format.manifest import Manifest
from swrepo.format.object_id import Kind
from swrepo.format.paths import ROOT, join
from swrepo.format.wellknown import RESERVED_DIRECTORY, TRUNK, TRUNK_PREVIOUS
from swrepo.objects.directory import writing
from swrepo.publish import checkout
from swrepo.publish.catalogs import Balance, CatalogEditor, Tweak
from swrepo.publish.changes import Difference, Verb, difference
from swrepo.publish.checkout import Checkout
from swrepo.publish.layout import ServerLayout
from swrepo.publish.opening import OpenRepository, open_repository
from swrepo.publish.outcome import Outcome
from swrepo.publish.progress import Phase, Progress, Silent
from swrepo.publish.seal import Sealer, TagRequest
from swrepo.publish.settings import Choices, RepositorySettings
from swrepo.publish.storage import OpenStorage, opened
from swrepo.publish.survey import Survey, survey
from swrepo.repository.history import open_history
from swrepo.system.lock import exclusive

_NO_TAG = TagRequest()
_NANOSECONDS = 1_000_000_000

Report = Callable[[Difference], None]

if TYPE_CHECKING:
    from swrepo.publish.archive import Owner
    from swrepo.publish.changed import Touched
    from swrepo.publish.gathering import Bring, Gathered

    Pass = Survey | Gathered
    """What a publication is made from: a directory that was looked through, or archives."""


@dataclass(frozen=True, slots=True)
class Publisher:
    """How to publish the repositories of a server; the defaults are those of the real thing."""

    layout: ServerLayout
    progress: Progress = Silent()  # noqa: RUF009 - has no state
    report: Report | None = None
    clock_ns: Callable[[], int] = time.time_ns
    open_storage: OpenStorage = opened
    threads: int | None = None
    choices: Choices = Choices()  # noqa: RUF009 - an immutable value
    tweak: Tweak | None = None
    """May change each catalog before it is stored."""

    def publish(
        self, fqrn: str, source: Path | None = None, tag: TagRequest = _NO_TAG, touched: Touched | None = None
    ) -> Outcome:
        """Publish the directory `source` (the repository's work tree) as the next revision; of it only what is
        `touched`, if that is given.

        Raises Busy while another publication runs, TrustError where nobody would believe the result, PublishError
        naming every path that cannot be published. Whatever is raised, the last revision is still the current one.
        """
        with self._writing(fqrn, tag) as repository, self._survey(repository, source, touched) as found:
            self.progress.phase(Phase.FILES)
            return self._publish(repository, found, tag)

    def publish_archives(
        self, fqrn: str, bring: Bring, owner: Owner | None = None, tag: TagRequest = _NO_TAG
    ) -> Outcome:
        """Publish what `bring` gathers, over the last revision, as the next one. `owner`: None keeps the archives'.

        Raises as `publish` does, and FormatError for an archive that is damaged or ends too early.
        """
        from swrepo.publish.gathering import gathered  # here: whoever publishes a directory needs none of it

        with self._writing(fqrn, tag) as repository:
            self.progress.phase(Phase.ARCHIVES)
            with gathered(repository, bring, owner, self.progress, self.clock_ns(), self.threads) as found:
                return self._publish(repository, found, tag)

    @contextmanager
    def _writing(self, fqrn: str, tag: TagRequest) -> Iterator[OpenRepository]:
        """The repository, which nobody else changes in the block, and in which `tag` can be made."""
        places = self.layout.repository(fqrn)
        _check_tag_name(tag.name)
        with exclusive(places.lock, f"publishing {fqrn}", self._clock), writing(places.spool):
            repository = self._open(fqrn)
            _check_tag_is_new(repository, tag.name)
            self._number(repository)
            if repository.checkout is not None and not tag.name:
                raise UsageError(
                    f"{fqrn} is checked out to the branch {repository.checkout.branch}, where each revision needs a "
                    "tag (publish -a TAG); 'checkout' without options goes back"
                )
            yield repository

    def sync(self, fqrn: str, source: Path | None = None) -> Outcome:
        """Do the long part of a publication ahead of it: store the contents of what changed, and report the changes.

        Nothing of it becomes visible. `publish` then finds the contents stored.
        """
        places = self.layout.repository(fqrn)
        with exclusive(places.lock, f"preparing {fqrn}", self._clock), writing(places.spool):
            repository = self._open(fqrn)
            with self._survey(repository, source) as found:
                self.progress.phase(Phase.FILES)
                count = self._go_through(found, None)
                found.faults.raise_any()
                repository.storage.store.flush()
                return _outcome(repository, found, count, repository.manifest, 0, published=False)

    def _survey(
        self, repository: OpenRepository, source: Path | None, touched: Touched | None = None
    ) -> AbstractContextManager[Survey]:
        return survey(
            repository,
            source or repository.places.worktree,
            self.progress,
            self.clock_ns,
            self.threads,
            touched,
            skip_unreadable=self.choices.skip_unreadable,
        )

    def _clock(self) -> float:
        return self.clock_ns() / _NANOSECONDS

    def _open(self, fqrn: str) -> OpenRepository:
        self.progress.phase(Phase.CHECKING)
        now = datetime.fromtimestamp(self.clock_ns() // _NANOSECONDS, UTC)
        found = open_repository(self.layout.repository(fqrn), self.open_storage, now)
        return replace(found, settings=self.choices.applied(found.settings))

    def _publish(self, repository: OpenRepository, found: Pass, tag: TagRequest) -> Outcome:
        base, sealer = repository.base, self._sealer(repository)
        editor = CatalogEditor(
            found.revision.tree,
            base.replaces,
            repository.places.scratch,
            lambda file: sealer.save_file(file, Kind.CATALOG),
            self.clock_ns() // _NANOSECONDS,
            Balance(repository.settings.weights, found.places) if repository.settings.weights is not None else None,
            self.tweak,
        )
        try:
            count = self._go_through(found, editor)
            found.faults.raise_any()
            asked = base.is_template or self.choices.revision is not None
            if asked or (repository.checkout is None and _settings_changed(repository, found)):
                editor.touch()
            self.progress.phase(Phase.CATALOGS)
            root = editor.finish(_root_properties(repository.settings, self._number(repository)))
            found.limits.catalogs(editor.sizes)
        finally:
            editor.discard()
        if repository.checkout is not None:
            manifest = self._seal_on_branch(repository, repository.checkout, sealer, root, tag)
        else:
            manifest = self._seal(repository, sealer, root, tag)
        found.published(repository, manifest.root_catalog)
        outcome = _outcome(repository, found, count, manifest, editor.written, published=root is not None)
        return replace(outcome, cut_out=tuple(editor.cut_out), dissolved=tuple(editor.dissolved))

    def _go_through(self, found: Pass, editor: CatalogEditor | None) -> Counter[Verb]:
        """Hand every change on and count."""
        count: Counter[Verb] = Counter()
        for change in found.changes:
            line = difference(change)
            if line is not None:
                count[line.verb] += 1
                if self.report is not None:
                    self.report(line)
            if editor is not None and not found.faults.found:  # else the pass goes on only to name all faults
                editor.apply(change)
        return count

    def _number(self, repository: OpenRepository) -> int:
        """The number of the new revision; on a branch it counts on from the branch."""
        return self.choices.number(repository.base.revision)

    def _seal(self, repository: OpenRepository, sealer: Sealer, root: NestedRef | None, tag: TagRequest) -> Manifest:
        """The manifest that is current at the end: the old one where there is nothing to sign."""
        old, settings = repository.manifest, repository.settings
        if root is None and not tag.name:
            return old
        self.progress.phase(Phase.SIGNING)
        if root is None:
            return sealer.seal(old, NestedRef(b"", old.root_catalog, old.root_size), tag, auto_tag=False)
        draft = replace(
            old,
            revision=self._number(repository),
            ttl=settings.ttl,
            garbage_collectable=settings.garbage_collectable,
            alt_catalog_path=old.alt_catalog_path or settings.has_alternative_paths,
        )
        also = [repository.base.root] if repository.base.is_template else []  # garbage collections find it there
        return sealer.seal(draft, root, tag, auto_tag=settings.auto_tag, also=also)

    def _seal_on_branch(
        self, repository: OpenRepository, target: Checkout, sealer: Sealer, root: NestedRef | None, tag: TagRequest
    ) -> Manifest:
        """Name the new revision on its branch; clients of the newest revision see nothing of it."""
        base, old = repository.base, repository.manifest
        self.progress.phase(Phase.SIGNING)
        made = root or NestedRef(b"", base.root, base.size)
        revision = base.revision if root is None else self._number(repository)
        sealer.seal_on_branch(old, made, revision, tag, target)
        checkout.clear(repository.places)
        return replace(old, root_catalog=made.id, root_size=made.size, revision=revision)

    def _sealer(self, repository: OpenRepository) -> Sealer:
        now = datetime.fromtimestamp(self.clock_ns() // _NANOSECONDS, UTC)
        since = None
        if span := repository.settings.auto_tag_timespan:
            from swrepo.config import moments  # here: few repositories let their tags go

            since = int(moments.parse(span, now).timestamp())
        return replace(Sealer.of(repository, self.clock_ns() // 1_000_000), auto_tags_since=since)


def _settings_changed(repository: OpenRepository, found: Pass) -> bool:
    settings, manifest = repository.settings, repository.manifest
    readers = found.revision.tree.root.properties.get(schema.KEY_VOMS_AUTHZ, "")
    return (settings.ttl, settings.garbage_collectable, settings.voms_authz or readers) != (
        manifest.ttl,
        manifest.garbage_collectable,
        readers,
    )


def _root_properties(settings: RepositorySettings, revision: int) -> dict[str, str]:
    readers = {schema.KEY_VOMS_AUTHZ: settings.voms_authz} if settings.voms_authz else {}
    return {schema.KEY_TTL: str(settings.ttl), schema.KEY_REVISION: str(revision), **readers}


def _check_tag_name(name: str) -> None:
    if name in (TRUNK, TRUNK_PREVIOUS):
        raise UsageError(f"the tag {name} is moved by every publication and cannot be given; choose another name")
    if any(character.isspace() or character == "\0" for character in name):
        raise UsageError(f"{name!r} cannot be a tag's name: it has white space")


def _check_tag_is_new(repository: OpenRepository, name: str) -> None:
    if not name or repository.manifest.history is None:
        return
    history = open_history(repository.manifest.history, repository.objects)
    try:
        found = history.find(name)
    finally:
        history.close()
    if found is not None:
        raise UsageError(f"the tag {name} is taken by revision {found.revision}; choose another name")


def _outcome(
    repository: OpenRepository,
    found: Pass,
    count: Counter[Verb],
    manifest: Manifest,
    catalogs: int,
    *,
    published: bool,
) -> Outcome:
    store = repository.storage.store
    return Outcome(
        published=published,
        revision=manifest.revision,
        root=manifest.root_catalog,
        added=count[Verb.ADDED],
        changed=count[Verb.CHANGED],
        removed=count[Verb.REMOVED],
        entries=found.entries,
        new_objects=store.stored_objects,
        new_bytes=store.stored_bytes,
        catalogs=catalogs,
        linked_elsewhere=tuple(found.linked_elsewhere),
        excesses=tuple(found.limits.warnings),
        remarks=(*repository.settings.remarks, *found.remarks),
        skipped=found.faults.skips(lambda path: found.revision.find(path) is not None),
        has_snapshots=found.revision.find(join(ROOT, RESERVED_DIRECTORY)) is not None,
    )
