"""What holds for every test: a warning that nobody expected in our log fails it."""

from __future__ import annotations

import logging
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import settings

from swrepo.system import mounts

# The same examples in every run, however slow the machine is at the moment.
settings.register_profile("swrepo", deadline=None, derandomize=True)
settings.load_profile("swrepo")


def pytest_configure(config: pytest.Config) -> None:
    """Each run has a directory of its own, and interrupts are not ignored, as they are in the background of a shell.

    By default pytest clears away those of earlier runs at its end, and where one of them holds what cannot be removed
    (a mount that a killed run left) it fails this run for it.
    """
    if config.option.basetemp is None:
        base = tempfile.mkdtemp(prefix="swrepo-tests-")
        config.option.basetemp = base
        config.add_cleanup(lambda: shutil.rmtree(base, ignore_errors=True))
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        with suppress(OSError):
            _enter_own_mount_namespace()
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # programs that tests start would inherit it
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _enter_own_mount_namespace() -> None:
    """Root's tests mount where nobody else on the machine sees it: whoever makes a namespace meanwhile (a container, a test
    run of somebody else) would copy our mounts into it, which keeps them alive when they are unmounted here.

    In turn we keep nothing of others alive. An ordinary user's mounts are made by fusermount3, which needs the machine's.
    """
    mounts.unshare(mounts.NEW_MOUNTS)
    mounts.mount("none", "/", None, mounts.REC | mounts.SLAVE)
    for line in reversed(Path("/proc/self/mountinfo").read_text().splitlines()):
        if " - fuse.swrepo " in line:
            with suppress(OSError):
                mounts.detach(line.split(" ")[4].encode().decode("unicode_escape"))


class _Collector(logging.Handler):
    def __init__(self) -> None:
        super().__init__(level=logging.WARNING)
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


class ExpectedWarnings:
    """Names, by substrings, the warnings that a test provokes on purpose: `expected_warnings("expires")`.

    Each substring must turn up, and a warning that contains none of them fails the test.
    """

    def __init__(self) -> None:
        self.parts: list[str] = []

    def __call__(self, *parts: str) -> None:
        self.parts.extend(parts)


@pytest.fixture
def expected_warnings() -> ExpectedWarnings:
    return ExpectedWarnings()


@pytest.fixture(autouse=True)
def no_stray_log_warnings(expected_warnings: ExpectedWarnings) -> Iterator[None]:
    collector = _Collector()
    logger = logging.getLogger("swrepo")
    logger.addHandler(collector)
    try:
        yield
    finally:
        logger.removeHandler(collector)
    messages = [record.getMessage() for record in collector.records]
    stray = [message for message in messages if not any(part in message for part in expected_warnings.parts)]
    missing = [part for part in expected_warnings.parts if not any(part in message for message in messages)]
    assert not stray, f"log warnings that no test expected: {stray}"
    assert not missing, f"expected log warnings that did not come: {missing}"
