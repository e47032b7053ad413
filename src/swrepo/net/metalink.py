"""Servers that another server tells, in `Link:` headers. Source: RFC 6249; CernVM-FS from 2.13 on."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence

from swrepo.errors import SwrepoError
from swrepo.format.wellknown import MANIFEST
from swrepo.net.http import HttpClient

log = logging.getLogger(__name__)

_LINK = re.compile(r"<([^<>\s]+)>([^<]*)")
_PRIORITY = re.compile(r';\s*pri\s*=\s*"?(\d{1,6})', re.IGNORECASE)
_DUPLICATE = re.compile(r';\s*rel\s*=\s*"?[^";,]*\bduplicate\b', re.IGNORECASE)
_LAST = 999999
"""The priority of those that have none; 1 comes first."""


class Metalinks:
    """Those that tell: `urls` are the repository's at them, in the order in which they are asked."""

    def __init__(self, urls: Sequence[str], configured: Sequence[str], client: HttpClient, holds: float) -> None:
        """`configured`: servers for after those that are told. `holds`: seconds after which to ask again."""
        self._urls = urls
        self._configured = configured
        self._client = client
        self.holds = holds

    def servers(self, proxy: str | None) -> tuple[str, ...]:
        """What the first that answers with links tells, in the order of preference, then those that are configured."""
        for url in self._urls:
            try:
                with self._client.stream(f"{url}/{MANIFEST}", proxy) as response:
                    found = linked(response.headers.get("link", ""))
            except SwrepoError as error:
                log.info("no servers by %s: %s", url, error)
                continue
            if found:
                log.info("servers by %s: %s", url, ", ".join(found))
                return tuple(dict.fromkeys((*found, *self._configured)))
            log.info("%s tells no servers", url)
        return tuple(self._configured)


def linked(header: str) -> tuple[str, ...]:
    """The repository's URLs in the links to other places of its manifest."""
    found = []
    for target, parameters in _LINK.findall(header):
        if _DUPLICATE.search(parameters) and target.startswith(("http://", "https://")):
            priority = _PRIORITY.search(parameters)
            found.append((int(priority[1]) if priority else _LAST, target.removesuffix(f"/{MANIFEST}").rstrip("/")))
    return tuple(dict.fromkeys(server for _, server in sorted(found, key=lambda one: one[0])))
