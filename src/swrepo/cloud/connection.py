"""A connection to a cloud, and the one border at which the library's errors become ours."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from swrepo.errors import CloudRefused, ConfigError, NotFound, PermissionRefused, SwrepoError, Unreachable

Connection = Any
"""An openstack.connection.Connection; the library has types for half of what it does."""

_TOO_LARGE, _TOO_MANY = 413, 429
_EXTRA = "clouds need more packages than are here: pip install 'swrepo[cloud]'"


def connect(cloud: str | None) -> Connection:
    """Connect to a cloud of clouds.yaml by its name, or, with None, to the one that OS_CLOUD or OS_* variables tell.

    ConfigError where there is none of that name, PermissionRefused where it does not take the credentials.
    """
    try:
        import openstack
    except ImportError as error:
        raise ConfigError(_EXTRA) from error
    with refusals(f"connecting to {cloud or 'the cloud of the environment'}"):
        connection = openstack.connect(cloud=cloud, app_name="swrepo")
        connection.authorize()
        return connection


@contextmanager
def refusals(doing: str) -> Iterator[None]:
    """What a cloud refuses in this block is raised as an error of ours that says what was being done."""
    try:
        from keystoneauth1.exceptions import ClientException
        from openstack.exceptions import SDKException
        from requests import RequestException
    except ImportError as error:
        raise ConfigError(_EXTRA) from error
    try:
        yield
    except (SDKException, ClientException, RequestException) as error:
        # The library's own class says nothing; what it came from does.
        cause = error.__cause__ or error.__context__ if type(error) is SDKException else None
        raise _ours(doing, cause or error) from error


def _ours(doing: str, error: BaseException) -> SwrepoError:
    """The error of ours that says the same."""
    import keystoneauth1.exceptions as auth
    import openstack.exceptions as sdk
    import requests

    text = _text(error)
    lacks = isinstance(error, sdk.ConfigException) and " service " in text and "not found" in text
    if lacks or isinstance(error, (auth.EndpointNotFound, auth.CatalogException, sdk.EndpointNotFound)):
        return NotFound(f"{doing}: this cloud has no such service: {text}")
    if isinstance(error, (sdk.ConfigException, auth.MissingRequiredOptions)):
        hint = "name one of clouds.yaml with --cloud, or source the cloud's RC file"
        return ConfigError(f"{doing}: {text}; {hint}")
    if isinstance(error, auth.Unauthorized):
        return PermissionRefused(f"{doing}: the cloud does not take these credentials: {text}")
    broken = (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError)
    if isinstance(error, (auth.ConnectFailure, auth.DiscoveryFailure, *broken)):
        return Unreachable(f"{doing}: the cloud does not answer: {text}")
    if isinstance(error, sdk.NotFoundException):
        return NotFound(f"{doing}: {text}")
    if isinstance(error, sdk.HttpException):
        return _refused(doing, error)
    return CloudRefused(f"{doing}: {text}")


def _refused(doing: str, error: Any) -> SwrepoError:
    text = _text(error)
    status = getattr(error, "status_code", None) or getattr(getattr(error, "response", None), "status_code", None)
    if status in (_TOO_LARGE, _TOO_MANY) or "quota" in text.lower() or "exceed" in text.lower():
        return CloudRefused(f"{doing}: the quota of this project is used up: {text}")
    if status in (401, 403):
        return PermissionRefused(f"{doing}: this account may not do that: {text}")
    return CloudRefused(f"{doing}: {text}")


def _text(error: BaseException) -> str:
    details = getattr(error, "details", None) or getattr(error, "message", None) or str(error)
    return " ".join(str(details).split()) or type(error).__name__
