"""sock_recv, sock_recv_into, sock_sendall, sock_connect and sock_accept."""

from __future__ import annotations

import array
import asyncio
import contextlib
import os
import socket
import ssl

import pytest

from tests.support.loops import turns
from tests.support.net import (
    HOST,
    fill,
    free_port,
    listener,
    nonblocking_pair,
    recv_exactly,
    reset,
    tcp_pair,
    unix_pair,
)


@pytest.fixture
def pair():
    ours, theirs = nonblocking_pair()
    with ours, theirs:
        yield ours, theirs


@pytest.fixture
def lsock():
    with listener() as sock:
        sock.setblocking(False)
        yield sock


@contextlib.contextmanager
def client_socket(family=socket.AF_INET):
    with socket.socket(family) as sock:
        sock.setblocking(False)
        yield sock


# receiving


async def test_recv_returns_what_is_there(loop, pair):
    ours, theirs = pair
    theirs.send(b"hello")
    assert await loop.sock_recv(ours, 100) == b"hello"


async def test_recv_takes_no_more_than_asked(loop, pair):
    ours, theirs = pair
    theirs.send(b"hello")
    assert await loop.sock_recv(ours, 2) == b"he"
    assert await loop.sock_recv(ours, 100) == b"llo"


@pytest.mark.parametrize("asked", [1 << 12, 1 << 14, 1 << 16, 1 << 18, 1 << 20])
async def test_recv_gets_everything_whatever_is_asked_for(loop, asked):
    """A read that is full says nothing about what is left: nobody may wait for the next edge."""
    ours, theirs = tcp_pair()
    with ours, theirs:
        # A first wait, so that the loop knows the socket.
        receiving = asyncio.create_task(loop.sock_recv(ours, asked))
        await turns(2)
        theirs.sendall(b"x")
        assert await receiving == b"x"
        message = os.urandom(600_000)
        sending = asyncio.create_task(asyncio.to_thread(theirs.sendall, message))
        received = bytearray()
        while len(received) < len(message):
            part = await loop.sock_recv(ours, asked)
            assert 0 < len(part) <= asked
            received += part
        assert received == message
        await sending


async def test_recv_waits_for_data(loop, pair):
    ours, theirs = pair
    receiving = asyncio.create_task(loop.sock_recv(ours, 100))
    await turns(3)
    assert not receiving.done()
    theirs.send(b"later")
    assert await receiving == b"later"


async def test_recv_returns_nothing_at_end_of_file(loop, pair):
    ours, theirs = pair
    theirs.send(b"last")
    theirs.close()
    assert await loop.sock_recv(ours, 100) == b"last"
    assert await loop.sock_recv(ours, 100) == b""
    assert await loop.sock_recv(ours, 100) == b""


async def test_recv_that_waits_is_woken_by_end_of_file(loop, pair):
    ours, theirs = pair
    receiving = asyncio.create_task(loop.sock_recv(ours, 100))
    await turns(2)
    theirs.close()
    assert await receiving == b""


async def test_recv_raises_what_the_kernel_says(loop):
    ours, theirs = tcp_pair()
    with ours:
        receiving = asyncio.create_task(loop.sock_recv(ours, 100))
        await turns(2)
        reset(theirs)
        with pytest.raises(ConnectionResetError):
            await receiving


async def test_a_hundred_small_messages_arrive_one_by_one(loop, pair):
    ours, theirs = pair
    for number in range(100):
        receiving = asyncio.create_task(loop.sock_recv(ours, 100))
        await turns(number % 3)
        theirs.send(b"%d" % number)
        assert await receiving == b"%d" % number


@pytest.mark.parametrize("kind", [bytearray, lambda size: memoryview(bytearray(size))])
async def test_recv_into_fills_the_buffer(loop, pair, kind):
    ours, theirs = pair
    buffer = kind(10)
    receiving = asyncio.create_task(loop.sock_recv_into(ours, buffer))
    await turns(2)
    theirs.send(b"hello")
    assert await receiving == 5
    assert bytes(buffer) == b"hello\0\0\0\0\0"


