"""`loop.create_datagram_endpoint`: receiving, and what Python sees of a transport."""

from __future__ import annotations

import asyncio
import socket
import sys
import time

import pytest

from tests.support.datagrams import (
    Datagrams,
    address_of,
    bound,
    endpoint,
)
from tests.support.loops import turns


async def test_two_endpoints_talk_to_each_other():
    async with endpoint() as (one, heard_by_one), endpoint() as (two, heard_by_two):
        for number in range(50):
            one.sendto(b"%d" % number, address_of(two))
            await heard_by_two.arrived(number + 1)
            two.sendto(b"%d" % number, heard_by_two.datagrams[-1][1])
            await heard_by_one.arrived(number + 1)
        assert heard_by_one.datagrams[-1] == (b"49", address_of(two))


async def test_a_datagram_arrives_with_the_address_that_answers_it():
    with bound() as peer:
        async with endpoint() as (transport, protocol):
            peer.sendto(b"ping", address_of(transport))
            await protocol.arrived(1)
            assert protocol.datagrams == [(b"ping", peer.getsockname())]
            transport.sendto(b"pong", protocol.datagrams[0][1])
            assert peer.recvfrom(100) == (b"pong", address_of(transport))


async def test_datagrams_keep_their_borders_and_their_order():
    sizes = [1, 0, 65507, 2, 1000, 0, 3]
    with bound() as peer:
        async with endpoint() as (transport, protocol):
            for size in sizes:
                peer.sendto(bytes(size), address_of(transport))
            assert [len(data) for data in await protocol.arrived(len(sizes))] == sizes
            assert all(type(data) is bytes for data, _ in protocol.datagrams)


async def test_a_burst_arrives_whole_and_in_order():
    """More than one event's worth, from senders that take turns."""
    with bound() as one, bound() as two:
        async with endpoint() as (transport, protocol):
            expected = []
            for number in range(400):
                sender = one if number % 3 else two
                expected.append((b"%d" % number, sender.getsockname()))
                sender.sendto(expected[-1][0], address_of(transport))
                if number % 50 == 49:  # the kernel drops what does not fit into the socket
                    await protocol.arrived(len(expected))
            assert protocol.datagrams == expected


async def test_a_flood_does_not_keep_others_from_their_turn():
    """Whoever answers every datagram with another must not own the loop."""

    class Flooding(Datagrams):
        def datagram_received(self, data, addr):
            super().datagram_received(data, addr)
            self.transport.sendto(data, addr)

    async with endpoint(Flooding()) as (transport, protocol):
        for _ in range(4):
            transport.sendto(b"x", address_of(transport))
        await protocol.arrived(100)
        seen = len(protocol.datagrams)
        await turns(20)
        # 4 wait at any time, and one event delivers a bounded number of them.
        assert len(protocol.datagrams) - seen <= 20 * 16


async def test_nothing_arrives_while_reading_is_paused():
    with bound() as peer:
        async with endpoint() as (transport, protocol):
            assert transport.is_reading()
            transport.pause_reading()
            transport.pause_reading()
            assert not transport.is_reading()
            peer.sendto(b"later", address_of(transport))
            await turns(5)
            assert protocol.events == ["made"]
            transport.resume_reading()
            transport.resume_reading()
            assert await protocol.arrived(1) == [b"later"]


async def test_a_paused_endpoint_costs_nothing_when_datagrams_wait():
    with bound() as peer:
        async with endpoint() as (transport, protocol):
            transport.pause_reading()
            peer.sendto(b"later", address_of(transport))
            spent = time.thread_time()
            await asyncio.sleep(0.2)
            assert time.thread_time() - spent < 0.1
            transport.resume_reading()
            await protocol.arrived(1)


@pytest.mark.parametrize("how", ["pause_reading", "close", "abort"])
async def test_nothing_arrives_after_a_callback_said_so(how):
    class Ending(Datagrams):
        def datagram_received(self, data, addr):
            super().datagram_received(data, addr)
            if data == b"last":
                getattr(self.transport, how)()

    with bound() as peer:
        async with endpoint(Ending()) as (transport, protocol):
            for data in [b"x"] * 30 + [b"last"] + [b"too much"] * 3:
                peer.sendto(data, address_of(transport))
            await protocol.arrived(31)
            await turns(5)
            assert [data for data, _ in protocol.datagrams] == [b"x"] * 30 + [b"last"]


async def test_an_error_in_datagram_received_is_reported_and_is_no_end(ledger):
    class Broken(Datagrams):
        def datagram_received(self, data, addr):
            super().datagram_received(data, addr)
            if data == b"bad":
                raise LookupError

    with bound() as peer:
        async with endpoint(Broken()) as (transport, protocol):
            for data in (b"good", b"bad", b"good"):
                peer.sendto(data, address_of(transport))
            await protocol.arrived(3)
            report = ledger.take_loop_error()
            assert report["message"].startswith("Exception in callback")
            assert isinstance(report["exception"], LookupError)
            assert not transport.is_closing()
            report.clear()


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt])
def test_an_exit_in_datagram_received_leaves_the_loop(loop, error):
    class Exiting(Datagrams):
        def datagram_received(self, data, addr):
            raise error

    async def life():
        with bound() as peer:
            async with endpoint(Exiting()) as (transport, _):
                peer.sendto(b"x", address_of(transport))
                await asyncio.sleep(60)

    task = loop.create_task(life())
    with pytest.raises(error):
        loop.run_until_complete(task)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        loop.run_until_complete(task)


async def test_get_extra_info_knows_the_socket():
    async with endpoint() as (transport, _):
        sock = transport.get_extra_info("socket")
        assert isinstance(sock, asyncio.trsock.TransportSocket)
        assert sock.getsockname() == address_of(transport)
        assert transport.get_extra_info("peername") is None
        assert transport.get_extra_info("nothing", "default") == "default"


async def test_the_transport_is_a_datagram_transport():
    async with endpoint() as (transport, protocol):
        if sys.version_info >= (3, 12) or type(transport).__module__ == "weft":
            assert isinstance(transport, asyncio.DatagramTransport)
        assert isinstance(transport, asyncio.Transport)
        assert transport.get_protocol() is protocol


async def test_the_protocol_can_be_replaced():
    with bound() as peer:
        async with endpoint() as (transport, first):
            second = Datagrams()
            transport.set_protocol(second)
            peer.sendto(b"x", address_of(transport))
            await second.arrived(1)
            transport.close()
            await second.closed()
            assert first.events == ["made"]


async def test_repr_tells_what_the_transport_does():
    async with endpoint() as (transport, protocol):
        await turns(1)
        fd = transport.get_extra_info("socket").fileno()
        assert f"fd={fd} read=polling write=<idle, bufsize=0>" in repr(transport)
        transport.close()
        assert f" closing fd={fd}" in repr(transport)
        await protocol.closed()
        await turns(1)
        assert " closed fd=" in repr(transport)


async def test_a_descriptor_of_an_endpoint_is_not_for_add_reader(loop):
    async with endpoint() as (transport, _):
        with pytest.raises(RuntimeError, match="is used by transport"):
            loop.add_reader(transport.get_extra_info("socket"), print)


async def test_stream_sockets_are_refused(loop):
    with (
        socket.socket() as sock,
        pytest.raises(ValueError, match=r"(datagram|UDP) [Ss]ocket was expected"),
    ):
        await loop.create_datagram_endpoint(Datagrams, sock=sock)
