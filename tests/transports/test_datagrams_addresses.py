"""Datagram endpoints: addresses of every family, written as Python's socket writes them."""

from __future__ import annotations

import os
import socket
import sys

import pytest

from tests.support.datagrams import (
    HOST6,
    address_of,
    bound,
    endpoint,
)
from tests.support.loops import turns
from tests.support.net import HOST, has_ipv6

needs_ipv6 = pytest.mark.skipif(not has_ipv6(), reason="the loopback has no IPv6 address")


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


async def test_the_methods_of_a_subclass_are_called():
    calls = []

    class Watched(socket.socket):
        def recvfrom(self, *arguments):
            calls.append("recvfrom")
            return super().recvfrom(*arguments)

        def sendto(self, *arguments):
            calls.append("sendto")
            return super().sendto(*arguments)

    ours = Watched(socket.AF_INET, socket.SOCK_DGRAM)
    ours.bind((HOST, 0))
    with bound() as peer:
        async with endpoint(sock=ours) as (transport, protocol):
            transport.sendto(b"x", peer.getsockname())
            assert peer.recvfrom(10) == (b"x", address_of(transport))
            peer.sendto(b"y", address_of(transport))
            await protocol.arrived(1)
            assert protocol.datagrams == [(b"y", peer.getsockname())]
    assert calls[:2] == ["sendto", "recvfrom"]


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


@pytest.mark.weft_only("asyncio sends by address where getpeername() is empty, and fails")
async def test_one_end_of_a_pair_sends_to_the_other():
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    theirs.settimeout(1)
    with theirs:
        async with endpoint(sock=ours) as (transport, protocol):
            transport.sendto(b"x")
            assert theirs.recv(10) == b"x"
            theirs.send(b"y")
            await protocol.arrived(1)
            assert protocol.datagrams == [(b"y", None)]
