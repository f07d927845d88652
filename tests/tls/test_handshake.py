"""Handshakes: what the application learns of one, and every way one can fail."""

from __future__ import annotations

import asyncio
import contextlib
import ssl

import pytest

from tests.support.loops import turns
from tests.support.protocols import Recorder, address_of, serving
from tests.support.tls import (
    NAME,
    client_certificate_context,
    client_context,
    distrusting_context,
    server_context,
)
from tests.tls.peers import handshaking, tls_connection

ENDS = pytest.mark.parametrize("server_side", [False, True], ids=["client", "server"])


@ENDS
async def test_the_protocol_is_told_once_the_handshake_is_done(server_side):
    async with handshaking(server_side=server_side) as (task, protocol, peer):
        await turns(5)
        assert protocol.events == []
        await peer.handshake()
        transport, _ = await task
        assert protocol.events == ["made"]
        assert protocol.transport is transport


async def test_the_session_object_answers_while_the_connection_lives():
    context = client_context()
    context.set_alpn_protocols(["h2", "http/1.1"])
    peer_context = server_context()
    peer_context.set_alpn_protocols(["http/1.1"])
    async with tls_connection(context=context, peer_context=peer_context) as (transport, log, peer):
        session = transport.get_extra_info("ssl_object")
        await peer.send(b"x")
        await log.received(1)
        assert session.version() == peer.object.version() == "TLSv1.3"
        assert session.selected_alpn_protocol() == "http/1.1"
        assert session.cipher() == transport.get_extra_info("cipher") == peer.object.cipher()
        assert session.getpeercert() == transport.get_extra_info("peercert")
        assert session.getpeercert(binary_form=True)
        assert session.server_hostname == NAME
        assert session.context is context
        assert session.get_channel_binding("tls-unique") is not None
        assert session.compression() is transport.get_extra_info("compression") is None
        assert session.pending() == 0
        assert session.shared_ciphers() is None
        transport.write(b"still working")
        assert await peer.recv() == b"still working"


@pytest.mark.parametrize("version", ["TLSv1_2", "TLSv1_3"])
@ENDS
async def test_data_flows_in_both_versions(server_side, version):
    context = client_context() if server_side else server_context()
    context.maximum_version = context.minimum_version = ssl.TLSVersion[version]
    options = {"server_side": server_side, "peer_context": context}
    async with tls_connection(**options) as (transport, log, peer):
        assert transport.get_extra_info("ssl_object").version() == version.replace("_", ".")
        await peer.send(b"to the transport")
        assert await log.received(16) == b"to the transport"
        transport.write(b"to the peer")
        assert await peer.recv() == b"to the peer"


async def test_data_right_behind_the_handshake_is_delivered():
    """A client may send its last handshake message and its request in one segment."""
    async with handshaking(server_side=True) as (task, protocol, peer):
        with contextlib.suppress(ssl.SSLWantReadError):
            peer.object.do_handshake()
        await peer.flush()
        while True:
            await peer.fill()
            with contextlib.suppress(ssl.SSLWantReadError):
                peer.object.do_handshake()
                break
        peer.object.write(b"first request")
        await peer.flush()
        await task
        assert await protocol.received(13) == b"first request"
        assert protocol.events == ["made", "data"]


async def test_an_unknown_authority_is_the_clients_error(ledger):
    async with handshaking(context=distrusting_context()) as (task, protocol, peer):
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await peer.handshake()
        with pytest.raises(ssl.SSLCertVerificationError) as caught:
            await task
        assert caught.value.verify_code == 20
        assert caught.value.reason == "CERTIFICATE_VERIFY_FAILED"
        assert caught.value.library == "SSL"
        assert protocol.events == []
    assert ledger.take_loop_errors() == []


async def test_a_client_that_refuses_the_server_ends_the_servers_handshake():
    options = {"server_side": True, "peer_context": distrusting_context()}
    async with handshaking(**options) as (task, protocol, peer):
        with pytest.raises(ssl.SSLCertVerificationError):
            await peer.handshake()
        with pytest.raises(ssl.SSLError) as caught:
            await task
        assert caught.value.reason == "TLSV1_ALERT_UNKNOWN_CA"
        assert protocol.events == []


