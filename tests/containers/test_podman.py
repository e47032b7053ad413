"""swrepo and a real container engine: in an unprivileged container, handed over from outside, bound from the host."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from swrepo.errors import MountFailed, PermissionRefused
from tests.containers.engine import SWREPO, Engine, require_engine
from tests.mount import ordinary
from tests.mount.machines import FQRN, Machine
from tests.mount.mounted import require_fuse

pytestmark = [pytest.mark.mount, pytest.mark.timeout(300)]

HELLO = f"/cvmfs/{FQRN}/hello"
LEAST = ("--cap-drop=all", "--security-opt=no-new-privileges", "--read-only", "--user=1000:1000", "--env=HOME=/nowhere")
"""As little as a container can have: no right, no home, no name, nothing to write to but /tmp."""


class Site:
    """A repository of this machine, and an engine whose containers see its files."""

    def __init__(self, directory: Path, *, is_ordinary: bool, runtime: str = "crun") -> None:
        directory.chmod(0o755)
        (directory / "site").mkdir()
        (directory / "engine").mkdir()
        self.machine = Machine(directory / "site")
        self.engine = Engine(directory / "engine", is_ordinary=is_ordinary, runtime=runtime)
        self.engine.bound += [self.machine.server]
        for path in (self.machine.storage, self.machine.key):
            for above in path.parents:
                if above.is_relative_to(directory):
                    above.chmod(0o755)

    def exec(self, *words: object) -> list[object]:
        """`swrepo exec` of the repository."""
        return [SWREPO, "exec", self.machine.storage, "--key", self.machine.key, "--", *words]


RUNC = "root's engine, with runc"
ordinary_engine = pytest.mark.parametrize("site", ["an ordinary user's engine"], indirect=True)
roots_engine = pytest.mark.parametrize("site", ["root's engine"], indirect=True)

MOUNT_AND_BECOME = """
import os, sys
from swrepo.fuse.mount import MountOptions, mount_in_namespace
device = mount_in_namespace(sys.argv[1], MountOptions("given", allow_other=True))
os.dup2(device, 3)
os.set_inheritable(3, True)
os.execvp(sys.argv[2], sys.argv[2:])
"""


@pytest.fixture(scope="module", params=["root's engine", "an ordinary user's engine", RUNC])
def site(request, tmp_path_factory) -> Site:
    require_fuse()
    directory = tmp_path_factory.mktemp("containers")
    runtime = "runc" if request.param == RUNC else "crun"
    require_engine(directory, runtime)
    found = Site(directory, is_ordinary=request.param == "an ordinary user's engine", runtime=runtime)
    done = found.engine.shell('"$@" || echo refused', *found.engine.run_words("true"))
    if "refused" in done.stdout:
        pytest.skip(f"the engine runs no container here: {done.stderr.strip()[-300:]}")
    return found


@pytest.mark.parametrize("options", [(), LEAST], ids=["with its usual rights", "with as little as there can be"])
def test_a_command_in_an_unprivileged_container_sees_the_repository(site: Site, options) -> None:
    done = site.engine.run(*site.exec("cat", HELLO), options=options)
    assert done.stdout == "hello\n"


@ordinary_engine
def test_exit_status_and_output_are_those_of_the_command(site: Site) -> None:
    done = site.engine.run(*site.exec("sh", "-c", f"cat {HELLO}; echo trouble >&2; exit 7"), code=7)
    assert (done.stdout, done.stderr.splitlines()[-1]) == ("hello\n", "trouble")


@ordinary_engine
def test_a_signal_that_the_engine_sends_reaches_the_command(site: Site) -> None:
    loop = f"trap 'echo ended; exit 3' TERM; cat {HELLO}; while :; do sleep 0.1; done"
    start = site.engine.run_words(*site.exec("sh", "-c", loop), options=("--name=long",))
    stop = site.engine.podman("kill", "--signal=TERM", "long")
    script = f"""
        out={site.engine.home}/out
        {" ".join(map(_quoted, start))} >$out & engine=$!
        until grep -q hello $out; do sleep 0.05; done
        {" ".join(map(_quoted, stop))} >/dev/null
        wait $engine || test $? = 3
        cat $out
    """
    assert site.engine.shell(script).stdout == "hello\nended\n"


@ordinary_engine
def test_root_of_a_container_without_any_right_is_told_what_it_lacks(site: Site) -> None:
    done = site.engine.run(*site.exec("true"), options=("--cap-drop=all",), code=PermissionRefused.exit_code)
    assert "--cap-add SETFCAP, or run as another user" in done.stderr
    assert (
        site.engine.run(*site.exec("cat", HELLO), options=("--cap-drop=all", "--cap-add=SETFCAP")).stdout == "hello\n"
    )


@ordinary_engine
def test_without_the_device_it_says_so_and_an_export_needs_none(site: Site) -> None:
    done = site.engine.run(*site.exec("true"), device=False, code=MountFailed.exit_code)
    assert "let the container have the device" in done.stderr
    script = f"{SWREPO} export {site.machine.storage} /tmp/plain --key {site.machine.key} >&2; cat /tmp/plain/hello"
    assert site.engine.run("sh", "-ec", script, device=False).stdout == "hello\n"


def test_a_container_that_may_mount_can_use_the_mount_command(site: Site) -> None:
    script = f"""
        mkdir /cvmfs/{FQRN}
        {SWREPO} mount {site.machine.storage} /cvmfs/{FQRN} --key {site.machine.key}
        cat {HELLO}
        {SWREPO} talk /cvmfs/{FQRN} revision
        {SWREPO} talk /cvmfs/{FQRN} reload >&2
        cat {HELLO}
        {SWREPO} umount /cvmfs/{FQRN}
        ls /cvmfs/{FQRN}
    """
    done = site.engine.run("sh", "-euc", script, options=("--cap-add=SYS_ADMIN",))
    assert done.stdout == "hello\n2\nhello\n"


def test_a_mount_of_the_host_is_bound_into_a_container(site: Site) -> None:
    """The user whose containers they are mounts it: nobody else's root may look into it."""
    point = site.engine.home / "mnt"
    point.mkdir()
    if site.engine.is_ordinary:
        os.chown(point, ordinary.USER, ordinary.USER)
    bound = f"--volume={point}:/cvmfs/{FQRN}:ro"
    container = site.engine.run_words("cat", HELLO, options=(bound,), device=False)
    inner = f"""
        {SWREPO} mount {site.machine.storage} {point} --key {site.machine.key} --cache {site.engine.home}/cache
        {" ".join(map(_quoted, _plain(site, container)))}
        {SWREPO} umount {point}
    """
    assert site.engine.shell('"$@"', *_as_user(site, "sh", "-euc", inner)).stdout == "hello\n"


