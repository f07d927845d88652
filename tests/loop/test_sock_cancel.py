"""Cancelled sock_* calls: nothing is lost, nothing stays registered, nothing is mixed up."""

from __future__ import annotations

import asyncio
import socket
import time

import pytest

from tests.support.loops import turns
from tests.support.net import HOST, fill, listener, nonblocking_pair, pair_at, tcp_pair


@pytest.fixture
def pair():
    ours, theirs = nonblocking_pair()
    with ours, theirs:
        yield ours, theirs


async def cancelled(coro):
    """Start it, let it wait, cancel it, and see it end."""
    task = asyncio.ensure_future(coro)
    await turns(2)
    assert not task.done()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await turns(1)


async def test_a_cancelled_recv_loses_no_data(loop, pair):
    ours, theirs = pair
    await cancelled(loop.sock_recv(ours, 100))
    theirs.send(b"kept")
    await turns(2)
    assert await loop.sock_recv(ours, 100) == b"kept"


async def test_data_that_arrives_before_the_cancellation_is_noticed_stays(loop, pair):
    ours, theirs = pair
    receiving = asyncio.create_task(loop.sock_recv(ours, 100))
    await turns(2)
    theirs.send(b"kept")
    receiving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await receiving
    assert await loop.sock_recv(ours, 100) == b"kept"


async def test_a_cancelled_recv_into_leaves_the_buffer_alone(loop, pair):
    ours, theirs = pair
    buffer = bytearray(10)
    await cancelled(loop.sock_recv_into(ours, buffer))
    theirs.send(b"kept")
    await turns(2)
    assert buffer == bytes(10)
    buffer.extend(b"no export is left")
    assert await loop.sock_recv(ours, 100) == b"kept"


async def test_a_cancelled_sendall_stops_sending(loop, pair):
    ours, theirs = pair
    filled = fill(ours)
    await cancelled(loop.sock_sendall(ours, b"never"))
    received = bytearray()
    while len(received) < filled:
        received += theirs.recv(1 << 20)
    await turns(2)
    with pytest.raises(BlockingIOError):
        theirs.recv(100)
    await loop.sock_sendall(ours, b"next")
    assert theirs.recv(100) == b"next"


async def test_a_cancelled_accept_leaves_the_connection_to_the_next(loop):
    with listener() as lsock, socket.socket() as sock:
        lsock.setblocking(False)
        sock.setblocking(False)
        await cancelled(loop.sock_accept(lsock))
        await loop.sock_connect(sock, lsock.getsockname())
        conn, address = await loop.sock_accept(lsock)
        conn.close()
        assert address == sock.getsockname()


async def test_a_cancelled_connect_lets_the_socket_be_closed(loop):
    """A full backlog keeps the connection pending."""
    with listener(0) as lsock:
        address = lsock.getsockname()
        waiting = [socket.socket() for _ in range(4)]
        pending = []
        for sock in waiting:
            sock.setblocking(False)
            pending.append(asyncio.ensure_future(loop.sock_connect(sock, address)))
        await turns(5)
        blocked = [task for task in pending if not task.done()]
        assert blocked, "the kernel accepts more than its backlog says"
        for task in blocked:
            task.cancel()
        await asyncio.gather(*pending, return_exceptions=True)
        for sock in waiting:
            number = sock.fileno()
            assert loop.remove_writer(number) is False
            sock.close()


@pytest.mark.parametrize("direction", ["reader", "writer"])
async def test_nothing_stays_registered_after_a_cancellation(loop, pair, direction):
    ours, _ = pair
    if direction == "reader":
        await cancelled(loop.sock_recv(ours, 1))
    else:
        fill(ours)
        await cancelled(loop.sock_sendall(ours, b"x"))
    assert loop.remove_reader(ours) is False
    assert loop.remove_writer(ours) is False


