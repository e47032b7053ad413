"""The Debian package: what is in it, that it is made the same again, and that it leaves nothing behind.

The first part builds it and looks into it; the last installs it in a root directory of its own, where mmdebstrap and the
archive are there (`SWREPO_DEBIAN_ROOT` names a directory with a bare Debian in its place).
"""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
import sys
import tarfile
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HOME = Path("usr/lib/swrepo")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
SYSTEM_PYTHON = "/usr/bin/python3"


def system_version() -> str:
    words = [SYSTEM_PYTHON, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"]
    return subprocess.run(words, capture_output=True, text=True, check=False).stdout.strip()


pytestmark = [
    pytest.mark.skipif(shutil.which("dpkg-deb") is None, reason="there is no dpkg-deb here"),
    pytest.mark.skipif(
        not os.path.exists(SYSTEM_PYTHON) or system_version() != f"{sys.version_info[0]}.{sys.version_info[1]}",
        reason="the distribution's Python is another version than this one",
    ),
    pytest.mark.timeout(900),
]


def build(directory: Path) -> Path:
    words = [sys.executable, ROOT / "packaging/deb.py", directory, "0"]
    ran = subprocess.run(words, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    return Path(ran.stdout.strip())


@pytest.fixture(scope="module")
def package(tmp_path_factory) -> Path:
    return build(tmp_path_factory.mktemp("package"))


@pytest.fixture(scope="module")
def unpacked(package) -> Path:
    """Its files, and the control files in `DEBIAN`."""
    directory = package.parent / "unpacked"
    subprocess.run(["dpkg-deb", "--raw-extract", package, directory], check=True)
    return directory


@pytest.fixture(scope="module")
def control(unpacked) -> dict[str, str]:
    text = (unpacked / "DEBIAN/control").read_text()
    return dict(re.findall(r"^(\S+): (.*)$", text, re.MULTILINE))


def members(package: Path) -> list[tarfile.TarInfo]:
    archive = subprocess.Popen(["dpkg-deb", "--fsys-tarfile", package], stdout=subprocess.PIPE)
    with archive, tarfile.open(fileobj=archive.stdout, mode="r|") as files:
        return list(files)


def test_it_says_what_it_is_for(package, control) -> None:
    major, minor = sys.version_info[:2]
    assert control["Package"] == "swrepo"
    assert package.name == f"swrepo_{control['Version']}_{control['Architecture']}.deb"
    assert control["Architecture"] not in ("all", "any")
    assert f"python3 (>= {major}.{minor}~), python3 (<< {major}.{minor + 1}~)" in control["Depends"]
    assert re.search(r"libc6 \(>= 2\.\d+\)", control["Depends"])
    assert "fuse3" in control["Recommends"]
    compare = ["dpkg", "--compare-versions", control["Version"], "gt", "0.0.1"]
    assert subprocess.run(compare, check=False).returncode == 0


def test_every_program_is_in_the_path_and_starts_with_the_packages_own_python(unpacked) -> None:
    for name in PROJECT["scripts"]:
        directory = "usr/sbin" if name == "mount.cvmfs" else "usr/bin"
        link = unpacked / directory / name
        assert link.is_symlink()
        program = (link.parent / os.readlink(link)).resolve()
        assert program.is_relative_to(unpacked / HOME / "bin")
        assert program.read_text().startswith("#!/usr/lib/swrepo/bin/python3 -I\n")
        assert program.stat().st_mode & 0o111 == 0o111
    python = unpacked / HOME / "bin/python3"
    assert os.readlink(python) == f"/usr/bin/python{system_version()}"


def test_the_programs_run_with_nothing_but_what_is_in_it(unpacked, tmp_path) -> None:
    site = next((unpacked / HOME / "lib").glob("python3.*/site-packages"))
    modules = "aiohttp, cryptography, deflate, isal.igzip, Crypto.Hash.RIPEMD160, pycurl, rich.table"
    modules += ", swrepo.cli.mounting, swrepo.mount.worker, swrepo.web.serve, swrepo.publish.transaction"
    script = f"import sys; sys.path.insert(0, {str(site)!r})\nimport {modules}\n"
    script += "from swrepo.cli.main import main; assert main(['--version']) == 0\n"
    script += (
        "print({m.__file__ for n, m in sys.modules.items() if 'site-packages' in str(getattr(m, '__file__', ''))})"
    )
    ran = subprocess.run(
        [SYSTEM_PYTHON, "-I", "-S", "-c", script], capture_output=True, text=True, check=False, cwd=tmp_path, env={}
    )
    assert ran.returncode == 0, ran.stderr
    version, files = ran.stdout.split("\n", 1)
    assert version == f"swrepo {PROJECT.get('version') or __import__('swrepo').__version__}"
    assert all(str(site) in name for name in re.findall(r"'([^']+)'", files))


def test_nothing_that_is_linked_comes_from_elsewhere_than_it_depends_on(unpacked) -> None:
    allowed = re.compile(r"lib(c|m|dl|pthread|rt|resolv|gcc_s|stdc\+\+|z|util)\.so\.|linux-vdso|ld-linux")
    for path in unpacked.rglob("*.so*"):
        shown = subprocess.run(["ldd", path], capture_output=True, text=True, check=False).stdout
        for name, where in re.findall(r"^\s+(\S+) => (.*?) \(", shown, re.MULTILINE):
            assert allowed.match(os.path.basename(name)) or str(unpacked) in os.path.realpath(where), f"{path}: {name}"
        assert "not found" not in shown, path


def test_modes_and_owners_are_those_of_a_package(package) -> None:
    for member in members(package):
        assert (member.uid, member.gid) == (0, 0), member.name
        if not member.issym():
            assert stat.S_IMODE(member.mode) in (0o755, 0o644), member.name
            assert member.isdir() or member.isfile(), member.name


def test_no_file_is_written_when_the_programs_run_first(unpacked) -> None:
    for path in (unpacked / HOME).rglob("*.py"):
        compiled = path.parent / "__pycache__" / f"{path.stem}.cpython-{system_version().replace('.', '')}.pyc"
        assert compiled.exists(), path


def test_no_place_of_the_machine_that_built_it_is_in_it(unpacked) -> None:
    for path in unpacked.rglob("*"):
        if path.is_symlink() or not path.is_file():
            continue
        data = path.read_bytes()
        for place in (str(ROOT), str(unpacked.parent)):
            assert place.encode() not in data, f"{path}: {place}"


def test_manual_pages_completions_units_and_configuration_are_in_their_places(unpacked) -> None:
    share = ROOT / "packaging/share"
    for name in (str(path.relative_to(share)) for path in share.rglob("*") if path.is_file()):
        path = unpacked / "usr/share" / (f"{name}.gz" if name.startswith("man/") else name)
        assert path.is_file(), name
    for name in ("swrepo.service", "swrepo@.service", "swrepo.target"):
        assert (unpacked / "usr/lib/systemd/system" / name).is_file()
    assert (unpacked / "DEBIAN/conffiles").read_text() == "/etc/cvmfs/default.conf\n"
    assert (unpacked / "etc/cvmfs/keys").is_dir()
    assert "BSD" in (unpacked / "usr/share/doc/swrepo/copyright").read_text()


def test_the_checksums_are_those_of_the_files(unpacked) -> None:
    ran = subprocess.run(["md5sum", "-c", "--quiet", "DEBIAN/md5sums"], cwd=unpacked, capture_output=True, check=False)
    assert ran.returncode == 0, ran.stdout


@pytest.mark.parametrize("name", ["postinst", "prerm", "postrm"])
def test_maintainer_scripts_are_scripts(unpacked, name) -> None:
    script = unpacked / "DEBIAN" / name
    assert script.read_text().startswith("#!/bin/sh\nset -e\n")
    assert script.stat().st_mode & 0o777 == 0o755
    subprocess.run(["sh", "-n", script], check=True)


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd here")
def test_systemd_understands_the_units(unpacked) -> None:
    directory = unpacked / "usr/lib/systemd/system"
    words = ["systemd-analyze", "verify", "--man=no", directory / "swrepo.service", directory / "swrepo@x.y.service"]
    (directory / "swrepo@x.y.service").symlink_to("swrepo@.service")
    shown = subprocess.run(words, capture_output=True, text=True, check=False).stderr
    (directory / "swrepo@x.y.service").unlink()
    wrong = [line for line in shown.splitlines() if "swrepo" in line and "is not executable" not in line]
    assert wrong == []


@pytest.mark.slow
def test_the_same_sources_give_the_same_package(package, tmp_path) -> None:
    assert build(tmp_path).read_bytes() == package.read_bytes()


INSTALL = """
set -eu
trap 'umount -l /mnt /cvmfs/sw.example.org 2>/dev/null || :' EXIT
find / -xdev -not -path '/proc/*' -not -path '/var/lib/dpkg/*' -not -path '/var/log/*' -not -path '/run/*' -not -path '/tmp/*' | sort > /tmp/before
dpkg -i /tmp/swrepo.deb >/dev/null
getent passwd cvmfs >/dev/null
test -d /var/lib/cvmfs -a -d /cvmfs
swrepo --version
export SWREPO_PREFIX=/tmp/server
swrepo server mkfs sw.example.org >/dev/null
echo hello > /tmp/server/cvmfs/sw.example.org/hello
swrepo server publish sw.example.org
unset SWREPO_PREFIX
cp /tmp/server/etc/cvmfs/keys/sw.example.org.pub /etc/cvmfs/keys/
mkdir -p /etc/cvmfs/default.d
echo 'CVMFS_SERVER_URL=file:///tmp/server/srv/cvmfs/@fqrn@' > /etc/cvmfs/default.d/50-point-to-cvmfs.conf
swrepo mount sw.example.org /mnt
cat /mnt/hello
swrepo umount /mnt
mkdir -p /cvmfs/sw.example.org
mount -t cvmfs sw.example.org /cvmfs/sw.example.org
cat /cvmfs/sw.example.org/hello
cvmfs_config status | grep -q sw.example.org
dpkg -r swrepo >/dev/null
test ! -e /usr/lib/swrepo
! grep -q fuse.swrepo /proc/self/mountinfo
dpkg -P swrepo >/dev/null
! getent passwd cvmfs
rm -rf /tmp/server
find / -xdev -not -path '/proc/*' -not -path '/var/lib/dpkg/*' -not -path '/var/log/*' -not -path '/run/*' -not -path '/tmp/*' | sort > /tmp/after
diff /tmp/before /tmp/after | grep -v '^[<>] /etc/\\(passwd\\|group\\|shadow\\|gshadow\\|subuid\\|subgid\\)-$' | grep '^[<>]' && exit 1
echo nothing left
"""


def bare_debian(target: Path) -> None:
    """A root directory with Python and nothing of ours; or the test is skipped."""
    given = os.environ.get("SWREPO_DEBIAN_ROOT")
    if given:
        subprocess.run(["cp", "-a", given, target], check=True)
        return
    if shutil.which("mmdebstrap") is None:
        pytest.skip("there is no mmdebstrap here, and SWREPO_DEBIAN_ROOT names no root directory")
    needed = "--include=python3,fuse3,adduser,zlib1g,libstdc++6"
    words = ["mmdebstrap", "--variant=minbase", needed, "bookworm", target]
    if subprocess.run(words, capture_output=True, check=False).returncode != 0:
        pytest.skip("the archive of Debian cannot be reached")


@pytest.mark.mount
@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can install a package")
def test_it_can_be_installed_used_and_purged_on_a_bare_system(package, tmp_path) -> None:
    root = tmp_path / "root"
    bare_debian(root)
    shutil.copy(package, root / "tmp/swrepo.deb")
    (root / "tmp/install.sh").write_text(INSTALL)
    enter = 'mount --rbind /dev "$1/dev" && mount --rbind /proc "$1/proc" && exec chroot "$1" /bin/sh /tmp/install.sh'
    ran = subprocess.run(
        ["unshare", "--mount", "sh", "-c", enter, "sh", root],
        env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root"},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    shutil.rmtree(root, ignore_errors=True)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert ran.stdout.splitlines()[-1] == "nothing left"
    assert ran.stdout.count("hello\n") == 2
