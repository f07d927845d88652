"""The order in which a protocol hears of its connection, and how often."""

from __future__ import annotations

import asyncio
import socket

import pytest

from tests.support.loops import turns
from tests.support.net import Peer, reset, tcp_pair, unix_pair
from tests.support.protocols import (
    HalfOpenRecorder,
    Recorder,
    address_of,
    connection,
    serving,
)


async def test_the_whole_life_of_a_connection_in_order():
    async with connection() as (transport, protocol, peer):
        assert protocol.transport is transport
        await peer.send(b"hello")
        assert await protocol.received(5) == b"hello"
        peer.close()
        assert await protocol.closed() is None
        assert protocol.events == ["made", "data", "eof", "lost"]


async def test_connection_made_comes_before_create_connection_returns(loop):
    ours, theirs = tcp_pair()
    with theirs:
        transport, protocol = await loop.create_connection(Recorder, sock=ours)
        assert protocol.events == ["made"]
        assert protocol.transport is transport
        transport.close()
        await protocol.closed()


async def test_data_that_waits_already_comes_after_connection_made(loop):
    ours, theirs = tcp_pair()
    with theirs:
        theirs.sendall(b"early")
        transport, protocol = await loop.create_connection(Recorder, sock=ours)
        await protocol.received(5)
        assert protocol.events == ["made", "data"]
        transport.close()
        await protocol.closed()


async def test_the_callbacks_run_on_the_loop_and_outside_of_any_task(loop):
    seen = []

    class Protocol(Recorder):
        def data_received(self, data):
            seen.append((asyncio.get_running_loop(), asyncio.current_task()))
            super().data_received(data)

    async with connection(Protocol()) as (_, protocol, peer):
        await peer.send(b"x")
        await protocol.received(1)
    assert seen == [(loop, None)]
    seen.clear()


async def test_data_arrives_as_bytes_and_in_order():
    kinds = set()

    class Protocol(Recorder):
        def data_received(self, data):
            kinds.add(type(data))
            super().data_received(data)

    async with connection(Protocol()) as (_, protocol, peer):
        payload = bytes(range(256)) * 1000
        await peer.send(payload)
        assert await protocol.received(len(payload)) == payload
        assert kinds == {bytes}


async def test_messages_that_come_one_by_one_are_not_joined():
    async with connection() as (_, protocol, peer):
        for number in range(20):
            await peer.send(b"%02d" % number)
            await protocol.received(2 * (number + 1))
        assert protocol.events == ["made"] + 20 * ["data"]


async def test_connection_lost_comes_in_a_later_callback_than_close():
    async with connection() as (transport, protocol, _):
        transport.close()
        assert transport.is_closing()
        assert protocol.events == ["made"]
        await protocol.closed()
        assert protocol.events == ["made", "lost"]


async def test_connection_lost_comes_in_a_later_callback_than_abort():
    async with connection() as (transport, protocol, _):
        transport.abort()
        assert transport.is_closing()
        assert protocol.events == ["made"]
        assert await protocol.closed() is None
        assert protocol.events == ["made", "lost"]


async def test_connection_lost_comes_in_a_later_callback_than_a_close_inside_data_received():
    class Protocol(Recorder):
        def data_received(self, data):
            super().data_received(data)
            self.transport.close()
            self.note("closed")

    async with connection(Protocol()) as (_, protocol, peer):
        await peer.send(b"x")
        await protocol.closed()
        assert protocol.events == ["made", "data", "closed", "lost"]


async def test_connection_lost_comes_once_however_often_the_transport_is_closed():
    async with connection() as (transport, protocol, peer):
        transport.close()
        transport.close()
        transport.abort()
        await protocol.closed()
        transport.close()
        transport.abort()
        peer.close()
        await turns(5)
        assert protocol.events == ["made", "lost"]


async def test_no_data_comes_after_close():
    async with connection(pair=unix_pair()) as (transport, protocol, peer):
        peer.sock.send(b"too late")
        transport.close()
        await protocol.closed()
        await turns(3)
        assert protocol.events == ["made", "lost"]


async def test_a_connection_may_be_closed_in_connection_made(loop):
    class Protocol(Recorder):
        def connection_made(self, transport):
            super().connection_made(transport)
            transport.close()

    ours, theirs = unix_pair()
    with theirs:
        theirs.send(b"never read")
        transport, protocol = await loop.create_connection(Protocol, sock=ours)
        assert await protocol.closed() is None
        assert protocol.events == ["made", "lost"]
        assert transport.is_closing()


async def test_a_connection_may_be_aborted_in_connection_made(loop):
    class Protocol(Recorder):
        def connection_made(self, transport):
            super().connection_made(transport)
            transport.abort()

    ours, theirs = tcp_pair()
    with theirs:
        _, protocol = await loop.create_connection(Protocol, sock=ours)
        await protocol.closed()
        assert protocol.events == ["made", "lost"]


