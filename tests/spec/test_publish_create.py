"""publish.create: a new repository, laid out as the original lays it out."""

from __future__ import annotations

import json
import os
import pwd
import stat
import zlib
from datetime import timedelta

import pytest

from swrepo.errors import ConfigError, NotFound, PermissionRefused, PublishError, SwrepoError, UsageError
from swrepo.format import envelope, whitelist
from swrepo.format.compression import Compression
from swrepo.format.object_id import Algorithm, Kind
from swrepo.format.paths import ROOT
from swrepo.format.wellknown import WHITELIST
from swrepo.objects.chunker import ChunkSizes
from swrepo.publish import server_conf, settings
from swrepo.publish.create import CreateOptions, create_repository
from swrepo.publish.encoder import Compressor
from swrepo.publish.layout import ServerLayout
from swrepo.publish.settings import RepositorySettings
from swrepo.publish.upstream import LocalUpstream
from swrepo.trust.keys import Certificate, PublicKey
from tests.publishing import Clock, Server, fast_options, shared_keys

FQRN = "sw.example.org"


def test_everything_is_where_the_original_has_it(tmp_path):
    Server(tmp_path)
    for name, mode in (("masterkey", 0o400), ("key", 0o400), ("pub", 0o444), ("crt", 0o444)):
        path = tmp_path / "etc/cvmfs/keys" / f"{FQRN}.{name}"
        assert stat.S_IMODE(path.stat().st_mode) == mode
    served = tmp_path / "srv/cvmfs" / FQRN
    for name in (".cvmfspublished", ".cvmfswhitelist", ".cvmfsreflog", ".cvmfs_master_replica", "data/00", "data/txn"):
        assert (served / name).exists()
    assert (tmp_path / "etc/cvmfs/repositories.d" / FQRN / "server.conf").exists()
    assert (tmp_path / "etc/cvmfs/repositories.d" / FQRN / "client.conf").exists()
    assert (tmp_path / "cvmfs" / FQRN).is_dir()
    listed = json.loads((tmp_path / "srv/cvmfs/info/v1/repositories.json").read_bytes())
    assert listed["repositories"] == [{"name": FQRN, "url": f"/cvmfs/{FQRN}"}]
    assert not (tmp_path / "var/spool/cvmfs" / FQRN / "mkfs-unfinished").exists()


def test_the_original_finds_what_it_needs_to_mount_the_repository(tmp_path):
    places = Server(tmp_path).places
    client = dict(line.split("=", 1) for line in places.client_conf.read_text().splitlines() if "=" in line)
    assert client["CVMFS_SERVER_CACHE_MODE"] == "yes"
    assert client["CVMFS_TALK_SOCKET"] == f"{places.spool}/cvmfs_io"
    assert client["CVMFS_MOUNT_DIR"] == f"{tmp_path}/cvmfs"
    assert client["CVMFS_AUTO_UPDATE"] == "no"


def test_the_first_revision_is_an_empty_directory(tmp_path):
    server = Server(tmp_path)
    manifest = server.manifest()
    assert (manifest.revision, manifest.fqrn, manifest.ttl) == (1, FQRN, 240)
    with server.revision() as revision:
        root = revision.lookup(ROOT)
        assert (root.mode, root.linkcount, root.size, root.flags) == (0o40755, 2, 4096, 1)
        assert root.uid == os.geteuid()
        assert revision.listing(ROOT) == []
    assert {name.kind for name in server.objects()} == {
        Kind.CATALOG,
        Kind.CERTIFICATE,
        Kind.HISTORY,
        Kind.METAINFO,
    }
    assert {name: tag.revision for name, tag in server.tags().items()} == {"trunk": 1}


@pytest.mark.parametrize("compressor", list(Compressor))
def test_certificate_and_metainfo_survive_the_original_s_replication_which_packs_them_again(tmp_path, compressor):
    server = Server(tmp_path, fast_options(compressor=compressor, level=9))
    manifest = server.manifest()
    for name in (manifest.certificate, manifest.metainfo):
        stored = (server.places.storage / name.path).read_bytes()
        assert zlib.compress(zlib.decompress(stored)) == stored
    assert zlib.decompress((server.places.storage / manifest.certificate.path).read_bytes()).startswith(b"-----BEGIN")


