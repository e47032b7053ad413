"""`.cvmfsdirtab`: what its lines mean, which directories they fit, and which files have no meaning."""

from __future__ import annotations

import pytest

from swrepo.errors import FormatError
from swrepo.publish.dirtab import Dirtab, parse


@pytest.mark.parametrize(
    ("rule", "path", "fits"),
    [
        (b"/sw/*", b"/sw/1.0", True),
        (b"/sw/*", b"/sw/.hidden", True),
        (b"/sw/*", b"/sw", False),
        (b"/sw/*", b"/sw/1.0/lib", False),
        (b"/sw/*/", b"/sw/1.0", True),
        (b"//sw//*", b"/sw/1.0", True),
        (b"/sw/v?", b"/sw/v1", True),
        (b"/sw/v?", b"/sw/v", False),
        (b"/sw/v?", b"/sw/v/", False),
        (b"/sw/*/lib", b"/sw/a/lib", True),
        (b"/sw/*/lib", b"/sw/a/b/lib", False),
        (b"/sw/v[0-9]", b"/sw/v7", True),
        (b"/sw/v[!0-9]", b"/sw/v7", False),
        (b"/sw/v[!0-9]", b"/sw/vx", True),
        (b"/sw/v[", b"/sw/v[", True),
        (b"/sw/a.b+c(d)", b"/sw/a.b+c(d)", True),
        (b"/sw/a.b", b"/sw/axb", False),
        (rb"/sw/\*", b"/sw/*", True),
        (rb"/sw/\*", b"/sw/a", False),
        (rb"/sw/a\\b", rb"/sw/a\b", True),
        (b"/sw/\xff*", b"/sw/\xfffoo", True),
        (b"  \t/sw/with space/*  ", b"/sw/with space/x", True),
    ],
)
def test_a_rule_fits_directories_component_by_component(rule, path, fits):
    assert parse(rule).fits(path) is fits


@pytest.mark.parametrize(
    ("exclusion", "path", "fits"),
    [
        (b"! /sw/old", b"/sw/old", False),
        (b"!/sw/old", b"/sw/older", True),
        (b"! *.git", b"/sw/a.git", False),
        (b"! *.git", b"/sw/a.git.d", True),
        (b"! *", b"/sw/a", False),
        (b"! a", b"/sw/a", True),
        (b"! */a", b"/sw/a", False),
        (b"! /*/a", b"/sw/a", False),
    ],
)
def test_an_exclusion_may_be_relative_and_its_star_spans_directories(exclusion, path, fits):
    assert parse(b"/sw/*\n" + exclusion).fits(path) is fits


def test_an_exclusion_spans_more_than_the_rule():
    rules = parse(b"/a/*/*/*\n! /a/*/x\n")
    assert rules.fits(b"/a/b/c/d")
    assert not rules.fits(b"/a/b/c/x")


def test_comments_and_blank_lines_say_nothing():
    rules = parse(b"# /sw/*\n\n   \n  # more\n!\n! \n")
    assert not rules
    assert not rules.fits(b"/sw/a")


def test_no_rules_fit_nothing():
    assert not Dirtab().fits(b"/a")
    assert not parse(b"! /a\n").fits(b"/a")


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (b"sw/*", "line 1: 'sw/\\*' has to begin with a slash"),
        (b"# fine\n/a\n*", "line 3"),
        (b"/", "line 1: '/' is no path"),
        (rb"/a\b", "line 1"),
        (b"/a\\", "line 1"),
        (b"/a/*\n! /a/*\n", "line 2: '/a/\\*' is a rule and an exclusion \\(line 1\\)"),
        (b"! /a//*/\n/b\n/a/*\n", "line 3: '/a/\\*' is a rule and an exclusion \\(line 1\\)"),
        (b"/a[z-a]", "brackets"),
    ],
)
def test_what_has_no_meaning_is_named_with_its_line(text, line):
    with pytest.raises(FormatError, match=line):
        parse(text)


def test_every_bad_line_is_named_at_once():
    with pytest.raises(FormatError, match=r"line 1.*line 3"):
        parse(b"a\n/b\nc\n")
