"""Proxies as a site's PAC file says (WPAD), for `auto` in a list of proxies.

The file is a program from the network: it runs in a process of its own, which has little time and memory, and what it
said last is kept for when nobody answers.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import unquote, urlsplit

from swrepo.errors import ConfigError, SwrepoError
from swrepo.net.http import HttpClient
from swrepo.net.routes import AUTO, ProxyGroups, parse_proxies
from swrepo.system.atomic import write_atomically

log = logging.getLogger(__name__)

_LARGEST = 1 << 20
_PATIENCE = 20.0
_OK = 200
_KINDS = {"PROXY": "http://", "HTTP": "http://", "HTTPS": "https://"}


def replace_auto(
    groups: ProxyGroups, servers: Sequence[str], urls: Sequence[str], client: HttpClient, kept: Path | None
) -> ProxyGroups:
    """The groups with what the first of `urls` that can be had says in the place of `auto`.

    `kept`: a file for the answer. Without any answer the other proxies have to do; ConfigError where there are none.
    """
    if not any(AUTO in group for group in groups):
        return groups
    others = tuple(left for group in groups if (left := tuple(proxy for proxy in group if proxy != AUTO)))
    try:
        found = _found(servers, urls, client, kept)
    except ConfigError as error:
        if not others:
            raise
        log.warning("%s; the others are used", error)
        return others
    replaced: list[tuple[str | None, ...]] = []
    for group in groups:
        beside = tuple(proxy for proxy in group if proxy != AUTO)
        if AUTO not in group:
            replaced.append(group)
        elif beside:
            replaced.append((*found[0], *beside))
            replaced += found[1:]
        else:
            replaced += found
    return tuple(dict.fromkeys(replaced))


def _found(servers: Sequence[str], urls: Sequence[str], client: HttpClient, kept: Path | None) -> ProxyGroups:
    said: list[str] = []
    for url in urls:
        try:
            text = proxies_by(_fetched(url, client), servers)
            groups = parse_proxies(text)
        except (SwrepoError, OSError) as error:
            said.append(f"{url}: {error}")
            continue
        log.info("proxies by %s: %s", url, text)
        if kept is not None:
            try:
                write_atomically(kept, text.encode())
            except OSError as error:
                log.info("the proxies cannot be noted in %s: %s", kept, error)
        return groups
    if kept is not None and kept.exists():
        text = kept.read_text("utf-8", "replace")
        log.warning("no PAC file can be had, so the proxies of last time are used: %s (%s)", text, "; ".join(said))
        return parse_proxies(text)
    raise ConfigError(
        f"CVMFS_HTTP_PROXY=auto, but no PAC file can be had ({'; '.join(said)}): set CVMFS_PAC_URLS or name proxies"
    )


def proxies_by(program: bytes, servers: Sequence[str]) -> str:
    """What a PAC file says for the servers, as a list of proxies: that for the first one, if they differ."""
    import subprocess  # noqa: PLC0415 - costs every start-up what hardly anybody needs

    questions = [[f"{server}/.cvmfspublished", urlsplit(server).hostname or ""] for server in servers]
    arguments = [sys.executable, "-I", "-m", "swrepo.net.pac_process"]
    text = json.dumps({"program": program.decode("utf-8", "replace"), "questions": questions})
    try:
        done = subprocess.run(arguments, input=text, capture_output=True, text=True, timeout=_PATIENCE, check=False)
    except subprocess.TimeoutExpired as error:
        raise ConfigError("the PAC file took too long") from error
    try:
        answers = [as_groups(answer) for answer in json.loads(done.stdout)]
    except ValueError as error:
        reason = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        raise ConfigError(f"the PAC file cannot be run: {reason}") from error
    if len(set(answers)) > 1:
        log.info("the PAC file has different proxies for different servers; those for %s are used", servers[0])
    return answers[0]


def as_groups(answer: str) -> str:
    """`PROXY a:1; PROXY b:2; DIRECT` as groups that stand in for one another."""
    found = []
    for directive in answer.split(";"):
        kind, _, address = directive.strip().partition(" ")
        if kind.upper() == "DIRECT":
            found.append("DIRECT")
        elif kind.upper() in _KINDS and address.strip():
            found.append(_KINDS[kind.upper()] + address.strip())
        elif kind:
            log.info("a PAC file names a proxy of a kind that is not used here: %s", directive.strip())
    return ";".join(found)


def _fetched(url: str, client: HttpClient) -> bytes:
    if url.startswith("file://"):
        return Path(unquote(urlsplit(url).path)).read_bytes()
    found = bytearray()
    with client.stream(url) as response:
        if response.status != _OK:
            raise ConfigError(f"HTTP status {response.status}")
        for block in response.blocks:
            found += block
            if len(found) > _LARGEST:
                raise ConfigError(f"larger than the {_LARGEST} bytes that are accepted")
    return bytes(found)