def test_the_whitelist_lists_the_certificate_for_thirty_days(tmp_path):
    server = Server(tmp_path, fast_options(algorithm=Algorithm.SHAKE128))
    document = envelope.split((server.places.storage / WHITELIST).read_bytes())
    listed = whitelist.parse(document.body)
    assert listed.expires - listed.created == timedelta(days=30)
    certificate = Certificate.parse(server.places.keys.certificate.read_bytes())
    assert listed.fingerprints == (certificate.fingerprint(Algorithm.SHAKE128),)


@pytest.mark.timeout(60)
def test_without_a_keys_directory_new_keys_are_made(tmp_path):
    create_repository(ServerLayout(tmp_path), FQRN, CreateOptions())
    places = ServerLayout(tmp_path).repository(FQRN)
    assert PublicKey.parse(places.keys.public.read_bytes())
    assert places.keys.signing.read_bytes() != places.keys.master.read_bytes()
    create_repository(ServerLayout(tmp_path), "two.example.org", CreateOptions())
    listed = json.loads((tmp_path / "srv/cvmfs/info/v1/repositories.json").read_bytes())
    assert [offer["name"] for offer in listed["repositories"]] == [FQRN, "two.example.org"]
    assert ServerLayout(tmp_path).repositories() == [FQRN, "two.example.org"]


def test_existing_keys_are_imported(tmp_path):
    server = Server(tmp_path)
    for name in ("master", "public", "signing", "certificate"):
        path = getattr(server.places.keys, name)
        assert path.read_bytes() == (shared_keys() / path.name).read_bytes()


def test_a_keys_directory_that_lacks_one_is_refused(tmp_path):
    with pytest.raises(UsageError, match=r"lacks .*other\.example\.org\.masterkey"):
        create_repository(ServerLayout(tmp_path), "other.example.org", fast_options())


def test_other_keys_that_are_there_already_are_not_overwritten(tmp_path):
    keys = tmp_path / "etc/cvmfs/keys"
    keys.mkdir(parents=True)
    (keys / f"{FQRN}.key").write_bytes(b"precious")
    with pytest.raises(PublishError, match="is there already"):
        create_repository(ServerLayout(tmp_path), FQRN, fast_options())
    assert (keys / f"{FQRN}.key").read_bytes() == b"precious"


def test_an_existing_repository_is_refused_and_left_alone(tmp_path):
    server = Server(tmp_path)
    before = server.manifest()
    with pytest.raises(UsageError, match="exists already"):
        create_repository(server.layout, FQRN, fast_options())
    server.places.server_conf.unlink()  # the storage alone is somebody's repository too
    with pytest.raises(UsageError, match="cvmfspublished"):
        create_repository(server.layout, FQRN, fast_options())
    assert server.manifest() == before


def test_options_reach_manifest_catalog_and_settings(tmp_path):
    options = fast_options(
        algorithm=Algorithm.RIPEMD160,
        compression=Compression.NONE,
        compressor=Compressor.ZLIB,
        level=3,
        ttl=900,
        garbage_collectable=True,
        volatile=True,
        auto_tag=False,
        chunks=ChunkSizes(1 << 20, 2 << 20, 4 << 20),
    )
    server = Server(tmp_path, options)
    (server.tree / "f").write_bytes(b"plain")
    server.publish()
    manifest = server.manifest()
    assert (manifest.ttl, manifest.garbage_collectable) == (900, True)
    assert manifest.root_catalog.algorithm is Algorithm.RIPEMD160
    with server.revision() as revision:
        assert revision.tree.root.properties["volatile"] == "1"
        name = revision.lookup(b"/f").content
    assert (server.places.storage / name.path).read_bytes() == b"plain"
    assert set(server.tags()) == {"trunk", "trunk-previous"}
    kept = settings.load(server.places.server_conf)
    assert kept == options.settings(FQRN, kept.owner)


