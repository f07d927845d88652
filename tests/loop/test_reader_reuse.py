"""Descriptors that are closed, and numbers that come back as something else."""

from __future__ import annotations

import os

import pytest

from tests.support.loops import one_turn
from tests.support.net import nonblocking_pair, pair_at


def test_a_number_that_was_removed_and_closed_can_be_watched_again(loop):
    ours, theirs = nonblocking_pair()
    number = ours.fileno()
    seen = []
    for round_number in range(5):
        loop.add_reader(number, seen.append, round_number)
        theirs.send(b"x")
        one_turn(loop)
        assert seen == list(range(round_number + 1))
        assert loop.remove_reader(number)
        ours.close()
        theirs.close()
        ours, theirs = pair_at(number)
    one_turn(loop)
    assert len(seen) == 5
    ours.close()
    theirs.close()


def test_a_new_socket_with_an_old_number_is_not_ready_because_the_old_one_was(loop):
    ours, theirs = nonblocking_pair()
    number = ours.fileno()
    seen = []
    theirs.send(b"old data, never read")
    loop.add_reader(number, seen.append, "old")
    one_turn(loop)
    loop.remove_reader(number)
    ours.close()
    theirs.close()
    ours, theirs = pair_at(number)
    del seen[:]
    loop.add_reader(number, seen.append, "new")
    one_turn(loop)
    one_turn(loop)
    assert seen == []
    theirs.send(b"x")
    one_turn(loop)
    assert seen == ["new"]
    loop.remove_reader(number)
    ours.close()
    theirs.close()


def test_a_new_socket_with_an_old_number_wakes_for_the_other_direction(loop):
    ours, theirs = nonblocking_pair()
    number = ours.fileno()
    seen = []
    loop.add_writer(number, seen.append, "old")
    one_turn(loop)
    loop.remove_writer(number)
    ours.close()
    theirs.close()
    ours, theirs = pair_at(number)
    loop.add_reader(number, seen.append, "read")
    one_turn(loop)
    assert seen == ["old"]
    theirs.send(b"x")
    one_turn(loop)
    assert seen == ["old", "read"]
    loop.remove_reader(number)
    ours.close()
    theirs.close()


def test_a_descriptor_closed_behind_the_loop_fires_no_more(loop):
    ours, theirs = nonblocking_pair()
    seen = []
    number = ours.fileno()
    loop.add_reader(number, seen.append, "fired")
    ours.close()
    theirs.close()
    one_turn(loop)
    one_turn(loop)
    assert seen == []
    assert loop.remove_reader(number) is True


def test_a_socket_closed_before_its_removal_can_still_be_removed_by_number(loop):
    """Cleaning up in the wrong order is common."""
    ours, theirs = nonblocking_pair()
    number = ours.fileno()
    loop.add_reader(ours, print)
    ours.close()
    theirs.close()
    assert loop.remove_reader(number) is True
    assert loop.remove_reader(number) is False


@pytest.mark.weft_only("asyncio fails with EBADF when the other direction is still watched")
def test_both_directions_of_a_closed_socket_can_be_removed(loop):
    ours, theirs = nonblocking_pair()
    number = ours.fileno()
    loop.add_reader(ours, print)
    loop.add_writer(ours, print)
    ours.close()
    theirs.close()
    assert loop.remove_reader(number) is True
    assert loop.remove_writer(number) is True


@pytest.mark.weft_only("asyncio's selector still has the old entry and fails with ENOENT")
def test_a_number_closed_without_removal_can_be_watched_again(loop):
    """The kernel forgot the old file by itself; an error here would blame the wrong program."""
    ours, theirs = nonblocking_pair()
    number = ours.fileno()
    seen = []
    loop.add_reader(number, seen.append, "old")
    one_turn(loop)
    ours.close()
    theirs.close()
    ours, theirs = pair_at(number)
    loop.add_reader(number, seen.append, "new")
    theirs.send(b"x")
    one_turn(loop)
    assert seen == ["new"]
    assert loop.remove_reader(number) is True
    ours.close()
    theirs.close()


def test_two_numbers_of_one_file_are_watched_separately(loop):
    ours, theirs = nonblocking_pair()
    twin = os.dup(ours.fileno())
    seen = []
    loop.add_reader(ours.fileno(), seen.append, "one")
    loop.add_reader(twin, seen.append, "two")
    theirs.send(b"x")
    one_turn(loop)
    assert sorted(seen) == ["one", "two"]
    assert loop.remove_reader(twin)
    os.close(twin)
    del seen[:]
    one_turn(loop)
    assert seen == ["one"]
    loop.remove_reader(ours.fileno())
    ours.close()
    theirs.close()


def test_a_callback_may_close_its_descriptor(loop):
    ours, theirs = nonblocking_pair()
    seen = []

    def callback():
        seen.append(ours.recv(1))
        loop.remove_reader(ours)
        ours.close()

    loop.add_reader(ours, callback)
    theirs.send(b"x")
    for _ in range(3):
        one_turn(loop)
    theirs.close()
    assert seen == [b"x"]


def test_a_callback_may_hand_its_number_to_a_new_socket_within_one_turn(loop):
    """Both ends are ready in one poll; the first closes the second and reopens its number."""
    pairs = {index: nonblocking_pair() for index in range(2)}
    seen = []

    def callback(index):
        seen.append(index)
        other = 1 - index
        number = pairs[other][0].fileno()
        loop.remove_reader(pairs[index][0])
        loop.remove_reader(number)
        pairs[other][0].close()
        pairs[other][1].close()
        pairs[other] = pair_at(number)
        loop.add_reader(number, seen.append, "the new one is not ready")

    for index, (ours, theirs) in pairs.items():
        loop.add_reader(ours, callback, index)
        theirs.send(b"x")
    for _ in range(3):
        one_turn(loop)
    assert len(seen) == 1
    for ours, theirs in pairs.values():
        loop.remove_reader(ours)
        ours.close()
        theirs.close()


def test_adding_and_removing_many_times_leaves_one_registration(loop):
    ours, theirs = nonblocking_pair()
    seen = []
    for _ in range(1000):
        loop.add_reader(ours, seen.append, "read")
        loop.add_writer(ours, int)
        loop.remove_writer(ours)
        loop.remove_reader(ours)
    loop.add_reader(ours, seen.append, "read")
    theirs.send(b"x")
    one_turn(loop)
    assert seen == ["read"]
    loop.remove_reader(ours)
    ours.close()
    theirs.close()
