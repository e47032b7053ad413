"""`/cvmfs/info/v1/repositories.json`: the repositories that a server offers. Source: format.md 13."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import NamedTuple

from swrepo.errors import FormatError
from swrepo.format.wellknown import is_fqrn

SCHEMA = 1


class Offer(NamedTuple):
    """A repository of a server: its name, and where it is below the server's root (`/cvmfs/<name>`)."""

    name: str
    url: str


def encode(offers: Iterable[Offer], version: str | None, replicas: Iterable[Offer] = (), geo_update: str = "") -> bytes:
    """The document for `offers`, published there, and copies. `version` is that of what serves; None: untold.

    `geo_update`: of when the server's database of places is; empty where it has none.
    """
    document = {
        "schema": SCHEMA,
        **({"last_geodb_update": geo_update} if geo_update else {}),
        **({} if version is None else {"cvmfs_version": version}),
        "repositories": _entries(offers),
        "replicas": _entries(replicas),
    }
    return json.dumps(document, indent=2).encode() + b"\n"


def _entries(offers: Iterable[Offer]) -> list[dict[str, str]]:
    return [{"name": offer.name, "url": offer.url} for offer in sorted(offers)]


def parse(raw: bytes) -> tuple[Offer, ...]:
    """The repositories and replicas that a server names; FormatError where it is not such a document."""
    try:
        document = json.loads(raw)
        entries = [*document.get("repositories", []), *document.get("replicas", [])]
        offers = tuple(Offer(entry["name"], entry["url"]) for entry in entries)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise FormatError(f"not a list of repositories: {raw[:60]!r}") from error
    for offer in offers:
        if not isinstance(offer.name, str) or not isinstance(offer.url, str) or not is_fqrn(offer.name):
            raise FormatError(f"the server's list names an impossible repository: {offer.name!r}")
    return offers
