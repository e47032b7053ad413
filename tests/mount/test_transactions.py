"""Transactions on real overlayfs: a writable view of the last revision, published or given up. Needs root."""

from __future__ import annotations

import errno
import os
import shutil
import stat
import subprocess

import pytest

from swrepo.fuse.mount import mounted_at, umount
from swrepo.publish.layout import ServerLayout
from swrepo.publish.overlay import touched
from swrepo.publish.transaction import Publisher
from tests.mount.mounted import require_fuse
from tests.mount.programs import PROGRAMS

FQRN = "sw.example.org"

pytestmark = [
    pytest.mark.mount,
    pytest.mark.skipif(os.geteuid() != 0, reason="mounts overlayfs"),
]


class Server:
    """A server whose spool directory is a file system that overlayfs takes."""

    def __init__(self, prefix):
        self.prefix = prefix
        self.places = ServerLayout(prefix).repository(FQRN)
        self.tree = self.places.worktree
        self.run("mkfs", FQRN)
        (self.tree / "kept").write_text("kept\n")
        (self.tree / "gone").write_text("gone\n")
        (self.tree / "directory/below").mkdir(parents=True)
        (self.tree / "directory/one").write_text("one\n")
        os.link(self.tree / "directory/one", self.tree / "directory/two")
        self.run("publish", FQRN)

    def run(self, *words, code=0):
        return self._run(PROGRAMS / "cvmfs_server", *words, code=code)

    def profile(self, *words, code=0):
        return self._run(PROGRAMS / "swrepo", "profile", *words, code=code)

    def _run(self, *command, code):
        environment = {**os.environ, "SWREPO_PREFIX": str(self.prefix)}
        ran = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, cwd="/")
        assert ran.returncode == code, ran.stdout + ran.stderr
        return ran.stdout + ran.stderr

    def served(self):
        """What a client sees: path -> text, target or None for directories."""
        environment = {**os.environ, "SWREPO_PREFIX": str(self.prefix)}
        out = self.prefix / "export"
        shutil.rmtree(out, ignore_errors=True)
        words = [PROGRAMS / "swrepo", "export", "--key", self.places.keys.public, self.places.storage, out]
        subprocess.run(words, env=environment, check=True, capture_output=True)
        shutil.rmtree(out / ".swrepo-export")  # its own notes
        return contents(out)

    def lose_mounts(self):
        for point in (self.tree, self.places.spool / "rdonly"):
            while mounted_at(str(point)) is not None:
                umount(str(point), lazy=True)


def contents(top):
    found = {}
    for directory, names, files in os.walk(top):
        for name in (*names, *files):
            path = os.path.join(directory, name)
            status, shown = os.lstat(path), os.path.relpath(path, top)
            if stat.S_ISDIR(status.st_mode):
                found[shown] = None
            elif stat.S_ISLNK(status.st_mode):
                found[shown] = f"-> {os.readlink(path)}"
            else:
                with open(path, encoding="utf-8", errors="backslashreplace") as file:
                    found[shown] = f"{status.st_mode & 0o7777:o} {file.read()}"
    return found


@pytest.fixture
def server(tmp_path):
    require_fuse()
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", disk], check=True)
    found = Server(disk)
    try:
        yield found
    finally:
        found.lose_mounts()
        umount(str(disk), lazy=True)


def test_what_is_done_in_a_transaction_is_what_clients_see(server):
    server.run("transaction", FQRN)
    tree = server.tree
    (tree / "new").write_text("new\n")
    (tree / "gone").unlink()
    (tree / "kept").chmod(0o600)
    shutil.move(tree / "directory", tree / "renamed")
    (tree / "link").symlink_to("new")
    (tree / "deep/er").mkdir(parents=True)
    wanted = contents(tree)
    server.run("publish", FQRN)
    assert server.served() == wanted
    assert contents(tree) == wanted
    assert "no problems" in server.run("check", "-i", FQRN)


def test_directories_that_are_replaced_hold_only_what_is_new(server):
    server.run("transaction", FQRN)
    shutil.rmtree(server.tree / "directory")
    (server.tree / "directory").mkdir()
    (server.tree / "directory/other").write_text("other\n")
    wanted = contents(server.tree)
    server.run("publish", FQRN)
    assert server.served() == wanted
    assert "directory/one" not in wanted


def test_files_and_directories_change_places(server):
    server.run("transaction", FQRN)
    (server.tree / "gone").unlink()
    (server.tree / "gone").mkdir()
    (server.tree / "gone/inside").write_text("inside\n")
    shutil.rmtree(server.tree / "directory")
    (server.tree / "directory").write_text("a file now\n")
    wanted = contents(server.tree)
    server.run("publish", FQRN)
    assert server.served() == wanted


def test_hard_links_stay_together(server):
    server.run("transaction", FQRN)
    (server.tree / "directory/one").write_text("both\n")
    server.run("publish", FQRN)
    served = server.served()
    assert served["directory/one"].endswith("both\n")
    assert "no problems" in server.run("check", FQRN)


