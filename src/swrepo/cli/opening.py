"""Opens a repository for a command that reads it without a mount. Loads the whole client: import it when needed."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from swrepo.cli.describe import printable
from swrepo.cli.selection import Selection, select
from swrepo.client.access import Access, AccessRequest, open_access
from swrepo.client.opening import access_request as request_for
from swrepo.client.target import Target, parse
from swrepo.errors import PathNotFound
from swrepo.format.dirent import Dirent
from swrepo.format.paths import ROOT, join, parent
from swrepo.repository.history import Tag, open_history
from swrepo.repository.revision import Revision

_LINKS_AT_MOST = 40


@dataclass(frozen=True, slots=True)
class Opened:
    """A repository at one revision, and the path in it that was typed."""

    target: Target
    selection: Selection
    access: Access

    @property
    def revision(self) -> Revision:
        return self.access.revision

    @property
    def fqrn(self) -> str:
        return self.access.fqrn

    @property
    def variables(self) -> Mapping[str, str]:
        """What variant symlinks see."""
        return self.access.variables

    def tags(self) -> tuple[Tag, ...]:
        """Every named revision; empty where the repository keeps none."""
        manifest = self.access.manifest
        if manifest is None or manifest.history is None:
            return ()
        history = open_history(manifest.history, self.access.cache)
        try:
            return history.tags()
        finally:
            history.close()

    def resolve(self, path: bytes) -> tuple[bytes, Dirent]:
        """Follow symbolic links inside the repository. PathNotFound where they lead out of it or in a circle."""
        done, pending, followed = ROOT, path.split(b"/")[1:], 0
        while pending:
            name = pending.pop(0)
            if name in (b"", b"."):
                continue
            if name == b"..":
                done = parent(done)
                continue
            step = join(done, name)
            if not self.revision.lookup(step).is_symlink:
                done = step
                continue
            followed += 1
            link = self.revision.readlink(step, self.variables)
            inside = self._inside(link)
            if inside is None or followed > _LINKS_AT_MOST:
                why = "leads out of the repository" if inside is None else "leads in a circle"
                raise PathNotFound(f"{printable(step)} {why}: {printable(link)}")
            if link.startswith(b"/"):
                done = ROOT
            pending = inside.split(b"/") + pending
        return done, self.revision.lookup(done)

    def _inside(self, link: bytes) -> bytes | None:
        """The link as a path of this repository: relative ones as they are, absolute ones below /cvmfs/FQRN."""
        if not link.startswith(b"/"):
            return link
        own = b"/cvmfs/" + self.fqrn.encode()
        return link[len(own) :] if link == own or link.startswith(own + b"/") else None


def access_request(selection: Selection, tag: str | None = None, root_hash: str | None = None) -> AccessRequest:
    """What the client needs, for the newest revision or the one that is named."""
    return request_for(selection, os.environ, tag, root_hash)


@contextmanager
def open_target(args: argparse.Namespace, text: str) -> Iterator[Opened]:
    """Open what `text` names with the options of `selection.add_selection_options`."""
    target = parse(text)
    selection = select(target, args)
    with open_access(access_request(selection, args.tag, args.hash)) as access:
        yield Opened(target, selection, access)
