"""What WebDAV is told of entries that nobody would publish on purpose."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest

from swrepo.format.dirent import Dirent, Flag
from swrepo.web.dav_answers import multistatus, shown_as


def file_of(mtime: int) -> Dirent:
    return Dirent(b"f", 0o100644, 3, mtime, None, 0, 0, int(Flag.FILE), 1, b"", bytes(20), None)


@pytest.mark.parametrize(
    ("mtime", "date"),
    [(1 << 62, "Fri, 31 Dec 9999 23:59:59 GMT"), (-(1 << 62), "Thu, 01 Jan 1970 00:00:00 GMT")],
)
def test_a_time_that_is_no_date_hides_no_directory(mtime: int, date: str) -> None:
    document = ET.fromstring(multistatus([shown_as(b"/f", file_of(mtime))], None))
    assert document.findtext(".//{DAV:}getlastmodified") == date


def test_a_name_that_xml_cannot_hold_is_shown_in_another_way_and_found_by_its_own() -> None:
    document = ET.fromstring(multistatus([shown_as(b"/\x01\xff<", file_of(0))], None))
    assert document.findtext(".//{DAV:}href") == "/%01%FF%3C"
    assert document.findtext(".//{DAV:}displayname") == "\N{REPLACEMENT CHARACTER}\N{REPLACEMENT CHARACTER}<"
