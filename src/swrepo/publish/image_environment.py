"""What an image's configuration says, as the scripts with which Apptainer starts containers in directories."""

from __future__ import annotations

import shlex

from swrepo.format.image import Config


def environment_script(config: Config) -> bytes:
    """Sets the image's variables, where the user has not set them."""
    lines = ["#!/bin/sh"]
    for text in config.environment:
        name, _, value = text.partition("=")
        if not name.replace("_", "a").isalnum() or name[0].isdigit():
            continue  # a shell has no such variables
        quoted = shlex.quote(value)
        lines.append(f"export {name}={quoted}" if name == "PATH" else f'export {name}="${{{name}:-{_inner(value)}}}"')
    return _bytes(lines)


def run_script(config: Config) -> bytes:
    """Runs what the image is made for: its entry point with the user's arguments, else with its own."""
    entrypoint = " ".join(shlex.quote(word) for word in config.entrypoint)
    command = " ".join(shlex.quote(word) for word in config.command)
    lines = ["#!/bin/sh"]
    if command:
        lines.append(f'[ "$#" -gt 0 ] || set -- {command}')
    if not entrypoint and not command:
        lines.append('[ "$#" -gt 0 ] || set -- /bin/sh')
    lines.append(f'exec {entrypoint} "$@"' if entrypoint else 'exec "$@"')
    return _bytes(lines)


def _inner(value: str) -> str:
    """A value within double quotes."""
    return "".join(f"\\{character}" if character in '"\\$`}' else character for character in value)


def _bytes(lines: list[str]) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode("utf-8", "surrogateescape")
