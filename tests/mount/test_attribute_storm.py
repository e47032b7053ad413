"""`ls -l` asks each entry for attributes that hardly any file has: it is told once that there are none such."""

from __future__ import annotations

import errno
import os
import subprocess
from pathlib import Path

import pytest

from tests.mount.mounted import mounted
from tests.mount.test_refresh import Served
from tests.simulated_trees import Directory, File

pytestmark = pytest.mark.mount

ENTRIES = 500
ASKED_BY_LS = ("security.selinux", "security.capability", "system.posix_acl_access", "system.posix_acl_default")
LABEL = b"system_u:object_r:usr_t:s0\0"


def served_tree(directory: Path) -> Served:
    served = Served(directory)
    tree = {b"/wide/entry%03d" % number: File(content=b"x") for number in range(ENTRIES)}
    labelled = File(xattrs={b"user.kept": b"yes", b"security.selinux": LABEL})
    served.publish({**tree, b"/deep/labelled": labelled, b"/empty": Directory()}, ())
    return served


def test_ls_of_many_entries_asks_for_attributes_of_a_few(tmp_path: Path) -> None:
    with mounted(tmp_path, **served_tree(tmp_path).request()) as mount:
        ran = subprocess.run(["ls", "-l", "--color=always", mount.point / "wide"], check=True, capture_output=True)
        assert ran.stdout.count(b"\n") == ENTRIES + 1
        assert mount.requests().get("requests GETXATTR", 0) < 20


@pytest.mark.parametrize("name", ASKED_BY_LS)
def test_an_attribute_that_ls_asks_for_is_not_supported_where_it_was_not_published(tmp_path: Path, name: str) -> None:
    with mounted(tmp_path, **served_tree(tmp_path).request()) as mount:
        for path in ("wide/entry000", "empty"):
            with pytest.raises(OSError) as raised:
                os.getxattr(mount.point / path, name)
            assert raised.value.errno == errno.EOPNOTSUPP


def test_attributes_that_were_published_are_there_all_the_same(tmp_path: Path) -> None:
    with mounted(tmp_path, **served_tree(tmp_path).request()) as mount:
        labelled, plain = mount.point / "deep/labelled", mount.point / "wide/entry000"
        assert os.getxattr(labelled, "security.selinux") == LABEL
        assert os.getxattr(labelled, "user.kept") == b"yes"
        assert sorted(os.listxattr(labelled)) == ["security.selinux", "user.kept"]
        for name in ("user.other", "user.kept", "security.other", "trusted.other"):
            with pytest.raises(OSError) as raised:
                os.getxattr(plain, name)
            assert raised.value.errno == errno.ENODATA