async def test_nothing_stays_registered_after_a_success(loop, pair):
    ours, theirs = pair
    receiving = asyncio.create_task(loop.sock_recv(ours, 1))
    await turns(2)
    theirs.send(b"x")
    await receiving
    await turns(1)
    assert loop.remove_reader(ours) is False


async def test_a_timeout_around_recv_leaves_the_socket_usable(loop, pair):
    ours, theirs = pair
    for _ in range(5):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.0005):
                await loop.sock_recv(ours, 1)
    theirs.send(b"x")
    assert await loop.sock_recv(ours, 1) == b"x"


async def test_cancelling_one_direction_leaves_the_other_alone(loop, pair):
    ours, theirs = pair
    filled = fill(ours)
    sending = asyncio.create_task(loop.sock_sendall(ours, b"more"))
    await turns(2)
    await cancelled(loop.sock_recv(ours, 1))
    assert not sending.done()
    received = 0
    while received < filled:
        received += len(theirs.recv(1 << 20))
    await sending
    assert theirs.recv(100) == b"more"


# the same number, another socket


async def waited_recv(loop, ours, theirs):
    """A sock_recv that had to wait, so that the loop has seen this number."""
    receiving = asyncio.create_task(loop.sock_recv(ours, 100))
    await turns(2)
    theirs.send(b"data")
    assert await receiving == b"data"


async def test_a_new_socket_with_an_old_number_waits_for_its_own_data(loop):
    ours, theirs = nonblocking_pair()
    number = ours.fileno()
    for _ in range(5):
        await waited_recv(loop, ours, theirs)
        ours.close()
        theirs.close()
        ours, theirs = pair_at(number)
    receiving = asyncio.create_task(loop.sock_recv(ours, 100))
    await turns(3)
    assert not receiving.done()
    theirs.send(b"mine")
    assert await receiving == b"mine"
    ours.close()
    theirs.close()


async def test_an_old_number_is_reused_for_the_other_direction(loop):
    ours, theirs = nonblocking_pair()
    number = ours.fileno()
    await waited_recv(loop, ours, theirs)
    ours.close()
    theirs.close()
    ours, theirs = pair_at(number)
    filled = fill(ours)
    sending = asyncio.create_task(loop.sock_sendall(ours, b"more"))
    await turns(3)
    assert not sending.done()
    received = 0
    while received < filled:
        received += len(theirs.recv(1 << 20))
    await sending
    assert theirs.recv(100) == b"more"
    ours.close()
    theirs.close()


async def test_an_old_number_is_reused_after_a_cancellation(loop):
    ours, theirs = nonblocking_pair()
    number = ours.fileno()
    for _ in range(5):
        await cancelled(loop.sock_recv(ours, 1))
        ours.close()
        theirs.close()
        ours, theirs = pair_at(number)
    await waited_recv(loop, ours, theirs)
    ours.close()
    theirs.close()


async def test_an_old_number_is_reused_before_the_cancellation_was_noticed(loop):
    """Two owners of one number: the first one's clean-up must not touch the second's socket."""
    ours, theirs = nonblocking_pair()
    number = ours.fileno()
    first = asyncio.create_task(loop.sock_recv(ours, 100))
    await turns(2)
    first.cancel()
    ours.close()
    theirs.close()
    ours, theirs = pair_at(number)
    second = asyncio.create_task(loop.sock_recv(ours, 100))
    await turns(3)
    assert first.cancelled()
    assert not second.done()
    theirs.send(b"mine")
    assert await second == b"mine"
    ours.close()
    theirs.close()


@pytest.mark.weft_only("asyncio still has the old registration and fails with ENOENT")
async def test_an_old_number_is_reused_while_the_first_owner_still_waits(loop):
    """Closing a socket under a waiting call is a mistake; the next owner must not pay for it."""
    ours, theirs = nonblocking_pair()
    number = ours.fileno()
    first = asyncio.create_task(loop.sock_recv(ours, 100))
    await turns(2)
    ours.close()
    theirs.close()
    ours, theirs = pair_at(number)
    second = asyncio.create_task(loop.sock_recv(ours, 100))
    await turns(2)
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    theirs.send(b"mine")
    assert await second == b"mine"
    ours.close()
    theirs.close()


