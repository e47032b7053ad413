"""Where verified objects are kept, and how many of them."""

from __future__ import annotations

from swrepo.config.parameter import Parameter, accepted, refused

_NO_PLUGINS = "a cache of type `external` is refused; one in memory is of type `ram`"

ROWS = (
    Parameter(
        "CVMFS_CACHE_BASE",
        "directory",
        "",
        "Where caches lie.",
        otherwise="`/var/lib/cvmfs`; `$XDG_CACHE_HOME/swrepo` for ordinary users",
    ),
    Parameter("CVMFS_CACHE_DIR", "directory", "", "The cache itself, in place of one below `CVMFS_CACHE_BASE`."),
    Parameter(
        "CVMFS_SHARED_CACHE",
        "switch",
        "yes",
        "One cache (`shared`) for all repositories, or one named like the repository for each.",
    ),
    Parameter(
        "CVMFS_QUOTA_LIMIT",
        "megabytes",
        "4000",
        'How large the cache may get; `-1` for as large as the disk lets it. See "Cache" in [semantics](semantics.md).',
    ),
    Parameter(
        "CVMFS_ALIEN_CACHE",
        "directory",
        "",
        "A cache that other hosts use too, on a network file system: without a limit, nothing in it is ever removed. "
        'See "Caches" in [operations](operations.md).',
    ),
    Parameter(
        "CVMFS_CACHE_PRIMARY",
        "name of a cache",
        "",
        "A cache of another kind, described by the parameters `CVMFS_CACHE_<NAME>_...`.",
        otherwise="the one that the parameters above describe",
    ),
    Parameter(
        "CVMFS_CACHE_*_TYPE",
        "`posix`, `ram`, `tiered`",
        "",
        "What the cache of that name is: a directory, memory, or two other caches.",
        otherwise="must be set",
    ),
    Parameter("CVMFS_CACHE_TYPE", "`posix`, `ram`, `tiered`", "posix", "The same for the cache without a name."),
    Parameter(
        "CVMFS_CACHE_*_BASE", "directory", "", "posix: where its directory lies.", otherwise="`CVMFS_CACHE_BASE`"
    ),
    Parameter("CVMFS_CACHE_*_SHARED", "switch", "no", "posix: like `CVMFS_SHARED_CACHE`."),
    Parameter("CVMFS_CACHE_*_QUOTA_LIMIT", "megabytes", "4000", "posix: like `CVMFS_QUOTA_LIMIT`."),
    Parameter("CVMFS_CACHE_*_ALIEN", "directory", "", "posix: like `CVMFS_ALIEN_CACHE`."),
    Parameter("CVMFS_CACHE_*_SIZE", "megabytes", "", "ram: how much memory it may take.", otherwise="must be set"),
    Parameter(
        "CVMFS_CACHE_*_UPPER", "name of a cache", "", "tiered: the cache that is asked first.", otherwise="must be set"
    ),
    Parameter(
        "CVMFS_CACHE_*_LOWER", "name of a cache", "", "tiered: the one that is asked next.", otherwise="must be set"
    ),
    Parameter(
        "CVMFS_CACHE_*_LOWER_READONLY",
        "switch",
        "no",
        "tiered: nothing is written to the lower cache; what both lack is kept in the upper one.",
    ),
    Parameter(
        "CVMFS_CACHE_*_COPY_UP",
        "switch",
        "yes",
        "tiered: what the lower cache has is copied to the upper one; `no`: it is read where it is.",
    ),
    accepted("CVMFS_CACHE_*_WORKSPACE", "directory", "", "posix: like `CVMFS_WORKSPACE`.", "set that"),
    accepted("CVMFS_CACHE_*_LOCATOR", "address", "", "external: where the cache listens.", _NO_PLUGINS),
    accepted("CVMFS_CACHE_*_CMDLINE", "command", "", "external: how it is started.", _NO_PLUGINS),
    accepted(
        "CVMFS_CACHE_*_MALLOC", "`libc`, `arena` or `heap`", "", "ram: how it gets memory.", "the interpreter decides"
    ),
    accepted("CVMFS_CACHE_*_REFCOUNT", "switch", "", "posix: like `CVMFS_CACHE_REFCOUNT`.", "see there"),
    accepted("CVMFS_CACHE_*_SERVER_MODE", "switch", "", "posix: keep objects as servers do.", "only server tools do"),
    Parameter(
        "CVMFS_WORKSPACE",
        "directory",
        "",
        "Where the control socket lies, and the log where there is no syslog.",
        otherwise="in the cache",
    ),
    refused(
        "CVMFS_STREAMING_CACHE",
        "switch",
        "no",
        "Fetch when read, and keep nothing.",
        "what is read has to lie somewhere; for a machine without room on its disk take a cache in memory "
        "(CVMFS_CACHE_PRIMARY=memory, CVMFS_CACHE_memory_TYPE=ram, CVMFS_CACHE_memory_SIZE=500)",
    ),
    accepted(
        "CVMFS_CACHE_REFCOUNT",
        "switch",
        "yes",
        "Share descriptors of a file that is open twice.",
        "one descriptor serves all who read a file",
    ),
    accepted(
        "CVMFS_NFILES",
        "number",
        "131072",
        "Files that may be open at once.",
        "readers hold no descriptor here; what the process may open at most is raised to the system's limit",
    ),
    accepted("CVMFS_SERVER_CACHE_MODE", "switch", "no", "Keep objects as servers do.", "only server tools use it"),
)
