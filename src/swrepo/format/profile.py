"""Profiles: which files a program opens after its first one, so that a client can fetch them all at once.

An ordinary file of a repository, `/.swrepo/profiles/NAME/profile.json`, signed with it like any other; beside it lie
its packs, `pack.0`, `pack.1` and so on (format.pack). Symbolic links in `/.swrepo/triggers` lead to the files whose
opening starts it. The same JSON, without packs, can be a file of a node or a site. See docs/adr/0011.

    {"profile": 1, "triggers": ["/bin/prog"], "packs": 1, "catalogs": [["/lib", "<digest>", 65536]],
     "files": [["/bin/prog", "<digest>", 4096, 0],
               ["/lib/big.so", null, 9000000, null, 0, [[0, 4194304, "<digest>"]]], ["/lib/file"]]}

A file is: path, name of its object (null where it has chunks or nobody noted it), size, number of the pack that holds
it (or null), how its object is compressed (0 as usual), the chunks that are used (only where it has chunks): offset,
size and object, or the offset alone. Fields at the end that say nothing may be left out. A nested catalog on the way to
the files is: directory, object, size, or the directory alone.

Whoever reads it goes by the paths: what has another object by now is fetched as it is now. Where a catalog is the one
that was noted, so is all below it, and nothing has to be looked up before it is fetched.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any, NamedTuple

from swrepo.errors import FormatError
from swrepo.format.compression import Compression
from swrepo.format.object_id import Kind, ObjectId
from swrepo.format.paths import ROOT, normalise
from swrepo.format.wellknown import HOME

DIRECTORY = b"/" + HOME + b"/profiles"
TRIGGERS = b"/" + HOME + b"/triggers"
FILE_NAME = b"profile.json"
PACK_PREFIX = b"pack."

MOST_BYTES = 16 << 20
"""Of the JSON text: more is not read."""

MOST_FILES = 100_000
MOST_PACKS = 1000
MOST_CATALOGS = 10_000
_MOST_CHUNKS = 10_000
_DEFAULTS: tuple[Any, ...] = (None, None, 0, None, 0, [])
_FIELDS = len(_DEFAULTS)
_VERSION = 1
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,99}")


class NotedChunk(NamedTuple):
    """A chunk that is used, and what it was when the profile was made."""

    offset: int
    size: int = 0
    object: ObjectId | None = None


class NotedCatalog(NamedTuple):
    """The directory of a nested catalog that is used, and what its catalog was when the profile was made."""

    path: bytes
    object: ObjectId | None = None
    size: int = 0


@dataclass(frozen=True, slots=True)
class ProfileFile:
    """A file that is opened. `object`, `size`: as it was when the profile was made; `chunks`: those that are used."""

    path: bytes
    object: ObjectId | None = None
    size: int = 0
    pack: int | None = None
    compression: Compression = Compression.ZLIB
    chunks: tuple[NotedChunk, ...] = ()


@dataclass(frozen=True, slots=True)
class Profile:
    """See the module."""

    triggers: tuple[bytes, ...]
    files: tuple[ProfileFile, ...]
    packs: int = 0
    catalogs: tuple[NotedCatalog, ...] = ()

    def __post_init__(self) -> None:
        if not self.triggers:
            raise FormatError("a profile needs the path of a file whose opening starts it")
        if len(self.files) > MOST_FILES or not 0 <= self.packs <= MOST_PACKS:
            raise FormatError(f"a profile has at most {MOST_FILES} files and {MOST_PACKS} packs")
        if any(file.pack is not None and not 0 <= file.pack < self.packs for file in self.files):
            raise FormatError("a profile names a pack that it does not have")


def is_name(text: str) -> bool:
    """Whether a profile can be called so: letters, digits, and `.`, `_`, `+`, `-`, not at the start."""
    return _NAME.fullmatch(text) is not None


def encode(profile: Profile) -> bytes:
    """The JSON text."""
    document: dict[str, Any] = {
        "profile": _VERSION,
        "triggers": [_text(path) for path in profile.triggers],
        "packs": profile.packs,
        "catalogs": [_catalog_row(catalog) for catalog in profile.catalogs],
    }
    rows = ",\n".join(json.dumps(_row(file), separators=(",", ":")) for file in profile.files)
    head = json.dumps(document)[:-1]
    return f'{head}, "files": [\n{rows}\n]}}\n'.encode()


def parse(data: bytes) -> Profile:
    """Read it; FormatError for anything that is none."""
    if len(data) > MOST_BYTES:
        raise FormatError(f"a profile of more than {MOST_BYTES} bytes")
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise FormatError(f"a profile that is no JSON: {error}") from error
    if not isinstance(document, dict) or document.get("profile") != _VERSION:
        raise FormatError("not a profile that this program can read")
    files = _list(document.get("files", []))
    catalogs = _list(document.get("catalogs", []))
    if len(files) > MOST_FILES or len(catalogs) > MOST_CATALOGS:
        raise FormatError(f"a profile has at most {MOST_FILES} files and {MOST_CATALOGS} catalogs")
    return Profile(
        triggers=tuple(_path(item) for item in _list(document.get("triggers"))),
        files=tuple(_file(item) for item in files),
        packs=_number(document.get("packs", 0)),
        catalogs=tuple(_catalog(item) for item in catalogs),
    )


def _row(file: ProfileFile) -> list[Any]:
    name = None if file.object is None else file.object.text
    chunks = [_chunk_row(chunk) for chunk in file.chunks]
    row: list[Any] = [_text(file.path), name, file.size, file.pack, int(file.compression), chunks]
    while row[-1] == _DEFAULTS[len(row) - 1]:
        row.pop()
    return row


def _chunk_row(chunk: NotedChunk) -> Any:
    return chunk.offset if chunk.object is None else [chunk.offset, chunk.size, chunk.object.text]


def _catalog_row(catalog: NotedCatalog) -> Any:
    path = _text(catalog.path)
    return path if catalog.object is None else [path, catalog.object.text, catalog.size]


def _file(row: Any) -> ProfileFile:
    fields = _list(row)
    if not 1 <= len(fields) <= _FIELDS:
        raise FormatError(f"a file of a profile has one to {_FIELDS} fields")
    path, name, size, pack, compression, chunks = fields + [None] * (_FIELDS - len(fields))
    noted = _list(chunks if chunks is not None else [])
    if len(noted) > _MOST_CHUNKS:
        raise FormatError(f"a file of a profile has at most {_MOST_CHUNKS} chunks")
    return ProfileFile(
        path=_path(path),
        object=_object(name) if name is not None else None,
        size=_number(size if size is not None else 0),
        pack=_number(pack) if pack is not None else None,
        compression=_compression(compression),
        chunks=tuple(map(_chunk, noted)),
    )


def _chunk(item: Any) -> NotedChunk:
    if not isinstance(item, list):
        return NotedChunk(_number(item))
    if len(item) != len(NotedChunk._fields):
        raise FormatError("a chunk in a profile is an offset, or offset, size and object")
    return NotedChunk(_number(item[0]), _number(item[1]), _object(item[2], Kind.PARTIAL))


def _catalog(item: Any) -> NotedCatalog:
    if not isinstance(item, list):
        return NotedCatalog(_path(item))
    if len(item) != len(NotedCatalog._fields):
        raise FormatError("a catalog in a profile is a directory, or directory, object and size")
    return NotedCatalog(_path(item[0]), _object(item[1], Kind.CATALOG), _number(item[2]))


def _object(name: Any, kind: Kind = Kind.FILE) -> ObjectId:
    if not isinstance(name, str):
        raise FormatError("the name of an object in a profile is no text")
    return ObjectId.parse(name, kind)


def _compression(value: Any) -> Compression:
    try:
        return Compression(_number(value if value is not None else 0))
    except ValueError as error:
        raise FormatError(f"a profile names a compression {value!r:.20} that is not known") from error


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise FormatError("a profile lacks a list where one has to be")
    return value


def _number(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 1 << 63:
        raise FormatError("a profile has something else where a number has to be")
    return value


def _path(value: Any) -> bytes:
    if not isinstance(value, str):
        raise FormatError("a profile has something else where a path has to be")
    try:
        path = normalise(value)
    except UnicodeEncodeError as error:
        raise FormatError("a path in a profile is no text") from error
    if path == ROOT:
        raise FormatError("a profile names the root directory where a file has to be")
    return path


def _text(path: bytes) -> str:
    return path.decode("utf-8", "surrogateescape")
