"""Bearer tokens, from where the WLCG's rules say that they are, for the servers that are configured to get them.

Source: "WLCG Bearer Token Discovery": $BEARER_TOKEN, the file in $BEARER_TOKEN_FILE, $XDG_RUNTIME_DIR/bt_u<uid>,
/tmp/bt_u<uid>; the first that is there counts.
"""

from __future__ import annotations

import logging
import os
import stat
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

log = logging.getLogger(__name__)

_LARGEST = 64 << 10
_FLAGS = os.O_RDONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NONBLOCK", 0)  # a pipe is not waited for
_NO_LINK = getattr(os, "O_NOFOLLOW", 0)


class Tokens:
    """Header lines with a token, for any thread. Files are read again when they change, for tokens are short-lived."""

    def __init__(self, servers: Sequence[str], environment: Mapping[str, str], uid: int) -> None:
        """`servers` are https:// URLs; all that is below one of them gets the token, and nothing else does."""
        self._servers = tuple((_place(server), urlsplit(server).path.rstrip("/") + "/") for server in servers)
        self._environment = environment
        self._uid = uid
        self._lock = threading.Lock()  # guards what was read last
        self._read: tuple[Path, tuple[int, int, int], str] | None = None
        self._remarked: set[str] = set()

    def headers(self, url: str) -> tuple[str, ...]:
        """What a request for `url` is sent with."""
        if not url.startswith("https://"):
            return ()
        place, path = _place(url), urlsplit(url).path
        if not any(place == its_place and path.startswith(its_path) for its_place, its_path in self._servers):
            return ()
        token = self._token()
        return (f"Authorization: Bearer {token}",) if token else ()

    def _token(self) -> str:
        given = self._environment.get("BEARER_TOKEN", "").strip()
        if given:
            return self._clean(given, "BEARER_TOKEN")
        named = self._environment.get("BEARER_TOKEN_FILE", "").strip()
        if named:
            return self._from_file(Path(named), must_be_ours=False) or ""
        name = f"bt_u{self._uid}"
        runtime = self._environment.get("XDG_RUNTIME_DIR", "").strip()
        for directory in (runtime, "/tmp"):  # noqa: S108 - the rules say so, and the owner is looked at
            found = self._from_file(Path(directory, name), must_be_ours=True) if directory else None
            if found is not None:
                return found
        return ""

    def _from_file(self, path: Path, *, must_be_ours: bool) -> str | None:
        """None where there is no such file. In a directory that all may write to, only our own files count."""
        try:
            descriptor = os.open(path, _FLAGS | (_NO_LINK if must_be_ours else 0))
        except FileNotFoundError:
            return None
        except OSError as error:
            self._remark(f"the bearer token in {path} cannot be read: {error.strerror}")
            return None
        with os.fdopen(descriptor, "rb") as file:
            found = os.fstat(descriptor)
            if not stat.S_ISREG(found.st_mode) or (must_be_ours and found.st_uid != self._uid):
                self._remark(f"{path} is not a file of the user {self._uid}, so its bearer token is not used")
                return None
            state = (found.st_ino, found.st_mtime_ns, found.st_size)
            with self._lock:
                if self._read is not None and self._read[:2] == (path, state):
                    return self._read[2]
            token = self._clean(file.read(_LARGEST).decode("ascii", "replace").strip(), str(path))
        with self._lock:
            self._read = path, state, token
        return token

    def _clean(self, token: str, origin: str) -> str:
        """What cannot stand in a header is no token."""
        if token.isascii() and token.isprintable() and " " not in token:
            return token
        self._remark(f"what {origin} holds is no bearer token")
        return ""

    def _remark(self, sentence: str) -> None:
        with self._lock:
            is_new = sentence not in self._remarked
            self._remarked.add(sentence)
        if is_new:
            log.warning("%s", sentence)


def _place(url: str) -> tuple[str | None, int]:
    parts = urlsplit(url)
    return parts.hostname, parts.port or 443
