"""Where the configuration, keys and caches of the user are who runs this command: the places in its environment."""

from __future__ import annotations

import os
from collections.abc import Mapping

from swrepo.client.places import PREFIX_VARIABLE, Places, places_in

__all__ = ["PREFIX_VARIABLE", "Places", "current"]


def current(environment: Mapping[str, str] | None = None, uid: int | None = None) -> Places:
    """The places of the user who runs this."""
    return places_in(os.environ if environment is None else environment, uid)
