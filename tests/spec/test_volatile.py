"""A repository that calls itself volatile: its files come into the cache marked as the first to go."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

import pytest

from swrepo.cache.inventory import held
from swrepo.client.access import Access
from swrepo.client.request import AccessRequest
from tests.publishing import Server, fast_options


@pytest.mark.parametrize("volatile", [True, False])
def test_the_files_of_a_volatile_repository_are_marked(tmp_path: Path, volatile: bool) -> None:
    server = Server(tmp_path / "server", dataclasses.replace(fast_options(), volatile=volatile))
    (server.tree / "file").write_bytes(b"content")
    server.publish()
    request = AccessRequest(
        urls=(server.places.storage.as_uri(),),
        keys=(server.places.keys.public,),
        cache=tmp_path / "cache",
        fqrn=server.fqrn,
        clock=server.now,
    )
    with Access(request) as access, access.revision.content(b"/file") as content:
        before = {item.path for item in held(tmp_path / "cache")}
        assert content.pread(0, 100) == b"content"
        (file,) = [item for item in held(tmp_path / "cache") if item.path not in before]
        assert file.is_kept_longer is not volatile
        assert all(item.is_kept_longer for item in held(tmp_path / "cache") if item.path in before), "catalogs stay"
        os.close(access.cache.open(content.wants()[0]))
