"""What the settings say about watching a mount: attributes, metrics, figures that are sent."""

from __future__ import annotations

from dataclasses import dataclass

from swrepo.config.values import Values

VISIBILITIES = ("rootonly", "never", "always")
LOG_FORMATS = ("text", "json")


@dataclass(frozen=True, slots=True)
class WatchingParameters:
    """`listings`: where the client's own attributes are listed. Only the groups `privileged` read what is `protected`.

    `metrics`: HOST:PORT or the path of a socket where they can be had.
    """

    listings: str = "rootonly"
    protected: frozenset[str] = frozenset()
    privileged: frozenset[int] = frozenset()
    metrics: str | None = None


def watching_parameters(values: Values) -> WatchingParameters:
    """Raises ConfigError, which names the parameter, its place and what fits."""
    listings = word(values, "CVMFS_MAGIC_XATTRS_VISIBILITY", VISIBILITIES)
    groups = values.items("CVMFS_XATTR_PRIVILEGED_GIDS", ", ")
    if not all(group.isascii() and group.isdigit() for group in groups):
        raise values.refuse("CVMFS_XATTR_PRIVILEGED_GIDS", "a list of group numbers with commas between")
    return WatchingParameters(
        listings="never" if values.switch("CVMFS_HIDE_MAGIC_XATTRS", default=False) else listings,
        protected=frozenset(values.items("CVMFS_XATTR_PROTECTED_XATTRS", ", ")),
        privileged=frozenset(map(int, groups)),
        metrics=_address(values),
    )


def word(values: Values, name: str, known: tuple[str, ...]) -> str:
    """One of the `known` words; the first where nothing is set."""
    text = values.text(name)
    if text is None:
        return known[0]
    if text.lower() not in known:
        raise values.refuse(name, f"one of {', '.join(known)}")
    return text.lower()


def _address(values: Values) -> str | None:
    text = values.text("CVMFS_METRICS")
    if text is None or text.startswith("/"):
        return text
    host, _, port = text.rpartition(":")
    if not host or not (port.isascii() and port.isdigit()) or not 0 < int(port) < 1 << 16:
        raise values.refuse("CVMFS_METRICS", "HOST:PORT, or the path of a socket")
    return text
