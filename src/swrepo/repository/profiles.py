"""The profiles of a revision: which files start them, what they list, and what that is in this revision.

Finding out that a file starts none costs no request: the links to the triggers stand in the root catalog.
"""

from __future__ import annotations

import posixpath
from bisect import bisect_right
from collections.abc import Callable, Iterator
from typing import NamedTuple

from swrepo.errors import FormatError
from swrepo.format import bundle, profile
from swrepo.format.dirent import Dirent
from swrepo.format.paths import basename, join, parent
from swrepo.format.profile import Profile, ProfileFile
from swrepo.objects.store import Want
from swrepo.repository.content import wanted_objects
from swrepo.repository.revision import Revision

_MOST_TRIGGERS = 10_000

MOST_STARTED = 32
"""Profiles that one file starts; what would be more of them is passed over."""


class Resolved(NamedTuple):
    """What a file of a profile is in a revision. `is_fresh`: the same object that the profile noted, or chunks."""

    file: ProfileFile
    wants: tuple[Want, ...]
    is_fresh: bool


def triggers(revision: Revision) -> dict[bytes, tuple[str, ...]]:
    """Path of a file -> the profiles that its opening starts. Looks only at catalogs that are loaded."""
    catalog = revision.tree.find_loaded(profile.TRIGGERS)
    found: dict[bytes, tuple[str, ...]] = {}
    for link in catalog.listing(profile.TRIGGERS, limit=_MOST_TRIGGERS) if catalog is not None else ():
        name = name_of_link(link.name)
        path = _target(link)
        if name is not None and path is not None:
            others = found.get(path, ())
            if len(others) < MOST_STARTED and name not in others:
                found[path] = (*others, name)
    return found


def name_of_link(link: bytes) -> str | None:
    """The profile that a link in the directory of triggers belongs to: `NAME@NUMBER`; None where it is no such link."""
    name, _, number = link.decode("utf-8", "replace").rpartition("@")
    return name if profile.is_name(name) and number.isascii() and number.isdigit() else None


def names(revision: Revision) -> list[str]:
    """The profiles that there are, sorted."""
    entry = revision.find(profile.DIRECTORY)
    if entry is None or not entry.is_directory:
        return []
    found = (entry.name.decode("utf-8", "replace") for entry in revision.listing(profile.DIRECTORY))
    return sorted(name for name in found if profile.is_name(name))


def path_of(name: str) -> bytes:
    """The directory of a profile."""
    return join(profile.DIRECTORY, name.encode())


def load(revision: Revision, name: str) -> Profile:
    """Read a profile; fetches it. PathNotFound, FormatError."""
    return profile.parse(_read(revision, join(path_of(name), profile.FILE_NAME), profile.MOST_BYTES))


def pack_wants(revision: Revision, name: str, number: int) -> tuple[Want, ...]:
    """The objects that a pack is made of. PathNotFound."""
    path = join(path_of(name), profile.PACK_PREFIX + str(number).encode())
    entry = revision.lookup(path)
    return wanted_objects(entry, revision.chunks(path) if entry.is_chunked else (), path)


def bundle_of(trigger: bytes) -> bytes:
    """Where the bundle of a file is, if it has one."""
    return join(parent(trigger), bundle.PREFIX + basename(trigger))


def load_bundle(revision: Revision, trigger: bytes) -> Profile:
    """A bundle as a profile of paths; fetches it. PathNotFound, FormatError."""
    path = bundle_of(trigger)
    listed = bundle.parse(_read(revision, path, bundle.MOST_BYTES), parent(path))
    return Profile((trigger,), tuple(ProfileFile(item) for item in listed if item != trigger))


def resolve(revision: Revision, file: ProfileFile) -> Resolved | None:
    """What the file is now; without objects where it is gone, is no file, or lies outside of the repository.

    None where a catalog would have to be loaded first. FormatError where the catalog is in disorder.
    """
    directory = parent(file.path)
    catalog = revision.tree.find_loaded(directory)
    if catalog is None:
        return None
    entry = catalog.lookup(file.path)
    if entry is None or not entry.is_regular or not entry.size or entry.is_symlink or entry.is_external:
        return Resolved(file, (), is_fresh=False)
    if not entry.is_chunked:
        return Resolved(file, wanted_objects(entry, ()), is_fresh=entry.content == file.object)
    chunks = catalog.chunks(file.path)
    wants = wanted_objects(entry, chunks)
    offsets = [chunk.offset for chunk in chunks]
    used = sorted({bisect_right(offsets, noted.offset) - 1 for noted in file.chunks if noted.offset < entry.size})
    chosen = tuple(wants[index] for index in used) if file.chunks else wants
    return Resolved(file, chosen, is_fresh=bool(file.chunks))


def as_noted(file: ProfileFile, *, is_unchanged: bool) -> Resolved | None:
    """What a file was when the profile was made, for as long as its catalog is not here to say what it is.

    None where that is not enough to go by: what is not in a pack is too large to be fetched in vain.
    """
    if file.object is not None and (is_unchanged or file.pack is not None):
        return Resolved(file, (Want(file.object, file.compression, file.size),), is_fresh=True)
    if not is_unchanged or not file.chunks or any(chunk.object is None for chunk in file.chunks):
        return None
    chunks = ((chunk.object, chunk.size) for chunk in file.chunks)
    wants = tuple(Want(name, file.compression, size) for name, size in chunks if name is not None)
    return Resolved(file, wants, is_fresh=True)


def unchanged(revision: Revision, found: Profile) -> Callable[[bytes], bool]:
    """Says of a directory whether all below it is what it was when the profile was made.

    So it is where the next catalog on the way is still the one that was noted: its name vouches for what it holds, and
    for the catalogs below it.
    """
    noted = {catalog.path: catalog.object for catalog in found.catalogs}

    def is_unchanged(directory: bytes) -> bool:
        ref = revision.tree.missing(directory)
        return ref is not None and noted.get(ref.path) == ref.id

    return is_unchanged


def noted_catalogs(revision: Revision, found: Profile, room: int) -> list[Want]:
    """Catalogs that are not here and must be what they were: at most `room` plain bytes."""
    is_unchanged = unchanged(revision, found)
    wants = []
    for catalog in found.catalogs:
        if catalog.object is not None and catalog.size <= room and is_unchanged(catalog.path):
            room -= catalog.size
            wants.append(Want(catalog.object, size=catalog.size))
    return wants


def missing_catalogs(revision: Revision, found: Profile) -> Iterator[bytes]:
    """Directories, one for each catalog that has to be loaded next before all of a profile can be resolved."""
    seen = set()
    for directory in {parent(file.path) for file in found.files} | {catalog.path for catalog in found.catalogs}:
        ref = revision.tree.missing(directory)
        if ref is not None and ref.path not in seen:
            seen.add(ref.path)
            yield ref.path


def _target(link: Dirent) -> bytes | None:
    """The path that a link in the directory of triggers leads to; None where that is no place in the repository."""
    if not link.is_symlink or not link.symlink or link.symlink.startswith(b"/") or b"$(" in link.symlink:
        return None
    path = posixpath.normpath(profile.TRIGGERS[1:] + b"/" + link.symlink)
    return None if path.startswith(b"..") or path == b"." else b"/" + path


def _read(revision: Revision, path: bytes, limit: int) -> bytes:
    content = revision.content(path)
    if content.size > limit:
        raise FormatError(f"{path!r} has {content.size} bytes; {limit} are the most")
    with content:
        return b"".join(content.blocks())
