"""add_reader and add_writer: level-triggered watching of descriptors that the program owns."""

from __future__ import annotations

import contextvars

import pytest

from tests.support.loops import one_turn
from tests.support.net import fill, nonblocking_pair
from tests.support.parked import when_parked

VARIABLE = contextvars.ContextVar("VARIABLE", default="default")


@pytest.fixture
def pair():
    ours, theirs = nonblocking_pair()
    with ours, theirs:
        yield ours, theirs


def test_a_reader_is_called_when_there_is_something_to_read(loop, pair):
    ours, theirs = pair
    seen = []
    loop.add_reader(ours.fileno(), lambda: seen.append(ours.recv(10)))
    one_turn(loop)
    assert seen == []
    theirs.send(b"hello")
    one_turn(loop)
    assert seen == [b"hello"]
    one_turn(loop)
    assert seen == [b"hello"]
    assert loop.remove_reader(ours.fileno())


def test_a_reader_wakes_a_parked_loop(loop, pair):
    ours, theirs = pair
    loop.add_reader(ours, loop.stop)
    helper = when_parked(lambda: theirs.send(b"x"))
    loop.run_forever()
    helper.join()
    loop.remove_reader(ours)


def test_a_writer_is_called_while_there_is_room(loop, pair):
    ours, theirs = pair
    seen = []
    loop.add_writer(ours, seen.append, "room")
    one_turn(loop)
    one_turn(loop)
    assert len(seen) == 2
    fill(ours)
    one_turn(loop)
    assert len(seen) == 2
    while len(seen) == 2:
        theirs.recv(1 << 20)
        one_turn(loop)
    assert loop.remove_writer(ours)


def test_unread_data_keeps_firing(loop, pair):
    ours, theirs = pair
    seen = []
    theirs.send(b"unread")
    loop.add_reader(ours, seen.append, None)
    for turn in range(1, 6):
        one_turn(loop)
        assert len(seen) == turn
    loop.remove_reader(ours)


def test_data_read_in_part_keeps_firing(loop, pair):
    ours, theirs = pair
    seen = []
    theirs.send(b"abc")
    loop.add_reader(ours, lambda: seen.append(ours.recv(1)))
    for _ in range(5):
        one_turn(loop)
    assert seen == [b"a", b"b", b"c"]
    loop.remove_reader(ours)


def test_data_that_was_there_before_the_reader_fires(loop, pair):
    ours, theirs = pair
    theirs.send(b"early")
    one_turn(loop)
    loop.add_reader(ours, loop.stop)
    loop.run_forever()
    loop.remove_reader(ours)


def test_data_that_was_there_fires_for_a_reader_that_comes_again(loop, pair):
    """Nothing changes on the descriptor between the two, so an edge would be missed."""
    ours, theirs = pair
    seen = []
    theirs.send(b"unread")
    for count in (1, 2, 3):
        loop.add_reader(ours, seen.append, count)
        one_turn(loop)
        assert loop.remove_reader(ours)
        one_turn(loop)
        assert seen == list(range(1, count + 1))


def test_end_of_file_keeps_firing(loop, pair):
    ours, theirs = pair
    seen = []
    theirs.close()
    loop.add_reader(ours, lambda: seen.append(ours.recv(10)))
    for _ in range(3):
        one_turn(loop)
    assert seen == [b"", b"", b""]
    loop.remove_reader(ours)


def test_add_returns_nothing_and_remove_tells_whether_there_was_one(loop, pair):
    ours, _ = pair
    assert loop.remove_reader(ours) is False
    assert loop.remove_writer(ours) is False
    assert loop.add_reader(ours, print) is None
    assert loop.add_writer(ours, print) is None
    assert loop.remove_reader(ours) is True
    assert loop.remove_writer(ours) is True
    assert loop.remove_reader(ours) is False
    assert loop.remove_writer(ours) is False


def test_a_second_reader_replaces_the_first(loop, pair):
    ours, theirs = pair
    seen = []
    theirs.send(b"x")
    loop.add_reader(ours, seen.append, "first")
    loop.add_reader(ours, seen.append, "second")
    one_turn(loop)
    assert seen == ["second"]
    assert loop.remove_reader(ours) is True
    assert loop.remove_reader(ours) is False


def test_a_reader_may_replace_itself(loop, pair):
    ours, theirs = pair
    seen = []

    def first():
        seen.append("first")
        loop.add_reader(ours, seen.append, "second")

    theirs.send(b"x")
    loop.add_reader(ours, first)
    one_turn(loop)
    assert seen == ["first"]
    one_turn(loop)
    assert seen == ["first", "second"]
    loop.remove_reader(ours)


