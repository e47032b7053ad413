"""How a bucket is reached: the CVMFS_S3_ parameters of the file that `CVMFS_UPSTREAM_STORAGE` names.

Source: features.md 7; the defaults are the original's.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from swrepo.config import assignments
from swrepo.config.files import Setting
from swrepo.config.table import server
from swrepo.config.values import Values
from swrepo.errors import ConfigError, NotFound

_ACLS = (
    "private",
    "public-read",
    "public-write",
    "authenticated-read",
    "aws-exec-read",
    "bucket-owner-read",
    "bucket-owner-full-control",
)
_DEFAULT_REGION = "us-east-1"


class Flavor(StrEnum):
    """How requests are signed."""

    V4 = "awsv4"
    V2 = "awsv2"


@dataclass(frozen=True, slots=True)
class S3Settings:
    """`host` with the port where it is not the usual one. `acl` may be empty. `timeout` in seconds."""

    host: str
    bucket: str
    access_key: str
    secret_key: str
    https: bool = False
    dns_buckets: bool = True
    flavor: Flavor = Flavor.V4
    region: str = _DEFAULT_REGION
    acl: str = "public-read"
    peek: bool = True
    connections: int = 16
    retries: int = 3
    timeout: int = 60
    proxy: str = ""

    @property
    def authority(self) -> str:
        """Host, and port where it is not the usual one, of every request."""
        return f"{self.bucket}.{self.host}" if self.dns_buckets else self.host

    def path(self, key: str) -> str:
        """The path of a key, not escaped; of the bucket itself with an empty key."""
        return f"/{key}" if self.dns_buckets else f"/{self.bucket}/{key}" if key else f"/{self.bucket}"

    def __repr__(self) -> str:
        """Without the secret."""
        return f"S3Settings({self.host}, {self.bucket})"


def load(path: Path) -> S3Settings:
    """Read the file. NotFound where there is none, ConfigError where something in it is missing or wrong."""
    try:
        text = path.read_text("utf-8", "surrogateescape")
    except FileNotFoundError as error:
        raise NotFound(f"the file {path}, which says how the bucket is reached, is missing") from error
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}; the repository's owner has to be able to") from error
    found = {item.name: Setting(item.value, f"{path}:{item.line}") for item in assignments.parse(text, str(path))}
    remarks = list(server.remarks({name: item for name, item in found.items() if name.startswith("CVMFS_S3_")}))
    if remarks:
        raise ConfigError("; ".join(remarks))
    return _settings(Values(found), path)


def _settings(values: Values, path: Path) -> S3Settings:
    https = values.switch("CVMFS_S3_USE_HTTPS", default=False)
    port = values.number("CVMFS_S3_PORT", 443 if https else 80, 1, 65535)
    host = _needed(values, path, "CVMFS_S3_HOST")
    region = values.text("CVMFS_S3_REGION")
    flavor = values.text("CVMFS_S3_FLAVOR") or (Flavor.V4 if region else Flavor.V2)
    if flavor not in set(Flavor):
        raise values.refuse("CVMFS_S3_FLAVOR", "awsv4 or awsv2 (Azure's own protocol is not there yet)")
    acl = "public-read" if "CVMFS_S3_X_AMZ_ACL" not in values.settings else values.text("CVMFS_S3_X_AMZ_ACL") or ""
    if acl and acl not in _ACLS:
        raise values.refuse("CVMFS_S3_X_AMZ_ACL", f"empty or one of {', '.join(_ACLS)}")
    return S3Settings(
        host=host if port == (443 if https else 80) else f"{host}:{port}",
        bucket=_needed(values, path, "CVMFS_S3_BUCKET"),
        access_key=_needed(values, path, "CVMFS_S3_ACCESS_KEY"),
        secret_key=_needed(values, path, "CVMFS_S3_SECRET_KEY"),
        https=https,
        dns_buckets=values.switch("CVMFS_S3_DNS_BUCKETS", default=True),
        flavor=Flavor(flavor),
        region=region or _DEFAULT_REGION,
        acl=acl,
        peek=values.switch("CVMFS_S3_PEEK_BEFORE_PUT", default=True),
        connections=values.number("CVMFS_S3_MAX_NUMBER_OF_PARALLEL_CONNECTIONS", 16, 1, 1000),
        retries=values.number("CVMFS_S3_MAX_RETRIES", 3, 0, 1000),
        timeout=values.number("CVMFS_S3_TIMEOUT", 60, 1),
        proxy=values.text("CVMFS_S3_PROXY") or "",
    )


def _needed(values: Values, path: Path, name: str) -> str:
    text = values.text(name)
    if text is None:
        raise ConfigError(f"{path} does not set {name}")
    return text