async def test_the_socket_is_still_open_in_connection_lost_and_closed_after_it():
    seen = []

    class Protocol(Recorder):
        def connection_lost(self, exc):
            seen.append(self.transport.get_extra_info("socket").fileno())
            super().connection_lost(exc)

    async with connection(Protocol()) as (transport, protocol, peer):
        number = transport.get_extra_info("socket").fileno()
        transport.close()
        await protocol.closed()
        await turns(1)
        assert seen == [number]
        assert transport.get_extra_info("socket").fileno() == -1
        assert await peer.recv() == b""


# end of file


async def test_end_of_file_closes_the_transport_by_default():
    async with connection() as (transport, protocol, peer):
        peer.close()
        await protocol.happened("eof")
        assert transport.is_closing()
        assert await protocol.closed() is None


async def test_eof_received_that_returns_true_keeps_the_writing_side():
    async with connection(HalfOpenRecorder()) as (transport, protocol, peer):
        peer.sock.shutdown(1)
        await protocol.happened("eof")
        assert not transport.is_closing()
        transport.write(b"still writing")
        assert await peer.recv_exactly(13) == b"still writing"
        await turns(5)
        assert protocol.events == ["made", "eof"]
        transport.close()
        await protocol.closed()
        assert protocol.events == ["made", "eof", "lost"]


async def test_end_of_file_comes_once():
    async with connection(HalfOpenRecorder()) as (_, protocol, peer):
        peer.sock.shutdown(1)
        await protocol.happened("eof")
        await turns(10)
        assert protocol.events.count("eof") == 1


async def test_data_that_was_sent_before_the_end_of_file_all_arrives():
    async with connection() as (_, protocol, peer):
        payload = b"x" * 300_000
        await peer.send(payload)
        peer.close()
        assert await protocol.closed() is None
        assert bytes(protocol.data) == payload
        assert protocol.events[-2:] == ["eof", "lost"]


async def test_what_is_still_to_be_written_at_end_of_file_is_written():
    class Protocol(Recorder):
        def eof_received(self):
            self.transport.write(b"goodbye")
            return super().eof_received()

    async with connection(Protocol()) as (_, protocol, peer):
        peer.sock.shutdown(1)
        assert await peer.recv_all() == b"goodbye"
        assert await protocol.closed() is None


# errors of the peer


async def test_a_reset_by_the_peer_is_the_argument_of_connection_lost():
    async with connection() as (_, protocol, peer):
        reset(peer.sock)
        assert isinstance(await protocol.closed(), ConnectionResetError)
        assert protocol.events == ["made", "lost"]


async def test_a_reset_is_no_matter_for_the_exception_handler(loop, ledger):
    async with connection() as (transport, protocol, peer):
        transport.write(b"x")
        reset(peer.sock)
        await protocol.closed()
    assert ledger.take_loop_errors() == []


# both ends on the loop


async def test_client_and_server_protocols_see_the_same_connection(loop):
    servers = []

    def factory():
        servers.append(Recorder())
        return servers[-1]

    async with serving(factory) as server:
        transport, client = await loop.create_connection(Recorder, *address_of(server))
        transport.write(b"ping")
        while not servers:
            await turns(1)
        assert await servers[0].received(4) == b"ping"
        servers[0].transport.write(b"pong")
        assert await client.received(4) == b"pong"
        transport.close()
        await client.closed()
        await servers[0].closed()
    assert client.events == ["made", "data", "lost"]
    assert servers[0].events == ["made", "data", "eof", "lost"]
    servers.clear()


@pytest.mark.parametrize("closer", ["client", "server"])
async def test_either_end_may_close(loop, closer):
    servers = []

    def factory():
        servers.append(Recorder())
        return servers[-1]

    async with serving(factory) as server:
        transport, client = await loop.create_connection(Recorder, *address_of(server))
        while not servers or not servers[0].events:
            await turns(1)
        (transport if closer == "client" else servers[0].transport).close()
        assert await client.closed() is None
        assert await servers[0].closed() is None
    ends = {"client": client.events, "server": servers[0].events}
    assert ends.pop(closer) == ["made", "lost"]
    assert next(iter(ends.values())) == ["made", "eof", "lost"]
    servers.clear()


async def test_a_peer_connects_sends_and_leaves_before_it_is_accepted(loop):
    servers = []

    def factory():
        servers.append(Recorder())
        return servers[-1]

    async with serving(factory) as server:
        with Peer(socket.create_connection(address_of(server))) as peer:
            peer.sock.sendall(b"quick")
        while not servers or "lost" not in servers[0].events:
            await turns(1)
    assert bytes(servers[0].data) == b"quick"
    assert servers[0].events == ["made", "data", "eof", "lost"]
    servers.clear()
