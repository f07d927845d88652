"""Exceptions in protocol callbacks: who is told, and what becomes of the connection."""

from __future__ import annotations

import contextlib

import pytest

from tests.support.loops import turns
from tests.support.net import fill, tcp_pair, unix_pair
from tests.support.protocols import Recorder, address_of, connection, serving


class Failing(Recorder):
    """Raises in the callback that it is told."""

    def __init__(self, callback, error=None):
        super().__init__()
        self.callback = callback
        self.error = error or LookupError(callback)

    def fail(self, name):
        if name == self.callback:
            raise self.error

    def connection_made(self, transport):
        super().connection_made(transport)
        self.fail("connection_made")

    def data_received(self, data):
        super().data_received(data)
        self.fail("data_received")

    def eof_received(self):
        super().eof_received()
        self.fail("eof_received")

    def connection_lost(self, exc):
        super().connection_lost(exc)
        self.fail("connection_lost")


@contextlib.contextmanager
def forgetting(protocol):
    """The error holds frames that hold the protocol that holds the error."""
    try:
        yield protocol
    finally:
        protocol.error = None


@pytest.mark.parametrize("callback", ["data_received", "eof_received"])
async def test_an_error_while_reading_is_fatal_and_reported(ledger, callback):
    with forgetting(Failing(callback)) as protocol:
        async with connection(protocol) as (transport, _, peer):
            await peer.send(b"x")
            peer.sock.shutdown(1)
            assert await protocol.closed() is protocol.error
            assert transport.is_closing()
            assert await peer.recv() == b""
            (report,) = ledger.take_loop_errors()
            assert report["message"] == f"Fatal error: protocol.{callback}() call failed."
            assert report["exception"] is protocol.error
            assert report["transport"] is transport
            assert report["protocol"] is protocol
            report.clear()


async def test_after_an_error_in_data_received_nothing_more_is_delivered(ledger):
    with forgetting(Failing("data_received")) as protocol:
        async with connection(protocol, unix_pair()) as (_, _, peer):
            peer.sock.send(b"x" * 100_000)
            await protocol.closed()
            await turns(3)
            assert protocol.events == ["made", "data", "lost"]
            ledger.take_loop_error()


async def test_an_error_drops_what_was_to_be_written(ledger):
    ours, theirs = unix_pair()
    with forgetting(Failing("data_received")) as protocol:
        async with connection(protocol, (ours, theirs)) as (transport, _, peer):
            filled = fill(ours)
            transport.write(b"never sent")
            await peer.send(b"x")
            await protocol.closed()
            assert await peer.recv_all() == bytes(filled)
            ledger.take_loop_error()


async def test_an_os_error_of_the_protocol_ends_the_connection_in_silence(ledger):
    """asyncio takes it for an error of the network; only debug mode mentions those."""
    with forgetting(Failing("data_received", ConnectionAbortedError("by the protocol"))) as it:
        async with connection(it) as (_, protocol, peer):
            await peer.send(b"x")
            assert await protocol.closed() is it.error
            assert ledger.take_loop_errors() == []


async def test_an_error_in_connection_made_is_reported_and_the_connection_stays(loop, ledger):
    ours, theirs = tcp_pair()
    with forgetting(Failing("connection_made")) as protocol, theirs:
        transport, _ = await loop.create_connection(lambda: protocol, sock=ours)
        report = ledger.take_loop_error()
        assert report["exception"] is protocol.error
        assert report["message"].startswith("Exception in callback ")
        assert not transport.is_closing()
        theirs.sendall(b"hello")
        assert await protocol.received(5) == b"hello"
        transport.close()
        await protocol.closed()
        report.clear()


