"""Whether a file is plainly the one that was published: what most files of most publications are.

The answer is that of publish.siblings, without an object for each file; where it is no, that one is asked: about hard
links, special files, and whatever is not as it was.
"""

from __future__ import annotations

import os
import stat

from swrepo.format.dirent import Dirent
from swrepo.publish.entries import EntryRules

_PLAIN = (stat.S_IFREG, stat.S_IFLNK)
_FIRST_GROUP = 1 << 32
"""The column `hardlinks` of a file with other names is no less."""

_NANOSECONDS = 1_000_000_000


def is_unchanged(status: os.stat_result, was: Dirent, rules: EntryRules, before_ns: int) -> bool:
    """Whether stat tells that a file without other names was last touched before `before_ns`, and is as it was then.

    That says it all if its directory is the one of the last publication.
    """
    modified, nanoseconds = status.st_mtime_ns, was.mtime_ns
    if nanoseconds is None or not rules.mtime_ns:
        is_unmodified = modified // _NANOSECONDS == was.mtime
    else:
        is_unmodified = modified == was.mtime * _NANOSECONDS + nanoseconds
    mode = status.st_mode
    return (
        is_unmodified
        and status.st_ctime_ns < before_ns
        and mode == was.mode
        and status.st_size == was.size
        and status.st_nlink == 1
        and 0 <= was.hardlinks < _FIRST_GROUP
        and stat.S_IFMT(mode) in _PLAIN
        and (status.st_uid if rules.uids is None else rules.uids(status.st_uid)) == was.uid
        and (status.st_gid if rules.gids is None else rules.gids(status.st_gid)) == was.gid
    )
