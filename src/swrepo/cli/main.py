"""`swrepo`: finds the command that was typed, loads that command's module and no other, and runs it."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import NoReturn, Protocol, cast

from swrepo import __version__
from swrepo.cli.exits import as_program
from swrepo.errors import UsageError
from swrepo.system.loading import loaded

PROGRAM = "swrepo"


@dataclass(frozen=True, slots=True)
class Entry:
    """One command: the module that does it and one line about it. A group has entries of its own and no module."""

    summary: str
    module: str = ""
    entries: dict[str, Entry] | None = None


class CommandModule(Protocol):
    """What a module below `swrepo.cli.commands` offers; its docstring is the description, EXAMPLE the end of --help."""

    EXAMPLE: str

    def configure(self, parser: argparse.ArgumentParser) -> None: ...

    def run(self, args: argparse.Namespace) -> int | None: ...


COMMANDS: dict[str, Entry] = {
    "mount": Entry("mount a repository, or all below one directory", "mount"),
    "exec": Entry("run a command that sees repositories below /cvmfs, without root", "exec"),
    "trace": Entry("run a command and write down what it opens in repositories", "trace"),
    "umount": Entry("take a mount away", "umount"),
    "ls": Entry("list a directory of a repository, without a mount", "ls"),
    "cat": Entry("write files of a repository to standard output, without a mount", "cat"),
    "cp": Entry("copy files and directories out of a repository, without a mount", "cp"),
    "export": Entry("keep a subtree of a repository as a plain directory, without a mount", "export"),
    "stat": Entry("show all that is known about a path of a repository", "stat"),
    "find": Entry("search a repository, without a mount", "find"),
    "tags": Entry("list the named revisions of a repository", "tags"),
    "verify": Entry("fetch everything that a revision reaches and check it", "verify"),
    "preload": Entry("fetch a repository, or parts of it, into a cache before it is used", "preload"),
    "prefetch": Entry("bring a directory of a repository into the cache that mounts use", "prefetch"),
    "status": Entry("show what is mounted and how it is doing", "status"),
    "doctor": Entry("say what is wrong and which command mends it", "doctor"),
    "talk": Entry("ask a running mount, or tell it what to do", "talk"),
    "cache": Entry(
        "show and shrink what is kept on this disk",
        entries={
            "usage": Entry("show how much caches hold", "cache_usage"),
            "list": Entry("list the objects of caches, the oldest first", "cache_list"),
            "evict": Entry("let go of what was not used for the longest time", "cache_evict"),
            "wipe": Entry("empty caches", "cache_wipe"),
        },
    ),
    "fsck": Entry("check everything in the cache and remove what is damaged", "fsck"),
    "serve": Entry("serve repositories over HTTP", "serve"),
    "webdav": Entry("serve a repository over WebDAV: to mount it on macOS and Windows", "webdav"),
    "config": Entry(
        "show what the configuration says, and who said it",
        entries={
            "show": Entry("show which configuration holds for a repository, and who set it", "config_show"),
            "explain": Entry(
                "explain a parameter: meaning, default, who set it and what that overrode", "config_explain"
            ),
        },
    ),
    "image": Entry(
        "build disk images of servers, clients and workers",
        entries={
            "build": Entry("build bootable qcow2 images", "image_build"),
            "boot": Entry("start images on this workstation with QEMU", "image_boot"),
        },
    ),
    "cloud": Entry(
        "our images and machines on OpenStack clouds",
        entries={
            "upload": Entry("send an image to a cloud", "cloud_upload"),
            "launch": Entry("launch servers, clients or workers", "cloud_launch"),
            "status": Entry("show our machines in a cloud", "cloud_status"),
            "snapshot": Entry("keep a machine's disk as an image", "cloud_snapshot"),
            "copy": Entry("copy an image from one cloud to another", "cloud_copy"),
            "ports": Entry("show or open the ports that a role needs", "cloud_ports"),
            "down": Entry("delete all of a deployment", "cloud_down"),
            "testdrive": Entry("launch a server and a client and take the walk of a newcomer", "cloud_testdrive"),
            "template": Entry("write a Heat template or an OpenTofu module", "cloud_template"),
        },
    ),
    "machine": Entry(
        "what a machine made from our images does at boot and at login",
        entries={
            "setup": Entry("make the machine what its image and user data say", "machine_setup"),
            "identity": Entry("give a disk that starts on another machine an identity of its own", "machine_identity"),
            "message": Entry("print what people see when they log in", "machine_message"),
            "usage": Entry("print how often and how long this machine ran and was used", "machine_usage"),
        },
    ),
    "profile": Entry(
        "make programs start fast: publish what they open",
        entries={
            "add": Entry("make a profile of traces and publish it", "profile_add"),
            "list": Entry("list the profiles of a repository", "profile_list"),
            "show": Entry("show what a profile holds", "profile_show"),
            "check": Entry("say whether profiles still hold what programs open", "profile_check"),
            "update": Entry("make profiles anew of what their files are now", "profile_update"),
            "remove": Entry("remove a profile", "profile_remove"),
        },
    ),
    "publish": Entry("publish a directory as the next revision of a repository", "publish"),
    "server": Entry(
        "make and publish repositories",
        entries={
            "mkfs": Entry("create a repository", "server_mkfs"),
            "publish": Entry("publish what changed in the work tree", "server_publish"),
            "transaction": Entry("open a transaction: a writable view of the last revision", "server_transaction"),
            "enter": Entry("run a command that can write to a repository, and leaves nothing", "server_enter"),
            "abort": Entry("give up a transaction", "server_abort"),
            "ingest": Entry("publish what a tar archive holds, without unpacking it", "server_ingest"),
            "ingest-image": Entry("publish a container image as a root file system", "server_ingest_image"),
            "images": Entry(
                "list container images, and remove those that nobody uses",
                entries={
                    "list": Entry("list the images of a repository", "server_images_list"),
                    "remove": Entry("remove images, and what no other image uses of them", "server_images_remove"),
                    "prune": Entry("remove root file systems and layers that no image uses", "server_images_prune"),
                },
            ),
            "mount": Entry("bring the views of repositories back after a reboot", "server_mount"),
            "sync": Entry("show what publishing would change", "server_sync"),
            "watch": Entry("publish a tree whenever it has changed", "server_watch"),
            "graft": Entry("make files that are published by hash and size, without their contents", "server_graft"),
            "info": Entry("show a repository's state", "server_info"),
            "list": Entry("list the repositories of this server", "server_list"),
            "import": Entry("take over a repository that another server made", "server_import"),
            "rmfs": Entry("remove a repository from this server", "server_rmfs"),
            "update-info": Entry("write the list of repositories, and who runs the server", "server_update_info"),
            "update-repoinfo": Entry("publish what a repository tells of itself", "server_update_repoinfo"),
            "print-stats": Entry("print what publications and collections did", "server_print_stats"),
            "merge-stats": Entry("make one statistics database of two", "server_merge_stats"),
            "tag": Entry("name revisions, and list, inspect or remove their names", "server_tag"),
            "rollback": Entry("make an old revision the newest one again", "server_rollback"),
            "checkout": Entry("continue an old revision on a branch", "server_checkout"),
            "diff": Entry("show what differs between two revisions, or will with the next one", "server_diff"),
            "list-catalogs": Entry("list the catalogs of the newest revision", "server_list_catalogs"),
            "catalog-chown": Entry("give everything other owners, by maps", "server_catalog_chown"),
            "eliminate-hardlinks": Entry("make files of their own of hard links", "server_eliminate_hardlinks"),
            "eliminate-bulk-hashes": Entry("forget whole-file copies of chunked files", "server_eliminate_bulk_hashes"),
            "migrate": Entry("say whether repositories of other versions can be used", "server_migrate"),
            "fix-permissions": Entry("give the server tools what they need: nothing", "server_fix_permissions"),
            "fix-stats": Entry("count what catalogs hold anew", "server_fix_stats"),
            "check": Entry("check catalogs, counters and objects, and name each fault", "server_check"),
            "gc": Entry("remove what no kept revision reaches", "server_gc"),
            "add-replica": Entry("have a copy of another server's repository here", "server_add_replica"),
            "snapshot": Entry("bring replicas up to date", "server_snapshot"),
            "update-geodb": Entry("fetch the database of where addresses are", "server_update_geodb"),
            "alterfs": Entry("allow or forbid replicas", "server_alterfs"),
            "notify": Entry("announce a repository's newest revision, or hear of it", "server_notify"),
            "skeleton": Entry("make the directories of a repository's storage", "server_skeleton"),
            "resign": Entry("sign the whitelist for another 30 days, or the manifest anew", "server_resign"),
            "renew": Entry("sign the whitelists again that end soon: for a timer", "server_renew"),
            "masterkeycard": Entry("keep master keys on a smart card", "server_masterkeycard"),
            "keys": Entry(
                "show, replace, back up and restore keys",
                entries={
                    "show": Entry("show a repository's keys, and what is wrong with them", "server_keys_show"),
                    "rotate": Entry("replace the key that a repository is signed with", "server_keys_rotate"),
                    "backup": Entry("write a repository's keys to one file", "server_keys_backup"),
                    "restore": Entry("put keys back from such a file", "server_keys_restore"),
                },
            ),
        },
    ),
}


_SEEN = argparse.RawDescriptionHelpFormatter
_UNSEEN = partial(_SEEN, width=80)
"""For looking at options, which argparse formats to see whether it could: a terminal's width takes loading to know."""


