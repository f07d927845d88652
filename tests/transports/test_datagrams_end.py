"""Datagram endpoints: from `close`, `abort` or an error to connection_lost."""

from __future__ import annotations

import asyncio
import logging

import pytest

from tests.support.datagrams import (
    Datagrams,
    address_of,
    bound,
    connected_to,
    drain,
    endpoint,
)
from tests.support.fds import open_fds
from tests.support.leaks import assert_collected, resource_warning
from tests.support.loops import turns
from tests.support.net import HOST


async def test_close_calls_connection_lost_later_and_once():
    async with endpoint() as (transport, protocol):
        transport.close()
        transport.close()
        assert transport.is_closing()
        assert protocol.events == ["made"]
        assert await protocol.closed() is None
        transport.close()
        transport.abort()
        await turns(2)
        assert protocol.events == ["made", "lost"]
        assert transport.get_protocol() is None


async def test_a_closed_endpoint_gives_its_port_back():
    async with endpoint() as (transport, protocol):
        address = address_of(transport)
        transport.close()
        await protocol.closed()
        await turns(1)
        bound(address=address).close()


@pytest.mark.parametrize("callback", ["connection_made", "connection_lost"])
async def test_an_error_in_a_connection_callback_is_reported(ledger, callback):
    class Broken(Datagrams):
        def connection_made(self, transport):
            super().connection_made(transport)
            self.fails("connection_made")

        def connection_lost(self, exc):
            super().connection_lost(exc)
            self.fails("connection_lost")

        def fails(self, name):
            if name == callback:
                raise LookupError(name)

    with bound() as peer:
        async with endpoint(Broken()) as (transport, protocol):
            peer.sendto(b"x", address_of(transport))
            await protocol.arrived(1)
            transport.close()
            await protocol.closed()
            await turns(1)
            report = ledger.take_loop_error()
            assert isinstance(report["exception"], LookupError)
            report.clear()


async def test_an_endpoint_that_is_not_awaited_to_the_end_is_closed(loop):
    """Cancelled while connection_made is under way."""
    before = open_fds()
    made = []

    class Cancelling(Datagrams):
        def connection_made(self, transport):
            super().connection_made(transport)
            made.append(self)
            creating.cancel()

    creating = asyncio.ensure_future(
        loop.create_datagram_endpoint(Cancelling, local_addr=(HOST, 0))
    )
    with pytest.raises(asyncio.CancelledError):
        await creating
    await made[0].closed()
    await turns(1)
    assert open_fds() == before


def test_an_unclosed_transport_warns_and_gives_its_descriptor_back(raw_loop_factory):
    before = open_fds()

    def abandon():
        loop = raw_loop_factory()
        loop.run_until_complete(loop.create_datagram_endpoint(Datagrams, local_addr=(HOST, 0)))
        loop.close()

    with resource_warning("unclosed transport"):
        abandon()
    assert open_fds() == before


def test_a_closed_transport_in_a_cycle_with_its_protocol_is_collected(loop):
    async def life():
        with bound() as peer:
            async with endpoint() as (transport, protocol):
                peer.sendto(b"x", address_of(transport))
                await protocol.arrived(1)
                transport.sendto(b"y", peer.getsockname())
                transport.close()
                await protocol.closed()
                await turns(1)
                assert protocol.transport is transport
                return transport, protocol

    assert_collected(lambda: loop.run_until_complete(life()))


@pytest.mark.weft_only("asyncio's call_soon refuses: the socket stays open until it is collected")
def test_a_transport_closed_after_its_loop_closes_its_socket(loop_factory):
    loop = loop_factory()
    transport, protocol = loop.run_until_complete(
        loop.create_datagram_endpoint(Datagrams, local_addr=(HOST, 0))
    )
    address = address_of(transport)
    loop.close()
    transport.close()
    bound(address=address).close()
    assert protocol.events == ["made"]


async def test_close_sends_what_waits_first(peer):
    peer, count = peer
    async with connected_to(peer) as (transport, protocol):
        transport.sendto(b"one")
        transport.close()
        assert transport.is_closing()
        transport.sendto(b"two")
        await turns(3)
        assert protocol.events == ["made"]
        assert (await drain(peer, count + 2))[count:] == [b"one", b"two"]
        assert await protocol.closed() is None
        assert protocol.events == ["made", "lost"]


@pytest.mark.weft_only("asyncio calls connection_lost twice, and trips over the second")
async def test_close_in_resume_writing_ends_the_transport_once(peer):
    class Closing(Datagrams):
        def resume_writing(self):
            super().resume_writing()
            self.transport.close()

    peer, count = peer
    async with connected_to(peer, Closing()) as (transport, protocol):
        transport.set_write_buffer_limits(high=10)
        transport.sendto(bytes(100))
        await drain(peer, count + 1)
        assert await protocol.closed() is None
        await turns(2)
        assert protocol.events == ["made", "pause", "resume", "lost"]


async def test_abort_throws_away_what_waits(peer):
    peer, count = peer
    async with connected_to(peer) as (transport, protocol):
        transport.sendto(b"unsent")
        transport.abort()
        assert await protocol.closed() is None
        assert protocol.events == ["made", "lost"]
        assert len(await drain(peer, count)) == count
        with pytest.raises(BlockingIOError):
            peer.recv(100)


async def test_abort_in_error_received_ends_the_transport_once(peer):
    """The receiver goes away while a datagram waits for it."""

    class Aborting(Datagrams):
        def error_received(self, exc):
            super().error_received(exc)
            self.transport.abort()

    peer, _ = peer
    async with connected_to(peer, Aborting()) as (transport, protocol):
        for _ in range(3):
            transport.sendto(b"x")
        peer.close()
        assert await protocol.closed() is None
        await turns(2)
        assert isinstance(protocol.errors[0], ConnectionRefusedError)
        assert protocol.events == ["made", "error", "lost"]


async def test_a_closing_transport_ends_though_its_last_datagram_fails(peer):
    peer, _ = peer
    async with connected_to(peer) as (transport, protocol):
        transport.sendto(b"x")
        transport.close()
        peer.close()
        assert await protocol.closed() is None
        assert [type(error) for error in protocol.errors] == [ConnectionRefusedError]


async def test_many_datagrams_to_a_lost_transport_are_warned_of(caplog):
    with bound() as peer:
        async with endpoint(remote_addr=peer.getsockname()) as (transport, protocol):
            transport.close()
            await protocol.closed()
            with caplog.at_level(logging.WARNING, "asyncio"):
                for _ in range(4):
                    transport.sendto(b"x")
                assert not caplog.records
                transport.sendto(b"x")
            assert [record.levelname for record in caplog.records] == ["WARNING"]
            assert "socket.send() raised exception" in caplog.text


async def test_an_unconnected_transport_sends_until_connection_lost():
    with bound() as peer:
        async with endpoint() as (transport, protocol):
            transport.close()
            transport.sendto(b"x", peer.getsockname())
            assert peer.recv(10) == b"x"
            await protocol.closed()


@pytest.mark.weft_only("asyncio's transport trips over what it has let go of")
async def test_a_closed_unconnected_transport_sends_nothing():
    with bound() as peer:
        async with endpoint() as (transport, protocol):
            transport.close()
            await protocol.closed()
            await turns(1)
            transport.sendto(b"x", peer.getsockname())
            peer.setblocking(False)
            with pytest.raises(BlockingIOError):
                peer.recv(10)
