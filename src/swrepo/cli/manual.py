"""Writes manual pages in troff, made from the help texts: one page for each program and each command."""

from __future__ import annotations

import re
from argparse import Action, ArgumentParser
from collections.abc import Iterator

from swrepo import __version__
from swrepo.cli.programs import Command, arguments, value_of

_SECTIONS = {"mount.cvmfs": 8}
"""Where a page stands that is in no section 1."""

_FILES = """\
/etc/cvmfs|configuration and trusted keys (an ordinary user's own: ~/.config/swrepo)
/var/lib/cvmfs|caches (an ordinary user's: ~/.cache/swrepo)
/cvmfs|where repositories appear (for an ordinary user: ~/cvmfs)
/srv/cvmfs|repositories that are served"""

_ENVIRONMENT = """\
SWREPO_PREFIX|a directory below which all of these are
SWREPO_DEBUG|show where an error came from"""


def pages(programs: tuple[Command, ...]) -> dict[str, str]:
    """File name below `man` -> text."""
    found = {}
    for program in programs:
        for command in program.all():
            if command is program or program.words[0] == "swrepo":
                section = _SECTIONS.get(command.name, 1)
                name = f"man{section}/{'-'.join(command.words)}.{section}"
                found[name] = "\n".join(_page(command, section)) + "\n"
    return found


def _page(command: Command, section: int) -> Iterator[str]:
    title = "-".join(command.words)
    yield '.\\" Made from the program by `make docs`; edit there.'
    yield f'.TH {_quoted(title.upper())} {section} "" {_quoted(f"swrepo {__version__}")} "swrepo"'
    yield ".SH NAME"
    yield f"{_text(title)} \\- {_text(command.summary)}"
    yield ".SH SYNOPSIS"
    if command.parser is None:
        yield f".B {_text(command.name)}\n.I COMMAND\n\\&..."
    else:
        yield from _synopsis(command.name, command.parser)
        yield ".SH DESCRIPTION"
        yield from _paragraphs((command.parser.description or command.summary).strip())
        yield from _options(command.parser)
        yield from _example(command.parser)
    if command.commands:
        yield ".SH COMMANDS"
        for inner in _listed(command):
            yield from _item(f"\\fB{_text(inner.name)}\\fR{_usage_of(inner)}", inner.summary)
        yield from _common(command)
    yield from _see_also(command)


def _common(command: Command) -> Iterator[str]:
    """What one wants to know of a whole program."""
    yield ".SH EXIT STATUS"
    yield "0 where everything was done that was asked for. Otherwise one line on standard error says what failed, on"
    yield "which object or path, and what to do; 2 stands for a command that was typed wrongly."
    if len(command.words) > 1:
        return
    for heading, table in (("ENVIRONMENT", _ENVIRONMENT), ("FILES", _FILES)):
        yield f".SH {heading}"
        for line in table.splitlines():
            name, _, meaning = line.partition("|")
            yield from _item(f"\\fB{_text(name)}\\fR", meaning)


def _see_also(command: Command) -> Iterator[str]:
    if command.words[0] != "swrepo":
        found = ["swrepo"]
    elif len(command.words) == 1:
        found = ["-".join(inner.words) for inner in command.all() if inner is not command]
    else:
        found = ["swrepo", *("-".join(inner.words) for inner in command.commands)]
    yield ".SH SEE ALSO"
    yield ",\n".join(f"\\fB{_text(name)}\\fR(1)" for name in found)


def _synopsis(name: str, parser: ArgumentParser) -> Iterator[str]:
    usage = " ".join(parser.format_usage().split())
    yield f".B {_text(name)}"
    yield _text(re.sub(rf"^usage: {re.escape(name)} ?", "", usage)) or "\\&"


def _listed(command: Command) -> Iterator[Command]:
    """The commands of a group; and those of groups in it, where they have no pages of their own."""
    for inner in command.commands:
        yield inner
        if command.words[0] != "swrepo":
            yield from _listed(inner)


def _usage_of(command: Command) -> str:
    """The arguments of a command that has no page of its own."""
    if command.parser is None or command.words[0] != "cvmfs_config" or command.parser.usage is None:
        return ""
    rest = command.parser.usage.removeprefix("%(prog)s").strip()
    return f" {_text(rest)}" if rest else ""


def _options(parser: ArgumentParser) -> Iterator[str]:
    for heading, actions in arguments(parser):
        usual = "OPTIONS" if actions[0].option_strings else "ARGUMENTS"
        yield f".SH {_quoted((heading or usual).upper())}"
        for action in actions:
            yield from _item(_call(action), (action.help or "").replace("%%", "%"))


def _call(action: Action) -> str:
    value = value_of(action)
    shown = f" \\fI{_text(value)}\\fR" if value else ""
    if not action.option_strings:
        return shown.strip()
    return ", ".join(f"\\fB{_text(option)}\\fR{shown}" for option in action.option_strings)


def _example(parser: ArgumentParser) -> Iterator[str]:
    if not parser.epilog:
        return
    lines = re.sub(r"^example:\s*", "", parser.epilog).splitlines()
    yield ".SH EXAMPLES"
    yield ".nf"
    yield from (_text(line.strip()) for line in lines)
    yield ".fi"


def _item(term: str, meaning: str) -> Iterator[str]:
    yield ".TP"
    yield term
    yield _text(meaning) or "\\&"


def _paragraphs(text: str) -> Iterator[str]:
    for number, paragraph in enumerate(re.split(r"\n\s*\n", text)):
        if number:
            yield ".PP"
        yield _text(" ".join(paragraph.split()))


def _text(text: str) -> str:
    """Text that means itself: no letter of it is a request or an escape, and dashes can be copied to a shell."""
    escaped = text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq").replace("`", "\\(ga")
    return f"\\&{escaped}" if escaped.startswith(".") else escaped


def _quoted(text: str) -> str:
    """As one argument of a request."""
    return f'"{_text(text).replace(chr(34), chr(34) * 2)}"'
