"""Opens a repository for a command that reads it without a mount. Loads the whole client: import it when needed."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from swrepo.cli.selection import Selection, select
from swrepo.client.access import Access, open_access
from swrepo.client.opening import access_request as request_for
from swrepo.client.request import AccessRequest
from swrepo.client.target import Target, parse
from swrepo.format.dirent import Dirent
from swrepo.repository.history import Tag, open_history
from swrepo.repository.links import MOUNTPOINTS, resolve
from swrepo.repository.revision import Revision


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
        """Follow symbolic links inside the repository. PathNotFound where they lead out of it, SymlinkLoop."""
        return resolve(self.revision, path, self.variables, MOUNTPOINTS + self.fqrn.encode())


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
