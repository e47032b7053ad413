"""Fetches what opened files name, and what these name in turn: `#include`, `require`, `import` (docs/adr/0019)."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from concurrent.futures import Executor

from swrepo.errors import SwrepoError
from swrepo.format.object_id import ObjectId
from swrepo.mount.ahead_around import Around, Opened
from swrepo.mount.ahead_mentions import Mention, is_readable
from swrepo.mount.ahead_named import Found
from swrepo.mount.ahead_scan import Scans, Text
from swrepo.mount.ahead_shown import Shown
from swrepo.objects.store import BringsAhead, Want
from swrepo.vfs.tree import Vfs
from swrepo.vfs.volume import Volume

log = logging.getLogger(__name__)

_FAR = 0.010
"""Seconds that a small object takes, from which on files are looked through that take milliseconds."""


class NamesAhead:
    """`opened` and `look_again` are called with the lock of `Vfs`, `came` from any thread.

    `shown`: what is known of what a volume shows; `fetch` is given what is to be fetched; `distance`: see ReadingAhead.
    """

    def __init__(
        self,
        vfs: Vfs,
        pool: Executor,
        shown: Callable[[Volume], Shown],
        fetch: Callable[[Sequence[Want], BringsAhead], object],
        distance: Callable[[str], float],
    ) -> None:
        self._vfs = vfs
        self._shown = shown
        self._fetch = fetch
        self._distance = distance
        self._scans = Scans(pool, self._told)

    def opened(self, found: Opened, want: Want, *, is_here: bool) -> None:
        """A file was opened: fetch what of earlier ones is known thereby, and look through it when it is here."""
        package, name, around = found.file
        volume = found.volume
        if is_readable(name, is_far=self._distance(volume.name) >= _FAR):
            self._scans.expect(want, Text(volume, volume.epoch, package, name, around), is_here=is_here)
        shown = self._shown(volume)
        self._choose(shown.named.opened(package, name, shown.listed(around)), volume, around)

    def came(self, object_id: ObjectId) -> None:
        """An object is here that was fetched; most are none that is waited for. It does not raise."""
        self._scans.came(object_id)

    def forget(self) -> None:
        """What was to be looked through is of no interest any more."""
        self._scans.forget()

    def look_again(self, volume: Volume) -> None:
        """More of a tree is known."""
        shown = self._shown(volume)
        if shown.around is not None:
            self._choose(shown.named.look_again(shown.listed(shown.around)), volume, shown.around)

    def _told(self, text: Text, mentioned: Sequence[Mention]) -> None:
        """What a file mentions; in the pool."""
        volume = text.volume
        try:
            with self._vfs.lock:
                if volume.epoch == text.epoch:
                    shown = self._shown(volume)
                    files = shown.named.names(text.directory, mentioned, shown.listed(text.around))
                    self._choose(files, volume, text.around)
        except SwrepoError as error:
            log.info("nothing is fetched of what %r names: %s", text.name, error)

    def _choose(self, files: Sequence[Found], volume: Volume, around: Around) -> None:
        """Have those fetched that the account pays for; when they come, they are looked through, too."""
        patience = self._distance(volume.name)
        chosen = self._shown(volume).neighbours.named([file for _, file in files], patience)
        travelling = {want.id for want in chosen}
        for directory, file in files:
            if len(file.wants) == 1 and is_readable(file.name, is_far=patience >= _FAR):
                text = Text(volume, volume.epoch, directory, file.name, around)
                self._scans.expect(file.wants[0], text, is_here=file.wants[0].id not in travelling)
        if chosen:
            self._fetch(chosen, around.objects)
