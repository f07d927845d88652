"""Datagram endpoints: `sendto`, its refusals, and what waits for the kernel."""

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
    connected_to,
    drain,
    endpoint,
    forgets_headers,
)
from tests.support.loops import turns
from tests.support.net import HOST

# Since 3.13 each datagram that waits counts eight bytes for its header.
HEADER = 8 if sys.version_info >= (3, 13) else 0


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
async def test_what_is_sent_leaves_at_once(kind):
    with bound() as peer:
        async with endpoint() as (transport, _):
            transport.sendto(kind(b"hello"), peer.getsockname())
            assert peer.recvfrom(100) == (b"hello", address_of(transport))
            assert transport.get_write_buffer_size() == 0


async def test_arguments_may_be_named():
    with bound() as peer:
        async with endpoint() as (transport, _):
            transport.sendto(data=b"a", addr=peer.getsockname())
            transport.sendto(b"b", addr=peer.getsockname())
            assert [peer.recv(10) for _ in range(2)] == [b"a", b"b"]
            for arguments in [(), (b"x", None, 1)]:
                with pytest.raises(TypeError):
                    transport.sendto(*arguments)
            with pytest.raises(TypeError):
                transport.sendto(b"x", address=peer.getsockname())


@pytest.mark.parametrize("data", ["text", 5, None, [b"x"]])
async def test_anything_but_bytes_is_refused(data):
    async with endpoint() as (transport, protocol):
        with pytest.raises(TypeError, match="bytes-like object"):
            transport.sendto(data, (HOST, 9))
        assert not transport.is_closing()
        assert protocol.events == ["made"]


async def test_an_empty_datagram_is_sent_since_python_3_13():
    with bound() as peer:
        async with endpoint() as (transport, _):
            transport.sendto(b"", peer.getsockname())
            transport.sendto(b"x", peer.getsockname())
            expected = [b"", b"x"] if sys.version_info >= (3, 13) else [b"x"]
            assert await drain(peer, len(expected)) == expected


async def test_a_datagram_that_is_too_long_is_an_error_and_no_end():
    with bound() as peer:
        async with endpoint() as (transport, protocol):
            transport.sendto(bytes(70_000), peer.getsockname())
            assert [error.errno for error in protocol.errors] == [90]  # EMSGSIZE
            assert not transport.is_closing()
            transport.sendto(b"x", peer.getsockname())
            assert peer.recv(10) == b"x"


@pytest.mark.parametrize("addr", [(HOST,), (HOST, 1, 2, 3, 4), "text", 5, (5, 5), (HOST, "5"), ()])
async def test_an_address_of_the_wrong_type_ends_the_transport(ledger, addr):
    async with endpoint() as (transport, protocol):
        transport.sendto(b"x", addr)
        error = await protocol.closed()
        assert isinstance(error, TypeError)
        report = ledger.take_loop_error()
        assert report["message"] == "Fatal write error on datagram transport"
        assert report["exception"] is error
        assert report["transport"] is transport
        report.clear()


async def test_a_destination_that_is_missing_ends_the_transport(ledger):
    async with endpoint() as (transport, protocol):
        transport.sendto(b"x")
        assert isinstance(await protocol.closed(), TypeError)
        ledger.take_loop_error().clear()


@pytest.mark.parametrize("port", [-1, 65536, 1 << 70])
async def test_a_port_out_of_range_ends_the_transport(ledger, port):
    async with endpoint() as (transport, protocol):
        transport.sendto(b"x", (HOST, port))
        assert isinstance(await protocol.closed(), OverflowError)
        ledger.take_loop_error().clear()


async def test_a_name_that_does_not_resolve_is_an_error_and_no_end():
    async with endpoint() as (transport, protocol):
        transport.sendto(b"x", ("no such host.invalid", 9))
        assert isinstance(protocol.errors[0], socket.gaierror)
        assert not transport.is_closing()


async def test_an_error_in_error_received_is_the_callers():
    class Broken(Datagrams):
        def error_received(self, exc):
            super().error_received(exc)
            raise LookupError

    with bound() as peer:
        async with endpoint(Broken()) as (transport, protocol):
            with pytest.raises(LookupError):
                transport.sendto(bytes(70_000), peer.getsockname())
            assert not transport.is_closing()
            assert protocol.events == ["made", "error"]


async def test_an_error_in_error_received_in_a_callback_is_reported(ledger):
    class Broken(Datagrams):
        def error_received(self, exc):
            super().error_received(exc)
            raise LookupError

    with bound() as peer:
        nobody = peer.getsockname()
    async with endpoint(Broken(), remote_addr=nobody) as (transport, protocol):
        transport.sendto(b"x")
        await protocol.happened("error")
        await turns(1)
        report = ledger.take_loop_error()
        assert isinstance(report["exception"], LookupError)
        assert not transport.is_closing()
        report.clear()


