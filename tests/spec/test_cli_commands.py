"""The commands on a real repository of a temporary server: what they print, write and answer."""

import json
import os
import stat
import subprocess
import sys

import pytest

import swrepo
from swrepo.cli.cvmfs_server import main as cvmfs_server
from swrepo.cli.cvmfs_sync import main as cvmfs_sync
from swrepo.cli.main import main
from swrepo.errors import (
    ConfigError,
    CorruptObject,
    IsADirectory,
    NotFound,
    PathNotFound,
    UntrustedSignature,
    UsageError,
)
from swrepo.publish import settings
from swrepo.publish.create import CreateOptions, create_repository
from swrepo.publish.layout import ServerLayout

FQRN = "sw.example.org"


class Server:
    """A server below a temporary directory, with one repository, and the keys that its commands need."""

    def __init__(self, prefix, capsys):
        self.prefix = prefix
        self.capsys = capsys
        self.tree = prefix / "cvmfs" / FQRN
        self.storage = prefix / "srv/cvmfs" / FQRN
        self.key = prefix / "etc/cvmfs/keys" / f"{FQRN}.pub"

    def run(self, *words, program=main, code=0):
        """Exit code checked; standard output."""
        self.capsys.readouterr()
        found = program([str(word) for word in words])
        self.shown = self.capsys.readouterr()
        assert found == code, self.shown.err
        return self.shown.out

    def json(self, *words, **options):
        return json.loads(self.run(*words, "--json", **options))

    def read(self, command, path="", *options, **checks):
        return self.run(
            command, f"{self.storage}/{path}", "--key", self.key, "--cache", self.prefix / "cache", *options, **checks
        )

    def lines(self, command, path="", *options):
        return [json.loads(line) for line in self.read(command, path, *options, "--json").splitlines()]


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    """Keys for FQRN, made once: a 2048-bit key takes a while."""
    prefix = tmp_path_factory.mktemp("keys")
    create_repository(ServerLayout(prefix), FQRN, CreateOptions())
    return prefix / "etc/cvmfs/keys"


@pytest.fixture
def server(tmp_path, monkeypatch, capsys, keys):
    monkeypatch.setenv("SWREPO_PREFIX", str(tmp_path))
    monkeypatch.delenv("SWREPO_DEBUG", raising=False)
    found = Server(tmp_path, capsys)
    found.run("server", "mkfs", "-k", keys, FQRN)
    return found


@pytest.fixture
def filled(server):
    (server.tree / "bin").mkdir()
    (server.tree / "bin/tool").write_text("#!/bin/sh\necho tool\n")
    (server.tree / "bin/tool").chmod(0o755)
    (server.tree / "big").write_bytes(bytes(range(256)) * 4096)
    (server.tree / "link").symlink_to("bin/tool")
    (server.tree / "away").symlink_to("/etc/passwd")
    (server.tree / "round").symlink_to("round")
    (server.tree / ".hidden").write_text("h")
    (server.tree / "v").symlink_to("$(SWREPO_TEST_VARIANT:-bin)")
    server.run("server", "publish", FQRN, "-a", "v1", "-m", "first words")
    return server


def test_mkfs_says_what_comes_next_and_makes_the_original_layout(server):
    assert (server.prefix / "etc/cvmfs/repositories.d" / FQRN / "server.conf").exists()
    assert stat.S_IMODE((server.prefix / "etc/cvmfs/keys" / f"{FQRN}.masterkey").stat().st_mode) == 0o400
    assert server.run("list", program=cvmfs_server) == f"{FQRN} (stratum0 / local)\n"


def test_a_second_repository_of_the_name_is_refused(server):
    server.run("mkfs", FQRN, program=cvmfs_server, code=UsageError.exit_code)
    assert "exists already" in server.shown.err


def test_a_name_that_can_be_none_is_refused(server):
    server.run("server", "mkfs", "../x", code=UsageError.exit_code)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["-f", "aufs"], "overlayfs"),
        (["-s", "s3.conf"], "-s needs -w URL"),
        (["-s", "s3.conf", "-w", "http://x", "-u", "local,/a,/b"], "give one of them"),
        (["-u", "gw,/tmp,http://x:4929/api/v1"], "gateway is not there yet"),
    ],
)
def test_options_of_the_original_that_cannot_be_say_why(server, words, message):
    server.run("mkfs", *words, "other.example.org", program=cvmfs_server, code=UsageError.exit_code)
    assert message in server.shown.err


