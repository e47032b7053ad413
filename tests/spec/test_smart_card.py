"""Master keys on a smart card: the commands, on a token that SoftHSM keeps in files."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from swrepo.cli.cvmfs_server import main as cvmfs_server
from swrepo.errors import NotFound, PublishError, UsageError
from swrepo.trust.smart_card import SmartCard
from tests.publishing import Server, fast_options

LIBRARY = next((path for path in Path("/usr/lib").glob("**/softhsm/libsofthsm2.so")), None)
PIN = "654321"
FQRN = "sw.example.org"

pytestmark = pytest.mark.skipif(
    LIBRARY is None or shutil.which("pkcs11-tool") is None, reason="needs softhsm2 and opensc"
)


class Machine:
    """A server with one repository, and a card in its reader."""

    def __init__(self, prefix: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.prefix = prefix
        self.server = Server(prefix, fast_options())
        self._capsys = capsys

    @property
    def keys(self) -> list[str]:
        return sorted(path.name for path in (self.prefix / "etc/cvmfs/keys").glob(f"{FQRN}*"))

    def run(self, *words: str, code: int = 0) -> str:
        self._capsys.readouterr()
        found = cvmfs_server(words)
        shown = self._capsys.readouterr()
        assert found == code, shown.err
        return shown.out + shown.err


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Machine]:
    (tmp_path / "tokens").mkdir()
    (tmp_path / "softhsm.conf").write_text(f"directories.tokendir = {tmp_path}/tokens\nlog.level = ERROR\n")
    monkeypatch.setenv("SOFTHSM2_CONF", str(tmp_path / "softhsm.conf"))
    monkeypatch.setenv("SWREPO_PREFIX", str(tmp_path))
    monkeypatch.setenv("SWREPO_MASTERKEYCARD_MODULE", str(LIBRARY))
    monkeypatch.setenv("CVMFS_MASTERKEYCARD_PIN", PIN)
    new = ["softhsm2-util", "--init-token", "--slot", "0", "--label", "card", "--pin", PIN, "--so-pin", "12345678"]
    subprocess.run(new, check=True, stdout=subprocess.DEVNULL)
    return Machine(tmp_path, capsys)


def test_a_card_takes_over_from_the_file_of_the_master_key(machine: Machine) -> None:
    assert "masterkeycard is available" in machine.run("masterkeycard", "-a")
    assert "holds no certificate" in machine.run("masterkeycard", "-k", code=NotFound.exit_code)
    machine.run("masterkeycard", "-s", FQRN)
    assert "key is available" in machine.run("masterkeycard", "-k")
    public = machine.server.places.keys.public
    assert machine.run("masterkeycard", "-r") == public.read_text()
    machine.run("masterkeycard", "-c", "-f", "sw.*")
    assert machine.keys == [f"{FQRN}.crt", f"{FQRN}.key", f"{FQRN}.pub"]
    assert "valid until" in machine.run("resign", FQRN)
    assert "no problems found" in machine.run("check", FQRN)
    machine.server.manifest()  # clients that have the public key of before believe it


def test_a_new_repository_has_its_master_key_on_the_card_only(machine: Machine) -> None:
    machine.run("masterkeycard", "-s", FQRN)
    assert "within 7 days" in machine.run("mkfs", "-R", "new.example.org")
    keys = {path.name for path in (machine.prefix / "etc/cvmfs/keys").glob("new.*")}
    assert keys == {"new.example.org.crt", "new.example.org.key", "new.example.org.pub"}
    assert "no problems found" in machine.run("check", "new.example.org")


def test_a_repository_is_taken_over_with_its_master_key_on_the_card(machine: Machine, tmp_path: Path) -> None:
    machine.run("masterkeycard", "-s", FQRN)
    machine.server.places.keys.master.unlink()
    shutil.copytree(machine.server.places.storage, tmp_path / "elsewhere" / FQRN)
    machine.run("rmfs", "-p", "-f", FQRN)
    shutil.rmtree(machine.server.places.storage)
    words = ("import", "-R", "-s", "-p", "-c", "0:0", "-x", "http://proxy:3128", "-f", "overlayfs")
    machine.run(*words, "-u", f"local,{tmp_path}/tmp,{tmp_path}/elsewhere/{FQRN}", FQRN)
    conf = (tmp_path / "etc/cvmfs/repositories.d" / FQRN / "server.conf").read_text()
    for text in (f"{tmp_path}/elsewhere/{FQRN}", "http://proxy:3128", "overlayfs"):
        assert text in conf
    assert machine.keys == [f"{FQRN}.crt", f"{FQRN}.key", f"{FQRN}.pub"]
    assert "no problems found" in machine.run("check", FQRN)


def test_a_wrong_pin_and_a_card_of_somebody_else_sign_nothing(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.run("masterkeycard", "-s", FQRN)
    machine.server.places.keys.master.rename(machine.prefix / "safe")
    before = (machine.server.places.storage / ".cvmfswhitelist").read_bytes()
    monkeypatch.setenv("CVMFS_MASTERKEYCARD_PIN", "1111")
    assert "PIN_INCORRECT" in machine.run("resign", FQRN, code=PublishError.exit_code)
    monkeypatch.setenv("CVMFS_MASTERKEYCARD_PIN", PIN)
    machine.run("mkfs", "other.example.org")
    machine.run("masterkeycard", "-s", "-f", "other.example.org")
    assert "does not belong to" in machine.run("resign", FQRN, code=PublishError.exit_code)
    assert (machine.server.places.storage / ".cvmfswhitelist").read_bytes() == before


def test_a_card_without_its_certificate_is_not_used(machine: Machine) -> None:
    machine.run("masterkeycard", "-s", FQRN)
    machine.server.places.keys.master.rename(machine.prefix / "safe")
    machine.run("masterkeycard", "-d", "-f")
    said = machine.run("resign", FQRN, code=NotFound.exit_code)
    assert "-k DIR or FILE" in said
    assert "nor is it on a smart card" in said.lower()


def test_an_action_is_one_and_takes_the_names_that_it_needs(machine: Machine) -> None:
    for words in ((), ("-a", FQRN), ("-a", "-k"), ("-s",), ("-s", FQRN, "other.example.org")):
        machine.run("masterkeycard", *words, code=UsageError.exit_code)
    machine.run("masterkeycard", "-s", "other.example.org", code=NotFound.exit_code)


def test_a_machine_without_a_card_or_program_says_so() -> None:
    with pytest.raises(NotFound, match="opensc"):
        SmartCard(environment={"PATH": "/nowhere"}).check_available()
    with pytest.raises(NotFound, match="no smart card in a reader"):
        SmartCard(module="/nowhere.so", environment=dict(os.environ)).check_available()
