"""Faults that hit several connections, or a connection and the loop itself."""

from __future__ import annotations

import asyncio
import contextlib
import gc

import pytest

from tests.support.loops import turns
from tests.support.net import fill, nonblocking_pair, pair_at, unix_pair
from tests.support.protocols import BufferedRecorder, Echo, Recorder, connection
from tests.support.scripts import check_script

# every callback may end the program


class Exiting:
    """Raises an exit in the callback that it is told, once."""

    def __init__(self, callback, kind):
        super().__init__()
        self.callback, self.kind = callback, kind

    def note(self, event):
        if event == self.callback:
            self.callback = None
            super().note(event)
            raise self.kind("leave")
        super().note(event)


class ExitingStream(Exiting, Recorder):
    pass


class ExitingBuffered(Exiting, BufferedRecorder):
    def get_buffer(self, sizehint):
        self.note("lend")
        return super().get_buffer(sizehint)


on_asyncio_it_stumbles = pytest.mark.weft_only("asyncio then writes its empty buffer for ever")
CALLBACKS = [
    *("made", "data", "lend", "updated", "eof", "pause", "lost"),
    pytest.param("resume", marks=on_asyncio_it_stumbles),
]


async def whole_life(protocol, sockets):
    """Data, a full buffer that is drained, end of file."""
    ours, theirs = sockets
    transport, _ = await asyncio.get_running_loop().create_connection(lambda: protocol, sock=ours)
    theirs.send(b"x")
    await turns(4)
    transport.set_write_buffer_limits(0)
    filled = fill(ours)
    asyncio.get_running_loop().call_soon(transport.write, b"y")
    await turns(3)
    while filled > 0:
        filled -= len(theirs.recv(1 << 20))
    await turns(4)
    theirs.shutdown(1)
    await turns(4)


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt])
@pytest.mark.parametrize("callback", CALLBACKS)
def test_an_exit_from_any_callback_leaves_the_run_once(loop, callback, kind):
    """And what is left can be run to its end."""
    buffered = callback in ("lend", "updated")
    protocol = (ExitingBuffered if buffered else ExitingStream)(callback, kind)
    sockets = unix_pair()
    with sockets[1]:
        living = loop.create_task(whole_life(protocol, sockets))
        with pytest.raises(kind, match="leave"):
            loop.run_until_complete(living)
        loop.run_until_complete(living)
        protocol.transport.abort()
        loop.run_until_complete(turns(4))
    assert protocol.events.count("lost") == 1
    assert protocol.events.count("made") == 1


@on_asyncio_it_stumbles
def test_an_exit_from_resume_writing_does_not_keep_a_closing_connection_open(loop):
    protocol = ExitingStream("resume", SystemExit)
    ours, theirs = unix_pair()

    async def close_while_the_peer_is_slow():
        transport, _ = await loop.create_connection(lambda: protocol, sock=ours)
        transport.set_write_buffer_limits(0)
        filled = fill(ours)
        transport.write(b"last")
        transport.close()
        await turns(2)
        while filled > 0:
            filled -= len(theirs.recv(1 << 20))
        await protocol.closed()

    with theirs:
        closing = loop.create_task(close_while_the_peer_is_slow())
        with pytest.raises(SystemExit, match="leave"):
            loop.run_until_complete(closing)
        loop.run_until_complete(closing)
    assert protocol.events == ["made", "pause", "resume", "lost"]


# one connection ends another


class Striking(Recorder):
    """Does something to others when its data comes."""

    def __init__(self, strike):
        super().__init__()
        self.strike = strike

    def data_received(self, data):
        super().data_received(data)
        self.strike()


@pytest.mark.parametrize("how", ["close", "abort", "pause_reading"])
async def test_a_connection_struck_in_the_turn_of_its_own_event_hears_no_more(how):
    """All of them are readable in one turn; whoever is first silences the others."""
    async with contextlib.AsyncExitStack() as stack:
        lives = []

        def strike():
            for transport, protocol, _ in lives:
                if not protocol.data:
                    getattr(transport, how)()

        for _ in range(10):
            life = connection(Striking(strike), unix_pair())
            lives.append(await stack.enter_async_context(life))
        await turns(2)
        for _, _, peer in lives:
            peer.sock.send(b"now")
        await turns(4)
        heard = [protocol for _, protocol, _ in lives if protocol.data]
        assert len(heard) == 1
        lives.clear()
        heard.clear()


