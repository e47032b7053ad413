"""Repositories whose master key moves from a file to a smart card.

Whitelist and public key of the card come first, the file goes last: whatever interrupts it, it is run again.
"""

from __future__ import annotations

import os
import secrets
from datetime import datetime
from pathlib import Path

from swrepo.publish.keyring import PUBLIC
from swrepo.publish.layout import RepositoryPlaces
from swrepo.publish.renewal import Renewer
from swrepo.system.atomic import write_atomically
from swrepo.trust.keys import PublicKey
from swrepo.trust.smart_card import SmartCard


def rely_on_card(places: RepositoryPlaces, card: SmartCard, key: PublicKey) -> datetime:
    """Let the card sign from now on, whose public key is `key`; until when the new whitelist holds."""
    keys = places.keys
    if not keys.public.exists() or key not in PublicKey.parse_all(keys.public.read_bytes()):
        write_atomically(keys.public, key.pem, PUBLIC)
    ends = Renewer(card=card, by_card=True).whitelist(places)
    if keys.master.exists():
        _shred(keys.master)
    return ends


def _shred(path: Path) -> None:
    """Overwrite and remove a file; on disks that write elsewhere what was there may yet be found."""
    os.chmod(path, 0o600)
    with open(path, "r+b") as file:
        file.write(secrets.token_bytes(path.stat().st_size))
        file.flush()
        os.fsync(file.fileno())
    path.unlink()