@roots_engine
def test_repositories_that_are_mounted_later_appear_in_a_container(site: Site) -> None:
    """`-v /cvmfs:/cvmfs:ro,rslave`, as the page on containers says."""
    host = site.engine.directory / "cvmfs"
    host.mkdir()
    script = f": > /home/begun; until cat {HELLO} 2>/dev/null; do sleep 0.05; done"
    volumes = (f"--volume={host}:/cvmfs:ro,rslave", f"--volume={host}:/home:rw")
    container = site.engine.run_words("sh", "-c", script, options=volumes, device=False)
    whole = f"""
        mount -t tmpfs none {host}
        mount --make-shared {host}
        mkdir {host}/{FQRN}
        timeout 60 {" ".join(map(_quoted, container))} & engine=$!
        until [ -e {host}/begun ]; do sleep 0.05; done
        {SWREPO} mount {site.machine.storage} {host}/{FQRN} --key {site.machine.key} --cache {site.engine.home}/c2
        wait $engine
        {SWREPO} umount {host}/{FQRN}
    """
    assert site.engine.shell(whole).stdout == "hello\n"


@pytest.mark.parametrize("site", ["root's engine", RUNC], indirect=True)
def test_a_container_without_any_right_serves_a_mount_that_was_made_outside(site: Site) -> None:
    """The connection is handed over as a descriptor: the container has neither the device nor the right to mount."""
    point = site.engine.directory / "outside"
    point.mkdir()
    serve = [SWREPO, "mount", "-f", site.machine.storage, "/dev/fd/3", "--key", site.machine.key, "--cache", "/tmp/c"]
    container = site.engine.run_words(*serve, options=("--preserve-fds=1", *LEAST), device=False)
    script = f"""
        {sys.executable} -c '{MOUNT_AND_BECOME}' {point} "$@" & server=$!
        until cat {point}/hello 2>/dev/null; do kill -0 $server; sleep 0.05; done
        umount {point}
        wait $server
    """
    assert site.engine.shell(script, *container).stdout == "hello\n"


def _plain(site: Site, words: list[str]) -> list[str]:
    """The engine's command line for who is the user already."""
    return words[words.index("podman") :]


def _as_user(site: Site, *words: str) -> list[str]:
    return ordinary.command(list(words), site.engine.directory.parent) if site.engine.is_ordinary else list(words)


def _quoted(word: str) -> str:
    return "'" + word.replace("'", "'\\''") + "'"
