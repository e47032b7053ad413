"""`PointToCVMFS HOST[:PORT]`: makes a server's repositories appear below /cvmfs; run again, their newest revisions."""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from swrepo.cli.exits import as_program
from swrepo.cli.linux import require_linux
from swrepo.cli.main import Parser, new_parser
from swrepo.cli.places import Places, current
from swrepo.errors import MountFailed, NotFound, SwrepoError, TrustError
from swrepo.system.loading import loaded

PROGRAM = "PointToCVMFS"
EXAMPLE = """PointToCVMFS server.example.org
PointToCVMFS server.example.org --yes
PointToCVMFS 127.0.0.1:8000 --key dair.cvmfs.server.pub"""

_DESCRIPTION = """Point this machine to a server of software repositories: write the client's configuration, check that
its repositories are signed by a key that is trusted here, and mount them all as one directory, in which each appears
when it is touched. Keys that the server offers are shown by their fingerprints, and trusted if you say so. Run again,
it shows the newest revisions at once."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line and return the exit code."""
    return as_program(_run, PROGRAM, argv)


def _run(words: Sequence[str]) -> int:
    args = parser().parse_args(words)
    require_linux(PROGRAM)
    from swrepo.cli import pointing

    loaded()
    places = current()
    url = pointing.server_url(args.host)
    names = pointing.offered(url)
    if not names:
        raise NotFound(f"{url} offers no repository yet; 'cvmfs_server mkfs NAME' makes one there")
    pointing.install_keys(args.key, places)
    if not args.key:
        _trust_offers(url, names, places, yes=args.yes)
    _change_server(url, names, places, args.proxy)
    trusted = _check(url, names, places, args)
    if not args.no_mount:
        _show(places)
        where = places.mountpoint
        print(f"All of them are at {where}; each appears when it is touched. Next:  ls {where}/{trusted[0]}")
    return 0


def _trust_offers(url: str, names: list[str], places: Places, *, yes: bool) -> None:
    """Install the keys that the server offers, if somebody vouches for them. TrustError where then none is trusted."""
    from swrepo.cli import offered_keys

    offers = offered_keys.new_keys(offered_keys.fetch(url, names), places)
    if not offers:
        return
    offered_keys.show(offers)
    if offered_keys.are_right(yes=yes, question=offered_keys.person()):
        offered_keys.install(offers, places)
        print(f"Trusted from now on (in {places.own_configuration / 'keys'})")
    elif not offered_keys.trusted(places):
        raise TrustError(
            "nobody has said that these keys are the right ones: compare the fingerprints with the publisher's, then "
            "give --yes, or --key FILE with a key that you have got from him; nothing was changed"
        )


def parser() -> Parser:
    """What it understands."""
    found = new_parser(PROGRAM, _DESCRIPTION, EXAMPLE)
    found.add_argument("host", metavar="HOST[:PORT]", help="the server, or its URL")
    found.add_argument(
        "--key", action="append", default=[], metavar="FILE", help="a public key to trust from now on (repeatable)"
    )
    found.add_argument("--yes", action="store_true", help="trust the keys that the server offers, unasked")
    found.add_argument("--proxy", metavar="PROXIES", help="like CVMFS_HTTP_PROXY: 'http://host:3128', 'DIRECT', ...")
    found.add_argument("--no-mount", action="store_true", help="only configure and check")
    found.set_defaults(cache=None)
    return found


def _change_server(url: str, names: list[str], places: Places, proxy: str | None) -> None:
    """Write the configuration. What came from another server is forgotten first: its revisions mean nothing here."""
    from swrepo.cli import pointing
    from swrepo.fuse.mount import mounted_at, umount

    before = pointing.previous_server(places)
    if before is not None and before != url:
        if mounted_at(str(places.mountpoint)) is not None:
            umount(str(places.mountpoint), lazy=True)
        pointing.drop_caches(names, places)
        print(f"The cache of {before} was dropped")
    path = pointing.write_configuration(url, names, places, proxy)
    print(f"The server is {url} (written to {path})")


def _check(url: str, names: list[str], places: Places, args: argparse.Namespace) -> list[str]:
    """Tell of each repository whether it can be trusted; the names of those that can, at least one."""
    from swrepo.cli import pointing
    from swrepo.cli.selection import select
    from swrepo.client.target import Target

    trusted: list[str] = []
    refusals: list[str] = []
    args.key, args.proxy = [], None  # those that were given are among the installed ones now
    for name in names:
        found = pointing.check(select(Target(None, name, b""), args, places=places))
        if found.revision is None:
            refusals.append(f"{name}: {found.refusal}")
            print(f"  {name}: NOT TRUSTED: {found.refusal}")
            continue
        trusted.append(name)
        print(f"  {name}: revision {found.revision}, signed as its key says")
        if (place := pointing.overruled(url, name, places)) is not None:
            print(f"    but {place} names another server for it, and wins")
    if not trusted:
        keys = places.own_configuration / "keys"
        raise TrustError(
            f"none of the repositories can be trusted; copy their public keys to {keys}, or give --key FILE"
        )
    return trusted


def _is_an_empty_directory_of(kind: str, directory: Path) -> bool:
    """Whether a file system that serves no repositories (as autofs or another client does) shows nothing there."""
    if kind == "autofs" or kind.startswith("fuse"):
        return False
    with suppress(OSError):
        return not any(directory.iterdir())
    return False


def _show(places: Places) -> None:
    """Mount, or, where all is mounted already, look for new revisions now."""
    from swrepo.cli.mounting import control_directory, find_socket
    from swrepo.fuse.mount import mounted_at
    from swrepo.mount.control import ask

    directory = places.mountpoint
    kind = mounted_at(str(directory))
    if kind is not None and _is_an_empty_directory_of(kind, directory):
        kind = None  # as a container's volume, or a machine's partition for it
    if kind not in (None, "fuse.swrepo"):
        raise MountFailed(f"another file system ({kind}) is mounted on {directory}; unmount it, and run this again")
    if kind is not None:
        try:
            socket = find_socket(str(directory), str(control_directory(places)), places)
            answer = ask(socket, "remount")
        except MountFailed as error:
            raise MountFailed(
                f"{directory} is mounted, but does not answer ({error}); 'swrepo umount -l {directory}' removes it"
            ) from error
        if answer.startswith("error"):
            raise SwrepoError(f"{directory} could not be refreshed: {answer}")
        return
    directory.mkdir(parents=True, exist_ok=True)
    # A process of its own: mounting forks, and the checks above have started threads.
    words = [sys.executable, "-m", "swrepo.cli.main", "mount", "--all", str(directory)]
    done = subprocess.run(words, stdin=subprocess.DEVNULL, check=False)
    if done.returncode != 0:
        raise MountFailed(f"mounting {directory} ended with exit code {done.returncode}; the line above says why")


if __name__ == "__main__":
    sys.exit(main())
