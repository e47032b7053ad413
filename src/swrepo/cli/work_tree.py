"""Fills the work tree of a repository with its newest revision, as the files that one would have published."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from swrepo.api.attributes import EVERYTHING
from swrepo.api.copying import Plan, Summary, TreeCopy
from swrepo.cli.progress import Progress
from swrepo.cli.published import state
from swrepo.errors import UsageError
from swrepo.format.paths import ROOT
from swrepo.publish.layout import RepositoryPlaces
from swrepo.publish.plain import PlainObjects
from swrepo.publish.storage import reading
from swrepo.repository.revision import Revision


def fill(places: RepositoryPlaces, progress: Progress) -> Summary:
    """Write every file of the newest revision. UsageError where the work tree holds something."""
    if os.listdir(places.worktree):
        raise UsageError(f"the work tree {places.worktree} is not empty; move away what is in it")
    current = state(places).manifest
    with tempfile.TemporaryDirectory() as scratch:
        objects = PlainObjects(reading(places), Path(scratch))
        with Revision(current.root_catalog, objects, current.root_size) as revision:
            plan = Plan(keep=EVERYTHING)

            def link(path: bytes) -> bytes:
                """Unexpanded: variant symlinks are published as they are."""
                return revision.lookup(path).symlink

            copy = TreeCopy(revision, link, lambda _path: False, plan, lambda size: progress.advance(size=size))
            return copy.run(ROOT, os.fsencode(places.worktree))
