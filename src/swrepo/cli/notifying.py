"""Announcing a revision to a notification server, and hearing of revisions there."""

from __future__ import annotations

import argparse
import sys
import time
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from swrepo.cli.opening import access_request
from swrepo.cli.output import note
from swrepo.cli.selection import select
from swrepo.client.access import Access, open_access
from swrepo.client.announced import WithManifest
from swrepo.client.target import parse
from swrepo.config.network import NetworkParameters
from swrepo.errors import FormatError, NotFound, RepositoryNotFound, SwrepoError, UsageError
from swrepo.format import envelope, manifest
from swrepo.format.announcement import LIMIT, PUBLISH, SUBSCRIBE, Announcement, subscription
from swrepo.format.wellknown import MANIFEST
from swrepo.net.connect import announcer_options, event_stream
from swrepo.net.event_stream import post
from swrepo.net.http import NO_CACHE, HttpClient
from swrepo.objects.store import DOCUMENT_LIMIT
from swrepo.repository.bootstrap import trusted_manifest

_OK = 200
_PAUSE = 5.0
"""Seconds until a server is asked again that ended its answer."""


def announce(args: argparse.Namespace) -> None:
    """Tell the server which revision a repository is at."""
    if not args.repository:
        raise UsageError("swrepo server notify: -p needs -r, where the repository is published")
    raw = _published(args.repository.rstrip("/"))
    claim = manifest.parse(envelope.split(raw).body)
    if claim.fqrn is None:
        raise FormatError(f"the manifest at {args.repository} does not say which repository it is of")
    message = Announcement(claim.fqrn, raw, datetime.now(UTC).strftime("%d %b %Y %H:%M:%S"))
    post(args.server.rstrip("/") + PUBLISH, message.encode(), announcer_options(NetworkParameters()))
    if args.verbose:
        sys.stdout.write(envelope.split(raw).body.decode("utf-8", "replace"))
    print(f"announced revision {claim.revision} of {claim.fqrn} to {args.server}")


def hear(args: argparse.Namespace) -> None:
    """Print each revision that is announced and that its owner signed."""
    if not args.topic:
        raise UsageError("swrepo server notify: -s needs -t, the repository to hear of")
    args.tag = args.hash = None
    with open_access(access_request(select(parse(args.topic), args))) as access:
        url = args.server.rstrip("/") + SUBSCRIBE
        stream = event_stream(url, subscription(access.fqrn), access.request.network, LIMIT)
        lowest = args.above
        is_done = False

        def heard(data: bytes) -> None:
            nonlocal lowest, is_done
            try:
                revision = _revision(access, data, verbose=args.verbose, above=lowest)
            except SwrepoError as error:
                note(f"swrepo server notify: {error}")
                return
            if revision is not None:
                lowest = revision
                if not args.continuous:
                    is_done = True
                    stream.close()

        while True:
            stream.listen(heard)
            if is_done:
                return
            time.sleep(_PAUSE)


def _revision(access: Access, data: bytes, *, verbose: bool, above: int) -> int | None:
    """Print the revision of a message, if it is above that one, and return it. Raises FormatError, TrustError."""
    message = Announcement.parse(data)
    if message.fqrn != access.fqrn:
        return None
    documents = WithManifest(message.manifest, access.documents)
    trusted = trusted_manifest(access.fqrn, documents, access.cache_source, access.anchors, access.request.clock())
    revision = trusted.manifest.revision
    if revision <= above:
        return None
    print(f"repository {access.fqrn} is now at revision {revision}.", flush=True)
    if verbose:
        print(envelope.split(message.manifest).body.decode("utf-8", "replace"), end="", flush=True)
    return revision


def _published(place: str) -> bytes:
    """The manifest at a URL or in a directory."""
    if "://" not in place:
        try:
            return (Path(place) / MANIFEST).read_bytes()
        except OSError as error:
            raise RepositoryNotFound(f"there is no repository at {place}: {error.strerror}") from error
    with closing(HttpClient()) as client, client.stream(f"{place}/{MANIFEST}", headers=NO_CACHE) as response:
        if response.status != _OK:
            raise NotFound(f"{place}/{MANIFEST} answers {response.status}; give the URL of the repository")
        raw = b""
        for block in response.blocks:
            raw += block
            if len(raw) > DOCUMENT_LIMIT:
                raise FormatError(f"{place}/{MANIFEST} is too large for a manifest")
    return raw
