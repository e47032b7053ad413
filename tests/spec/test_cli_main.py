"""Finding and starting commands, and how they end."""

import os
import subprocess
import sys

import pytest

from swrepo.cli.exits import BROKEN_PIPE, INTERRUPTED, UNEXPECTED, guarded
from swrepo.cli.main import COMMANDS, load, main, overview
from swrepo.errors import Rollback, UsageError

HEAVY = frozenset("pycurl cryptography sqlite3 rich aiohttp asyncio deflate Crypto subprocess ssl".split())  # noqa: SIM905


def every_command(entries=COMMANDS, prefix=()):
    for name, entry in entries.items():
        if entry.entries is None:
            yield (*prefix, name), entry
        else:
            yield from every_command(entry.entries, (*prefix, name))


def raising(error):
    def body():
        raise error

    return body


def modules_after(*words):
    code = f"import sys\nfrom swrepo.cli.main import main\ntry: main({list(words)!r})\nexcept SystemExit: pass\nprint('\\n'.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@pytest.mark.parametrize(
    "words",
    [
        ["--version"],
        ["--help"],
        ["ls", "--help"],
        ["cp", "--help"],
        ["export", "--help"],
        ["mount", "--help"],
        ["server", "publish", "--help"],
    ],
)
def test_asking_for_help_or_version_loads_nothing_heavy(words):
    assert not modules_after(*words) & HEAVY


UNNEEDED = frozenset("tempfile shutil html subprocess asyncio multiprocessing logging pycurl rich ssl Crypto".split())  # noqa: SIM905
UNNEEDED |= {
    "swrepo.config.table.client",
    "swrepo.config.moments",
    "swrepo.format.profile",
    "swrepo.publish.replica_settings",
    "swrepo.publish.statistics_page",
}


def test_a_small_publication_loads_nothing_that_it_does_not_need(tmp_path, monkeypatch):
    monkeypatch.setenv("SWREPO_PREFIX", str(tmp_path / "server"))
    assert main(["server", "mkfs", "sw.example.org"]) == 0
    tree = tmp_path / "tree"
    tree.mkdir()
    for content in ("first", "second"):
        (tree / "file").write_text(content)
        loaded = modules_after("publish", str(tree), "sw.example.org")
        assert "swrepo.publish.transaction" in loaded
        assert not loaded & UNNEEDED


def test_a_list_of_tags_loads_no_cache_and_nothing_that_signs(tmp_path, monkeypatch):
    monkeypatch.setenv("SWREPO_PREFIX", str(tmp_path / "server"))
    assert main(["server", "mkfs", "sw.example.org"]) == 0
    loaded = modules_after("server", "tag", "-l", "sw.example.org")
    assert not loaded & {"swrepo.cache.disk", "logging", "tempfile", "cryptography", "pycurl", "subprocess"}


@pytest.mark.parametrize(
    ("words", "entry"), list(every_command()), ids=lambda value: " ".join(value) if isinstance(value, tuple) else ""
)
def test_every_command_explains_itself_with_an_example(words, entry, capsys):
    with pytest.raises(SystemExit) as left:
        main([*words, "--help"])
    assert left.value.code == 0
    shown = capsys.readouterr().out
    assert f"swrepo {' '.join(words)}" in shown
    assert f"example:\n  {load(entry.module).EXAMPLE.splitlines()[0]}" in shown


def test_the_version_is_told(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("swrepo 0.")


def test_without_a_command_the_overview_comes_and_the_exit_code_says_usage(capsys):
    assert main([]) == UsageError.exit_code
    assert capsys.readouterr().out == overview("swrepo", COMMANDS) + "\n"


def test_a_misspelt_command_gets_a_suggestion(capsys):
    assert main(["mont"]) == UsageError.exit_code
    assert "did you mean 'mount'?" in capsys.readouterr().err


def test_a_wrong_option_is_one_line_and_the_exit_code_says_usage(capsys):
    assert main(["ls", "--no-such-option", "x"]) == UsageError.exit_code
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "try 'swrepo ls --help'" in error


def test_an_error_of_the_tree_is_one_line_and_gives_its_exit_code(capsys):
    assert guarded(raising(Rollback("older\nthan  seen")), "swrepo") == Rollback.exit_code
    assert capsys.readouterr().err == "swrepo: older than seen\n"


def test_the_systems_own_errors_name_the_file(capsys):
    assert guarded(raising(FileNotFoundError(2, "No such file or directory", "/x")), "swrepo") == 1
    assert capsys.readouterr().err == "swrepo: /x: No such file or directory\n"


def test_an_unexpected_error_shows_no_traceback_unless_asked(capsys, monkeypatch):
    monkeypatch.delenv("SWREPO_DEBUG", raising=False)
    assert guarded(raising(KeyError("k")), "swrepo") == UNEXPECTED
    quiet = capsys.readouterr().err
    assert "Traceback" not in quiet
    assert "SWREPO_DEBUG=1" in quiet
    monkeypatch.setenv("SWREPO_DEBUG", "1")
    guarded(raising(KeyError("k")), "swrepo")
    assert "Traceback" in capsys.readouterr().err


def test_ctrl_c_gives_130_and_says_nothing(capsys):
    assert guarded(raising(KeyboardInterrupt()), "swrepo") == INTERRUPTED
    assert capsys.readouterr().err == ""


def test_a_reader_that_goes_away_is_no_error():
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as out:
        done = subprocess.run(
            [sys.executable, "-m", "swrepo.cli.main", "--help"], stdout=out, stderr=subprocess.PIPE, check=False
        )
    assert (done.returncode, done.stderr) == (BROKEN_PIPE, b"")
