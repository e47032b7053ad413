"""mount.one_processor: threads of one interpreter stay together while they fetch, and are free again afterwards."""

from __future__ import annotations

import os
import threading

import pytest

from swrepo.mount.one_processor import OneProcessor

pytestmark = pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="there is one processor only")


def in_a_thread(work) -> None:
    failures = []

    def run() -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001
            failures.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert failures == []


def test_all_work_on_the_processor_of_the_loop_until_the_last_has_left() -> None:
    everywhere = os.sched_getaffinity(0)
    processor = OneProcessor()

    def loop() -> None:
        processor.gather()
        here = os.sched_getaffinity(0)
        assert len(here) == 1

        def fetch() -> None:
            processor.join()
            assert os.sched_getaffinity(0) == here
            in_a_thread(lambda: (processor.join(), processor.leave()))
            processor.leave()
            assert os.sched_getaffinity(0) == everywhere

        processor.gather()
        in_a_thread(fetch)
        assert os.sched_getaffinity(0) == everywhere

    in_a_thread(loop)


def test_a_thread_that_may_use_one_processor_only_is_left_alone() -> None:
    one = {min(os.sched_getaffinity(0))}

    def loop() -> None:
        os.sched_setaffinity(0, one)
        processor = OneProcessor()
        processor.gather()
        in_a_thread(lambda: (processor.join(), processor.leave()))
        assert os.sched_getaffinity(0) == one

    in_a_thread(loop)
