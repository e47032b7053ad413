"""Configuration files: shell assignments, read without a shell."""

import pytest

from swrepo.config.assignments import parse, quote
from swrepo.errors import ConfigError


def values(text, known=None):
    return {a.name: a.value for a in parse(text, "test.conf", known)}


def test_a_plain_assignment_is_read():
    assert values("CVMFS_TIMEOUT=7\n") == {"CVMFS_TIMEOUT": "7"}


def test_comments_and_empty_lines_say_nothing():
    assert values("# A=1\n\n   # B=2\nC=3 # D=4\n") == {"C": "3"}


def test_a_hash_inside_a_word_is_no_comment():
    assert values("A=b#c") == {"A": "b#c"}


def test_quotes_are_taken_off_and_keep_blanks_and_semicolons():
    assert values("""A="http://a;http://b c"\nB='$A `x` "y"'\n""") == {"A": "http://a;http://b c", "B": '$A `x` "y"'}


def test_pieces_of_a_word_are_joined():
    assert values("""A=x"y z"'$q'w\\ v""") == {"A": "xy z$qw v"}


def test_several_assignments_may_share_a_line():
    assert values("A=1 B=2; C=3") == {"A": "1", "B": "2", "C": "3"}


def test_an_earlier_value_can_be_used():
    assert values('A=1\nB=$A-${A}x\nC="${D:-no}"') == {"A": "1", "B": "1-1x", "C": "no"}


def test_values_of_earlier_files_can_be_used():
    assert values("B=$A", {"A": "before"}) == {"B": "before"}


def test_an_unknown_name_is_empty():
    assert values("B=[$NOBODY]") == {"B": "[]"}


def test_the_last_assignment_wins():
    assert values("A=1\nA=2") == {"A": "2"}


def test_export_marks_the_whole_line():
    assignments = parse("export A=1 B=2\nC=3\nexport C\n", "f")
    assert [(a.name, a.value, a.exported) for a in assignments] == [
        ("A", "1", True),
        ("B", "2", True),
        ("C", "3", False),
        ("C", "3", True),
    ]


def test_a_name_may_begin_like_export():
    assert values("exported=1") == {"exported": "1"}


def test_a_line_can_be_continued():
    assert values('A=one\\\ntwo\nB="x\\\ny"\n') == {"A": "onetwo", "B": "xy"}


def test_lines_are_counted_through_quotes_and_continuations():
    assert [a.line for a in parse('A="1\n2"\nB=\\\n3\nC=4', "f")] == [1, 3, 5]


def test_windows_line_ends_are_no_part_of_a_value():
    assert values("A=1\r\nB=2\r\n") == {"A": "1", "B": "2"}


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("A=1\nrm -rf /\n", "line 2: 'rm'"),
        ("A=$(date)", "command substitution"),
        ('A="`date`"', "command substitution"),
        ("if true; then A=1; fi", "'if'"),
        ("A='x", "single quote is not closed"),
        ('A=1\nB="x\n\n', "line 2: a double quote is not closed"),
        ("A=1 & B=2", "'&"),
        ("A=1|cat", "needs a shell"),
        ("A=${B%x}", "needs a shell"),
        ("=1", "not KEY=VALUE"),
        (". /etc/cvmfs/other.conf", "not KEY=VALUE"),
    ],
)
def test_what_only_a_shell_could_do_is_refused_with_its_line(text, complaint):
    with pytest.raises(ConfigError, match=r"test\.conf, line \d+") as caught:
        parse(text, "test.conf")
    assert complaint in str(caught.value)


@pytest.mark.parametrize("value", ["", "a", "a b", "it's", "$(x)", "\n", "é", "@fqrn@", "#", "a;b"])
def test_a_quoted_value_is_read_back(value):
    assert values(f"A={quote(value)}\n") == {"A": value}
