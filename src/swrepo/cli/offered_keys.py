"""The public keys that a server offers: which of them are new here, and whether to trust them.

Over plain HTTP anybody between could offer keys of his own, so each new one is shown by its fingerprint, and somebody
has to say yes. A key that differs from the one that is trusted under the repository's name is never taken.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

from swrepo.cli.places import Places
from swrepo.errors import FormatError, TrustError, Unreachable
from swrepo.format.wellknown import PUBLIC_KEY
from swrepo.net.http import HttpClient
from swrepo.system.atomic import make_directory, write_atomically
from swrepo.trust.keys import PublicKey

_LARGEST_KEY = 64 << 10
_OK = 200


@dataclass(frozen=True, slots=True)
class OfferedKey:
    """What a server offers as the master key of a repository."""

    fqrn: str
    key: PublicKey


def fetch(url: str, names: Iterable[str]) -> list[OfferedKey]:
    """The keys that the server at `url` offers; servers of CernVM-FS offer none."""
    found: list[OfferedKey] = []
    with closing(HttpClient()) as client:
        for name in names:
            with suppress(Unreachable, FormatError):
                with client.stream(f"{url}/{name}/{PUBLIC_KEY}") as response:
                    if response.status != _OK:
                        continue
                    pem = bytearray()
                    for block in response.blocks:
                        pem += block
                        if len(pem) > _LARGEST_KEY:
                            break
                found.append(OfferedKey(name, PublicKey.parse(bytes(pem[:_LARGEST_KEY]))))
    return found


def trusted(places: Places) -> dict[Path, tuple[PublicKey, ...]]:
    """The keys that are trusted here, by their files; files that hold none are left out."""
    found: dict[Path, tuple[PublicKey, ...]] = {}
    for directory in places.keys:
        for path in sorted(directory.glob("*.pub")):
            with suppress(OSError, FormatError):
                found[path] = PublicKey.parse_all(path.read_bytes())
    return found


def new_keys(offered: Iterable[OfferedKey], places: Places) -> list[OfferedKey]:
    """Those that are not trusted yet. TrustError where another key is trusted under a repository's name."""
    here = trusted(places)
    known = {key for keys in here.values() for key in keys}
    found = [offer for offer in offered if offer.key not in known]
    for offer in found:
        own = places.own_configuration / "keys" / f"{offer.fqrn}.pub"
        if own in here:
            raise TrustError(
                f"the server offers another key for {offer.fqrn} (SHA-256 {offer.key.fingerprint}) than {own}, which "
                "is trusted; if the publisher confirms that it has changed, remove that file and run this again"
            )
    return found


def show(offers: list[OfferedKey]) -> None:
    """What somebody has to compare with what the publisher says."""
    for key in dict.fromkeys(offer.key for offer in offers):
        names = ", ".join(offer.fqrn for offer in offers if offer.key == key)
        print(f"The server offers a key for {names}:\n  SHA-256 {key.fingerprint}")


def are_right(*, yes: bool, question: Callable[[str], str] | None) -> bool:
    """Whether somebody vouches for the keys that were shown. `question` asks a person; None where nobody is there."""
    if yes:
        return True
    return question is not None and question("Are these the publisher's? [y/N] ").strip().lower() in ("y", "yes")


def install(offers: Iterable[OfferedKey], places: Places) -> None:
    """Trust them from now on."""
    directory = places.own_configuration / "keys"
    make_directory(directory)
    for offer in offers:
        write_atomically(directory / f"{offer.fqrn}.pub", offer.key.pem)


def person() -> Callable[[str], str] | None:
    """How to ask who typed the command; None where it was no terminal."""
    if not sys.stdin.isatty():
        return None

    def question(text: str) -> str:
        try:
            return input(text)
        except EOFError:
            return ""

    return question
