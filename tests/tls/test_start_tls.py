"""Upgrading a connection: start_tls on both sides, through streams, and TLS in TLS."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import ssl
import sys
import weakref

import pytest

from tests.support.loops import turns
from tests.support.net import tcp_pair
from tests.support.protocols import Recorder, address_of, connection
from tests.support.tls import NAME, client_context, distrusting_context, server_context
from tests.tls.peers import TlsPeer, tls_connection

ENDS = pytest.mark.parametrize("server_side", [False, True], ids=["client", "server"])


def peer_over(sock, *, server_side):
    """The peer of a transport whose own side is server_side."""
    if server_side:
        return TlsPeer(sock, client_context(), server_side=False, name=NAME)
    return TlsPeer(sock, server_context(), server_side=True, name=None)


def upgrade(loop, transport, protocol, *, server_side, **options):
    options.setdefault("server_hostname", None if server_side else NAME)
    context = server_context() if server_side else client_context()
    return loop.start_tls(transport, protocol, context, server_side=server_side, **options)


@ENDS
async def test_a_plain_connection_goes_on_encrypted(loop, server_side):
    async with connection() as (transport, plain, peer):
        await peer.send(b"plain")
        assert await plain.received(5) == b"plain"
        secure = Recorder()
        upgrading = asyncio.ensure_future(upgrade(loop, transport, secure, server_side=server_side))
        tls = peer_over(peer.sock, server_side=server_side)
        await tls.handshake()
        upgraded = await upgrading
        assert secure.events == []  # connection_made is not called again
        assert upgraded.get_protocol() is secure
        assert upgraded.get_extra_info("peername") == transport.get_extra_info("peername")
        upgraded.write(b"secret")
        assert await tls.recv() == b"secret"
        await tls.send(b"answer")
        assert await secure.received(6) == b"answer"
        assert plain.events == ["made", "data"]
        await tls.notify_closed()
        assert await secure.closed() is None
        assert secure.events == ["data", "eof", "lost"]
        await turns(3)


@ENDS
async def test_an_upgrade_that_fails_closes_the_connection(loop, server_side):
    async with connection() as (transport, _plain, peer):
        upgrading = asyncio.ensure_future(
            upgrade(loop, transport, Recorder(), server_side=server_side)
        )
        await turns(3)
        await peer.send(b"this is not TLS at all")
        with pytest.raises(ssl.SSLError):
            await upgrading
        await turns(5)
        assert transport.is_closing()


@pytest.mark.weft_only("asyncio keeps a cycle before 3.14")
async def test_the_error_of_a_failed_upgrade_is_in_no_cycle(loop, engine):
    """A cycle would keep the connection's objects until the collector comes."""
    if engine == "memorybio" and sys.version_info < (3, 14):
        pytest.skip("asyncio's SSLProtocol keeps a cycle before 3.14")
    made = []

    async def fails():
        ours, theirs = tcp_pair()
        with theirs:
            transport, _ = await loop.create_connection(asyncio.Protocol, sock=ours)
            made.append(weakref.ref(transport))
            theirs.sendall(b"this is not TLS at all")
            # pytest.raises() and a Recorder would keep the error themselves.
            with contextlib.suppress(ssl.SSLError):
                await upgrade(loop, transport, asyncio.Protocol(), server_side=False)
                pytest.fail("this was no TLS")

    gc.disable()
    try:
        await fails()
        await turns(5)
        assert [transport() for transport in made] == [None]
    finally:
        gc.enable()


async def test_an_upgrade_checks_the_certificate(loop):
    async with connection() as (transport, _plain, peer):
        upgrading = asyncio.ensure_future(
            loop.start_tls(transport, Recorder(), distrusting_context(), server_hostname=NAME)
        )
        tls = peer_over(peer.sock, server_side=False)
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await tls.handshake()
        with pytest.raises(ssl.SSLCertVerificationError):
            await upgrading


async def test_an_upgrade_has_a_time_limit(loop):
    async with connection() as (transport, _plain, _peer):
        with pytest.raises(ConnectionAbortedError, match=r"taking longer than 0\.02 seconds"):
            await upgrade(loop, transport, Recorder(), server_side=True, ssl_handshake_timeout=0.02)


@pytest.mark.parametrize("rounds", range(1, 6))
async def test_an_upgrade_can_be_cancelled_at_any_turn(loop, rounds):
    async with connection() as (transport, _plain, peer):
        upgrading = asyncio.ensure_future(upgrade(loop, transport, Recorder(), server_side=False))
        await turns(rounds)
        upgrading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await upgrading
        peer.close()
        await turns(10)
        assert transport.is_closing()


