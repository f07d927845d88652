"""What a transport tells about itself: extra information, types, options, repr."""

from __future__ import annotations

import asyncio
import socket
import weakref

import pytest

from tests.support.loops import turns
from tests.support.net import HOST, unix_pair
from tests.support.protocols import Recorder, address_of, connection, serving


async def test_a_stream_transport_is_an_asyncio_transport():
    """Libraries assert it."""
    async with connection() as (transport, _, _):
        assert isinstance(transport, asyncio.Transport)
        assert isinstance(transport, asyncio.ReadTransport)
        assert isinstance(transport, asyncio.WriteTransport)
        assert isinstance(transport, asyncio.BaseTransport)


async def test_a_server_is_an_asyncio_server():
    async with serving(Recorder) as server:
        assert isinstance(server, asyncio.AbstractServer)


async def test_names_of_a_client_and_its_server_agree(loop):
    servers = []

    def factory():
        servers.append(Recorder())
        return servers[-1]

    async with serving(factory) as server:
        transport, client = await loop.create_connection(Recorder, *address_of(server))
        while not servers or not servers[0].events:
            await turns(1)
        theirs = servers[0].transport
        assert transport.get_extra_info("peername") == address_of(server)
        assert theirs.get_extra_info("sockname") == address_of(server)
        assert theirs.get_extra_info("peername") == transport.get_extra_info("sockname")
        assert transport.get_extra_info("sockname")[0] == HOST
        transport.close()
        await client.closed()
        await servers[0].closed()
    servers.clear()


async def test_names_survive_the_end_of_the_connection():
    """Access logs are written after it."""
    async with connection() as (transport, protocol, peer):
        names = transport.get_extra_info("sockname"), transport.get_extra_info("peername")
        assert names == (peer.sock.getpeername(), peer.sock.getsockname())
        transport.close()
        await protocol.closed()
        await turns(1)
        after = transport.get_extra_info("sockname"), transport.get_extra_info("peername")
        assert after == names


async def test_unix_sockets_have_paths_for_names():
    async with connection(pair=unix_pair()) as (transport, _, _):
        assert transport.get_extra_info("sockname") == ""
        assert transport.get_extra_info("peername") == ""


async def test_unknown_information_is_none_or_the_default():
    async with connection() as (transport, _, _):
        assert transport.get_extra_info("nothing like it") is None
        assert transport.get_extra_info("nothing like it", 42) == 42
        assert transport.get_extra_info("sslcontext") is None
        assert transport.get_extra_info("ssl_object") is None


async def test_the_socket_answers_questions_and_takes_options():
    async with connection() as (transport, _, peer):
        sock = transport.get_extra_info("socket")
        assert sock.family == socket.AF_INET
        assert sock.type == socket.SOCK_STREAM
        assert sock.fileno() > 2
        assert sock.getsockname() == peer.sock.getpeername()
        assert sock.getpeername() == peer.sock.getsockname()
        assert sock.gettimeout() == 0
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) != 0
        assert sock.get_inheritable() is False


async def test_the_socket_can_be_duplicated():
    async with connection() as (transport, protocol, peer):
        with transport.get_extra_info("socket").dup() as twin:
            transport.close()
            await protocol.closed()
            await turns(1)
            twin.send(b"from the twin")
        assert await peer.recv_all() == b"from the twin"


async def test_the_socket_is_always_the_same_object():
    async with connection() as (transport, _, _):
        assert transport.get_extra_info("socket") is transport.get_extra_info("socket")


async def test_the_socket_cannot_be_made_blocking():
    async with connection() as (transport, _, _):
        sock = transport.get_extra_info("socket")
        with pytest.raises(ValueError, match="cannot be blocking"):
            sock.setblocking(True)
        sock.setblocking(False)


@pytest.mark.parametrize("side", ["client", "server"])
async def test_small_writes_are_not_delayed(loop, side):
    """TCP_NODELAY is set on both sides."""
    servers = []

    def factory():
        servers.append(Recorder())
        return servers[-1]

    async with serving(factory) as server:
        transport, client = await loop.create_connection(Recorder, *address_of(server))
        while not servers or not servers[0].events:
            await turns(1)
        sock = (transport if side == "client" else servers[0].transport).get_extra_info("socket")
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0
        transport.close()
        await client.closed()
        await servers[0].closed()
    servers.clear()


async def test_a_socket_that_was_handed_over_is_made_non_blocking(loop):
    ours, theirs = unix_pair()
    ours.setblocking(True)
    async with connection(pair=(ours, theirs)):
        assert ours.gettimeout() == 0


async def test_a_transport_accepts_weak_references_and_attributes():
    """A WeakSet of connections is how servers count them."""
    async with connection() as (transport, _, _):
        known = weakref.WeakSet([transport])
        assert list(known) == [transport]
        assert {transport: "hashable"}[transport] == "hashable"
        del known


async def test_repr_works_in_every_state():
    async with connection() as (transport, protocol, _):
        assert repr(transport).startswith("<")
        transport.pause_reading()
        repr(transport)
        transport.close()
        repr(transport)
        await protocol.closed()
        await turns(1)
        assert "clos" in repr(transport)


async def test_a_descriptor_of_a_transport_cannot_be_watched(loop):
    """Two owners of one descriptor would steal each other's events."""
    async with connection() as (transport, _, _):
        sock = transport.get_extra_info("socket")
        for watch in (loop.add_reader, loop.add_writer):
            with pytest.raises(RuntimeError, match="is used by transport"):
                watch(sock.fileno(), print)
        for forget in (loop.remove_reader, loop.remove_writer):
            with pytest.raises(RuntimeError, match="is used by transport"):
                forget(sock.fileno())


async def test_a_descriptor_may_be_watched_after_its_transport_is_gone(loop):
    async with connection() as (transport, protocol, _):
        number = transport.get_extra_info("socket").fileno()
        transport.close()
        await protocol.closed()
        await turns(1)
        assert loop.remove_reader(number) is False
