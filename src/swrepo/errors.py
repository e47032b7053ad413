"""Every error that swrepo raises on purpose: one tree, each class with its errno and its exit code.

    SwrepoError
    ├── UsageError                 the command line or a parameter is wrong
    ├── ConfigError                a configuration file or parameter cannot be used
    ├── NotFound
    │   ├── PathNotFound           no such path in the repository (ENOENT)
    │   └── ObjectNotFound         a server does not have an object or document (EIO for a reader)
    │       └── RepositoryNotFound no server has a repository of this name (ENOENT)
    ├── NotADirectory, IsADirectory, NotASymlink, SymlinkLoop, NoAttribute, ReadOnly
    ├── Unreachable                every route failed; carries the list of tries
    │   └── NoConnection, TimedOut the same, as repositories for Python programs raise it
    ├── FormatError                bytes that are not what the format says
    ├── CorruptObject              bytes that do not match their name
    │   ├── CorruptCatalog, CorruptCertificate
    │   ├── TruncatedObject        fewer bytes than announced
    │   ├── ObjectTooLarge         more bytes than announced
    │   └── DecompressionBomb      inflates beyond every announced or allowed size
    ├── TrustError                 not what the repository signed
    │   ├── ManifestTampered, WhitelistTampered
    │   ├── UntrustedSignature     signed by another key
    │   ├── WhitelistExpired
    │   ├── CertificateNotListed, CertificateBlacklisted, RevisionBlacklisted
    │   ├── WrongRepository
    │   └── Rollback               older than a manifest that was already seen
    ├── CacheFull
    ├── Busy                       somebody else holds the lock (a publisher, a mount)
    ├── PermissionRefused          the machine does not let us
    ├── MountFailed
    ├── PublishError               a tree that cannot be published as it is
    ├── InTransaction, NotInTransaction
    └── CloudRefused               a cloud did not do what it was asked for

What the operating system itself would say of a path is also the class that Python has for it (`PathNotFound` is a
`FileNotFoundError`, `NoAttribute` an `OSError`): programs that read files through us need to know no class of ours.
Missing and broken never share a class: fail-over acts on `Unreachable` and `CorruptObject`.
Foreign exceptions (OSError, sqlite3, pycurl, cryptography, zlib) are mapped where they arise, once per library.
docs/errors.md lists the exit codes; a test holds the two together.
"""

from __future__ import annotations

import errno as _errno
from typing import ClassVar


class SwrepoError(Exception):
    """Base class. The message says what failed, on which object or path, and what to do."""

    errno: int = _errno.EIO
    exit_code: ClassVar[int] = 1

    def __init__(self, message: str = "") -> None:
        super().__init__(message)
        self.strerror: str | None = message  # the name that it has in an OSError


class UsageError(SwrepoError):
    """The command was typed wrongly."""

    errno = _errno.EINVAL
    exit_code = 2


class ConfigError(SwrepoError):
    """A configuration file or parameter cannot be used."""

    errno = _errno.EINVAL
    exit_code = 3


class NotFound(SwrepoError):
    """Something that was asked for does not exist."""

    errno = _errno.ENOENT
    exit_code = 4


class PathNotFound(NotFound, FileNotFoundError):
    """No such path in this revision of the repository."""

    errno = _errno.ENOENT


class ObjectNotFound(NotFound):
    """A server answered that it does not have the object or document."""

    errno = _errno.EIO
    exit_code = 5


class RepositoryNotFound(ObjectNotFound):
    """No server has a repository of this name."""

    errno = _errno.ENOENT


class NotADirectory(SwrepoError, NotADirectoryError):
    """A directory was needed."""

    errno = _errno.ENOTDIR
    exit_code = 4


class IsADirectory(SwrepoError, IsADirectoryError):
    """A file was needed."""

    errno = _errno.EISDIR
    exit_code = 4


class NotASymlink(SwrepoError, OSError):
    """A symbolic link was needed."""

    errno = _errno.EINVAL
    exit_code = 4


class SymlinkLoop(SwrepoError, OSError):
    """Symbolic links lead in a circle, or through too many others."""

    errno = _errno.ELOOP
    exit_code = 4


