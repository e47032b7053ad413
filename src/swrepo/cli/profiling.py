"""What the `profile` commands share: traces, the published revision, what a profile comes to in words and numbers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from swrepo.cache.disk import DiskCache
from swrepo.cli.describe import printable
from swrepo.cli.output import size_text
from swrepo.cli.published import state
from swrepo.errors import FormatError, NotFound, SwrepoError, UsageError
from swrepo.format import opening, profile
from swrepo.format.opening import Opening
from swrepo.format.paths import normalise
from swrepo.format.profile import Profile, ProfileFile
from swrepo.objects.store import Documents
from swrepo.publish.layout import RepositoryPlaces
from swrepo.publish.profiles import as_opened
from swrepo.publish.storage import reading
from swrepo.repository import profiles
from swrepo.repository.links import MOUNTPOINTS, resolve
from swrepo.repository.revision import Revision


class Published(NamedTuple):
    """The newest revision of a repository of this server, and its objects as they are stored."""

    revision: Revision
    stored: Documents


class Freshness(NamedTuple):
    """How many files of a profile are what they were, have changed, are gone; the same of bytes in its packs."""

    fresh: int
    changed: int
    gone: int
    packed_bytes: int
    stale_bytes: int

    @property
    def is_fresh(self) -> bool:
        return not self.changed and not self.gone


@contextmanager
def published(places: RepositoryPlaces) -> Iterator[Published]:
    """Open what clients see."""
    found = state(places)
    stored = reading(places)
    with (
        closing(DiskCache(places.spool / "cache", stored)) as objects,
        Revision(found.manifest.root_catalog, objects, found.manifest.root_size) as revision,
    ):
        yield Published(revision, stored)


def traces(files: Sequence[str], fqrn: str) -> list[list[Opening]]:
    """What was opened of the repository, by trace. UsageError where a trace has nothing of it."""
    found = []
    for name in files:
        try:
            with Path(name).open(encoding="utf-8") as lines:
                everything = list(opening.parse(lines, name))
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"cannot read the trace {name}: {error}") from error
        mine = [one for one in everything if one.repository in ("", fqrn)]
        if not any(not one.is_catalog for one in mine):
            others = ", ".join(sorted({one.repository for one in everything})) or "no repository at all"
            raise UsageError(f"the trace {name} has no file of {fqrn}; it is of {others}")
        found.append(mine)
    return found


def triggers(
    named: Sequence[str],
    files: Sequence[ProfileFile],
    found: Sequence[Sequence[Opening]],
    fqrn: str,
    revision: Revision | None,
) -> list[bytes]:
    """The files that are to start a profile of `files`: those that were named, or the first of them in a trace."""
    if named:
        return [as_opened(_named(text, fqrn, revision), files) for text in named]
    kept = {file.path for file in files}
    for one in found[0]:
        if not one.is_catalog and one.path in kept:
            return [one.path]
    raise UsageError("the traces have too little in common; --share says how many of them have to open a file")


def _named(text: str, fqrn: str, revision: Revision | None) -> bytes:
    """The path in the repository of a file that somebody named, links followed. Without a revision: as it is."""
    top = MOUNTPOINTS + fqrn.encode()
    path = normalise(text)
    if path == top or path.startswith(top + b"/"):
        path = path[len(top) :]
    if revision is not None:
        path, entry = resolve(revision, path, {}, top)
        if not entry.is_regular:
            raise UsageError(f"{text} is no file; a profile starts when a file is opened")
    if b"$(" in path:
        raise UsageError(f"{text}: a link to this path would be read as one with a variable")
    return path


def freshness(revision: Revision, name: str, found: Profile) -> Freshness:
    """Look each file up in a revision."""
    fresh = changed = gone = stale = 0
    for file in found.files:
        revision.find(file.path)  # so that its catalog is loaded
        known = profiles.resolve(revision, file)
        if known is None or not known.wants:
            gone += 1
        elif known.is_fresh:
            fresh += 1
            continue
        else:
            changed += 1
        stale += file.size if file.pack is not None else 0
    packed = 0
    for number in range(found.packs):
        try:
            packed += sum(want.size or 0 for want in profiles.pack_wants(revision, name, number))
        except SwrepoError:
            stale += 1
    return Freshness(fresh, changed, gone, packed, stale)


def load(revision: Revision, name: str) -> Profile:
    """A published profile. NotFound, in words that help."""
    if not profile.is_name(name) or revision.find(profiles.path_of(name)) is None:
        known = ", ".join(profiles.names(revision)) or "none"
        raise NotFound(f"there is no profile {name}; there are: {known}")
    return profiles.load(revision, name)


def record(revision: Revision, name: str) -> dict[str, Any]:
    """For programs: what a profile is and how much of it still holds."""
    try:
        found = load(revision, name)
    except FormatError as error:
        return {"name": name, "error": str(error)}
    fresh = freshness(revision, name, found)
    return {
        "name": name,
        "triggers": [printable(path) for path in found.triggers],
        "files": len(found.files),
        "bytes": sum(file.size for file in found.files if not file.chunks),
        "packed_files": sum(file.pack is not None for file in found.files),
        "packs": found.packs,
        "pack_bytes": fresh.packed_bytes,
        "fresh": fresh.fresh,
        "changed": fresh.changed,
        "gone": fresh.gone,
    }


def sentence(found: Profile, packs: Sequence[bytes]) -> str:
    """What a profile that was just made holds."""
    packed = sum(file.pack is not None for file in found.files)
    size = size_text(sum(map(len, packs)))
    started = ", ".join(printable(path) for path in found.triggers)
    what = f"{len(found.files):,} files"
    if packs:
        what += f", {packed:,} of them in {len(packs)} {'pack' if len(packs) == 1 else 'packs'} of {size}"
    return f"{what}; they are fetched when {started} is opened"
