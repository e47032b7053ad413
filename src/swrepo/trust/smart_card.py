"""A master key on a smart card, by OpenSC's `pkcs11-tool`: its certificate, its signatures, putting one there.

The private key never leaves the card. Cards of the PIV standard (YubiKey) keep the key for signatures in slot 9c, which
PKCS#11 shows with the identifier 02; that is where CernVM-FS keeps a master key.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives import serialization

from swrepo.errors import NotFound, PublishError
from swrepo.trust.der import public_key_info
from swrepo.trust.keys import Certificate, PublicKey
from swrepo.trust.signer import SigningKey

DEFAULT_PIN = "123456"
"""That of a new YubiKey, and so the original's default."""

CARD_DAYS = 7
"""For how long a whitelist is signed by a card that is at hand: shorter than by a key that lies in a safe."""

_PROGRAM = "pkcs11-tool"
_IMPORTER = "yubico-piv-tool"
_PIN_VARIABLE = "SWREPO_CARD_PIN"
_IDENTIFIER, _SLOT = "02", "9c"
_SECONDS = 60


@dataclass(frozen=True, slots=True)
class SmartCard:
    """The card in this machine's reader. `module`: the PKCS#11 library for it, "" for OpenSC's own.

    Every method raises NotFound where there is no card or no program for it, PublishError where it refuses.
    """

    pin: str = field(default=DEFAULT_PIN, repr=False)
    module: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)

    def check_available(self) -> None:
        """NotFound, with the reason, where no card can be used."""
        if shutil.which(_PROGRAM, path=self._path) is None:
            raise NotFound(f"{_PROGRAM} is not installed, so no smart card can be used (package opensc)")
        done = self._run("--list-token-slots")
        if done.returncode != 0 or b"token label" not in done.stdout:
            raise NotFound(f"there is no smart card in a reader of this machine: {_reason(done) or 'none is seen'}")

    def certificate(self) -> Certificate:
        """The certificate of the master key. NotFound where the card has none."""
        self.check_available()
        with _scratch() as directory:
            found = directory / "certificate"
            self._run("--read-object", "--type", "cert", "--id", _IDENTIFIER, "--output-file", str(found))
            if not found.exists() or not found.stat().st_size:
                raise NotFound(
                    "the smart card holds no certificate of a master key; 'masterkeycard -s NAME' stores one"
                )
            der = found.read_bytes()
            return Certificate(der, PublicKey.of(public_key_info(der)))

    @property
    def public_key(self) -> PublicKey:
        """That of the master key on the card."""
        return self.certificate().public_key

    def sign(self, content: bytes) -> bytes:
        """As `SigningKey.sign`. A signature that does not fit the certificate on the card is an error: PublishError."""
        self.check_available()
        with _scratch() as directory:
            source, target = directory / "content", directory / "signature"
            source.write_bytes(content)
            files = ("--input-file", str(source), "--output-file", str(target))
            done = self._run("--sign", "--id", _IDENTIFIER, "--mechanism", "RSA-PKCS", *files, login=True)
            signature = target.read_bytes() if done.returncode == 0 and target.exists() else b""
        if not signature:
            raise PublishError(f"the smart card signs nothing (is CVMFS_MASTERKEYCARD_PIN right?): {_reason(done)}")
        if not self.public_key.has_signed(content, signature):
            raise PublishError(
                "the smart card's signature does not fit its certificate; store key and certificate anew"
            )
        return signature

    def store(self, key: SigningKey, certificate_pem: bytes) -> None:
        """Put a master key there, with its certificate, in place of what is there."""
        self.check_available()
        with _scratch() as directory:
            secret, certificate = directory / "key", directory / "certificate"
            if not self.module and shutil.which(_IMPORTER, path=self._path) is not None:
                secret.write_bytes(key.pem)
                certificate.write_bytes(certificate_pem)
                steps = [[_IMPORTER, "-s", _SLOT, "-i", str(secret), "-a", "import-key"]]
                steps += [[_IMPORTER, "-s", _SLOT, "-i", str(certificate), "-a", "import-cert"]]
            else:
                self._remove_objects()
                private = serialization.load_pem_private_key(key.pem, password=None)
                no_phrase = serialization.NoEncryption()
                form = serialization.PrivateFormat.TraditionalOpenSSL
                secret.write_bytes(private.private_bytes(serialization.Encoding.DER, form, no_phrase))
                certificate.write_bytes(Certificate.parse(certificate_pem).der)
                steps = [
                    self._writing(secret, "privkey", "--usage-sign", "--sensitive"),
                    self._writing(certificate, "cert"),
                ]
            for step in steps:
                done = self._execute(step)
                if done.returncode != 0:
                    raise PublishError(f"the smart card takes no key: {_reason(done)}")

    def delete_certificate(self) -> None:
        """Without it the key is not used any more; the key itself stays."""
        self.certificate()
        if not self.module and shutil.which(_IMPORTER, path=self._path) is not None:
            done = self._execute([_IMPORTER, "-s", _SLOT, "-a", "delete-certificate"])
        else:
            done = self._run("--delete-object", "--type", "cert", "--id", _IDENTIFIER, login=True)
        if done.returncode != 0:
            raise PublishError(f"the smart card deletes no certificate: {_reason(done)}")

    def _remove_objects(self) -> None:
        """What a new key takes the place of; nothing is said of what is not there."""
        for kind in ("cert", "privkey"):
            self._run("--delete-object", "--type", kind, "--id", _IDENTIFIER, login=True)

    def _writing(self, file: Path, kind: str, *options: str) -> list[str]:
        words = ["--write-object", str(file), "--type", kind, "--id", _IDENTIFIER, "--label", "master key"]
        return [*self._command(login=True), *words, *options]

    def _run(self, *words: str, login: bool = False) -> subprocess.CompletedProcess[bytes]:
        return self._execute([*self._command(login=login), *words])

    def _command(self, *, login: bool) -> list[str]:
        module = ["--module", self.module] if self.module else []
        return [_PROGRAM, *module, *(["--login", "--pin", f"env:{_PIN_VARIABLE}"] if login else [])]

    def _execute(self, command: list[str]) -> subprocess.CompletedProcess[bytes]:
        """The PIN goes by the environment: everybody sees the words of a command."""
        environment = {**self.environment, _PIN_VARIABLE: self.pin}
        try:
            return subprocess.run(
                command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, timeout=_SECONDS, check=False
            )
        except FileNotFoundError as error:
            raise NotFound(f"{command[0]} is not installed, so no smart card can be used (package opensc)") from error
        except subprocess.TimeoutExpired as error:
            raise PublishError(f"the smart card did not answer within {_SECONDS} seconds") from error

    @property
    def _path(self) -> str:
        return self.environment.get("PATH", os.defpath)


@contextmanager
def _scratch() -> Iterator[Path]:
    """In memory, where there is a directory for that: a private key is in there for a moment."""
    memory = "/dev/shm"  # noqa: S108 - a directory of mode 0700 is made in it
    with tempfile.TemporaryDirectory(prefix="swrepo-", dir=memory if os.access(memory, os.W_OK) else None) as found:
        yield Path(found)


def _reason(done: subprocess.CompletedProcess[bytes]) -> str:
    lines = (done.stderr or done.stdout).decode("utf-8", "replace").strip().splitlines()
    errors = [line.removeprefix("error: ") for line in lines if line.startswith("error: ")]
    return (errors or lines or [""])[-1]
