"""Where configuration, keys, caches and server directories are, by user and environment."""

from pathlib import Path

from swrepo.cli.places import current


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