@pytest.mark.parametrize(
    "storage", ["nowhere", "local,/a", "local,tmp,relative", "S3,/tmp,alias", "S3,/tmp,x@relative"]
)
def test_storage_that_cannot_be_understood_is_refused(server, storage):
    server.run("mkfs", "-u", storage, "other.example.org", program=cvmfs_server, code=ConfigError.exit_code)
    assert "is no storage" in server.shown.err


def test_the_options_of_the_original_reach_what_they_are_for(server, tmp_path):
    elsewhere = tmp_path / "disk/other.example.org"
    words = ["-w", "http://example.org/cvmfs/other.example.org", "-u", f"local,{elsewhere}/data/txn,{elsewhere}"]
    words += ["-m", "-p", "-f", "overlayfs", "-z", "-G", "4 weeks ago", "-V", "cms:/cms", "-x", "http://proxy:3128"]
    server.run("mkfs", *words, "other.example.org", program=cvmfs_server)
    places = ServerLayout(server.prefix).repository("other.example.org")
    found = settings.load(places.server_conf)
    assert (found.url, found.proxy, found.union) == (words[1], "http://proxy:3128", "overlayfs")
    assert (found.auto_tag_timespan, found.voms_authz, found.garbage_collectable) == ("4 weeks ago", "cms:/cms", True)
    assert places.storage == elsewhere
    assert (elsewhere / ".cvmfspublished").read_bytes().find(b"\nAyes\n") > 0
    assert list(elsewhere.glob(".cvmfsalt-*"))
    client = places.client_conf.read_text()
    assert f"CVMFS_SERVER_URL={words[1]}\n" in client
    assert "CVMFS_HTTP_PROXY=http://proxy:3128\n" in client
    (places.worktree / "f").write_text("content")
    server.run("publish", "other.example.org", program=cvmfs_server)
    with swrepo.open(elsewhere, key=places.keys.public, cache=tmp_path / "cache") as repository:
        assert repository.read_bytes("/f") == b"content"


def test_replicas_are_refused_and_allowed(server):
    marker = server.storage / ".cvmfs_master_replica"
    assert server.run("alterfs", "-m", "off", FQRN, program=cvmfs_server) == f"{FQRN}: replicas are refused\n"
    assert not marker.exists()
    server.run("alterfs", "-m", "off", FQRN, program=cvmfs_server)
    assert server.run("alterfs", "-m", "on", FQRN, program=cvmfs_server) == f"{FQRN}: replicas are allowed\n"
    assert marker.exists()
    server.run("alterfs", FQRN, program=cvmfs_server, code=UsageError.exit_code)


def test_a_skeleton_is_a_storage_with_nothing_in_it(server, tmp_path):
    server.run("skeleton", tmp_path / "srv/x.example.org", program=cvmfs_server)
    assert len(list((tmp_path / "srv/x.example.org/data").iterdir())) == 257
    server.run("skeleton", "-o", "nobody-here", tmp_path / "y", program=cvmfs_server, code=UsageError.exit_code)


def test_commands_of_the_original_that_are_not_there_say_so(server):
    server.run("health-check", program=cvmfs_server, code=UsageError.exit_code)
    assert "cvmfs_server health-check is not there" in server.shown.err
    server.run("serve", program=cvmfs_server, code=UsageError.exit_code)
    assert "'swrepo serve' serves" in server.shown.err


def test_publishing_tells_what_changed_and_then_that_nothing_did(server):
    (server.tree / "a").write_text("x")
    assert f"{FQRN}: published revision 2: 1 added" in server.run("publish", program=cvmfs_server)
    assert "nothing changed; revision 2" in server.run("publish", program=cvmfs_server)


def test_publishing_for_programs(server):
    (server.tree / "a").write_text("x")
    found = server.json("server", "publish")
    assert (found["published"], found["revision"], found["added"]) == (True, 2, 1)


