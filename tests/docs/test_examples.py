"""The shell examples of the documents run as they stand (blocks after `<!-- runs -->`, in the order of their file)."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.mount.mounted import require_namespaces

ROOT = Path(__file__).resolve().parents[2]
BLOCK = re.compile(r"<!-- runs -->\n```sh\n(.*?)```", re.DOTALL)
DOCUMENTS = [
    "README.md",
    "docs/getting-started.md",
    "docs/containers-and-jobs.md",
    "docs/profiles.md",
    "docs/history.md",
    "docs/year-of-a-repository.md",
]

APART = ["unshare", "--mount", "--propagation=private", "sh", "-euc", 'mount -t tmpfs none /var/lib; exec "$@"', "sh"]
"""Root's own cache, of the whole machine, may know later revisions of a repository that has the examples' name."""


@pytest.mark.parametrize("document", DOCUMENTS)
def test_the_examples_run(document, tmp_path):
    words = ["sh", "-eu", "-c"]
    if "swrepo exec" in (ROOT / document).read_text("utf-8"):
        require_namespaces()
        words = [*(APART if os.geteuid() == 0 else []), *words]
    blocks = BLOCK.findall((ROOT / document).read_text("utf-8"))
    assert blocks
    programs = Path(sys.executable).parent
    environment = {"PATH": f"{programs}:{os.environ['PATH']}", "HOME": str(tmp_path), "TMPDIR": str(tmp_path)}
    done = subprocess.run(
        [*words, "\n".join(blocks)],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Hello" in done.stdout


def test_every_link_between_documents_leads_somewhere():
    for document in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]:
        for link in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", document.read_text("utf-8")):
            assert (document.parent / link).exists(), f"{document.name}: {link}"