async def test_what_is_no_context_is_refused(loop):
    async with connection() as (transport, protocol, _peer):
        with pytest.raises(TypeError, match="sslcontext is expected to be an instance of"):
            await loop.start_tls(transport, protocol, None)


async def test_a_transport_that_cannot_be_upgraded_is_refused(loop):
    with pytest.raises(TypeError, match=r"is not supported by start_tls\(\)"):
        await loop.start_tls(asyncio.Transport(), Recorder(), client_context())


async def test_a_stream_writer_is_upgraded(loop):
    async def serve(reader, writer):
        assert await reader.readline() == b"STARTTLS\n"
        writer.write(b"OK\n")
        await writer.drain()
        await writer.start_tls(server_context())
        writer.write((await reader.readline()).upper())
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*address_of(server))
    writer.write(b"STARTTLS\n")
    assert await reader.readline() == b"OK\n"
    await writer.start_tls(client_context(), server_hostname=NAME)
    assert writer.get_extra_info("ssl_object").version() == "TLSv1.3"
    writer.write(b"secret\n")
    assert await reader.readline() == b"SECRET\n"
    assert await reader.read() == b""
    writer.close()
    await writer.wait_closed()
    server.close()
    await turns(10)
    await server.wait_closed()


@pytest.mark.weft_only("asyncio does so since 3.14; before, the handshake hangs")
async def test_a_handshake_that_a_stream_reader_has_read_already_is_used(loop):
    done = asyncio.Event()
    lines = []

    async def serve(reader, writer):
        while not reader._buffer.count(b"\n") or len(reader._buffer) < 200:
            await turns(1)  # the request and the ClientHello behind it have arrived
        lines.append(await reader.readline())
        await writer.start_tls(server_context())
        lines.append(await reader.readexactly(6))
        writer.close()
        await writer.wait_closed()
        done.set()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*address_of(server))
    sock = writer.get_extra_info("socket")
    tls = peer_over(sock, server_side=True)
    with pytest.raises(ssl.SSLWantReadError):
        tls.object.do_handshake()
    writer.write(b"STARTTLS\n" + tls.outgoing.read())
    for step in (tls.object.do_handshake, lambda: tls.object.write(b"secret")):
        while True:
            try:
                step()
                break
            except ssl.SSLWantReadError:
                tls.incoming.write(await reader.read(1 << 16))
        writer.write(tls.outgoing.read())
    while not lines[1:]:
        await turns(1)
    writer.close()
    await done.wait()
    server.close()
    await turns(10)
    await server.wait_closed()
    assert lines == [b"STARTTLS\n", b"secret"]


async def test_tls_goes_through_tls(loop):
    async with tls_connection() as (outer, log, peer):
        inner_log = Recorder()
        inner_peer = TlsPeer(peer.sock, server_context("inner.test"), server_side=True, name=None)

        async def pump():
            """One message of the inner session to the transport, one back."""
            if inner_peer.outgoing.pending:
                await peer.send(inner_peer.outgoing.read())
            inner_peer.incoming.write(await peer.recv())

        upgrading = asyncio.ensure_future(
            loop.start_tls(outer, inner_log, client_context(), server_hostname="inner.test")
        )
        while True:
            try:
                inner_peer.object.do_handshake()
                break
            except ssl.SSLWantReadError:
                await pump()
        if inner_peer.outgoing.pending:
            await peer.send(inner_peer.outgoing.read())
        inner = await upgrading
        assert log.events == ["made"]
        assert inner.get_extra_info("peername") == outer.get_extra_info("peername")
        assert ("DNS", "inner.test") in inner.get_extra_info("peercert")["subjectAltName"]
        payload = bytes(range(256)) * 1000
        inner.write(payload)
        received = bytearray()
        while len(received) < len(payload):
            try:
                received += inner_peer.object.read(1 << 16)
            except ssl.SSLWantReadError:
                await pump()
        assert bytes(received) == payload
        inner_peer.object.write(payload)
        sending = asyncio.ensure_future(peer.send(inner_peer.outgoing.read()))
        assert await inner_log.received(len(payload)) == payload
        await sending
        inner.abort()
        await inner_log.closed()
        assert outer.is_closing()


@pytest.mark.weft_only("asyncio returns None for a transport")
async def test_an_upgrade_of_a_dead_connection_fails(loop):
    ours, theirs = tcp_pair()
    transport, protocol = await loop.create_connection(Recorder, sock=ours)
    theirs.close()
    await protocol.happened("eof")
    with pytest.raises(ConnectionResetError, match="closed before TLS was set up"):
        await upgrade(loop, transport, Recorder(), server_side=False)
    await turns(5)
