"""Data through TLS: sizes, kinds of protocols and buffers, and callbacks that call back."""

from __future__ import annotations

import asyncio
import hashlib
import os
import threading

import pytest

from tests.support.loops import turns
from tests.support.protocols import BufferedRecorder, Echo, Recorder, address_of, serving
from tests.support.tls import NAME, client_context, server_context
from tests.tls.peers import tls_connection

LARGE = 16 << 20


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize("size", [1, 1000, 16384, 16385, 100_000, 1 << 20])
async def test_a_message_of_any_size_comes_back(loop, size):
    payload = os.urandom(size)
    async with serving(Echo, ssl=server_context()) as server:
        transport, protocol = await loop.create_connection(
            Recorder, *address_of(server), ssl=client_context(), server_hostname=NAME
        )
        transport.write(payload)
        assert digest(await protocol.received(size)) == digest(payload)
        transport.close()
        await protocol.closed()
        await turns(10)


@pytest.mark.limit(30)
async def test_megabytes_pass_both_ways_at_once(loop):
    payload = os.urandom(LARGE)

    class Pushing(Recorder):
        """Sends all of it as the buffer drains."""

        can_write = True
        sent = 0

        def connection_made(self, transport):
            super().connection_made(transport)
            self.push()

        def push(self):
            while self.can_write and self.sent < LARGE:
                self.transport.write(payload[self.sent : self.sent + 100_000])
                self.sent += 100_000

        def pause_writing(self):
            self.can_write = False

        def resume_writing(self):
            self.can_write = True
            self.push()

    served = []

    def factory():
        served.append(Pushing())
        return served[-1]

    async with serving(factory, ssl=server_context()) as server:
        transport, protocol = await loop.create_connection(
            Pushing, *address_of(server), ssl=client_context(), server_hostname=NAME
        )
        assert digest(await protocol.received(LARGE)) == digest(payload)
        assert digest(await served[0].received(LARGE)) == digest(payload)
        transport.close()
        await protocol.closed()
        await served[0].closed()
    served.clear()


async def test_records_that_arrive_in_pieces_are_put_together():
    async with tls_connection() as (_transport, protocol, peer):
        peer.object.write(b"a" * 5000)
        peer.object.write(b"b" * 50)
        wire = peer.outgoing.read()
        for start in range(0, len(wire), 700):
            await asyncio.get_running_loop().sock_sendall(peer.sock, wire[start : start + 700])
            await turns(3)
        assert await protocol.received(5050) == b"a" * 5000 + b"b" * 50


async def test_many_records_that_arrive_together_are_one_call():
    async with tls_connection() as (_transport, protocol, peer):
        for number in range(10):
            peer.object.write(bytes([number]) * 10)
        await peer.flush()
        await protocol.received(100)
        assert protocol.events == ["made", "data"]


class ViewRecorder(BufferedRecorder):
    """Lends a view of its buffer."""

    def get_buffer(self, sizehint):
        return memoryview(super().get_buffer(sizehint))


@pytest.mark.parametrize("size", [1, 100, 16384, 100_000])
@pytest.mark.parametrize("kind", [ViewRecorder, BufferedRecorder])
async def test_a_buffered_protocol_gets_everything_in_its_buffer(size, kind, engine):
    if kind is BufferedRecorder and engine == "memorybio" and size > 1:
        pytest.skip("asyncio slices the buffer as it goes, and a slice of a bytearray is a copy")
    payload = os.urandom(50_000)
    async with tls_connection(kind(size)) as (transport, protocol, peer):
        await peer.send(payload)
        assert await protocol.received(len(payload)) == payload
        assert max(protocol.updates) <= size
        transport.write(payload)
        assert await peer.recv_exactly(len(payload)) == payload
        await peer.notify_closed()
        assert await protocol.closed() is None
        assert protocol.events[-2:] == ["eof", "lost"]


async def test_a_buffered_protocol_without_a_buffer_is_reported(ledger):
    class Bad(BufferedRecorder):
        broken = False

        def get_buffer(self, sizehint):
            if self.broken:
                raise ZeroDivisionError("no buffer")
            return super().get_buffer(sizehint)

    async with tls_connection(Bad()) as (_transport, protocol, peer):
        protocol.broken = True
        await peer.send(b"x")
        assert isinstance(await protocol.closed(), ZeroDivisionError)
    assert ledger.take_loop_error()["message"] == "Fatal error on SSL protocol"


async def test_every_bytes_like_kind_is_written_as_it_is_at_the_call():
    async with tls_connection() as (transport, _protocol, peer):
        mutable = bytearray(b"bytearray ")
        transport.write(b"bytes ")
        transport.write(mutable)
        mutable[:] = b"X" * len(mutable)
        transport.write(memoryview(b"  memoryview ")[1:-1])
        transport.write(b"")
        transport.writelines([b" of", b"", bytearray(b" lines")])
        expected = b"bytes bytearray  memoryview of lines"
        assert await peer.recv_exactly(len(expected)) == expected