async def test_a_number_taken_by_another_connection_gets_no_stale_event(loop):
    """Both are readable in one turn; the first ends the second, whose number is taken at once."""
    taken = []

    class Replacing(Recorder):
        def connection_lost(self, exc):
            super().connection_lost(exc)
            loop.call_soon(replace)

    def replace():
        ours, theirs = pair_at(number)
        taken.append(theirs)
        taken.append(loop.create_task(loop.create_connection(Recorder, sock=ours)))

    ours, theirs = unix_pair()
    number = ours.fileno()
    victim = Replacing()
    striker = Striking(lambda: victim.transport.abort())
    async with (
        connection(victim, (ours, theirs)) as (_, _, peer),
        connection(striker, unix_pair()) as (_, _, striking),
    ):
        await turns(2)
        striking.sock.send(b"strike")
        peer.sock.send(b"for the victim")
        await victim.closed()
        while len(taken) < 2:
            await turns(1)
        other, connecting = taken
        transport, protocol = await connecting
        await turns(4)
        assert protocol.events == ["made"]
        other.send(b"mine")
        assert await protocol.received(4) == b"mine"
        transport.close()
        await protocol.closed()
        other.close()
        taken.clear()


async def test_a_protocol_dropped_with_its_cycle_while_events_wait(loop):
    """The collector runs in a callback of the same turn."""
    lives = []
    for _ in range(20):
        ours, theirs = nonblocking_pair()
        transport, protocol = await loop.create_connection(Recorder, sock=ours)
        protocol.itself = protocol
        lives.append((transport, theirs))
    await turns(2)
    for transport, theirs in lives:
        theirs.send(b"x" * 1000)
        transport.abort()
    loop.call_soon(gc.collect)
    for _, theirs in lives:
        theirs.close()
    del transport, protocol, theirs, ours
    lives.clear()
    await turns(4)


# without descriptors

EXHAUSTED = """
import os, resource

class Echo(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.transport.write(data)

async def main():
    loop = asyncio.get_running_loop()
    reports = []
    loop.set_exception_handler(lambda _, context: reports.append(context["message"]))
    server = await loop.create_server(Echo, "127.0.0.1", 0)
    address = server.sockets[0].getsockname()
    reader, writer = await asyncio.open_connection(*address)
    waiting = socket.socket()
    waiting.setblocking(False)
    resource.setrlimit(resource.RLIMIT_NOFILE, (len(os.listdir("/proc/self/fd")), 4096))
    spare = []
    try:
        while True:
            spare.append(socket.socket())
    except OSError as error:
        assert error.errno == 24
    # The loop cannot accept now, and cannot connect: one is reported, the other raised.
    await loop.sock_connect(waiting, address)
    for _ in range(3):
        try:
            await loop.create_connection(asyncio.Protocol, *address)
        except OSError as error:
            assert error.errno == 24, error
        else:
            raise SystemExit("connected without descriptors")
    # What is connected is served as before.
    for number in range(200):
        writer.write(b"%03d" % number)
        assert await reader.readexactly(3) == b"%03d" % number
    assert reports and set(reports) == {"socket.accept() out of system resource"}, reports
    count = len(reports)
    while spare:
        spare.pop().close()
    # It is served when the pause is over.
    await loop.sock_sendall(waiting, b"late")
    assert await loop.sock_recv(waiting, 4) == b"late"
    waiting.close()
    writer.close()
    await writer.wait_closed()
    server.close()
    await server.wait_closed()
    print(count)

with asyncio.Runner(loop_factory=make_loop) as runner:
    runner.run(main())
"""


def test_without_descriptors_what_is_connected_is_served_and_the_rest_waits(flavour):
    reports = int(check_script(flavour, EXHAUSTED))
    if flavour == "weft":  # asyncio reports once for each place in the backlog
        assert reports == 1


# very many


async def test_ten_thousand_tasks_in_all_kinds_of_waits_are_cancelled_at_once(loop):
    ours, theirs = nonblocking_pair()
    gate, event = asyncio.Condition(), asyncio.Event()

    async def in_condition():
        async with gate:
            await gate.wait()

    async def nested():
        async with asyncio.timeout(3600), asyncio.TaskGroup() as group:
            group.create_task(asyncio.sleep(3600))

    async def shielded():
        await asyncio.shield(loop.create_future())

    waits = [
        lambda: asyncio.sleep(3600),
        event.wait,
        in_condition,
        nested,
        asyncio.Queue().get,
        lambda: loop.sock_recv(ours, 1),
        shielded,
        lambda: asyncio.wait_for(event.wait(), 3600),
    ]
    async with connection(Echo()) as (_, _, peer):
        tasks = [loop.create_task(waits[number % len(waits)]()) for number in range(10_000)]
        await turns(3)
        for task in tasks:
            task.cancel()
        done, pending = await asyncio.wait(tasks)
        assert len(done) == 10_000
        assert not pending
        assert all(task.cancelled() for task in tasks)
        await peer.send(b"still there")
        assert await peer.recv_exactly(11) == b"still there"
    ours.close()
    theirs.close()
