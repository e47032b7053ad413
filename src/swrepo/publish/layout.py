"""Where everything of a repository lies on its server. Source: format.md 5, original.md 2.

The original's places, below a prefix that an ordinary user can choose (`/` for a real server):

    etc/cvmfs/keys/FQRN.{masterkey,pub,key,crt}         etc/cvmfs/repositories.d/FQRN/{server,client}.conf
    srv/cvmfs/FQRN/      what is served                 srv/cvmfs/info/v1/repositories.json
    var/spool/cvmfs/FQRN locks and what can be lost     cvmfs/FQRN  the work tree: a plain directory one works in
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from swrepo.errors import NotFound, UsageError
from swrepo.format.wellknown import URL_PREFIX, is_fqrn
from swrepo.publish import settings, upstream
from swrepo.publish.upstream import LocalUpstream, Upstream


@dataclass(frozen=True, slots=True)
class KeyFiles:
    """The four key files of a repository in one directory."""

    master: Path
    public: Path
    signing: Path
    certificate: Path

    @classmethod
    def of(cls, directory: Path, fqrn: str) -> KeyFiles:
        """Named as the original names them."""
        return cls(*(directory / f"{fqrn}.{suffix}" for suffix in ("masterkey", "pub", "key", "crt")))

    @property
    def previous_certificate(self) -> Path:
        """That of the key before the last rotation; whitelists list it for a while."""
        return self.certificate.with_suffix(".previous.crt")

    @property
    def coming(self) -> KeyFiles:
        """Key and certificate that a rotation has made and not put in their places yet."""
        key, certificate = (path.with_name(path.name + ".new") for path in (self.signing, self.certificate))
        return KeyFiles(self.master, self.public, key, certificate)


@dataclass(frozen=True, slots=True)
class RepositoryPlaces:
    """The places of one repository. Where `upstream` is no directory, `storage` is none either."""

    fqrn: str
    keys: KeyFiles
    configuration: Path
    storage: Path
    spool: Path
    worktree: Path
    upstream: Upstream

    @property
    def server_conf(self) -> Path:
        return self.configuration / "server.conf"

    @property
    def replica_conf(self) -> Path:
        """What is said of a copy besides: of one alone."""
        return self.configuration / "replica.conf"

    @property
    def client_conf(self) -> Path:
        return self.configuration / "client.conf"

    @property
    def lock(self) -> Path:
        """Held by whoever changes the repository."""
        return self.spool / "publishing.lock"

    @property
    def scan_record(self) -> Path:
        """What the last publication knows of the work tree."""
        return self.spool / "scan"

    @property
    def staged(self) -> Path:
        """Contents that are stored already and not published yet."""
        return self.spool / "staged.db"

    @property
    def known_contents(self) -> Path:
        """Which plain bytes are stored as what: for archives."""
        return self.spool / "contents.db"

    @property
    def claims(self) -> Path:
        """Paths that came from archives."""
        return self.spool / "ingested"

    @property
    def scratch(self) -> Path:
        """Catalogs while they are edited."""
        return self.spool / "tmp"

    @property
    def reflog_checksum(self) -> Path:
        """Hash of the reflog that was written last, as the original keeps it."""
        return self.spool / "reflog.chksum"

    @property
    def checkout(self) -> Path:
        """Is there while the next publication goes to a branch, as the original keeps it."""
        return self.spool / "checkout"

    @property
    def in_transaction(self) -> Path:
        """Is there from the beginning of a transaction to its end."""
        return self.spool / "in_transaction"

    @property
    def template(self) -> Path:
        """What a template transaction starts from."""
        return self.spool / "template"

    @property
    def importing(self) -> Path:
        """Is there until an imported repository has its work tree."""
        return self.spool / "import-unfinished"

    @property
    def replicating(self) -> Path:
        """What a replication needs while it runs, and finds again when it goes on."""
        return self.spool / "replicating"

    @property
    def unsettled(self) -> Path:
        """Is there while a catalog of a copy may be there without all that it names."""
        return self.spool / "unsettled"

    @property
    def unfinished(self) -> Path:
        """Is there from the first to the last step of the repository's creation."""
        return self.spool / "mkfs-unfinished"

    def stored_in(self, place: Upstream) -> RepositoryPlaces:
        """The same with other storage."""
        storage = place.directory if isinstance(place, LocalUpstream) else self.storage
        return replace(self, upstream=place, storage=storage)

    @property
    def is_local(self) -> bool:
        """Whether `storage` is the directory that is served."""
        return isinstance(self.upstream, LocalUpstream)

    @property
    def place(self) -> str:
        """Where it is stored, for people."""
        return str(self.storage) if self.is_local else self.upstream.encode()

    @property
    def url_path(self) -> str:
        """Where a web server shows it."""
        return URL_PREFIX + self.fqrn


@dataclass(frozen=True, slots=True)
class ServerLayout:
    """A server's directories below `prefix`."""

    prefix: Path = Path("/")

    @property
    def keys(self) -> Path:
        return self.prefix / "etc/cvmfs/keys"

    @property
    def configurations(self) -> Path:
        return self.prefix / "etc/cvmfs/repositories.d"

    @property
    def served(self) -> Path:
        """What a web server shows below /cvmfs/."""
        return self.prefix / "srv/cvmfs"

    @property
    def geo_database(self) -> Path:
        """Where the original's servers look for which addresses are where."""
        return self.prefix / "var/lib/cvmfs-server/geo/GeoLite2-City.mmdb"

    @property
    def local(self) -> Path:
        """What the administrator set for all of the server."""
        return self.prefix / "etc/cvmfs/server.local"

    @property
    def hooks(self) -> Path:
        """The administrator's shell functions, see publish.hooks."""
        return self.prefix / "etc/cvmfs/cvmfs_server_hooks.sh"

    def repository(self, fqrn: str) -> RepositoryPlaces:
        """The places of `fqrn`, which its server.conf may know better; UsageError where that can be no name."""
        places = self.new_repository(fqrn)
        try:
            found = settings.read(places.server_conf).get("CVMFS_UPSTREAM_STORAGE")
        except NotFound:
            return places
        stored = upstream.parse(found.value) if found is not None and found.value else places.upstream
        if stored == LocalUpstream.at(Path("/srv/cvmfs") / fqrn):
            return places  # the original's usual place, wherever that is here
        return places.stored_in(stored)

    def new_repository(self, fqrn: str) -> RepositoryPlaces:
        """The usual places; UsageError where `fqrn` can be no repository's name."""
        if not is_fqrn(fqrn):
            raise UsageError(f"{fqrn!r} cannot be a repository's name: it looks like a host name (sw.example.org)")
        return RepositoryPlaces(
            fqrn=fqrn,
            keys=KeyFiles.of(self.keys, fqrn),
            configuration=self.configurations / fqrn,
            storage=self.served / fqrn,
            spool=self.prefix / "var/spool/cvmfs" / fqrn,
            worktree=self.prefix / "cvmfs" / fqrn,
            upstream=LocalUpstream.at(self.served / fqrn),
        )

    def repositories(self) -> list[str]:
        """Names of the repositories that were created here, sorted."""
        found = self.configurations.glob("*/server.conf")
        return sorted(path.parent.name for path in found if is_fqrn(path.parent.name))
