"""Which configuration files count, in which order, and what the parameters in them mean."""

import pytest

from swrepo.config.files import Setting, files_for, load
from swrepo.config.parameter import Standing
from swrepo.config.parameters import complete_name, interpret, warnings
from swrepo.config.table.client import TABLE, find
from swrepo.errors import ConfigError

FQRN = "atlas.example.org"


@pytest.fixture
def etc(tmp_path):
    def write(name, text):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    write.directory = tmp_path
    return write


def load_values(directory, fqrn=FQRN, overrides=None):
    return {name: setting.value for name, setting in load([directory], fqrn, overrides).items()}


def test_files_are_read_in_the_order_of_the_original(etc):
    for name in ("default.d/20-b.conf", "default.d/10-a.conf", "default.d/ignored.txt"):
        etc(name, "")
    assert [str(p.relative_to(etc.directory)) for p in files_for([etc.directory], FQRN)] == [
        "default.conf",
        "default.d/10-a.conf",
        "default.d/20-b.conf",
        "default.local",
        "domain.d/example.org.conf",
        "domain.d/example.org.local",
        "config.d/atlas.example.org.conf",
        "config.d/atlas.example.org.local",
    ]


def test_each_step_of_the_cascade_overrides_the_one_before(etc):
    steps = [p.relative_to(etc.directory) for p in files_for([etc.directory], FQRN)]
    for number, step in enumerate(steps):
        etc(str(step), f"LAST={number}\n")
        assert load_values(etc.directory)["LAST"] == str(number)


def test_a_users_directory_overrides_the_machines_step_by_step(tmp_path):
    machine, user = tmp_path / "etc", tmp_path / "home"
    for directory in (machine, user):
        directory.mkdir()
        (directory / "default.local").write_text(f"A={directory.name}\n")
    (machine / "domain.d").mkdir()
    (machine / "domain.d" / "example.org.conf").write_text("B=domain\nA=domain\n")
    settings = load([machine, user], FQRN)
    assert (settings["A"].value, settings["B"].value) == ("domain", "domain")
    assert load([machine, user], None)["A"].value == "home"


def test_the_name_and_the_organisation_are_filled_in(etc):
    etc("default.conf", 'CVMFS_SERVER_URL="http://s/@org@/cvmfs/@fqrn@"\n')
    assert load_values(etc.directory)["CVMFS_SERVER_URL"] == "http://s/atlas/cvmfs/atlas.example.org"


def test_a_setting_knows_its_file_and_line(etc):
    path = etc("default.local", "\n\nA=1\n")
    assert load([etc.directory], FQRN)["A"] == Setting("1", f"{path}:3")


def test_overrides_win_over_every_file(etc):
    etc("config.d/atlas.example.org.local", "A=1")
    assert load_values(etc.directory, overrides={"A": Setting("2", "-o")})["A"] == "2"


def test_a_later_file_sees_the_values_of_an_earlier_one(etc):
    etc("default.conf", "HOST=h1\n")
    etc("default.local", "CVMFS_SERVER_URL=http://$HOST/@fqrn@\n")
    assert load_values(etc.directory)["CVMFS_SERVER_URL"] == "http://h1/atlas.example.org"


def test_no_files_say_nothing(tmp_path):
    assert load([tmp_path / "nowhere"], FQRN) == {}


def test_a_file_that_cannot_be_read_is_an_error_and_not_skipped(etc):
    (etc.directory / "default.conf").mkdir()
    with pytest.raises(ConfigError, match=r"cannot read the configuration file .*default\.conf"):
        load([etc.directory], FQRN)


def settings_of(**values):
    return {name: Setting(value, "f:1") for name, value in values.items()}


def test_the_defaults_are_those_of_the_table():
    parameters = interpret({})
    network = parameters.network
    servers = network.servers
    assert (servers.proxies, servers.fallback) == ("DIRECT", "")
    assert (servers.timeout, servers.timeout_direct, network.max_retries) == (5.0, 10.0, 1)
    assert parameters.shared_cache
    assert not parameters.strict_mount
    assert parameters.max_ttl is None


def test_servers_are_split_and_cleaned():
    parameters = interpret(settings_of(CVMFS_SERVER_URL="http://a/cvmfs/x/ ; https://b/x;;"))
    assert parameters.server_urls == ("http://a/cvmfs/x", "https://b/x")


def test_max_ttl_is_given_in_minutes():
    assert interpret(settings_of(CVMFS_MAX_TTL="2")).max_ttl == 120
    assert interpret(settings_of(CVMFS_QUOTA_LIMIT="2")).quota_limit == 2 << 20
    assert interpret(settings_of(CVMFS_QUOTA_LIMIT="-1")).quota_limit is None
    assert interpret({}).quota_limit == 4000 << 20


