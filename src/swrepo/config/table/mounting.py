"""Which repositories there are, whom to trust, how they are mounted."""

from __future__ import annotations

from swrepo.config.parameter import Parameter, accepted, refused

ROWS = (
    Parameter(
        "CVMFS_REPOSITORIES", "list of names", "", "The repositories of this machine, `,` or blanks between them."
    ),
    Parameter("CVMFS_DEFAULT_DOMAIN", "domain", "", "What is added to a repository's name that has no dot."),
    Parameter("CVMFS_STRICT_MOUNT", "switch", "no", "Mount nothing but what `CVMFS_REPOSITORIES` lists."),
    Parameter(
        "CVMFS_KEYS_DIR",
        "directory",
        "",
        "Every `*.pub` in it is a master key that is trusted. Wins over `CVMFS_PUBLIC_KEY`. It may lie in the "
        "configuration repository.",
        otherwise="`keys` beside the configuration files",
    ),
    Parameter("CVMFS_PUBLIC_KEY", "list of files", "", "Files of trusted master keys, `:` between them."),
    Parameter(
        "CVMFS_BLACKLIST",
        "file",
        "",
        "Certificates and revisions that must not be trusted; the configuration repository's own one is read too.",
        otherwise="`blacklist` beside the configuration files",
    ),
    Parameter(
        "CVMFS_CONFIG_REPOSITORY",
        "repository",
        "",
        "A repository whose `etc/cvmfs` holds configuration, keys and a blacklist. It can be set in `default.conf` "
        "and `default.d` only, and is read without a mount.",
    ),
    Parameter(
        "CVMFS_CONFIG_REPO_REQUIRED",
        "switch",
        "no",
        "Refuse to go on without the configuration repository, where it cannot be read.",
    ),
    Parameter("CVMFS_MOUNT_DIR", "directory", "/cvmfs", "Where `cvmfs_config` and autofs expect the repositories."),
    Parameter("CVMFS_REPOSITORY_TAG", "tag", "", "Show the revision with this tag, for good."),
    Parameter(
        "CVMFS_REPOSITORY_DATE",
        "time",
        "",
        "Show the last revision that had a tag at this time (UTC, `2024-12-31T23:59:59Z`), for good. "
        "`CVMFS_REPOSITORY_TAG` wins over it.",
    ),
    Parameter(
        "CVMFS_ROOT_HASH",
        "object name",
        "",
        "Show the revision with this root catalog, for good. Wins over `CVMFS_REPOSITORY_TAG`.",
    ),
    Parameter("CVMFS_AUTO_UPDATE", "switch", "yes", "Look for new revisions; `no` stays at the one that was mounted."),
    Parameter(
        "CVMFS_MAX_TTL",
        "minutes",
        "0",
        "The longest time between two looks for a new revision.",
        otherwise="as the repository says",
    ),
    Parameter("CVMFS_SUID", "switch", "no", "Honour set-user-id bits of what is mounted."),
    Parameter(
        "CVMFS_USER",
        "user",
        "",
        "The owner that `CVMFS_CLAIM_OWNERSHIP` shows where root mounts. The client itself stays the user who mounts.",
        otherwise="who mounts",
    ),
    accepted(
        "CVMFS_CLIENT_PROFILE",
        "`single`",
        "",
        "For laptops: configuration files choose proxies by it.",
        "it is seen by the files that ask for it; without a proxy the client asks servers directly anyway",
    ),
    accepted(
        "CVMFS_USE_CDN",
        "switch",
        "no",
        "Configuration files choose servers by it.",
        "it is seen by the files that ask for it, which is all that it is for",
    ),
    accepted(
        "CVMFS_RELOAD_SOCKETS",
        "directory",
        "/var/run/cvmfs",
        "Where the original's loaders listen.",
        "a mount has one control socket, in its cache directory",
    ),
    accepted(
        "CVMFS_MOUNT_RW",
        "switch",
        "no",
        "Let programs open files for writing, and fail at the first write.",
        "the mount is read-only, and says so when a file is opened",
    ),
    accepted("CVMFS_BASE_ENV", "mark", "", "Set by the original's `default.conf`.", "it is a mark between files"),
    accepted(
        "CVMFS_CONFIG_REPO_DEFAULT_ENV",
        "mark",
        "",
        "Set by configuration repositories, so that files on the machine leave the choice to them.",
        "it is a mark between files",
    ),
    accepted("CVMFS_FQRN", "name", "", "The repository; set for the files to read.", "it is set by the client"),
    accepted("CVMFS_ARCH", "name", "", "The processor, as `uname -m` says; set for symlinks.", "set by the client"),
    accepted(
        "CVMFS_SYSTEMD_NOKILL",
        "switch",
        "no",
        "Survive systemd's killing spree at shutdown.",
        "unit files say it (KillMode, SurviveFinalKillSignal)",
    ),
    accepted(
        "CVMFS_OOM_SCORE_ADJ",
        "number",
        "0",
        "How likely the kernel kills the client when memory is short.",
        "unit files say it (OOMScoreAdjust)",
    ),
    accepted("CVMFS_CPU_AFFINITY", "list of processors", "", "Where to run.", "unit files say it (CPUAffinity)"),
    accepted("CVMFS_FUSE3_MAX_THREADS", "number", "", "Threads that answer the kernel.", "one thread answers it all"),
    accepted("CVMFS_FUSE3_IDLE_THREADS", "number", "", "Threads that stay.", "one thread answers it all"),
    accepted("CVMFS_LIBRARY_PATH", "directory", "", "Where the original's library is.", "there is no such library"),
    refused(
        "CVMFS_NFS_SOURCE",
        "switch",
        "no",
        "Export the mount through NFS, with inode numbers that last.",
        "inode numbers last as long as the mount; an NFS server would mix files up after a remount",
    ),
    refused(
        "CVMFS_NFS_SHARED",
        "directory",
        "",
        "Where NFS servers share their inode numbers.",
        "see `CVMFS_NFS_SOURCE`",
    ),
    accepted(
        "CVMFS_NFS_INTERLEAVED_INODES",
        "number%number",
        "",
        "Which inode numbers this NFS server gives out.",
        "see `CVMFS_NFS_SOURCE`",
    ),
    accepted(
        "CVMFS_INITIAL_GENERATION",
        "number",
        "",
        "First inode generation, for tests of the original.",
        "numbers are never given out twice in a mount",
    ),
    Parameter(
        "CVMFS_TALK_SOCKET",
        "file",
        "",
        "The control socket.",
        otherwise="`cvmfs_io.NAME` in the cache directory",
    ),
    Parameter("CVMFS_TALK_OWNER", "user", "", "Who owns the control socket.", otherwise="who mounts"),
    accepted(
        "CVMFS_ALT_ROOT_PATH",
        "switch",
        "no",
        "Where `CVMFS_ROOT_HASH` is set, ask for the root catalog by its `.cvmfsalt-` name.",
        "that name is asked for by itself where there is no other",
    ),
    Parameter("CVMFS_NOTIFICATION_SERVER", "URL", "", "Who tells of new revisions at once, besides looking every TTL."),
)
