"""getaddrinfo and getnameinfo answer what the socket module answers."""

from __future__ import annotations

import asyncio
import socket

import pytest

from tests.support.net import HOST, has_ipv6


@pytest.mark.parametrize(
    "arguments",
    [
        ((HOST, 80), {}),
        ((HOST, 80), {"type": socket.SOCK_STREAM}),
        ((HOST, "80"), {"type": socket.SOCK_STREAM}),
        ((HOST, None), {"type": socket.SOCK_DGRAM}),
        ((HOST, 80), {"family": socket.AF_INET, "proto": socket.IPPROTO_TCP}),
        (("::1", 80), {"type": socket.SOCK_STREAM}),
        (("::1", 80), {"family": socket.AF_INET6, "type": socket.SOCK_STREAM}),
        ((None, 80), {"type": socket.SOCK_STREAM, "flags": socket.AI_PASSIVE}),
        (("localhost", 80), {"type": socket.SOCK_STREAM}),
        ((b"127.0.0.1", 80), {"type": socket.SOCK_STREAM}),
        (("localhost", "http"), {"type": socket.SOCK_STREAM}),
    ],
    ids=str,
)
async def test_getaddrinfo_answers_as_the_socket_module(loop, arguments):
    args, kwargs = arguments
    try:
        expected, refusal = socket.getaddrinfo(*args, **kwargs), None
    except OSError as error:
        refusal = error
    if refusal is None:
        assert await loop.getaddrinfo(*args, **kwargs) == expected
    else:
        with pytest.raises(type(refusal)) as caught:
            await loop.getaddrinfo(*args, **kwargs)
        assert caught.value.args == refusal.args


async def test_the_answers_have_the_enums_of_the_socket_module(loop):
    ((family, kind, _, _, _),) = await loop.getaddrinfo(HOST, 80, type=socket.SOCK_STREAM)
    assert isinstance(family, socket.AddressFamily)
    assert isinstance(kind, socket.SocketKind)


@pytest.mark.skipif(not has_ipv6(), reason="no IPv6 here")
async def test_the_zone_of_an_ipv6_address_is_kept(loop):
    """A dropped scope id sends packets to the wrong interface."""
    expected = socket.getaddrinfo("fe80::1%lo", 80, type=socket.SOCK_STREAM)
    assert await loop.getaddrinfo("fe80::1%lo", 80, type=socket.SOCK_STREAM) == expected
    assert expected[0][4][3] == socket.if_nametoindex("lo")


async def test_an_unknown_service_raises_gaierror(loop):
    with pytest.raises(socket.gaierror):
        await loop.getaddrinfo(HOST, "no-such-service")


async def test_a_family_that_does_not_fit_raises_gaierror(loop):
    with pytest.raises(socket.gaierror):
        await loop.getaddrinfo(HOST, 80, family=socket.AF_INET6)


async def test_the_loop_goes_on_while_a_name_is_looked_up(loop):
    looking = asyncio.ensure_future(loop.getaddrinfo("localhost", 80))
    turned = 0
    while not looking.done():
        await asyncio.sleep(0)
        turned += 1
    assert await looking
    assert turned >= 1


async def test_many_names_are_looked_up_at_once(loop):
    lookups = [loop.getaddrinfo(HOST, port, type=socket.SOCK_STREAM) for port in range(1, 101)]
    answers = await asyncio.gather(*lookups)
    assert [answer[0][4] for answer in answers] == [(HOST, port) for port in range(1, 101)]


async def test_getaddrinfo_may_be_replaced_on_the_loop(loop):
    """Test suites of other projects put a fake resolver there."""

    async def fake(host, port, **_):
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (host, port))]

    loop.getaddrinfo = fake
    assert (await loop.getaddrinfo("no.such.host", 1))[0][4] == ("no.such.host", 1)
    del loop.getaddrinfo
    assert await loop.getaddrinfo(HOST, 1)


async def test_getnameinfo_answers_as_the_socket_module(loop):
    flags = socket.NI_NUMERICHOST | socket.NI_NUMERICSERV
    assert await loop.getnameinfo((HOST, 80), flags) == (HOST, "80")


async def test_getnameinfo_raises_as_the_socket_module(loop):
    with pytest.raises(socket.gaierror):
        await loop.getnameinfo(("not an address", 80), 0)
