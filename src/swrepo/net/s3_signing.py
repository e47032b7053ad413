"""Signatures of requests to S3, versions 4 and 2: headers in, headers out; no I/O.

Version 4: https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html; version 2:
https://docs.aws.amazon.com/AmazonS3/latest/userguide/RESTAuthentication.html
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from email.utils import format_datetime
from urllib.parse import quote

from swrepo.net.s3_settings import Flavor, S3Settings

EMPTY_SHA256 = hashlib.sha256(b"").hexdigest()


@dataclass(frozen=True, slots=True)
class S3Request:
    """`key` is empty for the bucket itself. `sha256` is that of the body, in hex."""

    method: str
    key: str = ""
    query: tuple[tuple[str, str], ...] = ()
    content_type: str = ""
    acl: str = ""
    sha256: str = EMPTY_SHA256

    def url(self, settings: S3Settings) -> str:
        """Where it goes."""
        scheme = "https" if settings.https else "http"
        query = f"?{_query(self.query)}" if self.query else ""
        return f"{scheme}://{settings.authority}{quote(settings.path(self.key), safe='/~')}{query}"


def signed(request: S3Request, settings: S3Settings, now: datetime) -> dict[str, str]:
    """The headers that a request needs, with its signature; `now` in UTC."""
    return _signed_v4(request, settings, now) if settings.flavor is Flavor.V4 else _signed_v2(request, settings, now)


def _signed_v4(request: S3Request, settings: S3Settings, now: datetime) -> dict[str, str]:
    stamp = f"{now:%Y%m%dT%H%M%SZ}"
    headers = {"x-amz-content-sha256": request.sha256, "x-amz-date": stamp, **_common(request)}
    covered = {**headers, "host": settings.authority}
    names = ";".join(sorted(covered))
    canonical = "\n".join(
        (
            request.method,
            quote(settings.path(request.key), safe="/~"),
            _query(request.query),
            *(f"{name}:{covered[name]}" for name in sorted(covered)),
            "",
            names,
            request.sha256,
        )
    )
    scope = f"{stamp[:8]}/{settings.region}/s3/aws4_request"
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    key = f"AWS4{settings.secret_key}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    signature = hmac.digest(key, f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{digest}".encode(), "sha256").hex()
    credential = f"{settings.access_key}/{scope}"
    headers["authorization"] = f"AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders={names}, Signature={signature}"
    return headers


def _signed_v2(request: S3Request, settings: S3Settings, now: datetime) -> dict[str, str]:
    date = format_datetime(now, usegmt=True)
    acl = f"x-amz-acl:{request.acl}\n" if request.acl else ""
    bucket = f"/{settings.bucket}" if settings.dns_buckets else ""  # else it is part of the path
    resource = quote(bucket + settings.path(request.key), safe="/~")
    text = f"{request.method}\n\n{request.content_type}\n{date}\n{acl}{resource}"
    signature = hmac.digest(settings.secret_key.encode(), text.encode(), "sha1")
    return {
        "date": date,
        **_common(request),
        "authorization": f"AWS {settings.access_key}:{base64.b64encode(signature).decode('ascii')}",
    }


def _common(request: S3Request) -> Mapping[str, str]:
    pairs = {"content-type": request.content_type, "x-amz-acl": request.acl}
    return {name: value for name, value in pairs.items() if value}


def _query(pairs: tuple[tuple[str, str], ...]) -> str:
    return "&".join(f"{quote(name, safe='~')}={quote(value, safe='~')}" for name, value in sorted(pairs))
