"""What a URL, a directory or a name on the command line means."""

from pathlib import Path

import pytest

from swrepo.client.target import Target, parse
from swrepo.errors import FormatError, UsageError

FQRN = "sw.example.org"


def nothing_is_published(directory):
    return False


@pytest.mark.parametrize(
    ("text", "url", "path"),
    [
        (f"http://h/cvmfs/{FQRN}", f"http://h/cvmfs/{FQRN}", b""),
        (f"http://h/cvmfs/{FQRN}/", f"http://h/cvmfs/{FQRN}", b""),
        (f"http://h:8000/cvmfs/{FQRN}/a/b.txt", f"http://h:8000/cvmfs/{FQRN}", b"/a/b.txt"),
        (f"https://h/cvmfs/{FQRN}/cvmfs/x.y", f"https://h/cvmfs/{FQRN}", b"/cvmfs/x.y"),
        (f"http://h/{FQRN}/lib", f"http://h/{FQRN}", b"/lib"),
        (f"http://h/deep/{FQRN}//lib/x.so", f"http://h/deep/{FQRN}", b"/lib/x.so"),
        (f"http://h/cvmfs/{FQRN}/a%20b", f"http://h/cvmfs/{FQRN}", b"/a b"),
        ("http://h/cvmfs/short/x", "http://h/cvmfs/short", b"/x"),
    ],
)
def test_a_url_is_split_after_the_component_that_names_the_repository(text, url, path):
    assert parse(text) == Target(url, url.rpartition("/")[2], path)


def test_the_path_that_the_user_typed_twice_slashed_decides_even_where_a_name_is_odd():
    assert parse("http://h/mirror/copy~1//x") == Target("http://h/mirror/copy~1", None, b"/x")


@pytest.mark.parametrize(
    "text", ["http://h/", "http://h/a/b", "http://h/a.b/c.d/e", "http://h/cvmfs/", "ftp://h/cvmfs/a.b"]
)
def test_a_url_in_which_nothing_or_too_much_looks_like_a_repository_is_refused(text):
    with pytest.raises(UsageError, match="http"):
        parse(text)


def test_a_query_in_a_url_is_refused():
    with pytest.raises(UsageError, match=r"'\?'"):
        parse(f"http://h/cvmfs/{FQRN}/x?y")


def test_a_path_cannot_climb_out_of_the_repository():
    with pytest.raises(FormatError):
        parse(f"http://h/cvmfs/{FQRN}/../x")


def test_a_name_leaves_the_servers_to_the_configuration():
    assert parse(f"{FQRN}/a/b", nothing_is_published) == Target(None, FQRN, b"/a/b")


def test_a_path_below_cvmfs_is_a_name_too():
    assert parse(f"/cvmfs/{FQRN}/a", nothing_is_published) == Target(None, FQRN, b"/a")


@pytest.fixture
def published(tmp_path):
    root = tmp_path / FQRN
    root.mkdir()
    (root / ".cvmfspublished").touch()
    return root


@pytest.mark.parametrize("form", ["{}", "{}/", "file://{}"])
def test_the_directory_that_holds_the_manifest_is_a_repository(published, form):
    assert parse(form.format(published)) == Target(published.as_uri(), FQRN, b"")


def test_what_comes_after_that_directory_is_a_path_in_the_repository(published):
    assert parse(f"{published}/a/b") == Target(published.as_uri(), FQRN, b"/a/b")
    assert parse(f"file://{published}/a/b") == Target(published.as_uri(), FQRN, b"/a/b")
    assert parse(f"{published}//a/b") == Target(published.as_uri(), FQRN, b"/a/b")


def test_a_relative_directory_is_found(published, monkeypatch):
    monkeypatch.chdir(published.parent)
    assert parse(f"./{FQRN}/x") == Target(published.as_uri(), FQRN, b"/x")


def test_a_directory_without_a_manifest_is_refused(tmp_path):
    with pytest.raises(UsageError, match=r"\.cvmfspublished"):
        parse(str(tmp_path))
    with pytest.raises(UsageError):
        parse("nonsense", nothing_is_published)


def test_blanks_in_a_local_path_survive_the_url(tmp_path):
    root = tmp_path / "a b" / FQRN
    assert parse(f"{root}/x", lambda directory: directory == root).url == root.as_uri()
    assert (
        Path(parse(root.as_uri(), lambda directory: directory == root).url.replace("file://", "").replace("%20", " "))
        == root
    )
