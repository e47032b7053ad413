"""What a template transaction starts from: a revision with one directory more, which nobody but its view sees.

It is a file in the spool directory, there from before the transaction's beginning to its end. Its catalogs are stored
and not published; the transaction's publication is made from them, and is one revision after what readers see.
"""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass

from swrepo.errors import PublishError, SwrepoError
from swrepo.format.object_id import Kind, ObjectId
from swrepo.publish.layout import RepositoryPlaces
from swrepo.system.atomic import write_atomically
from swrepo.system.ownership import leave_to_owner


@dataclass(frozen=True, slots=True)
class Template:
    """`root` is `replaces` with the clone in it. `size`: plain bytes of that catalog."""

    root: ObjectId
    size: int | None
    replaces: ObjectId


def read(places: RepositoryPlaces) -> Template | None:
    """The template of the open transaction; None where it has none, or no transaction is open."""
    if not places.in_transaction.exists():
        return None
    try:
        found = json.loads(places.template.read_text("utf-8"))
        root, replaces = (ObjectId.parse(found[key], Kind.CATALOG) for key in ("root", "replaces"))
        return Template(root, found["size"], replaces)
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError, SwrepoError) as error:
        raise PublishError(f"{places.template} cannot be read; abort the transaction") from error


def write(places: RepositoryPlaces, template: Template) -> None:
    """Have the transaction that is opened next start from it."""
    record = {"root": template.root.text, "size": template.size, "replaces": template.replaces.text}
    write_atomically(places.template, json.dumps(record).encode() + b"\n")
    leave_to_owner(places.template)


def clear(places: RepositoryPlaces) -> None:
    """Forget it."""
    with suppress(FileNotFoundError):
        places.template.unlink()