def test_every_setting_is_seen_by_variant_symlinks():
    assert interpret(settings_of(GOLDEN_SET="v", CVMFS_TIMEOUT="3")).variables == {
        "GOLDEN_SET": "v",
        "CVMFS_TIMEOUT": "3",
    }


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CVMFS_TIMEOUT", "soon"),
        ("CVMFS_TIMEOUT", "0"),
        ("CVMFS_MAX_RETRIES", "-1"),
        ("CVMFS_MAX_TTL", "٣"),
        ("CVMFS_QUOTA_LIMIT", "-2"),
        ("CVMFS_QUOTA_LIMIT", "0"),
        ("CVMFS_QUOTA_LIMIT", "4G"),
        ("CVMFS_SHARED_CACHE", "perhaps"),
        ("CVMFS_SERVER_URL", "example.org"),
        ("CVMFS_IPFAMILY_PREFER", "5"),
        ("CVMFS_PAC_URLS", "ftp://wpad"),
        ("CVMFS_BEARER_TOKEN_SERVERS", "http://open"),
        ("CVMFS_NOTIFICATION_SERVER", "example.org:4929"),
        ("CVMFS_NOTIFICATION_SERVER", "http://a/api/v1;http://b/api/v1"),
    ],
)
def test_a_value_that_does_not_fit_names_its_parameter_and_place(name, value):
    with pytest.raises(ConfigError, match=f"f:1: {name}="):
        interpret(settings_of(**{name: value}))


def test_a_parameter_that_needs_no_effect_draws_no_warning():
    assert warnings(settings_of(CVMFS_NFILES="4000")) == []


@pytest.mark.parametrize("name", [row.name for row in TABLE if row.standing is Standing.REFUSED])
def test_what_would_be_wrong_to_leave_out_is_refused_with_a_reason(name):
    with pytest.raises(ConfigError, match=f"f:1: {name}=x is refused: "):
        interpret(settings_of(**{name: "x"}))
    interpret(settings_of(**{name: ""}))


def test_a_misspelt_parameter_gets_a_suggestion():
    assert warnings(settings_of(CVMFS_HTTP_PROXI="DIRECT")) == [
        "f:1: there is no parameter CVMFS_HTTP_PROXI; did you mean CVMFS_HTTP_PROXY?"
    ]


