"""Any text is assignments or a ConfigError; what was quoted is read back, by us and by a shell."""

import subprocess

from hypothesis import given, settings
from hypothesis import strategies as st

from swrepo.config.assignments import parse, quote
from swrepo.config.files import Setting
from swrepo.config.parameters import ClientParameters, interpret
from swrepo.config.table.client import TABLE
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


SMALL = st.sampled_from(["", "a", "b c", "1", "2", "yes"])
VARIABLES = st.sampled_from(["A", "B", "C"])
REFERENCES = st.builds(
    lambda name, form, other: form.format(name=name, other=other),
    VARIABLES,
    st.sampled_from(
        ['"${name}"', '"${{{name}}}"', '"${{{name}:-{other}}}"', '"${{{name}-{other}}}"', '"${{{name}:+{other}}}"']
    ),
    st.sampled_from(["", "x", "$B", "p q"]),
)
VALUE_WORDS = st.one_of(SMALL.map(quote), REFERENCES, st.builds("x{}".format, REFERENCES))
ASSIGNMENTS = st.builds("{}={}".format, VARIABLES, VALUE_WORDS)
TESTS = st.one_of(
    st.builds("[ {} {} {} ]".format, VALUE_WORDS, st.sampled_from(["=", "!="]), VALUE_WORDS),
    st.builds("[ {} {} ]".format, st.sampled_from(["-z", "-n"]), VALUE_WORDS),
    st.builds("! [ -n {} ]".format, VALUE_WORDS),
    st.sampled_from(["true", "false"]),
)


def compound(commands):
    return st.one_of(
        st.builds("if {}; then {}; else {}; fi".format, TESTS, commands, commands),
        st.builds("if {}\nthen\n  {}\nelif {}; then {}\nfi".format, TESTS, commands, TESTS, commands),
        st.builds("{} && {} || {}".format, TESTS, ASSIGNMENTS, ASSIGNMENTS),
        st.builds("case {} in a|1) {};; *) {};; esac".format, VALUE_WORDS, commands, commands),
        st.builds(": ${{{}:={}}}".format, VARIABLES, st.sampled_from(["v", "$A"])),
        st.builds("{}; {}".format, commands, commands),
    )


SCRIPTS = st.recursive(ASSIGNMENTS, compound, max_leaves=6)


@settings(max_examples=150, deadline=None)
@given(SCRIPTS)
def test_a_shell_sets_the_same(script):
    ours = dict.fromkeys("ABC", "") | {a.name: a.value for a in parse(script, "f")}
    told = subprocess.run(
        ["sh", "-c", f'{script}\nprintf "%s\\n" "$A" "$B" "$C"'], capture_output=True, text=True, check=True, env={}
    ).stdout
    assert told.split("\n")[:3] == [ours[name] for name in "ABC"]


@given(st.dictionaries(st.sampled_from([p.name for p in TABLE]), VALUES))
def test_any_values_give_parameters_or_a_config_error_that_names_one(values):
    try:
        result = interpret({name: Setting(value, "here:1") for name, value in values.items()})
    except ConfigError as error:
        assert str(error).startswith("here:1: CVMFS_")
    else:
        assert isinstance(result, ClientParameters)
