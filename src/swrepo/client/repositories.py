"""The repositories of one mount: each opened when it is first wanted, each failing on its own.

What could not be opened is tried again after a while, so that neither a server that is down nor a program that looks
for it again and again makes the others wait.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping

from swrepo.client.access import Access
from swrepo.client.request import AccessRequest
from swrepo.errors import NotFound, PathNotFound, SwrepoError
from swrepo.format.object_id import ObjectId
from swrepo.format.wellknown import is_fqrn
from swrepo.objects.combine import Combine
from swrepo.repository.revision import Revision

log = logging.getLogger(__name__)

Resolver = Callable[[str], AccessRequest]
"""From a repository's name to what is needed to open it; PathNotFound where there is none of that name."""

RETRY_AFTER = 10.0
"""Seconds for which a failure is remembered."""


class Repositories:
    """Opens repositories by name. Safe from any thread; `_lock` guards the two tables."""

    def __init__(self, resolve: Resolver, clock: Callable[[], float] = time.monotonic) -> None:
        self._resolve = resolve
        self._clock = clock
        self._lock = threading.Lock()
        self._combine: Combine[str, Access] = Combine()
        self._failures: dict[str, tuple[float, SwrepoError]] = {}
        self.accesses: dict[str, Access] = {}

    def open(self, name: str, shown: ObjectId | None = None) -> tuple[Revision, Mapping[str, str]]:
        """See `many.Repositories`. `shown`: see `Access`."""
        if not is_fqrn(name):
            raise PathNotFound(f"not the name of a repository: {name!r}")
        access = self._combine.run(name, lambda: self._open(name, shown))
        return access.revision, access.variables

    def close(self) -> None:
        """Close all."""
        with self._lock:
            accesses, self.accesses = list(self.accesses.values()), {}
        for access in accesses:
            access.close()

    def _open(self, name: str, shown: ObjectId | None) -> Access:
        with self._lock:
            found = self.accesses.get(name)
            failed = self._failures.get(name)
        if found is not None:
            return found
        if failed is not None and self._clock() - failed[0] < RETRY_AFTER:
            raise type(failed[1])(str(failed[1]))
        try:
            access = Access(self._resolve(name), shown)
        except SwrepoError as error:
            self._note_failure(name, error)
            raise
        with self._lock:
            self.accesses[name] = access
            self._failures.pop(name, None)
        return access

    def _note_failure(self, name: str, error: SwrepoError) -> None:
        if not isinstance(error, NotFound):
            log.error("the repository %s cannot be opened: %s", name, error)
        with self._lock:
            self._failures = {
                known: failure for known, failure in self._failures.items() if self._clock() - failure[0] < RETRY_AFTER
            }
            self._failures[name] = (self._clock(), error)
