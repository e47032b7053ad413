"""Creates a repository: keys, whitelist, storage, configuration, and a first revision that is an empty directory.

`server.conf` is written last but one, and the mark of an unfinished creation removed last: whoever is interrupted runs
it again, with the keys that were made already.
"""

from __future__ import annotations

import json
import os
import shutil
import stat
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from swrepo.catalog import schema
from swrepo.catalog.nested import NestedRef
from swrepo.catalog.writer import CatalogWriter
from swrepo.errors import NotFound, UsageError
from swrepo.format.compression import Compression
from swrepo.format.dirent import Dirent, Flag
from swrepo.format.manifest import DEFAULT_TTL, Manifest
from swrepo.format.object_id import Algorithm, Kind, ObjectId
from swrepo.format.paths import ROOT
from swrepo.format.wellknown import MANIFEST, MASTER_REPLICA, PUBLIC_KEY, WHITELIST
from swrepo.objects.chunker import ChunkSizes
from swrepo.objects.directory import writing
from swrepo.publish import keyring, server_conf
from swrepo.publish.balance import Weights
from swrepo.publish.encoder import Compressor
from swrepo.publish.entries import DIRECTORY_SIZE
from swrepo.publish.keyring import Keyring
from swrepo.publish.layout import KeyFiles, RepositoryPlaces, ServerLayout
from swrepo.publish.ownership import Owner, give_keys_to, give_to, owner_of
from swrepo.publish.plain import PlainObjects
from swrepo.publish.seal import Sealer, TagRequest
from swrepo.publish.server_list import update_list
from swrepo.publish.settings import RepositorySettings
from swrepo.publish.storage import OpenStorage, Storage, opened, prepare, reading
from swrepo.publish.upstream import Upstream
from swrepo.system.atomic import make_directory, write_atomically
from swrepo.system.lock import exclusive
from swrepo.trust.smart_card import CARD_DAYS, SmartCard

FIRST_REVISION = 1
REPLICABLE = b"This repository may be replicated to stratum 1 servers.\n"
_NANOSECONDS = 1_000_000_000
_LINKS_OF_EMPTY_DIRECTORY = 2
_METAINFO = {
    "administrator": "",
    "email": "",
    "organisation": "",
    "description": "",
    "url": "",
    "recommended-stratum0": "",
    "recommended-stratum1s": [],
    "custom": {},
}


@dataclass(frozen=True, slots=True)
class CreateOptions:
    """What the owner of a new repository decides. `owner`: a user's name, None for who runs this."""

    algorithm: Algorithm = Algorithm.SHA1
    compression: Compression = Compression.ZLIB
    compressor: Compressor = Compressor.LIBDEFLATE
    level: int | None = None
    """None: the usual one of the compressor."""
    chunks: ChunkSizes | None = field(default_factory=ChunkSizes)
    ttl: int = DEFAULT_TTL
    garbage_collectable: bool = False
    auto_tag: bool = True
    volatile: bool = False
    xattrs: bool = True
    mtime_ns: bool = True
    weights: Weights | None = field(default_factory=Weights)
    auto_tag_timespan: str = ""
    external: bool = False
    voms_authz: str = ""
    stratum0: str = ""
    proxy: str = ""
    union: str = ""
    owner: str | None = None
    keys: Path | None = None
    card: SmartCard | None = None
    """Has the master key, in place of a file."""
    upstream: Upstream | None = None
    """None: the directory that is served."""

    def settings(self, fqrn: str, owner: str) -> RepositorySettings:
        """The part of it that server.conf keeps."""
        return RepositorySettings(
            fqrn=fqrn,
            owner=owner,
            algorithm=self.algorithm,
            compression=self.compression,
            compressor=self.compressor,
            level=self.compressor.usual_level if self.level is None else self.level,
            chunks=self.chunks,
            ttl=self.ttl,
            garbage_collectable=self.garbage_collectable,
            auto_tag=self.auto_tag,
            xattrs=self.xattrs,
            mtime_ns=self.mtime_ns,
            weights=self.weights,
            auto_tag_timespan=self.auto_tag_timespan,
            external=self.external,
            voms_authz=self.voms_authz,
            alternative_paths=bool(self.voms_authz),
            stratum0=self.stratum0,
            proxy=self.proxy,
            union=self.union,
        )


