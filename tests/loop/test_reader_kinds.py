"""What add_reader and add_writer accept as a descriptor, and what they refuse."""

from __future__ import annotations

import os
import select
import socket
import tempfile

import pytest

from tests.support.loops import one_turn
from tests.support.net import listener, nonblocking_pair


@pytest.fixture
def pair():
    ours, theirs = nonblocking_pair()
    with ours, theirs:
        yield ours, theirs


@pytest.fixture
def pipe():
    reading, writing = os.pipe()
    yield reading, writing
    os.close(reading)
    os.close(writing)


def test_arguments_arrive_and_keywords_are_refused(loop, pair):
    ours, theirs = pair
    seen = []
    theirs.send(b"x")
    loop.add_reader(ours, lambda *args: seen.append(args), 1, "two", None)
    one_turn(loop)
    loop.remove_reader(ours)
    assert seen == [(1, "two", None)]
    with pytest.raises(TypeError):
        loop.add_reader(ours, print, end="")


@pytest.mark.parametrize("kind", ["number", "socket", "object with fileno"])
def test_descriptors_may_be_numbers_or_file_objects(loop, pair, kind):
    ours, theirs = pair

    class FileLike:
        def fileno(self):
            return ours.fileno()

    fd = {"number": ours.fileno(), "socket": ours, "object with fileno": FileLike()}[kind]
    seen = []
    theirs.send(b"x")
    loop.add_reader(fd, seen.append, "read")
    loop.add_writer(fd, seen.append, "write")
    one_turn(loop)
    assert sorted(seen) == ["read", "write"]
    assert loop.remove_reader(fd) is True
    assert loop.remove_writer(fd) is True


def test_a_reader_added_by_object_is_removed_by_number(loop, pair):
    ours, _ = pair
    loop.add_reader(ours, print)
    assert loop.remove_reader(ours.fileno()) is True
    assert loop.remove_reader(ours) is False


@pytest.mark.parametrize("bad", ["text", None, object(), 1.5])
def test_what_is_no_descriptor_is_refused(loop, bad):
    with pytest.raises(ValueError, match="Invalid file object"):
        loop.add_reader(bad, print)
    with pytest.raises(ValueError, match="Invalid file object"):
        loop.add_writer(bad, print)


def test_a_negative_descriptor_is_refused(loop):
    with pytest.raises(ValueError, match="Invalid file descriptor: -1"):
        loop.add_reader(-1, print)


def test_a_closed_descriptor_is_refused(loop):
    reading, writing = os.pipe()
    os.close(reading)
    os.close(writing)
    with pytest.raises(OSError, match="Bad file descriptor"):
        loop.add_reader(reading, print)
    assert loop.remove_reader(reading) is False


def test_a_regular_file_is_refused_as_epoll_does(loop):
    with tempfile.TemporaryFile() as file:
        with pytest.raises(PermissionError):
            loop.add_reader(file, print)
        with pytest.raises(PermissionError):
            loop.add_writer(file, print)
        assert loop.remove_reader(file) is False
        assert loop.remove_writer(file) is False
    one_turn(loop)


def test_the_writer_of_a_pipe_without_readers_is_woken(loop):
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    while True:
        try:
            os.write(writing, b"\0" * 65536)
        except BlockingIOError:
            break
    seen = []
    loop.add_writer(writing, seen.append, "broken")
    one_turn(loop)
    assert seen == []
    os.close(reading)
    one_turn(loop)
    assert seen == ["broken"]
    loop.remove_writer(writing)
    os.close(writing)


def test_pipes_and_event_descriptors_can_be_watched(loop, pipe):
    reading, writing = pipe
    event = os.eventfd(0)
    nested = select.epoll()
    nested.register(reading, select.EPOLLIN)
    seen = []
    try:
        loop.add_reader(reading, seen.append, "pipe")
        loop.add_reader(event, seen.append, "eventfd")
        loop.add_reader(nested, seen.append, "epoll")
        one_turn(loop)
        assert seen == []
        os.write(writing, b"x")
        os.eventfd_write(event, 1)
        one_turn(loop)
        assert sorted(seen) == ["epoll", "eventfd", "pipe"]
        for fd in (reading, event, nested):
            assert loop.remove_reader(fd)
    finally:
        nested.close()
        os.close(event)


def test_a_listening_socket_is_readable_while_a_connection_waits(loop):
    with listener() as lsock:
        seen = []
        loop.add_reader(lsock, seen.append, None)
        one_turn(loop)
        assert seen == []
        with socket.create_connection(lsock.getsockname()):
            while len(seen) < 3:
                one_turn(loop)
            lsock.accept()[0].close()
            count = len(seen)
            one_turn(loop)
            assert len(seen) == count
        loop.remove_reader(lsock)
