"""Files beside which a bundle lies carry a flag in the catalog: clients of CernVM-FS 2.14 look at nothing else.

Source: format.md 16, and the flags of 2.14, where bit 17 says it.
"""

from __future__ import annotations

from typing import Final

from swrepo.catalog.writer import CatalogWriter
from swrepo.format import bundle
from swrepo.format.dirent import Flag

_FLAG: Final = int(Flag.BUNDLE_TRIGGER)
_IS_FILE: Final = f"flags & {int(Flag.DIRECTORY | Flag.FILE | Flag.SYMLINK | Flag.SPECIAL)} = {int(Flag.FILE)}"
# Names are compared as they are stored, which costs a third of converting each of them.
_BUNDLES: Final = f"name >= '{bundle.PREFIX.decode()}' AND name < '{bundle.PREFIX.decode()[:-1]}.' AND {_IS_FILE}"
_TRIGGERS: Final = f"""
SELECT parent_1, parent_2, CAST(substr(CAST(name AS BLOB), {len(bundle.PREFIX) + 1}) AS TEXT) FROM catalog
WHERE {_BUNDLES}
"""  # noqa: S608 - constants


def mark_triggers(writer: CatalogWriter) -> None:
    """Set the flag on files beside which `.cvmfsbundle-NAME` lies, and on no other."""
    writer.change_rows(f"flags = flags & {~_FLAG}", f"flags & {_FLAG}")
    if writer.holds(_BUNDLES):
        writer.change_rows(f"flags = flags | {_FLAG}", f"{_IS_FILE} AND (parent_1, parent_2, name) IN ({_TRIGGERS})")
