"""Takes over a repository that another server made, ours or the original's: its storage and keys, as they are.

Nothing of what is published changes, unless a new key or whitelist is asked for. `server.conf` is written last but one;
while the mark `import-unfinished` is there, nothing can be published, and the import can be run again.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from swrepo.errors import CorruptObject, NotFound, ObjectNotFound, SwrepoError, UsageError
from swrepo.format import envelope, manifest
from swrepo.format.manifest import Manifest
from swrepo.format.object_id import ObjectId
from swrepo.format.wellknown import MANIFEST, MASTER_REPLICA, PUBLIC_KEY, REFLOG
from swrepo.objects.directory import DirectoryObjects, writing
from swrepo.objects.store import CATALOG_LIMIT
from swrepo.publish import keyring
from swrepo.publish.create import REPLICABLE, configure
from swrepo.publish.keyring import PUBLIC, SECRET
from swrepo.publish.layout import KeyFiles, RepositoryPlaces, ServerLayout
from swrepo.publish.opening import open_repository
from swrepo.publish.ownership import give_keys_to, give_to, owner_of
from swrepo.publish.plain import PlainObjects, read_object
from swrepo.publish.renewal import Renewer, listed_certificates
from swrepo.publish.server_list import update_list
from swrepo.publish.settings import RepositorySettings
from swrepo.publish.upstream import Upstream
from swrepo.repository.bootstrap import trusted_manifest
from swrepo.repository.reflog import ReflogFile
from swrepo.system.atomic import make_directory, write_atomically
from swrepo.system.lock import exclusive
from swrepo.trust.chain import TrustAnchors
from swrepo.trust.keys import Certificate, PublicKey
from swrepo.trust.signer import SigningKey
from swrepo.trust.smart_card import SmartCard

_NANOSECONDS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class AdoptOptions:
    """`keys`: a directory with the key files. `storage`: a served directory to be copied here; None if it is here.

    `new_whitelist` needs the master key, `new_key` needs that too. `owner`: a user's name, None for who runs this.
    """

    keys: Path | None = None
    storage: Path | None = None
    owner: str | None = None
    new_whitelist: bool = False
    new_key: bool = False
    replicable: bool = False
    give_storage: bool = False
    stratum0: str = ""
    proxy: str = ""
    union: str = ""
    upstream: Upstream | None = None
    """None: the directory that is served."""
    card: SmartCard | None = None
    """Has the master key where there is no file of it."""
    by_card: bool = False
    """A file of it is not wanted."""


def adopt_repository(
    layout: ServerLayout, fqrn: str, options: AdoptOptions, clock_ns: Callable[[], int] = time.time_ns
) -> RepositoryPlaces:
    """Take the repository over; where it lies. The caller fills the work tree and then calls `finish`.

    UsageError where it is on this server already, NotFound without storage or keys, TrustError where clients would not
    believe it (options can mend that).
    """
    places = layout.new_repository(fqrn)
    if options.upstream is not None:
        places = places.stored_in(options.upstream)
        if not places.is_local:
            raise UsageError(
                f"{options.upstream.encode()}: only what lies in a directory of this server can be taken over"
            )
    owner = owner_of(options.owner)
    now = datetime.fromtimestamp(clock_ns() // _NANOSECONDS, UTC)
    if options.new_key and not options.new_whitelist:
        raise UsageError("a new key has to be on a new whitelist: -t needs -r, and the master key")
    with exclusive(places.lock, f"importing {fqrn}", lambda: clock_ns() / _NANOSECONDS), writing(places.storage):
        if places.server_conf.exists() and not places.importing.exists():
            raise UsageError(f"{fqrn} is a repository of this server already ({places.server_conf})")
        current = _storage(places, options)
        write_atomically(places.importing, b"")
        _keys(places, options, now)
        _reflog_checksum(places, current)
        make_directory(places.worktree)
        configure(places, _settings(places, current, owner.name, options))
        renewer = Renewer(clock_ns=clock_ns, card=options.card, by_card=options.by_card)
        if options.new_key:
            _sign_with_the_new_key(places, renewer, current)
        elif options.new_whitelist:
            renewer.sign_whitelist(places, listed_certificates(places.keys, now))
        _check(places, now)
        if options.replicable:
            DirectoryObjects(places.storage).write(MASTER_REPLICA, REPLICABLE)
        give_keys_to(owner, places.keys)
        for top in (places.spool, *([places.storage] if options.give_storage else [])):
            give_to(owner, top)
        update_list(layout)
    return places


def finish(places: RepositoryPlaces) -> None:
    """The work tree shows what is published: from here on it can be published."""
    places.importing.unlink(missing_ok=True)


def _storage(places: RepositoryPlaces, options: AdoptOptions) -> Manifest:
    """Copy it where it has to be copied, the manifest last; what it says, unverified as yet."""
    origin = options.storage or places.storage
    if not (origin / MANIFEST).exists() or not (origin / "data").is_dir():
        raise NotFound(f"{origin} is no repository's storage: it has no {MANIFEST} or no data directory")
    current = manifest.parse(envelope.split(DirectoryObjects(origin).read(MANIFEST)).body)
    if current.fqrn not in (None, places.fqrn):
        raise UsageError(f"{origin} holds {current.fqrn}, not {places.fqrn}; a repository keeps its name")
    if origin != places.storage:
        make_directory(places.storage)
        shutil.copytree(origin, places.storage, dirs_exist_ok=True, ignore=shutil.ignore_patterns(MANIFEST, "txn"))
    storage = DirectoryObjects(places.storage)
    storage.create()
    if origin != places.storage:
        storage.write(MANIFEST, (origin / MANIFEST).read_bytes())
    return current


def _keys(places: RepositoryPlaces, options: AdoptOptions, now: datetime) -> None:
    origin, keys = KeyFiles.of(options.keys or places.keys.master.parent, places.fqrn), places.keys
    needed = ["public"] if options.new_key else ["public", "signing", "certificate"]
    missing = [str(path) for name in needed if not (path := getattr(origin, name)).exists()]
    if missing:
        hint = "" if options.new_key else "; -t -r makes a new repository key, with the master key"
        raise NotFound(f"the keys directory lacks {', '.join(missing)}{hint}")
    make_directory(keys.master.parent)
    for name, mode in (("master", SECRET), ("public", PUBLIC), ("signing", SECRET), ("certificate", PUBLIC)):
        source = getattr(origin, name)
        if source.exists() and (name in needed or (name == "master" and not options.by_card)):
            keyring.put(getattr(keys, name), source.read_bytes(), mode, source)
    if options.new_key:
        key = SigningKey.generate()
        for path, data, mode in (
            (keys.signing, key.pem, SECRET),
            (keys.certificate, key.make_certificate(places.fqrn, now), PUBLIC),
        ):
            write_atomically(path, data, mode)


def _settings(places: RepositoryPlaces, current: Manifest, owner: str, options: AdoptOptions) -> RepositorySettings:
    return RepositorySettings(
        fqrn=places.fqrn,
        owner=owner,
        algorithm=current.root_catalog.algorithm,
        ttl=current.ttl,
        garbage_collectable=current.garbage_collectable,
        alternative_paths=current.alt_catalog_path,
        stratum0=options.stratum0,
        proxy=options.proxy,
        union=options.union,
    )


def _reflog_checksum(places: RepositoryPlaces, current: Manifest) -> None:
    """What the publisher's spool directory knew, and the storage can tell."""
    try:
        log = DirectoryObjects(places.storage).read(REFLOG, CATALOG_LIMIT)
    except ObjectNotFound:
        return
    found = ObjectId.of(log, current.root_catalog.algorithm)
    if current.reflog is not None and found != current.reflog:
        _check_reflog(
            places, current
        )  # after a garbage collection by the original the manifest names the log of before
    write_atomically(places.reflog_checksum, f"{found}\n".encode())


