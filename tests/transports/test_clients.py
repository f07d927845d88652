"""create_connection and connect_accepted_socket: arguments, refusals, cancellation."""

from __future__ import annotations

import asyncio
import errno
import gc
import socket
import sys

import pytest

from tests.support.loops import turns
from tests.support.net import (
    HOST,
    Peer,
    echo_server,
    free_port,
    has_ipv6,
    listener,
    pair_at,
    tcp_pair,
    unix_pair,
)
from tests.support.protocols import Recorder, address_of, serving


async def echoed(transport, protocol, data=b"hello"):
    """Send, see it come back, and close."""
    transport.write(data)
    assert await protocol.received(len(data)) == data
    transport.close()
    await protocol.closed()


async def test_a_host_and_a_port_reach_a_server(loop):
    with echo_server() as (host, port):
        await echoed(*await loop.create_connection(Recorder, host, port))


async def test_a_name_is_resolved(loop):
    with echo_server() as (_, port):
        await echoed(*await loop.create_connection(Recorder, "localhost", port))


async def test_the_port_may_be_text(loop):
    with echo_server() as (host, port):
        await echoed(*await loop.create_connection(Recorder, host, str(port)))


async def test_the_factory_is_called_once_and_its_protocol_returned(loop):
    made = []

    def factory():
        made.append(Recorder())
        return made[-1]

    with echo_server() as address:
        transport, protocol = await loop.create_connection(factory, *address)
        assert made == [protocol]
        await echoed(transport, protocol)
    made.clear()


@pytest.mark.parametrize(
    "options",
    [
        {"family": socket.AF_INET},
        {"proto": socket.IPPROTO_TCP},
        {"flags": socket.AI_NUMERICHOST},
        {"happy_eyeballs_delay": 0.25},
        {"happy_eyeballs_delay": 0.25, "interleave": 1},
        {"interleave": 2},
        {"local_addr": (HOST, 0)},
        {"ssl": None, "server_hostname": None},
    ],
    ids=lambda options: " ".join(options),
)
async def test_asyncios_options_are_accepted(loop, options):
    with echo_server() as address:
        await echoed(*await loop.create_connection(Recorder, *address, **options))


@pytest.mark.skipif(sys.version_info < (3, 12), reason="all_errors is new in 3.12")
async def test_all_errors_are_grouped_when_asked(loop):
    with pytest.raises(ExceptionGroup) as caught:
        await loop.create_connection(Recorder, HOST, free_port(), all_errors=True)
    assert [type(error) for error in caught.value.exceptions] == [ConnectionRefusedError]


async def test_the_local_address_is_bound(loop, free_port):
    with echo_server() as address:
        transport, protocol = await loop.create_connection(
            Recorder, *address, local_addr=(HOST, free_port)
        )
        assert transport.get_extra_info("sockname") == (HOST, free_port)
        await echoed(transport, protocol)


async def test_a_local_address_that_is_taken_is_an_error(loop):
    with echo_server() as address, listener() as taken:
        with pytest.raises(OSError, match="error while attempting to bind on address") as caught:
            await loop.create_connection(Recorder, *address, local_addr=taken.getsockname())
        assert caught.value.errno == errno.EADDRINUSE


async def test_a_refused_connection_raises(loop, free_port):
    with pytest.raises(ConnectionRefusedError, match=str(free_port)):
        await loop.create_connection(Recorder, HOST, free_port)


@pytest.mark.skipif(sys.version_info < (3, 13, 1), reason="CPython makes cycles of its own before")
@pytest.mark.parametrize("delay", [None, 0.25], ids=["one by one", "happy eyeballs"])
async def test_the_error_of_a_refused_connection_is_in_no_cycle(loop, free_port, delay):
    """A cycle would keep the frames, and what they hold, until the collector comes."""
    holders = []
    gc.disable()
    try:
        try:
            await loop.create_connection(Recorder, HOST, free_port, happy_eyeballs_delay=delay)
        except ConnectionRefusedError as error:
            holders = [held for held in gc.get_referrers(error) if isinstance(held, list)]
    finally:
        gc.enable()
    assert holders == []


async def test_a_name_that_does_not_resolve_raises(loop):
    with pytest.raises(socket.gaierror):
        await loop.create_connection(Recorder, "127.0.0.1.", 1, flags=socket.AI_NUMERICHOST)


@pytest.mark.skipif(not has_ipv6(), reason="no IPv6 here")
@pytest.mark.parametrize("options", [{}, {"happy_eyeballs_delay": 0.05}], ids=["", "eyeballs"])
async def test_the_second_address_is_tried_when_the_first_refuses(loop, options):
    """The name has two addresses; only one of them is listened on."""
    with echo_server() as (host, port):

        async def two_addresses(*_, **__):
            return [
                (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("::1", port, 0, 0)),
                (socket.AF_INET, socket.SOCK_STREAM, 6, "", (host, port)),
            ]

        loop.getaddrinfo = two_addresses
        transport, protocol = await loop.create_connection(Recorder, "two.test", port, **options)
        del loop.getaddrinfo
        assert transport.get_extra_info("peername") == (host, port)
        await echoed(transport, protocol)


@pytest.mark.skipif(not has_ipv6(), reason="no IPv6 here")
async def test_when_all_addresses_refuse_the_error_names_them(loop, free_port):
    async def two_addresses(*_, **__):
        return [
            (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("::1", free_port, 0, 0)),
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", (HOST, free_port)),
        ]

    loop.getaddrinfo = two_addresses
    with pytest.raises(OSError, match="Multiple exceptions") as caught:
        await loop.create_connection(Recorder, "two.test", free_port)
    del loop.getaddrinfo
    assert "::1" in str(caught.value)
    assert HOST in str(caught.value)


