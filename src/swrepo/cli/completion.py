"""Writes what bash needs to complete our commands, made from their parsers: one file for each program."""

from __future__ import annotations

import re
from collections.abc import Iterator
from shlex import quote

from swrepo.cli.programs import Command, value_of

_FILE = """\
# bash completion for {program}. Made from the program by `make docs`; edit there.

{function}() {{
    local current=${{COMP_WORDS[COMP_CWORD]}} before=${{COMP_WORDS[COMP_CWORD - 1]}} path={program} words= index
    COMPREPLY=()
    for ((index = 1; index < COMP_CWORD; index++)); do
        case "$path ${{COMP_WORDS[index]}}" in
{tails}            {commands}) path+=" ${{COMP_WORDS[index]}}" ;;
        esac
    done
    case "$path $before" in
{values}    esac
    case "$path" in
{words}    esac
    case "$current" in
        -*) ;;
        *) case "$path" in {groups}) ;; *) return ;; esac ;;
    esac
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
}}
complete -o bashdefault -o default -F {function} {program}
"""

_TAIL = """\
            "{name} --")
                ((COMP_CWORD - index > 1)) || mapfile -t COMPREPLY < <(compgen -c -- "$current")
                return
                ;;
"""
_DIRECTORIES = 'compopt -o filenames; mapfile -t COMPREPLY < <(compgen -d -- "$current");'


def scripts(programs: tuple[Command, ...]) -> dict[str, str]:
    """File name (bash-completion loads the one of the program's name) -> text; nobody types `mount.cvmfs`."""
    return {program.name: _script(program) for program in programs if program.name != "mount.cvmfs"}


def _script(program: Command) -> str:
    found = list(program.all())
    inner = [_quoted(command.name) for command in found[1:]] or ['""']
    groups = [_quoted(command.name) for command in found if command.commands]
    return _FILE.format(
        program=program.name,
        function="_" + re.sub(r"\W", "_", program.name),
        commands=_either(inner),
        tails="".join(_TAIL.format(name=command.name) for command in found if command.ends_with_command),
        values="".join(_values(found)) or "        *) ;;\n",
        words="".join(f"        {_quoted(command.name)}) words={quote(_words(command))} ;;\n" for command in found),
        groups=_either(groups) or '""',
    )


def _quoted(text: str) -> str:
    """As a pattern of `case` that means itself."""
    return f'"{text}"'


def _words(command: Command) -> str:
    if command.commands:
        return " ".join([*(inner.words[-1] for inner in command.commands), "--help"])
    return " ".join(option for action in command.options() for option in action.option_strings)


def _values(commands: list[Command]) -> Iterator[str]:
    """What may follow an option that has a value: files are what bash offers by itself."""
    found: dict[str, list[str]] = {}
    for command in commands:
        for action in command.options():
            value = value_of(action)
            if not value:
                continue
            reply = _DIRECTORIES if value == "DIR" else ""
            if action.choices is not None:
                reply = (
                    f'mapfile -t COMPREPLY < <(compgen -W {quote(" ".join(map(str, action.choices)))} -- "$current");'
                )
            found.setdefault(reply, []).extend(_quoted(f"{command.name} {option}") for option in action.option_strings)
    for reply, patterns in found.items():
        yield f"        {_either(patterns)}) {reply}{' ' if reply else ''}return ;;\n"


def _either(patterns: list[str]) -> str:
    return " | \\\n            ".join(
        " | ".join(line) for line in (patterns[start : start + 4] for start in range(0, len(patterns), 4))
    )
