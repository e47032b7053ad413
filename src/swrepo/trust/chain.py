"""From the master key to a manifest that may be believed: who may sign, in one legal order. Does no input or output.

    master public key  --signs-->  whitelist  --lists-->  certificate  --signs-->  manifest  --names-->  root catalog

The documents arrive in the order in which they can be fetched: the manifest (it names the certificate, and is only a
claim until the end), the whitelist, the certificate; then `seal`. This module is the only maker of a `TrustedManifest`.

Source: format.md 3 and 4.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from swrepo.errors import (
    CertificateBlacklisted,
    CertificateNotListed,
    ConfigError,
    FormatError,
    ManifestTampered,
    RevisionBlacklisted,
    Rollback,
    UntrustedSignature,
    WhitelistExpired,
    WhitelistTampered,
    WrongRepository,
)
from swrepo.format import envelope, manifest, whitelist
from swrepo.format.blacklist import Blacklist
from swrepo.format.breadcrumb import Breadcrumb
from swrepo.format.envelope import Envelope
from swrepo.format.manifest import Manifest
from swrepo.format.object_id import ObjectId
from swrepo.format.wellknown import MAX_FQRN
from swrepo.format.whitelist import Whitelist
from swrepo.trust.keys import Certificate, PublicKey, sha1_digest_info

_MAKER = object()


@dataclass(frozen=True, slots=True)
class TrustAnchors:
    """What a client believes beforehand: master public keys, and what its administrator has banned."""

    keys: tuple[PublicKey, ...]
    blacklist: Blacklist = field(default_factory=Blacklist)

    def __post_init__(self) -> None:
        if not self.keys:
            raise ConfigError("no public key is configured, so no repository can be trusted; name one with --key FILE")


@dataclass(frozen=True, slots=True)
class TrustedManifest:
    """A manifest that the whole chain vouches for. Only `Chain.seal` makes one.

    `raw` are its bytes as fetched; `valid_until` is the whitelist's expiry, after which no new manifest is believed.
    """

    manifest: Manifest
    raw: bytes
    fqrn: str
    valid_until: datetime
    _maker: object = field(repr=False, compare=False)

    def __post_init__(self) -> None:
        if self._maker is not _MAKER:
            raise TypeError("only trust.chain makes a TrustedManifest")

    @property
    def breadcrumb(self) -> Breadcrumb:
        """What a client remembers so that it accepts nothing older."""
        found = self.manifest
        return Breadcrumb(found.root_catalog, found.timestamp or 0, found.revision)


class Chain:
    """The decision about one manifest: `manifest`, `whitelist`, `certificate`, `seal`, each once and in this order.

    Each step raises the TrustError (or CorruptCertificate) that tells why the repository is refused, after which the
    chain is of no more use. A step out of order is a mistake in the program: RuntimeError. For one thread.
    """

    def __init__(self, fqrn: str, anchors: TrustAnchors, now: datetime) -> None:
        self._fqrn = fqrn
        self._anchors = anchors
        self._now = now
        self._next_step = "manifest"

    def manifest(self, raw: bytes) -> ObjectId:
        """Take `.cvmfspublished`; the certificate that it claims to be signed with."""
        self._step("manifest")
        document = _open(raw, "manifest .cvmfspublished", ManifestTampered)
        try:
            claim = manifest.parse(document.body)
        except FormatError as error:
            raise ManifestTampered(f"the manifest of {self._fqrn} cannot be read: {error}") from error
        if claim.fqrn != self._fqrn:
            raise WrongRepository(
                f"the manifest is that of {(claim.fqrn or '')[:MAX_FQRN]!r}, not of {self._fqrn}; check the URL"
            )
        if claim.certificate is None:
            raise UntrustedSignature(f"the manifest of {self._fqrn} names no certificate, so nothing vouches for it")
        self._raw, self._document, self._claim = raw, document, claim
        self._next_step = "whitelist"
        return claim.certificate

    def whitelist(self, raw: bytes) -> None:
        """Take `.cvmfswhitelist`: signed by a master key, of this repository, not expired."""
        self._step("whitelist")
        document = _open(raw, "whitelist .cvmfswhitelist", WhitelistTampered)
        content = document.hash_text.encode()
        if not any(key.has_signed(content, document.signature) for key in self._anchors.keys):
            raise UntrustedSignature(
                f"the whitelist of {self._fqrn} is signed by none of the {len(self._anchors.keys)} configured public "
                "keys, or its signature was altered; get the repository's .pub file from its owner"
            )
        try:
            listed = whitelist.parse(document.body)
        except FormatError as error:
            raise WhitelistTampered(f"the whitelist of {self._fqrn} cannot be read: {error}") from error
        self._check_whitelist(listed)
        self._listed = listed
        self._next_step = "certificate"

    def certificate(self, pem: bytes) -> None:
        """Take the certificate (plain bytes): not banned, listed, and the manifest's signer."""
        self._step("certificate")
        certificate = Certificate.parse(pem)
        _check_listed(certificate, self._anchors.blacklist, self._listed)
        signed = sha1_digest_info(self._document.hash_text)
        if not certificate.public_key.has_signed(signed, self._document.signature):
            raise UntrustedSignature(
                f"the manifest of {self._fqrn} was not signed with the key of its certificate, or its signature was "
                "altered"
            )
        self._next_step = "seal"

    def seal(self, last_seen: Breadcrumb | None = None) -> TrustedManifest:
        """The trusted manifest, unless it is banned, or older than `last_seen` (None: nothing was seen yet)."""
        self._step("seal")
        claim = self._claim
        first = self._anchors.blacklist.first_revisions.get(self._fqrn, 0)
        if claim.revision < first:
            raise RevisionBlacklisted(
                f"revision {claim.revision} of {self._fqrn} is blacklisted; {first} is the first that is not"
            )
        if last_seen is not None:
            _check_not_older(self._fqrn, claim, last_seen)
        self._next_step = "nothing"
        return TrustedManifest(claim, self._raw, self._fqrn, self._listed.expires, _MAKER)

    def _step(self, name: str) -> None:
        if self._next_step != name:
            raise RuntimeError(f"the chain of trust expects {self._next_step}, not {name}")
        self._next_step = "nothing"  # unless the step succeeds: then it says what comes next

    def _check_whitelist(self, listed: Whitelist) -> None:
        if listed.fqrn != self._fqrn:
            raise WrongRepository(f"the whitelist is that of {listed.fqrn[:MAX_FQRN]!r}, not of {self._fqrn}")
        if listed.has_expired(self._now):
            raise WhitelistExpired(
                f"the whitelist of {self._fqrn} expired on {listed.expires:%Y-%m-%d %H:%M} UTC and now is "
                f"{self._now:%Y-%m-%d %H:%M}; its owner has to sign it again (or this machine's clock is wrong)"
            )


