"""Keep the master key of repositories on a smart card, which then signs their whitelists (a YubiKey, for one).

One card holds one key, which may be that of many repositories. `pkcs11-tool` (package opensc) must be there, and to
store a key on a YubiKey `yubico-piv-tool`. The PIN is CVMFS_MASTERKEYCARD_PIN, in the environment or in
/etc/cvmfs/server.local; another PKCS#11 library than OpenSC's is SWREPO_MASTERKEYCARD_MODULE.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from swrepo.cli.output import note

if TYPE_CHECKING:
    from swrepo.publish.layout import ServerLayout
    from swrepo.trust.smart_card import SmartCard

EXAMPLE = """
cvmfs_server masterkeycard -s dair.cvmfs.server        # then back up its .masterkey, on media in a safe
cvmfs_server masterkeycard -c dair.cvmfs.server 'sw.*' # remove their .masterkey: the card signs from now on
"""

_CENTURY = 36500


def configure(parser: argparse.ArgumentParser) -> None:
    what = parser.add_mutually_exclusive_group(required=True)
    actions = (
        ("-a", "say whether a card is there"),
        ("-k", "say whether it holds a master key"),
        ("-r", "print the master key's public key"),
        ("-s", "store the master key of NAME on the card"),
        ("-d", "delete the certificate from the card: it is not used any more"),
        ("-c", "let the card sign for these repositories, and remove their master key files"),
    )
    for option, text in actions:
        what.add_argument(option, dest="action", action="store_const", const=option[1], help=text)
    parser.add_argument("-f", dest="force", action="store_true", help="do not ask")
    parser.add_argument("repositories", nargs="*", metavar="NAME", help="for -s one, for -c also patterns ('sw.*')")


def run(args: argparse.Namespace) -> int:
    from swrepo.cli import server_side
    from swrepo.cli.cards import smart_card
    from swrepo.errors import UsageError

    server = server_side.layout()
    card = smart_card(server)
    if args.repositories and args.action not in "sc":
        raise UsageError(f"-{args.action} takes no name of a repository")
    if args.action == "a":
        card.check_available()
        print("masterkeycard is available")
    elif args.action == "k":
        card.certificate()
        print("masterkeycard key is available")
    elif args.action == "r":
        print(card.public_key.pem.decode(), end="")
    elif args.action == "s":
        return _store(server, card, args)
    elif args.action == "d":
        return _delete(card, args)
    else:
        return _convert(server, card, server_side.several(server, args.repositories), args)
    return 0


def _store(server: ServerLayout, card: SmartCard, args: argparse.Namespace) -> int:
    from datetime import UTC, datetime

    from swrepo.cli.confirming import confirm
    from swrepo.errors import NotFound, UsageError
    from swrepo.trust.signer import SigningKey

    if len(args.repositories) != 1:
        raise UsageError("-s needs the name of the repository whose master key is to be stored")
    (fqrn,) = args.repositories
    keys = server.repository(fqrn).keys
    if not keys.master.exists():
        raise NotFound(f"there is no master key {keys.master}")
    if not args.force:
        try:
            card.certificate()
        except NotFound:
            card.check_available()
        else:
            if not confirm("overwrite the key that the card holds"):
                return 1
    key = SigningKey.load(keys.master.read_bytes())
    card.store(key, key.make_certificate(fqrn, datetime.now(UTC), _CENTURY))
    print(f"the card holds the master key of {fqrn}")
    print(f"Now back up {keys.master} on media in safe places, then: cvmfs_server masterkeycard -c {fqrn}")
    return 0


def _delete(card: SmartCard, args: argparse.Namespace) -> int:
    from swrepo.cli.confirming import confirm

    card.certificate()
    if not args.force and not confirm("delete the certificate on the card"):
        return 1
    card.delete_certificate()
    print("the certificate is deleted; the key itself is still on the card: keep it safe, or store another key there")
    return 0


def _convert(server: ServerLayout, card: SmartCard, names: list[str], args: argparse.Namespace) -> int:
    from swrepo.cli.confirming import confirm
    from swrepo.errors import SwrepoError, UsageError
    from swrepo.publish.card_keys import rely_on_card
    from swrepo.publish.replica_settings import is_replica

    for fqrn in names:
        if is_replica(server.repository(fqrn)):
            raise UsageError(f"{fqrn} is a replica: its whitelist is signed elsewhere")
    key = card.public_key
    if not args.force:
        print(f"repositories: {' '.join(names)}")
        if not confirm("remove their master keys for ever, and give clients the card's public key"):
            return 1
    code = 0
    for fqrn in names:
        try:
            ends = rely_on_card(server.repository(fqrn), card, key)
        except SwrepoError as error:
            note(f"{fqrn}: {error}")
            code = error.exit_code
            continue
        print(f"{fqrn}: the card signs its whitelist, which is valid until {ends:%Y-%m-%d %H:%M} UTC")
    return code
