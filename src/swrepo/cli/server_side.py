"""What the commands of a server share: which repository is meant, and how changes are shown."""

from __future__ import annotations

import fnmatch
import os
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from swrepo.cli import entered
from swrepo.cli.describe import printable
from swrepo.cli.output import note, size_text
from swrepo.cli.places import PREFIX_VARIABLE, current
from swrepo.errors import NotFound, UsageError
from swrepo.publish.changes import Difference
from swrepo.publish.layout import ServerLayout
from swrepo.publish.outcome import Outcome

if TYPE_CHECKING:
    from swrepo.upkeep.rewriting import Rewritten

_SHOWN = 20


def layout(
    machine: ServerLayout | None = None, environment: Mapping[str, str] | None = None, uid: int | None = None
) -> ServerLayout:
    """The server directories of this user: those of the machine, for whom root made a repository there owner of."""
    machine = machine or ServerLayout()
    user = os.geteuid() if uid is None else uid
    places = current(environment, uid)
    if user != 0 and PREFIX_VARIABLE not in places.environment and _owns_one(machine, user):
        return machine
    return ServerLayout(places.server_prefix)


def _owns_one(machine: ServerLayout, user: int) -> bool:
    """Whether a user owns a repository of the machine."""
    for name in machine.repositories():
        with suppress(OSError):
            if machine.repository(name).storage.stat().st_uid == user:
                return True
    return False


def which(server: ServerLayout, name: str | None) -> str:
    """The repository that is meant: the one that was named, in whose work tree or view we are, or the only one."""
    known = server.repositories()
    if name is not None:
        if name not in known:
            server.repository(name)  # raises where this can be no name at all
            raise NotFound(f"there is no repository {name} on this server; 'swrepo server mkfs {name}' creates it")
        return name
    here = Path.cwd()
    for fqrn in known:
        worktree = server.repository(fqrn).worktree
        if here == worktree or worktree in here.parents:
            return fqrn
    if (inside := entered.repository()) in known:
        return inside
    if len(known) == 1:
        return known[0]
    if not known:
        raise NotFound("there is no repository on this server yet; 'swrepo server mkfs NAME' creates one")
    raise UsageError(f"which repository? Go into its work tree, or name it: {', '.join(known)}")


def several(server: ServerLayout, names: Sequence[str]) -> list[str]:
    """The repositories that are meant by names and patterns (`*.example.org`), each once; by nothing: as `which`."""
    if not names:
        return [which(server, None)]
    found: dict[str, None] = {}
    for name in names:
        if not any(sign in name for sign in "*?["):
            found[which(server, name)] = None
        elif matching := fnmatch.filter(server.repositories(), name):
            found.update(dict.fromkeys(matching))
        else:
            raise NotFound(f"no repository of this server has a name like {name!r}")
    return list(found)


def published(server: ServerLayout) -> list[str]:
    """The repositories that are published here, and no copies."""
    from swrepo.publish.replica_settings import is_replica

    return [name for name in server.repositories() if not is_replica(server.repository(name))]


class Listing:
    """Prints differences as they are found, the first ones only unless all are wanted."""

    def __init__(self, *, everything: bool) -> None:
        self._everything = everything
        self._count = 0

    def __call__(self, found: Difference) -> None:
        self._count += 1
        if self._everything or self._count <= _SHOWN:
            print(f"{found.verb:<8} {printable(found.path) or '/'}")

    def close(self) -> None:
        """Tell how many were left out."""
        if not self._everything and self._count > _SHOWN:
            print(f"... and {self._count - _SHOWN:,} more (-v shows all)")


def outcome_record(fqrn: str, outcome: Outcome) -> dict[str, Any]:
    """For programs."""
    return {
        "repository": fqrn,
        "published": outcome.published,
        "revision": outcome.revision,
        "root": outcome.root.text,
        "added": outcome.added,
        "changed": outcome.changed,
        "removed": outcome.removed,
        "entries": outcome.entries,
        "new_objects": outcome.new_objects,
        "new_bytes": outcome.new_bytes,
        "catalogs": outcome.catalogs,
        "linked_elsewhere": [printable(path) for path in outcome.linked_elsewhere],
        "cut_out": [printable(path) for path in outcome.cut_out],
        "dissolved": [printable(path) for path in outcome.dissolved],
        "excesses": [{"path": printable(path) or "/", "reason": reason} for path, reason in outcome.excesses],
        "remarks": list(outcome.remarks),
        "skipped": [{"path": printable(path) or "/", "reason": reason} for path, reason in outcome.skipped],
    }


def counts(outcome: Outcome) -> str:
    """What changed, and what was stored for it."""
    changes = f"{outcome.added:,} added, {outcome.changed:,} changed, {outcome.removed:,} removed"
    return f"{changes}; {outcome.new_objects:,} new objects, {size_text(outcome.new_bytes)} stored"


def warn_of_links(outcome: Outcome) -> None:
    """Hard links between directories cannot be published as such."""
    links = outcome.linked_elsewhere
    if links:
        first = printable(links[0])
        note(f"{len(links):,} files have names in several directories and were published as separate files, as {first}")


def note_what_was_found(outcome: Outcome) -> None:
    """Tell what a publication met that its owner should know: settings, links, limits, and catalogs by balance."""
    for remark in outcome.remarks:
        note(remark)
    warn_of_links(outcome)
    for path, reason in outcome.skipped:
        note(f"skipped {printable(path) or '/'}, which is as it was in the last revision: {reason}")
    for path, excess in outcome.excesses[:_SHOWN]:
        note(f"{printable(path) or '/'} {excess}")
    if len(outcome.excesses) > _SHOWN:
        note(f"... and {len(outcome.excesses) - _SHOWN:,} more exceed a limit")
    for paths, what in ((outcome.cut_out, "got catalogs of their own"), (outcome.dissolved, "need theirs no more")):
        if paths:
            more = f" and {len(paths) - 1:,} more directories" if len(paths) > 1 else ""
            note(f"{printable(paths[0])}{more} {what}")


def tell_rewritten(server: ServerLayout, fqrn: str, done: Rewritten) -> None:
    """What a change of all catalogs came to."""
    if not done.catalogs:
        print(f"{fqrn}: nothing to change; revision {done.revision} is still the newest")
    else:
        from swrepo.cli.transactions import renew_view

        renew_view(server, fqrn)
        print(f"{fqrn}: revision {done.revision}: {done.rows:,} rows changed, {done.catalogs:,} catalogs written")


def moment(timestamp: int | None) -> str:
    """A time of the manifest, in local time."""
    return "unknown" if timestamp is None else time.strftime("%Y-%m-%d %H:%M:%S %z", time.localtime(timestamp))
