"""Configuration files and keys: unreadable, misspelt, without effect, expired."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from swrepo.cli.configured import full_name, settings
from swrepo.cli.diagnosis.finding import Finding, error, ok, warning
from swrepo.cli.places import Places
from swrepo.config.parameters import interpret, warnings
from swrepo.errors import ConfigError, FormatError, SwrepoError
from swrepo.trust.keys import PublicKey


def configuration(names: Sequence[str], places: Places) -> Iterator[Finding]:
    """What the files say in general, and of the repositories `names`."""
    said: set[str] = set()
    files: set[str] = set()
    for name in (None, *names):
        try:
            found = settings(full_name(name, places) if name is not None else None, places)
            files |= {setting.origin.rpartition(":")[0] for setting in found.values()}
            interpret(found)
        except SwrepoError as failure:
            if str(failure) not in said:
                said.add(str(failure))
                yield error("configuration", str(failure), _mend(failure))
            continue
        for sentence in warnings(found):
            if sentence not in said:
                said.add(sentence)
                origin = sentence.partition(": ")[0]
                yield warning("configuration", sentence, f"correct or remove the line: {origin}")
    if not said:
        where = ", ".join(map(str, places.configurations))
        yield ok("configuration", f"{len(files)} files of {where} in use" if files else f"no files in {where}")


def _mend(failure: SwrepoError) -> str:
    if isinstance(failure, ConfigError) and "cannot read" in str(failure):
        return "let this user read it: chmod a+r FILE"
    return "correct it; 'swrepo config explain PARAMETER' says what fits"


def keys(places: Places) -> Iterator[Finding]:
    """Master keys that are trusted here."""
    good = 0
    for directory in places.keys:
        for path in sorted(directory.glob("*.pub")):
            problem = _problem(path)
            good += problem is None
            if problem is not None:
                yield problem
    if good:
        yield ok("keys", f"{good} files of master keys can be read")


def _problem(path: Path) -> Finding | None:
    try:
        PublicKey.parse_all(path.read_bytes())
    except OSError as failure:
        return error("keys", f"{path} cannot be read: {failure.strerror}", f"chmod a+r {path}")
    except FormatError as failure:
        return error("keys", f"{path} holds no public key: {failure}", "get it again from the repository's owner")
    return None
