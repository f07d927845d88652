"""`loop.create_datagram_endpoint`: receiving, addresses of every family, and the end."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
import time

import pytest

from tests.support.datagrams import HOST6, Datagrams, address_of, bound, endpoint
from tests.support.fds import open_fds
from tests.support.leaks import assert_collected, resource_warning
from tests.support.loops import turns
from tests.support.net import HOST, has_ipv6

needs_ipv6 = pytest.mark.skipif(not has_ipv6(), reason="the loopback has no IPv6 address")


async def test_a_datagram_arrives_with_the_address_that_answers_it():
    with bound() as peer:
        async with endpoint() as (transport, protocol):
            peer.sendto(b"ping", address_of(transport))
            await protocol.arrived(1)
            assert protocol.datagrams == [(b"ping", peer.getsockname())]
            transport.sendto(b"pong", protocol.datagrams[0][1])
            assert peer.recvfrom(100) == (b"pong", address_of(transport))


async def test_datagrams_keep_their_borders_and_their_order():
    sizes = [1, 0, 65507, 2, 1000, 0, 3]
    with bound() as peer:
        async with endpoint() as (transport, protocol):
            for size in sizes:
                peer.sendto(bytes(size), address_of(transport))
            assert [len(data) for data in await protocol.arrived(len(sizes))] == sizes
            assert all(type(data) is bytes for data, _ in protocol.datagrams)


async def test_a_burst_arrives_whole_and_in_order():
    """More than one event's worth, from senders that take turns."""
    with bound() as one, bound() as two:
        async with endpoint() as (transport, protocol):
            expected = []
            for number in range(100):
                sender = one if number % 3 else two
                expected.append((b"%d" % number, sender.getsockname()))
                sender.sendto(expected[-1][0], address_of(transport))
            await protocol.arrived(100)
            assert protocol.datagrams == expected


async def test_a_flood_does_not_keep_others_from_their_turn():
    """Whoever answers every datagram with another must not own the loop."""

    class Flooding(Datagrams):
        def datagram_received(self, data, addr):
            super().datagram_received(data, addr)
            self.transport.sendto(data, addr)

    async with endpoint(Flooding()) as (transport, protocol):
        for _ in range(4):
            transport.sendto(b"x", address_of(transport))
        await protocol.arrived(100)
        seen = len(protocol.datagrams)
        await turns(20)
        # 4 wait at any time, and one event delivers a bounded number of them.
        assert len(protocol.datagrams) - seen <= 20 * 16


# addresses


@needs_ipv6
async def test_ipv6_addresses_have_four_items():
    with bound(socket.AF_INET6, (HOST6, 0)) as peer:
        async with endpoint(local_addr=(HOST6, 0)) as (transport, protocol):
            assert len(address_of(transport)) == 4
            peer.sendto(b"x", address_of(transport))
            await protocol.arrived(1)
            assert protocol.datagrams == [(b"x", peer.getsockname())]
            for address in (
                peer.getsockname(),
                peer.getsockname()[:3],
                peer.getsockname()[:2],
            ):
                transport.sendto(b"y", address)
                assert peer.recvfrom(100) == (b"y", address_of(transport))


@needs_ipv6
@pytest.mark.parametrize("host", ["0:0:0:0:0:0:0:1", "::0001", "::0.0.0.1"])
async def test_ipv6_hosts_may_be_written_in_every_way(host):
    with bound(socket.AF_INET6, (HOST6, 0)) as peer:
        async with endpoint(local_addr=(HOST6, 0)) as (transport, protocol):
            transport.sendto(b"x", (host, peer.getsockname()[1]))
            assert peer.recv(100) == b"x"
            assert not protocol.errors


@needs_ipv6
async def test_an_ipv4_sender_on_an_ipv6_socket_is_mapped():
    with (
        socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as dual,
        bound() as peer,
    ):
        dual.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        dual.bind(("::", 0))
        port = dual.getsockname()[1]
        async with endpoint(sock=dual) as (transport, protocol):
            peer.sendto(b"x", (HOST, port))
            await protocol.arrived(1)
            assert protocol.datagrams == [(b"x", (f"::ffff:{HOST}", peer.getsockname()[1], 0, 0))]
            transport.sendto(b"y", protocol.datagrams[0][1])
            assert peer.recvfrom(100) == (b"y", (HOST, port))


async def test_host_names_are_resolved_by_pythons_socket():
    with bound() as peer:
        async with endpoint() as (transport, _):
            transport.sendto(b"x", ("localhost", peer.getsockname()[1]))
            assert peer.recv(100) == b"x"


