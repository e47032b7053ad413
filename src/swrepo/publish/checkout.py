"""A checkout: the next publication starts from an older revision and goes to a branch. Source: original.md 2.

It is a file in the spool directory, as the original keeps it: `TAG HASH BRANCH PARENT`, with nothing for the
parent that is the default branch. It goes with the publication.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

from swrepo.errors import PublishError, SwrepoError
from swrepo.format.object_id import Kind, ObjectId
from swrepo.publish.layout import RepositoryPlaces
from swrepo.repository.history import DEFAULT_BRANCH
from swrepo.system.atomic import write_atomically
from swrepo.system.ownership import leave_to_owner


@dataclass(frozen=True, slots=True)
class Checkout:
    """What the next publication starts from, and where it goes. `parent` is the branch of the tag."""

    tag: str
    root: ObjectId
    branch: str
    parent: str = DEFAULT_BRANCH


def read(places: RepositoryPlaces) -> Checkout | None:
    """The checkout; None where the next publication goes to the default branch."""
    try:
        text = places.checkout.read_text("utf-8")
    except FileNotFoundError:
        return None
    try:
        tag, root, branch, parent = [*text.strip("\n").split(" "), DEFAULT_BRANCH][:4]
        return Checkout(tag, ObjectId.parse(root, Kind.CATALOG), branch, parent)
    except (ValueError, SwrepoError) as error:
        raise PublishError(f"{places.checkout} cannot be read; run 'checkout' without options to remove it") from error


def write(places: RepositoryPlaces, checkout: Checkout) -> None:
    """Check out."""
    text = f"{checkout.tag} {checkout.root.text} {checkout.branch} {checkout.parent}\n"
    write_atomically(places.checkout, text.encode())
    leave_to_owner(places.checkout)


def clear(places: RepositoryPlaces) -> None:
    """Back to the default branch."""
    with suppress(FileNotFoundError):
        places.checkout.unlink()
