"""Protocols that call back into their transport, from every callback: as asyncio would have it.

Each case is one life of a connection, with one action taken inside one callback. What the
protocols heard, what was reported and what the peer received must be the same as on asyncio's
loop, which plays the same life beside it.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import select
import socket

import pytest

from tests.support.loops import factory_of, finish, turns
from tests.support.net import fill, tcp_pair, unix_pair
from tests.support.protocols import Log

CALLBACKS = (
    "connection_made",
    "data_received",
    "get_buffer",
    "buffer_updated",
    "eof_received",
    "pause_writing",
    "resume_writing",
    "connection_lost",
)
OF_BUFFERED = {"get_buffer", "buffer_updated"}


def set_protocol(protocol, transport):
    transport.set_protocol(Actor(protocol.life, "second"))


def pause_and_resume(_protocol, transport):
    transport.pause_reading()
    transport.resume_reading()


def pause_for_a_turn(_protocol, transport):
    transport.pause_reading()
    asyncio.get_running_loop().call_soon(transport.resume_reading)


def write_much(_protocol, transport):
    transport.write(b"+" * 300_000)


def fail(_protocol, _transport):
    raise LookupError("by the protocol")


def write_and_fail(_protocol, transport):
    transport.write(b"!")
    raise LookupError("after a write")


def close_and_fail(_protocol, transport):
    transport.close()
    raise LookupError("after close")


def call(*names):
    """Calls these methods of the transport, one after the other."""
    arguments = {"write": (b"!",), "writelines": ([b"!", b"?"],), "set_write_buffer_limits": (0,)}

    def action(_protocol, transport):
        for name in names:
            getattr(transport, name)(*arguments.get(name, ()))

    action.__name__ = "_and_".join(names)
    return action


ACTIONS = [
    call("close"),
    call("abort"),
    call("close", "abort"),
    call("abort", "close"),
    call("write"),
    call("writelines"),
    call("write", "close"),
    call("write", "abort"),
    call("write_eof"),
    call("write", "write_eof", "close"),
    call("set_write_buffer_limits"),
    call("get_write_buffer_size"),
    pause_and_resume,
    pause_for_a_turn,
    set_protocol,
    write_much,
    fail,
    write_and_fail,
    close_and_fail,
]


class Life:
    """One connection, what is to be done in it, and what was seen."""

    def __init__(self, callback, action):
        self.callback, self.action = callback, action
        self.acted = False
        self.seen = []


class Actor(Log):
    """Notes each callback, and takes the life's action in the first that it is meant for."""

    def __init__(self, life, name="first"):
        super().__init__()
        self.life, self.name = life, name

    def hear(self, callback, detail=""):
        entry = f"{self.name}.{callback}{detail}"
        # How many reads it takes is the loop's own affair, and whether one finds nothing.
        if callback != "get_buffer" and self.life.seen[-1:] != [entry]:
            self.life.seen.append(entry)
        if callback == self.life.callback and not self.life.acted:
            self.life.acted = True
            self.life.action(self, self.transport or self.life.transport)

    def connection_made(self, transport):
        self.transport = self.life.transport = transport
        self.hear("connection_made")

    def data_received(self, _data):
        self.hear("data_received")

    def eof_received(self):
        self.hear("eof_received")

    def pause_writing(self):
        self.hear("pause_writing")

    def resume_writing(self):
        self.hear("resume_writing")

    def connection_lost(self, exc):
        self.lost_with = exc
        self.hear("connection_lost", f"({type(exc).__name__})")


class StreamingActor(Actor, asyncio.Protocol):
    """Gets bytes."""


class BufferedActor(Actor, asyncio.BufferedProtocol):
    """Lends a buffer."""

    buffer = bytearray(4096)

    def get_buffer(self, _sizehint):
        self.hear("get_buffer")
        return self.buffer

    def buffer_updated(self, _nbytes):
        self.hear("buffer_updated")