def test_sync_lists_the_changes_and_publishes_nothing(server):
    (server.tree / "a").write_text("x")
    assert "added    /a" in server.run(program=cvmfs_sync)
    assert server.json("server", "info")["revision"] == 1


def test_sync_shows_the_first_changes_only_unless_all_are_wanted(server):
    for number in range(30):
        (server.tree / f"f{number}").touch()
    assert "and 11 more" in server.run(program=cvmfs_sync)
    assert server.run("-v", program=cvmfs_sync).count("added") == 31


def test_the_repository_may_be_named_by_the_directory_one_is_in(filled, monkeypatch):
    filled.run("server", "mkfs", "other.example.org")
    filled.run("server", "publish", code=UsageError.exit_code)
    assert "which repository?" in filled.shown.err
    monkeypatch.chdir(filled.tree / "bin")
    assert filled.json("server", "info")["repository"] == FQRN
    assert filled.json("server", "info", "other.example.org")["repository"] == "other.example.org"


def test_a_repository_that_is_not_there_is_not_found(server):
    server.run("server", "publish", "no.example.org", code=NotFound.exit_code)


def test_info_tells_size_and_trust(filled):
    found = filled.json("server", "info")
    assert (found["revision"], found["files"], found["trusted"]) == (2, 3, "yes")
    assert found["size"] == 256 * 4096 + 20 + 1
    assert "whitelist ends:" in filled.run("info", program=cvmfs_server)


def test_a_whitelist_is_signed_again_for_so_many_days(filled):
    before = filled.json("server", "info")["whitelist_ends"]
    assert "valid until" in filled.run("resign", "-d", "90", "-f", program=cvmfs_server)
    found = filled.json("server", "info")
    assert found["whitelist_ends"] > before
    assert found["trusted"] == "yes"
    filled.run("server", "resign", "-d", "0", code=UsageError.exit_code)


def test_tags_are_listed_for_people_programs_and_as_the_original_does(filled):
    assert "first words" in filled.run("tag", "-l", program=cvmfs_server)
    names = {tag["name"] for tag in filled.json("server", "tag")}
    assert {"v1", "trunk", "trunk-previous"} <= names
    line = filled.run("tag", "-l", "-x", "-i", "v1", program=cvmfs_server).split(" ")
    assert (line[0], line[3], line[5]) == ("v1", "2", "(default)")
    filled.run("tag", "-i", "nobody", program=cvmfs_server, code=NotFound.exit_code)
    assert {tag["name"] for tag in json.loads(filled.read("tags", "", "--json"))} == names


def test_ls_sorts_and_hides_names_with_a_dot(filled):
    assert filled.read("ls").split() == ["away", "big", "bin", "link", "round", "v"]
    assert ".hidden" in filled.read("ls", "", "-a").split()


def test_ls_long_lines_show_mode_size_and_link(filled):
    text = filled.read("ls", "", "-l")
    assert "-rw-r--r--" in text
    assert "1048576" in text
    assert "link -> bin/tool" in text


def test_ls_of_a_file_and_of_a_directory_itself(filled):
    assert filled.read("ls", "bin/tool") == "tool\n"
    assert filled.read("ls", "bin", "-d") == "bin\n"


def test_ls_recursively_names_the_directories(filled):
    text = filled.read("ls", "", "-R")
    assert text.startswith("/:\n")
    assert "/bin:\ntool\n" in text


def test_ls_for_programs_has_a_document_per_line(filled):
    (row,) = [row for row in filled.lines("ls", "bin") if row["path"] == "/bin/tool"]
    assert (row["type"], row["mode"], row["size"]) == ("file", "0755", 20)
    assert len(row["hash"]) == 40


def test_variant_links_follow_the_environment(filled, monkeypatch):
    assert filled.read("ls", "v", "-l").endswith("v -> bin\n")
    monkeypatch.setenv("SWREPO_TEST_VARIANT", "lib")
    assert filled.read("ls", "v", "-l").endswith("v -> lib\n")


def test_names_that_would_move_the_cursor_are_escaped(server):
    (server.tree / "a\nb").touch()
    os.close(os.open(os.fsencode(server.tree) + b"/\xff", os.O_CREAT))
    server.run("server", "publish")
    assert server.read("ls").splitlines() == [r"a\nb", r"\xff"]
    assert [row["path"] for row in server.lines("ls")] == ["/a\nb", "/\udcff"]


