"""Which configuration files count, in which order, and what the parameters in them mean."""

import pytest

from swrepo.config.files import Setting, files_for, load
from swrepo.config.parameter import Standing
from swrepo.config.parameters import complete_name, interpret, warnings
from swrepo.config.table import TABLE
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
    assert network.proxies == "DIRECT"
    assert (network.timeout, network.timeout_direct, network.max_retries) == (5.0, 10.0, 1)
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
        ("CVMFS_HTTP_PROXY", "auto"),
    ],
)
def test_a_value_that_does_not_fit_names_its_parameter_and_place(name, value):
    with pytest.raises(ConfigError, match=f"f:1: {name}="):
        interpret(settings_of(**{name: value}))


def test_a_parameter_that_is_not_honoured_yet_is_named_where_it_asks_for_something():
    said = ["f:1: CVMFS_USE_GEOAPI is not honoured yet; it has no effect"]
    assert warnings(settings_of(CVMFS_USE_GEOAPI="yes")) == said
    assert warnings(settings_of(CVMFS_USE_GEOAPI="no")) == []


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


def test_honoured_parameters_and_other_variables_draw_no_warning():
    honoured = [row.name for row in TABLE if row.standing is Standing.HONOURED]
    assert warnings(settings_of(**dict.fromkeys(honoured, "x"), MY_VARIABLE="1")) == []


def test_the_default_domain_completes_a_short_name():
    assert complete_name("atlas", "cern.ch") == "atlas.cern.ch"
    assert complete_name("atlas.cern.ch", "example.org") == "atlas.cern.ch"
    assert complete_name("atlas", "") == "atlas"