@pytest.mark.skipif(not has_ipv6(), reason="no IPv6 here")
async def test_ipv6_works_and_has_names_of_four_parts(loop):
    server = await loop.create_server(Recorder, "::1", 0)
    port = server.sockets[0].getsockname()[1]
    transport, protocol = await loop.create_connection(Recorder, "::1", port)
    assert transport.get_extra_info("peername") == ("::1", port, 0, 0)
    transport.close()
    await protocol.closed()
    server.close()
    await turns(3)
    await server.wait_closed()


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((), {}, "host and port was not specified and no sock specified"),
        ((HOST, 1), {"server_hostname": "x"}, "server_hostname is only meaningful with ssl"),
        ((), {"ssl": True, "sock": None}, "You must set server_hostname when using ssl without"),
        ((HOST, 1), {"ssl_handshake_timeout": 1}, "ssl_handshake_timeout is only meaningful"),
        ((HOST, 1), {"ssl_shutdown_timeout": 1}, "ssl_shutdown_timeout is only meaningful"),
    ],
)
async def test_arguments_that_do_not_fit_are_refused(loop, arguments, options, message):
    with pytest.raises(ValueError, match=message):
        await loop.create_connection(Recorder, *arguments, **options)


async def test_a_socket_excludes_a_host(loop):
    with socket.socket() as sock, pytest.raises(ValueError, match="can not be specified at the"):
        await loop.create_connection(Recorder, HOST, 1, sock=sock)


async def test_a_datagram_socket_is_refused(loop):
    with (
        socket.socket(type=socket.SOCK_DGRAM) as sock,
        pytest.raises(ValueError, match="A Stream Socket was expected"),
    ):
        await loop.create_connection(Recorder, sock=sock)


async def test_a_cancelled_connect_closes_its_socket(loop):
    """A full backlog keeps the connection pending; the ledger looks for the socket."""
    with listener(0) as lsock:
        fillers = []
        for _ in range(4):
            sock = socket.socket()
            sock.setblocking(False)
            sock.connect_ex(lsock.getsockname())
            fillers.append(sock)
        connecting = asyncio.create_task(loop.create_connection(Recorder, *lsock.getsockname()))
        await turns(5)
        assert not connecting.done()
        connecting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await connecting
        for sock in fillers:
            sock.close()


@pytest.mark.parametrize("after", [1, 2, 3])
async def test_a_cancelled_handover_has_one_owner_of_the_socket(loop, after):
    """Whenever the cancellation comes: the socket is closed once, and its number is free."""
    ours, theirs = unix_pair()
    number = ours.fileno()
    protocols = []

    def factory():
        protocols.append(Recorder())
        return protocols[-1]

    connecting = asyncio.create_task(loop.create_connection(factory, sock=ours))
    await turns(after)
    connecting.cancel()
    try:
        transport, _ = await connecting
    except asyncio.CancelledError:
        pass
    else:
        transport.close()
    await turns(4)
    assert theirs.recv(1) == b""
    theirs.close()
    if after > 1:
        assert protocols[0].events == ["made", "lost"]
        assert ours.fileno() == -1
        ours, theirs = pair_at(number)
        receiving = asyncio.create_task(loop.sock_recv(ours, 10))
        await turns(3)
        theirs.send(b"mine")
        assert await receiving == b"mine"
        theirs.close()
    ours.close()
    protocols.clear()


# sockets that something else accepted


async def test_an_accepted_socket_becomes_a_transport(loop):
    ours, theirs = tcp_pair()
    with Peer(theirs) as peer:
        transport, protocol = await loop.connect_accepted_socket(Recorder, ours)
        assert protocol.events == ["made"]
        assert transport.get_extra_info("peername") == theirs.getsockname()
        transport.write(b"hello")
        assert await peer.recv_exactly(5) == b"hello"
        await peer.send(b"hi")
        assert await protocol.received(2) == b"hi"
        transport.close()
        await protocol.closed()
        assert await peer.recv() == b""


async def test_a_blocking_accepted_socket_is_made_non_blocking(loop):
    ours, theirs = unix_pair()
    ours.setblocking(True)
    with theirs:
        transport, protocol = await loop.connect_accepted_socket(Recorder, ours)
        assert ours.gettimeout() == 0
        transport.close()
        await protocol.closed()


async def test_an_accepted_datagram_socket_is_refused(loop):
    with (
        socket.socket(type=socket.SOCK_DGRAM) as sock,
        pytest.raises(ValueError, match="A Stream Socket was expected"),
    ):
        await loop.connect_accepted_socket(Recorder, sock)


async def test_accepting_oneself_and_handing_over_serves_many(loop):
    """The pattern of programs that accept with sock_accept."""
    with listener() as lsock:
        lsock.setblocking(False)
        accepted = []

        async def accept(count):
            for _ in range(count):
                conn, _ = await loop.sock_accept(lsock)
                accepted.append(await loop.connect_accepted_socket(Recorder, conn))

        accepting = asyncio.create_task(accept(10))
        address = lsock.getsockname()
        clients = [await loop.create_connection(Recorder, *address) for _ in range(10)]
        await accepting
        for number, (transport, _) in enumerate(clients):
            transport.write(bytes([number]))
        assert sorted([(await p.received(1))[0] for _, p in accepted]) == list(range(10))
        for transport, protocol in clients:
            transport.close()
            await protocol.closed()
        for _, protocol in accepted:
            await protocol.closed()


async def test_a_server_and_its_clients_share_one_loop(loop):
    async with serving(Recorder) as server:
        connections = [loop.create_connection(Recorder, *address_of(server)) for _ in range(20)]
        for transport, protocol in await asyncio.gather(*connections):
            transport.close()
            await protocol.closed()
