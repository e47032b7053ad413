"""What the documents say about parameters, exit codes, commands and control commands is what the program has."""

import re
from pathlib import Path

import pytest

from swrepo.cli import cvmfs_server
from swrepo.cli.exits import guarded
from swrepo.cli.main import load, parser_of
from swrepo.cli.reference import commands, documents, error_classes
from swrepo.client.attributes import ENTRY, REPOSITORY
from swrepo.config.parameter import Standing
from swrepo.config.table import server
from swrepo.config.table.client import TABLE, find
from swrepo.mount import cache_commands, network_commands, watch_commands
from swrepo.mount import commands as control_commands
from swrepo.mount.attributes import PROCESS

DOCS = Path(__file__).resolve().parents[2] / "docs"


@pytest.mark.parametrize("name", ["configuration.md", "errors.md"])
def test_the_generated_documents_are_current(name):
    assert (DOCS / name).read_text("utf-8") == documents()[name], "run `make docs`"


def test_every_command_has_its_section():
    text = (DOCS / "commands.md").read_text("utf-8")
    for words, _ in commands():
        assert f"## swrepo {' '.join(words)}\n" in text, "run `make docs`"


def test_every_parameter_is_documented_once():
    text = (DOCS / "configuration.md").read_text("utf-8")
    of_clients, _, of_publishers = text.partition("## Parameters of a publisher")
    for part, table in ((of_clients, TABLE), (of_publishers, server.TABLE)):
        for parameter in table:
            assert part.count(f"| `{parameter.name.replace('*', '<NAME>')}` |") == 1


FEATURES = DOCS.parent.parent / "shared/reference/features.md"


@pytest.mark.skipif(not FEATURES.exists(), reason="the table of the original's features is not here")
def test_every_parameter_of_the_original_for_clients_is_honoured_or_has_its_sentence():
    lines = FEATURES.read_text("utf-8").partition("## 6.")[0].splitlines()
    lines = [line.partition("cvmfs_talk` full")[0] for line in lines if not line.startswith("| C |")]
    names = set(re.findall(r"`[^`]*?((?:CVMFS|X509)_[A-Z0-9_]*[A-Z0-9])(?=[`=/\[, ])", "\n".join(lines)))
    names -= {"CVMFS_INFLUX", "CVMFS_REPO"}  # the beginning of several, and of a program's that is not ours
    assert len(names) > 70
    without = {name for name in names if find(name) is None}
    assert without == set()
    assert all(row.reason for row in TABLE if row.standing is not Standing.HONOURED)


@pytest.mark.skipif(not FEATURES.exists(), reason="the table of the original's features is not here")
def test_every_parameter_of_the_original_for_servers_is_honoured_or_has_its_sentence():
    text = FEATURES.read_text("utf-8").partition("## 6.")[2].partition("## 8.")[0]
    lines = "\n".join(line for line in text.splitlines() if not line.startswith("| C |"))
    names = set(re.findall(r"(CVMFS_[A-Z0-9_]*[A-Z0-9])(?![A-Z0-9_*{\[/])", lines))
    assert len(names) > 25
    assert {name for name in names if server.find(name) is None} == set()
    assert all(row.reason for row in server.TABLE if row.standing is not Standing.HONOURED)


OPTIONS = {
    "mkfs": "w u o m f s g G a z v Z k p R V X x",
    "add-replica": "u o w a z n s p g P",
    "import": "w o u l s f c k g r p t R x m",
    "publish": "p n v a m X N Z F f",
    "gc": "r t l L f d a",
    "rmfs": "p f",
    "abort": "f",
    "rollback": "t f",
    "resign": "w d f p",
    "masterkeycard": "a k r f s d c",
    "list-catalogs": "s e h x",
    "diff": "m h s d",
    "info": "",
    "tag": "a m h r f i x b l",
    "checkout": "t b",
    "check": "c i t s r a",
    "transaction": "t T",
    "enter": "",
    "snapshot": "t a s n i g",
    "mount": "a",
    "migrate": "",
    "catalog-chown": "u g",
    "eliminate-hardlinks": "f",
    "eliminate-bulk-hashes": "f",
    "fix-stats": "f",
    "fix-permissions": "",
    "alterfs": "m",
    "skeleton": "o",
    "list": "",
    "list-tags": "",
    "lstags": "",
    "update-geodb": "l",
    "update-info": "p e",
    "update-repoinfo": "f",
    "ingest": "t b d c u g k",
    "print-stats": "o t s",
    "merge-stats": "o",
}
"""Of cvmfs_server: what the original's usage text names, and its scripts take."""


def test_every_command_and_option_letter_of_the_original_server_is_taken():
    for name, letters in OPTIONS.items():
        parser = parser_of(f"cvmfs_server {name}", load(cvmfs_server.commands()[name].module))
        taken = {option for action in parser._actions for option in action.option_strings}
        assert {f"-{letter}" for letter in letters.split()} - taken == set(), name


def test_every_error_class_gives_the_code_that_is_documented():
    text = (DOCS / "errors.md").read_text("utf-8")
    for error in error_classes():
        assert f"| {error.exit_code} | `{error.__name__}` |" in text

        def fail(kind=error):
            raise kind("message")

        assert guarded(fail, "test") == error.exit_code


def test_every_refusal_of_the_trust_document_has_the_code_it_says():
    codes = {error.__name__: error.exit_code for error in error_classes()}
    rows = re.findall(r"\| ((?:`\w+`(?:, )?)+) \| ([\d, ]+) \|", (DOCS / "trust.md").read_text("utf-8"))
    assert len(rows) > 10
    for names, numbers in rows:
        found = {codes[name] for name in re.findall(r"\w+", names)}
        assert found == {int(number) for number in numbers.split(",")}


def test_every_control_command_is_documented():
    text = (DOCS / "semantics.md").read_text("utf-8")
    modules = (control_commands, cache_commands, network_commands, watch_commands)
    source = "".join(Path(module.__file__).read_text("utf-8") for module in modules)
    names = re.findall(r'^ +"([a-z -]+)": (?:lambda|on_|status|log_level|accesses)', source, re.MULTILINE)
    assert {"remount", "counters", "host info", "metrics"} <= set(names)
    for name in (*names, *watch_commands.NOT_HERE):
        assert f"`{name}`" in text, name


def test_every_magic_attribute_is_documented():
    text = (DOCS / "semantics.md").read_text("utf-8")
    for name in (*REPOSITORY, *ENTRY, *PROCESS):
        assert f"`{name.removeprefix('user.')}`" in text, name


def test_every_lock_is_in_the_document_on_concurrency():
    text = (DOCS / "concurrency.md").read_text("utf-8")
    source = DOCS.parent / "src/swrepo"
    for file in source.rglob("*.py"):
        if re.search(r"threading\.(R?Lock|Condition|Semaphore)\(", file.read_text("utf-8")):
            module = ".".join(file.relative_to(source).with_suffix("").parts)
            assert f"`{module}`" in text, f"{module} has a lock that docs/concurrency.md does not name"


@pytest.mark.parametrize("page", ["concurrency.md", "../ARCHITECTURE.md"])
def test_the_modules_that_a_document_names_exist(page: str) -> None:
    source = DOCS.parent / "src/swrepo"
    packages = {path.name for path in source.iterdir() if path.is_dir()}
    named = re.findall(r"`([a-z_]+)\.([a-z_]+)[`.]", (DOCS / page).read_text("utf-8"))
    modules = [source / package / module for package, module in named if package in packages]
    assert len(modules) > 20
    missing = [path for path in modules if not (path.with_suffix(".py").is_file() or path.is_dir())]
    assert missing == []
