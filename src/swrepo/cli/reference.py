"""Writes the parts of docs/ that are made from the program itself: parameters, exit codes, commands.

`python -m swrepo.cli.reference docs` (or `make docs`) writes them; a test holds that they are current.
"""

from __future__ import annotations

import io
import os
import re
import sys
from collections.abc import Iterable, Iterator
from contextlib import redirect_stdout, suppress
from pathlib import Path

from swrepo import errors
from swrepo.cli import exits
from swrepo.cli.main import COMMANDS, PROGRAM, Entry, main
from swrepo.config.parameter import Parameter, Standing
from swrepo.config.table import server
from swrepo.config.table.client import SECTIONS

_NOTE = "<!-- Made from the program by `make docs`; edit there. -->\n"

_CONFIGURATION = """\
# Configuration

A client works without any file: `swrepo mount URL DIR --key FILE`. `PointToCVMFS HOST` writes the files for a server.

## Files
Read in this order, each overriding what came before; those in brackets are in the configuration repository:

1. `default.conf`, `default.d/*.conf`, [`default.conf`], `default.local`
2. [`domain.d/DOMAIN.conf`], `domain.d/DOMAIN.conf`, `domain.d/DOMAIN.local`: for repositories whose name ends in
   `.DOMAIN`
3. [`config.d/NAME.conf`], `config.d/NAME.conf`, `config.d/NAME.local`: for the repository `NAME`
4. `-o PARAMETER=VALUE` and `--proxy` on the command line

They lie in `/etc/cvmfs`. An ordinary user's own ones, in `$XDG_CONFIG_HOME/swrepo` (`~/.config/swrepo`), are read after
the machine's at each step. `SWREPO_PREFIX=/somewhere` moves everything below `/somewhere`. Master keys that are trusted
lie in `keys` beside these files, unless `CVMFS_KEYS_DIR` or `CVMFS_PUBLIC_KEY` says otherwise.

`CVMFS_CONFIG_REPOSITORY=NAME`, in `default.conf` or `default.d`, names the configuration repository. Its `etc/cvmfs` is
read without a mount and copied once a revision to `config-repository` beside the caches; keys and a blacklist in it
count, wherever `/cvmfs` is. Where it cannot be read, a warning says so, and the files of the machine hold; with
`CVMFS_CONFIG_REPO_REQUIRED=yes` that is an error.

A line is `PARAMETER=value`, as in a shell, but no shell is started. Understood are quotes, comments, `export` and
`readonly`, lines that end in a backslash, `$NAME`, `${{NAME}}`, `${{NAME:-default}}`, `${{NAME:=default}}`,
`${{NAME:+other}}`, `if`, `case`, `[ ... ]`, `[[ ... ]]`, `&&`, `||`, `!`, `. FILE` and `unset`. `$NAME` sees earlier
settings and the environment. What only a shell could do (commands, `$(...)`, loops) is an error that names the line,
unless it stands in a branch that is not taken. `@fqrn@` and `@org@` in a value stand for the repository's name and its
first component. Every setting, whatever its name, is seen by variant symlinks (`$(NAME)`).

`swrepo config show [NAME]` shows what holds, and which line set it; with `--files` it lists the files.
`swrepo config explain PARAMETER [NAME]` tells what a parameter means, who set it, and what that overrode.

`PointToCVMFS HOST` writes `default.d/50-point-to-cvmfs.conf` and, for keys that the server offers and somebody vouches
for, `keys/NAME.pub`.

The file `blacklist` beside them holds fingerprints of certificates that must not be trusted, and lines `<NAME N`, which
forbid revisions of the repository `NAME` before `N`.

## Parameters
{tables}

A parameter that is not built yet and asks for something is named in a warning, a misspelt one with what it may have
meant.

## Parameters of a publisher
They stand in `/etc/cvmfs/repositories.d/NAME/server.conf`, which `mkfs` writes: the file of CernVM-FS, with its names.
A default is what holds where the file says nothing; `mkfs` may have written something else. Publishing names in a note
what is misspelt or has no effect yet. `swrepo config explain PARAMETER NAME` knows them too.

{server_tables}

## Environment
| Variable | Meaning |
|---|---|
| `SWREPO_PREFIX` | `/etc/cvmfs`, `/var/lib/cvmfs`, `/srv/cvmfs`, `/var/spool/cvmfs`, `/cvmfs` are below it |
| `SWREPO_DEBUG` | show where an error came from |
| `XDG_CONFIG_HOME`, `XDG_CACHE_HOME`, `XDG_DATA_HOME` | an ordinary user's configuration, caches and repositories |
"""