def test_cat_writes_the_bytes_and_follows_links(filled):
    for path in ("big", "link"):
        words = ["cat", f"{filled.storage}/{path}", "--key", filled.key, "--cache", filled.prefix / "cache"]
        done = subprocess.run([sys.executable, "-m", "swrepo.cli.main", *words], capture_output=True, check=True)
        assert done.stdout == (filled.tree / path).read_bytes()


def test_cat_of_what_has_no_content_is_refused(filled):
    filled.read("cat", "bin", code=IsADirectory.exit_code)
    filled.read("cat", "away", code=PathNotFound.exit_code)
    assert "leads out of the repository" in filled.shown.err
    filled.read("cat", "round", code=PathNotFound.exit_code)
    assert "circle" in filled.shown.err
    filled.read("cat", "nothing", code=PathNotFound.exit_code)


def test_cp_copies_a_file_with_its_mode(filled, tmp_path):
    filled.run("cp", f"{filled.storage}/bin/tool", tmp_path / "t", "--key", filled.key)
    assert (tmp_path / "t").read_text() == "#!/bin/sh\necho tool\n"
    assert stat.S_IMODE((tmp_path / "t").stat().st_mode) == 0o755


def test_cp_copies_a_tree_with_links_and_times(filled, tmp_path):
    filled.run("cp", "-rp", filled.storage, tmp_path / "copy", "--key", filled.key)
    assert (tmp_path / "copy/big").read_bytes() == (filled.tree / "big").read_bytes()
    assert os.readlink(tmp_path / "copy/link") == "bin/tool"
    assert (tmp_path / "copy/bin").stat().st_mtime_ns == (filled.tree / "bin").stat().st_mtime_ns
    assert sorted(path.name for path in (tmp_path / "copy").iterdir()) == sorted(
        path.name for path in filled.tree.iterdir()
    )


def test_cp_into_a_directory_keeps_the_name(filled, tmp_path):
    (tmp_path / "into").mkdir()
    filled.run("cp", "-r", f"{filled.storage}/bin", f"{filled.storage}/big", tmp_path / "into", "--key", filled.key)
    assert sorted(path.name for path in (tmp_path / "into").iterdir()) == ["big", "bin"]


def test_cp_of_a_directory_needs_r(filled, tmp_path):
    filled.run("cp", f"{filled.storage}/bin", tmp_path / "x", "--key", filled.key, code=IsADirectory.exit_code)
    assert not (tmp_path / "x").exists()


def test_cp_that_fails_leaves_no_half_file(filled, tmp_path):
    for stored in filled.storage.glob("data/??/*"):
        if not stored.name[-1].isupper():
            stored.chmod(0o644)
            stored.write_bytes(stored.read_bytes()[:-1] + b"\0")
    filled.run("cp", f"{filled.storage}/big", tmp_path / "big", "--key", filled.key, code=CorruptObject.exit_code)
    assert [path for path in tmp_path.iterdir() if path.name.startswith((".swrepo", "big"))] == []


def test_stat_shows_what_is_known(filled):
    found = json.loads(filled.read("stat", "bin/tool", "--json"))
    assert (found["repository"], found["revision"], found["stored"]) == (FQRN, 2, "zlib")
    assert "leads to:     bin\n" in filled.read("stat", "v")


@pytest.mark.parametrize(
    ("tests", "found"),
    [
        (["-name", "t*"], ["/bin/tool"]),
        (["-iname", "T*"], ["/bin/tool"]),
        (["-path", "*/tool"], ["/bin/tool"]),
        (["-type", "d"], ["/", "/bin"]),
        (["-type", "l", "-name", "[lv]*"], ["/link", "/v"]),
        (["-size", "+100k"], ["/big"]),
        (["-size", "1048576c"], ["/big"]),
        (["-size", "-2c", "-type", "f"], ["/.hidden"]),
        (["-maxdepth", "1", "-name", "[bt]*"], ["/big", "/bin"]),
        (["-mindepth", "2"], ["/bin/tool"]),
    ],
)
def test_find_finds_what_find_would(filled, tests, found):
    assert filled.read("find", "", *tests).splitlines() == found


