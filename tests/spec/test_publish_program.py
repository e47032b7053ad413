"""`cvmfs_publish` and `cvmfs_swissknife`: names and small tools that scripts of CernVM-FS's users call."""

from __future__ import annotations

import os
import subprocess
import sys
import zlib
from pathlib import Path

import pytest

from swrepo.cli import cvmfs_publish, cvmfs_swissknife
from swrepo.errors import FormatError, UsageError
from swrepo.format.object_id import Algorithm
from swrepo.publish import settings
from swrepo.publish.layout import ServerLayout


def run(*words: str, given: bytes = b"", code: int = 0) -> bytes:
    ran = subprocess.run(
        [sys.executable, "-m", "swrepo.cli.cvmfs_publish", *words], input=given, capture_output=True, check=False
    )
    assert ran.returncode == code, ran.stderr
    return ran.stdout


@pytest.mark.parametrize(
    ("algorithm", "expected"),
    [
        ("sha1", b"a9993e364706816aba3e25717850c26c9cd0d89d"),
        ("shake128", b"5881092dd818bf5cf8a3ddb793fbcba74097d5c5-shake128"),
        ("rmd160", b"8eb208f7e05d987a9b044a8e98c6b087f15a0bfc-rmd160"),
        ("md5", b"900150983cd24fb0d6963f7d28e17f72"),
    ],
)
def test_hashes_are_those_of_the_original(algorithm: str, expected: bytes, capfd: pytest.CaptureFixture[str]) -> None:
    assert cvmfs_publish.main(["hash", "-a", algorithm, "-i", "abc"]) == 0
    assert capfd.readouterr().out.encode() == expected
    assert cvmfs_swissknife.main(["hash", "-a", algorithm, "-i", "abc", "-f"]) == 0
    digits, _, suffix = expected.decode().partition("-")
    pairs = ":".join(digits[start : start + 2] for start in range(0, len(digits), 2))
    assert capfd.readouterr().out == f"{pairs}{'-' + suffix if suffix else ''}\n".upper()


def test_md5_is_split_as_in_catalogs(capfd: pytest.CaptureFixture[str]) -> None:
    assert cvmfs_publish.main(["hash", "-a", "md5", "-s", "-i", "abc"]) == 0
    assert capfd.readouterr().out.endswith(" [-5742139842178842224 8250560606382298838]")
    assert cvmfs_publish.main(["hash", "-a", "sha1", "-s", "-i", "abc"]) == UsageError.exit_code


def test_what_comes_on_standard_input_is_hashed_packed_and_unpacked(tmp_path: Path) -> None:
    assert run("hash", "-a", "sha1", given=b"abc") == b"a9993e364706816aba3e25717850c26c9cd0d89d"
    plain = os.urandom(1000) + bytes(5_000_000)
    packed = run("zpipe", given=plain)
    assert zlib.decompress(packed) == plain
    (tmp_path / "packed").write_bytes(packed)
    assert run("zpipe", "-d", "-i", str(tmp_path / "packed")) == plain
    for broken in (packed[:-10], b"junk", packed + b"more"):
        run("zpipe", "-d", given=broken, code=FormatError.exit_code)


def test_repositories_are_made_and_published_to_by_that_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SWREPO_PREFIX", str(tmp_path))
    assert cvmfs_publish.main(["mkfs", "sw.example.org"]) == 0
    places = ServerLayout(tmp_path).repository("sw.example.org")
    assert settings.load(places.server_conf).algorithm is Algorithm.SHAKE128
    (places.worktree / "file").touch()
    assert cvmfs_publish.main(["commit", "sw.example.org"]) == 0
    assert "published revision 2" in capsys.readouterr().out
    assert cvmfs_publish.main(["abort", "-f", "sw.example.org"]) == 22
    with pytest.raises(SystemExit, match="0"):
        cvmfs_publish.main(["help", "diff"])
    assert "--ignore-timediff" in capsys.readouterr().out


def test_low_level_commands_say_what_does_their_work(capsys: pytest.CaptureFixture[str]) -> None:
    assert cvmfs_swissknife.main(["scrub", "-r", "/srv"]) == UsageError.exit_code
    assert "'cvmfs_server check -i NAME' does that" in capsys.readouterr().err