async def test_recv_into_takes_no_more_than_fits(loop, pair):
    ours, theirs = pair
    theirs.send(b"hello")
    buffer = bytearray(3)
    assert await loop.sock_recv_into(ours, buffer) == 3
    assert await loop.sock_recv_into(ours, buffer) == 2
    assert buffer == b"lol"


async def test_recv_into_refuses_a_read_only_buffer(loop, pair):
    ours, theirs = pair
    theirs.send(b"x")
    with pytest.raises((TypeError, BufferError)):
        await loop.sock_recv_into(ours, b"constant")
    assert await loop.sock_recv(ours, 1) == b"x"


# sending


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
async def test_sendall_sends_any_bytes(loop, pair, kind):
    ours, theirs = pair
    assert await loop.sock_sendall(ours, kind(b"hello")) is None
    assert theirs.recv(100) == b"hello"


async def test_sendall_of_nothing_returns(loop, pair):
    assert await loop.sock_sendall(pair[0], b"") is None


async def test_sendall_waits_for_a_slow_reader(loop):
    ours, theirs = unix_pair()
    with ours, theirs:
        payload = os.urandom(1 << 20) * 4
        sending = asyncio.create_task(loop.sock_sendall(ours, payload))
        await turns(3)
        assert not sending.done()
        received = await asyncio.to_thread(recv_exactly, theirs, len(payload))
        await sending
        assert received == payload


@pytest.mark.weft_only("asyncio slices the view by items, counts bytes, and never ends")
async def test_sendall_accepts_views_of_larger_items(loop, pair):
    """The count is in bytes although the view counts in items."""
    ours, theirs = pair
    await loop.sock_sendall(ours, memoryview(array.array("I", [1, 2, 3])))
    assert len(theirs.recv(100)) == 12


async def test_sendall_reports_a_peer_that_is_gone(loop, pair):
    ours, theirs = pair
    theirs.close()
    with pytest.raises(BrokenPipeError):
        await loop.sock_sendall(ours, b"to nobody")


async def test_sendall_that_waits_is_told_that_the_peer_is_gone(loop, pair):
    ours, theirs = pair
    fill(ours)
    sending = asyncio.create_task(loop.sock_sendall(ours, b"more"))
    await turns(2)
    assert not sending.done()
    theirs.close()
    with pytest.raises((BrokenPipeError, ConnectionResetError)):
        await sending


async def test_sending_and_receiving_on_one_socket_at_the_same_time(loop, pair):
    """Full duplex: each side sends more than the kernel holds while it receives as much."""
    payload = os.urandom(1 << 19)

    async def receive(sock):
        data = bytearray()
        while len(data) < len(payload):
            data += await loop.sock_recv(sock, 1 << 16)
        return bytes(data)

    results = await asyncio.gather(
        *[loop.sock_sendall(sock, payload) for sock in pair],
        *[receive(sock) for sock in pair],
    )
    assert results == [None, None, payload, payload]


# connecting


async def test_connect_reaches_a_listener(loop, lsock):
    with client_socket() as sock:
        assert await loop.sock_connect(sock, lsock.getsockname()) is None
        conn, address = await loop.sock_accept(lsock)
        with conn:
            assert address == sock.getsockname()
            await loop.sock_sendall(conn, b"welcome")
            assert await loop.sock_recv(sock, 100) == b"welcome"


async def test_connect_is_refused_where_nobody_listens(loop):
    with client_socket() as sock, pytest.raises(ConnectionRefusedError) as caught:
        await loop.sock_connect(sock, (HOST, free_port()))
    assert caught.value.errno


async def test_connect_resolves_a_name(loop, lsock):
    with client_socket() as sock:
        await loop.sock_connect(sock, ("localhost", lsock.getsockname()[1]))
        assert sock.getpeername() == lsock.getsockname()


async def test_connect_raises_for_a_name_that_does_not_resolve(loop):
    with client_socket() as sock, pytest.raises(OSError, match=r"."):
        await loop.sock_connect(sock, ("name.invalid", 80))


async def test_connect_works_over_unix_sockets(loop, tmp_path):
    with client_socket(socket.AF_UNIX) as lsock, client_socket(socket.AF_UNIX) as sock:
        lsock.bind(str(tmp_path / "sock"))
        lsock.listen()
        await loop.sock_connect(sock, str(tmp_path / "sock"))
        conn, _ = await loop.sock_accept(lsock)
        conn.close()


