"""Magic extended attributes: what a client tells of a repository, and of each entry, under names of its own.

Names and formats are those of the original (features.md 2, original.md 6), where scripts read them. Those that tell of
the process that serves a mount are in `mount.attributes`.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from swrepo import __version__
from swrepo.catalog.counters import Counters
from swrepo.catalog.reader import CatalogFile
from swrepo.client.access import Access
from swrepo.errors import SwrepoError
from swrepo.format.compression import Compression
from swrepo.format.dirent import Chunk, Dirent, Flag
from swrepo.net.remote import RemoteRepository
from swrepo.net.routes import ProxyGroups
from swrepo.objects.store import DOCUMENT_LIMIT, Want
from swrepo.repository.content import wanted_objects
from swrepo.repository.revision import Revision

_BLOCK = 1 << 20
_KIB = 1024
_AUTHORISATION = "voms_authz"
"""A catalog's property: who may read. Source: format.md 6."""


@dataclass(frozen=True, slots=True)
class Subject:
    """An entry of an open repository. `catalog`: that which holds it, or, of a directory, what is in it.

    `path`: from the repository's root. These read when they are called, and raise what reading raises.
    """

    access: Access
    revision: Revision
    entry: Dirent
    chunks: Callable[[], tuple[Chunk, ...]]
    catalog: Callable[[], CatalogFile]
    path: Callable[[], bytes]


Attribute: TypeAlias = Callable[[Subject], str | None]
"""The value, or None where the subject has no such attribute."""


def proxy_name(proxy: str | None) -> str:
    """A proxy, as lists of proxies have it."""
    return proxy or "DIRECT"


def proxies_text(groups: ProxyGroups) -> str:
    """A line for each group, the proxies of a group with `|` between."""
    return "".join("|".join(map(proxy_name, group)) + "\n" for group in groups)


def counters_text(counters: Counters) -> str:
    """A line `name,value` for each counter, by name."""
    return "".join(f"{name},{value}\n" for name, value in counters.rows(""))


# Of the repository


def _remote(subject: Subject) -> RemoteRepository | None:
    documents = subject.access.documents
    return documents if isinstance(documents, RemoteRepository) else None


def _host(subject: Subject) -> str:
    remote = _remote(subject)
    return subject.access.request.urls[0] if remote is None else remote.routes.current().server


def _host_list(subject: Subject) -> str:
    """The server in use, then those that follow."""
    remote = _remote(subject)
    if remote is None:
        return ";".join(subject.access.request.urls)
    servers, used = remote.routes.servers, remote.routes.current().server
    index = servers.index(used) if used in servers else 0
    return ";".join((*servers[index:], *servers[:index]))


def _proxy(subject: Subject) -> str:
    remote = _remote(subject)
    return proxy_name(None if remote is None else remote.routes.current().proxy)


def _proxy_list(subject: Subject) -> str:
    remote = _remote(subject)
    return proxies_text(((None,),) if remote is None else remote.routes.proxies)


def _public_keys(subject: Subject) -> str:
    return "".join(key.pem.decode("ascii") for key in subject.access.anchors.keys)


def _meta_information(subject: Subject) -> str:
    """The document that the publisher wrote about the repository; fetched when it is asked for."""
    manifest = subject.access.manifest
    if manifest is None or manifest.metainfo is None:
        return "manifest not available" if manifest is None else "no metainfo specified"
    descriptor = subject.access.cache.open(Want(manifest.metainfo, limit=DOCUMENT_LIMIT))
    with os.fdopen(descriptor, "rb") as file:
        return file.read(DOCUMENT_LIMIT).decode("utf-8", "replace")


def _received(subject: Subject) -> int:
    remote = _remote(subject)
    return 0 if remote is None else remote.traffic.received_bytes


def _hit_rate(subject: Subject) -> str:
    counters = subject.access.cache.counters
    asked = counters.hits + counters.fetched
    return f"{100 * counters.hits / asked if asked else 0:.3f}"


