"""Transports, protocols and servers are collected, and complain when nobody closed them."""

from __future__ import annotations

import asyncio
import gc
import sys
import weakref

import pytest

from tests.support.fds import open_fds
from tests.support.leaks import assert_collected, resource_warning
from tests.support.loops import finish, turns
from tests.support.net import HOST, Peer, tcp_pair, unix_pair
from tests.support.protocols import BufferedRecorder, Recorder, address_of, connection, serving
from tests.support.tls import NAME, client_context, server_context


@pytest.mark.parametrize("kind", [Recorder, BufferedRecorder])
async def test_a_closed_transport_is_collected_while_the_loop_runs(kind):
    async with connection(kind(), unix_pair()) as (transport, protocol, peer):
        await peer.send(b"x")
        await protocol.received(1)
        transport.close()
        await protocol.closed()
        await turns(2)
        references = [weakref.ref(transport), weakref.ref(protocol)]
        protocol.transport = None
        del transport, protocol
    await turns(2)
    gc.collect()
    assert [ref() for ref in references] == [None, None]


def test_a_closed_transport_in_a_cycle_with_its_protocol_is_collected(loop):
    async def life():
        ours, theirs = tcp_pair()
        with Peer(theirs) as peer:
            transport, protocol = await loop.create_connection(Recorder, sock=ours)
            await peer.send(b"x")
            await protocol.received(1)
            transport.close()
            await protocol.closed()
            await turns(2)
            assert protocol.transport is transport
            return transport, protocol

    assert_collected(lambda: loop.run_until_complete(life()))


def test_a_closed_transport_lets_go_of_its_protocol(loop):
    """A kept transport, in an access log for instance, does not keep the application alive."""

    async def life():
        ours, theirs = tcp_pair()
        with theirs:
            transport, protocol = await loop.create_connection(Recorder, sock=ours)
            transport.close()
            await protocol.closed()
            await turns(2)
            protocol.transport = None
            return transport, weakref.ref(protocol)

    transport, reference = loop.run_until_complete(life())
    gc.collect()
    assert reference() is None
    assert transport.is_closing()


def test_an_unclosed_transport_warns_and_gives_its_descriptor_back(raw_loop_factory):
    before = open_fds()

    def abandon():
        loop = raw_loop_factory()
        ours, theirs = unix_pair()
        loop.run_until_complete(loop.create_connection(Recorder, sock=ours))
        theirs.close()
        loop.close()

    with resource_warning("unclosed transport"):
        abandon()
    assert open_fds() == before


def test_a_transport_closed_too_late_for_its_loop_is_collected(raw_loop_factory):
    """connection_lost was scheduled and the loop closed before its turn came."""

    def abandon():
        loop = raw_loop_factory()
        ours, theirs = unix_pair()
        transport, protocol = loop.run_until_complete(loop.create_connection(Recorder, sock=ours))
        transport.close()
        theirs.close()
        loop.close()
        return loop, transport, protocol

    with resource_warning("unclosed"):
        assert_collected(abandon)


async def test_buffered_data_is_released_with_the_connection():
    payload = bytes(4 << 20)
    holders = sys.getrefcount(payload)
    async with connection(pair=unix_pair()) as (transport, protocol, _):
        transport.write(payload)
        assert transport.get_write_buffer_size() > 0
        transport.abort()
        await protocol.closed()
        gc.collect()
        assert sys.getrefcount(payload) == holders


async def test_data_that_was_received_is_not_kept():
    received = []

    class Keeping(Recorder):
        def data_received(self, data):
            received.append(data)

    async with connection(Keeping(), unix_pair()) as (_, _, peer):
        # Bytes objects of one byte are shared by the whole interpreter.
        for size in (2, 1000, 100_000):
            peer.sock.send(bytes(size))
            while sum(map(len, received)) < size:
                await turns(1)
            while received:
                data = received.pop()
                assert sys.getrefcount(data) <= 2
            del data


def test_a_closed_server_is_collected(loop):
    async def life():
        server = await loop.create_server(Recorder, HOST, 0)
        server.close()
        await server.wait_closed()
        return server

    assert_collected(lambda: loop.run_until_complete(life()))


def test_connections_of_a_server_are_collected_while_it_serves(loop):
    references = []

    def factory():
        protocol = Recorder()
        references.append(weakref.ref(protocol))
        return protocol

    async def life():
        async with serving(factory) as server:
            for _ in range(50):
                transport, protocol = await loop.create_connection(Recorder, *address_of(server))
                transport.close()
                await protocol.closed()
            while len(references) < 50 or any(ref() is not None for ref in references):
                await turns(2)
                gc.collect()

    loop.run_until_complete(life())


def test_an_abandoned_server_is_collected_with_its_loop(raw_loop_factory):
    before = open_fds()

    def abandon():
        loop = raw_loop_factory()
        server = loop.run_until_complete(loop.create_server(Recorder, HOST, 0))
        return loop, server

    with resource_warning("unclosed"):
        assert_collected(abandon)
    assert open_fds() == before


def test_a_thousand_connections_leave_nothing(loop):
    async def life():
        async with serving(Recorder) as server:
            address = address_of(server)
            before = open_fds()
            for _ in range(20):
                await asyncio.gather(*[one(address) for _ in range(50)])
            while open_fds() != before:
                await turns(1)

    async def one(address):
        transport, protocol = await loop.create_connection(Recorder, *address)
        transport.write(b"x")
        transport.close()
        await protocol.closed()

    loop.run_until_complete(life())


def test_a_tls_connection_is_collected(raw_loop_factory):
    async def life(loop):
        async with serving(Recorder, ssl=server_context()) as server:
            transport, protocol = await loop.create_connection(
                Recorder, *address_of(server), ssl=client_context(), server_hostname=NAME
            )
            transport.close()
            await protocol.closed()
            return transport, protocol

    def make():
        loop = raw_loop_factory()
        made = loop.run_until_complete(life(loop))
        finish(loop)
        return made

    assert_collected(make)