def test_find_writes_long_lines_raw_paths_and_documents(filled):
    assert filled.read("find", "bin", "-type", "f", "-ls").endswith(" /bin/tool\n")
    assert [row["path"] for row in filled.lines("find", "bin")] == ["/bin", "/bin/tool"]


def test_find_refuses_tests_that_make_no_sense(filled):
    filled.read("find", "", "-type", "x", code=UsageError.exit_code)
    filled.read("find", "", "-size", "big", code=UsageError.exit_code)


def test_an_older_revision_is_shown_by_its_tag_or_hash(filled):
    (filled.tree / "big").unlink()
    filled.run("server", "publish")
    assert "big" not in filled.read("ls").split()
    assert "big" in filled.read("ls", "", "--tag", "v1").split()
    (tag,) = [tag for tag in filled.json("server", "tag") if tag["name"] == "v1"]
    assert "big" in filled.read("ls", "", "--hash", tag["hash"]).split()
    filled.read("ls", "", "--tag", "nobody", code=PathNotFound.exit_code)


def test_verify_counts_what_it_checked(filled):
    found = json.loads(filled.read("verify", "", "--json"))
    assert (found["repository"], found["revision"], found["errors"]) == (FQRN, 2, [])
    assert found["objects"] >= 6
    assert "verified" in filled.read("verify")


def test_verify_names_every_object_that_is_damaged(filled):
    filled.read("verify")
    damaged = [path for path in filled.storage.glob("data/??/*") if not path.name[-1].isupper()]
    for path in damaged:
        path.chmod(0o644)
        path.write_bytes(path.read_bytes()[:-1] + b"\0")
    filled.read("verify", code=CorruptObject.exit_code)
    for path in damaged:
        assert path.parent.name + path.name in filled.shown.err


def test_a_repository_whose_key_is_not_trusted_is_refused(filled, tmp_path):
    filled.run("server", "mkfs", "other.example.org")
    other = filled.prefix / "etc/cvmfs/keys/other.example.org.pub"
    filled.run("ls", filled.storage, "--key", other, "--cache", tmp_path / "c", code=UntrustedSignature.exit_code)


def test_without_any_key_the_message_says_where_one_belongs(filled):
    filled.key.rename(filled.prefix / "elsewhere")
    filled.run("ls", filled.storage, code=ConfigError.exit_code)
    assert str(filled.prefix / "etc/cvmfs/keys") in filled.shown.err


def test_by_its_name_alone_the_configuration_knows_the_server(filled):
    (filled.prefix / "etc/cvmfs/default.local").write_text(f"CVMFS_SERVER_URL=file://{filled.storage.parent}/@fqrn@\n")
    assert filled.run("ls", f"{FQRN}/bin") == "tool\n"
    filled.run("ls", "unknown.example.org", code=5)


def test_strict_mount_allows_only_what_is_listed(filled):
    local = filled.prefix / "etc/cvmfs/default.local"
    local.write_text(f"CVMFS_SERVER_URL=file://{filled.storage.parent}/@fqrn@\nCVMFS_STRICT_MOUNT=yes\n")
    filled.run("ls", FQRN, code=ConfigError.exit_code)
    local.write_text(local.read_text() + f"CVMFS_REPOSITORIES={FQRN}\n")
    assert "bin" in filled.run("ls", FQRN)


def test_without_a_server_the_message_says_what_to_do(server):
    server.run("ls", FQRN, code=UsageError.exit_code)
    assert "PointToCVMFS" in server.shown.err