@pytest.mark.parametrize("kind", ["path", "bytes path", "abstract", "abstract bytes", "text path"])
async def test_unix_addresses_are_those_of_pythons_socket(tmp_path, kind):
    def name(end):
        return {
            "path": str(tmp_path / end),
            "bytes path": os.fsencode(tmp_path / end),
            "text path": str(tmp_path / f"{end}-ü"),
            "abstract": f"\0weft-{os.getpid()}-{end}",
            "abstract bytes": b"\0weft-%d-\xff\0-" % os.getpid() + end.encode(),
        }[kind]

    with (
        bound(socket.AF_UNIX, name("ours")) as ours,
        bound(socket.AF_UNIX, name("theirs")) as peer,
    ):
        async with endpoint(sock=ours) as (transport, protocol):
            peer.sendto(b"x", name("ours"))
            await protocol.arrived(1)
            assert protocol.datagrams == [(b"x", peer.getsockname())]
            for address in (protocol.datagrams[0][1], name("theirs")):
                transport.sendto(b"y", address)
                assert peer.recvfrom(100) == (b"y", address_of(transport))


async def test_the_longest_unix_path_is_read_whole(tmp_path):
    """A path of 108 bytes leaves the kernel no room for the NUL behind it."""
    short = str(tmp_path / "ours")
    stem = os.path.join("/tmp", f"weft-{os.getpid()}-")
    longest = stem + "x" * (107 - len(stem))
    with bound(socket.AF_UNIX, short) as ours, bound(socket.AF_UNIX, longest) as peer:
        try:
            async with endpoint(sock=ours) as (_, protocol):
                peer.sendto(b"x", short)
                await protocol.arrived(1)
                assert protocol.datagrams == [(b"x", longest)]
        finally:
            os.unlink(longest)


async def test_a_unix_sender_without_a_name_is_none(tmp_path):
    path = str(tmp_path / "ours")
    async with endpoint(local_addr=path, family=socket.AF_UNIX) as (transport, protocol):
        assert address_of(transport) == path
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as peer:
            peer.sendto(b"x", path)
            await protocol.arrived(1)
            assert protocol.datagrams == [(b"x", None)]


async def test_a_stale_socket_file_is_replaced(tmp_path):
    path = str(tmp_path / "ours")
    bound(socket.AF_UNIX, path).close()
    async with endpoint(local_addr=path, family=socket.AF_UNIX) as (_, protocol):
        with bound(socket.AF_UNIX, str(tmp_path / "theirs")) as peer:
            peer.sendto(b"x", path)
            await protocol.arrived(1)


async def test_a_unix_endpoint_can_be_connected(tmp_path):
    with bound(socket.AF_UNIX, str(tmp_path / "theirs")) as peer:
        async with endpoint(remote_addr=peer.getsockname(), family=socket.AF_UNIX) as (
            transport,
            _,
        ):
            transport.sendto(b"x")
            assert peer.recvfrom(100) == (b"x", None)


