"""The tables of a file catalog, column by column, and the names of its properties. Source: format.md 6, original.md 2.

The statements are those that the original's catalogs hold, character for character, so that a catalog of ours cannot be
told from one of its own. Older catalogs lack columns (see `OPTIONAL_COLUMNS`) or have them in another order, because
they were added by ALTER TABLE: columns are always addressed by name.
"""

from __future__ import annotations

from typing import Final

OLDEST_SCHEMA: Final = 2.0
SCHEMA: Final = "2.5"
NEWEST_SCHEMA: Final = 2.5
SCHEMA_REVISION: Final = 7

# key, value: see the names below.
PROPERTIES_TABLE = "CREATE TABLE properties (key TEXT, value TEXT, CONSTRAINT pk_properties PRIMARY KEY (key))"

# md5path_1, md5path_2   format.paths.path_key of the entry's path below the repository's root
# parent_1, parent_2     that of its directory; 0, 0 for the root of the repository
# hardlinks              (hard link group << 32) | link count; group 0 is no group (schema 2.0: `inode`, not used)
# hash                   20 bytes, the whole-file object; NULL for all but files, and for files that only have chunks
# size                   plain bytes; length of a symlink's raw target; device number of a device; 4096 for directories
# mode                   st_mode, with the type
# mtime, mtimens         seconds, may be negative; nanoseconds, NULL where there are none (revision 7)
# flags                  format.dirent.Flag, with hash algorithm and compression
# name                   last component, empty for the root of the repository
# symlink                raw target, else empty
# uid, gid               (schema 2.1)
# xattr                  format.xattr, NULL for none (revision 2)
CATALOG_TABLE = (
    "CREATE TABLE catalog (md5path_1 INTEGER, md5path_2 INTEGER, parent_1 INTEGER, parent_2 INTEGER, "
    "hardlinks INTEGER, hash BLOB, size INTEGER, mode INTEGER, mtime INTEGER, mtimens INTEGER, flags INTEGER, "
    "name TEXT, symlink TEXT, uid INTEGER, gid INTEGER, xattr BLOB,  "
    "CONSTRAINT pk_catalog PRIMARY KEY (md5path_1, md5path_2))"
)
PARENT_INDEX = "CREATE INDEX idx_catalog_parent ON catalog (parent_1, parent_2)"

# md5path_1, md5path_2   the file
# offset, size           plain bytes of the file that the chunk holds
# hash                   20 bytes, object of kind P, algorithm of the file (schema 2.4)
CHUNKS_TABLE = (
    "CREATE TABLE chunks (md5path_1 INTEGER, md5path_2 INTEGER, offset INTEGER, size INTEGER,  hash BLOB,  "
    "CONSTRAINT pk_chunks PRIMARY KEY (md5path_1, md5path_2, offset, size),  "
    "FOREIGN KEY (md5path_1, md5path_2) REFERENCES    catalog(md5path_1, md5path_2))"
)

# path                   of the mountpoint, as this catalog knows it
# sha1                   object name as text, algorithm with it, without the letter C
# size                   plain bytes of the nested catalog (revision 1)
NESTED_TABLE = (
    "CREATE TABLE nested_catalogs (path TEXT, sha1 TEXT, size INTEGER, "
    "CONSTRAINT pk_nested_catalogs PRIMARY KEY (path))"
)

# The same columns; the catalog is the root catalog of another revision, planted here (revision 4).
BIND_TABLE = (
    "CREATE TABLE bind_mountpoints (path TEXT, sha1 TEXT, size INTEGER, "
    "CONSTRAINT pk_bind_mountpoints PRIMARY KEY (path))"
)

# counter, value         catalog.counters (schema 2.4)
STATISTICS_TABLE = (
    "CREATE TABLE statistics (counter TEXT, value INTEGER, CONSTRAINT pk_statistics PRIMARY KEY (counter))"
)

TABLES: Final = (
    PROPERTIES_TABLE,
    CATALOG_TABLE,
    CHUNKS_TABLE,
    NESTED_TABLE,
    BIND_TABLE,
    STATISTICS_TABLE,
)

CATALOG_COLUMNS: Final = (
    "md5path_1",
    "md5path_2",
    "parent_1",
    "parent_2",
    "hardlinks",
    "hash",
    "size",
    "mode",
    "mtime",
    "mtimens",
    "flags",
    "name",
    "symlink",
    "uid",
    "gid",
    "xattr",
)

OPTIONAL_COLUMNS: Final = frozenset({"hardlinks", "mtimens", "uid", "gid", "xattr"})
"""Columns of `catalog` that old schemas do not have."""

# Properties.
KEY_SCHEMA: Final = "schema"
KEY_SCHEMA_REVISION: Final = "schema_revision"
KEY_REVISION: Final = "revision"  # one more each time this catalog is written; the root's is the repository's
KEY_ROOT_PREFIX: Final = "root_prefix"  # the mountpoint of a nested catalog; absent in a root catalog
KEY_PREVIOUS_REVISION: Final = "previous_revision"  # object name (text) of the catalog that this one replaced
KEY_LAST_MODIFIED: Final = "last_modified"  # Unix time
KEY_TTL: Final = "TTL"  # seconds; root catalogs only
KEY_VOLATILE: Final = "volatile"  # 1: caches drop its objects first
KEY_VOMS_AUTHZ: Final = "voms_authz"  # who may read
KEY_BRANCH: Final = "branch"
