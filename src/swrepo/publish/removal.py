"""Removes a repository from its server. What somebody put into the work tree is theirs, and stays."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path

from swrepo.errors import Busy, NotFound
from swrepo.objects.directory import writing
from swrepo.publish.layout import RepositoryPlaces, ServerLayout
from swrepo.publish.replica_settings import is_replica
from swrepo.publish.server_list import update_list
from swrepo.system.lock import exclusive


def remove_repository(layout: ServerLayout, places: RepositoryPlaces, *, preserve: bool) -> list[Path]:
    """Remove configuration and spool area, and, unless `preserve`, the storage and the keys; what was left.

    NotFound where there is no such repository, Busy while somebody publishes or the work tree is mounted. The
    configuration goes first: what an interruption leaves is removed by the next call with the same name or `mkfs`.
    """
    if not places.server_conf.exists():
        raise NotFound(f"there is no repository {places.fqrn} on this server ({places.server_conf} is missing)")
    mounted = [str(path) for path in (places.worktree, places.spool / "rdonly") if os.path.ismount(path)]
    if mounted:
        raise Busy(f"{places.fqrn} is mounted; end its transaction, then unmount it: umount {' '.join(mounted)}")
    keys, is_copy = places.keys, is_replica(places)
    with exclusive(places.lock, f"removing {places.fqrn}"), writing(places.configuration):
        if not preserve:
            if places.is_local and places.storage.exists():
                shutil.rmtree(places.storage, ignore_errors=False)
            # A copy's keys are another's, and may be needed here for more than it.
            for path in (
                () if is_copy else (keys.master, keys.public, keys.signing, keys.certificate, keys.previous_certificate)
            ):
                path.unlink(missing_ok=True)
        shutil.rmtree(places.configuration)
        shutil.rmtree(places.spool)
        update_list(layout)
    if not is_copy:
        with suppress(OSError):  # it holds something, or is not there
            places.worktree.rmdir()
    kept = [places.storage, keys.master] if preserve else []
    return [path for path in (*kept, *(() if is_copy else (places.worktree,))) if path.exists()]
