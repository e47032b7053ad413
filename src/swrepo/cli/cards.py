"""The smart card that may have a master key, as the environment and /etc/cvmfs/server.local describe it."""

from __future__ import annotations

import os

from swrepo.config.values import Values
from swrepo.errors import NotFound
from swrepo.publish import settings
from swrepo.publish.layout import ServerLayout
from swrepo.trust.smart_card import DEFAULT_PIN, SmartCard

PIN, MODULE = "CVMFS_MASTERKEYCARD_PIN", "SWREPO_MASTERKEYCARD_MODULE"


def smart_card(server: ServerLayout) -> SmartCard:
    """How to reach it; whether there is one is not looked at."""
    try:
        values = Values(settings.read(server.local))
    except NotFound:
        values = Values({})
    return SmartCard(
        os.environ.get(PIN) or values.text(PIN) or DEFAULT_PIN,
        os.environ.get(MODULE) or values.text(MODULE) or "",
        dict(os.environ),
    )
