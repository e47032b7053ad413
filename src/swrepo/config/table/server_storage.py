"""What a repository is, where everything of it lies, and the bucket that it may be stored in."""

from __future__ import annotations

from swrepo.config.parameter import Parameter, accepted, refused

PLACES = (
    Parameter("CVMFS_REPOSITORY_NAME", "name", "", "The repository's name.", otherwise="that of the directory"),
    refused(
        "CVMFS_REPOSITORY_TYPE",
        "`stratum0`, `stratum1`",
        "stratum0",
        "What the repository is on this machine: published here, or a copy.",
        "this is a replica: it is published elsewhere, and changed there",
    ),
    accepted("CVMFS_CREATOR_VERSION", "number", "143", "Which layout the files have.", "only this one is read"),
    Parameter("CVMFS_USER", "user", "root", "Whom the repository belongs to."),
    Parameter(
        "CVMFS_UPSTREAM_STORAGE",
        "`local,TMP,DIR` or `S3,TMP,ALIAS@CONF`",
        "",
        "Where objects are stored. See [storage in S3](s3.md).",
        otherwise="the directory that is served",
    ),
    Parameter(
        "CVMFS_STRATUM0", "URL", "", "Where clients and replicas find it.", otherwise="`http://localhost/cvmfs/NAME`"
    ),
    accepted("CVMFS_UNION_DIR", "directory", "", "The work tree.", "it is `/cvmfs/NAME`, below `SWREPO_PREFIX`"),
    accepted(
        "CVMFS_SPOOL_DIR",
        "directory",
        "",
        "Locks, scratch files and what can be lost.",
        "it is `/var/spool/cvmfs/NAME`, below `SWREPO_PREFIX`",
    ),
    Parameter("CVMFS_SERVER_PROXY", "URL", "", "The proxy by which this server reads other servers."),
    accepted(
        "CVMFS_FOLLOW_REDIRECTS",
        "switch",
        "no",
        "Follow redirects when reading other servers.",
        "storage is asked itself",
    ),
    accepted(
        "CVMFS_USE_SSL_SYSTEM_CA",
        "switch",
        "no",
        "Trust the system's authorities for https.",
        "they are always trusted",
    ),
    accepted("CVMFS_IPV4_ONLY", "switch", "no", "Do not use IPv6.", "both are tried"),
    accepted("CVMFS_LOG_LEVEL", "number", "", "How much the server tools tell.", "`-v` and `--json` decide"),
    accepted(
        "CVMFS_SERVER_APACHE_RELOAD_IS_RESTART",
        "switch",
        "no",
        "Restart Apache in place of reloading it.",
        "no web server is configured",
    ),
    accepted("CVMFS_SERVER_DEBUG", "number", "", "Run the server tools under a debugger.", "there is no C++ to debug"),
    accepted("CVMFS_SERVER_FLAGS", "words", "", "Options for every server tool.", "give them on the command line"),
)

S3 = (
    Parameter("CVMFS_S3_HOST", "host", "", "The server, without its port.", otherwise="must be set"),
    Parameter("CVMFS_S3_PORT", "port", "", "Its port.", otherwise="80, with https 443"),
    Parameter("CVMFS_S3_USE_HTTPS", "switch", "no", "Speak TLS with it; the system's authorities are trusted."),
    Parameter(
        "CVMFS_S3_BUCKET",
        "name",
        "",
        "The bucket. All that is in it may be several repositories.",
        otherwise="must be set",
    ),
    Parameter(
        "CVMFS_S3_DNS_BUCKETS",
        "switch",
        "yes",
        "The bucket is part of the host's name (`BUCKET.HOST`); `no`: of the path.",
    ),
    Parameter("CVMFS_S3_ACCESS_KEY", "text", "", "The key's name.", otherwise="must be set"),
    Parameter(
        "CVMFS_S3_SECRET_KEY",
        "text",
        "",
        "The key. Only the owner should be able to read the file.",
        otherwise="must be set",
    ),
    Parameter(
        "CVMFS_S3_REGION",
        "name",
        "",
        "The region, which goes into signatures of version 4.",
        otherwise="`us-east-1` with version 4; without it version 2 is used, as in the original",
    ),
    Parameter(
        "CVMFS_S3_FLAVOR",
        "`awsv4`, `awsv2`",
        "",
        "How requests are signed.",
        otherwise="`awsv4` where there is a region, else `awsv2`; `azure` is refused",
    ),
    Parameter("CVMFS_S3_PEEK_BEFORE_PUT", "switch", "yes", "Ask whether an object is there before sending it."),
    Parameter("CVMFS_S3_X_AMZ_ACL", "name, or empty", "public-read", "Who may read what is stored; empty: unsaid."),
    Parameter("CVMFS_S3_MAX_NUMBER_OF_PARALLEL_CONNECTIONS", "number", "16", "Requests at a time."),
    Parameter("CVMFS_S3_MAX_RETRIES", "number", "3", "How often a request that failed is sent again."),
    Parameter("CVMFS_S3_TIMEOUT", "seconds", "60", "How long the server may be silent."),
    Parameter("CVMFS_S3_PROXY", "URL", "", "The proxy by which it is reached."),
)
