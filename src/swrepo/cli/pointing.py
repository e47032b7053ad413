"""Pointing this client to a server: its configuration, its list of repositories, the check that they can be trusted."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from swrepo.cli.configured import cache_base, settings
from swrepo.cli.opening import access_request
from swrepo.cli.places import Places
from swrepo.cli.selection import SHARED_CACHE, Selection
from swrepo.client.access import open_access
from swrepo.config.assignments import quote
from swrepo.config.files import read
from swrepo.errors import ConfigError, FormatError, NotFound, SwrepoError, Unreachable, UsageError
from swrepo.format import servermeta
from swrepo.format.wellknown import REPOSITORIES_INFO, URL_PREFIX
from swrepo.net.http import HttpClient
from swrepo.system.atomic import make_directory, write_atomically
from swrepo.trust.keys import PublicKey

CONFIGURATION = "default.d/50-point-to-cvmfs.conf"
DEFAULT_PORT = 80
_LIST_LIMIT = 16 << 20
_OK = 200


@dataclass(frozen=True, slots=True)
class Checked:
    """A repository of the server: its revision where it can be trusted, else why not."""

    fqrn: str
    revision: int | None
    refusal: str = ""


def server_url(text: str) -> str:
    """`HOST`, `HOST:PORT` or a whole URL as the URL below which repositories lie."""
    if "://" in text:
        url = text.rstrip("/")
        return url if url.endswith(URL_PREFIX.rstrip("/")) else url + URL_PREFIX.rstrip("/")
    host, colon, port = text.rpartition(":") if not text.endswith("]") else (text, "", "")
    if not host or (colon and not port.isdigit()):
        host, colon, port = text, "", ""
    if not host or host.startswith(":") or any(character in host for character in "/ ?#@"):
        raise UsageError(f"{text!r} is not HOST or HOST:PORT")
    return f"http://{host}{colon}{port}{URL_PREFIX.rstrip('/')}"


def offered(url: str) -> list[str]:
    """Names of the repositories that the server offers. Unreachable, NotFound or FormatError say what is wrong."""
    address = f"{url}/{REPOSITORIES_INFO}"
    with closing(HttpClient()) as client, client.stream(address) as response:
        if response.status != _OK:
            raise NotFound(f"{address} answers {response.status}: this is no server of repositories, or not all of one")
        document = bytearray()
        for block in response.blocks:
            document += block
            if len(document) > _LIST_LIMIT:
                raise FormatError(f"{address} is longer than any list of repositories")
    return sorted({offer.name for offer in servermeta.parse(bytes(document))})


def install_keys(keys: Iterable[str], places: Places) -> None:
    """Put master keys that the user gives among the trusted ones."""
    for text in keys:
        source = Path(text)
        try:
            pem = source.read_bytes()
            PublicKey.parse_all(pem)
        except (OSError, FormatError) as error:
            raise ConfigError(f"cannot use the key {source}: {getattr(error, 'strerror', None) or error}") from error
        directory = places.own_configuration / "keys"
        make_directory(directory)
        name = source.name if source.suffix == ".pub" else f"{source.name}.pub"
        write_atomically(directory / name, pem)


def previous_server(places: Places) -> str | None:
    """The server of the last time, or None."""
    for assignment in read(places.own_configuration / CONFIGURATION):
        if assignment.name == "CVMFS_SERVER_URL":
            return assignment.value.removesuffix("/@fqrn@")
    return None


def write_configuration(url: str, repositories: Iterable[str], places: Places, proxy: str | None = None) -> Path:
    """Make `url` the server of every repository for which no other file says otherwise."""
    path = places.own_configuration / CONFIGURATION
    make_directory(path.parent)
    lines = [
        "# Written by PointToCVMFS. Files that are read later (default.local, domain.d, config.d) win over it.",
        f"CVMFS_SERVER_URL={quote(url + '/@fqrn@')}",
        f"CVMFS_REPOSITORIES={quote(','.join(repositories))}",
        *([] if proxy is None else [f"CVMFS_HTTP_PROXY={quote(proxy)}"]),
    ]
    write_atomically(path, ("\n".join(lines) + "\n").encode())
    return path


def overruled(url: str, fqrn: str, places: Places) -> str | None:
    """The place that names another server for a repository, if there is one."""
    setting = settings(fqrn, places).get("CVMFS_SERVER_URL")
    return None if setting is None or setting.value == f"{url}/{fqrn}" else setting.origin


def check(selection: Selection) -> Checked:
    """Whether the repository can be trusted now, with the keys and the cache of the selection."""
    name = selection.fqrn or ""
    try:
        with open_access(access_request(selection)) as access:
            return Checked(name, access.revision.number)
    except Unreachable:
        raise
    except SwrepoError as error:
        return Checked(name, None, str(error))


def drop_caches(repositories: Iterable[str], places: Places) -> None:
    """Forget what was fetched from another server, and which revisions it had."""
    base = cache_base(places)
    for name in (SHARED_CACHE, *repositories):
        shutil.rmtree(base / name, ignore_errors=True)