# mixed with direct calls and with readers


async def test_direct_calls_on_the_socket_do_not_confuse_the_loop(loop, pair):
    ours, theirs = pair
    await waited_recv(loop, ours, theirs)
    theirs.send(b"directly")
    assert ours.recv(100) == b"directly"
    receiving = asyncio.create_task(loop.sock_recv(ours, 100))
    await turns(3)
    assert not receiving.done()
    theirs.send(b"through the loop")
    assert await receiving == b"through the loop"


async def test_a_waiting_recv_survives_that_its_data_is_taken_away(loop, pair):
    ours, theirs = pair
    receiving = asyncio.create_task(loop.sock_recv(ours, 100))
    await turns(2)
    theirs.send(b"stolen")
    assert ours.recv(100) == b"stolen"
    await turns(3)
    assert not receiving.done()
    theirs.send(b"for the loop")
    assert await receiving == b"for the loop"


async def test_direct_sends_between_sendalls_keep_their_order(loop, pair):
    ours, theirs = pair
    await loop.sock_sendall(ours, b"one ")
    ours.send(b"two ")
    await loop.sock_sendall(ours, b"three")
    assert theirs.recv(100) == b"one two three"


async def test_a_partly_read_socket_fires_for_a_reader_added_afterwards(loop, pair):
    """No edge happens any more; the reader must still see the rest."""
    ours, theirs = pair
    receiving = asyncio.create_task(loop.sock_recv(ours, 2))
    await turns(2)
    theirs.send(b"hello")
    assert await receiving == b"he"
    readable = loop.create_future()
    loop.add_reader(ours, readable.set_result, None)
    await readable
    loop.remove_reader(ours)
    assert ours.recv(100) == b"llo"


async def test_recv_after_a_reader_was_removed_finds_the_rest(loop, pair):
    ours, theirs = pair
    readable = loop.create_future()
    loop.add_reader(ours, readable.set_result, None)
    theirs.send(b"hello")
    await readable
    loop.remove_reader(ours)
    assert ours.recv(2) == b"he"
    assert await loop.sock_recv(ours, 100) == b"llo"
    await waited_recv(loop, ours, theirs)


async def test_recv_waits_while_a_writer_fires(loop, pair):
    ours, theirs = pair
    seen = []
    loop.add_writer(ours, seen.append, None)
    receiving = asyncio.create_task(loop.sock_recv(ours, 100))
    await turns(4)
    assert seen
    assert not receiving.done()
    theirs.send(b"x")
    assert await receiving == b"x"
    assert loop.remove_writer(ours) is True


async def test_a_udp_socket_can_be_connected_and_used_at_once(loop):
    with socket.socket(type=socket.SOCK_DGRAM) as one, socket.socket(type=socket.SOCK_DGRAM) as two:
        for sock in (one, two):
            sock.setblocking(False)
            sock.bind((HOST, 0))
        await loop.sock_connect(one, two.getsockname())
        receiving = asyncio.create_task(loop.sock_recv(two, 100))
        await turns(2)
        await loop.sock_sendall(one, b"x")
        assert await receiving == b"x"


async def test_a_writer_that_is_done_waiting_leaves_the_loop_idle(loop):
    """With a reader on the same descriptor the watch is level-triggered: it must not spin."""
    ours, theirs = tcp_pair()
    with ours, theirs:
        ours.setblocking(False)
        theirs.setblocking(False)
        loop.add_reader(ours, print)
        payload = bytes(8 << 20)
        sending = asyncio.create_task(loop.sock_sendall(ours, payload))
        received = 0
        while received < len(payload):
            received += len(await loop.sock_recv(theirs, 1 << 20))
        await sending
        spent = time.process_time()
        await asyncio.sleep(0.2)
        assert time.process_time() - spent < 0.1
        loop.remove_reader(ours)
