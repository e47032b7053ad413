"""What cannot be read is an error that names it, or is left as it was published and named: never a silent gap."""

from __future__ import annotations

import dataclasses
import errno
import os
import shutil

import pytest

from swrepo.errors import PublishError
from swrepo.publish.settings import Choices
from swrepo.publish.storage import in_directory
from tests.publishing import Server
from tests.spec.test_publish_transaction import fill

SKIPPING = Choices(skip_unreadable=True)


class Swapping:
    """A store that takes a file away when it gets the first object: between the scan and the reading."""

    def __init__(self, inner, path):
        self._inner = inner
        self._path = path
        self._is_done = False

    def __getattr__(self, name):
        return getattr(self._inner, name)

    def put(self, name, stored):
        self._inner.put(name, stored)
        if not self._is_done:
            self._is_done = True
            self._path.rename(self._path.with_name("away"))
            self._path.symlink_to("away")


@pytest.fixture
def server(tmp_path):
    found = Server(tmp_path / "server")
    fill(found.tree)
    found.publish()
    return found


@pytest.fixture
def long_name(server):
    """A path that exists and cannot be opened: its directory is deeper than a path may be long."""
    top = server.tree / "deep"
    here = os.getcwd()
    top.mkdir()
    try:
        os.chdir(top)
        for _ in range(20):
            os.mkdir("d" * 250)
            os.chdir("d" * 250)
    finally:
        os.chdir(here)
    yield
    shutil.rmtree(top, ignore_errors=True)


@pytest.mark.usefixtures("long_name")
def test_without_the_choice_nothing_is_published_and_each_path_is_named(server):
    (server.tree / "new").write_bytes(b"new")
    before = server.manifest()
    with pytest.raises(PublishError, match=os.strerror(errno.ENAMETOOLONG)):
        server.publish()
    assert server.manifest() == before


@pytest.mark.usefixtures("long_name")
def test_with_the_choice_the_rest_is_published_and_each_path_is_named(server):
    (server.tree / "new").write_bytes(b"new")
    outcome = server.publish(choices=SKIPPING)
    reason = f"{os.strerror(errno.ENAMETOOLONG)}; it was not there, and is not now"
    assert [why for _, why in outcome.skipped] == [reason]
    with server.revision() as revision:
        assert revision.find(b"/new") is not None


def test_what_could_not_be_read_stays_as_it_was_published_and_is_looked_at_again(server):
    path = server.tree / "plain" / "file"
    path.write_bytes(b"newer")
    (server.tree / "a" / "new").write_bytes(b"is stored first")

    def open_storage(places):
        found = in_directory(places)
        return dataclasses.replace(found, store=Swapping(found.store, path))

    outcome = server.publish(choices=SKIPPING, open_storage=open_storage, threads=1)
    assert outcome.skipped == ((b"/plain/file", os.strerror(errno.ELOOP)),)
    with server.revision() as revision:
        assert revision.find(b"/a/new") is not None
        content = revision.content(b"/plain/file")
        assert content.pread(0, 100) == b"plain"
        content.close()
    path.unlink()
    (server.tree / "plain" / "away").rename(path)
    assert server.publish().changed >= 1
    server.check()
