"""Options of mounts, addresses of servers, and the programs that mount(8) and users of the original start."""

import pytest

from swrepo.cli.mount_cvmfs import main as mount_cvmfs
from swrepo.cli.options import MountOptions, parse
from swrepo.cli.pointing import server_url
from swrepo.errors import UsageError


def test_options_are_read_from_words_with_and_without_commas():
    assert parse(["allow_other,suid", "deadline=5"]) == MountOptions(allow_other=True, suid=True, deadline=5.0)
    assert parse(["dev"]) == MountOptions(dev=True)


@pytest.mark.parametrize(
    ("word", "parameters"),
    [
        ("tag=v1", ("CVMFS_REPOSITORY_TAG=v1", "CVMFS_REPOSITORY_DATE=", "CVMFS_ROOT_HASH=")),
        ("date=2026-01-02", ("CVMFS_REPOSITORY_TAG=", "CVMFS_REPOSITORY_DATE=2026-01-02", "CVMFS_ROOT_HASH=")),
        ("hash=ab", ("CVMFS_REPOSITORY_TAG=", "CVMFS_REPOSITORY_DATE=", "CVMFS_ROOT_HASH=ab")),
        ("root_hash=ab", ("CVMFS_REPOSITORY_TAG=", "CVMFS_REPOSITORY_DATE=", "CVMFS_ROOT_HASH=ab")),
    ],
)
def test_an_option_that_chooses_a_revision_wins_over_every_parameter_that_does(word, parameters):
    assert parse([word]).parameters == parameters


def test_two_options_that_choose_a_revision_are_refused():
    with pytest.raises(UsageError, match="only one of -o tag"):
        parse(["tag=v1,date=2026-01-01"])


def test_parameters_are_kept_in_their_order():
    assert parse(["CVMFS_TIMEOUT=3,CVMFS_HTTP_PROXY=http://p:3128"]).parameters == (
        "CVMFS_TIMEOUT=3",
        "CVMFS_HTTP_PROXY=http://p:3128",
    )


def test_the_quota_of_the_cache_is_short_for_its_parameter():
    assert parse(["quota=500"]).parameters == ("CVMFS_QUOTA_LIMIT=500",)


def test_what_mount_passes_on_from_fstab_does_no_harm():
    assert parse(["rw,_netdev,nofail,noauto,x-systemd.automount,comment=systemd"]) == MountOptions()


@pytest.mark.parametrize("word", ["nonsense", "tag", "allow_others", "speed=9"])
def test_an_unknown_option_is_named_with_what_there_is(word):
    with pytest.raises(UsageError, match=f"-o {word} is unknown; there are allow_other"):
        parse([word])


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("host", "http://host/cvmfs"),
        ("10.0.0.1:8000", "http://10.0.0.1:8000/cvmfs"),
        ("[::1]:8000", "http://[::1]:8000/cvmfs"),
        ("[::1]", "http://[::1]/cvmfs"),
        ("https://host", "https://host/cvmfs"),
        ("http://host:81/cvmfs/", "http://host:81/cvmfs"),
    ],
)
def test_a_server_is_named_by_host_port_or_url(text, url):
    assert server_url(text) == url


@pytest.mark.parametrize("text", ["", ":80", "a/b", "host:port/x", "user@host", "a b"])
def test_what_is_no_server_is_refused(text):
    with pytest.raises(UsageError, match="is not HOST"):
        server_url(text)


def test_mount_asks_for_nothing_but_the_arguments_with_its_option_f():
    assert mount_cvmfs(["sw.example.org", "/mnt", "-o", "rw,nofail", "-f", "-s"]) == 0


def test_mount_cvmfs_complains_in_one_line(capsys):
    assert mount_cvmfs(["sw.example.org"]) == UsageError.exit_code
    assert capsys.readouterr().err.startswith("mount.cvmfs: the following arguments are required: DIR")