REPOSITORY: Mapping[str, Attribute] = {
    "user.authz": lambda subject: subject.revision.tree.root.properties.get(_AUTHORISATION),
    "user.external_host": lambda subject: "".join(subject.access.request.network.external.urls[:1]),
    "user.external_timeout": lambda subject: f"{subject.access.request.network.external.timeout_direct:g}",
    "user.fqrn": lambda subject: subject.access.fqrn,
    "user.hitrate": _hit_rate,
    "user.host": _host,
    "user.host_list": _host_list,
    "user.nclg": lambda subject: str(len(subject.revision.tree.loaded())),
    "user.ndownload": lambda subject: str(subject.access.cache.counters.fetched),
    "user.proxy": _proxy,
    "user.proxy_list": _proxy_list,
    "user.pubkeys": _public_keys,
    "user.repo_counters": lambda subject: counters_text(subject.revision.tree.root.counters().total),
    "user.repo_metainfo": _meta_information,
    "user.revision": lambda subject: str(subject.revision.number),
    "user.root_hash": lambda subject: subject.revision.root.text,
    "user.rx": lambda subject: str(_received(subject) // _KIB),
    "user.tag": lambda subject: subject.access.request.tag or "",
    "user.timeout": lambda subject: f"{subject.access.request.timeouts.proxied:g}",
    "user.timeout_direct": lambda subject: f"{subject.access.request.timeouts.direct:g}",
    "user.version": lambda _subject: __version__,
}
"""The same whatever entry of the repository is asked."""


# Of an entry


def _of_files(value: Attribute) -> Attribute:
    def attribute(subject: Subject) -> str | None:
        return value(subject) if subject.entry.is_regular and not subject.entry.is_symlink else None

    return attribute


def _catalog_counters(subject: Subject) -> str:
    """Of the catalog and all below it."""
    catalog = subject.catalog()
    ref = subject.revision.tree.mounted(catalog.mountpoint)
    name = subject.revision.root if ref is None else ref.id
    mountpoint = os.fsdecode(catalog.mountpoint)
    return f"catalog_hash: {name.text}\ncatalog_mountpoint: {mountpoint}\n{counters_text(catalog.counters().total)}"


def _hash(subject: Subject) -> str | None:
    return None if subject.entry.content is None else subject.entry.content.text


def _chunk_list(subject: Subject) -> str:
    entry = subject.entry
    lines = [f"{entry.chunk_id(chunk).text},{chunk.offset},{chunk.size}" for chunk in subject.chunks()]
    if not lines and entry.content is not None:
        lines = [f"{entry.content.text},0,{entry.size}"]
    return "\n".join(["hash,offset,size", *lines]) + "\n"


def _local_hash(subject: Subject) -> str | None:
    """What the copy in the cache has for a name: made anew, as the original stores it. Reads all of the file."""
    entry = subject.entry
    if entry.is_external or entry.content is None:
        return None
    (want,) = wanted_objects(entry, ())
    descriptor = subject.access.cache.open_in_any(want)
    if descriptor is None:
        return "Not in cache"
    hasher = entry.content.algorithm.hasher()
    packer = zlib.compressobj() if entry.compression is Compression.ZLIB else None
    with os.fdopen(descriptor, "rb") as file:
        while block := file.read(_BLOCK):
            hasher.update(block if packer is None else packer.compress(block))
    if packer is not None:
        hasher.update(packer.flush())
    return hasher.digest().hex() + entry.content.algorithm.text_suffix


def _external_url(subject: Subject) -> str | None:
    """Where the content is, if it is not in the repository and a server of such is known."""
    hosts = subject.access.request.network.external.urls
    return hosts[0] + os.fsdecode(subject.path()) if subject.entry.is_external and hosts else None


def _bundle_trigger(subject: Subject) -> str:
    """Whether a bundle of CernVM-FS 2.14 lies beside the file, as its publisher says; those before 2.14 say nothing."""
    return str(int(bool(subject.entry.flags & Flag.BUNDLE_TRIGGER)))


ENTRY: Mapping[str, Attribute] = {
    "user.bundle_trigger": _of_files(_bundle_trigger),
    "user.catalog_counters": _catalog_counters,
    "user.chunk_list": _of_files(_chunk_list),
    "user.chunks": _of_files(lambda subject: str(len(subject.chunks()) or 1)),
    "user.compression": _of_files(lambda subject: subject.entry.compression.name.lower()),
    "user.direct_io": _of_files(lambda subject: str(int(bool(subject.entry.flags & Flag.DIRECT_IO)))),
    "user.external_file": _of_files(lambda subject: str(int(subject.entry.is_external))),
    "user.external_url": _of_files(_external_url),
    "user.hash": _of_files(_hash),
    "user.lhash": _of_files(_local_hash),
    "user.rawlink": lambda subject: _target(subject.entry),
    "xfsroot.rawlink": lambda subject: _target(subject.entry),
}
"""Of the entry that is asked."""

SLOW = frozenset({"user.lhash", "user.repo_metainfo"})
"""Those that read much, or fetch."""


def _target(entry: Dirent) -> str | None:
    """As it was published, variables and all."""
    return os.fsdecode(entry.symlink) if entry.is_symlink else None


def subject_at(access: Access, revision: Revision, path: bytes) -> Subject:
    """The entry at a path of a repository that is not mounted; PathNotFound."""
    return Subject(
        access,
        revision,
        revision.lookup(path),
        lambda: revision.chunks(path),
        lambda: revision.tree.find(path) if revision.lookup(path).is_directory else revision.tree.holder(path),
        lambda: path,
    )


def value(subject: Subject, name: str) -> str | None:
    """The attribute of that name, or None. Raises what fetching raises."""
    attribute = REPOSITORY.get(name) or ENTRY.get(name)
    return None if attribute is None else attribute(subject)


def names(subject: Subject) -> list[str]:
    """Those that the subject has, by name; what would be slow is assumed to be there with what it is of."""

    def has(name: str, attribute: Attribute) -> bool:
        if name == "user.catalog_counters":
            return True
        if name in SLOW:
            return name in REPOSITORY or ENTRY["user.hash"](subject) is not None
        try:
            return attribute(subject) is not None
        except SwrepoError:
            return False

    return sorted(name for table in (REPOSITORY, ENTRY) for name, attribute in table.items() if has(name, attribute))
