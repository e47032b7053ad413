"""Where configuration, keys, caches and server directories are, by user and environment."""

import os
from pathlib import Path

import pytest

from swrepo.cli import server_side
from swrepo.cli.places import current
from swrepo.publish.layout import ServerLayout


def test_root_uses_the_places_of_the_original():
    places = current({}, uid=0)
    assert places.configurations == (Path("/etc/cvmfs"),)
    assert places.keys == (Path("/etc/cvmfs/keys"),)
    assert (places.cache_base, places.server_prefix, places.mountpoint) == (
        Path("/var/lib/cvmfs"),
        Path("/"),
        Path("/cvmfs"),
    )


def test_a_prefix_moves_everything_whoever_asks():
    for uid in (0, 1000):
        places = current({"SWREPO_PREFIX": "/p"}, uid=uid)
        assert places.own_configuration == Path("/p/etc/cvmfs")
        assert places.cache_base == Path("/p/var/lib/cvmfs")
        assert places.mountpoint == Path("/p/cvmfs")
        assert places.server_prefix == Path("/p")


def test_an_ordinary_user_reads_the_machines_configuration_and_then_an_own_one():
    places = current({"HOME": "/home/ann"}, uid=1000)
    assert places.configurations == (Path("/etc/cvmfs"), Path("/home/ann/.config/swrepo"))
    assert places.own_configuration == Path("/home/ann/.config/swrepo")
    assert places.keys[0] == Path("/home/ann/.config/swrepo/keys")
    assert places.cache_base == Path("/home/ann/.cache/swrepo")


def test_xdg_variables_are_followed_where_they_are_absolute():
    places = current({"HOME": "/h", "XDG_CONFIG_HOME": "/c", "XDG_CACHE_HOME": "relative"}, uid=1000)
    assert places.own_configuration == Path("/c/swrepo")
    assert places.cache_base == Path("/h/.cache/swrepo")


@pytest.fixture
def machine(tmp_path):
    """A server on which this user owns a repository."""
    places = ServerLayout(tmp_path).repository("a.example.org")
    for path in (places.configuration, places.storage):
        path.mkdir(parents=True)
    places.server_conf.touch()
    return ServerLayout(tmp_path)


def test_who_owns_a_repository_of_the_machine_works_on_that(machine):
    storage = machine.repository("a.example.org").storage
    if os.geteuid() == 0:
        os.chown(storage, 1000, 1000)
    assert server_side.layout(machine, {"HOME": "/h"}, uid=storage.stat().st_uid) == machine


def test_who_owns_none_works_on_repositories_of_an_own_directory(machine):
    assert server_side.layout(machine, {"HOME": "/h"}, uid=4711) == ServerLayout(Path("/h/.local/share/swrepo"))


def test_a_prefix_is_stronger_than_what_somebody_owns(machine):
    owner = machine.repository("a.example.org").storage.stat().st_uid
    assert server_side.layout(machine, {"SWREPO_PREFIX": "/p"}, uid=owner) == ServerLayout(Path("/p"))
