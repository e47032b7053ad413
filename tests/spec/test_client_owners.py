"""Owners and modes that a client shows in place of the published ones."""

import os
import stat

import pytest

from swrepo.config.parameters import OwnershipParameters
from swrepo.errors import ConfigError
from swrepo.repository.status import Status
from swrepo.vfs.owners import Owners, owners_of, read_map


def published(mode=stat.S_IFREG | 0o640, uid=1000, gid=100):
    return Status(mode, 1, uid, gid, 0, 5, 0, 0)


def ids(owners, **how):
    found = owners.shown(published(**how))
    return found.uid, found.gid


def test_without_parameters_everything_is_shown_as_published():
    assert owners_of(OwnershipParameters(user="cvmfs")) is None


def test_a_map_replaces_what_it_lists_and_a_star_all_others(tmp_path):
    (tmp_path / "uids").write_text("# site\n1000 7\n\n* 65534  # the rest\n")
    (tmp_path / "gids").write_text("100 8\n")
    owners = owners_of(OwnershipParameters(uid_map=str(tmp_path / "uids"), gid_map=str(tmp_path / "gids")))
    assert ids(owners) == (7, 8)
    assert ids(owners, uid=1, gid=1) == (65534, 1)


def test_who_claims_ownership_wins_over_the_maps(tmp_path):
    (tmp_path / "uids").write_text("* 7\n")
    owners = owners_of(OwnershipParameters(claim=True, uid_map=str(tmp_path / "uids")))
    assert ids(owners) == (os.getuid(), os.getgid())


def test_a_user_of_the_configuration_that_the_machine_lacks_is_who_mounts():
    owners = owners_of(OwnershipParameters(claim=True, user="nobody-of-that-name"))
    assert ids(owners) == (os.getuid(), os.getgid())


@pytest.mark.parametrize(
    ("mode", "shown"),
    [(0o100600, 0o100644), (0o100700, 0o100755), (0o40700, 0o40755), (0o40000, 0o40555), (0o104711, 0o104755)],
)
def test_what_is_world_readable_keeps_its_other_bits(mode, shown):
    assert Owners(world_readable=True).shown(published(mode)).mode == shown


@pytest.mark.parametrize("line", ["1000", "a 1", "1 *", "1 2 3", "-1 2", "1 4294967296", "1 99999999999"])
def test_a_line_that_is_no_pair_of_numbers_is_named(tmp_path, line):
    (tmp_path / "map").write_text(f"1 2\n{line}\n")
    with pytest.raises(ConfigError, match=r"map, line 2"):
        read_map(tmp_path / "map")


def test_a_map_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(ConfigError, match="cannot read the map of owners"):
        read_map(tmp_path / "nowhere")