def _open(raw: bytes, what: str, refusal: type[ManifestTampered | WhitelistTampered]) -> Envelope:
    try:
        document = envelope.split(raw)
    except FormatError as error:
        raise refusal(f"the {what} is not in order: {error}") from error
    if not document.matches_own_hash:
        raise refusal(f"the {what} was altered: its text does not match its own hash line")
    return document


def _check_listed(certificate: Certificate, blacklist: Blacklist, listed: Whitelist) -> None:
    # Each list may use any hash; a certificate is on it when one of its fingerprints is.
    for entry in blacklist.fingerprints:
        if certificate.fingerprint(entry.algorithm) == entry:
            raise CertificateBlacklisted(f"the certificate {entry} of {listed.fqrn} is on the blacklist")
    if all(certificate.fingerprint(entry.algorithm) != entry for entry in listed.fingerprints):
        raise CertificateNotListed(
            f"the certificate that {listed.fqrn} is signed with is not on its whitelist; "
            "its owner has to put it there and sign the whitelist again"
        )


def _check_not_older(fqrn: str, claim: Manifest, last_seen: Breadcrumb) -> None:
    published = claim.timestamp or 0
    if claim.revision < last_seen.revision or published < last_seen.timestamp:
        raise Rollback(
            f"the manifest of {fqrn} (revision {claim.revision}, published at {published}) is older than one already "
            f"seen (revision {last_seen.revision}, {last_seen.timestamp}): a stale copy, or someone replays it"
        )
