"""What is said to kernels of different ages, as byte strings."""

import struct

import pytest

from swrepo.errors import FormatError
from swrepo.fuse import wire
from swrepo.fuse.wire import Feature

EVERYTHING = 0x7FFFFFFF


def init_body(major: int, minor: int, flags: int, readahead: int = 131072, *, extended: bool = True) -> bytes:
    body = struct.pack("=IIII", major, minor, readahead, flags)
    return body + bytes(48) if extended else body


def fields(reply: bytes) -> tuple[int, ...]:
    return struct.unpack("=IIIIHHIIHHI", reply[:36])


def test_a_modern_kernel_gets_every_feature_that_is_wanted() -> None:
    agreement = wire.negotiate(init_body(7, 45, EVERYTHING))

    assert agreement.features == wire.WANTED
    assert agreement.may_refuse_open
    assert agreement.may_refuse_opendir
    assert len(agreement.reply) == 64
    major, minor, readahead, flags, background, congestion, max_write, gran, pages, *_ = fields(agreement.reply)
    assert (major, minor, readahead, flags) == (7, wire.PROTOCOL_MINOR, 131072, int(wire.WANTED))
    assert (background, congestion) == (wire.BACKGROUND, wire.BACKGROUND * 3 // 4)
    assert (max_write, gran, pages) == (4096, 1, 256)


def test_kernel_4_18_is_told_its_own_version_and_gets_no_feature_that_it_did_not_offer() -> None:
    offered = Feature.ASYNC_READ | Feature.DO_READDIRPLUS | Feature.NO_OPEN_SUPPORT | Feature.PARALLEL_DIROPS
    agreement = wire.negotiate(init_body(7, 27, int(offered) | 1 << 16, extended=False))

    assert agreement.features == offered
    assert agreement.may_refuse_open
    assert not agreement.may_refuse_opendir
    assert fields(agreement.reply)[:4] == (7, 27, 131072, int(offered))
    assert fields(agreement.reply)[8] == 0, "max_pages is not sent where MAX_PAGES was not offered"


def test_features_that_nobody_asked_for_are_not_switched_on() -> None:
    agreement = wire.negotiate(init_body(7, 38, EVERYTHING))

    writeback_cache, posix_acl, handle_killpriv, async_dio = 1 << 16, 1 << 20, 1 << 19, 1 << 15
    assert not int(agreement.features) & (writeback_cache | posix_acl | handle_killpriv | async_dio)


def test_a_newer_major_version_is_asked_to_come_back_with_ours() -> None:
    agreement = wire.negotiate(init_body(8, 0, EVERYTHING))

    assert agreement.retry
    assert agreement.reply == struct.pack("=II", 7, wire.PROTOCOL_MINOR)


@pytest.mark.parametrize(("major", "minor"), [(6, 99), (7, 0), (7, 26)])
def test_a_kernel_that_is_too_old_is_named_in_the_refusal(major: int, minor: int) -> None:
    with pytest.raises(FormatError, match=rf"FUSE {major}\.{minor}; 7\.27 \(kernel 4\.18\)"):
        wire.negotiate(init_body(major, minor, EVERYTHING))


def test_a_cut_init_request_is_refused() -> None:
    with pytest.raises(FormatError, match="15 bytes"):
        wire.negotiate(init_body(7, 38, 0)[:15])


def test_structures_have_the_sizes_of_the_kernel_interface() -> None:
    sizes = {
        wire.IN_HEADER: 40,
        wire.OUT_HEADER: 16,
        wire.ENTRY: 128,
        wire.ATTR: 104,
        wire.DIRENT: 24,
        wire.DIRENT_PLUS: 152,
        wire.READ_IN: 40,
        wire.BATCH_FORGET_IN: 8,
        wire.FORGET_ONE: 16,
        wire.XATTR_IN: 8,
        wire.OPEN_OUT: 16,
        wire.STATFS_OUT: 80,
        wire.INVAL_INODE_OUT: 24,
        wire.INVAL_ENTRY_OUT: 16,
    }
    assert {struct_.format: struct_.size for struct_ in sizes} == {
        struct_.format: size for struct_, size in sizes.items()
    }


@pytest.mark.parametrize("length", range(1, 20))
def test_names_are_padded_to_eight(length: int) -> None:
    assert (length + len(wire.PADDING[length & 7])) % 8 == 0
    assert len(wire.PADDING[length & 7]) < 8


def test_passthrough_is_agreed_on_in_the_second_word_of_flags_and_only_where_it_was_asked_for() -> None:
    newest = struct.pack("=IIIII44x", 7, 45, 131072, EVERYTHING | 1 << 30, 1 << 5 | 1 << 9)
    with_it = wire.negotiate(newest, wire.PASSTHROUGH)
    assert with_it.passes_through
    second_word, stack_depth = struct.unpack_from("=II", with_it.reply, 32)
    assert (second_word, stack_depth) == (1 << 5, 1)
    assert len(with_it.reply) == 64
    assert not wire.negotiate(newest).passes_through
    assert struct.unpack_from("=II", wire.negotiate(newest).reply, 32) == (0, 0)
    older_kernel = wire.negotiate(init_body(7, 38, EVERYTHING), wire.PASSTHROUGH)
    assert not older_kernel.passes_through
    assert struct.unpack_from("=II", older_kernel.reply, 32) == (0, 0)
