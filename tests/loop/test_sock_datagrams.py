"""sock_recvfrom, sock_recvfrom_into and sock_sendto."""

from __future__ import annotations

import asyncio
import contextlib
import socket

import pytest

from tests.support.loops import turns
from tests.support.net import HOST


def bound(family=socket.AF_INET, address=(HOST, 0)):
    sock = socket.socket(family, socket.SOCK_DGRAM)
    sock.setblocking(False)
    sock.bind(address)
    return sock


@pytest.fixture
def pair():
    with bound() as one, bound() as two:
        yield one, two


async def test_a_datagram_arrives_with_its_sender(loop, pair):
    one, two = pair
    assert await loop.sock_sendto(one, b"hello", two.getsockname()) == 5
    assert await loop.sock_recvfrom(two, 100) == (b"hello", one.getsockname())


async def test_recvfrom_waits(loop, pair):
    one, two = pair
    receiving = asyncio.create_task(loop.sock_recvfrom(two, 100))
    await turns(3)
    assert not receiving.done()
    one.sendto(b"later", two.getsockname())
    assert await receiving == (b"later", one.getsockname())


async def test_datagrams_keep_their_borders(loop, pair):
    one, two = pair
    for number in range(10):
        await loop.sock_sendto(one, b"x" * number, two.getsockname())
    sizes = [len((await loop.sock_recvfrom(two, 100))[0]) for _ in range(10)]
    assert sizes == list(range(10))


async def test_an_empty_datagram_is_a_datagram(loop, pair):
    one, two = pair
    assert await loop.sock_sendto(one, b"", two.getsockname()) == 0
    assert await loop.sock_recvfrom(two, 100) == (b"", one.getsockname())


async def test_a_datagram_that_does_not_fit_is_cut(loop, pair):
    one, two = pair
    await loop.sock_sendto(one, b"hello", two.getsockname())
    await loop.sock_sendto(one, b"next", two.getsockname())
    assert (await loop.sock_recvfrom(two, 2))[0] == b"he"
    assert (await loop.sock_recvfrom(two, 100))[0] == b"next"


async def test_recvfrom_into_fills_the_buffer(loop, pair):
    one, two = pair
    buffer = bytearray(10)
    receiving = asyncio.create_task(loop.sock_recvfrom_into(two, buffer))
    await turns(2)
    one.sendto(b"hello", two.getsockname())
    assert await receiving == (5, one.getsockname())
    assert buffer == b"hello\0\0\0\0\0"


async def test_recvfrom_into_takes_a_limit(loop, pair):
    one, two = pair
    await loop.sock_sendto(one, b"hello", two.getsockname())
    buffer = bytearray(10)
    assert await loop.sock_recvfrom_into(two, buffer, 2) == (2, one.getsockname())
    assert buffer[:3] == b"he\0"


async def test_sendto_an_address_of_another_family_fails(loop, pair):
    with pytest.raises((OSError, TypeError)):
        await loop.sock_sendto(pair[0], b"x", "/a/path")


async def test_unix_datagrams_carry_paths(loop, tmp_path):
    paths = [str(tmp_path / name) for name in ("one", "two")]
    with bound(socket.AF_UNIX, paths[0]) as one, bound(socket.AF_UNIX, paths[1]) as two:
        await loop.sock_sendto(one, b"hello", paths[1])
        assert await loop.sock_recvfrom(two, 100) == (b"hello", paths[0])


async def test_sendto_waits_for_room(loop, tmp_path):
    """Unix datagrams are never dropped: the sender waits until the receiver reads."""
    path = str(tmp_path / "receiver")
    sender = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    sender.setblocking(False)
    with bound(socket.AF_UNIX, path) as receiver, sender:
        sent = 0
        with contextlib.suppress(BlockingIOError):
            while True:
                sender.sendto(b"x" * 1000, path)
                sent += 1
        sending = asyncio.create_task(loop.sock_sendto(sender, b"last", path))
        await turns(2)
        assert not sending.done()
        for _ in range(sent):
            await loop.sock_recvfrom(receiver, 2000)
        assert await sending == 4
        assert (await loop.sock_recvfrom(receiver, 100))[0] == b"last"


async def test_a_cancelled_recvfrom_loses_no_datagram(loop, pair):
    one, two = pair
    receiving = asyncio.create_task(loop.sock_recvfrom(two, 100))
    await turns(2)
    receiving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await receiving
    one.sendto(b"kept", two.getsockname())
    await turns(2)
    assert await loop.sock_recvfrom(two, 100) == (b"kept", one.getsockname())


async def test_a_connected_datagram_socket_uses_the_stream_calls(loop, pair):
    one, two = pair
    await loop.sock_connect(one, two.getsockname())
    await loop.sock_sendall(one, b"hello")
    assert await loop.sock_recv(two, 100) == b"hello"
