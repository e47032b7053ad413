"""How named revisions are written."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from typing import Any

from swrepo.cli.output import size_text, write_table
from swrepo.repository.history import DEFAULT_BRANCH, Branch, Tag

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


def write_tag(tag: Tag) -> None:
    """All of one tag."""
    when = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(tag.timestamp))
    fields = {
        "Name": tag.name,
        "Revision": tag.revision,
        "Timestamp": when,
        "Branch": tag.branch or _DEFAULT_BRANCH,
        "Root Hash": tag.root.text,
        "Catalog Size": "unknown" if tag.size is None else size_text(tag.size),
        "Description": tag.description,
    }
    for name, value in fields.items():
        print(f"{name + ':':<13} {value}".rstrip())


def branch_lines(branches: Iterable[Branch], *, machine: bool) -> Iterator[str]:
    """The branches as a tree, each with the revision that it begins with; for programs as the original prints them."""
    below: dict[str | None, list[Branch]] = {}
    for branch in branches:
        below.setdefault(branch.parent, []).append(branch)
    waiting = [(0, Branch(DEFAULT_BRANCH, None, 0))]
    while waiting:
        level, branch = waiting.pop()
        shown = f"{branch.name or _DEFAULT_BRANCH} @{branch.initial_revision}"
        if machine:
            yield f"[{level}] {' ' * level}{shown}"
        else:
            yield "│ " * (level - 1) + "├ " * bool(level) + shown
        waiting += [(level + 1, inner) for inner in reversed(below.get(branch.name, []))]
