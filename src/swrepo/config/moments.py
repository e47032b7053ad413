"""Moments as people write them for `date --date`: `2026-11-22 20:36`, `3 days ago`, `yesterday`, `@1795379776`."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

from swrepo.errors import UsageError

_UNITS = {"sec": 1, "second": 1, "min": 60, "minute": 60, "hour": 3600, "day": 86400, "week": 604800}
_UNITS |= {"fortnight": 1209600, "month": 2629746, "year": 31556952}
"""Seconds; months and years are those of the average."""

_WORDS = {"now": 0, "today": 0, "yesterday": 86400}
_AGO = re.compile(r"(?:(\d{1,9}|an?)\s+)?([a-z]+?)s?\s+ago")


def parse(text: str, now: datetime) -> datetime:
    """The moment that is meant, in the time zone of `now` (aware) unless it names one; UsageError."""
    words = " ".join(text.lower().split())
    try:
        if words in _WORDS:
            return now - timedelta(seconds=_WORDS[words])
        if found := _AGO.fullmatch(words):
            count = 1 if found[1] in (None, "a", "an") else int(found[1])
            return now - timedelta(seconds=count * _UNITS[found[2]])
        if words.startswith("@"):
            return datetime.fromtimestamp(float(words[1:]), now.tzinfo)
        moment = datetime.fromisoformat(text.strip())
    except (ValueError, KeyError, OverflowError, OSError):
        raise UsageError(
            f"not a time: {text!r}; write it as '2026-11-22 20:36', '3 days ago', 'yesterday' or '@1795379776'"
        ) from None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=now.tzinfo)
