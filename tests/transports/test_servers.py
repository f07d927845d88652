"""create_server: where it listens, how it starts, serves and ends."""

from __future__ import annotations

import asyncio
import errno
import socket
import sys

import pytest

from tests.support.loops import turns
from tests.support.net import HOST, Peer, has_ipv6, listener
from tests.support.protocols import Echo, Recorder, address_of, serving


def call(address):
    """A blocking connection from the outside."""
    return Peer(socket.create_connection(address, timeout=5))


async def closed(server):
    server.close()
    await server.wait_closed()


@pytest.fixture
def served():
    """A factory that remembers what it made."""
    protocols = []

    def factory():
        protocols.append(Recorder())
        return protocols[-1]

    factory.protocols = protocols
    yield factory
    protocols.clear()


async def accepted(served, count=1):
    while len(served.protocols) < count or "made" not in served.protocols[count - 1].events:
        await turns(1)
    return served.protocols[count - 1]


async def test_a_server_serves_its_clients(loop):
    async with serving(Echo) as server:
        with call(address_of(server)) as one, call(address_of(server)) as two:
            await one.send(b"one")
            await two.send(b"two")
            assert await two.recv_exactly(3) == b"two"
            assert await one.recv_exactly(3) == b"one"
        await turns(5)


async def test_port_zero_finds_a_free_port(loop):
    async with serving(Recorder) as server:
        host, port = address_of(server)
        assert host == HOST
        assert port > 0


async def test_sockets_are_a_tuple_that_can_be_asked(loop):
    async with serving(Recorder) as server:
        assert isinstance(server.sockets, tuple)
        (sock,) = server.sockets
        assert sock.family == socket.AF_INET
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN) == 1
        assert sock.fileno() > 2
    assert server.sockets == ()


async def test_a_server_knows_its_loop(loop):
    async with serving(Recorder) as server:
        assert server.get_loop() is loop


async def test_a_taken_port_is_an_error_that_names_it(loop):
    with listener() as taken:
        host, port = taken.getsockname()
        with pytest.raises(OSError, match="error while attempting to bind on address") as caught:
            await loop.create_server(Recorder, host, port)
        assert caught.value.errno == errno.EADDRINUSE
        assert str(port) in str(caught.value)
        assert host in str(caught.value)


