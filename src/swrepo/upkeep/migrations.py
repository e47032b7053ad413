"""Changes of all rows: other owners, no hard links, no whole-file copies, counters that are right."""

from __future__ import annotations

from swrepo.catalog.writer import CatalogWriter
from swrepo.config.owner_map import OwnerMap
from swrepo.upkeep.opening import Keeper
from swrepo.upkeep.rewriting import Rewritten, no_change, rewrite


def change_owners(keeper: Keeper, fqrn: str, uids: OwnerMap, gids: OwnerMap) -> Rewritten:
    """Other users and groups in place of those that the maps name."""

    def change(writer: CatalogWriter) -> int:
        return _mapped(writer, "uid", uids) + _mapped(writer, "gid", gids)

    return rewrite(keeper, fqrn, "changing the owners of", change)


def eliminate_hardlinks(keeper: Keeper, fqrn: str) -> Rewritten:
    """Every name of a file becomes a file of its own."""

    def change(writer: CatalogWriter) -> int:
        return writer.change_rows("hardlinks = 1", "flags & 1 = 0 AND hardlinks <> 1")

    return rewrite(keeper, fqrn, "breaking up hard links of", change)


def eliminate_bulk_hashes(keeper: Keeper, fqrn: str) -> Rewritten:
    """Files that are cut have no name for all of their content any more, only those of their chunks."""

    def change(writer: CatalogWriter) -> int:
        return writer.change_rows("hash = NULL", "flags & 64 <> 0 AND hash IS NOT NULL")

    return rewrite(keeper, fqrn, "forgetting whole-file copies of", change)


def fix_counters(keeper: Keeper, fqrn: str) -> Rewritten:
    """What catalogs say that they hold becomes what they hold."""
    return rewrite(keeper, fqrn, "counting anew", no_change)


def _mapped(writer: CatalogWriter, column: str, owners: OwnerMap) -> int:
    """One statement, so that an owner that another one becomes does not become a third."""
    if not owners.listed and owners.others is None:
        return 0
    pairs = [number for pair in owners.listed.items() for number in pair]
    cases = " ".join(["WHEN ? THEN ?"] * len(owners.listed))
    default = column if owners.others is None else "?"
    value = f"CASE {column} {cases} ELSE {default} END" if cases else default
    numbers = (*pairs, *(() if owners.others is None else (owners.others,)))
    return writer.change_rows(f"{column} = {value}", f"{column} <> {value}", (*numbers, *numbers))
