"""Manual pages and completions, made from the parsers: current, well formed, and of use in a real bash."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from swrepo.cli.programs import programs
from swrepo.cli.shared_files import shared_files

SHARE = Path(__file__).resolve().parents[2] / "packaging/share"
FILES = shared_files()
PAGES = sorted(name for name in FILES if name.startswith("man/"))
COMPLETIONS = sorted(name for name in FILES if name.startswith("bash-completion/"))
COMPLETE = """
source "$1"
COMP_WORDS=("${@:2}")
COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
compopt() { :; }
"$(complete -p "${COMP_WORDS[0]}" | sed 's/.*-F \\([^ ]*\\) .*/\\1/')"
printf '%s\\n' "${COMPREPLY[@]}"
"""


def complete(*words: str, cwd: Path | None = None) -> list[str]:
    """What bash offers for the last word."""
    script = SHARE / "bash-completion/completions" / words[0]
    ran = subprocess.run(
        ["bash", "-euc", COMPLETE, "bash", script, *words], capture_output=True, text=True, check=True, cwd=cwd
    )
    assert ran.stderr == ""
    return ran.stdout.split()


def test_they_are_current_and_there_are_no_others():
    found = {str(path.relative_to(SHARE)): path.read_text("utf-8") for path in SHARE.rglob("*") if path.is_file()}
    assert found == FILES, "run `make docs`"


def test_every_command_has_a_page_that_names_its_options():
    for program in programs():
        for command in program.all():
            name = "-".join(command.words)
            page = next((text for path, text in FILES.items() if Path(path).stem == name), None)
            if page is None:
                assert program.name != "swrepo", f"swrepo {name} has no page"
                page = next(text for path, text in FILES.items() if Path(path).stem == program.name)
                assert f"\\fB{command.words[-1]}" in page or command.name in page.replace("\\-", "-")
                continue
            for action in command.options():
                for option in action.option_strings:
                    assert f"\\fB{option.replace('-', chr(92) + '-')}\\fR" in page


@pytest.mark.parametrize("name", PAGES)
def test_a_page_holds_known_requests_only(name):
    for line in FILES[name].splitlines():
        assert not line.startswith("'")
        if line.startswith("."):
            assert re.match(r'\.(\\"|TH|SH|TP|PP|B|I|nf|fi)( |$)', line), line
        assert re.fullmatch(r"(?:[^\\]|\\(?:e|-|&|\"|f[BIR]|\(aq|\(ga))*", line), line
    assert FILES[name].isascii()


@pytest.mark.skipif(shutil.which("man") is None, reason="there is no man here")
def test_man_has_nothing_to_say_against_them():
    for name in PAGES:
        words = ["man", "--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-Z", SHARE / name]
        ran = subprocess.run(words, capture_output=True, text=True, check=True)
        assert ran.stderr == "", name


@pytest.mark.parametrize("name", COMPLETIONS)
def test_bash_reads_them(name):
    ran = subprocess.run(["bash", "-n", SHARE / name], capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stderr) == (0, "")


def test_commands_are_completed():
    assert {"mount", "umount", "exec", "server", "--help"} <= set(complete("swrepo", ""))
    assert complete("swrepo", "um") == ["umount"]
    assert "mkfs" in complete("swrepo", "server", "")
    assert complete("swrepo", "config", "ex") == ["explain"]
    assert complete("cvmfs_server", "res") == ["resign"]
    assert complete("cvmfs_config", "show") == ["showconfig"]


def test_options_are_completed_where_a_dash_was_typed():
    assert complete("swrepo", "mount", "--k") == ["--key"]
    assert complete("swrepo", "mount", "") == []
    assert complete("PointToCVMFS", "--no") == ["--no-mount"]


def test_values_of_options_are_choices_directories_or_what_bash_offers_by_itself(tmp_path):
    (tmp_path / "directory").mkdir()
    (tmp_path / "dull-file").touch()
    assert complete("swrepo", "server", "mkfs", "-a", "sh") == ["sha1", "shake128"]
    assert complete("swrepo", "mount", "--cache", "d", cwd=tmp_path) == ["directory"]
    assert complete("swrepo", "mount", "--key", "d", cwd=tmp_path) == []


def test_after_two_dashes_another_command_follows():
    assert "true" in complete("swrepo", "exec", "sw.example.org", "--", "tru")
    assert complete("swrepo", "exec", "--", "ls", "--k") == []


def test_a_name_that_is_a_command_elsewhere_changes_nothing():
    assert complete("swrepo", "ls", "mount", "--k") == ["--key"]
    assert complete("swrepo", "ls", "mount", "--al") == []
