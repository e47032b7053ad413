"""What each kind of image holds: packages of the distribution, files of ours, services that start."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from swrepo.errors import UsageError

SUITE = "bookworm"
ROOT_LABEL = "swrepo-root"
OVERLAYS = Path(__file__).parent / "overlay"

_COMMON = (
    "linux-image-cloud-amd64 systemd-sysv systemd-resolved libnss-resolve udev dbus cloud-init cloud-guest-utils "
    "openssh-server sudo python3 fuse3 ca-certificates adduser libgcc-s1 libstdc++6 zlib1g iproute2 iputils-ping "
    "netbase less nano procps curl kmod e2fsprogs bash-completion"
)


@dataclass(frozen=True, slots=True)
class Recipe:
    """One kind of image. `units`: services that are enabled, besides those that packages enable themselves."""

    role: str
    summary: str
    packages: tuple[str, ...]
    units: tuple[str, ...]
    accounts: tuple[str, ...] = ()

    @property
    def overlays(self) -> tuple[Path, ...]:
        """Directories whose files are copied over the root, in this order."""
        found = (OVERLAYS / "common", OVERLAYS / self.role)
        return tuple(path for path in found if path.is_dir())


def _recipe(
    role: str, summary: str, packages: str = "", units: tuple[str, ...] = (), accounts: tuple[str, ...] = ()
) -> Recipe:
    common = ("systemd-networkd.service", "swrepo-identity.service", "swrepo-machine.service", "swrepo-usage.timer")
    return Recipe(role, summary, tuple(sorted([*_COMMON.split(), *packages.split()])), common + units, accounts)


RECIPES = {
    recipe.role: recipe
    for recipe in (
        _recipe("server", "publishes repositories, with nginx in front", "nginx-light rsync"),
        _recipe("client", "people log in and use repositories", accounts=("guest",)),
        _recipe("worker", "a batch node that configures itself from user data", accounts=("guest",)),
    )
}


def recipe(role: str) -> Recipe:
    """The recipe of a role; UsageError where there is none."""
    try:
        return RECIPES[role]
    except KeyError:
        raise UsageError(f"there is no image {role!r}; there are {', '.join(RECIPES)}") from None


def mode_of(path: str) -> int:
    """The permissions that a file of an overlay gets: a wheel need not keep them."""
    if path.startswith(("etc/update-motd.d/", "usr/share/swrepo/sample/")):
        return 0o755
    return 0o440 if path.startswith("etc/sudoers.d/") else 0o644
