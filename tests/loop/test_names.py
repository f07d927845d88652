"""getaddrinfo and getnameinfo answer what the socket module answers."""

from __future__ import annotations

import asyncio
import socket

import pytest

from tests.support.net import HOST, has_ipv6
from tests.support.scripts import check_script


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


HOSTS = [HOST, b"127.0.0.1", "::1", "::", "0.0.0.0", "255.255.255.255", "::ffff:1.2.3.4", "1.2.3"]
PORTS = [80, 0, 65535, True, "80", "080", None]
# Refused by libc, or by Python before it.
WRONG = [
    ("1.2.3.4.5", 80, {}),
    ("1.2.3.256", 80, {}),
    (" 127.0.0.1", 80, {}),
    ("::1::", 80, {}),
    (HOST, 65536, {}),
    (HOST, -1, {}),
    (HOST, "", {}),
    (HOST, 80.0, {}),
    (HOST, [80], {}),
    (HOST, 80, {"type": 99}),
    (HOST, 80, {"type": "stream"}),
    (HOST, 80, {"type": []}),
    (HOST, 80, {"family": socket.AF_INET6}),
    ("::1", 80, {"family": socket.AF_INET}),
    (HOST, 80, {"family": socket.AF_UNIX}),
    (HOST, "http", {"flags": socket.AI_NUMERICSERV}),
    ("\0", 80, {"flags": socket.AI_NUMERICHOST}),
]


async def assert_same(loop, host, port, **options):
    """The loop's answer or error is that of the socket module, twice."""
    try:
        expected, refusal = socket.getaddrinfo(host, port, **options), None
    except Exception as error:
        expected, refusal = None, error
    for _ in range(2):
        if refusal is None:
            answer = await loop.getaddrinfo(host, port, **options)
            assert answer == expected
            for mine, theirs in zip(answer, expected, strict=True):
                assert [type(part) for part in mine] == [type(part) for part in theirs]
        else:
            with pytest.raises(type(refusal)) as caught:
                await loop.getaddrinfo(host, port, **options)
            assert caught.value.args == refusal.args


@pytest.mark.parametrize("host", HOSTS, ids=str)
@pytest.mark.parametrize("port", PORTS, ids=repr)
async def test_a_literal_gets_the_answer_of_the_socket_module(loop, host, port):
    await assert_same(loop, host, port)
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_RAW):
        await assert_same(loop, host, port, type=kind)
    for proto in (socket.IPPROTO_TCP, socket.IPPROTO_UDP, socket.IPPROTO_ICMP):
        await assert_same(loop, host, port, proto=proto)
    for flags in (
        socket.AI_PASSIVE,
        socket.AI_CANONNAME,
        socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
        socket.AI_ADDRCONFIG,
        socket.AI_V4MAPPED,
    ):
        await assert_same(loop, host, port, flags=flags)


@pytest.mark.parametrize(("host", "port", "options"), WRONG, ids=repr)
async def test_what_the_socket_module_refuses_is_refused_in_its_words(loop, host, port, options):
    await assert_same(loop, host, port, **options)


@pytest.mark.weft_only("asyncio asks its executor")
async def test_a_literal_needs_no_thread(loop):
    assert await loop.getaddrinfo(HOST, 80)
    assert await loop.getaddrinfo("::1", 80, type=socket.SOCK_STREAM)
    flags = socket.NI_NUMERICHOST | socket.NI_NUMERICSERV
    assert await loop.getnameinfo((HOST, 80), flags) == (HOST, "80")
    assert loop._default_executor is None


async def test_an_answer_belongs_to_its_caller(loop):
    first = await loop.getaddrinfo(HOST, 80)
    first.clear()
    assert await loop.getaddrinfo(HOST, 80)


async def test_a_resolver_put_into_the_socket_module_is_asked(loop, monkeypatch):
    """Test suites put fakes there, and guards that allow no network."""
    fake = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.1", 1))]
    assert await loop.getaddrinfo(HOST, 1)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_: fake)
    assert await loop.getaddrinfo(HOST, 1) == fake
    monkeypatch.setattr(socket, "getnameinfo", lambda *_: ("fake", "0"))
    flags = socket.NI_NUMERICHOST | socket.NI_NUMERICSERV
    assert await loop.getnameinfo((HOST, 80), flags) == ("fake", "0")


def test_a_resolver_that_was_there_before_the_loop_is_asked_every_time(flavour):
    check_script(
        flavour,
        """
        asked = []
        socket.getaddrinfo = lambda *args: asked.append(args) or []
        sys.modules.pop("weft.names", None)
        sys.modules.pop("weft.event_loop", None)
        sys.modules.pop("weft", None)
        make_loop = factory_of(sys.argv[1])

        async def main():
            for _ in range(3):
                await asyncio.get_running_loop().getaddrinfo("127.0.0.1", 80)
            assert len(asked) == 3, asked

        with asyncio.Runner(loop_factory=make_loop) as runner:
            runner.run(main())
        """.replace("sys.argv[1]", repr(flavour)),
    )


def test_every_answer_is_audited(flavour):
    """An audit hook sees who asks, remembered answer or not (PEP 578)."""
    check_script(
        flavour,
        """
        seen = set()
        sys.addaudithook(lambda event, args: event == "socket.getaddrinfo" and seen.add(args[:2]))

        async def main():
            loop = asyncio.get_running_loop()
            for _ in range(3):
                await loop.getaddrinfo("127.0.0.1", 80)
                assert ("127.0.0.1", 80) in seen
                seen.clear()

        with asyncio.Runner(loop_factory=make_loop) as runner:
            runner.run(main())
        """,
    )


async def test_debug_mode_logs_a_literal_like_any_other(loop, caplog):
    loop.set_debug(True)
    with caplog.at_level("DEBUG", logger="asyncio"):
        await loop.getaddrinfo(HOST, 80)
    assert "Get address info 127.0.0.1:80" in caplog.text


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