async def test_an_error_in_connection_lost_is_reported_and_the_socket_closed(ledger):
    with forgetting(Failing("connection_lost")) as protocol:
        async with connection(protocol) as (transport, _, peer):
            transport.close()
            await protocol.closed()
            await turns(2)
            assert await peer.recv() == b""
            assert transport.get_extra_info("socket").fileno() == -1
            report = ledger.take_loop_error()
            assert report["exception"] is protocol.error
            report.clear()


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt])
@pytest.mark.parametrize("callback", ["connection_made", "data_received", "connection_lost"])
def test_an_exit_raised_by_a_callback_leaves_the_run(loop, kind, callback):
    ours, theirs = tcp_pair()
    with forgetting(Failing(callback, kind("leave"))) as protocol, theirs:
        theirs.sendall(b"x")
        connecting = loop.create_task(loop.create_connection(lambda: protocol, sock=ours))
        connecting.add_done_callback(
            lambda task: callback == "connection_lost" and task.result()[0].close()
        )
        with pytest.raises(kind, match="leave"):
            loop.run_forever()
        protocol.callback = "none"
        loop.run_until_complete(connecting)
        protocol.transport.abort()
        loop.run_until_complete(turns(3))
    assert protocol.events.count("lost") == 1


@pytest.mark.weft_only("asyncio leaves the connected socket to the collector")
async def test_a_factory_that_fails_at_the_client_is_raised_and_the_socket_closed(loop):
    def factory():
        raise LookupError("no protocol")

    async with serving(Recorder) as server:
        with pytest.raises(LookupError, match="no protocol"):
            await loop.create_connection(factory, *address_of(server))


async def serve_with_a_factory_that_fails_once(loop):
    made = []

    def factory():
        if not made:
            made.append(None)
            raise LookupError("no protocol")
        made.append(Recorder())
        return made[-1]

    async with serving(factory) as server:
        _, refused = await loop.create_connection(Recorder, *address_of(server))
        await refused.closed()
        transport, served = await loop.create_connection(Recorder, *address_of(server))
        transport.write(b"hello")
        while len(made) < 2:
            await turns(1)
        assert await made[1].received(5) == b"hello"
        transport.close()
        await served.closed()
        await made[1].closed()
    made.clear()


@pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")
async def test_after_a_factory_that_fails_at_the_server_serving_goes_on(loop, ledger):
    """asyncio drops the refused socket without closing it, and reports only in debug mode."""
    await serve_with_a_factory_that_fails_once(loop)
    ledger.take_loop_errors()


@pytest.mark.weft_only("asyncio keeps such errors to itself outside of debug mode")
async def test_a_factory_that_fails_at_the_server_is_reported(loop, ledger):
    """A server that refuses all its clients without a word is hard to operate."""
    await serve_with_a_factory_that_fails_once(loop)
    report = ledger.take_loop_error()
    assert isinstance(report["exception"], LookupError)
    report.clear()


async def test_one_failing_connection_leaves_the_others_alone(loop, ledger):
    protocols = []

    def factory():
        protocols.append(Failing("data_received" if not protocols else "none"))
        return protocols[-1]

    async with serving(factory) as server:
        clients = []
        for count in (1, 2):
            clients.append(await loop.create_connection(Recorder, *address_of(server)))
            while len(protocols) < count or not protocols[-1].events:
                await turns(1)
        for transport, _ in clients:
            transport.write(b"x")
        await protocols[0].closed()
        await protocols[1].received(1)
        assert protocols[1].events == ["made", "data"]
        for transport, protocol in clients:
            transport.close()
            await protocol.closed()
        await protocols[1].closed()
        ledger.take_loop_error().clear()
    for protocol in protocols:
        protocol.error = None


async def test_debug_mode_logs_os_errors_of_connections(loop, caplog):
    loop.set_debug(True)
    with forgetting(Failing("data_received", OSError("odd"))) as protocol:
        with caplog.at_level("DEBUG", "asyncio"):
            async with connection(protocol) as (_, _, peer):
                await peer.send(b"x")
                await protocol.closed()
        assert "Fatal error: protocol.data_received() call failed." in caplog.text
