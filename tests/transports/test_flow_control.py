"""Write buffer limits, pause_writing and resume_writing, and pausing the reading side."""

from __future__ import annotations

import asyncio

import pytest

from tests.support.loops import turns
from tests.support.net import fill, unix_pair
from tests.support.protocols import BufferedRecorder, Recorder, connection


async def drain_until_resumed(protocol, peer, times=1):
    """Let the peer read until the protocol was resumed so many times."""
    while protocol.events.count("resume") < times:
        await peer.recv(1 << 20)
        await turns(2)


async def test_the_limits_have_asyncios_defaults():
    async with connection() as (transport, _, _):
        assert transport.get_write_buffer_limits() == (16 * 1024, 64 * 1024)
        assert transport.get_write_buffer_size() == 0


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({}, (16384, 65536)),
        ({"high": 1000}, (250, 1000)),
        ({"low": 1000}, (1000, 4000)),
        ({"high": 1000, "low": 10}, (10, 1000)),
        ({"high": 0}, (0, 0)),
        ({"high": 5, "low": 5}, (5, 5)),
    ],
)
async def test_limits_that_are_left_out_follow_from_the_other(arguments, expected):
    async with connection() as (transport, _, _):
        transport.set_write_buffer_limits(**arguments)
        assert transport.get_write_buffer_limits() == expected


@pytest.mark.parametrize("arguments", [{"high": 1, "low": 2}, {"high": -1}, {"low": -1}])
async def test_limits_that_make_no_sense_are_refused(arguments):
    async with connection() as (transport, _, _):
        with pytest.raises(ValueError, match=r"high .* must be >= low .* must be >= 0"):
            transport.set_write_buffer_limits(**arguments)
        assert transport.get_write_buffer_limits() == (16384, 65536)


async def test_a_write_that_the_kernel_takes_in_whole_does_not_pause():
    """`high=0` asks whether anything waits, not whether anything was written."""
    async with connection() as (transport, protocol, peer):
        transport.set_write_buffer_limits(high=0)
        for _ in range(10):
            transport.write(b"small")
            await turns(1)
            assert transport.get_write_buffer_size() == 0
        assert await peer.recv_exactly(50) == b"small" * 10
        assert protocol.events == ["made"]


async def test_the_buffer_size_counts_what_the_kernel_did_not_take():
    ours, theirs = unix_pair()
    async with connection(pair=(ours, theirs)) as (transport, _, peer):
        filled = fill(ours)
        transport.write(b"x" * 1000)
        transport.write(b"y" * 234)
        assert transport.get_write_buffer_size() == 1234
        transport.writelines([b"z" * 100, b"z" * 100])
        assert transport.get_write_buffer_size() == 1434
        await turns(2)
        assert transport.get_write_buffer_size() == 1434
        await peer.recv_exactly(filled + 1434)
        await turns(2)
        assert transport.get_write_buffer_size() == 0


async def test_writing_over_the_limit_pauses_at_once_and_once():
    ours, theirs = unix_pair()
    async with connection(pair=(ours, theirs)) as (transport, protocol, _):
        fill(ours)
        transport.set_write_buffer_limits(high=1000)
        transport.write(b"x" * 1000)
        assert protocol.events == ["made"]
        transport.write(b"x")
        assert protocol.events == ["made", "pause"]
        transport.write(b"x" * 5000)
        await turns(3)
        assert protocol.events == ["made", "pause"]


async def test_falling_to_the_low_limit_resumes_once():
    ours, theirs = unix_pair()
    async with connection(pair=(ours, theirs)) as (transport, protocol, peer):
        fill(ours)
        transport.set_write_buffer_limits(high=1000, low=10)
        transport.write(b"x" * 5000)
        await drain_until_resumed(protocol, peer)
        assert transport.get_write_buffer_size() <= 10
        await turns(3)
        assert protocol.events == ["made", "pause", "resume"]


async def test_pause_and_resume_come_in_exact_pairs():
    ours, theirs = unix_pair()
    async with connection(pair=(ours, theirs)) as (transport, protocol, peer):
        transport.set_write_buffer_limits(high=1000)
        for times in range(1, 6):
            fill(ours)
            transport.write(b"x" * 5000)
            await drain_until_resumed(protocol, peer, times)
        assert protocol.events == ["made", *5 * ["pause", "resume"]]


