"""What there is to examine of servers and of single repositories."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from urllib.parse import urlsplit

from swrepo.cli.diagnosis import trust, ways
from swrepo.cli.diagnosis.announcing import announcing
from swrepo.cli.diagnosis.finding import Finding, error, ok, warning
from swrepo.cli.diagnosis.strands import Strand
from swrepo.cli.diagnosis.ways import Way
from swrepo.cli.opening import access_request
from swrepo.cli.places import Places
from swrepo.client.opening import sources
from swrepo.client.request import AccessRequest, directory_of, now
from swrepo.client.selection import Given, select
from swrepo.client.target import Target
from swrepo.errors import FormatError, SwrepoError
from swrepo.format import servermeta
from swrepo.format.wellknown import MANIFEST, REPOSITORIES_INFO
from swrepo.net.routes import AUTO
from swrepo.objects.directory import DirectoryObjects
from swrepo.objects.store import Documents, ObjectSource

_MOST = 8
"""Servers and proxies that are looked at for one repository; and repositories of one server."""

_IF_REPOSITORY = "a repository that no configuration knows is named by its URL"


def repository(target: Target, given: Given, places: Places) -> list[Strand]:
    """One strand for what it is signed with, and one for each way to it."""
    try:
        request = access_request(select(target, given, places, sources(places)))
    except SwrepoError as failure:
        refusal = error("repository", f"{target.name}: {failure}", "swrepo config show, or give its URL and --key FILE")
        return [Strand("repository", target.name, lambda: [refusal])]
    found = [Strand("ways", way.first_stop, partial(_way, way)) for way in _ways(request)]
    if request.network.announcer and request.fqrn:
        found.append(Strand("announcements", request.network.announcer, partial(announcing, request, request.fqrn)))
    return [*found, Strand("trust", target.name, partial(_trust, request))]


def server(url: str, given: Given, places: Places) -> list[Strand]:
    """The server itself, and the repositories that it offers."""
    return [Strand("server", url, partial(_server, Way(url), given, places))]


def _ways(request: AccessRequest) -> list[Way]:
    """Each proxy to the first server, and straight to each server if that is allowed."""
    urls = [url.rstrip("/") for url in request.urls if urlsplit(url).scheme != "file"]
    proxies = dict.fromkeys(proxy for group in request.proxies for proxy in group if proxy != AUTO)
    found = [Way(urls[0], proxy) for proxy in proxies if proxy is not None and urls]
    if None in proxies or not proxies:
        found += [Way(url) for url in urls]
    else:
        found += [Way(url, next(iter(proxies))) for url in urls[1:]]
    return found[:_MOST]


def _way(way: Way) -> Iterator[Finding]:
    reached = []
    for found in ways.reach(way):
        reached.append(found)
        yield found
    if ways.is_reached(reached):
        yield from ways.ask(way, MANIFEST)[1]


def _trust(request: AccessRequest) -> Iterator[Finding]:
    source = _first_good(request)
    if source is None:
        yield error("manifest", "no way leads to the repository", "see the lines about names, connections and proxies")
        return
    yield from trust.trust(request, *source, now())


def _first_good(request: AccessRequest) -> tuple[Documents, ObjectSource] | None:
    """Documents and objects by the first way that has the manifest."""
    url = urlsplit(request.urls[0])
    if url.scheme == "file":
        objects = DirectoryObjects(directory_of(request.urls[0]))
        return objects, objects
    missing = None
    for way in _ways(request):
        try:
            status = way.get(MANIFEST).status
        except SwrepoError:
            continue
        if status == 200:
            return way, way
        missing = missing or way
    return None if missing is None else (missing, missing)


def _server(way: Way, given: Given, places: Places) -> Iterator[Finding]:
    reached = []
    for found in ways.reach(way):
        reached.append(found)
        is_no_host = found.area == "dns" and found.mend
        yield replace(found, mend=f"{found.mend}; {_IF_REPOSITORY}") if is_no_host else found
    if not ways.is_reached(reached):
        return
    answer, findings = ways.ask(way, REPOSITORIES_INFO)
    if answer is None and findings[0].text.endswith(" 404"):
        mend = "name one: swrepo doctor http://HOST/cvmfs/REPOSITORY  (or it is no server of repositories)"
        yield warning("http", f"{way.url} answers, but has no list of repositories", mend)
        yield from findings[1:]
        return
    yield from findings
    if answer is None:
        return
    try:
        names = sorted({offer.name for offer in servermeta.parse(answer.body)})
    except FormatError as failure:
        yield error("http", f"{way.url}/{REPOSITORIES_INFO}: {failure}", "the server's operator has to make it again")
        return
    yield ok("http", f"it offers {len(names)} repositories: {', '.join(names[:_MOST])}")
    for name in names[:_MOST]:
        yield from _offered(Target(f"{way.url}/{name}", name, b""), given, places)


def _offered(target: Target, given: Given, places: Places) -> Iterator[Finding]:
    try:
        request = access_request(select(target, given, places, sources(places)))
    except SwrepoError as failure:
        host = urlsplit(target.url or "").netloc
        yield error("keys", f"{target.name}: {failure}", f"PointToCVMFS {host}, or --key FILE")
        return
    yield from _trust(request)
