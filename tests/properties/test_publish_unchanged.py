"""publish.unchanged passes over no file that the whole comparison would look at."""

from __future__ import annotations

import os
import stat

from hypothesis import given
from hypothesis import strategies as st

from swrepo.config.owner_map import OwnerMap
from swrepo.format.dirent import Dirent, Flag
from swrepo.publish.entries import EntryRules
from swrepo.publish.settled import CLOCK_GRAIN_NS, Settled
from swrepo.publish.unchanged import is_unchanged

_SECOND = 1_000_000_000
_BEFORE = 100 * _SECOND

few = st.integers(0, 2)
kinds = st.sampled_from([stat.S_IFREG, stat.S_IFLNK, stat.S_IFDIR, stat.S_IFIFO, stat.S_IFCHR])


@st.composite
def statuses(draw):
    mtime = draw(st.integers(-2, 2)) * _SECOND + draw(few)
    ctime = draw(st.sampled_from([1, 99 * _SECOND, _BEFORE - 1, _BEFORE, _BEFORE + 1]))
    mode = draw(kinds) | draw(st.sampled_from([0o644, 0o755]))
    head = (mode, 1, 1, draw(st.integers(1, 2)), draw(few), draw(few), draw(few), 0, 0, 0)
    return os.stat_result((*head, 0.0, 0.0, 0.0, 0, mtime, ctime, 512, 0, draw(few)))


@st.composite
def entries(draw):
    return Dirent(
        name=b"f",
        mode=draw(kinds) | draw(st.sampled_from([0o644, 0o755])),
        size=draw(few),
        mtime=draw(st.integers(-2, 2)),
        mtime_ns=draw(st.none() | few),
        uid=draw(few),
        gid=draw(few),
        flags=int(Flag.FILE),
        hardlinks=draw(st.sampled_from([0, 1, 2, 1 << 32 | 2, -1])),
        symlink=b"",
        digest=None,
        xattr_blob=None,
    )


rules = st.builds(
    EntryRules,
    mtime_ns=st.booleans(),
    uids=st.none() | st.just(OwnerMap({0: 1}, None)),
    gids=st.none() | st.just(OwnerMap({}, 2)),
)


def looks_settled(status: os.stat_result, was: Dirent, how: EntryRules) -> bool:
    """What TreeDiff and Siblings find out, of files that have one name."""
    return (
        Settled(_BEFORE + CLOCK_GRAIN_NS).trusts(status)
        and stat.S_IFMT(status.st_mode) == stat.S_IFMT(was.mode)
        and how.status_agrees(status, was, 1)
    )


@given(statuses(), entries(), rules)
def test_a_file_that_is_passed_over_is_settled(status: os.stat_result, was: Dirent, how: EntryRules):
    if is_unchanged(status, was, how, _BEFORE):
        assert looks_settled(status, was, how)
        assert status.st_nlink == 1
        assert was.hardlink_group == 0
        assert stat.S_ISREG(status.st_mode) or stat.S_ISLNK(status.st_mode)


@given(entries(), rules, st.sampled_from([stat.S_IFREG, stat.S_IFLNK]))
def test_a_file_that_is_as_it_was_is_passed_over(was: Dirent, how: EntryRules, kind: int):
    owner, group = how.uids(0) if how.uids else 0, how.gids(0) if how.gids else 0
    was = was._replace(mode=kind | 0o644, hardlinks=1, uid=owner, gid=group)
    mtime = was.mtime * _SECOND + (was.mtime_ns or 0)
    status = os.stat_result((was.mode, 1, 1, 1, 0, 0, was.size, 0, 0, 0, 0.0, 0.0, 0.0, 0, mtime, 1, 512, 0, 0))
    assert looks_settled(status, was, how)
    assert is_unchanged(status, was, how, _BEFORE)
