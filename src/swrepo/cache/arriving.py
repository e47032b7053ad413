"""A small object that was asked for and is kept when it comes; until then nobody else fetches it."""

from __future__ import annotations

from collections.abc import Callable

from swrepo.cache.passing import Passing
from swrepo.objects.combine import Claim
from swrepo.objects.store import Coming


class Arriving:
    """See objects.store.Coming."""

    __slots__ = ("_claim", "_coming", "_keep")

    def __init__(
        self, coming: Coming, claim: Claim[str, bytes | Passing | None], keep: Callable[[bytes], object]
    ) -> None:
        self._coming = coming
        self._claim = claim
        self._keep = keep

    def fileno(self) -> int:
        """See Coming."""
        return self._coming.fileno()

    def advance(self) -> bytes | None:
        """See Coming."""
        try:
            plain = self._coming.advance()
            if plain is None:
                return None
            self._keep(plain)
        except BaseException:
            self._claim.drop()
            raise
        self._claim.done(plain)
        return plain

    def check(self, now: float) -> None:
        """See Coming."""
        self._coming.check(now)

    def cancel(self) -> None:
        """See Coming."""
        self._claim.drop()
        self._coming.cancel()