async def test_a_wrong_name_is_named():
    async with handshaking(server_hostname="another.test") as (task, _protocol, peer):
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await peer.handshake()
        with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch") as caught:
            await task
        assert caught.value.verify_code == 62


async def test_no_common_version_is_an_error_of_tls():
    context, peer_context = client_context(), server_context()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    peer_context.minimum_version = ssl.TLSVersion.TLSv1_3
    async with handshaking(context=context, peer_context=peer_context) as (task, _protocol, peer):
        with pytest.raises(ssl.SSLError, match="UNSUPPORTED_PROTOCOL"):
            await peer.handshake()
        with pytest.raises(ssl.SSLError) as caught:
            await task
        assert caught.value.reason == "TLSV1_ALERT_PROTOCOL_VERSION"


@ENDS
async def test_garbage_is_an_error_of_tls(server_side):
    async with handshaking(server_side=server_side) as (task, protocol, peer):
        await asyncio.get_running_loop().sock_sendall(peer.sock, b"GET / HTTP/1.1\r\n\r\n")
        with pytest.raises(ssl.SSLError) as caught:
            await task
        assert caught.value.reason in ("WRONG_VERSION_NUMBER", "HTTP_REQUEST")
        assert protocol.events == []


@ENDS
@pytest.mark.parametrize("steps", [0, 1])
@pytest.mark.parametrize("how", ["end", "reset"])
async def test_a_handshake_that_is_cut_off_is_a_reset(server_side, steps, how):
    async with handshaking(server_side=server_side) as (task, protocol, peer):
        for _ in range(steps):
            if not server_side:
                await peer.fill()
            with pytest.raises(ssl.SSLWantReadError):
                peer.object.do_handshake()
            data = peer.outgoing.read()
            await asyncio.get_running_loop().sock_sendall(peer.sock, data[: len(data) // 2])
        await turns(5)
        getattr(peer, how)()
        with pytest.raises(ConnectionResetError):
            await task
        assert protocol.events == []


@ENDS
async def test_a_handshake_arrives_byte_by_byte(server_side):
    async with handshaking(server_side=server_side) as (task, protocol, peer):
        done = False
        while not done:
            try:
                peer.object.do_handshake()
                done = True
            except ssl.SSLWantReadError:
                pass
            for byte in peer.outgoing.read():
                await asyncio.get_running_loop().sock_sendall(peer.sock, bytes([byte]))
                await turns(2)
            if not done:
                await peer.fill()
        await task
        assert protocol.events == ["made"]


@ENDS
async def test_a_silent_peer_runs_into_the_time_limit(server_side):
    options = {"server_side": server_side, "ssl_handshake_timeout": 0.02}
    async with handshaking(**options) as (task, protocol, peer):
        with pytest.raises(ConnectionAbortedError) as caught:
            await task
        assert str(caught.value) == (
            "SSL handshake is taking longer than 0.02 seconds: aborting the connection"
        )
        while await peer.fill():
            pass
        assert protocol.events == []


@pytest.mark.parametrize("option", ["ssl_handshake_timeout", "ssl_shutdown_timeout"])
@pytest.mark.parametrize("seconds", [0, -1])
async def test_a_time_limit_must_be_positive(option, seconds):
    async with handshaking(**{option: seconds}) as (task, _protocol, _peer):
        with pytest.raises(ValueError, match=f"{option} should be a positive number, got"):
            await task


@ENDS
@pytest.mark.parametrize("rounds", range(1, 8))
async def test_a_handshake_can_be_cancelled_at_any_turn(server_side, rounds):
    async with handshaking(server_side=server_side) as (task, protocol, peer):
        other = asyncio.ensure_future(peer.handshake())
        await turns(rounds)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError, ssl.SSLError, OSError):
            transport, _ = await task
            transport.abort()
        with contextlib.suppress(ssl.SSLError, OSError):
            await other
        peer.close()  # a connection that was ready is closed politely, and waits for its peer
        await turns(10)
        assert protocol.events in ([], ["made", "eof", "lost"], ["made", "lost"])


async def test_a_client_shows_its_certificate():
    context, peer_context = client_certificate_context(), server_context(verify_clients=True)
    async with tls_connection(context=context, peer_context=peer_context) as (transport, _, peer):
        assert ("DNS", "client.test") in peer.object.getpeercert()["subjectAltName"]
        assert transport.get_extra_info("ssl_object").version() == "TLSv1.3"


async def test_a_server_asks_for_a_certificate():
    context, peer_context = server_context(verify_clients=True), client_certificate_context()
    options = {"server_side": True, "context": context, "peer_context": peer_context}
    async with tls_connection(**options) as (transport, _log, _peer):
        names = transport.get_extra_info("peercert")["subjectAltName"]
        assert ("DNS", "client.test") in names


async def test_a_missing_client_certificate_fails_the_servers_handshake():
    context = server_context(verify_clients=True)
    async with handshaking(server_side=True, context=context) as (task, protocol, peer):
        await peer.handshake()  # in TLS 1.3 a client learns of it later
        with pytest.raises(ssl.SSLError) as caught:
            await task
        assert caught.value.reason == "PEER_DID_NOT_RETURN_A_CERTIFICATE"
        assert protocol.events == []


async def test_the_named_host_chooses_the_context():
    seen = []
    chosen = server_context("other.test")

    def choose(session, name, context):
        seen.append((type(session).__name__, name, context is original))
        session.context = chosen

    original = server_context()
    original.sni_callback = choose
    options = {"server_side": True, "context": original}
    async with tls_connection(**options, peer_context=client_context(check_hostname=False)) as (
        transport,
        log,
        peer,
    ):
        assert seen == [("SSLObject", NAME, True)]
        assert ("DNS", "other.test") in peer.object.getpeercert()["subjectAltName"]
        assert transport.get_extra_info("ssl_object").context is chosen
        await peer.send(b"hello")
        assert await log.received(5) == b"hello"


async def test_a_context_may_refuse_a_name():
    context = server_context()
    context.sni_callback = lambda *_: ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME
    async with handshaking(server_side=True, context=context) as (task, _protocol, peer):
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await peer.handshake()
        with pytest.raises(ssl.SSLError, match="CALLBACK_FAILED"):
            await task


async def test_a_session_is_resumed(loop):
    async with serving(Recorder, ssl=server_context(maximum_version="TLSv1_2")) as server:
        context = client_context()
        reused = []
        session = None
        original = context.wrap_bio

        for _ in range(2):
            # asyncio has no argument for a session; a context that adds one is a context still.
            context.wrap_bio = lambda *args, session=session, **kw: original(
                *args, session=session, **kw
            )
            transport, protocol = await loop.create_connection(
                Recorder, *address_of(server), ssl=context, server_hostname=NAME
            )
            tls = transport.get_extra_info("ssl_object")
            reused.append(tls.session_reused)
            session = tls.session
            transport.close()
            await protocol.closed()
        assert reused == [False, True]
        del context.wrap_bio
        await turns(10)


async def test_connection_made_that_raises_fails_the_connection(ledger):
    class Raising(Recorder):
        def connection_made(self, transport):
            super().connection_made(transport)
            raise ZeroDivisionError("made")

    async with handshaking(Raising()) as (task, protocol, peer):
        with contextlib.suppress(ConnectionError):
            await peer.handshake()
        with pytest.raises(ZeroDivisionError):
            await task
        await protocol.closed()
        assert isinstance(protocol.lost_with, ZeroDivisionError)
    error = ledger.take_loop_error()
    assert error["message"] == "Fatal error: protocol.buffer_updated() call failed."


async def test_a_server_goes_on_after_handshakes_that_fail(loop):
    served = []

    def factory():
        served.append(Recorder())
        return served[-1]

    async with serving(factory, ssl=server_context()) as server:
        for _ in range(3):
            with pytest.raises(ssl.SSLCertVerificationError):
                await loop.create_connection(
                    Recorder,
                    *address_of(server),
                    ssl=distrusting_context(),
                    server_hostname=NAME,
                )
        transport, protocol = await loop.create_connection(
            Recorder, *address_of(server), ssl=client_context(), server_hostname=NAME
        )
        transport.write(b"hello")
        await served[-1].received(5)
        transport.close()
        await protocol.closed()
        await turns(5)
    assert [log.events for log in served[:3]] == [[], [], []]
    served.clear()