def _check_reflog(places: RepositoryPlaces, current: Manifest) -> None:
    try:
        log = ReflogFile.open(places.storage / REFLOG)
        try:
            known = {found.id for found in log.references()}
        finally:
            log.close()
    except SwrepoError as error:
        raise CorruptObject(f"{REFLOG} of {places.fqrn} cannot be read ({error}); get it from a replica") from error
    if current.root_catalog not in known:
        raise CorruptObject(f"{REFLOG} of {places.fqrn} does not know the newest revision; get it from a replica")


def _sign_with_the_new_key(places: RepositoryPlaces, renewer: Renewer, current: Manifest) -> None:
    """List the old certificate until the manifest is signed with the new key."""
    listed = listed_certificates(places.keys, renewer.now)
    make_directory(places.scratch, 0o700)
    if current.certificate is not None:
        objects = PlainObjects(DirectoryObjects(places.storage), places.scratch)
        listed.append(Certificate.parse(read_object(objects, current.certificate)))
    renewer.sign_whitelist(places, listed)
    renewer.sign_manifest(open_repository(places, renewer.open_storage, renewer.now, unfinished=True))
    renewer.sign_whitelist(places, listed[:1])


def _check(places: RepositoryPlaces, now: datetime) -> None:
    objects = DirectoryObjects(places.storage)
    public = places.keys.public.read_bytes()
    trusted_manifest(places.fqrn, objects, objects, TrustAnchors(PublicKey.parse_all(public)), now)
    objects.write(PUBLIC_KEY, public)
