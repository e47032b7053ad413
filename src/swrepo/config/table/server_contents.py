"""What of a work tree goes into a revision, how it is stored, and how its catalogs are cut."""

from __future__ import annotations

from swrepo.config.parameter import Parameter, accepted, refused

CONTENTS = (
    Parameter("CVMFS_HASH_ALGORITHM", "`sha1`, `rmd160`, `shake128`", "sha1", "How contents are named."),
    Parameter("CVMFS_COMPRESSION_ALGORITHM", "`default`, `zlib`, `none`", "default", "How contents are stored."),
    Parameter(
        "SWREPO_COMPRESSOR",
        "`libdeflate`, `zlib`",
        "libdeflate",
        "Who compresses. Every client reads both; `zlib` makes the bytes, and so the names, that the original makes.",
    ),
    Parameter(
        "SWREPO_COMPRESSION_LEVEL",
        "number",
        "",
        "1 to 12 for libdeflate, 1 to 9 for zlib. What is published already keeps its names.",
        otherwise="5, with zlib 6",
    ),
    Parameter(
        "SWREPO_UNCOMPRESSED",
        "patterns",
        "",
        "Files that are stored as they are: `'*.jpg *.zst /data/raw/*'`.",
    ),
    Parameter(
        "SWREPO_SKIP_INCOMPRESSIBLE",
        "switch",
        "no",
        "Store files as they are whose first 128 KB do not become smaller by a twentieth.",
    ),
    Parameter("CVMFS_USE_FILE_CHUNKING", "switch", "yes", "Cut large files into chunks."),
    Parameter("CVMFS_MIN_CHUNK_SIZE", "bytes", "4194304", "Smaller files are not cut."),
    Parameter("CVMFS_AVG_CHUNK_SIZE", "bytes", "8388608", "About how large chunks get."),
    Parameter("CVMFS_MAX_CHUNK_SIZE", "bytes", "16777216", "How large they get at most."),
    refused(
        "CVMFS_GENERATE_LEGACY_BULK_CHUNKS",
        "switch",
        "no",
        "Store files that are cut as a whole too.",
        "only clients older than 2.1.7 (2013) need it",
    ),
    Parameter(
        "CVMFS_EXTERNAL_DATA",
        "switch",
        "no",
        "Contents are not stored: clients get files by their paths from `CVMFS_EXTERNAL_URL`.",
    ),
    Parameter("CVMFS_INCLUDE_XATTRS", "switch", "no", "Publish extended attributes."),
    Parameter("CVMFS_ENABLE_MTIME_NS", "switch", "no", "Publish times in nanoseconds."),
    Parameter("CVMFS_IGNORE_SPECIAL_FILES", "switch", "no", "Leave out devices, pipes and sockets."),
    Parameter(
        "CVMFS_IGNORE_XDIR_HARDLINKS",
        "switch",
        "no",
        "Names of one file in several directories become files of their own; `no`: they are an error.",
    ),
    Parameter(
        "CVMFS_UID_MAP",
        "file",
        "",
        "Lines `FROM TO` of user numbers: what is published in place of what "
        "the work tree has; `*` stands for all others.",
    ),
    Parameter("CVMFS_GID_MAP", "file", "", "The same for groups."),
    Parameter("CVMFS_REPOSITORY_TTL", "seconds", "240", "How often clients look for a new revision."),
    Parameter("CVMFS_VOMS_AUTHZ", "text", "", "Who may read: clients ask a helper about it."),
    Parameter(
        "CVMFS_CATALOG_ALT_PATHS",
        "switch",
        "no",
        "Have copies of the catalog and its like at other paths, where reading `data` needs a permission.",
    ),
    accepted("CVMFS_NUM_UPLOAD_TASKS", "number", "1", "Threads that write objects.", "all cores work in any case"),
    accepted(
        "CVMFS_MAXIMAL_CONCURRENT_WRITES",
        "number",
        "",
        "Files that are written at a time.",
        "memory is bounded in any case",
    ),
    accepted(
        "CVMFS_SERVER_USE_CATALOG_CACHE",
        "switch",
        "no",
        "Keep catalogs for the next publication.",
        "those of a directory are read where they are",
    ),
)

CATALOGS = (
    Parameter(
        "CVMFS_AUTOCATALOGS",
        "switch",
        "no",
        "Cut catalogs that grow too large, and dissolve small ones of that kind. New repositories have it on. "
        "See [catalogs](catalogs.md).",
    ),
    Parameter("CVMFS_AUTOCATALOGS_MAX_WEIGHT", "entries", "100000", "A catalog with more is cut."),
    Parameter("CVMFS_AUTOCATALOGS_MIN_WEIGHT", "entries", "1000", "One of the balancer's with fewer is dissolved."),
    Parameter("CVMFS_ROOT_KCATALOG_LIMIT", "thousands", "200", "Entries of the root catalog at most; 0: no limit."),
    Parameter("CVMFS_NESTED_KCATALOG_LIMIT", "thousands", "500", "Entries of any other catalog at most."),
    Parameter("CVMFS_FILE_MBYTE_LIMIT", "megabytes", "1024", "Size of a file at most; 0: no limit."),
    Parameter("CVMFS_ENFORCE_LIMITS", "switch", "no", "What exceeds a limit is not published; `no`: it is a warning."),
    accepted(
        "CVMFS_CATALOG_ENTRY_WARN_THRESHOLD",
        "entries",
        "",
        "Like the limits, of older versions.",
        "`CVMFS_NESTED_KCATALOG_LIMIT` took its place",
    ),
    Parameter("CVMFS_VIRTUAL_DIR", "switch", "no", "Show all tags below the hidden directory `/.cvmfs/snapshots`."),
)
