"""sock_recvfrom, sock_recvfrom_into and sock_sendto."""

from __future__ import annotations

import asyncio
import socket
import struct

import pytest

from tests.support.datagrams import fill
from tests.support.loops import turns
from tests.support.net import HOST, has_ipv6


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
        sent = fill(sender, path)
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


async def test_sendto_waits_for_room_that_others_have_taken(loop, tmp_path):
    """The kernel says that the sender has room, and does not say when the receiver has."""
    path = str(tmp_path / "receiver")
    with (
        bound(socket.AF_UNIX, path) as receiver,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as filler,
    ):
        sender.setblocking(False)
        filler.setblocking(False)
        count = fill(filler, path)
        sending = asyncio.create_task(loop.sock_sendto(sender, b"last", path))
        await turns(3)
        assert not sending.done()
        for _ in range(count):
            await loop.sock_recvfrom(receiver, 2000)
        assert await sending == 4
        assert (await loop.sock_recvfrom(receiver, 100))[0] == b"last"


async def test_a_sendto_that_waits_can_be_cancelled(loop, tmp_path):
    path = str(tmp_path / "receiver")
    with (
        bound(socket.AF_UNIX, path) as receiver,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender,
    ):
        sender.setblocking(False)
        count = fill(sender, path)
        sending = asyncio.create_task(loop.sock_sendto(sender, b"never", path))
        await turns(3)
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
        for _ in range(count):
            await loop.sock_recvfrom(receiver, 2000)
        await turns(3)
        with pytest.raises(BlockingIOError):
            receiver.recv(100)


@pytest.mark.skipif(not has_ipv6(), reason="the loopback has no IPv6 address")
async def test_ipv6_addresses_have_four_items(loop):
    with bound(socket.AF_INET6, ("::1", 0)) as one, bound(socket.AF_INET6, ("::1", 0)) as two:
        for address in (two.getsockname(), two.getsockname()[:2]):
            assert await loop.sock_sendto(one, b"hello", address) == 5
            assert await loop.sock_recvfrom(two, 100) == (b"hello", one.getsockname())


async def test_host_names_are_resolved_by_pythons_socket(loop, pair):
    one, two = pair
    await loop.sock_sendto(one, b"hello", ("localhost", two.getsockname()[1]))
    assert await loop.sock_recvfrom(two, 100) == (b"hello", one.getsockname())


async def test_a_sender_without_a_name_is_none(loop):
    one, two = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with one, two:
        two.setblocking(False)
        one.send(b"hello")
        assert await loop.sock_recvfrom(two, 100) == (b"hello", None)


@pytest.mark.parametrize(
    ("size", "error"),
    [(-1, ValueError), (11, ValueError), ("x", TypeError), (1 << 70, OverflowError)],
)
async def test_a_limit_that_makes_no_sense_is_refused(loop, pair, size, error):
    one, two = pair
    one.sendto(b"kept", two.getsockname())
    with pytest.raises(error):
        await loop.sock_recvfrom_into(two, bytearray(10), size)
    assert (await loop.sock_recvfrom(two, 100))[0] == b"kept"


async def test_a_negative_size_is_refused(loop, pair):
    with pytest.raises(ValueError, match="negative buffersize"):
        await loop.sock_recvfrom(pair[1], -1)


async def test_a_buffer_that_is_read_only_is_refused(loop, pair):
    with pytest.raises((TypeError, BufferError)):
        await loop.sock_recvfrom_into(pair[1], b"constant")


@pytest.mark.parametrize(
    ("address", "error"),
    [
        ((HOST,), TypeError),
        ((HOST, 65536), OverflowError),
        ((HOST, "9"), TypeError),
        (5, TypeError),
    ],
)
async def test_addresses_that_make_no_sense_are_refused(loop, pair, address, error):
    with pytest.raises(error):
        await loop.sock_sendto(pair[0], b"x", address)


async def test_other_families_go_through_pythons_socket(loop):
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as sock:
        sock.bind((0, 0))
        sock.setblocking(False)
        request = struct.pack("=LHHLLBxxx", 20, 18, 0x301, 1, 0, 0)
        assert await loop.sock_sendto(sock, request, (0, 0)) == 20
        data, sender = await loop.sock_recvfrom(sock, 65536)
        assert sender == (0, 0)
        assert len(data) > 20