async def test_datagrams_that_the_kernel_does_not_take_wait_in_order(peer):
    peer, count = peer
    async with connected_to(peer) as (transport, _):
        for data in (b"one", b"three"):
            transport.sendto(data)
        assert transport.get_write_buffer_size() == 8 + 2 * HEADER
        assert (await drain(peer, count + 2))[count:] == [b"one", b"three"]
        await turns(2)
        if not forgets_headers(transport):
            assert transport.get_write_buffer_size() == 0


async def test_datagrams_to_several_receivers_wait_in_order(peer, tmp_path):
    peer, count = peer
    with bound(socket.AF_UNIX, str(tmp_path / "other")) as other:
        async with endpoint(local_addr=str(tmp_path / "ours"), family=socket.AF_UNIX) as (
            transport,
            _,
        ):
            transport.sendto(b"waits", peer.getsockname())
            transport.sendto(b"waits behind it", other.getsockname())
            await turns(5)
            other.setblocking(False)
            with pytest.raises(BlockingIOError):
                other.recv(100)
            assert (await drain(peer, count + 1))[count:] == [b"waits"]
            assert await drain(other, 1) == [b"waits behind it"]


@pytest.mark.weft_only("asyncio asks again and again, at full speed")
async def test_a_receiver_without_room_costs_next_to_nothing(peer, tmp_path):
    """The kernel calls an unconnected Unix socket writable whatever its receiver says."""
    peer, count = peer
    async with endpoint(local_addr=str(tmp_path / "ours"), family=socket.AF_UNIX) as (
        transport,
        _,
    ):
        transport.sendto(b"waits", peer.getsockname())
        spent = time.thread_time()
        await asyncio.sleep(0.3)
        assert time.thread_time() - spent < 0.15
        assert (await drain(peer, count + 1))[count:] == [b"waits"]


async def test_a_mutable_buffer_may_change_after_it_was_sent(peer):
    peer, count = peer
    async with connected_to(peer) as (transport, _):
        data = bytearray(b"before")
        transport.sendto(data)
        transport.sendto(memoryview(data))
        data[:] = b"after!"
        assert (await drain(peer, count + 2))[count:] == [b"before", b"before"]


@pytest.mark.parametrize("empty", [0, 3] if HEADER else [0])
async def test_the_protocol_is_paused_and_resumed(peer, empty):
    peer, count = peer
    async with connected_to(peer) as (transport, protocol):
        transport.set_write_buffer_limits(high=2 * HEADER + 20)
        assert transport.get_write_buffer_limits() == ((2 * HEADER + 20) // 4, 2 * HEADER + 20)
        sizes = [0] * empty or [10, 10, 1]
        for size in sizes[:-1]:
            transport.sendto(bytes(size))
        if empty:
            transport.set_write_buffer_limits(high=2 * HEADER)
        assert protocol.events == ["made"]
        transport.sendto(bytes(sizes[-1]))
        assert protocol.events == ["made", "pause"]
        assert [len(data) for data in (await drain(peer, count + 3))[count:]] == sizes
        if not forgets_headers(transport):
            await protocol.happened("resume")
            assert protocol.events == ["made", "pause", "resume"]


@pytest.mark.parametrize("callback", ["pause_writing", "resume_writing"])
async def test_an_error_in_a_flow_control_callback_is_reported(ledger, peer, callback):
    class Broken(Datagrams):
        def pause_writing(self):
            self.fail("pause_writing")
            super().pause_writing()

        def resume_writing(self):
            super().resume_writing()
            self.fail("resume_writing")

        def fail(self, name):
            if name == callback:
                raise LookupError(name)

    peer, count = peer
    async with connected_to(peer, Broken()) as (transport, protocol):
        transport.set_write_buffer_limits(high=1000, low=100)
        transport.sendto(bytes(2000))
        await drain(peer, count + 1)
        await protocol.happened("resume")
        report = ledger.take_loop_error()
        assert report["message"] == f"protocol.{callback}() failed"
        assert isinstance(report["exception"], LookupError)
        assert not transport.is_closing()
        report.clear()


async def test_a_protocol_may_send_more_in_resume_writing(peer):
    class Producer(Datagrams):
        left = 30

        def resume_writing(self):
            super().resume_writing()
            self.produce()

        def produce(self):
            while self.left and self.events[-1] != "pause":
                self.left -= 1
                self.transport.sendto(b"x" * 100)

    peer, count = peer
    async with connected_to(peer, Producer()) as (transport, protocol):
        transport.set_write_buffer_limits(high=500, low=250)
        protocol.produce()
        await drain(peer, count + 30)
        await turns(3)
        pairs = protocol.events[1:]
        assert pairs == (len(pairs) // 2) * ["pause", "resume"]
        assert protocol.left == 0