async def test_other_families_go_through_pythons_socket():
    """Netlink: a request for the list of links, answered by the kernel."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM, socket.NETLINK_ROUTE) as netlink:
        netlink.bind((0, 0))
        async with endpoint(sock=netlink) as (transport, protocol):
            fields = [(28, 4), (18, 2), (0x301, 2), (1, 4), (0, 4), (17, 1)]
            head = b"".join(value.to_bytes(size, sys.byteorder) for value, size in fields)
            transport.sendto(head.ljust(28, b"\0"), (0, 0))
            await protocol.arrived(1)
            assert protocol.datagrams[0][1] == (0, 0)
            assert len(protocol.datagrams[0][0]) > 28


# connected endpoints


async def test_a_connected_endpoint_hears_its_peer_alone():
    with bound() as peer, bound() as stranger:
        async with endpoint(remote_addr=peer.getsockname()) as (transport, protocol):
            assert transport.get_extra_info("peername") == peer.getsockname()
            stranger.sendto(b"ignored", address_of(transport))
            transport.sendto(b"x")
            transport.sendto(b"y", None)
            transport.sendto(b"z", peer.getsockname())
            assert [peer.recv(10) for _ in range(3)] == [b"x", b"y", b"z"]
            peer.sendto(b"heard", address_of(transport))
            await protocol.arrived(1)
            assert protocol.datagrams == [(b"heard", peer.getsockname())]


async def test_a_connected_endpoint_sends_to_its_peer_alone():
    with bound() as peer:
        async with endpoint(remote_addr=peer.getsockname()) as (transport, _):
            with pytest.raises(ValueError, match="Invalid address: must be None or"):
                transport.sendto(b"x", (HOST, 9))


async def test_a_socket_that_was_connected_before_needs_no_address():
    with bound() as peer, bound() as ours:
        ours.connect(peer.getsockname())
        async with endpoint(sock=ours) as (transport, _):
            transport.sendto(b"x")
            transport.sendto(b"y", ("ignored by asyncio, too", 0))
            assert [peer.recv(10) for _ in range(2)] == [b"x", b"y"]


async def test_an_endpoint_may_broadcast(loop):
    async with endpoint(local_addr=("0.0.0.0", 0), allow_broadcast=True) as (transport, protocol):
        port = address_of(transport)[1]
        transport.sendto(b"x", ("<broadcast>", port))
        transport.sendto(b"y", ("127.255.255.255", port))
        while not protocol.datagrams and not protocol.errors:
            await turns(1)
        assert transport.get_extra_info("socket").getsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST)


async def test_an_error_of_the_peer_is_told_and_is_no_end():
    with bound() as peer:
        nobody = peer.getsockname()
    async with endpoint(remote_addr=nobody) as (transport, protocol):
        transport.sendto(b"x")
        await protocol.happened("error")
        assert isinstance(protocol.errors[0], ConnectionRefusedError)
        assert not transport.is_closing()
        with bound(address=nobody) as peer:
            transport.sendto(b"y")
            peer.sendto(b"z", address_of(transport))
            await protocol.arrived(1)
            assert peer.recv(10) == b"y"


# reading


async def test_nothing_arrives_while_reading_is_paused():
    with bound() as peer:
        async with endpoint() as (transport, protocol):
            assert transport.is_reading()
            transport.pause_reading()
            transport.pause_reading()
            assert not transport.is_reading()
            peer.sendto(b"later", address_of(transport))
            await turns(5)
            assert protocol.events == ["made"]
            transport.resume_reading()
            transport.resume_reading()
            assert await protocol.arrived(1) == [b"later"]


async def test_a_paused_endpoint_costs_nothing_when_datagrams_wait():
    with bound() as peer:
        async with endpoint() as (transport, protocol):
            transport.pause_reading()
            peer.sendto(b"later", address_of(transport))
            spent = time.thread_time()
            await asyncio.sleep(0.2)
            assert time.thread_time() - spent < 0.1
            transport.resume_reading()
            await protocol.arrived(1)


@pytest.mark.parametrize("how", ["pause_reading", "close", "abort"])
async def test_nothing_arrives_after_a_callback_said_so(how):
    class Ending(Datagrams):
        def datagram_received(self, data, addr):
            super().datagram_received(data, addr)
            if data == b"last":
                getattr(self.transport, how)()

    with bound() as peer:
        async with endpoint(Ending()) as (transport, protocol):
            for data in [b"x"] * 30 + [b"last"] + [b"too much"] * 3:
                peer.sendto(data, address_of(transport))
            await protocol.arrived(31)
            await turns(5)
            assert [data for data, _ in protocol.datagrams] == [b"x"] * 30 + [b"last"]


async def test_an_error_in_datagram_received_is_reported_and_is_no_end(ledger):
    class Broken(Datagrams):
        def datagram_received(self, data, addr):
            super().datagram_received(data, addr)
            if data == b"bad":
                raise LookupError

    with bound() as peer:
        async with endpoint(Broken()) as (transport, protocol):
            for data in (b"good", b"bad", b"good"):
                peer.sendto(data, address_of(transport))
            await protocol.arrived(3)
            report = ledger.take_loop_error()
            assert report["message"].startswith("Exception in callback")
            assert isinstance(report["exception"], LookupError)
            assert not transport.is_closing()
            report.clear()


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt])
def test_an_exit_in_datagram_received_leaves_the_loop(loop, error):
    class Exiting(Datagrams):
        def datagram_received(self, data, addr):
            raise error

    async def life():
        with bound() as peer:
            async with endpoint(Exiting()) as (transport, _):
                peer.sendto(b"x", address_of(transport))
                await asyncio.sleep(60)

    task = loop.create_task(life())
    with pytest.raises(error):
        loop.run_until_complete(task)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        loop.run_until_complete(task)


# what Python sees


async def test_get_extra_info_knows_the_socket():
    async with endpoint() as (transport, _):
        sock = transport.get_extra_info("socket")
        assert isinstance(sock, asyncio.trsock.TransportSocket)
        assert sock.getsockname() == address_of(transport)
        assert transport.get_extra_info("peername") is None
        assert transport.get_extra_info("nothing", "default") == "default"


async def test_the_transport_is_a_datagram_transport():
    async with endpoint() as (transport, protocol):
        if sys.version_info >= (3, 12) or type(transport).__module__ == "weft":
            assert isinstance(transport, asyncio.DatagramTransport)
        assert isinstance(transport, asyncio.Transport)
        assert transport.get_protocol() is protocol


async def test_the_protocol_can_be_replaced():
    with bound() as peer:
        async with endpoint() as (transport, first):
            second = Datagrams()
            transport.set_protocol(second)
            peer.sendto(b"x", address_of(transport))
            await second.arrived(1)
            transport.close()
            await second.closed()
            assert first.events == ["made"]


async def test_repr_tells_what_the_transport_does():
    async with endpoint() as (transport, protocol):
        await turns(1)
        fd = transport.get_extra_info("socket").fileno()
        assert f"fd={fd} read=polling write=<idle, bufsize=0>" in repr(transport)
        transport.close()
        assert f" closing fd={fd}" in repr(transport)
        await protocol.closed()
        await turns(1)
        assert " closed fd=" in repr(transport)


async def test_a_descriptor_of_an_endpoint_is_not_for_add_reader(loop):
    async with endpoint() as (transport, _):
        with pytest.raises(RuntimeError, match="is used by transport"):
            loop.add_reader(transport.get_extra_info("socket"), print)


async def test_stream_sockets_are_refused(loop):
    with (
        socket.socket() as sock,
        pytest.raises(ValueError, match=r"(datagram|UDP) [Ss]ocket was expected"),
    ):
        await loop.create_datagram_endpoint(Datagrams, sock=sock)


# the end


async def test_close_calls_connection_lost_later_and_once():
    async with endpoint() as (transport, protocol):
        transport.close()
        transport.close()
        assert transport.is_closing()
        assert protocol.events == ["made"]
        assert await protocol.closed() is None
        transport.close()
        transport.abort()
        await turns(2)
        assert protocol.events == ["made", "lost"]
        assert transport.get_protocol() is None


async def test_a_closed_endpoint_gives_its_port_back():
    async with endpoint() as (transport, protocol):
        address = address_of(transport)
        transport.close()
        await protocol.closed()
        await turns(1)
        bound(address=address).close()


@pytest.mark.parametrize("callback", ["connection_made", "connection_lost"])
async def test_an_error_in_a_connection_callback_is_reported(ledger, callback):
    class Broken(Datagrams):
        def connection_made(self, transport):
            super().connection_made(transport)
            self.fails("connection_made")

        def connection_lost(self, exc):
            super().connection_lost(exc)
            self.fails("connection_lost")

        def fails(self, name):
            if name == callback:
                raise LookupError(name)

    with bound() as peer:
        async with endpoint(Broken()) as (transport, protocol):
            peer.sendto(b"x", address_of(transport))
            await protocol.arrived(1)
            transport.close()
            await protocol.closed()
            await turns(1)
            report = ledger.take_loop_error()
            assert isinstance(report["exception"], LookupError)
            report.clear()


async def test_an_endpoint_that_is_not_awaited_to_the_end_is_closed(loop):
    """Cancelled while connection_made is under way."""
    before = open_fds()
    made = []

    class Cancelling(Datagrams):
        def connection_made(self, transport):
            super().connection_made(transport)
            made.append(self)
            creating.cancel()

    creating = asyncio.ensure_future(
        loop.create_datagram_endpoint(Cancelling, local_addr=(HOST, 0))
    )
    with pytest.raises(asyncio.CancelledError):
        await creating
    await made[0].closed()
    await turns(1)
    assert open_fds() == before


def test_an_unclosed_transport_warns_and_gives_its_descriptor_back(raw_loop_factory):
    before = open_fds()

    def abandon():
        loop = raw_loop_factory()
        loop.run_until_complete(loop.create_datagram_endpoint(Datagrams, local_addr=(HOST, 0)))
        loop.close()

    with resource_warning("unclosed transport"):
        abandon()
    assert open_fds() == before


def test_a_closed_transport_in_a_cycle_with_its_protocol_is_collected(loop):
    async def life():
        with bound() as peer:
            async with endpoint() as (transport, protocol):
                peer.sendto(b"x", address_of(transport))
                await protocol.arrived(1)
                transport.sendto(b"y", peer.getsockname())
                transport.close()
                await protocol.closed()
                await turns(1)
                assert protocol.transport is transport
                return transport, protocol

    assert_collected(lambda: loop.run_until_complete(life()))


@pytest.mark.weft_only("asyncio's call_soon refuses: the socket stays open until it is collected")
def test_a_transport_closed_after_its_loop_closes_its_socket(loop_factory):
    loop = loop_factory()
    transport, protocol = loop.run_until_complete(
        loop.create_datagram_endpoint(Datagrams, local_addr=(HOST, 0))
    )
    address = address_of(transport)
    loop.close()
    transport.close()
    bound(address=address).close()
    assert protocol.events == ["made"]


async def test_two_endpoints_talk_to_each_other():
    async with endpoint() as (one, heard_by_one), endpoint() as (two, heard_by_two):
        for number in range(50):
            one.sendto(b"%d" % number, address_of(two))
            await heard_by_two.arrived(number + 1)
            two.sendto(b"%d" % number, heard_by_two.datagrams[-1][1])
            await heard_by_one.arrived(number + 1)
        assert heard_by_one.datagrams[-1] == (b"49", address_of(two))