_ERRORS = """\
# Errors and exit codes

Every command ends with one of these codes and, where it failed, one line on standard error: what failed, on which
object or path, and what to do. `SWREPO_DEBUG=1` adds where it came from. Missing and broken never share a code.

| Code | Error | When |
|---|---|---|
{rows}

A program that reads from a mount sees the error number in the last column of this table:

| Error | `errno` |
|---|---|
{numbers}
"""

_COMMANDS = """\
# Commands

{overview}

`URL/PATH` is a repository and a path in it: `http://host/cvmfs/sw.example.org/lib/x`,
`file:///srv/cvmfs/sw.example.org/lib`, a directory, or the name alone (`sw.example.org/lib`) where the
configuration knows its servers. Where nothing else tells the two apart, write `//` between them.

{sections}
"""


def documents() -> dict[str, str]:
    """File name below docs/ and what it must hold."""
    return {
        "configuration.md": _NOTE
        + _CONFIGURATION.format(
            tables="\n\n".join(_parameter_tables(SECTIONS)),
            server_tables="\n\n".join(_parameter_tables(server.SECTIONS)),
        ),
        "errors.md": _NOTE + _ERRORS.format(rows="\n".join(_code_rows()), numbers="\n".join(_number_rows())),
        "commands.md": _NOTE + _COMMANDS.format(overview=_overview(), sections="\n\n".join(_sections())),
    }


def _parameter_tables(sections: Iterable[tuple[str, tuple[Parameter, ...]]]) -> Iterator[str]:
    for heading, rows in sections:
        lines = [_parameter_row(row) for row in sorted(rows, key=lambda row: row.standing is not Standing.HONOURED)]
        yield "\n".join([f"### {heading}", "| Parameter | Kind | Default | Meaning |", "|---|---|---|---|", *lines])


def _parameter_row(row: Parameter) -> str:
    name = row.name.replace("*", "<NAME>")
    default = f"`{row.default}`" if row.default else "empty"
    if row.otherwise:
        default = f"{default}: {row.otherwise}"
    meaning = row.meaning
    if row.standing is not Standing.HONOURED:
        meaning += f" **{row.standing.value[0].upper()}{row.standing.value[1:]}**"
        meaning += f": {row.reason}."
    return f"| `{name}` | {row.kind} | {default} | {meaning} |".replace("`|`", "`\\|`")


def error_classes(top: type[errors.SwrepoError] = errors.SwrepoError) -> Iterator[type[errors.SwrepoError]]:
    """The tree, top first, as it is written in swrepo.errors."""
    yield top
    for below in top.__subclasses__():
        if below.__module__ == errors.__name__:
            yield from error_classes(below)


def _code_rows() -> Iterator[str]:
    rows = {(0, "", "everything that was asked for was done")}
    rows |= {(c.exit_code, f"`{c.__name__}`", _first_sentence(c.__doc__)) for c in error_classes()}
    rows.add((exits.UNEXPECTED, "", "an error in swrepo itself"))
    rows.add((exits.INTERRUPTED, "", "Ctrl-C"))
    rows.add((exits.BROKEN_PIPE, "", "nobody reads the output any more; nothing is said"))
    for code, name, meaning in sorted(rows):
        yield f"| {code} | {name} | {meaning} |"


def _number_rows() -> Iterator[str]:
    for error in error_classes():
        yield f"| `{error.__name__}` | {_number_name(error.errno)} |"


def _number_name(number: int) -> str:
    import errno

    return errno.errorcode[number]


def _first_sentence(text: str | None) -> str:
    return (text or "").strip().split("\n")[0].rstrip(".")


def _overview() -> str:
    rows = [f"| `{PROGRAM} {' '.join(words)}` | {entry.summary} |" for words, entry in commands()]
    return "\n".join(["| Command | What it does |", "|---|---|", *rows])


def commands(
    entries: dict[str, Entry] | None = None, prefix: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], Entry]]:
    """Every command with the words that call it."""
    for name, entry in (COMMANDS if entries is None else entries).items():
        if entry.entries is None:
            yield (*prefix, name), entry
        else:
            yield from commands(entry.entries, (*prefix, name))


def _sections() -> Iterator[str]:
    for words, _ in commands():
        shown = io.StringIO()
        with redirect_stdout(shown), suppress(SystemExit):
            main([*words, "--help"])
        yield f"## {PROGRAM} {' '.join(words)}\n```\n{_stable(shown.getvalue())}\n```"


def _stable(text: str) -> str:
    """Help as every supported Python writes it."""
    text = re.sub(r"(-\w) (\S+), (--[\w-]+) \2", r"\1, \3 \2", text)
    return text.strip()


def write(directory: Path) -> None:
    """Write all of them into `directory`."""
    for name, text in documents().items():
        (directory / name).write_text(text, "utf-8")


if __name__ == "__main__":
    os.environ["COLUMNS"] = "110"
    write(Path(sys.argv[1] if len(sys.argv) > 1 else "docs"))
