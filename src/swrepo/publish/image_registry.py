"""Images in a registry: the OCI distribution protocol, with the tokens that it hands out.

Source: the OCI distribution specification 1.1 and Docker's "Token Authentication Specification". What comes is verified
by who asks; nothing here believes a registry.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import quote, urlencode

from swrepo.errors import FormatError, NotFound, PermissionRefused, Unreachable, UsageError
from swrepo.format.image import ACCEPTED, Descriptor
from swrepo.net.http import HttpClient, Response
from swrepo.publish.image_source import whole
from swrepo.publish.member import Read

_DOCKER_HUB = "registry-1.docker.io"
_REFERENCE = re.compile(
    r"(?P<repository>[a-z0-9]+(?:(?:\.|_{1,2}|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_{1,2}|-+)[a-z0-9]+)*)*)"
    r"(?::(?P<tag>[A-Za-z0-9_][A-Za-z0-9._-]{0,127}))?(?:@(?P<digest>[a-z0-9]+:[0-9a-f]+))?"
)
_HOST = re.compile(r"[A-Za-z0-9.-]+(?::[0-9]+)?|\[[0-9a-fA-F:]+\](?::[0-9]+)?")
_PARAMETER = re.compile(r'([a-z]+)="((?:[^"\\]|\\.)*)"')
_OK, _UNAUTHORISED, _FORBIDDEN, _MISSING = 200, 401, 403, 404
_REDIRECTS = 5


@dataclass(frozen=True, slots=True)
class Reference:
    """An image in a registry. `host` may have a port."""

    host: str
    repository: str
    reference: str
    """A tag or a digest."""

    @classmethod
    def parse(cls, text: str) -> Reference:
        """`HOST/REPOSITORY[:TAG][@DIGEST]`, or a name on Docker's registry; UsageError."""
        first, slash, rest = text.partition("/")
        if slash and ("." in first or ":" in first or first == "localhost"):
            host, path = first, rest
        else:
            host, path = "docker.io", text
        if host in ("docker.io", "index.docker.io"):
            host, path = _DOCKER_HUB, path if "/" in path else f"library/{path}"
        found = _REFERENCE.fullmatch(path)
        if found is None or not _HOST.fullmatch(host):
            raise UsageError(f"{text!r} names no image in a registry: docker://HOST/REPOSITORY[:TAG][@DIGEST]")
        reference = found["digest"] or found["tag"] or "latest"
        if found["digest"]:
            Descriptor(found["digest"], None)
        return cls(host, found["repository"], reference)

    @property
    def path(self) -> str:
        """As a path, the way it is written."""
        host = "docker.io" if self.host == _DOCKER_HUB else self.host
        return f"{host}/{self.repository}{'@' if ':' in self.reference else ':'}{self.reference}"

    @property
    def is_local(self) -> bool:
        """Whether its host is this machine, where registries often have no certificate."""
        return self.host.rpartition(":")[0] in ("localhost", "127.0.0.1", "[::1]") or self.host == "localhost"


