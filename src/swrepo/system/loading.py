"""Programs load without looking for garbage meanwhile: modules are very many objects, and none of them is thrown away.

For programs of our own alone: who calls us from Python decides on these things.
"""

from __future__ import annotations

import gc


def begin_loading() -> None:
    """Look for no garbage until `loaded`: a tenth of the time that a program takes to start."""
    gc.disable()


def loaded() -> None:
    """What was made since `begin_loading` stays: it is never looked through, not even at the end.

    Before a fork: parent and child go on sharing its memory.
    """
    if not gc.isenabled():
        gc.freeze()
        gc.enable()
