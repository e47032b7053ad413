"""One line in the log for each outage of a repository's servers, and one when it is over, however often one asks."""

from __future__ import annotations

import logging

from swrepo.errors import SwrepoError

log = logging.getLogger(__name__)


class Outage:
    """Whether a repository can be refreshed at the moment. For one thread at a time."""

    def __init__(self) -> None:
        self._kind: type[SwrepoError] | None = None

    def failed(self, fqrn: str, error: SwrepoError) -> None:
        """It cannot, for this reason. Another kind of reason is another outage."""
        if type(error) is not self._kind:
            self._kind = type(error)
            log.warning("%s stays at its revision: %s", fqrn, error)

    def over(self, fqrn: str) -> None:
        """It could be."""
        if self._kind is not None:
            self._kind = None
            log.info("%s can be refreshed again", fqrn)
