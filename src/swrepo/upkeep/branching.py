"""Checks an older revision out, so that the next publication continues it on a branch."""

from __future__ import annotations

import re
from contextlib import closing

from swrepo.errors import NotFound, UsageError
from swrepo.publish import checkout
from swrepo.publish.checkout import Checkout
from swrepo.publish.opening import OpenRepository
from swrepo.repository.history import Tag, open_history
from swrepo.upkeep.opening import Keeper, refuse_transaction

_NAME = re.compile(r"[a-zA-Z0-9_@./-]+")


def check_out(keeper: Keeper, fqrn: str, branch: str, tag: str = "") -> Checkout:
    """Continue `branch` where it ends, or with `tag` begin it there. NotFound, UsageError."""
    if not _NAME.fullmatch(branch):
        raise UsageError(f"{branch!r} cannot be the name of a branch: letters, digits and _@./- can be in it")
    with keeper.open(fqrn, "checking out a branch of") as repository:
        refuse_transaction(repository)
        tags = _tags(repository)
        on_branch = [found for found in tags if found.branch == branch]
        if tag:
            if on_branch:
                raise UsageError(f"the branch {branch} exists; leave out -t to continue it, or name another one")
            chosen = next((found for found in tags if found.name == tag), None)
            if chosen is None:
                raise NotFound(f"{fqrn} has no tag {tag}")
            target = Checkout(chosen.name, chosen.root, branch, chosen.branch)
        else:
            if not on_branch:
                raise NotFound(f"{fqrn} has no branch {branch}; name with -t the tag that it shall leave")
            head = max(on_branch, key=lambda found: (found.revision, found.timestamp))
            target = Checkout(head.name, head.root, branch, branch)
        checkout.write(repository.places, target)
    return target


def back_to_trunk(keeper: Keeper, fqrn: str) -> None:
    """The next publication goes to the default branch."""
    checkout.clear(keeper.layout.repository(fqrn))


def _tags(repository: OpenRepository) -> tuple[Tag, ...]:
    if repository.manifest.history is None:
        return ()
    with closing(open_history(repository.manifest.history, repository.objects)) as history:
        return history.tags()
