"""Keeps the database of places that the Geo API of this server uses: another file is linked, or MaxMind's fetched.

The new file takes the old one's place when it has been read as such a database; a failure leaves the old one.
"""

from __future__ import annotations

import base64
import os
import shutil
import tarfile
import tempfile
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from swrepo.config.files import Setting
from swrepo.config.values import Values
from swrepo.errors import FormatError, NotFound, PermissionRefused, Unreachable, UsageError
from swrepo.net.http import HttpClient
from swrepo.objects.directory import writing
from swrepo.publish import settings
from swrepo.publish.layout import ServerLayout
from swrepo.system.atomic import make_directory, write_atomically
from swrepo.web.places import open_database

URL = "https://download.maxmind.com/geoip/databases/GeoLite2-City/download"
NONE = "NONE"
"""As CVMFS_GEO_DB_FILE: this server has no database and wants none."""

_SYSTEM = Path("/usr/share/GeoIP/GeoLite2-City.mmdb")
"""Where MaxMind's own program (geoipupdate) puts it."""

_ATTEMPT = ".last_attempt_day"
_LONGEST = 1 << 30
_OK, _REFUSED = 200, (401, 403)
_REDIRECTS = 5


@dataclass(frozen=True, slots=True)
class GeoSettings:
    """What the administrator decided. `day`: 0 is Sunday; `hour`: from then on; `least` and `most` in days."""

    file: str = ""
    account: str = ""
    key: str = ""
    after_snapshots: bool = True
    day: int = 2
    hour: int = 10
    least: int = 14
    most: int = 28
    url: str = URL

    @property
    def is_wanted(self) -> bool:
        """Whether anybody decided anything."""
        return bool(self.file or self.key or _SYSTEM.exists())


def load(layout: ServerLayout, also: dict[str, Setting] | None = None) -> GeoSettings:
    """What /etc/cvmfs/server.local says, and after it `also`, as of a replica's configuration."""
    found: dict[str, Setting] = {}
    with suppress(NotFound):
        found = settings.read(layout.local)
    values = Values(found | (also or {}))
    return GeoSettings(
        file=values.text("CVMFS_GEO_DB_FILE") or "",
        account=values.text("CVMFS_GEO_ACCOUNT_ID") or "",
        key=values.text("CVMFS_GEO_LICENSE_KEY") or "",
        after_snapshots=values.switch("CVMFS_GEO_AUTO_UPDATE", default=True),
        day=values.number("CVMFS_UPDATEGEO_DAY", 2, most=6),
        hour=values.number("CVMFS_UPDATEGEO_HOUR", 10, most=23),
        least=values.number("CVMFS_UPDATEGEO_MINDAYS", 14),
        most=values.number("CVMFS_UPDATEGEO_MAXDAYS", 28),
        url=values.text("CVMFS_UPDATEGEO_URLBASE") or URL,
    )


def update(layout: ServerLayout, wanted: GeoSettings, now: datetime, *, lazily: bool = False) -> str:
    """Bring the database up to date, `lazily` only at its time; what was done or why not.

    Raises UsageError without an account or a file, Unreachable, PermissionRefused, FormatError.
    """
    database = layout.geo_database
    make_directory(database.parent)
    with writing(database):
        file = wanted.file or (str(_SYSTEM) if not wanted.key and _SYSTEM.exists() else "")
        if file:
            return _linked(database, file)
        if lazily and (reason := _not_yet(database, wanted, now)):
            return reason
        write_atomically(database.parent / _ATTEMPT, f"{now:%j}\n".encode())
        _install(database, wanted)
    return f"{database} is up to date"


def _linked(database: Path, file: str) -> str:
    if file != NONE:
        open_database(Path(file)).close()
    if database.is_symlink() and os.readlink(database) == file:
        return f"{database} is {file}"
    fresh = database.with_suffix(".new")
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(file)
    fresh.replace(database)
    return f"{database} is {file} now" if file != NONE else f"there is no {database} any more"


def _not_yet(database: Path, wanted: GeoSettings, now: datetime) -> str:
    """Why nothing is to be fetched now; empty where something is."""
    if database.is_symlink() or not database.exists():
        return ""
    age = (now.timestamp() - database.stat().st_mtime) // 86400
    if age <= wanted.least:
        return f"{database} is {age:.0f} days old, and good for {wanted.least}"
    in_time = now.isoweekday() % 7 == wanted.day and now.hour >= wanted.hour
    if age <= wanted.most and not in_time:
        return f"{database} is {age:.0f} days old, and waits for its day of the week"
    with suppress(OSError):
        if (database.parent / _ATTEMPT).read_text("ascii").strip() == f"{now:%j}":
            return "it was tried today already"
    return ""


def _install(database: Path, wanted: GeoSettings) -> None:
    if not wanted.account or not wanted.key:
        raise UsageError(
            "CVMFS_GEO_ACCOUNT_ID and CVMFS_GEO_LICENSE_KEY are not set in /etc/cvmfs/server.local (MaxMind gives both "
            "for nothing); or set CVMFS_GEO_DB_FILE to a file that is here"
        )
    with tempfile.TemporaryDirectory(prefix=".update-", dir=database.parent) as scratch:
        archive, fresh = Path(scratch) / "archive", Path(scratch) / database.name
        _fetch(wanted, archive)
        _unpack(archive, fresh)
        open_database(fresh).close()
        fresh.chmod(0o644)
        with fresh.open("rb") as file:
            os.fsync(file.fileno())
        fresh.replace(database)


def _fetch(wanted: GeoSettings, archive: Path) -> None:
    url = f"{wanted.url}?suffix=tar.gz"
    client = HttpClient(max_redirects=_REDIRECTS, headers=_credentials(wanted))
    with closing(client), client.stream(url) as response, archive.open("wb") as out:
        if response.status in _REFUSED:
            raise PermissionRefused(f"{wanted.url} does not accept CVMFS_GEO_ACCOUNT_ID and CVMFS_GEO_LICENSE_KEY")
        if response.status != _OK:
            raise Unreachable(f"{wanted.url} answers {response.status}; the database of places stays as it is")
        size = 0
        for block in response.blocks:
            size += len(block)
            if size > _LONGEST:
                raise FormatError(f"{wanted.url} sends more than {_LONGEST:,} bytes, which is no database of places")
            out.write(block)


def _credentials(wanted: GeoSettings) -> Callable[[str], tuple[str, ...]]:
    """For the server that is asked; libcurl leaves them out where that one sends us elsewhere."""
    token = base64.b64encode(f"{wanted.account}:{wanted.key}".encode()).decode()
    return lambda _url: (f"Authorization: Basic {token}",)


def _unpack(archive: Path, target: Path) -> None:
    try:
        with tarfile.open(archive, "r:gz") as tar:
            for member in tar:
                if member.isfile() and member.name.rpartition("/")[2] == target.name and member.size <= _LONGEST:
                    source = tar.extractfile(member)
                    if source is not None:
                        with target.open("wb") as out:
                            shutil.copyfileobj(source, out)
                        return
    except (tarfile.TarError, OSError, EOFError) as error:
        raise FormatError(f"what was fetched is no tar archive: {error}") from error
    raise FormatError(f"the archive that was fetched has no {target.name}")
