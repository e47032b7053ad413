"""Every fixed name and URL path of the format. Source: format.md 1, 6 and 7."""

from __future__ import annotations

import re

MANIFEST = ".cvmfspublished"
WHITELIST = ".cvmfswhitelist"
REFLOG = ".cvmfsreflog"
PUBLIC_KEY = ".cvmfs_public_key.pub"
"""The master key that a repository's publisher offers to clients, which have to ask somebody whether it is the right
one. Ours alone: CernVM-FS has no such document."""

MASTER_REPLICA = ".cvmfs_master_replica"
LAST_SNAPSHOT = ".cvmfs_last_snapshot"
SNAPSHOTTING = ".cvmfs_is_snapshotting"
STATUS = ".cvmfs_status.json"
ALTERNATIVE_PREFIX = ".cvmfsalt-"
"""Before the name of a root catalog, certificate or history, in repositories whose manifest says `Ayes`."""

REPOSITORIES_INFO = "info/v1/repositories.json"
SERVER_INFO = "info/v1/meta.json"
STATISTICS = "stats/stats.db"
STATISTICS_PAGE = "stats/index.html"
URL_PREFIX = "/cvmfs/"

NESTED_MARKER = b".cvmfscatalog"
AUTO_MARKER = b".cvmfsautocatalog"
DIRTAB = b".cvmfsdirtab"
GRAFT_PREFIX = b".cvmfsgraft-"
RESERVED_DIRECTORY = b".cvmfs"
HOME = b".swrepo"
"""At the top of a repository: what we add to the format, for our clients (format.profile)."""

TRUNK = "trunk"
TRUNK_PREVIOUS = "trunk-previous"
AUTO_TAG_PREFIX = "generic-"

MAX_FQRN = 255
_FQRN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*(\.[A-Za-z0-9_-]+)*")


def is_fqrn(name: str) -> bool:
    """Whether `name` can be a repository's fully qualified name: host-name characters, no path tricks."""
    return len(name) <= MAX_FQRN and _FQRN.fullmatch(name) is not None
