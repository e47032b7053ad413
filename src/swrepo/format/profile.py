"""Profiles: which files a program opens after its first one, so that a client can fetch them all at once.

An ordinary file of a repository, `/.swrepo/profiles/NAME/profile.json`, signed with it like any other; beside it lie
its packs, `pack.0`, `pack.1` and so on (format.pack). Symbolic links in `/.swrepo/triggers` lead to the files whose
opening starts it. The same JSON, without packs, can be a file of a node or a site. See docs/adr/0009.

    {"profile": 1, "triggers": ["/bin/prog"], "packs": 1, "catalogs": ["/lib"],
     "files": [["/bin/prog", "<digest>", 4096, 0], ["/lib/big.so", null, 9000000, null, 0, [0, 4194304]]]}

A file is: path, name of its object (null where it has chunks or nobody noted it), size, number of the pack that holds
it (or null), how its object is compressed (0 as usual), offsets of the chunks that are used (only where it has chunks).
Fields at the end that say nothing may be left out: `["/lib/file"]`.
Whoever reads it goes by the paths: what has another object by now is fetched as it is now.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from swrepo.errors import FormatError
from swrepo.format.compression import Compression
from swrepo.format.object_id import ObjectId
from swrepo.format.paths import ROOT, normalise

HOME = b".swrepo"
DIRECTORY = b"/" + HOME + b"/profiles"
TRIGGERS = b"/" + HOME + b"/triggers"
FILE_NAME = b"profile.json"
PACK_PREFIX = b"pack."

MOST_BYTES = 16 << 20
"""Of the JSON text: more is not read."""

MOST_FILES = 100_000
MOST_PACKS = 1000
_MOST_CHUNKS = 10_000
_DEFAULTS: tuple[Any, ...] = (None, None, 0, None, 0, [])
_FIELDS = len(_DEFAULTS)
_VERSION = 1
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,99}")


@dataclass(frozen=True, slots=True)
class ProfileFile:
    """A file that is opened. `object`, `size`: as it was when the profile was made; `chunks`: offsets of those used."""

    path: bytes
    object: ObjectId | None = None
    size: int = 0
    pack: int | None = None
    compression: Compression = Compression.ZLIB
    chunks: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Profile:
    """See the module. `catalogs` are directories whose nested catalogs are used, besides those of the files."""

    triggers: tuple[bytes, ...]
    files: tuple[ProfileFile, ...]
    packs: int = 0
    catalogs: tuple[bytes, ...] = ()

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
        "catalogs": [_text(path) for path in profile.catalogs],
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
    if len(files) > MOST_FILES:
        raise FormatError(f"a profile has at most {MOST_FILES} files, not {len(files)}")
    return Profile(
        triggers=tuple(_path(item) for item in _list(document.get("triggers"))),
        files=tuple(_file(item) for item in files),
        packs=_number(document.get("packs", 0)),
        catalogs=tuple(_path(item, root=True) for item in _list(document.get("catalogs", []))),
    )


def _row(file: ProfileFile) -> list[Any]:
    name = None if file.object is None else file.object.text
    row: list[Any] = [_text(file.path), name, file.size, file.pack, int(file.compression), list(file.chunks)]
    while row[-1] == _DEFAULTS[len(row) - 1]:
        row.pop()
    return row


def _file(row: Any) -> ProfileFile:
    fields = _list(row)
    if not 1 <= len(fields) <= _FIELDS:
        raise FormatError(f"a file of a profile has one to {_FIELDS} fields")
    path, name, size, pack, compression, chunks = fields + [None] * (_FIELDS - len(fields))
    if name is not None and not isinstance(name, str):
        raise FormatError("the name of an object in a profile is no text")
    offsets = tuple(_number(offset) for offset in _list(chunks if chunks is not None else []))
    if len(offsets) > _MOST_CHUNKS:
        raise FormatError(f"a file of a profile has at most {_MOST_CHUNKS} chunks")
    return ProfileFile(
        path=_path(path),
        object=ObjectId.parse(name) if name is not None else None,
        size=_number(size if size is not None else 0),
        pack=_number(pack) if pack is not None else None,
        compression=_compression(compression),
        chunks=offsets,
    )


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


def _path(value: Any, *, root: bool = False) -> bytes:
    if not isinstance(value, str):
        raise FormatError("a profile has something else where a path has to be")
    try:
        path = normalise(value)
    except UnicodeEncodeError as error:
        raise FormatError("a path in a profile is no text") from error
    if path == ROOT and not root:
        raise FormatError("a profile names the root directory where a file has to be")
    return path


def _text(path: bytes) -> str:
    return (path or b"/").decode("utf-8", "surrogateescape")
