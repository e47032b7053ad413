"""What the configuration of this user says: of the machine in general, of one repository, and who said so."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from swrepo.cli.places import Places
from swrepo.config.files import Setting, World, load, load_all
from swrepo.config.parameters import ClientParameters, complete_name, interpret


def general(places: Places, given: Mapping[str, Setting] | None = None) -> ClientParameters:
    """What holds for no repository in particular; `given` wins over all files.

    The configuration repository has no say in it, as in the original.
    """
    return interpret(load(places.configurations, None, given, World(places.environment)))


def full_name(name: str, places: Places) -> str:
    """A repository's name with the default domain where it has none."""
    return complete_name(name, general(places).default_domain)


def all_settings(name: str | None, places: Places) -> dict[str, list[Setting]]:
    """All that was set for a repository, each parameter's winner last; the configuration repository is read."""
    if name is None:
        return load_all(places.configurations, None, None, World(places.environment))
    from swrepo.client.opening import sources

    return load_all(places.configurations, name, None, sources(places).world)


def settings(name: str | None, places: Places) -> dict[str, Setting]:
    """The winners."""
    return {parameter: found[-1] for parameter, found in all_settings(name, places).items()}


def cache_base(places: Places) -> Path:
    """Where caches lie."""
    base = general(places).cache_base
    return Path(base) if base else places.cache_base
