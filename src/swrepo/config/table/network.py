"""Servers, proxies, time-outs, names and certificates."""

from __future__ import annotations

from swrepo.config.parameter import Parameter, accepted, refused

ROWS = (
    Parameter(
        "CVMFS_SERVER_URL",
        "list of URLs",
        "",
        "Servers of the repository, `;` between them, tried in this order; `@fqrn@` and `@org@` are filled in.",
        otherwise="must be set",
    ),
    Parameter(
        "CVMFS_MAX_SERVERS",
        "number",
        "0",
        "Use only so many of the servers, the first or the nearest.",
        otherwise="all",
    ),
    Parameter(
        "CVMFS_HTTP_PROXY",
        "proxy groups",
        "DIRECT",
        "Proxies: `|` between those that share the load, `;` between groups that stand in for one another; "
        "`DIRECT` for none.",
    ),
    Parameter(
        "CVMFS_FALLBACK_PROXY",
        "proxy groups",
        "",
        "Proxies for when all others have failed. With them nothing is fetched directly, whatever `CVMFS_HTTP_PROXY` "
        "says.",
    ),
    Parameter("CVMFS_TIMEOUT", "seconds", "5", "How long a connection through a proxy may take to come about."),
    Parameter("CVMFS_TIMEOUT_DIRECT", "seconds", "10", "The same without a proxy."),
    Parameter("CVMFS_LOW_SPEED_LIMIT", "bytes per second", "1024", "Slower than that for the time-out is a failure."),
    Parameter(
        "CVMFS_MAX_CONNECTIONS",
        "number",
        "64",
        "Connections to one server or proxy: so many for what programs wait for, as many for what is fetched ahead. "
        "Fewer spare a small proxy; more bring small files faster over long links.",
    ),
    Parameter("CVMFS_MAX_RETRIES", "number", "1", "How often a failed request is repeated on the same route."),
    Parameter("CVMFS_BACKOFF_INIT", "seconds", "2", "The longest first pause before a repetition; doubled each time."),
    Parameter("CVMFS_BACKOFF_MAX", "seconds", "10", "The longest pause."),
    Parameter("CVMFS_PROXY_RESET_AFTER", "seconds", "300", "When the first proxy group is tried again; `0` for never."),
    Parameter("CVMFS_HOST_RESET_AFTER", "seconds", "1800", "When the first server is tried again; `0` for never."),
    Parameter("CVMFS_FOLLOW_REDIRECTS", "switch", "no", "Go where a server sends us, four times at most."),
    Parameter(
        "CVMFS_USE_SSL_SYSTEM_CA",
        "switch",
        "no",
        "Trust the system's authorities for https even where `X509_CERT_BUNDLE` is set.",
    ),
    Parameter(
        "X509_CERT_BUNDLE", "file", "", "Authorities that are trusted for https.", otherwise="those of the system"
    ),
    Parameter(
        "X509_CERT_DIR",
        "directory",
        "",
        "Authorities that are trusted for https, a file for each, named by its hash as `openssl rehash` does.",
    ),
    Parameter(
        "CVMFS_BEARER_TOKEN_SERVERS",
        "list of URLs",
        "",
        "https:// servers that get the user's bearer token, `;` between them; nobody else does. The "
        "token is looked for where the WLCG's rules say: `BEARER_TOKEN`, `BEARER_TOKEN_FILE`, "
        "`$XDG_RUNTIME_DIR/bt_u<uid>`, `/tmp/bt_u<uid>`.",
        otherwise="none",
    ),
    accepted(
        "CVMFS_SEND_INFO_HEADER",
        "switch",
        "no",
        "Tell servers the path of what is fetched.",
        "an object may belong to many files, and is asked for without a path",
    ),
    Parameter("CVMFS_HTTP_TRACING", "switch", "no", "Send headers that name the process, user and group that ask."),
    Parameter(
        "CVMFS_HTTP_TRACING_HEADERS",
        "list of headers",
        "",
        "Send these, too: `key:value|key:value` become `X-CVMFS-key: value`.",
    ),
    Parameter(
        "CVMFS_USE_GEOAPI",
        "switch",
        "no",
        "Order servers and fallback proxies by distance, as a server's Geo API says; where none does, "
        "servers by measured round trips.",
    ),
    Parameter(
        "CVMFS_PROXY_TEMPLATE",
        "text",
        "",
        "Where the Geo API is to count from.",
        otherwise="the first proxy, or this machine",
    ),
    Parameter(
        "CVMFS_PAC_URLS",
        "list of URLs",
        "",
        "Where the PAC files are that `auto` in `CVMFS_HTTP_PROXY` asks for, `;` between them.",
        otherwise="`http://wpad/wpad.dat`",
    ),
    Parameter(
        "CVMFS_PROXY_SHARD",
        "switch",
        "no",
        "Choose the proxy of a group by the object's name, so that each holds a part of all objects.",
    ),
    accepted(
        "CVMFS_PROXY_SHARDING_POLICY",
        "name",
        "",
        "How that is chosen.",
        "there is one way: each proxy draws a number for the name, the highest wins",
    ),
    Parameter("CVMFS_FAILOVER_INDEFINITELY", "switch", "no", "When every way has failed, begin again, for ever."),
    Parameter("CVMFS_DNS_MIN_TTL", "seconds", "60", "The shortest time for which a proxy's address holds."),
    Parameter("CVMFS_DNS_MAX_TTL", "seconds", "86400", "The longest."),
    Parameter("CVMFS_DNS_RETRIES", "number", "1", "How often a name is asked for again."),
    Parameter("CVMFS_DNS_TIMEOUT", "seconds", "3", "How long an address may take to be found."),
    Parameter(
        "CVMFS_DNS_SERVER",
        "address",
        "",
        "Whom to ask for addresses of servers and proxies.",
        otherwise="the system",
    ),
    accepted(
        "CVMFS_DNS_ROAMING",
        "switch",
        "no",
        "Notice when the machine's resolver changes.",
        "it is noticed anyway: names are looked up by the system",
    ),
    Parameter("CVMFS_MAX_IPADDR_PER_PROXY", "number", "0", "Use only so many addresses of a proxy."),
    Parameter(
        "CVMFS_IPFAMILY_PREFER",
        "`4` or `6`",
        "4",
        "Which addresses of a proxy are used, if it has both kinds. Of a server's, both are tried nearly at once.",
    ),
    Parameter("CVMFS_IPV4_ONLY", "switch", "no", "Use no address of version 6."),
    refused(
        "CVMFS_AUTHZ_HELPER",
        "program",
        "",
        "Who decides on access to secure repositories.",
        "secure repositories are not supported yet; everybody on the machine could read them",
    ),
    accepted("CVMFS_AUTHZ_SEARCH_PATH", "directory", "", "Where such programs are.", "none is started"),
    Parameter("CVMFS_EXTERNAL_URL", "list of URLs", "", "Servers of files that are not in the repository."),
    Parameter("CVMFS_EXTERNAL_HTTP_PROXY", "proxy groups", "", "Proxies for them."),
    Parameter("CVMFS_EXTERNAL_FALLBACK_PROXY", "proxy groups", "", "Proxies for when those have failed."),
    Parameter("CVMFS_EXTERNAL_TIMEOUT", "seconds", "5", "As `CVMFS_TIMEOUT`, for them."),
    Parameter("CVMFS_EXTERNAL_TIMEOUT_DIRECT", "seconds", "10", "As `CVMFS_TIMEOUT_DIRECT`, for them."),
    Parameter("CVMFS_EXTERNAL_MAX_SERVERS", "number", "0", "As `CVMFS_MAX_SERVERS`, for them."),
    Parameter("CVMFS_MAX_EXTERNAL_SERVERS", "number", "0", "Another name of the same."),
    Parameter(
        "CVMFS_METALINK_URL",
        "list of URLs",
        "",
        "The repository at those that tell its servers in Link headers (RFC 6249); these come before CVMFS_SERVER_URL.",
    ),
    Parameter(
        "CVMFS_EXTERNAL_METALINK",
        "list of URLs",
        "",
        "The same for files that are not in the repository.",
    ),
    Parameter(
        "CVMFS_METALINK_RESET_AFTER",
        "seconds",
        "1800",
        "When those are asked again; `0` for never.",
    ),
    Parameter(
        "CVMFS_PREFETCH",
        "switch",
        "yes",
        "Fetch ahead what programs are likely to open next; `no` on links that are paid by the byte.",
    ),
    Parameter(
        "CVMFS_PREFETCH_GUESSES",
        "switch",
        "yes",
        "Of that, also what lies near an opened file and is named nowhere; `no` leaves profiles, bundles, catalogs and "
        "the rest of a file that is read.",
    ),
    Parameter(
        "CVMFS_PREFETCH_BELOW",
        "list of paths",
        "",
        "Directories of the repository, `:` between them, that are brought into the cache as a whole in the background "
        "once a file in them was opened; for mounts of one repository.",
    ),
    Parameter(
        "CVMFS_PROFILES",
        "switch",
        "yes",
        "Fetch what the repository's profiles say that a program opens, all at once, when its first file is opened.",
    ),
    Parameter(
        "CVMFS_PROFILES_DIR",
        "directory",
        "",
        "Profiles of this node or site besides those of repositories: `DIR/FQRN/NAME.json`.",
    ),
    Parameter(
        "CVMFS_PREFETCH_FILEBUNDLES",
        "switch",
        "yes",
        "The same for `.cvmfsbundle-NAME`, the file bundles of CernVM-FS 2.14: fetch them when `NAME` is opened. "
        "(There it is `no` unless it is set.)",
    ),
)
