"""A small object that was asked for and is kept when it comes; until then nobody else fetches it."""

from __future__ import annotations

from collections.abc import Callable

from swrepo.cache.passing import Passing
from swrepo.errors import SwrepoError
from swrepo.objects.combine import Claim
from swrepo.objects.store import Coming


class Arriving:
    """See objects.store.Kept."""

    __slots__ = ("_claim", "_coming", "_keep", "_plain")

    def __init__(
        self, coming: Coming, claim: Claim[str, bytes | Passing | None], keep: Callable[[bytes], object]
    ) -> None:
        """`keep` raises nothing."""
        self._coming = coming
        self._claim = claim
        self._keep = keep
        self._plain = b""

    def fileno(self) -> int:
        """See Coming."""
        return self._coming.fileno()

    def advance(self) -> bytes | None:
        """See Coming."""
        try:
            plain = self._coming.advance()
        except SwrepoError:
            self._claim.drop()
            raise
        if plain is not None:
            self._plain = plain
        return plain

    def keep(self) -> None:
        """See Kept."""
        try:
            self._keep(self._plain)
        finally:
            self._claim.done(self._plain)

    def check(self, now: float) -> None:
        """See Coming."""
        self._coming.check(now)

    def cancel(self) -> None:
        """See Coming."""
        self._claim.drop()
        self._coming.cancel()
