"""publish.hooks: functions of the administrator, in the original's file and under the original's names."""

from __future__ import annotations

import pytest

from swrepo.errors import PublishError
from swrepo.publish.hooks import Hook, hooks_around, run_hook
from swrepo.publish.layout import ServerLayout

FQRN = "sw.example.org"


@pytest.fixture
def server(tmp_path):
    layout = ServerLayout(tmp_path)
    layout.repository(FQRN).configuration.mkdir(parents=True)
    layout.repository(FQRN).server_conf.write_text(f"CVMFS_SPOOL_DIR={tmp_path}\n")
    return layout


def test_without_the_file_nothing_is_run(server):
    run_hook(server, Hook.PUBLISH_BEFORE, FQRN)


def test_a_function_gets_the_name_and_sees_the_settings(server, tmp_path):
    server.hooks.write_text('publish_before_hook() { echo "$1 $CVMFS_SPOOL_DIR" > "$CVMFS_SPOOL_DIR/seen"; }\n')
    run_hook(server, Hook.PUBLISH_BEFORE, FQRN)
    assert (tmp_path / "seen").read_text() == f"{FQRN} {tmp_path}\n"


def test_a_function_that_is_not_defined_is_not_missed(server, tmp_path):
    server.hooks.write_text(f"abort_after_hook() {{ touch {tmp_path}/seen; }}\n")
    run_hook(server, Hook.TRANSACTION_AFTER, FQRN)
    assert not (tmp_path / "seen").exists()


def test_what_a_hook_prints_is_not_taken_for_output(server, capfd):
    server.hooks.write_text("publish_after_hook() { echo told $1; }\n")
    run_hook(server, Hook.PUBLISH_AFTER, FQRN)
    assert capfd.readouterr() == ("", f"told {FQRN}\n")


@pytest.mark.parametrize("body", ["return 3", "false; true", "exit 1"])
def test_a_hook_that_fails_refuses_what_follows(server, tmp_path, body):
    server.hooks.write_text(
        f"transaction_before_hook() {{ {body}; }}\ntransaction_after_hook() {{ touch {tmp_path}/after; }}\n"
    )
    begun = False
    with (
        pytest.raises(PublishError, match=r"transaction_before_hook of sw\.example\.org failed .* nothing was done"),
        hooks_around(server, Hook.TRANSACTION_BEFORE, Hook.TRANSACTION_AFTER, FQRN),
    ):
        begun = True
    assert not begun
    assert not (tmp_path / "after").exists()


def test_a_hook_that_fails_afterwards_says_that_all_was_done(server):
    server.hooks.write_text("publish_after_hook() { return 1; }\n")
    with (
        pytest.raises(PublishError, match="after all was done"),
        hooks_around(server, Hook.PUBLISH_BEFORE, Hook.PUBLISH_AFTER, FQRN),
    ):
        pass


def test_a_file_that_is_no_shell_script_is_refused(server):
    server.hooks.write_text("publish_before_hook() { \n")
    with pytest.raises(PublishError, match=r"cvmfs_server_hooks\.sh"):
        run_hook(server, Hook.PUBLISH_BEFORE, FQRN)