def test_only_what_was_touched_is_looked_at(server):
    server.run("transaction", FQRN)
    (server.tree / "new").write_text("new\n")
    shown = server.run("publish", "-v", FQRN)
    assert "1 added" in shown
    assert "directory" not in shown


def test_outside_of_a_transaction_the_tree_cannot_be_written(server):
    server.run("transaction", FQRN)
    server.run("publish", FQRN)
    with pytest.raises(OSError, match="Read-only") as caught:
        (server.tree / "x").write_text("x")
    assert caught.value.errno == errno.EROFS
    assert "in no transaction" in server.run("publish", FQRN, code=errno.EINVAL)


def test_a_profile_has_a_transaction_of_its_own_where_none_is_open(server):
    server.run("transaction", FQRN)
    (server.tree / "later").write_text("later\n")
    server.run("publish", FQRN)
    (server.prefix / "trace").write_text(f'{{"repository": "{FQRN}", "path": "/kept"}}\n')
    words = ["add", FQRN, "mine", "--from", str(server.prefix / "trace")]
    assert f"swrepo server transaction {FQRN}" in server.profile(*words, "--no-publish", code=31)
    server.profile(*words)
    shown = server.served()
    assert shown[".swrepo/triggers/mine@0"] == "-> ../../kept"
    assert contents(server.tree) == shown, "the view shows the new revision"
    assert not server.places.in_transaction.exists()

    server.run("transaction", FQRN)
    (server.tree / "unfinished").write_text("unfinished\n")
    server.profile("remove", FQRN, "mine")
    assert ".swrepo/triggers/mine@0" not in server.served()
    assert (server.tree / "unfinished").exists(), "a transaction of somebody else goes on"
    server.run("publish", FQRN)
    assert "unfinished" in server.served()


def test_a_second_transaction_is_refused_with_the_code_of_the_original(server):
    server.run("transaction", FQRN)
    assert "open already" in server.run("transaction", FQRN, code=errno.EEXIST)


def test_an_aborted_transaction_leaves_nothing(server):
    before = server.served()
    server.run("transaction", FQRN)
    (server.tree / "new").write_text("new\n")
    shutil.rmtree(server.tree / "directory")
    assert "-f says so" in server.run("abort", FQRN, code=2)
    server.run("abort", "-f", FQRN)
    assert contents(server.tree) == server.served() == before
    assert os.listdir(server.places.spool / "scratch/current") == []
    assert "nothing to abort" in server.run("abort", "-f", FQRN, code=errno.EINVAL)


def test_who_still_writes_is_named_and_nothing_is_published(server):
    server.run("transaction", FQRN)
    with (server.tree / "open").open("w") as file:
        said = server.run("publish", FQRN, code=errno.EBUSY)
        assert f"({os.getpid()})" in said
        file.write("complete\n")
    server.run("publish", FQRN)
    assert server.served()["open"].endswith("complete\n")


def test_after_a_reboot_a_transaction_goes_on(server):
    server.run("transaction", FQRN)
    (server.tree / "new").write_text("new\n")
    server.lose_mounts()
    assert "lost its mounts" in server.run("transaction", FQRN, code=errno.EEXIST)
    assert "the open transaction" in server.run("mount", "-a")
    assert (server.tree / "new").read_text() == "new\n"
    server.run("publish", FQRN)
    assert "new" in server.served()


def test_after_a_reboot_a_transaction_can_be_given_up(server):
    before = server.served()
    server.run("transaction", FQRN)
    (server.tree / "new").write_text("new\n")
    server.lose_mounts()
    server.run("abort", "-f", FQRN)
    assert contents(server.tree) == before


def test_a_publication_that_fails_leaves_the_transaction_open(server):
    server.run("transaction", FQRN)
    (server.tree / "new").write_text("new\n")
    (server.tree / ".cvmfs").mkdir()  # this name is the repository's own
    assert "reserved" in server.run("publish", FQRN, code=28)
    (server.tree / ".cvmfs").rmdir()
    server.run("publish", FQRN)
    assert "new" in server.served()


def test_the_first_transaction_hides_nothing_that_was_not_published(server):
    (server.tree / "forgotten").write_text("work of a day\n")
    assert "forgotten" in server.run("transaction", FQRN, code=28)
    assert (server.tree / "forgotten").read_text() == "work of a day\n"
    server.run("publish", FQRN)
    server.run("transaction", FQRN)


def test_on_a_branch_the_view_is_that_of_the_branch_and_after_a_rollback_the_old_one(server):
    server.run("tag", "-a", "first", FQRN)
    server.run("transaction", FQRN)
    (server.tree / "kept").write_text("newer\n")
    server.run("publish", FQRN)
    server.run("checkout", "-t", "first", "-b", "fixes", FQRN)
    server.run("transaction", FQRN)
    assert (server.tree / "kept").read_text() == "kept\n"
    (server.tree / "fix").write_text("fix\n")
    assert "a transaction of sw.example.org is open" in server.run(
        "rollback", "-t", "first", "-f", FQRN, code=errno.EEXIST
    )
    server.run("publish", "-a", "fixed", FQRN)
    assert (server.tree / "kept").read_text() == "newer\n"
    assert "A F /fix +4" in server.run("diff", "-m", "-s", "first", "-d", "fixed", FQRN).splitlines()
    server.run("rollback", "-t", "first", "-f", FQRN)
    assert (server.tree / "kept").read_text() == "kept\n"
    assert not (server.tree / "fix").exists()