@pytest.mark.parametrize("data", ["text", None, 7])
async def test_what_is_no_bytes_is_refused(data):
    async with tls_connection() as (transport, _protocol, peer):
        with pytest.raises(TypeError):
            transport.write(data)
        transport.write(b"fine")
        assert await peer.recv() == b"fine"


async def test_an_error_in_data_received_ends_the_connection(ledger):
    class Raising(Recorder):
        def data_received(self, data):
            super().data_received(data)
            raise ZeroDivisionError("data")

    async with tls_connection(Raising()) as (transport, protocol, peer):
        await peer.send(b"x")
        assert isinstance(await protocol.closed(), ZeroDivisionError)
        assert transport.is_closing()
    error = ledger.take_loop_error()
    assert error["message"] == "Fatal error on SSL protocol"
    assert isinstance(error["exception"], ZeroDivisionError)
    assert {"transport", "protocol"} <= set(error)


async def test_the_protocol_can_be_replaced():
    async with tls_connection() as (transport, first, peer):
        second = BufferedRecorder()
        await peer.send(b"one")
        await first.received(3)
        transport.set_protocol(second)
        assert transport.get_protocol() is second
        await peer.send(b"two")
        assert await second.received(3) == b"two"
        third = Recorder()
        transport.set_protocol(third)
        await peer.send(b"three")
        assert await third.received(5) == b"three"
        transport.abort()
        await third.closed()
        assert bytes(first.data) == b"one"


async def test_a_protocol_replaced_in_data_received_gets_the_rest():
    second = Recorder()

    class First(Recorder):
        def data_received(self, data):
            super().data_received(data)
            self.transport.set_protocol(second)

    async with tls_connection(First()) as (_transport, first, peer):
        await peer.send(b"one")
        await first.received(3)
        await peer.send(b"two")
        assert await second.received(3) == b"two"


async def test_post_handshake_authentication_goes_both_ways(loop):
    """RFC 8446, section 4.6.2: the server asks for a certificate in the middle."""
    from tests.support.tls import client_certificate_context

    context = client_certificate_context()
    context.post_handshake_auth = True
    peer_context = server_context(verify_clients=True)
    peer_context.post_handshake_auth = True
    async with tls_connection(context=context, peer_context=peer_context) as (
        transport,
        protocol,
        peer,
    ):
        assert peer.object.getpeercert() is None
        peer.object.verify_client_post_handshake()
        await peer.send(b"who are you?")
        await protocol.received(12)
        transport.write(b"me")
        assert await peer.recv() == b"me"
        assert ("DNS", "client.test") in peer.object.getpeercert()["subjectAltName"]


async def test_a_server_may_ask_for_a_certificate_later():
    from tests.support.tls import client_certificate_context

    context = server_context(verify_clients=True)
    context.post_handshake_auth = True
    peer_context = client_certificate_context()
    peer_context.post_handshake_auth = True
    options = {"server_side": True, "context": context, "peer_context": peer_context}
    async with tls_connection(**options) as (transport, protocol, peer):
        session = transport.get_extra_info("ssl_object")
        assert session.getpeercert() is None
        session.verify_client_post_handshake()
        transport.write(b"who are you?")
        assert await peer.recv() == b"who are you?"
        await peer.send(b"me")
        await protocol.received(2)
        assert ("DNS", "client.test") in session.getpeercert()["subjectAltName"]


async def test_another_thread_may_ask_the_session_while_data_flows(engine):
    if engine == "memorybio":
        pytest.skip("ssl lets go of the GIL while it reads; then such questions are not safe")
    stop = threading.Event()
    answers = set()

    def ask(session):
        while not stop.is_set():
            answers.add((session.version(), session.cipher()[0]))
            session.getpeercert(), session.pending(), session.shared_ciphers()

    async with tls_connection() as (transport, protocol, peer):
        thread = threading.Thread(target=ask, args=(transport.get_extra_info("ssl_object"),))
        thread.start()
        try:
            for number in range(1, 50):
                await peer.send(bytes(10_000))
                await protocol.received(number * 10_000)
                transport.write(bytes(10_000))
                await peer.recv_exactly(10_000)
        finally:
            stop.set()
            thread.join()
    assert len(answers) == 1


async def test_streams_work_over_tls():
    async def answer(reader, writer):
        while line := await reader.readline():
            writer.write(line.upper())
            await writer.drain()
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=server_context())
    reader, writer = await asyncio.open_connection(
        *address_of(server), ssl=client_context(), server_hostname=NAME
    )
    for word in (b"one\n", b"two\n", b"x" * 60_000 + b"\n"):
        writer.write(word)
        assert await reader.readline() == word.upper()
    writer.close()
    await writer.wait_closed()
    server.close()
    await turns(10)
    await server.wait_closed()


async def test_a_file_is_sent_through_tls(loop, tmp_path):
    path = tmp_path / "file"
    path.write_bytes(os.urandom(300_000))
    async with tls_connection() as (transport, _protocol, peer):
        with path.open("rb") as file:
            sending = asyncio.ensure_future(loop.sendfile(transport, file))
            assert await peer.recv_exactly(300_000) == path.read_bytes()
            assert await sending == 300_000
