"""How named revisions are written."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

from swrepo.cli.output import write_table
from swrepo.repository.history import Tag

_DEFAULT_BRANCH = "(default)"


def tag_record(tag: Tag) -> dict[str, Any]:
    """A tag for programs."""
    return {
        "name": tag.name,
        "hash": tag.root.text,
        "size": tag.size,
        "revision": tag.revision,
        "timestamp": tag.timestamp,
        "branch": tag.branch,
        "description": tag.description,
    }


def machine_line(tag: Tag) -> str:
    """A tag as `cvmfs_server tag -l -x` writes it: name hash size revision timestamp branch description."""
    branch = tag.branch or _DEFAULT_BRANCH
    return (
        f"{tag.name} {tag.root.text} {tag.size or 0} {tag.revision} {tag.timestamp} {branch} {tag.description}".rstrip()
    )


def write_tags(tags: Iterable[Tag]) -> None:
    """A table, newest first."""
    rows = []
    for tag in sorted(tags, key=lambda tag: (tag.revision, tag.timestamp, tag.name), reverse=True):
        when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(tag.timestamp))
        rows.append((tag.name, str(tag.revision), when, tag.branch or _DEFAULT_BRANCH, tag.description))
    write_table(("NAME", "REVISION", "PUBLISHED", "BRANCH", "DESCRIPTION"), rows)