def test_config_explains_who_won_and_over_whom(server):
    etc = server.prefix / "etc/cvmfs"
    (etc / "config.d").mkdir(exist_ok=True)
    (etc / "default.local").write_text("\nCVMFS_TIMEOUT=7\n")
    (etc / f"config.d/{FQRN}.conf").write_text("CVMFS_TIMEOUT=8\n")
    shown = server.run("config", "explain", "timeout", FQRN)
    assert "CVMFS_TIMEOUT  (seconds)" in shown
    assert "Default: 5." in shown
    assert f"8, set by {etc}/config.d/{FQRN}.conf:1\n    over 7, set by {etc}/default.local:2" in shown
    assert "Nothing sets it" in server.run("config", "explain", "CVMFS_MAX_TTL")
    document = server.json("config", "explain", "CVMFS_TIMEOUT", FQRN)
    assert [found["value"] for found in document["set"]] == ["8", "7"]
    assert document["parameter"]["standing"] == "honoured"
    server.run("config", "explain", "CVMFS_TIMOUT", code=UsageError.exit_code)
    assert "did you mean CVMFS_TIMEOUT?" in server.shown.err


def test_config_shows_who_set_what(server):
    etc = server.prefix / "etc/cvmfs"
    (etc / "default.local").write_text("CVMFS_TIMEOUT=7\nCVMFS_TIMOUT=8\n")
    assert f"CVMFS_TIMEOUT=7  {etc}/default.local:1" in server.run("config", "show", FQRN)
    assert "did you mean CVMFS_TIMEOUT?" in server.shown.err
    assert server.json("config", "show")["CVMFS_TIMEOUT"]["value"] == "7"
    assert f"{etc}/config.d/{FQRN}.local  (not there)" in server.run("config", "show", "--files", FQRN)


def test_only_whitelists_that_end_soon_are_renewed(server):
    (found,) = server.json("server", "renew", "--all")
    assert (found["repository"], found["renewed"]) == (FQRN, False)
    assert "signed again" in server.run("renew", "--within", "31", "-d", "60", program=cvmfs_server)
    server.run("server", "renew", "--within", "30", code=UsageError.exit_code)
    (server.prefix / "etc/cvmfs/keys" / f"{FQRN}.masterkey").unlink()
    server.run("server", "renew", "--all", "--within", "100", "-d", "120", code=1)
    assert "the master key" in server.shown.err


def test_long_whitelists_are_asked_about(server):
    server.run("server", "resign", "-d", "31", code=UsageError.exit_code)
    assert "-f if that is what you want" in server.shown.err
    server.run("server", "resign", "-p", "-d", "3", code=UsageError.exit_code)
    assert "revision 1 is signed again" in server.run("resign", "-p", FQRN, program=cvmfs_server)


def test_keys_are_shown_backed_up_replaced_and_restored(server):
    shown = server.json("server", "keys", "show")
    assert [key["what"] for key in shown["files"]] == ["master key", "public key", "repository's key", "certificate"]
    assert shown["troubles"] == []
    secret = server.prefix / "secret"
    secret.write_text("short\n")
    backup = server.prefix / "backup"
    server.run("server", "keys", "backup", backup, "--passphrase-file", secret, code=UsageError.exit_code)
    secret.write_text("correct horse\n")
    assert "4 key files" in server.run("server", "keys", "backup", backup, "--passphrase-file", secret)
    assert stat.S_IMODE(backup.stat().st_mode) == 0o400
    key = server.prefix / "etc/cvmfs/keys" / f"{FQRN}.key"
    key.unlink()
    assert "keys restore" in server.run("server", "keys", "show")
    server.run("server", "keys", "restore", backup, code=UsageError.exit_code)  # nobody is there to type it
    assert f"restored {key}" in server.run("server", "keys", "restore", backup, "--passphrase-file", secret)
    assert "go on in an hour" in server.run("server", "keys", "rotate", "--announce").lower()
    assert "signed with a new key" in server.run("server", "keys", "rotate", "--revoke")
    assert server.json("server", "info")["trusted"] == "yes"


def test_a_whitelist_that_ends_soon_is_an_alarm(server):
    server.run("server", "info")
    assert server.shown.err == ""
    server.run("server", "resign", "-d", "3")
    server.run("server", "info")
    assert "ALARM: the whitelist ends in 2 days" in server.shown.err
    assert server.json("server", "info")["alarms"]


@pytest.mark.parametrize("name", ["health-check", "serve"])
def test_what_the_original_has_and_we_have_not_says_what_to_do_instead(name, capsys):
    assert cvmfs_server([name, "-a"]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"cvmfs_server {name} is not there: ")
    assert len(said) > 80
