"""A text that somebody changes in their editor."""

from __future__ import annotations

import os
import shlex
import subprocess
import tempfile

from swrepo.errors import UsageError


def edited(text: bytes, suffix: str) -> bytes:
    """What $EDITOR (vi, if that is not set) left of it. UsageError where the editor cannot be started, or fails."""
    editor = os.environ.get("EDITOR") or "vi"
    with tempfile.NamedTemporaryFile(prefix="swrepo-", suffix=suffix) as file:
        file.write(text)
        file.flush()
        try:
            code = subprocess.run([*shlex.split(editor), file.name], check=False).returncode
        except OSError as error:
            raise UsageError(f"the editor {editor} cannot be started ({error.strerror}); -f FILE needs none") from error
        if code:
            raise UsageError(f"the editor {editor} ended with exit code {code}; nothing was changed")
        with open(file.name, "rb") as left:  # by its name: editors replace files
            return left.read()