async def live(life, pair):
    """Data, a full buffer that is drained, end of file, the end; what the peer received."""
    loop = asyncio.get_running_loop()
    ours, theirs = pair
    theirs.setblocking(False)
    received = bytearray()
    kind = BufferedActor if life.callback in OF_BUFFERED else StreamingActor
    fd = ours.fileno()
    transport, _ = await loop.create_connection(lambda: kind(life), sock=ours)
    await say(fd, theirs, b"one")
    if is_writable(transport):
        transport.set_write_buffer_limits(0)
        ours_is_full = fill(ours)
        transport.write(b"~" * 10)
        await turns(2)
        await drain(theirs, received, ours_is_full)
    await say(fd, theirs, b"two")
    with contextlib.suppress(OSError):  # the connection may be gone
        theirs.shutdown(socket.SHUT_WR)
    await settle(fd)
    await drain(theirs, received, 0)
    if not transport.is_closing():
        transport.close()
    await drain(theirs, received, 0)
    theirs.close()
    await turns(6)
    return bytes(received).replace(b"\0", b"")


def is_writable(transport):
    """Whether an action has ended neither the connection nor its writing half."""
    try:
        transport.write(b"")
    except RuntimeError:
        return False
    return not transport.is_closing()


async def say(fd, peer, data):
    """The peer sends, the kernel has delivered, and the loop has had its turns."""
    try:
        peer.send(data)
    except ConnectionError:
        return
    await settle(fd)


async def settle(fd):
    """What was sent over the loopback is there at once, or nearly so."""
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    poll.poll(20)
    await turns(4)


async def drain(peer, received, at_least):
    """Read what the loop has sent until it has nothing more to send."""
    idle = 0
    while idle < 4 or len(received) < at_least:
        try:
            data = peer.recv(1 << 20)
        except BlockingIOError:
            data = b""
        except ConnectionError:
            return
        received += data
        idle = 0 if data else idle + 1
        await turns(2)


def play(loop, callback, action, make_pair):
    """A life on this loop: everything that could be noticed."""
    life = Life(callback, action)
    reports = []
    loop.set_exception_handler(lambda _loop, context: reports.append(repr(context["exception"])))
    received = loop.run_until_complete(live(life, make_pair()))
    life.transport = None
    return life.seen, reports, received


@functools.cache
def on_asyncio(callback, action, make_pair):
    loop = factory_of("asyncio")()
    try:
        seen, reports, received = play(loop, callback, action, make_pair)
    finally:
        finish(loop)
    # Closed in resume_writing, asyncio's transport stumbles over itself and reports that.
    return seen, [report for report in reports if "LookupError" in report], received


def ends(action):
    return "close" in action.__name__ or "abort" in action.__name__


CASES = [
    pytest.param(callback, action, id=f"{callback}-{action.__name__}")
    for callback in CALLBACKS
    for action in ACTIONS
    # See the tests below.
    if callback != "get_buffer" or (action is not set_protocol and not ends(action))
]
on_pairs = pytest.mark.parametrize("make_pair", [tcp_pair, unix_pair], ids=["tcp", "unix"])
weft_only = pytest.mark.weft_only("asyncio's loop is what it is compared with")


@weft_only
@on_pairs
@pytest.mark.parametrize(("callback", "action"), CASES)
def test_an_action_in_a_callback_has_asyncios_effect(loop, callback, action, make_pair):
    expected = on_asyncio(callback, action, make_pair)
    seen, reports, received = play(loop, callback, action, make_pair)
    assert (seen, reports, received) == expected
    assert sum("connection_lost" in entry for entry in seen) == 1


@weft_only
@on_pairs
@pytest.mark.parametrize("action", list(filter(ends, ACTIONS)), ids=lambda action: action.__name__)
def test_nothing_is_read_into_a_buffer_whose_lender_has_closed(loop, action, make_pair):
    """asyncio reads once more, and calls buffer_updated after close()."""
    seen, reports, _ = play(loop, "get_buffer", action, make_pair)
    assert seen[:1] == ["first.connection_made"]
    assert [entry.partition("(")[0] for entry in seen[1:]] == ["first.connection_lost"]
    assert len(reports) == (action is close_and_fail)


@weft_only
@on_pairs
def test_the_lender_of_a_buffer_hears_what_was_read_into_it(loop, make_pair):
    """asyncio tells the protocol that has taken its place, which may not even lend buffers."""
    seen, reports, _ = play(loop, "get_buffer", set_protocol, make_pair)
    assert seen[:2] == ["first.connection_made", "first.buffer_updated"]
    assert seen[-2:] == ["second.eof_received", "second.connection_lost(NoneType)"]
    assert reports == []
