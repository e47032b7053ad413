"""Any text is assignments or a ConfigError; what was quoted is read back, by us and by a shell."""

import subprocess

from hypothesis import given, settings
from hypothesis import strategies as st

from swrepo.config.assignments import parse, quote
from swrepo.config.files import Setting
from swrepo.config.parameters import ClientParameters, interpret
from swrepo.config.table import TABLE
from swrepo.errors import ConfigError

NAMES = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,12}", fullmatch=True)
VALUES = st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)), max_size=40)


@given(st.text(alphabet=st.sampled_from("AB1_= \t\n\r;#'\"\\$`{}()&|:-xexport"), max_size=60))
def test_any_text_gives_assignments_or_a_config_error(text):
    try:
        assignments = parse(text, "any")
    except ConfigError as error:
        assert str(error).startswith("any, line ")
    else:
        assert all(a.name.isidentifier() for a in assignments)


@given(st.lists(st.tuples(NAMES, VALUES), max_size=5))
def test_quoted_assignments_are_read_back(pairs):
    text = "".join(f"{name}={quote(value)}\n" for name, value in pairs)
    assert [(a.name, a.value) for a in parse(text, "f")] == pairs


@settings(max_examples=30)
@given(VALUES)
def test_a_shell_reads_a_quoted_value_the_same(value):
    out = subprocess.run(["sh", "-c", f'A={quote(value)}; printf %s. "$A"'], capture_output=True, check=True).stdout
    assert out.decode() == value + "."


@given(st.dictionaries(st.sampled_from([p.name for p in TABLE]), VALUES))
def test_any_values_give_parameters_or_a_config_error_that_names_one(values):
    try:
        result = interpret({name: Setting(value, "here:1") for name, value in values.items()})
    except ConfigError as error:
        assert str(error).startswith("here:1: CVMFS_")
    else:
        assert isinstance(result, ClientParameters)
