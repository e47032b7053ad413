"""Repositories made by CernVM-FS 2.12, exported: the local tree has every path and column that its own client showed."""

from __future__ import annotations

import hashlib
import os
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from swrepo.api.export import ExportOptions, export
from swrepo.api.repository import Repository
from swrepo.client.access import Access
from swrepo.client.request import AccessRequest
from swrepo.system.user import is_root
from tests.golden import CLOCK, ENVIRONMENT, NAMES, Golden, golden, variants_of_this_machine
from tests.listing import TYPES

OWN = ".swrepo-export"


def access_to(repository: Golden, cache: Path) -> Access:
    request = AccessRequest((repository.served.as_uri(),), (repository.public_key,), cache, clock=lambda: CLOCK)
    return Access(replace(request, variables=ENVIRONMENT))


@pytest.mark.skipif(not is_root(), reason="only root gives files away, and reads those that nobody may read")
@pytest.mark.parametrize("name", NAMES)
def test_an_export_is_what_the_original_client_showed(name: str, tmp_path: Path) -> None:
    repository = golden(name)
    out = os.fsencode(tmp_path / "out")
    sizes: list[int] = []
    with access_to(repository, tmp_path / "cache") as access:
        summary = export(access, b"", tmp_path / "out", ExportOptions(), sizes.append)
        again = export(access, b"", tmp_path / "out", ExportOptions(), sizes.append)
    assert not summary.failed
    assert (again.files, again.links, again.special_files, again.removed) == (0, 0, 0, 0)
    assert (len(sizes), sum(sizes)) == (summary.files, summary.size)
    left_out = {path for path, _ in summary.left_out}
    rows = [row for row in repository.rows if variants_of_this_machine(row)]
    assert left_out <= {row.path for row in rows if row.target == b""}
    groups: dict[bytes, int] = {}
    for row in rows:
        if row.path in left_out:
            continue
        here = out + row.path
        status = os.lstat(here)
        assert TYPES[stat.S_IFMT(status.st_mode)] == row.type, row.path
        if row.type != "l":
            assert stat.S_IMODE(status.st_mode) == row.mode, row.path
        assert f"{status.st_mtime_ns // 10**9}.{status.st_mtime_ns % 10**9:09d}" == row.mtime, row.path
        assert (status.st_uid, status.st_gid) == (row.uid, row.gid), row.path
        if row.type == "l":
            assert os.fsencode(os.readlink(here)) == row.target
        elif row.type == "f":
            assert hashlib.sha256(Path(os.fsdecode(here)).read_bytes()).hexdigest() == row.sha256, row.path
            assert (status.st_size, status.st_nlink) == (row.size, row.nlink), row.path
            if row.hlgroup is not None:
                assert groups.setdefault(row.hlgroup, status.st_ino) == status.st_ino
    assert len(set(groups.values())) == len(groups)
    found = {
        os.path.join(d, n)[len(out) :]
        for d, ds, fs in os.walk(out)
        for n in (*ds, *fs)
        if OWN.encode() not in (n, *d.split(b"/"))
    }
    assert found == {row.path for row in rows} - left_out - {b"/"}


@pytest.mark.parametrize("name", NAMES)
def test_the_python_interface_shows_what_the_original_client_showed(name: str, tmp_path: Path) -> None:
    repository = golden(name)
    with Repository(access_to(repository, tmp_path / "cache")) as repo:
        for row in repository.rows:
            if not variants_of_this_machine(row):
                continue
            shown = repo.lstat(row.path)
            assert TYPES[stat.S_IFMT(shown.st_mode)] == row.type
            assert (stat.S_IMODE(shown.st_mode), shown.st_uid, shown.st_gid) == (row.mode, row.uid, row.gid)
            assert (shown.st_size, shown.st_nlink) == (row.size, row.nlink), row.path
            assert f"{shown.st_mtime_ns // 10**9}.{shown.st_mtime_ns % 10**9:09d}" == row.mtime
            if row.type == "f":
                with repo.open(row.path, "rb") as file:
                    assert hashlib.file_digest(file, "sha256").hexdigest() == row.sha256
            if row.target is not None:
                assert os.fsencode(repo.readlink(row.path)) == row.target
            names = [name for name in repo.listxattr(row.path, follow_symlinks=False) if name != "user.hash"]
            found = {os.fsencode(name): repo.getxattr(row.path, name, follow_symlinks=False) for name in names}
            assert found == row.xattrs
