"""The text that people see when they log in."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from swrepo.errors import SwrepoError
from swrepo.publish.info import info
from swrepo.publish.layout import ServerLayout
from swrepo.trust.keys import PublicKey

_SOON = timedelta(days=7)


def for_server(layout: ServerLayout, here: list[str]) -> str:
    """What a server serves, under which addresses, and what to do next."""
    lines = ["", "This is a server of software repositories (swrepo).", ""]
    names = layout.repositories()
    for name in names:
        lines += _repository(layout, name)
    if not names:
        lines.append("  It has no repository yet: 'sudo swrepo machine setup' makes it; 'journalctl -u swrepo-machine'")
    lines += [f"  Address:  {' '.join(here) or 'none yet'} (its clients need port 80)", ""]
    if names:
        lines += [
            "  Add software:    sudo su - cvmfs",
            f"                   cd /cvmfs/{names[0]}; ... ; cvmfs_server publish",
            f"  On a client:     PointToCVMFS {here[0] if here else 'ADDRESS'}",
            "",
        ]
    return "\n".join(lines)


def for_client(server: str | None, role: str) -> str:
    """What a client uses, and what to do next."""
    lines = ["", f"This is a {role} of software repositories (swrepo).", ""]
    if server is None:
        lines += ["  It has no server yet. Next:  sudo PointToCVMFS SERVER", ""]
    else:
        lines += [f"  Server:  {server}", "  Its repositories are below /cvmfs; each appears when it is touched.", ""]
    lines += ["  An account to work in:  su - guest", ""]
    return "\n".join(lines)


def _repository(layout: ServerLayout, name: str) -> list[str]:
    try:
        now = datetime.now(UTC)
        found = info(layout, name, now)
        key = PublicKey.parse_all(found.places.keys.public.read_bytes())[0]
    except (SwrepoError, OSError) as error:
        return [f"  {name}: {error}", ""]
    lines = [f"  {name}: revision {found.manifest.revision}", f"    key {key.fingerprint}"]
    if found.trouble:
        lines.append(f"    CLIENTS REFUSE IT: {found.trouble}")
    elif found.whitelist_expires - now < _SOON:
        lines.append(f"    its whitelist ends {found.whitelist_expires:%Y-%m-%d}: cvmfs_server resign {name}")
    return [*lines, ""]