class Parser(argparse.ArgumentParser):
    """Raises UsageError where argparse would print and leave."""

    def format_help(self) -> str:
        self.formatter_class = _SEEN
        return super().format_help()

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{self.prog}: {message}; try '{self.prog} --help'")


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line and return the exit code."""
    return as_program(lambda words: dispatch(PROGRAM, COMMANDS, words), PROGRAM, argv)


def run_command(program: str, module: CommandModule, words: Sequence[str]) -> int:
    """Parse `words` as the arguments of one command, and run it."""
    parser = parser_of(program, module)
    if (tail := getattr(module, "TAIL", None)) is not None:
        end = list(words).index("--") if "--" in words else len(words)
        parser.set_defaults(**{tail: list(words[end + 1 :])})
        words = words[:end]
    args = parser.parse_args(_joined(words, getattr(module, "DASHED", ())))
    if not getattr(module, "LOADS_MORE", False):  # else it says by itself when that is done
        loaded()
    return module.run(args) or 0


def new_parser(program: str, description: str, example: str, *, dash_h: bool = True) -> Parser:
    """A parser whose help ends with an example, each line of it indented. `dash_h`: whether -h asks for help too."""
    parser = Parser(
        prog=program,
        add_help=dash_h,
        description=description,
        epilog=f"example:\n{_indented(example)}",
        formatter_class=_UNSEEN,
        allow_abbrev=False,
    )
    if not dash_h:
        parser.add_argument("--help", action="help", help="show this help message and exit")
    return parser


def parser_of(program: str, module: CommandModule) -> Parser:
    """The parser of one command."""
    parser = new_parser(program, (module.__doc__ or "").strip(), module.EXAMPLE, dash_h=not hasattr(module, "DASH_H"))
    module.configure(parser)
    return parser


def _joined(words: Sequence[str], options: Sequence[str]) -> list[str]:
    """Join the options whose value may begin with a dash (`-size -2c`) with it, or argparse takes it for an option."""
    joined: list[str] = []
    for word in words:
        if joined and joined[-1] in options:
            joined[-1] += f"={word}"
        else:
            joined.append(word)
    return joined


def load(name: str) -> CommandModule:
    """The module of a command."""
    return cast("CommandModule", importlib.import_module(f"swrepo.cli.commands.{name}"))


def dispatch(program: str, entries: dict[str, Entry], words: Sequence[str]) -> int:
    """Find the command among `entries` and run it."""
    name, *rest = words or ["--help"]
    if name in ("-h", "--help", "help"):
        print(overview(program, entries))
        return 0 if words else UsageError.exit_code
    if name == "--version":
        print(f"{PROGRAM} {__version__}")
        return 0
    entry = entries.get(name)
    if entry is None:
        raise UsageError(f"{program}: there is no command {name!r}{_suggestion(name, entries)}; try '{program} --help'")
    if entry.entries is not None:
        return dispatch(f"{program} {name}", entry.entries, rest)
    return run_command(f"{program} {name}", load(entry.module), rest)


def overview(program: str, entries: dict[str, Entry]) -> str:
    """The list of commands."""
    width = max(map(len, entries))
    lines = [f"usage: {program} COMMAND ...", "", "commands:"]
    lines += [f"  {name:<{width}}  {entry.summary}" for name, entry in entries.items()]
    lines += ["", f"'{program} COMMAND --help' tells more, with an example."]
    return "\n".join(lines)


def _suggestion(name: str, entries: dict[str, Entry]) -> str:
    import difflib

    near = difflib.get_close_matches(name, entries, n=1)
    return f"; did you mean {near[0]!r}?" if near else ""


def _indented(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.strip().splitlines())


if __name__ == "__main__":
    sys.exit(main())
