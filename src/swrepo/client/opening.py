"""What the client needs to open a selected repository."""

from __future__ import annotations

from collections.abc import Mapping

from swrepo.client.access import AccessRequest
from swrepo.client.selection import Selection
from swrepo.net.http import Timeouts
from swrepo.net.routes import parse_proxies


def access_request(
    selection: Selection, environment: Mapping[str, str], tag: str | None = None, root_hash: str | None = None
) -> AccessRequest:
    """For the newest revision or the one that is named; variant symlinks see `environment` and the configuration."""
    parameters = selection.parameters
    return AccessRequest(
        urls=selection.urls,
        keys=selection.keys,
        cache=selection.cache,
        quota=parameters.quota_limit,
        fqrn=selection.fqrn,
        tag=tag or parameters.repository_tag,
        root_hash=root_hash or parameters.root_hash,
        blacklists=selection.blacklists,
        proxies=parse_proxies(parameters.proxies),
        timeouts=Timeouts(direct=parameters.timeout_direct, proxied=parameters.timeout),
        max_retries=parameters.max_retries,
        variables={**environment, **selection.variables},
    )
