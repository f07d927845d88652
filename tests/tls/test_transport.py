"""What a TLS transport says of itself, and whose context its callbacks run in."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import ssl
import warnings
import weakref

from tests.support.loops import turns
from tests.support.protocols import Recorder, address_of, serving
from tests.support.tls import NAME, client_context, server_context
from tests.tls.peers import tls_connection

VARIABLE = contextvars.ContextVar("VARIABLE", default="unset")


async def test_a_transport_is_a_transport_for_asyncio():
    async with tls_connection() as (transport, protocol, _peer):
        assert isinstance(transport, asyncio.Transport)
        assert isinstance(transport, asyncio.ReadTransport)
        assert not transport.can_write_eof()
        assert transport._start_tls_compatible
        assert transport.get_protocol() is protocol
        assert weakref.ref(transport)() is transport
        assert not transport.is_closing()


async def test_write_eof_is_not_supported():
    async with tls_connection() as (transport, _protocol, _peer):
        try:
            transport.write_eof()
        except NotImplementedError:
            return
        raise AssertionError("write_eof() was accepted")


async def test_extra_info_comes_from_tls_and_from_the_socket_below(loop):
    context = client_context()
    async with serving(Recorder, ssl=server_context()) as server:
        transport, protocol = await loop.create_connection(
            Recorder, *address_of(server), ssl=context, server_hostname=NAME
        )
        assert transport.get_extra_info("sslcontext") is context
        assert isinstance(transport.get_extra_info("ssl_object"), ssl.SSLObject)
        assert transport.get_extra_info("peercert")["subjectAltName"]
        assert transport.get_extra_info("compression", "default") is None
        assert transport.get_extra_info("peername") == address_of(server)
        assert (
            transport.get_extra_info("sockname") == transport.get_extra_info("socket").getsockname()
        )
        assert transport.get_extra_info("nothing") is None
        assert transport.get_extra_info("nothing", "default") == "default"
        transport.abort()
        await protocol.closed()
        assert transport.get_extra_info("cipher") is not None
        assert transport.get_extra_info("peername", "gone") == "gone"
        await turns(5)


async def test_the_protocol_of_a_closed_transport_is_let_go():
    async with tls_connection() as (transport, protocol, _peer):
        transport.abort()
        await protocol.closed()
        assert transport.get_protocol() is None


async def test_a_dead_connection_leaves_no_cycle(loop):
    """What a protocol keeps after its connection is freed without the collector."""
    gc.disable()
    try:
        async with tls_connection() as (transport, protocol, peer):
            await peer.notify_closed()
            await protocol.closed()
            transport.close()
            ref = weakref.ref(transport)
            protocol.transport = None
            del transport
            await turns(5)
        assert ref() is None
    finally:
        gc.enable()


async def test_a_second_close_lets_go_of_session_and_context():
    """A protocol that keeps its transport then keeps no more (CPython's test of the same leak)."""
    gc.disable()
    try:
        context = client_context()
        async with tls_connection(context=context) as (transport, protocol, peer):
            kept = [weakref.ref(context), weakref.ref(transport.get_extra_info("ssl_object"))]
            await peer.notify_closed()
            await protocol.closed()
            transport.close()
            transport.close()
            assert transport.is_closing()
        del context, peer
        # The generator of the connection still holds its context until it is gone itself.
        await turns(2)
        assert protocol.transport is transport
        assert kept[1]() is None
    finally:
        gc.enable()
    gc.collect()
    assert kept[0]() is None


def test_a_forgotten_transport_warns(loop_factory):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        loop = loop_factory()

        async def forget():
            loop = asyncio.get_running_loop()
            server = await loop.create_server(Recorder, "127.0.0.1", 0, ssl=server_context())
            await loop.create_connection(
                Recorder, *address_of(server), ssl=client_context(), server_hostname=NAME
            )
            server.close()

        loop.run_until_complete(forget())
        loop.close()
        del loop
        gc.collect()
    texts = [str(warning.message) for warning in caught if warning.category is ResourceWarning]
    assert any(text.startswith("unclosed transport <") for text in texts), texts


async def test_callbacks_run_in_the_context_of_the_connection():
    seen = {}

    class Noting(Recorder):
        def note(self, event):
            seen.setdefault(event, VARIABLE.get())
            super().note(event)

    VARIABLE.set("here")
    async with tls_connection(Noting()) as (_transport, protocol, peer):
        VARIABLE.set("elsewhere")
        await peer.send(b"x")
        await protocol.received(1)
        await peer.notify_closed()
        await protocol.closed()
    assert seen == dict.fromkeys(("made", "data", "eof", "lost"), "here")


async def test_debug_mode_tells_of_the_handshake(loop, caplog):
    caplog.set_level("DEBUG", "asyncio")
    loop.set_debug(True)
    async with tls_connection() as (_transport, _protocol, _peer):
        pass
    assert "starts SSL handshake" in caplog.text
    assert "SSL handshake took" in caplog.text