@dataclass(slots=True)
class Registry:
    """An ImageSource over one image of a registry. `credentials`: user:password, or nothing."""

    reference: Reference
    client: HttpClient
    credentials: str = ""
    plain_http: bool = False
    _authorization: tuple[str, ...] = ()
    _manifest: dict[str, bytes] = field(default_factory=dict)

    def root(self) -> tuple[Descriptor, ...]:
        """See ImageSource. The manifest's digest is that of its bytes, which a digest in the name must be equal to."""
        wanted = self.reference.reference
        raw = self._document(wanted)
        digest = wanted if ":" in wanted else f"sha256:{hashlib.sha256(raw).hexdigest()}"
        found = Descriptor(digest, len(raw), name=self.reference.path)
        found.check(raw)
        self._manifest[digest] = raw
        return (found,)

    @contextmanager
    def read(self, descriptor: Descriptor) -> Iterator[Read]:
        """See Blobs."""
        raw = self._manifest.get(descriptor.digest)
        if raw is None and descriptor.media_type in ACCEPTED:
            raw = self._document(descriptor.digest)
        if raw is not None:
            yield _reader([raw])
            return
        with self._get(f"blobs/{descriptor.digest}") as response:
            yield _reader(response.blocks)

    def _document(self, reference: str) -> bytes:
        with self._get(f"manifests/{quote(reference, safe=':')}", f"Accept: {', '.join(ACCEPTED)}") as response:
            return whole(_reader(response.blocks), f"the manifest of {self.reference.path}")

    @contextmanager
    def _get(self, what: str, *headers: str) -> Iterator[Response]:
        scheme = "http" if self.plain_http else "https"
        url = f"{scheme}://{self.reference.host}/v2/{self.reference.repository}/{what}"
        with self.client.stream(url, headers=(*headers, *self._authorization)) as response:
            if response.status == _OK:
                yield response
                return
            challenge = response.headers.get("www-authenticate", "") if response.status == _UNAUTHORISED else ""
            if not challenge:
                raise self._refused(response.status, url)
        self._authorization = self._authorized(challenge, url)
        with self.client.stream(url, headers=(*headers, *self._authorization)) as response:
            if response.status != _OK:
                raise self._refused(response.status, url)
            yield response

    def _authorized(self, challenge: str, url: str) -> tuple[str, ...]:
        """What a request is to be sent with, after the registry's challenge."""
        kind, _, rest = challenge.partition(" ")
        basic = (f"Authorization: Basic {base64.b64encode(self.credentials.encode()).decode()}",)
        if kind.lower() == "basic":
            if not self.credentials:
                raise PermissionRefused(f"{self.reference.host} wants a user and a password (--credentials FILE)")
            return basic
        said = dict(_PARAMETER.findall(rest))
        if kind.lower() != "bearer" or "realm" not in said:
            raise Unreachable(f"{url} wants to know who asks in a way that is not known: {challenge[:200]}")
        realm = said["realm"]
        if not realm.startswith("https://") and not (self.plain_http and realm.startswith("http://")):
            raise PermissionRefused(f"{self.reference.host} sends who asks to {realm}, which is not encrypted")
        asked = {key: said[key] for key in ("service", "scope") if key in said}
        asked.setdefault("scope", f"repository:{self.reference.repository}:pull")
        where = f"{realm}{'&' if '?' in realm else '?'}{urlencode(asked)}"
        with self.client.stream(where, headers=basic if self.credentials else ()) as response:
            if response.status != _OK:
                raise self._refused(response.status, where.partition("?")[0])
            try:
                answer = json.loads(whole(_reader(response.blocks), "a token"))
                token = answer.get("token") or answer["access_token"]
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                raise FormatError(f"{realm} gave something else than a token") from error
        if not isinstance(token, str) or not token.isprintable():
            raise FormatError(f"{realm} gave something else than a token")
        return (f"Authorization: Bearer {token}",)

    def _refused(self, status: int, url: str) -> Exception:
        if status == _MISSING:
            return NotFound(f"{self.reference.host} has no such image or blob: {url}")
        if status in (_UNAUTHORISED, _FORBIDDEN):
            return PermissionRefused(
                f"{self.reference.host} refused {self.reference.path} ({status}): it does not exist, or needs a user "
                "and a password (--credentials FILE)"
            )
        return Unreachable(f"{url}: HTTP status {status}")


def registry(reference: Reference, credentials: str = "", *, plain_http: bool = False) -> Registry:
    """A registry over a client of its own."""
    return Registry(reference, HttpClient(max_redirects=_REDIRECTS), credentials, plain_http or reference.is_local)


def _reader(blocks: Iterator[bytes] | list[bytes]) -> Read:
    """Blocks of any size as a function that reads."""
    source, left = iter(blocks), b""

    def read(size: int) -> bytes:
        nonlocal left
        if not left:
            left = next(source, b"")
        data, left = left[:size], left[size:]
        return data

    return read
