"""A subtree kept as a plain directory: exported once, then brought up to date with what changed.

`DIR/.swrepo-export` holds what is needed for that: `state.json` says of which repository, path and revisions the
directory has parts, `unfinished` the files that are being written. A process that is killed leaves files that are
whole, old or new; the next run goes on from there.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from swrepo.api.attributes import EVERYTHING, Keep, modification_time
from swrepo.api.copying import Existing, Plan, Summary, TreeCopy
from swrepo.api.parallel import JOBS
from swrepo.api.placing import remove_tree
from swrepo.client.access import Access
from swrepo.errors import Busy, PathNotFound, SwrepoError, UsageError
from swrepo.format.object_id import Kind, ObjectId
from swrepo.format.paths import ROOT
from swrepo.repository.links import MOUNTPOINTS, resolve
from swrepo.repository.revision import Revision
from swrepo.repository.walk import Changed, diff
from swrepo.system.file_lock import try_to_lock

log = logging.getLogger(__name__)

NOTES = ".swrepo-export"
_STATE, _UNFINISHED, _LOCK = "state.json", "unfinished", "lock"


@dataclass(frozen=True, slots=True)
class ExportOptions:
    """`remove`: what the repository does not have goes. `rewrite`: files that look the same are written again.

    `adopt`: a directory that holds other things is taken as it is.
    """

    keep: Keep = EVERYTHING
    remove: bool = False
    rewrite: bool = False
    adopt: bool = False
    keep_in_cache: bool = False
    jobs: int = JOBS


@dataclass(frozen=True, slots=True)
class _State:
    """`roots`: the root catalogs of the revisions of which files may be in the directory."""

    repository: str
    path: str
    roots: tuple[str, ...]


def export(
    access: Access, path: bytes, directory: Path, options: ExportOptions, advance: Callable[[int], object]
) -> Summary:
    """Make `directory` what `path` (a directory; links are followed) of the repository is now.

    UsageError where it holds something else, Busy where another export writes to it, else as `TreeCopy.run`.
    """
    revision = access.revision
    start, entry = resolve(revision, path, access.variables, MOUNTPOINTS + access.fqrn.encode())
    if not entry.is_directory:
        raise UsageError(f"{_text(path)} is no directory: 'swrepo cp' copies a file")
    directory = Path(os.path.realpath(directory))  # a link that leads to the directory stays one
    before = _claim(directory, access.fqrn, start, adopt=options.adopt)
    with _alone(directory):
        changed = _changed(access, before, start)
        mixed = dict.fromkeys([*(before.roots if before else ()), revision.root.text])
        now = _State(access.fqrn, _text(start), (revision.root.text,))
        _write_state(directory, replace(now, roots=tuple(mixed)))
        plan = Plan(
            keep=options.keep,
            existing=Existing.REPLACE if options.rewrite else Existing.UPDATE,
            changed=changed,
            past_cache=None if options.keep_in_cache else access.cache_source,
            beside=os.fsencode(_emptied(directory / NOTES / _UNFINISHED)),
            remove=options.remove,
            jobs=options.jobs,
        )
        summary = tree_copy(access, revision, plan, advance).run(start, os.fsencode(directory))
        if not summary.failed:
            _write_state(directory, now)
        remove_tree(plan.beside or b"")
    return summary


def tree_copy(access: Access, revision: Revision, plan: Plan, advance: Callable[[int], object]) -> TreeCopy:
    """A copy of parts of an open repository at one revision."""
    mountpoint = MOUNTPOINTS + access.fqrn.encode()

    def leads_to_directory(path: bytes) -> bool:
        try:
            return resolve(revision, path, access.variables, mountpoint)[1].is_directory
        except SwrepoError:
            return False

    return TreeCopy(revision, lambda path: revision.readlink(path, access.variables), leads_to_directory, plan, advance)


def _claim(directory: Path, fqrn: str, start: bytes, *, adopt: bool) -> _State | None:
    """What the directory holds of an earlier export of the same. UsageError where it holds anything else."""
    try:
        names = os.listdir(directory)
    except FileNotFoundError:
        return None
    except NotADirectoryError as error:
        raise UsageError(f"{directory} is no directory; an export needs one, or a name for a new one") from error
    state = _read_state(directory)
    if state is None:
        if names and names != [NOTES] and not adopt:
            raise UsageError(
                f"{directory} holds something that is no export; give another directory, or --adopt to write into it"
            )
        return None
    if (state.repository, state.path) != (fqrn, _text(start)):
        raise UsageError(f"{directory} is an export of {state.repository}{state.path}, not of {fqrn}{_text(start)}")
    return state


def _changed(access: Access, before: _State | None, start: bytes) -> frozenset[bytes]:
    """Paths of files whose bytes differ from those in an earlier revision, though time and size do not.

    Where an earlier revision is no longer to be had, size and time decide alone.
    """
    found: set[bytes] = set()
    for root in before.roots if before else ():
        if root == access.revision.root.text:
            continue
        try:
            with Revision(ObjectId.parse(root, Kind.CATALOG), access.cache) as older:
                for step in diff(older, access.revision, start, whole_trees=False):
                    if isinstance(step, Changed) and _hides_a_change(step, older, access.revision):
                        found.add(step.path)
        except PathNotFound:
            continue
        except SwrepoError as error:
            log.info("the revision %s cannot be compared with: %s", root, error)
    return frozenset(found)


def _hides_a_change(step: Changed, older: Revision, newer: Revision) -> bool:
    """Whether two revisions of a file have other bytes, and the same size and time."""
    old, new = step.old, step.new
    if not new.is_regular or old.size != new.size or modification_time(old) != modification_time(new):
        return False
    return old.digest != new.digest or older.chunks(step.path) != newer.chunks(step.path)


@contextmanager
def _alone(directory: Path) -> Iterator[None]:
    notes = directory / NOTES
    notes.mkdir(mode=0o700, parents=True, exist_ok=True)
    with open(notes / _LOCK, "ab") as lock:
        if not try_to_lock(lock.fileno()):
            raise Busy(f"another export writes to {directory}; wait for it to end")
        yield


def _emptied(directory: Path) -> Path:
    """What a killed export left unfinished goes."""
    if directory.is_dir():
        remove_tree(os.fsencode(directory))
    directory.mkdir(mode=0o700)
    return directory


def _read_state(directory: Path) -> _State | None:
    with suppress(FileNotFoundError, ValueError, TypeError, KeyError):
        found = json.loads((directory / NOTES / _STATE).read_text("utf-8"))
        return _State(str(found["repository"]), str(found["path"]), tuple(map(str, found["roots"])))
    return None


def _write_state(directory: Path, state: _State) -> None:
    notes = directory / NOTES
    text = json.dumps({"repository": state.repository, "path": state.path, "roots": state.roots}, indent=2)
    unfinished = notes / f"{_STATE}.new"
    unfinished.write_text(text + "\n", "utf-8")
    os.replace(unfinished, notes / _STATE)


def _text(path: bytes) -> str:
    return (path or ROOT or b"/").decode("utf-8", "backslashreplace")
