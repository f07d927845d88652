"""The context variables that protocol callbacks see."""

from __future__ import annotations

import asyncio
import contextvars
from typing import ClassVar

from tests.support.datagrams import Datagrams, bound, endpoint
from tests.support.loops import turns
from tests.support.net import tcp_pair, unix_pair
from tests.support.pipes import reading
from tests.support.protocols import Recorder, address_of, connection, serving

VARIABLE = contextvars.ContextVar("VARIABLE", default="default")


class Observing(Recorder):
    """Notes the variable in each callback."""

    def __init__(self):
        super().__init__()
        self.seen = {}

    def note(self, event):
        self.seen[event] = VARIABLE.get()
        super().note(event)


async def test_callbacks_see_the_context_in_which_the_connection_was_made():
    VARIABLE.set("connecting")
    async with connection(Observing()) as (_, protocol, peer):
        VARIABLE.set("later")
        await peer.send(b"x")
        await protocol.received(1)
        peer.close()
        await protocol.closed()
    assert protocol.seen["made"] == "connecting"
    assert protocol.seen["data"] == "connecting"
    assert protocol.seen["eof"] == "connecting"


async def test_connections_of_a_server_see_the_context_in_which_it_was_started(loop):
    servers = []

    def factory():
        servers.append(Observing())
        return servers[-1]

    VARIABLE.set("serving")
    async with serving(factory) as server:
        VARIABLE.set("later")
        transport, client = await loop.create_connection(Recorder, *address_of(server))
        transport.write(b"x")
        while not servers:
            await turns(1)
        await servers[0].received(1)
        transport.close()
        await client.closed()
        await servers[0].closed()
    assert servers[0].seen["made"] == "serving"
    assert servers[0].seen["data"] == "serving"
    servers.clear()


async def test_what_a_callback_sets_stays_in_its_connection():
    class Setting(Observing):
        def data_received(self, data):
            super().data_received(data)
            VARIABLE.set(data.decode())

    async with (
        connection(Setting(), unix_pair()) as (_, one, first),
        connection(Setting(), unix_pair()) as (_, two, second),
    ):
        await first.send(b"first")
        await one.received(5)
        await second.send(b"second")
        await two.received(6)
        assert one.seen["data"] == "default"
        assert two.seen["data"] == "default"
        assert VARIABLE.get() == "default"


async def test_what_connection_made_sets_does_not_reach_the_caller(loop):
    class Setting(Recorder):
        def connection_made(self, transport):
            super().connection_made(transport)
            VARIABLE.set("set in the callback")

    ours, theirs = tcp_pair()
    with theirs:
        transport, protocol = await loop.create_connection(Setting, sock=ours)
        assert VARIABLE.get() == "default"
        transport.close()
        await protocol.closed()


async def test_tasks_started_by_a_callback_inherit_its_context(loop):
    results = []

    class Spawning(Recorder):
        def data_received(self, data):
            super().data_received(data)
            results.append(loop.create_task(self.answer()))

        async def answer(self):
            return VARIABLE.get()

    VARIABLE.set("connecting")
    async with connection(Spawning()) as (_, protocol, peer):
        VARIABLE.set("later")
        await peer.send(b"x")
        await protocol.received(1)
        assert await results[0] == "connecting"


async def test_two_requests_of_one_connection_may_run_as_separate_tasks():
    """A value set by the task of one request is not seen by the task of the next."""
    seen = []

    class Serving(Recorder):
        def data_received(self, data):
            super().data_received(data)
            seen.append(asyncio.ensure_future(self.handle(data)))

        async def handle(self, data):
            before = VARIABLE.get()
            VARIABLE.set(data)
            return before

    async with connection(Serving()) as (_, protocol, peer):
        for number in (1, 2):
            await peer.send(b"%d" % number)
            await protocol.received(number)
        assert [await task for task in seen] == ["default", "default"]


async def test_callbacks_of_pipes_see_the_context_in_which_they_were_connected():
    VARIABLE.set("connecting")
    async with reading(Observing()) as (_, protocol, end):
        VARIABLE.set("later")
        end.write(b"x")
        await protocol.received(1)
        end.close()
        await protocol.closed()
    seen = protocol.seen
    assert [seen[event] for event in ("made", "data", "eof", "lost")] == 4 * ["connecting"]


async def test_callbacks_of_datagram_endpoints_see_the_context_in_which_they_were_made():
    class ObservingDatagrams(Datagrams):
        seen: ClassVar = {}

        def note(self, event):
            self.seen[event] = VARIABLE.get()
            super().note(event)

    VARIABLE.set("making")
    with bound() as peer:
        async with endpoint(ObservingDatagrams()) as (transport, protocol):
            VARIABLE.set("later")
            peer.sendto(b"x", transport.get_extra_info("sockname"))
            await protocol.arrived(1)
    assert protocol.seen["made"] == "making"
    assert protocol.seen["datagram"] == "making"