def create_repository(
    layout: ServerLayout,
    fqrn: str,
    options: CreateOptions,
    clock_ns: Callable[[], int] = time.time_ns,
    open_storage: OpenStorage = opened,
) -> RepositoryPlaces:
    """Create the repository; where it lies. UsageError where it exists, or where the owner does not."""
    places = layout.new_repository(fqrn)
    if options.upstream is not None:
        places = places.stored_in(options.upstream)
    owner = owner_of(options.owner)
    settings = options.settings(fqrn, owner.name)  # checks what it was given
    with exclusive(places.lock, f"creating {fqrn}", lambda: clock_ns() / _NANOSECONDS), writing(places.storage):
        _refuse_existing(layout, places)
        write_atomically(places.unfinished, b"")
        now = datetime.fromtimestamp(clock_ns() // _NANOSECONDS, UTC)
        if options.keys is not None:
            keyring.import_keys(KeyFiles.of(options.keys, fqrn), places.keys, with_master=options.card is None)
        keys = keyring.prepare(places.keys, fqrn, now, options.card)
        prepare(places)
        storage = open_storage(places)
        storage.documents.write(MASTER_REPLICA, REPLICABLE)
        storage.documents.write(PUBLIC_KEY, places.keys.public.read_bytes())
        days = keyring.WHITELIST_DAYS if options.card is None else CARD_DAYS
        storage.documents.write(WHITELIST, keys.whitelist(fqrn, now, settings.algorithm, days))
        _publish_empty_root(places, storage, settings, keys, owner, clock_ns(), volatile=options.volatile)
        make_directory(places.worktree)
        configure(places, settings)
        update_list(layout)
        _hand_over(places, owner)
        places.unfinished.unlink()
    return places


def _refuse_existing(layout: ServerLayout, places: RepositoryPlaces) -> None:
    if places.unfinished.exists():
        return  # an earlier run was interrupted: this one completes it
    for path in (places.server_conf, places.storage / MANIFEST, layout.served / places.fqrn / MANIFEST):
        if path.exists():
            raise UsageError(f"the repository {places.fqrn} exists already ({path}); choose another name or remove it")
    if not places.is_local:
        with suppress(NotFound):
            reading(places).read(MANIFEST)
            raise UsageError(
                f"{places.place} holds a repository already; choose another name, or another ALIAS with -u"
            )


def _publish_empty_root(
    places: RepositoryPlaces,
    storage: Storage,
    settings: RepositorySettings,
    keys: Keyring,
    owner: Owner,
    now_ns: int,
    *,
    volatile: bool,
) -> None:
    if places.scratch.exists():
        shutil.rmtree(places.scratch)
    make_directory(places.scratch, 0o700)
    sealer = Sealer(
        fqrn=places.fqrn,
        store=storage.store,
        documents=storage.documents,
        objects=PlainObjects(storage.source, places.scratch),
        encoder=settings.encoder,
        key=keys.signing,
        certificate_pem=keys.certificate_pem,
        scratch=places.scratch,
        checksum_file=places.reflog_checksum,
        now_ms=now_ns // 1_000_000,
    )
    properties = {schema.KEY_VOLATILE: "1"} if volatile else {}
    if settings.voms_authz:
        properties[schema.KEY_VOMS_AUTHZ] = settings.voms_authz
    root = _root_catalog(
        sealer, places.scratch / "root", owner, now_ns, {schema.KEY_TTL: str(settings.ttl), **properties}
    )
    draft = Manifest(
        root_catalog=ObjectId.of(b"", settings.algorithm, Kind.CATALOG),  # of no revision
        revision=FIRST_REVISION,
        ttl=settings.ttl,
        garbage_collectable=settings.garbage_collectable,
        fqrn=places.fqrn,
        alt_catalog_path=settings.has_alternative_paths,
        metainfo=sealer.save(json.dumps(_METAINFO, indent=2).encode() + b"\n", Kind.METAINFO),
    )
    sealer.seal(draft, root, TagRequest(), auto_tag=False)


def _root_catalog(sealer: Sealer, file: Path, owner: Owner, now_ns: int, special: dict[str, str]) -> NestedRef:
    seconds, nanoseconds = divmod(now_ns, _NANOSECONDS)
    root = Dirent(
        name=b"",
        mode=stat.S_IFDIR | 0o755,
        size=DIRECTORY_SIZE,
        mtime=seconds,
        mtime_ns=nanoseconds,
        uid=owner.uid,
        gid=owner.gid,
        flags=int(Flag.DIRECTORY),
        hardlinks=_LINKS_OF_EMPTY_DIRECTORY,
        symlink=b"",
        digest=None,
        xattr_blob=None,
    )
    writer = CatalogWriter.create(file, root)
    properties = {
        **special,
        schema.KEY_REVISION: str(FIRST_REVISION),
        schema.KEY_LAST_MODIFIED: str(seconds),
        schema.KEY_PREVIOUS_REVISION: "",
    }
    size = writer.finish(properties)
    return NestedRef(ROOT, sealer.save_file(file, Kind.CATALOG), size)


def configure(places: RepositoryPlaces, settings: RepositorySettings) -> None:
    """Write the repository's client.conf and server.conf."""
    make_directory(places.configuration)
    cache = str(places.spool / "cache")
    client = {  # what the original's has, so that it can mount the repository for its transactions
        "CVMFS_CACHE_BASE": cache,
        "CVMFS_RELOAD_SOCKETS": cache,
        "CVMFS_QUOTA_LIMIT": "4000",
        "CVMFS_MOUNT_DIR": str(places.worktree.parent),
        "CVMFS_SERVER_URL": settings.url,
        "CVMFS_HTTP_PROXY": settings.proxy or "DIRECT",
        "CVMFS_PUBLIC_KEY": str(places.keys.public),
        "CVMFS_CHECK_PERMISSIONS": "yes",
        "CVMFS_IGNORE_SIGNATURE": "no",
        "CVMFS_AUTO_UPDATE": "no",
        "CVMFS_NFS_SOURCE": "no",
        "CVMFS_MAGIC_XATTRS_VISIBILITY": "never",
        "CVMFS_FOLLOW_REDIRECTS": "yes",
        "CVMFS_SERVER_CACHE_MODE": "yes",
        "CVMFS_NFILES": "65536",
        "CVMFS_TALK_SOCKET": str(places.spool / "cvmfs_io"),
        "CVMFS_TALK_OWNER": settings.owner,
        "CVMFS_USE_SSL_SYSTEM_CA": "true",
    }
    lines = "".join(f"{key}={value}\n" for key, value in client.items())
    write_atomically(places.client_conf, f"# Made by swrepo: how this server mounts the repository.\n{lines}".encode())
    write_atomically(places.server_conf, server_conf.encode(settings, places.upstream, places.spool, places.worktree))


def _hand_over(places: RepositoryPlaces, owner: Owner) -> None:
    """Give everything to the owner, where root creates a repository for somebody else."""
    if os.geteuid() == owner.uid:
        return
    give_keys_to(owner, places.keys)
    for top in (places.storage, places.spool) if places.is_local else (places.spool,):
        give_to(owner, top)
    os.chown(places.worktree, owner.uid, owner.gid)
