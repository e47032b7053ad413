"""Whom a client trusts: master public keys and blacklists, from their files."""

from __future__ import annotations

from pathlib import Path

from swrepo.errors import ConfigError, FormatError
from swrepo.format import blacklist
from swrepo.format.blacklist import Blacklist
from swrepo.trust.chain import TrustAnchors
from swrepo.trust.keys import PublicKey


def trust_anchors(keys: tuple[Path, ...], blacklists: tuple[Path, ...]) -> TrustAnchors:
    """Read them all; ConfigError names the file that cannot be read, or holds no key."""
    return TrustAnchors(_keys(keys), _blacklist(blacklists))


def _keys(paths: tuple[Path, ...]) -> tuple[PublicKey, ...]:
    found: list[PublicKey] = []
    for path in paths:
        try:
            found.extend(PublicKey.parse_all(path.read_bytes()))
        except OSError as error:
            raise ConfigError(f"cannot read the public key {path}: {error.strerror}") from error
        except FormatError as error:
            raise ConfigError(f"{path} holds no public key: {error}") from error
    return tuple(found)


def _blacklist(paths: tuple[Path, ...]) -> Blacklist:
    text = ""
    for path in paths:
        try:
            text += path.read_text("utf-8", "replace") + "\n"
        except OSError as error:
            raise ConfigError(f"cannot read the blacklist {path}: {error.strerror}") from error
    return blacklist.parse(text)
