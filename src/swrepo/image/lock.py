"""Which version of each package an image has: written after a build, and what a later build must come to."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from swrepo.errors import ConfigError, NotFound, SwrepoError
from swrepo.image.recipe import SUITE

_SHOWN = 8


@dataclass(frozen=True, slots=True)
class PackageLock:
    """Versions by package name, and the time, in Unix seconds, that everything in the image is dated."""

    epoch: int
    packages: Mapping[str, str]
    suite: str = SUITE

    def encode(self) -> str:
        """The text of a lock file."""
        document = {"suite": self.suite, "epoch": self.epoch, "packages": dict(sorted(self.packages.items()))}
        return json.dumps(document, indent=1) + "\n"

    def preferences(self) -> str:
        """What makes apt take these versions and no others."""
        stanzas = [
            f"Package: {name}\nPin: version {version}\nPin-Priority: 1001\n"
            for name, version in sorted(self.packages.items())
        ]
        return "\n".join(stanzas)

    def check(self, installed: Mapping[str, str]) -> None:
        """Raises SwrepoError where `installed` is something else."""
        names = sorted(installed.keys() | self.packages.keys())
        differing = [name for name in names if installed.get(name) != self.packages.get(name)]
        if not differing:
            return
        lines = [
            f"  {name}: locked {self.packages.get(name, 'out')}, installed {installed.get(name, 'not')}"
            for name in differing[:_SHOWN]
        ]
        more = f"\n  and {len(differing) - _SHOWN} more" if len(differing) > _SHOWN else ""
        raise SwrepoError(
            "the archive no longer gives what the lock names; --update-lock takes what there is now:\n"
            + "\n".join(lines)
            + more
        )


def load(path: Path) -> PackageLock:
    """Read a lock file. NotFound where there is none, ConfigError where it is none."""
    try:
        document = json.loads(path.read_text("utf-8"))
        packages = {str(name): str(version) for name, version in document["packages"].items()}
        return PackageLock(int(document["epoch"]), packages, str(document["suite"]))
    except FileNotFoundError as error:
        raise NotFound(f"there is no lock file {path}; --update-lock writes it") from error
    except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
        raise ConfigError(f"{path} is no lock file of an image ({error}); --update-lock writes it anew") from error


def installed_in(root: Path) -> dict[str, str]:
    """The versions of all packages of a Debian root directory."""
    found: dict[str, str] = {}
    for stanza in (root / "var/lib/dpkg/status").read_text("utf-8").split("\n\n"):
        fields = dict(line.split(": ", 1) for line in stanza.splitlines() if ": " in line and line[0] != " ")
        if fields.get("Status", "").endswith(" installed"):
            found[fields["Package"]] = fields["Version"]
    return found