async def test_a_protocol_may_write_more_in_resume_writing():
    ours, theirs = unix_pair()

    class Producer(Recorder):
        left = 20

        def resume_writing(self):
            super().resume_writing()
            self.produce()

        def produce(self):
            while self.left and self.events[-1] != "pause":
                self.left -= 1
                self.transport.write(b"x" * 100_000)

    async with connection(Producer(), (ours, theirs)) as (_, protocol, peer):
        protocol.produce()
        await peer.recv_exactly(2_000_000)
        await turns(3)
        pairs = protocol.events[1:]
        assert pairs == (len(pairs) // 2) * ["pause", "resume"]
        assert protocol.left == 0


async def test_limits_lowered_under_the_buffer_pause_at_once():
    ours, theirs = unix_pair()
    async with connection(pair=(ours, theirs)) as (transport, protocol, _):
        fill(ours)
        transport.write(b"x" * 1000)
        assert protocol.events == ["made"]
        transport.set_write_buffer_limits(high=100)
        assert protocol.events == ["made", "pause"]


@pytest.mark.weft_only("asyncio of 3.12 and early 3.13 forgets flow control in writelines")
async def test_writelines_is_under_flow_control():
    """Without it a slow reader grows the process without bound."""
    ours, theirs = unix_pair()
    async with connection(pair=(ours, theirs)) as (transport, protocol, peer):
        fill(ours)
        transport.set_write_buffer_limits(high=1000)
        transport.writelines([b"x" * 600, b"y" * 600])
        assert protocol.events == ["made", "pause"]
        await drain_until_resumed(protocol, peer)
        assert protocol.events == ["made", "pause", "resume"]


async def test_a_connection_lost_while_paused_is_not_resumed_first():
    """asyncio's own StreamWriter wakes its waiters in connection_lost."""
    ours, theirs = unix_pair()
    async with connection(pair=(ours, theirs)) as (transport, protocol, _):
        fill(ours)
        transport.write(b"x" * 100_000)
        assert protocol.events == ["made", "pause"]
        transport.abort()
        await protocol.closed()
        assert protocol.events == ["made", "pause", "lost"]


@pytest.mark.parametrize("callback", ["pause_writing", "resume_writing"])
async def test_an_error_in_a_flow_control_callback_is_reported(ledger, callback):
    class Broken(Recorder):
        def pause_writing(self):
            self.fail("pause_writing")
            super().pause_writing()

        def resume_writing(self):
            super().resume_writing()
            self.fail("resume_writing")

        def fail(self, name):
            if name == callback:
                raise LookupError(name)

    ours, theirs = unix_pair()
    async with connection(Broken(), (ours, theirs)) as (transport, protocol, peer):
        filled = fill(ours)
        transport.set_write_buffer_limits(high=10)
        transport.write(b"x" * 100)
        await peer.recv_exactly(filled + 100)
        await protocol.happened("resume")
        report = ledger.take_loop_error()
        assert report["message"] == f"protocol.{callback}() failed"
        assert isinstance(report["exception"], LookupError)
        assert report["transport"] is transport
        assert report["protocol"] is protocol
        assert not transport.is_closing()
        report.clear()


# the reading side


@pytest.mark.parametrize("kind", [Recorder, BufferedRecorder])
async def test_nothing_arrives_while_reading_is_paused(kind):
    async with connection(kind(), unix_pair()) as (transport, protocol, peer):
        transport.pause_reading()
        peer.sock.send(b"later")
        await turns(5)
        assert protocol.events == ["made"]
        transport.resume_reading()
        assert await protocol.received(5) == b"later"


async def test_is_reading_tells_the_truth():
    async with connection() as (transport, protocol, _):
        assert transport.is_reading()
        transport.pause_reading()
        assert not transport.is_reading()
        transport.resume_reading()
        assert transport.is_reading()
        transport.close()
        assert not transport.is_reading()
        await protocol.closed()
        assert not transport.is_reading()


async def test_pausing_and_resuming_twice_is_harmless():
    async with connection() as (transport, protocol, peer):
        transport.pause_reading()
        transport.pause_reading()
        transport.resume_reading()
        transport.resume_reading()
        await peer.send(b"x")
        assert await protocol.received(1) == b"x"


async def test_reading_can_be_paused_in_connection_made(loop):
    class Protocol(Recorder):
        def connection_made(self, transport):
            super().connection_made(transport)
            transport.pause_reading()

    ours, theirs = unix_pair()
    theirs.send(b"early")
    async with connection(Protocol(), (ours, theirs)) as (transport, protocol, _):
        await turns(5)
        assert protocol.events == ["made"]
        transport.resume_reading()
        assert await protocol.received(5) == b"early"


async def test_reading_can_be_paused_in_data_received():
    """Whatever the loop has in its hands by then is not delivered before the resumption."""

    class Protocol(Recorder):
        def data_received(self, data):
            super().data_received(data)
            self.transport.pause_reading()

    payload = bytes(range(256)) * 2048
    async with connection(Protocol()) as (transport, protocol, peer):
        sending = asyncio.ensure_future(peer.send(payload))
        deliveries = 0
        while len(protocol.data) < len(payload):
            deliveries += 1
            await protocol.happened("data", deliveries)
            await turns(3)
            assert protocol.events.count("data") == deliveries
            transport.resume_reading()
        await sending
        assert bytes(protocol.data) == payload


async def test_a_paused_transport_does_not_notice_the_end_of_file():
    async with connection(pair=unix_pair()) as (transport, protocol, peer):
        transport.pause_reading()
        peer.close()
        await turns(5)
        assert protocol.events == ["made"]
        transport.resume_reading()
        await protocol.closed()
        assert protocol.events == ["made", "eof", "lost"]


async def test_a_paused_transport_still_writes():
    async with connection() as (transport, _, peer):
        transport.pause_reading()
        transport.write(b"x" * 1_000_000)
        assert len(await peer.recv_exactly(1_000_000)) == 1_000_000


async def test_resuming_a_closing_transport_does_nothing():
    async with connection(pair=unix_pair()) as (transport, protocol, peer):
        transport.pause_reading()
        peer.sock.send(b"unread")
        transport.close()
        transport.resume_reading()
        await protocol.closed()
        transport.resume_reading()
        transport.pause_reading()
        assert protocol.events == ["made", "lost"]


async def test_a_peer_that_sends_is_held_back_while_reading_is_paused():
    ours, theirs = unix_pair()
    async with connection(pair=(ours, theirs)) as (transport, protocol, peer):
        transport.pause_reading()
        peer.sock.setblocking(False)
        sent = fill(peer.sock)
        await turns(3)
        with pytest.raises(BlockingIOError):
            peer.sock.send(b"x")
        transport.resume_reading()
        await protocol.received(sent)
