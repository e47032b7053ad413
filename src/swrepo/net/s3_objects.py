"""Objects and documents in a bucket, under the keys that the original gives them. Source: format.md 17."""

from __future__ import annotations

import hashlib
import html
import os
import re
import tempfile
from collections.abc import Iterator
from io import BytesIO
from typing import BinaryIO, cast
from urllib.parse import unquote

from swrepo.errors import CorruptObject, ObjectNotFound, ObjectTooLarge, UsageError
from swrepo.format.object_id import ObjectId
from swrepo.net.s3_client import Body, S3Client, missing
from swrepo.net.s3_signing import S3Request
from swrepo.objects import codec
from swrepo.objects.directory import object_of_file
from swrepo.objects.store import DOCUMENT_LIMIT, Want

_OBJECT = ("application/octet-stream", "Cache-Control: max-age=259200")
_DOCUMENT = ("application/x-cvmfs", "Cache-Control: max-age=61")
"""Content-Type, and for how long caches may keep it: 61 s, because Squid keeps nothing for 60 s or less."""

_LARGEST = 5 << 30
"""Bytes that S3 takes in one request."""

_MISSING = 404
_BLOCK = 1 << 20
_IN_MEMORY = 8 << 20
_KEY = re.compile(r"<Key>([^<]*)</Key>")
_NEXT = re.compile(r"<NextContinuationToken>([^<]*)</NextContinuationToken>")


class S3Objects:
    """ObjectSource, ObjectStore and WritableDocuments over the keys of a bucket that begin with `alias`.

    Safe from any thread. S3 shows an object whole or not at all.
    """

    def __init__(self, client: S3Client, alias: str) -> None:
        self.client = client
        self.alias = alias

    def create(self) -> None:
        """Make the bucket, unless it is there."""
        if self.client.send(S3Request("HEAD")).status == _MISSING:
            self.client.send(S3Request("PUT"))

    def has(self, object_id: ObjectId) -> bool:
        """See ObjectStore."""
        return self.client.send(S3Request("HEAD", self._key(object_id.path))).status != _MISSING

    def stored_size(self, object_id: ObjectId) -> int | None:
        """See MeasuresObjects."""
        answer = self.client.send(S3Request("HEAD", self._key(object_id.path)))
        return None if answer.status == _MISSING else answer.size

    def put(self, object_id: ObjectId, stored: bytes | BinaryIO) -> None:
        """See ObjectStore. CorruptObject where the bytes are not those of that name: then nothing was stored."""
        digest, size = checked(object_id, stored)
        self.put_checked(object_id, stored, digest, size)

    def put_checked(self, object_id: ObjectId, stored: Body, sha256: str, size: int) -> bool:
        """Store what `checked` was asked about; whether it was new."""
        if self.client.settings.peek and self.has(object_id):
            return False
        self._put(object_id.path, stored, sha256, size, _OBJECT)
        return True

    def delete(self, object_id: ObjectId) -> None:
        """See ObjectStore; a no-op where there is none."""
        self.client.send(S3Request("DELETE", self._key(object_id.path)))

    def list(self) -> Iterator[ObjectId]:
        """See ObjectStore. Keys of other forms are passed over."""
        token = ""
        start = self._key("data/")
        while True:
            query = [("list-type", "2"), ("prefix", start), ("encoding-type", "url")]
            if token:
                query.append(("continuation-token", token))
            request = S3Request("GET", query=tuple(query))
            answer = self.client.send(request)
            if answer.status == _MISSING:
                raise missing(request, self.client.settings)
            page = answer.body.decode("utf-8", "replace")
            for key in map(unquote, _KEY.findall(page)):
                prefix, _, name = key.removeprefix(start).partition("/")
                object_id = object_of_file(prefix, name) if len(prefix) == 2 else None
                if object_id is not None:
                    yield object_id
            found = _NEXT.search(page)
            if found is None:
                return
            token = html.unescape(found[1])

    def fetch(self, want: Want, out: BinaryIO) -> None:
        """See ObjectSource."""
        with tempfile.SpooledTemporaryFile(_IN_MEMORY) as stored:
            if (
                self.client.send(S3Request("GET", self._key(want.id.path)), out=cast("BinaryIO", stored)).status
                == _MISSING
            ):
                raise ObjectNotFound(f"{self._key(want.id.path)} is not in the bucket {self.client.settings.bucket}")
            stored.seek(0)
            codec.decode(iter(lambda: stored.read(_BLOCK), b""), want, out)

    def read(self, name: str, limit: int = DOCUMENT_LIMIT) -> bytes:
        """See Documents."""
        answer = self.client.send(S3Request("GET", self._document(name)))
        if answer.status == _MISSING:
            raise ObjectNotFound(f"{self._document(name)} is not in the bucket {self.client.settings.bucket}")
        if len(answer.body) > limit:
            raise ObjectTooLarge(f"{name} is larger than the {limit} bytes that are accepted of such a document")
        return answer.body

    def write(self, name: str, data: bytes) -> None:
        """See WritableDocuments. Whatever was put before is in the bucket by now."""
        self._document(name)
        self._put(name, data, hashlib.sha256(data).hexdigest(), len(data), _DOCUMENT)

    def remove(self, name: str) -> None:
        """See WritableDocuments."""
        self.client.send(S3Request("DELETE", self._document(name)))

    def _put(self, path: str, body: Body, sha256: str, size: int, kind: tuple[str, str]) -> None:
        content_type, caching = kind
        if size > _LARGEST:
            raise UsageError(
                f"{path} has {size:,} bytes, and S3 takes 5 GB at a time; let large files be cut into chunks"
            )
        request = S3Request(
            "PUT", self._key(path), content_type=content_type, acl=self.client.settings.acl, sha256=sha256
        )
        if self.client.send(request, body, size, (caching,)).status == _MISSING:
            raise missing(request, self.client.settings)

    def _document(self, name: str) -> str:
        if not name or name.startswith("/") or "\0" in name or ".." in name.split("/"):
            raise UsageError(f"not the name of a document in a repository: {name!r}")
        return self._key(name)

    def _key(self, path: str) -> str:
        return f"{self.alias}/{path}"


def checked(object_id: ObjectId, stored: Body) -> tuple[str, int]:
    """SHA-256 and size of what is to be stored under that name; CorruptObject where it is not of that name."""
    name, sha256, size = object_id.algorithm.hasher(), hashlib.sha256(), 0
    source = BytesIO(stored) if isinstance(stored, bytes) else stored
    for block in iter(lambda: source.read(_BLOCK), b""):
        name.update(block)
        sha256.update(block)
        size += len(block)
    if name.digest() != object_id.digest:
        raise CorruptObject(f"refused to store as {object_id} bytes that do not match this name")
    if not isinstance(stored, bytes):
        stored.seek(0, os.SEEK_SET)
    return sha256.hexdigest(), size
