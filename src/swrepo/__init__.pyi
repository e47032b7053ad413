# The public names with their types; __init__.py loads them when they are used.
from swrepo.api.entries import DirEntry as DirEntry
from swrepo.api.opening import open_repository as open  # noqa: A004 - as gzip, bz2, ... have one
from swrepo.api.repository import Repository as Repository
from swrepo.api.values import Fetched as Fetched
from swrepo.api.values import Stat as Stat
from swrepo.api.values import Tag as Tag
from swrepo.errors import SwrepoError as SwrepoError

__version__: str
__all__ = ["DirEntry", "Fetched", "Repository", "Stat", "SwrepoError", "Tag", "__version__", "open"]
