"""Configuration files: shell assignments, read without a shell."""

import pytest

from swrepo.config.assignments import Surroundings, parse, quote
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
        ("if true; then A=1", "'fi' is missing"),
        ("if true; A=1; fi", "'fi' is not expected"),
        ("A=1; fi", "'fi' is not expected"),
        ("for a in 1 2; do B=$a; done", "'for'"),
        ("case x in", "'esac' is missing"),
        ("case x y in esac", "'in' is expected"),
        ("[ a = b", "']' is missing"),
        ("[ a = b c ]", "'c'"),
        ("[ a = ]", "'the end'"),
        ("if [ -f x ]; then A=1; fi; A=`date`", "command substitution"),
        ("A=${B:-$(date)}", "command substitution"),
        ("A=${B", "needs a shell"),
        ("A=${B:-x", "not closed"),
        ("A=1 cmd", "'cmd'"),
        ("export 1", "not KEY=VALUE"),
        ("A='x", "single quote is not closed"),
        ('A=1\nB="x\n\n', "line 2: a double quote is not closed"),
        ("A=1 & B=2", "'&"),
        ("A=1|cat", "needs a shell"),
        ("A=${B%x}", "needs a shell"),
        ("=1", "not KEY=VALUE"),
        (". /etc/cvmfs/other.conf", "/etc/cvmfs/other.conf' that it reads is not there"),
    ],
)
def test_what_only_a_shell_could_do_is_refused_with_its_line(text, complaint):
    with pytest.raises(ConfigError, match=r"test\.conf, line \d+") as caught:
        parse(text, "test.conf")
    assert complaint in str(caught.value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('if [ "$A" = "" ]; then B=1; else B=2; fi', "1"),
        ('A=x\nif [ "x$A" = "xx" ]\nthen\n  B=1\nelse\n  B=2\nfi\n', "1"),
        ("if [ a = b ]; then B=1; elif [ a = a ]; then B=2; else B=3; fi", "2"),
        ("if false; then B=1; elif false; then B=2; else B=3; fi", "3"),
        ("if true; then if false; then B=1; else B=2; fi; fi", "2"),
        ('B=1; [ -n "$B" ] && B=2', "2"),
        ('B=1; [ -z "$B" ] && B=2 || B=3', "3"),
        ('[ -z "$B" ] && [ a != b ] && B=2', "2"),
        ("if ! [ -n '' ] && [ 2 -gt 1 -a 1 -le 1 ]; then B=1; fi", "1"),
        ("if [ '(' a = a -o a = b ')' -a ! c = d ]; then B=1; fi", "1"),
        ("if [[ abc == a* && -z $A ]]; then B=1; fi", "1"),
        ("if [[ abc == 'a*' ]]; then B=1; else B=2; fi", "2"),
        ("if [ $A = x ]; then B=1; else B=2; fi", "2"),
        ("case abc in x|y) B=1;; a*) B=2;; *) B=3;; esac", "2"),
        ("case $A in\n  x) B=1\n  ;;\n  *) B=3\nesac", "3"),
        ("B=${A:-x$C}y", "xy"),
        ('B=${A:-"p q"}', "p q"),
        ("B=${A:=1}$A", "11"),
        ("A=; B=${A-x}", ""),
        ("A=; B=${A:+x}", ""),
        ("A=v; B=${A:+x}${C:+y}", "x"),
        ("B=${A:-${C:-deep}}", "deep"),
        ("A=1; B=${A:-$(date)}", "1"),
        ("if false; then for a in x; do echo `date` | cat > /x; done; fi; B=1", "1"),
        ("test -n '' || B=1", "1"),
        ("readonly B=1", "1"),
        ("B=1; unset B", ""),
        (": ${B:=1}", "1"),
    ],
)
def test_what_such_files_have_of_a_shell_is_understood(text, expected):
    assert values(text)["B"] == expected


def test_a_branch_that_is_not_taken_sets_nothing():
    assert values("if [ 1 = 2 ]; then A=1; ${B:=2}; fi; false && C=3; true || D=4; E=5") == {"E": "5"}


def test_a_file_can_read_another_one():
    files = {"../common.conf": ("/etc/cvmfs/common.conf", "A=1\n\nB=2\n")}
    around = Surroundings(file_test=lambda letter, path: letter == "f" and path in files, source=files.get)
    found = parse("[ -f ../common.conf ] && . ../common.conf\nC=$A$B\n[ -f x ] && . x", "test.conf", None, around)
    assert [(a.name, a.value, a.origin, a.line) for a in found] == [
        ("A", "1", "/etc/cvmfs/common.conf", 1),
        ("B", "2", "/etc/cvmfs/common.conf", 3),
        ("C", "12", "test.conf", 2),
    ]


def test_files_that_read_each_other_in_a_circle_are_refused():
    around = Surroundings(source=lambda path: (path, f". {path}"))
    with pytest.raises(ConfigError, match="too many"):
        parse(". a", "test.conf", None, around)


def test_the_deepest_nesting_is_bounded():
    for text in ("if true; then " * 100, "A=" + "${A:-" * 100, "! " * 100 + "true", "case x in x) " * 100):
        with pytest.raises(ConfigError, match="too many"):
            parse(text, "test.conf")


@pytest.mark.parametrize("value", ["", "a", "a b", "it's", "$(x)", "\n", "é", "@fqrn@", "#", "a;b"])
def test_a_quoted_value_is_read_back(value):
    assert values(f"A={quote(value)}\n") == {"A": value}