def test_settings_survive_their_file(tmp_path):
    for chosen in (
        RepositorySettings(FQRN, "somebody", chunks=None, xattrs=False, mtime_ns=False),
        RepositorySettings(FQRN, "1234", Algorithm.SHAKE128, ttl=0),
    ):
        path = tmp_path / "server.conf"
        path.write_bytes(server_conf.encode(chosen, LocalUpstream.at(tmp_path), tmp_path, tmp_path / "with blank"))
        assert settings.load(path).chunks == (chosen.chunks or None)
        assert settings.load(path) == chosen


@pytest.mark.parametrize(
    "line",
    [
        "CVMFS_HASH_ALGORITHM=md5",
        "CVMFS_REPOSITORY_TTL=soon",
        "CVMFS_AUTO_TAG=perhaps",
        "CVMFS_MIN_CHUNK_SIZE=99999999999",
        "SWREPO_COMPRESSION_LEVEL=13",
        "rm -rf /",
    ],
)
def test_settings_that_cannot_be_used_are_refused(tmp_path, line):
    path = tmp_path / "server.conf"
    path.write_text(f"CVMFS_REPOSITORY_NAME=x\n{line}\n")
    with pytest.raises(ConfigError):
        settings.load(path)


def test_settings_that_are_missing(tmp_path):
    with pytest.raises(NotFound, match="create it with mkfs"):
        settings.load(tmp_path / FQRN / "server.conf")


def test_an_owner_who_does_not_exist_is_refused_before_anything_is_made(tmp_path):
    with pytest.raises(UsageError, match="no user"):
        create_repository(ServerLayout(tmp_path), FQRN, fast_options(owner="no-such-user-here"))
    assert list(tmp_path.iterdir()) == []


def test_an_owner_without_a_name_is_known_by_number(tmp_path, monkeypatch):
    """Containers run as users that no user database names."""

    def unknown(uid):
        raise KeyError(uid)

    monkeypatch.setattr(pwd, "getpwuid", unknown)
    server = Server(tmp_path)
    assert settings.load(server.places.server_conf).owner == str(os.geteuid())


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can create a repository for somebody else")
def test_root_hands_everything_over_to_the_owner(tmp_path):
    owner = next(entry for entry in pwd.getpwall() if entry.pw_uid != 0)
    server = Server(tmp_path, fast_options(owner=owner.pw_name))
    paths = [
        server.tree,
        server.places.keys.signing,
        *server.places.storage.rglob("*"),
        *server.places.spool.rglob("*"),
    ]
    assert {path.lstat().st_uid for path in paths} == {owner.pw_uid}
    with server.revision() as revision:
        assert revision.lookup(ROOT).uid == owner.pw_uid


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can publish for somebody else")
def test_the_owner_can_go_on_where_root_published(tmp_path):
    owner = next(entry for entry in pwd.getpwall() if entry.pw_uid != 0)
    server = Server(tmp_path, fast_options(owner=owner.pw_name))
    (server.tree / "f").write_bytes(b"1")
    server.publish()
    # Files are replaced by renaming, so it is enough to own the directories; the lock and the scratch are used.
    paths = [server.places.lock, *(path for path in server.places.spool.rglob("*") if path.is_dir())]
    assert {path.stat().st_uid for path in paths} == {owner.pw_uid}


@pytest.mark.skipif(os.geteuid() == 0, reason="root may do it")
def test_an_ordinary_user_cannot_create_for_somebody_else(tmp_path):
    with pytest.raises(UsageError, match="only root"):
        create_repository(ServerLayout(tmp_path), FQRN, fast_options(owner="root"))


def test_a_place_where_nothing_can_be_made_is_named(tmp_path):
    (tmp_path / "etc").write_bytes(b"a file where a directory should be")
    with pytest.raises(SwrepoError, match="cannot write"):
        create_repository(ServerLayout(tmp_path), FQRN, fast_options())


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_place_that_belongs_to_somebody_else_is_named(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(PermissionRefused, match="owner"):
        create_repository(ServerLayout(tmp_path), FQRN, fast_options())
    tmp_path.chmod(0o700)


def test_a_name_that_leads_elsewhere_is_refused(tmp_path):
    for name in ("../x", "a/b", "", ".", "-x", "a" * 300):
        with pytest.raises(UsageError):
            create_repository(ServerLayout(tmp_path), name, fast_options(), Clock().nanoseconds)
    assert list(tmp_path.iterdir()) == []
