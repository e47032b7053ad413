"""What a request can name, and which part of it: no sockets, no files."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swrepo.web.ranges import Slice, Unsatisfiable, parse_range
from swrepo.web.resources import Resource, resolve

OBJECT = "0a/" + "b1" * 19


@pytest.mark.parametrize(
    ("target", "content_type", "seconds"),
    [
        ("/cvmfs/a.example.org/.cvmfspublished", "application/x-cvmfs", 61),
        ("/cvmfs/a.example.org/.cvmfswhitelist", "application/x-cvmfs", 61),
        ("/cvmfs/a.example.org/.cvmfs_status.json", "application/json", 61),
        ("/cvmfs/a.example.org/.cvmfsalt-" + "c2" * 20 + "C", "application/x-cvmfs", 61),
        (f"/cvmfs/a.example.org/data/{OBJECT}", "application/octet-stream", 259200),
        (f"/cvmfs/a.example.org/data/{OBJECT}C", "application/octet-stream", 259200),
        (f"/cvmfs/a.example.org/data/{OBJECT}-shake128P", "application/octet-stream", 259200),
        ("/cvmfs/info/v1/repositories.json", "application/json", 61),
        ("/cvmfs/info/v1/meta.json", "application/json", 61),
    ],
)
def test_the_public_face_of_a_repository_has_the_headers_that_caches_need(
    target: str, content_type: str, seconds: int
) -> None:
    parts = tuple(target.removeprefix("/cvmfs/").split("/"))
    assert resolve(target) == Resource(parts, content_type, f"max-age={seconds}")
    assert resolve(target + "?query=/../x") == resolve(target)
    assert resolve("http://server.example.org:8000" + target) == resolve(target), "as proxies are asked"


def test_percent_escapes_are_decoded_once() -> None:
    assert resolve("/cvmfs/a.example.org/%2ecvmfspublishe%64") == resolve("/cvmfs/a.example.org/.cvmfspublished")
    assert resolve("/cvmfs/a.example.org/%252ecvmfspublished") is None


@pytest.mark.parametrize(
    "target",
    [
        "",
        "/",
        "/cvmfs",
        "/cvmfs/",
        "/cvmfs/a.example.org",
        "/cvmfs/a.example.org/",
        "/cvmfs/a.example.org/data/",
        "/cvmfs/a.example.org/data/0a/",
        "/cvmfs/a.example.org/data/txn/put.abc",
        "/cvmfs/a.example.org/data/0a/../0a/" + "b1" * 19,
        "/cvmfs/a.example.org/data/0a/" + "B1" * 19,
        "/cvmfs/a.example.org/data/0a/" + "b1" * 18,
        "/cvmfs/a.example.org/data/0a/" + "b1" * 19 + "CC",
        "/cvmfs/a.example.org/.git/config",
        "/cvmfs/a.example.org/.htaccess",
        "/cvmfs/a.example.org/.cvmfs/x",
        "/cvmfs/a.example.org/.cvmfs../x",
        "/cvmfs/a.example.org/index.html",
        "/cvmfs/a.example.org.key",
        "/cvmfs/keys/a.example.org.masterkey",
        "/cvmfs/info/v1/other.json",
        "/cvmfs/info/v1/../../a.example.org/.cvmfspublished",
        "/cvmfs/../etc/passwd",
        "/cvmfs/%2e%2e/etc/passwd",
        "/cvmfs/..%2fetc%2fpasswd",
        "/cvmfs/%252e%252e%252fetc/passwd",
        "/cvmfs//a.example.org/.cvmfspublished",
        "//cvmfs/a.example.org/.cvmfspublished",
        "/cvmfs/a.example.org/.cvmfspublished/",
        "/cvmfs/a.example.org/.cvmfspublished%00",
        "/cvmfs/a.example.org/.cvmfspublished%0a",
        "/cvmfs/a.example.org/.cvmfs\u0131",
        "/cvmfs/a.example.org/.cvmfs%c4%b1",
        "/cvmfs/a.example.org\\.cvmfspublished",
    ],
)
def test_nothing_else_exists(target: str) -> None:
    assert resolve(target) is None


SEGMENTS = st.sampled_from(
    [
        "cvmfs",
        "a.example.org",
        "data",
        "txn",
        "0a",
        "b1" * 19,
        ".cvmfspublished",
        "..",
        ".",
        "",
        "%2e%2e",
        "%2f",
        "%00",
        "info",
    ]
) | st.text(max_size=5)


@given(st.lists(SEGMENTS, max_size=7).map("/".join))
def test_no_target_leads_anywhere_but_down(target: str) -> None:
    found = resolve("/cvmfs/" + target)
    if found is not None:
        assert all(part not in ("", ".", "..") and "/" not in part and "\0" not in part for part in found.parts)
        assert found.parts[1] in ("data", "v1") or found.parts[1].startswith(".cvmfs")


@pytest.mark.parametrize(
    ("header", "part"),
    [
        (None, None),
        ("", None),
        ("bytes=0-0", Slice(0, 1)),
        ("bytes=0-99", Slice(0, 100)),
        ("bytes=0-", Slice(0, 100)),
        ("bytes=10-19", Slice(10, 10)),
        ("bytes=90-1000", Slice(90, 10)),
        ("bytes=-10", Slice(90, 10)),
        ("bytes=-1000", Slice(0, 100)),
        ("bytes=-", None),
        ("bytes=20-10", None),
        ("bytes=0-9,20-29", None),
        ("bytes=a-b", None),
        ("lines=0-9", None),
        ("bytes=\u0661-\u0662", None),
        ("bytes=" + "9" * 30 + "-", None),
    ],
)
def test_one_range_is_understood_and_anything_else_is_the_whole(header: str | None, part: Slice | None) -> None:
    assert parse_range(header, 100) == part


@pytest.mark.parametrize(
    ("header", "size"), [("bytes=100-", 100), ("bytes=100-200", 100), ("bytes=-0", 100), ("bytes=-5", 0)]
)
def test_a_range_behind_the_end_cannot_be_satisfied(header: str, size: int) -> None:
    with pytest.raises(Unsatisfiable):
        parse_range(header, size)


@given(st.text(alphabet="bytes=0123456789-, ", max_size=20), st.integers(0, 1000))
def test_a_range_never_leaves_the_file(header: str, size: int) -> None:
    try:
        part = parse_range(header, size)
    except Unsatisfiable:
        return
    assert part is None or (part.length > 0 and part.start >= 0 and part.start + part.length <= size)