async def test_a_taken_port_leaves_no_socket_of_the_other_hosts(loop, free_port):
    """The first host could be bound; the ledger sees whether its socket was closed."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.2", free_port))
        taken.listen()
        with pytest.raises(OSError, match=r"127\.0\.0\.2"):
            await loop.create_server(Recorder, [HOST, "127.0.0.2"], free_port)


async def test_a_port_can_be_taken_again_at_once(loop, free_port):
    """SO_REUSEADDR is set, so connections in TIME_WAIT do not block a restart."""
    for _ in range(3):
        server = await loop.create_server(Recorder, HOST, free_port)
        transport, protocol = await loop.create_connection(Recorder, HOST, free_port)
        await turns(2)
        server.close()
        transport.close()
        await protocol.closed()
        await server.wait_closed()


async def test_several_hosts_mean_several_sockets(loop, free_port):
    server = await loop.create_server(Echo, [HOST, "127.0.0.2"], free_port)
    names = {sock.getsockname() for sock in server.sockets}
    assert names == {(HOST, free_port), ("127.0.0.2", free_port)}
    for name in names:
        with call(name) as peer:
            await peer.send(b"x")
            assert await peer.recv_exactly(1) == b"x"
    await turns(5)
    await closed(server)


@pytest.mark.skipif(not has_ipv6(), reason="no IPv6 here")
@pytest.mark.parametrize("host", [None, ""])
async def test_no_host_means_all_interfaces_of_both_families(loop, host, free_port):
    server = await loop.create_server(Recorder, host, free_port)
    families = sorted(sock.family for sock in server.sockets)
    assert families == [socket.AF_INET, socket.AF_INET6]
    await closed(server)


async def test_a_family_can_be_chosen(loop):
    server = await loop.create_server(Recorder, None, 0, family=socket.AF_INET)
    assert [sock.family for sock in server.sockets] == [socket.AF_INET]
    await closed(server)


async def test_a_bound_socket_can_be_handed_over(loop):
    sock = socket.socket()
    sock.bind((HOST, 0))
    server = await loop.create_server(Echo, sock=sock)
    with call(sock.getsockname()) as peer:
        await peer.send(b"x")
        assert await peer.recv_exactly(1) == b"x"
    await turns(5)
    await closed(server)
    assert sock.fileno() == -1


async def test_two_servers_may_share_a_port_with_reuse_port(loop, free_port):
    one = await loop.create_server(Recorder, HOST, free_port, reuse_port=True)
    two = await loop.create_server(Recorder, HOST, free_port, reuse_port=True)
    for server in (one, two):
        assert server.sockets[0].getsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT)
    await closed(one)
    await closed(two)


async def test_reuse_address_can_be_switched_off(loop):
    async with serving(Recorder, reuse_address=False) as server:
        assert not server.sockets[0].getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR)
    async with serving(Recorder) as server:
        assert server.sockets[0].getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR)


async def test_a_server_is_asyncios(loop):
    async with serving(Recorder) as server:
        assert isinstance(server, asyncio.Server)
        assert isinstance(server, asyncio.AbstractServer)


@pytest.mark.skipif(sys.version_info < (3, 13), reason="new in 3.13")
async def test_abort_clients_drops_what_was_not_sent(loop, served):
    server = await loop.create_server(served, HOST, 0)
    with call(address_of(server)) as peer:
        protocol = await accepted(served)
        protocol.transport.write(b"x" * (1 << 24))
        assert protocol.transport.get_write_buffer_size()
        server.close()
        server.abort_clients()
        assert await protocol.closed() is None
        await server.wait_closed()
        assert len(await peer.recv_all()) < 1 << 24


@pytest.mark.skipif(sys.version_info < (3, 13), reason="keep_alive is new in 3.13")
async def test_keep_alive_is_set_when_asked(loop):
    async with serving(Recorder, keep_alive=True) as server:
        assert server.sockets[0].getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)


@pytest.mark.parametrize("backlog", [1, 100, 5000])
async def test_any_backlog_serves(loop, backlog):
    async with serving(Echo, backlog=backlog) as server:
        for _ in range(3):
            with call(address_of(server)) as peer:
                await peer.send(b"x")
                assert await peer.recv_exactly(1) == b"x"
        await turns(5)


@pytest.mark.parametrize(
    ("arguments", "options", "kind", "message"),
    [
        ((), {}, ValueError, "Neither host/port nor sock were specified"),
        ((HOST, 0), {"ssl": True}, TypeError, "ssl argument must be an SSLContext or None"),
        ((HOST, 0), {"ssl_handshake_timeout": 1}, ValueError, "only meaningful with ssl"),
        ((HOST, 0), {"ssl_shutdown_timeout": 1}, ValueError, "only meaningful with ssl"),
    ],
)
async def test_arguments_that_do_not_fit_are_refused(loop, arguments, options, kind, message):
    with pytest.raises(kind, match=message):
        await loop.create_server(Recorder, *arguments, **options)


async def test_a_socket_excludes_a_host(loop):
    with listener() as sock, pytest.raises(ValueError, match="can not be specified at the same"):
        await loop.create_server(Recorder, HOST, 0, sock=sock)


async def test_a_datagram_socket_is_refused(loop):
    with (
        socket.socket(type=socket.SOCK_DGRAM) as sock,
        pytest.raises(ValueError, match="A Stream Socket was expected"),
    ):
        await loop.create_server(Recorder, sock=sock)


# starting


async def test_a_server_may_be_started_later(loop, served):
    server = await loop.create_server(served, HOST, 0, start_serving=False)
    assert not server.is_serving()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(address_of(server), timeout=5)
    await server.start_serving()
    assert server.is_serving()
    await server.start_serving()
    with call(address_of(server)):
        await accepted(served)
    await turns(5)
    await closed(server)
    assert not server.is_serving()


async def test_serve_forever_serves_until_it_is_cancelled(loop, served):
    server = await loop.create_server(served, HOST, 0, start_serving=False)
    serving_forever = asyncio.create_task(server.serve_forever())
    await turns(2)
    assert server.is_serving()
    with call(address_of(server)):
        await accepted(served)
    await turns(5)
    serving_forever.cancel()
    with pytest.raises(asyncio.CancelledError):
        await serving_forever
    assert not server.is_serving()
    assert server.sockets == ()


async def test_serve_forever_ends_when_the_server_is_closed(loop):
    server = await loop.create_server(Recorder, HOST, 0)
    serving_forever = asyncio.create_task(server.serve_forever())
    await turns(2)
    server.close()
    with pytest.raises(asyncio.CancelledError):
        await serving_forever


async def test_serve_forever_can_be_awaited_once(loop):
    server = await loop.create_server(Recorder, HOST, 0)
    serving_forever = asyncio.create_task(server.serve_forever())
    await turns(2)
    with pytest.raises(RuntimeError, match="already being awaited on serve_forever"):
        await server.serve_forever()
    serving_forever.cancel()
    with pytest.raises(asyncio.CancelledError):
        await serving_forever


async def test_a_closed_server_cannot_serve_again(loop):
    server = await loop.create_server(Recorder, HOST, 0)
    await closed(server)
    with pytest.raises(RuntimeError, match="is closed"):
        await server.serve_forever()


# ending


async def test_a_server_is_a_context_manager(loop):
    async with await loop.create_server(Recorder, HOST, 0) as server:
        assert server.is_serving()
        address = address_of(server)
    assert not server.is_serving()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(address, timeout=5)


async def test_close_refuses_new_connections_at_once(loop):
    server = await loop.create_server(Recorder, HOST, 0)
    address = address_of(server)
    server.close()
    await turns(2)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(address, timeout=5)
    await server.wait_closed()


async def test_close_may_be_called_again(loop):
    server = await loop.create_server(Recorder, HOST, 0)
    server.close()
    server.close()
    await server.wait_closed()
    await server.wait_closed()
    assert server.sockets == ()


async def test_close_leaves_open_connections_open(loop, served):
    server = await loop.create_server(served, HOST, 0)
    with call(address_of(server)) as peer:
        protocol = await accepted(served)
        server.close()
        await turns(3)
        await peer.send(b"still here")
        assert await protocol.received(10) == b"still here"
        protocol.transport.write(b"so am I")
        assert await peer.recv_exactly(7) == b"so am I"
    await protocol.closed()
    await server.wait_closed()


@pytest.mark.skipif(sys.version_info < (3, 12, 1), reason="earlier versions do not wait")
async def test_wait_closed_waits_for_open_connections(loop, served):
    server = await loop.create_server(served, HOST, 0)
    with call(address_of(server)):
        protocol = await accepted(served)
        server.close()
        waiting = asyncio.create_task(server.wait_closed())
        await turns(5)
        assert not waiting.done()
    await protocol.closed()
    await waiting


@pytest.mark.skipif(sys.version_info >= (3, 12, 1), reason="later versions wait")
async def test_wait_closed_of_old_versions_does_not_wait_for_connections(loop, served):
    """A program that was written for 3.11 must not hang in its shutdown on weft alone."""
    server = await loop.create_server(served, HOST, 0)
    with call(address_of(server)):
        protocol = await accepted(served)
        server.close()
        await asyncio.wait_for(server.wait_closed(), 5)
        assert "lost" not in protocol.events
    await protocol.closed()


@pytest.mark.skipif(sys.version_info < (3, 13), reason="new in 3.13")
@pytest.mark.parametrize("how", ["close_clients", "abort_clients"])
async def test_clients_can_be_closed_with_their_server(loop, served, how):
    server = await loop.create_server(served, HOST, 0)
    with call(address_of(server)) as one, call(address_of(server)) as two:
        await accepted(served, 2)
        server.close()
        getattr(server, how)()
        for protocol in served.protocols:
            assert await protocol.closed() is None
        await server.wait_closed()
        for peer in (one, two):
            assert await peer.recv() == b""


async def test_repr_names_the_sockets(loop):
    async with serving(Recorder) as server:
        assert str(address_of(server)[1]) in repr(server)