def lay_out_a_release(server):
    v1 = server.tree / "releases/v1"
    (v1 / "nested/deep").mkdir(parents=True)
    for directory in (v1, v1 / "nested"):
        (directory / ".cvmfscatalog").touch()
    (v1 / "hello").write_text("hello\n")
    (v1 / "nested/x").write_text("x\n")
    os.link(v1 / "nested/x", v1 / "nested/y")
    (v1 / "link").symlink_to("hello")
    server.run("publish", FQRN)


def stored(server):
    return {path.name for path in server.places.storage.glob("data/??/*")}


def test_a_template_is_a_directory_once_more_without_its_contents_being_stored(server):
    lay_out_a_release(server)
    before = stored(server)
    server.run("transaction", "-T", "/releases/v1=/releases/v2", FQRN)
    v2 = server.tree / "releases/v2"
    (v2 / "hello").write_text("hello again\n")
    (v2 / "nested/x").unlink()
    wanted = contents(server.tree)
    assert all(name.endswith("C") for name in stored(server) - before), "only catalogs are new"
    server.run("publish", "-a", "v2", FQRN)
    assert server.served() == wanted
    assert wanted["releases/v2/hello"].endswith("hello again\n")
    assert "no problems" in server.run("check", "-i", FQRN)
    assert {"/releases/v2", "/releases/v2/nested"} < set(server.run("list-catalogs", FQRN).split())


def test_an_aborted_template_leaves_nothing_and_one_that_cannot_be_opens_no_transaction(server):
    before = server.served()
    for template, reason in [("/nothing=/new", "/nothing does not exist"), ("/directory=/kept", "exists already")]:
        assert reason in server.run("transaction", "-T", template, FQRN, code=errno.EINVAL)
    assert "nothing to abort" in server.run("abort", "-f", FQRN, code=errno.EINVAL)
    server.run("transaction", "-T", "directory=new", FQRN)
    assert (server.tree / "new/one").read_text() == "one\n"
    server.run("abort", "-f", FQRN)
    server.run("transaction", FQRN)
    assert contents(server.tree) == server.served() == before


def test_after_a_crash_at_the_end_of_a_publication_the_new_revision_is_shown(server):
    server.run("transaction", FQRN)
    (server.tree / "kept").write_text("new\n")
    changes = touched(os.fsencode(server.places.spool / "scratch/current"))
    Publisher(ServerLayout(server.prefix)).publish(FQRN, server.tree, touched=changes)
    server.places.in_transaction.unlink()  # and then it was killed
    server.run("mount", FQRN)
    assert (server.tree / "kept").read_text() == "new\n"


def test_a_transaction_starts_from_what_was_published_of_another_directory(server, tmp_path):
    server.run("transaction", FQRN)
    server.run("abort", "-f", FQRN)
    other = tmp_path / "other"
    other.mkdir()
    (other / "kept").write_text("other\n")
    Publisher(ServerLayout(server.prefix)).publish(FQRN, other)
    server.run("transaction", FQRN)
    assert contents(server.tree) == contents(other)
    server.run("abort", "-f", FQRN)
    assert contents(server.tree) == contents(other)


def test_a_repository_is_removed_with_its_view_and_what_an_open_transaction_changed(server):
    server.run("transaction", FQRN)
    (server.tree / "new").write_text("new\n")
    assert "is removed" in server.run("rmfs", "-f", FQRN)
    assert mounted_at(str(server.tree)) is None
    assert not server.places.spool.exists()
    assert not server.places.storage.exists()
    assert (server.tree / "kept").exists()  # what was there before the first transaction is still somebody's


def test_a_view_that_another_server_left_mounted_read_only_is_replaced_and_its_directories_stay(server):
    server.run("transaction", FQRN)
    server.run("publish", FQRN)
    scratch, work = server.places.spool / "scratch/current", server.places.spool / "ofs_workdir"
    assert scratch.is_dir(), "CernVM-FS mounts its view over it at any time"
    assert work.is_dir()
    server.lose_mounts()
    server.run("mount", FQRN)
    umount(str(server.tree))
    options = f"ro,lowerdir={server.places.spool}/rdonly,upperdir={scratch},workdir={work}"
    subprocess.run(["mount", "-t", "overlay", "overlay_of_another", "-o", options, server.tree], check=True)
    server.run("transaction", FQRN)
    (server.tree / "new").write_text("new\n")
    server.run("publish", FQRN)
    assert server.served()["new"] == "644 new\n"
