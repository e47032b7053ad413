"""Every command of every program with its parser: what manual pages and completions are made from."""

from __future__ import annotations

from argparse import SUPPRESS, Action, ArgumentParser
from collections.abc import Iterator
from dataclasses import dataclass, field

from swrepo.cli import (
    cvmfs_config,
    cvmfs_fsck,
    cvmfs_publish,
    cvmfs_server,
    cvmfs_swissknife,
    cvmfs_sync,
    cvmfs_talk,
    main,
    mount_cvmfs,
    point_to_cvmfs,
)


@dataclass(frozen=True, slots=True)
class Command:
    """One command: the words that call it, a line about it, its parser. A group has other commands in place of one.

    `ends_with_command`: another command follows `--`.
    """

    words: tuple[str, ...]
    summary: str
    parser: ArgumentParser | None = None
    commands: tuple[Command, ...] = field(default=())
    ends_with_command: bool = False

    @property
    def name(self) -> str:
        return " ".join(self.words)

    def all(self) -> Iterator[Command]:
        """It and those below it."""
        yield self
        for command in self.commands:
            yield from command.all()

    def options(self) -> list[Action]:
        """What begins with a dash."""
        return [] if self.parser is None else [found for found in _actions(self.parser) if found.option_strings]


def programs() -> tuple[Command, ...]:
    """All programs but those that other programs call."""
    server = cvmfs_server.commands()
    return (
        Command(
            (main.PROGRAM,), "publish software once, run it anywhere", None, _entries((main.PROGRAM,), main.COMMANDS)
        ),
        Command(
            (cvmfs_server.PROGRAM,),
            "make and publish repositories, as with CernVM-FS",
            None,
            _entries((cvmfs_server.PROGRAM,), server),
        ),
        Command(
            (cvmfs_config.PROGRAM,), "look after a client machine, as with CernVM-FS", None, tuple(_administration())
        ),
        Command((cvmfs_talk.PROGRAM,), "ask running mounts, as with CernVM-FS", cvmfs_talk.parser()),
        Command((point_to_cvmfs.PROGRAM,), "show the repositories of a server", point_to_cvmfs.parser()),
        Command(
            (cvmfs_sync.PROGRAM,),
            "show what publishing would change",
            main.parser_of(cvmfs_sync.PROGRAM, main.load("server_sync")),
        ),
        Command(
            (cvmfs_publish.PROGRAM,),
            "make and publish repositories, as with CernVM-FS's cvmfs_publish",
            None,
            _entries((cvmfs_publish.PROGRAM,), cvmfs_publish.commands()),
        ),
        Command(
            (cvmfs_swissknife.PROGRAM,),
            "small tools and grafts, as with CernVM-FS",
            None,
            _entries((cvmfs_swissknife.PROGRAM,), cvmfs_swissknife.COMMANDS),
        ),
        Command((cvmfs_fsck.PROGRAM,), "check a cache, as with CernVM-FS", cvmfs_fsck.parser()),
        Command((mount_cvmfs.PROGRAM,), "mount a repository for mount(8)", mount_cvmfs.parser()),
    )


def arguments(parser: ArgumentParser) -> list[tuple[str | None, list[Action]]]:
    """Arguments and options as the help groups them: headings (None for the usual ones) and what is below."""
    found = []
    for group in parser._action_groups:  # noqa: SLF001 - argparse has no other way to say it
        usual = group in (parser._positionals, parser._optionals)  # noqa: SLF001
        shown = [action for action in group._group_actions if action.help is not SUPPRESS]  # noqa: SLF001
        if shown:
            found.append((None if usual else group.title, shown))
    return found


def value_of(action: Action) -> str:
    """How the value of an option or an argument is called; empty for an option without one."""
    if action.nargs == 0:
        return ""
    if isinstance(action.metavar, str):
        return action.metavar
    if action.choices is not None:
        return "{" + ",".join(map(str, action.choices)) + "}"
    return action.dest.upper() if action.option_strings else action.dest


def _entries(words: tuple[str, ...], entries: dict[str, main.Entry]) -> tuple[Command, ...]:
    found = []
    for name, entry in entries.items():
        here = (*words, name)
        if entry.entries is not None:
            found.append(Command(here, entry.summary, None, _entries(here, entry.entries)))
        else:
            module = main.load(entry.module)
            parser = main.parser_of(" ".join(here), module)
            found.append(Command(here, entry.summary, parser, ends_with_command=hasattr(module, "TAIL")))
    return tuple(found)


def _administration() -> Iterator[Command]:
    """`cvmfs_config` reads its words by itself; its list of commands says what they are."""
    for name, command in cvmfs_config.COMMANDS.items():
        words = (cvmfs_config.PROGRAM, name)
        parser = ArgumentParser(prog=" ".join(words), add_help=False, usage=f"%(prog)s {command.usage}".strip())
        for word in command.usage.replace("[", " ").replace("]", " ").split():
            if word.startswith("-"):
                parser.add_argument(word, action="store_true")
        yield Command(words, command.summary, parser)


def _actions(parser: ArgumentParser) -> list[Action]:
    return [action for _, actions in arguments(parser) for action in actions]