ORIGINAL = """
CVMFS_ALIEN_CACHE CVMFS_ALT_ROOT_PATH CVMFS_AUTHZ_HELPER CVMFS_AUTHZ_SEARCH_PATH CVMFS_AUTO_UPDATE CVMFS_BACKOFF_INIT
CVMFS_BACKOFF_MAX CVMFS_BLACKLIST CVMFS_CACHE_BASE CVMFS_CACHE_DIR CVMFS_CACHE_PRIMARY CVMFS_CACHE_REFCOUNT
CVMFS_CACHE_SYMLINKS CVMFS_CATALOG_WATERMARK CVMFS_CHECK_PERMISSIONS CVMFS_CLAIM_OWNERSHIP CVMFS_CLIENT_PROFILE
CVMFS_CONFIG_REPOSITORY CVMFS_CONFIG_REPO_REQUIRED CVMFS_CPU_AFFINITY CVMFS_DEBUGLOG CVMFS_DEFAULT_DOMAIN
CVMFS_DNS_MAX_TTL CVMFS_DNS_MIN_TTL CVMFS_DNS_RETRIES CVMFS_DNS_ROAMING CVMFS_DNS_SERVER CVMFS_DNS_TIMEOUT
CVMFS_ENFORCE_ACLS CVMFS_EXTERNAL_FALLBACK_PROXY CVMFS_EXTERNAL_HTTP_PROXY CVMFS_EXTERNAL_MAX_SERVERS
CVMFS_EXTERNAL_METALINK CVMFS_EXTERNAL_TIMEOUT CVMFS_EXTERNAL_TIMEOUT_DIRECT CVMFS_EXTERNAL_URL
CVMFS_FAILOVER_INDEFINITELY CVMFS_FALLBACK_PROXY CVMFS_FOLLOW_REDIRECTS CVMFS_FUSE3_IDLE_THREADS
CVMFS_FUSE3_MAX_THREADS CVMFS_FUSE_NOTIFY_INVALIDATION CVMFS_GID_MAP CVMFS_HIDE_MAGIC_XATTRS CVMFS_HOST_RESET_AFTER
CVMFS_HTTP_PROXY CVMFS_HTTP_TRACING CVMFS_HTTP_TRACING_HEADERS CVMFS_INFLUX_HOST CVMFS_INFLUX_PORT
CVMFS_INSTRUMENT_FUSE CVMFS_IPFAMILY_PREFER CVMFS_IPV4_ONLY CVMFS_KCACHE_TIMEOUT CVMFS_KEYS_DIR CVMFS_LOW_SPEED_LIMIT
CVMFS_MAGIC_XATTRS_VISIBILITY CVMFS_MAX_EXTERNAL_SERVERS CVMFS_MAX_IPADDR_PER_PROXY CVMFS_MAX_RETRIES
CVMFS_MAX_SERVERS CVMFS_MAX_TTL CVMFS_MEMCACHE_SIZE CVMFS_METALINK_RESET_AFTER CVMFS_METALINK_URL CVMFS_MOUNT_DIR
CVMFS_MOUNT_RW CVMFS_NFILES CVMFS_NFS_INTERLEAVED_INODES CVMFS_NFS_SHARED CVMFS_NFS_SOURCE CVMFS_NOTIFICATION_SERVER
CVMFS_OOM_SCORE_ADJ CVMFS_PAC_URLS CVMFS_PREFETCH_FILEBUNDLES CVMFS_PROXY_RESET_AFTER CVMFS_PROXY_SHARD
CVMFS_PROXY_SHARDING_POLICY CVMFS_PROXY_TEMPLATE CVMFS_PUBLIC_KEY CVMFS_QUOTA_LIMIT CVMFS_RELOAD_SOCKETS
CVMFS_REPOSITORIES CVMFS_REPOSITORY_DATE CVMFS_REPOSITORY_TAG CVMFS_ROOT_HASH CVMFS_SEND_INFO_HEADER CVMFS_SERVER_URL
CVMFS_SHARED_CACHE CVMFS_STATFS_CACHE_TIMEOUT CVMFS_STREAMING_CACHE CVMFS_STRICT_MOUNT CVMFS_SUID
CVMFS_SYSLOG_FACILITY CVMFS_SYSLOG_LEVEL CVMFS_SYSLOG_PREFIX CVMFS_SYSTEMD_NOKILL CVMFS_TALK_SOCKET
CVMFS_TELEMETRY_RATE CVMFS_TELEMETRY_SEND CVMFS_TIMEOUT CVMFS_TIMEOUT_DIRECT CVMFS_TRACEBUFFER
CVMFS_TRACEBUFFER_THRESHOLD CVMFS_TRACEFILE CVMFS_UID_MAP CVMFS_USER CVMFS_USE_CDN CVMFS_USE_GEOAPI
CVMFS_USE_SSL_SYSTEM_CA CVMFS_USYSLOG CVMFS_WORKSPACE CVMFS_WORLD_READABLE CVMFS_XATTR_PRIVILEGED_GIDS
CVMFS_XATTR_PROTECTED_XATTRS X509_CERT_BUNDLE X509_CERT_DIR CVMFS_CACHE_memory_TYPE CVMFS_CACHE_memory_SIZE
"""


@pytest.mark.parametrize("name", ORIGINAL.split())
def test_every_parameter_of_the_original_has_its_row(name):
    row = find(name)
    assert row is not None
    assert row.meaning
    assert row.reason or row.standing is Standing.HONOURED


def test_the_originals_own_defaults_draw_no_warning_and_no_error():
    values = {row.name: row.default for row in TABLE if "*" not in row.name and row.default}
    assert warnings(settings_of(**values)) == []
    interpret(settings_of(**values))


def test_fallback_proxies_follow_the_others_and_rule_out_direct_connections():
    found = interpret(settings_of(CVMFS_HTTP_PROXY="http://a|DIRECT;DIRECT", CVMFS_FALLBACK_PROXY="http://b;DIRECT"))
    assert (found.network.servers.proxies, found.network.servers.fallback) == ("http://a", "http://b")


def test_only_so_many_servers_are_used():
    found = interpret(settings_of(CVMFS_SERVER_URL="http://a;http://b;http://c", CVMFS_MAX_SERVERS="2"))
    assert found.network.servers.most == 2


def test_honoured_parameters_and_other_variables_draw_no_warning():
    honoured = [row.name for row in TABLE if row.standing is Standing.HONOURED]
    assert warnings(settings_of(**dict.fromkeys(honoured, "x"), MY_VARIABLE="1")) == []


def test_the_default_domain_completes_a_short_name():
    assert complete_name("atlas", "cern.ch") == "atlas.cern.ch"
    assert complete_name("atlas.cern.ch", "example.org") == "atlas.cern.ch"
    assert complete_name("atlas", "") == "atlas"
