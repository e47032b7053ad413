"""What happens to a repository besides publishing: tags, garbage, checks, mounts, replicas."""

from __future__ import annotations

from swrepo.config.parameter import Parameter, accepted

ROWS = (
    Parameter("CVMFS_AUTO_TAG", "switch", "yes", "Give every revision a tag (`generic-...`)."),
    Parameter("CVMFS_AUTO_TAG_TIMESPAN", "span (`4 weeks ago`)", "", "Automatic tags older than that go."),
    Parameter("CVMFS_GARBAGE_COLLECTION", "switch", "no", "Objects that no revision needs may be removed."),
    Parameter("CVMFS_AUTO_GC", "switch", "no", "Collect garbage after publishing."),
    Parameter(
        "CVMFS_AUTO_GC_TIMESPAN", "span", "3 days ago", "Revisions that are younger stay, and the last one before them."
    ),
    Parameter("CVMFS_AUTO_GC_LAPSE", "span", "1 day ago", "Not more often than that."),
    Parameter("CVMFS_GC_DELETION_LOG", "file", "", "Where the names of removed objects are noted."),
    accepted(
        "CVMFS_EXTENDED_GC_STATS", "switch", "no", "Count the bytes of removed objects.", "they are always counted"
    ),
    Parameter("CVMFS_CHECK_ALL_MIN_DAYS", "days", "30", "How often `check -a` looks at a repository."),
    Parameter("CVMFS_PRINT_STATISTICS", "switch", "no", "Show figures after publishing."),
    Parameter(
        "CVMFS_STATISTICS_DB",
        "file",
        "",
        "Where figures of publications and collections are kept; `stats.db` in the spool directory.",
    ),
    Parameter("CVMFS_STATS_DB_DAYS_TO_KEEP", "days", "365", "How long."),
    Parameter("CVMFS_UPLOAD_STATS_DB", "switch", "no", "Store them with the repository, as `stats/stats.db`."),
    Parameter("CVMFS_UPLOAD_STATS_PLOTS", "switch", "no", "Draw them: `stats/index.html`, a page for web browsers."),
    Parameter(
        "CVMFS_PUBLISH_VERSIONS_IN_META_FILE",
        "switch",
        "yes",
        "Name the version in `repositories.json`; in `/etc/cvmfs/server.local`.",
    ),
    Parameter(
        "CVMFS_MASTERKEYCARD_PIN",
        "text",
        "123456",
        "The PIN of a smart card with the master key; in the environment or in `/etc/cvmfs/server.local`.",
    ),
    Parameter(
        "SWREPO_MASTERKEYCARD_MODULE",
        "file",
        "",
        "The PKCS#11 library for the card, in the same places.",
        otherwise="OpenSC's own",
    ),
)

TRANSACTIONS = (
    Parameter(
        "CVMFS_UNION_FS_TYPE",
        "`overlayfs`",
        "",
        "How a transaction makes `/cvmfs/NAME` writable.",
        otherwise="what the machine has",
    ),
    accepted(
        "CVMFS_ASYNC_SCRATCH_CLEANUP",
        "switch",
        "yes",
        "Empty the scratch area in the background.",
        "it takes no time that matters",
    ),
    accepted(
        "CVMFS_AUTO_REPAIR_MOUNTPOINT",
        "switch",
        "yes",
        "Mend the mounts of a repository by itself.",
        "they are mended in any case",
    ),
    accepted(
        "CVMFS_SYNCFS_LEVEL",
        "`none`, `default`, `cautious`",
        "default",
        "When file systems are synced.",
        "what is named is always on the disk",
    ),
    accepted(
        "CVMFS_FORCE_REMOUNT_WARNING",
        "switch",
        "yes",
        "Warn who works in a directory that is remounted.",
        "processes that keep a mount busy are named",
    ),
    accepted(
        "CVMFS_DONT_CHECK_OVERLAYFS_VERSION",
        "switch",
        "no",
        "Use overlayfs of any version.",
        "it is tried, and says itself what it lacks",
    ),
    accepted("CVMFS_ENTER_SESSION_DIR", "directory", "", "Where `enter` keeps its sessions.", "it says where they are"),
)

REPLICAS = (
    Parameter("CVMFS_STRATUM1", "URL", "", "Where clients find this replica."),
    Parameter("CVMFS_PUBLIC_KEY", "files or directories, `:` between", "", "The master keys of what is replicated."),
    Parameter("CVMFS_NUM_WORKERS", "number", "16", "Objects that are fetched at a time."),
    Parameter("CVMFS_HTTP_TIMEOUT", "seconds", "10", "How long the stratum 0 may be silent."),
    Parameter("CVMFS_HTTP_RETRIES", "number", "3", "How often it is asked again."),
    Parameter(
        "CVMFS_MAX_PARALLEL_SNAPSHOTS",
        "number",
        "",
        "Runs of `snapshot -a` at a time; in the environment or in `/etc/cvmfs/server.local`.",
        otherwise="the number of processors",
    ),
    Parameter("CVMFS_REPLICA_ACTIVE", "switch", "yes", "Whether `snapshot -a` looks at it."),
    Parameter("CVMFS_SNAPSHOT_GROUP", "name", "", "Which `snapshot -a -g` looks at it."),
    Parameter("CVMFS_PASSTHROUGH", "switch", "no", "Nothing is copied: the web server hands requests on."),
    Parameter(
        "CVMFS_GEO_DB_FILE",
        "file",
        "",
        "Which addresses are where, for the Geo API of `swrepo serve`: a MaxMind database; `NONE`: none. In "
        "`/etc/cvmfs/server.local`, as those below. See [replicas](replicas.md).",
        otherwise="it is fetched",
    ),
    Parameter("CVMFS_GEO_ACCOUNT_ID", "text", "", "Who fetches that file from MaxMind."),
    Parameter("CVMFS_GEO_LICENSE_KEY", "text", "", "With which key."),
    Parameter("CVMFS_GEO_AUTO_UPDATE", "switch", "yes", "Fetch it after a replication, when it is time."),
    Parameter("CVMFS_UPDATEGEO_DAY", "day of the week", "2", "On which day it is fetched; 0 is Sunday."),
    Parameter("CVMFS_UPDATEGEO_HOUR", "hour", "10", "From which hour on."),
    Parameter("CVMFS_UPDATEGEO_MINDAYS", "days", "14", "Not more often than that."),
    Parameter("CVMFS_UPDATEGEO_MAXDAYS", "days", "28", "When it is older, on any day and at any hour."),
    Parameter("CVMFS_UPDATEGEO_URLBASE", "URL", "", "From where.", otherwise="MaxMind's GeoLite2-City"),
)
