"""What a publication did, for whoever tells of it or keeps count."""

from __future__ import annotations

from dataclasses import dataclass

from swrepo.format.object_id import ObjectId


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a publication did. Where `published` is False, nothing had changed and `revision` is the last one.

    `entries` were looked at; `linked_elsewhere` are files with names in several directories, which were published as
    files of their own; `cut_out` are directories that got catalogs because those above had grown too large, `dissolved`
    those that need them no more; `excesses` are paths that exceed a limit that is not enforced, and how;
    `remarks` are about settings that do nothing; `skipped` are paths that could not be read, and why, where that is
    no error; `has_snapshots` is whether the revision shows its tags as directories.
    """

    published: bool
    revision: int
    root: ObjectId
    added: int
    changed: int
    removed: int
    entries: int
    new_objects: int
    new_bytes: int
    catalogs: int
    linked_elsewhere: tuple[bytes, ...]
    cut_out: tuple[bytes, ...] = ()
    dissolved: tuple[bytes, ...] = ()
    excesses: tuple[tuple[bytes, str], ...] = ()
    remarks: tuple[str, ...] = ()
    skipped: tuple[tuple[bytes, str], ...] = ()
    has_snapshots: bool = False