async def test_connect_to_a_missing_unix_socket_fails(loop, tmp_path):
    with client_socket(socket.AF_UNIX) as sock, pytest.raises(FileNotFoundError):
        await loop.sock_connect(sock, str(tmp_path / "missing"))


# accepting


async def test_accept_waits_for_a_connection(loop, lsock):
    accepting = asyncio.create_task(loop.sock_accept(lsock))
    await turns(2)
    assert not accepting.done()
    with client_socket() as sock:
        await loop.sock_connect(sock, lsock.getsockname())
        conn, address = await accepting
        conn.close()
        assert address == sock.getsockname()


async def test_an_accepted_socket_is_ready_for_the_loop(loop, lsock):
    """Non-blocking and not inheritable."""
    with client_socket() as sock:
        await loop.sock_connect(sock, lsock.getsockname())
        conn, _ = await loop.sock_accept(lsock)
        with conn:
            assert conn.gettimeout() == 0
            assert not conn.get_inheritable()


async def test_accept_after_accept_serves_everybody(loop, lsock):
    socks = [socket.socket() for _ in range(10)]
    for sock in socks:
        sock.setblocking(False)
    connecting = [loop.sock_connect(sock, lsock.getsockname()) for sock in socks]
    gathered = asyncio.gather(*connecting)
    addresses = set()
    for _ in socks:
        conn, address = await loop.sock_accept(lsock)
        conn.close()
        addresses.add(address)
    await gathered
    assert addresses == {sock.getsockname() for sock in socks}
    for sock in socks:
        sock.close()


# refusals


def every_operation(loop, sock):
    return {
        "recv": lambda: loop.sock_recv(sock, 1),
        "recv_into": lambda: loop.sock_recv_into(sock, bytearray(1)),
        "sendall": lambda: loop.sock_sendall(sock, b"x"),
        "connect": lambda: loop.sock_connect(sock, (HOST, 1)),
        "accept": lambda: loop.sock_accept(sock),
        "recvfrom": lambda: loop.sock_recvfrom(sock, 1),
        "recvfrom_into": lambda: loop.sock_recvfrom_into(sock, bytearray(1)),
        "sendto": lambda: loop.sock_sendto(sock, b"x", (HOST, 1)),
    }


OPERATIONS = list(every_operation(None, None))


@pytest.mark.parametrize("operation", OPERATIONS)
async def test_debug_mode_refuses_a_blocking_socket(loop, operation):
    loop.set_debug(True)
    with socket.socket() as sock, pytest.raises(ValueError, match="must be non-blocking"):
        await every_operation(loop, sock)[operation]()


@pytest.mark.parametrize("operation", OPERATIONS)
async def test_a_tls_socket_is_refused(loop, operation):
    ours, theirs = nonblocking_pair()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    with (
        theirs,
        context.wrap_socket(ours, do_handshake_on_connect=False) as wrapped,
        pytest.raises(TypeError, match="Socket cannot be of type SSLSocket"),
    ):
        await every_operation(loop, wrapped)[operation]()


@pytest.mark.parametrize("operation", OPERATIONS)
async def test_a_closed_socket_is_refused(loop, operation):
    sock = socket.socket()
    sock.setblocking(False)
    sock.close()
    with pytest.raises((OSError, ValueError)):
        await every_operation(loop, sock)[operation]()


async def test_sock_sendfile_sends_a_regular_file(loop, pair, tmp_path):
    ours, theirs = pair
    path = tmp_path / "file"
    path.write_bytes(b"0123456789" * 100)
    with path.open("rb") as file:
        assert await loop.sock_sendfile(ours, file, 10, 500) == 500
        assert file.tell() == 510
    assert theirs.recv(1000) == b"0123456789" * 50


async def test_the_end_of_the_stream_may_come_with_the_last_data(loop):
    """One edge announces both, and no other follows: recv must not wait for one."""
    ours, theirs = tcp_pair()
    with ours:
        ours.setblocking(False)
        receiving = asyncio.create_task(loop.sock_recv(ours, 100))
        await turns(2)
        with theirs:
            theirs.sendall(b"the last")
        assert await receiving == b"the last"
        assert await loop.sock_recv(ours, 100) == b""