def test_a_reader_may_remove_itself(loop, pair):
    ours, theirs = pair
    seen = []
    theirs.send(b"x")
    loop.add_reader(ours, lambda: seen.append(loop.remove_reader(ours)))
    for _ in range(3):
        one_turn(loop)
    assert seen == [True]


def test_one_reader_may_remove_another_that_is_ready_in_the_same_turn(loop, pair):
    """Removing cancels a call that is already queued."""
    other_pair = nonblocking_pair()
    with other_pair[0], other_pair[1]:
        both = {pair[0], other_pair[0]}
        seen = []

        def callback(me):
            seen.append(me)
            for other in both - {me}:
                loop.remove_reader(other)

        for sock, peer in (pair, other_pair):
            peer.send(b"x")
            loop.add_reader(sock, callback, sock)
        one_turn(loop)
        assert len(seen) == 1
        assert loop.remove_reader(seen[0]) is True
        seen.clear()
        both.clear()


def test_a_reader_may_remove_the_writer_of_the_same_descriptor(loop, pair):
    ours, theirs = pair
    seen = []
    theirs.send(b"x")
    loop.add_writer(ours, seen.append, "write")
    loop.add_reader(ours, lambda: (seen.append("read"), loop.remove_writer(ours)))
    one_turn(loop)
    assert seen == ["read"]
    loop.remove_reader(ours)


def test_both_directions_of_one_descriptor_are_independent(loop, pair):
    ours, theirs = pair
    seen = []
    loop.add_reader(ours, seen.append, "read")
    loop.add_writer(ours, seen.append, "write")
    one_turn(loop)
    assert seen == ["write"]
    assert loop.remove_writer(ours)
    theirs.send(b"x")
    one_turn(loop)
    assert seen == ["write", "read"]
    loop.add_writer(ours, seen.append, "write")
    assert loop.remove_reader(ours)
    one_turn(loop)
    assert seen == ["write", "read", "write"]
    assert loop.remove_writer(ours)


def test_reading_comes_before_writing_when_both_are_ready(loop, pair):
    ours, theirs = pair
    seen = []
    theirs.send(b"x")
    loop.add_writer(ours, seen.append, "write")
    loop.add_reader(ours, seen.append, "read")
    one_turn(loop)
    assert seen == ["read", "write"]
    loop.remove_reader(ours)
    loop.remove_writer(ours)


def test_a_hang_up_wakes_both_directions(loop):
    ours, theirs = nonblocking_pair()
    with ours:
        fill(ours)
        seen = set()
        loop.add_reader(ours, seen.add, "read")
        loop.add_writer(ours, seen.add, "write")
        one_turn(loop)
        assert seen == set()
        theirs.close()
        one_turn(loop)
        assert seen == {"read", "write"}
        loop.remove_reader(ours)
        loop.remove_writer(ours)


def test_a_reader_runs_in_the_context_of_its_registration(loop, pair):
    ours, theirs = pair
    seen = []
    context = contextvars.copy_context()
    context.run(VARIABLE.set, "registered")
    context.run(loop.add_reader, ours, lambda: seen.append(VARIABLE.get()))
    theirs.send(b"x")
    one_turn(loop)
    one_turn(loop)
    loop.remove_reader(ours)
    assert seen == ["registered", "registered"]


def test_hundreds_of_ready_descriptors_are_all_served(loop):
    pairs = [nonblocking_pair() for _ in range(300)]
    seen = set()

    def callback(number):
        pairs[number][0].recv(1)
        seen.add(number)
        if len(seen) == len(pairs):
            loop.stop()

    for number, (ours, theirs) in enumerate(pairs):
        loop.add_reader(ours, callback, number)
        theirs.send(b"x")
    loop.run_forever()
    assert len(seen) == len(pairs)
    for ours, theirs in pairs:
        assert loop.remove_reader(ours)
        ours.close()
        theirs.close()


def test_a_busy_descriptor_does_not_starve_callbacks_and_timers(loop, pair):
    ours, theirs = pair
    theirs.send(b"never read")
    seen = []
    loop.add_reader(ours, lambda: None)
    loop.call_soon(lambda: loop.call_soon(seen.append, "soon"))
    loop.call_later(0.001, loop.stop)
    loop.run_forever()
    assert seen == ["soon"]
    loop.remove_reader(ours)


async def test_a_descriptor_may_be_awaited(loop, pair):
    """The pattern of database drivers: a future, a callback, a descriptor that is not theirs."""
    ours, theirs = pair
    for _ in range(10):
        readable = loop.create_future()
        loop.add_reader(ours.fileno(), readable.set_result, None)
        loop.call_soon(theirs.send, b"x")
        await readable
        loop.remove_reader(ours.fileno())
        assert ours.recv(10) == b"x"