class NoAttribute(SwrepoError, OSError):
    """The path has no extended attribute of that name."""

    errno = _errno.ENODATA
    exit_code = 4


class ReadOnly(SwrepoError, OSError):
    """The mounted repository cannot be written to."""

    errno = _errno.EROFS
    exit_code = 8


class Unreachable(SwrepoError):
    """Every route to a document or object failed.

    `tries` holds one sentence per attempt, in order. `timed_out`: whether each of them ended because nothing came.
    """

    exit_code = 6

    def __init__(self, message: str, tries: tuple[str, ...] = (), *, timed_out: bool = False) -> None:
        self.tries = tries
        self.timed_out = timed_out
        super().__init__(message if not tries else f"{message}: " + "; ".join(tries))


class NoConnection(Unreachable, ConnectionError):
    """Every route failed; for Python programs, which know it as a ConnectionError."""

    errno = _errno.EIO


class TimedOut(Unreachable, TimeoutError):
    """No route answered in time; for Python programs, which know it as a TimeoutError."""

    errno = _errno.EIO


class FormatError(SwrepoError):
    """Bytes that are not what the format says."""

    exit_code = 7


class PermissionRefused(SwrepoError):
    """The machine does not let us do it."""

    errno = _errno.EACCES
    exit_code = 8


class CacheFull(SwrepoError):
    """There is no room for an object on the client's disk."""

    errno = _errno.ENOSPC
    exit_code = 9


class TrustError(SwrepoError):
    """What arrived is not what the repository signed."""

    errno = _errno.EIO
    exit_code = 10


class ManifestTampered(TrustError):
    """The manifest's text does not match its own hash line or its signature."""

    exit_code = 11


class WhitelistTampered(TrustError):
    """The whitelist's text does not match its own hash line."""

    exit_code = 12


class CorruptObject(SwrepoError):
    """The bytes of an object do not match its name."""

    exit_code = 20


class CorruptCertificate(CorruptObject):
    """The certificate's bytes do not match the name in the manifest, or are no certificate."""

    exit_code = 13


class UntrustedSignature(TrustError):
    """Signed, but by a key that is not trusted."""

    exit_code = 14


class WhitelistExpired(TrustError):
    """The whitelist is past its date."""

    exit_code = 15


class CertificateNotListed(TrustError):
    """The whitelist does not name the certificate that signed."""

    exit_code = 16


class CertificateBlacklisted(TrustError):
    """The blacklist names the certificate that signed."""

    exit_code = 17


class RevisionBlacklisted(TrustError):
    """The blacklist forbids revisions as old as this one."""

    exit_code = 17


class WrongRepository(TrustError):
    """A document of another repository."""

    exit_code = 18


class Rollback(TrustError):
    """Older than a manifest that this client has already seen."""

    exit_code = 19


class CorruptCatalog(CorruptObject):
    """A catalog's bytes do not match its name."""

    exit_code = 21


class TruncatedObject(CorruptObject):
    """An object ended before its announced size."""

    exit_code = 22


class ObjectTooLarge(CorruptObject):
    """An object is longer than its announced size."""

    exit_code = 23


class DecompressionBomb(CorruptObject):
    """An object inflates beyond every allowed size."""

    exit_code = 24


class Busy(SwrepoError):
    """Somebody else is at work on the same thing."""

    errno = _errno.EBUSY
    exit_code = 26


class MountFailed(SwrepoError):
    """The kernel or fusermount3 refused the mount, or the mount did not answer."""

    exit_code = 27


class PublishError(SwrepoError):
    """The tree cannot be published as it is."""

    exit_code = 28


class CloudRefused(SwrepoError):
    """A cloud did not do what it was asked for: no quota, no room, a fault of its own."""

    exit_code = 29


class InTransaction(SwrepoError):
    """A transaction is open already."""

    errno = _errno.EEXIST
    exit_code = 30


class NotInTransaction(SwrepoError):
    """No transaction is open."""

    errno = _errno.EINVAL
    exit_code = 31


class TemplateRefused(SwrepoError):
    """A directory cannot be cloned to where it was asked for."""

    errno = _errno.EINVAL
    exit_code = 32
