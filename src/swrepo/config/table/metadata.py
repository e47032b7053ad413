"""How names, owners, modes and extended attributes are shown, and how long the kernel keeps them."""

from __future__ import annotations

from swrepo.config.parameter import Parameter, accepted, refused

_KERNEL_CACHES = "what was looked up is kept by the kernel, which is told of every change"

ROWS = (
    Parameter(
        "CVMFS_CLAIM_OWNERSHIP",
        "switch",
        "no",
        "Show everything as owned by `CVMFS_USER`, or by who mounts; else owners are shown as published.",
    ),
    Parameter(
        "CVMFS_UID_MAP",
        "file",
        "",
        "Lines `PUBLISHED SHOWN` of user numbers; `*` stands for all others. `CVMFS_CLAIM_OWNERSHIP` wins over it.",
    ),
    Parameter("CVMFS_GID_MAP", "file", "", "The same for groups."),
    Parameter("CVMFS_WORLD_READABLE", "switch", "no", "Show everything as readable by everybody."),
    refused(
        "CVMFS_ENFORCE_ACLS",
        "switch",
        "no",
        "Enforce POSIX access control lists.",
        "the kernel checks modes and owners only; files could be open to more people than you want",
    ),
    accepted(
        "CVMFS_CHECK_PERMISSIONS",
        "switch",
        "yes",
        "Let the kernel check modes and owners.",
        "it always does; `CVMFS_WORLD_READABLE` opens what is closed",
    ),
    Parameter(
        "CVMFS_KCACHE_TIMEOUT",
        "seconds",
        "",
        "How long the kernel may keep names and attributes; less than 0: not at all.",
        otherwise="a day: the kernel is told of every change",
    ),
    accepted("CVMFS_CACHE_SYMLINKS", "switch", "no", "Let the kernel keep symlinks.", "it always does"),
    accepted("CVMFS_FUSE_NOTIFY_INVALIDATION", "switch", "yes", "Tell the kernel of changes.", "it is always told"),
    accepted("CVMFS_MEMCACHE_SIZE", "megabytes", "16", "Memory for inodes, paths and attributes.", _KERNEL_CACHES),
    accepted("CVMFS_STATFS_CACHE_TIMEOUT", "seconds", "0", "How long an answer to `df` holds.", "it costs nothing"),
    accepted(
        "CVMFS_CATALOG_WATERMARK",
        "number",
        "",
        "Catalogs that may be open before some are closed.",
        "of each repository the 96 that were used last stay open; the others open again when they are needed",
    ),
    Parameter("CVMFS_HIDE_MAGIC_XATTRS", "switch", "no", "Leave the client's own attributes out of listings."),
    Parameter(
        "CVMFS_MAGIC_XATTRS_VISIBILITY",
        "`rootonly`, `never` or `always`",
        "rootonly",
        "Where listings show the client's own attributes; they can be read everywhere.",
    ),
    Parameter("CVMFS_XATTR_PRIVILEGED_GIDS", "list of numbers", "", "Groups that may read protected attributes."),
    Parameter(
        "CVMFS_XATTR_PROTECTED_XATTRS", "list of names", "", "Attributes that only root and those groups may read."
    ),
)
