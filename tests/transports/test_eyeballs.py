"""create_connection to a name with several addresses: order, delay, and what all failures give."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys

import pytest

from tests.support.net import HOST, echo_server
from tests.support.protocols import Recorder

STREAM = socket.SOCK_STREAM


def v4(host, port=1):
    return (socket.AF_INET, STREAM, 6, "", (host, port))


def v6(host, port=1):
    return (socket.AF_INET6, STREAM, 6, "", (host, port, 0, 0))


@contextlib.contextmanager
def resolved(loop, *addresses):
    """Every name has these addresses."""

    async def getaddrinfo(*_, **__):
        return list(addresses)

    loop.getaddrinfo = getaddrinfo
    try:
        yield
    finally:
        del loop.getaddrinfo


@contextlib.contextmanager
def tried(loop):
    """The hosts in the order of the attempts; each is refused."""
    hosts = []

    async def sock_connect(_sock, address):
        hosts.append(address[0])
        raise ConnectionRefusedError(111, "refused")

    loop.sock_connect = sock_connect
    try:
        yield hosts
    finally:
        del loop.sock_connect


@contextlib.contextmanager
def silent_address():
    """An address of the loopback that answers no SYN: its queue of connections is full."""
    with contextlib.ExitStack() as stack:
        lsock = stack.enter_context(socket.socket())
        lsock.bind((HOST, 0))
        lsock.listen(0)
        for _ in range(4):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                filler.connect(lsock.getsockname())
        yield lsock.getsockname()


ADDRESSES = (v6("2001:db8::1"), v6("2001:db8::2"), v4("192.0.2.1"), v4("192.0.2.2"))
ONE, TWO, THREE, FOUR = (address[4][0] for address in ADDRESSES)


@pytest.mark.parametrize(
    ("options", "order"),
    [
        ({}, [ONE, TWO, THREE, FOUR]),
        ({"interleave": 1}, [ONE, THREE, TWO, FOUR]),
        ({"interleave": 2}, [ONE, TWO, THREE, FOUR]),
        ({"happy_eyeballs_delay": 5}, [ONE, THREE, TWO, FOUR]),
        ({"happy_eyeballs_delay": 5, "interleave": 0}, [ONE, TWO, THREE, FOUR]),
    ],
    ids=str,
)
async def test_addresses_are_tried_in_the_order_that_was_asked_for(loop, options, order):
    """RFC 8305, section 4: families take turns."""
    with resolved(loop, *ADDRESSES), tried(loop) as hosts, pytest.raises(OSError):
        await loop.create_connection(Recorder, "name.test", 1, **options)
    assert hosts == order


@pytest.mark.parametrize("options", [{}, {"happy_eyeballs_delay": 5}], ids=str)
@pytest.mark.skipif(sys.version_info < (3, 12), reason="all_errors is new in 3.12")
async def test_all_errors_has_one_for_each_address(loop, options):
    with resolved(loop, *ADDRESSES), tried(loop), pytest.raises(ExceptionGroup) as caught:
        await loop.create_connection(Recorder, "name.test", 1, all_errors=True, **options)
    assert len(caught.value.exceptions) == 4
    assert all(isinstance(error, ConnectionRefusedError) for error in caught.value.exceptions)


async def test_an_address_that_is_silent_does_not_hold_up_the_next(loop):
    """RFC 8305, section 5: the next attempt starts after the delay."""
    with silent_address() as silent, echo_server() as answering:
        with resolved(loop, v4(*silent), v4(*answering)):
            connecting = loop.create_connection(Recorder, "name.test", 1, happy_eyeballs_delay=0.01)
            transport, protocol = await asyncio.wait_for(connecting, 5)
        assert transport.get_extra_info("peername") == answering
        transport.close()
        await protocol.closed()


async def test_without_a_delay_a_silent_address_is_waited_for(loop):
    with (
        silent_address() as silent,
        echo_server() as answering,
        resolved(loop, v4(*silent), v4(*answering)),
        pytest.raises(TimeoutError),
    ):
        await asyncio.wait_for(loop.create_connection(Recorder, "name.test", 1), 0.1)
