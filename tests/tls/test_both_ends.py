"""TLS by ssl.SSLContext: a smoke test of both ends, refusals, and start_tls."""

from __future__ import annotations

import asyncio
import hashlib
import os
import ssl

import pytest

from tests.support.loops import turns
from tests.support.protocols import Echo, HalfOpenRecorder, Recorder, address_of, serving
from tests.support.tls import NAME, client_context, distrusting_context, server_context


async def connect(loop, server, protocol=Recorder, **options):
    options = {"ssl": client_context(), "server_hostname": NAME, **options}
    return await loop.create_connection(protocol, *address_of(server), **options)


async def test_data_passes_both_ways(loop):
    async with serving(Echo, ssl=server_context()) as server:
        transport, protocol = await connect(loop, server)
        assert protocol.events == ["made"]
        transport.write(b"hello")
        assert await protocol.received(5) == b"hello"
        transport.close()
        await protocol.closed()
        await turns(10)


async def test_a_megabyte_passes_both_ways(loop):
    payload = os.urandom(1 << 20)
    async with serving(Echo, ssl=server_context()) as server:
        transport, protocol = await connect(loop, server)
        transport.write(payload)
        received = await protocol.received(len(payload))
        assert hashlib.sha256(received).digest() == hashlib.sha256(payload).digest()
        transport.close()
        await protocol.closed()
        await turns(10)


async def test_the_transport_tells_about_its_tls(loop):
    async with serving(Echo, ssl=server_context()) as server:
        context = client_context()
        transport, protocol = await connect(loop, server, ssl=context)
        assert transport.get_extra_info("sslcontext") is context
        assert isinstance(transport.get_extra_info("ssl_object"), ssl.SSLObject)
        assert transport.get_extra_info("cipher")[1].startswith("TLS")
        assert ("DNS", NAME) in transport.get_extra_info("peercert")["subjectAltName"]
        assert transport.get_extra_info("peername") == address_of(server)
        assert not transport.can_write_eof()
        transport.close()
        await protocol.closed()
        await turns(10)


async def test_an_unknown_authority_is_refused(loop, ledger):
    async with serving(Recorder, ssl=server_context()) as server:
        with pytest.raises(ssl.SSLCertVerificationError):
            await connect(loop, server, ssl=distrusting_context())
        await turns(20)
    ledger.take_loop_errors()


async def test_a_wrong_name_is_refused(loop, ledger):
    async with serving(Recorder, ssl=server_context()) as server:
        with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
            await connect(loop, server, server_hostname="another.test")
        await turns(20)
    ledger.take_loop_errors()


async def test_a_server_that_speaks_no_tls_is_noticed(loop):
    class Plain(Recorder):
        def connection_made(self, transport):
            super().connection_made(transport)
            transport.write(b"220 not TLS at all\r\n")

    async with serving(Plain) as server:
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await connect(loop, server)
        await turns(20)


async def test_a_handshake_that_never_ends_times_out(loop):
    served = []

    def factory():
        served.append(HalfOpenRecorder())
        return served[-1]

    async with serving(factory) as server:
        with pytest.raises(ConnectionAbortedError, match="SSL handshake is taking longer than"):
            await connect(loop, server, ssl_handshake_timeout=0.01)
        served[0].transport.abort()
        await served[0].closed()
    served.clear()


async def test_closing_one_end_closes_the_other(loop):
    served = []

    def factory():
        served.append(Recorder())
        return served[-1]

    async with serving(factory, ssl=server_context()) as server:
        transport, protocol = await connect(loop, server)
        while not served or not served[0].events:
            await turns(1)
        transport.write(b"last words")
        transport.close()
        assert await protocol.closed() is None
        assert await served[0].closed() is None
        assert bytes(served[0].data) == b"last words"
        assert served[0].events[-2:] == ["eof", "lost"]
    served.clear()


async def test_flow_control_works_through_tls(loop):
    served = []

    def factory():
        served.append(Recorder())
        return served[-1]

    async with serving(factory, ssl=server_context()) as server:
        transport, protocol = await connect(loop, server)
        while not served or not served[0].events:
            await turns(1)
        served[0].transport.pause_reading()
        while protocol.events[-1] != "pause":
            transport.write(bytes(1 << 18))
            await turns(1)
        served[0].transport.resume_reading()
        await protocol.happened("resume")
        transport.abort()
        await protocol.closed()
        await served[0].closed()
    served.clear()


async def test_streams_speak_tls():
    async def shout(reader, writer):
        writer.write((await reader.readline()).upper())
        writer.close()
        await writer.wait_closed()
        answered.set()

    answered = asyncio.Event()
    server = await asyncio.start_server(shout, "127.0.0.1", 0, ssl=server_context())
    reader, writer = await asyncio.open_connection(
        *server.sockets[0].getsockname(), ssl=client_context(), server_hostname=NAME
    )
    writer.write(b"hello\n")
    assert await reader.read() == b"HELLO\n"
    writer.close()
    await writer.wait_closed()
    await answered.wait()
    server.close()
    await turns(5)
    await server.wait_closed()


async def test_a_plain_connection_is_upgraded_with_start_tls(loop):
    upgraded = []

    class Upgrading(Recorder):
        """Answers the word with its own upgrade, then echoes through TLS."""

        def data_received(self, data):
            super().data_received(data)
            if bytes(self.data) == b"STARTTLS":
                self.transport.pause_reading()  # what comes next is for the new protocol
                self.transport.write(b"OK")
                self.upgrade = loop.create_task(self.start())

        async def start(self):
            echo = Echo()
            echo.transport = await loop.start_tls(
                self.transport, echo, server_context(), server_side=True
            )
            upgraded.append(echo)

    async with serving(Upgrading) as server:
        transport, plain = await loop.create_connection(Recorder, *address_of(server))
        transport.write(b"STARTTLS")
        assert await plain.received(2) == b"OK"
        secure = Recorder()
        secure.transport = await loop.start_tls(
            transport, secure, client_context(), server_hostname=NAME
        )
        assert secure.transport.get_extra_info("ssl_object") is not None
        while not upgraded:
            await turns(1)
        secure.transport.write(b"secret")
        assert await secure.received(6) == b"secret"
        assert bytes(plain.data) == b"OK"
        secure.transport.close()
        assert await secure.closed() is None
        while not upgraded or "lost" not in upgraded[0].events:
            await turns(1)
    upgraded.clear()


async def test_start_tls_refuses_what_is_no_context(loop):
    async with serving(Recorder) as server:
        transport, protocol = await loop.create_connection(Recorder, *address_of(server))
        with pytest.raises(TypeError, match="sslcontext is expected to be an instance of"):
            await loop.start_tls(transport, protocol, None)
        transport.close()
        await protocol.closed()
        await turns(5)
