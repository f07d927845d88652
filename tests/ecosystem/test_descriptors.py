"""Libraries that watch descriptors of their own: c-ares, ZeroMQ, a terminal."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import threading

import aiodns
import prompt_toolkit.input
import pycares
import pytest
import zmq
import zmq.asyncio
from prompt_toolkit.output import DummyOutput
from prompt_toolkit.shortcuts import PromptSession

from tests.support.net import HOST

LARGE = os.urandom(4 << 20)


# aiodns


@contextlib.contextmanager
def name_server():
    """Answers every question for an A record with 192.0.2.N for the name hostN; its port."""
    sock = socket.socket(type=socket.SOCK_DGRAM)
    sock.bind((HOST, 0))

    def serve():
        while True:
            query, client = sock.recvfrom(512)
            label = query[13 : 13 + query[12]]
            if label == b"stop":
                return
            if label == b"silent":
                continue
            header = query[:2] + bytes.fromhex("8580 0001 0001 0000 0000")
            question = query[12 : query.index(b"\0", 12) + 5]
            record = bytes.fromhex("c00c 0001 0001 0000003c 0004")
            address = bytes([192, 0, 2, int(label.removeprefix(b"host"))])
            sock.sendto(header + question + record + address, client)

    thread = threading.Thread(target=serve, name="name-server")
    thread.start()
    yield sock.getsockname()[1]
    sock.sendto(bytes(12) + b"\x04stop", sock.getsockname())
    thread.join()
    sock.close()


@pytest.fixture(scope="module")
def warm_cares():
    """The thread that closes channels is started once a process; it is no test's debt."""
    pycares.Channel(sock_state_cb=print).close()


@pytest.fixture
def no_event_thread(warm_cares, monkeypatch):
    """c-ares without a thread of its own: aiodns falls back to the loop's readers and timers."""
    channel = pycares.Channel

    def make(**options):
        if "sock_state_cb" not in options:
            raise pycares.AresError(1, "the test wants the fall-back")
        return channel(**options)

    monkeypatch.setattr(pycares, "Channel", make)
    monkeypatch.setattr(aiodns._LOGGER, "disabled", True)


@pytest.mark.usefixtures("no_event_thread")
async def test_aiodns_resolves_with_readers():
    with name_server() as port:
        resolver = aiodns.DNSResolver([HOST], udp_port=port, timeout=0.05, tries=1)

        async def resolve(number):
            result = await resolver.query_dns(f"host{number}.weft.test", "A")
            assert [record.data.addr for record in result.answer] == [f"192.0.2.{number}"]

        async with asyncio.TaskGroup() as group:
            for number in range(100):
                group.create_task(resolve(number))
        with pytest.raises(aiodns.error.DNSError):
            await resolver.query_dns("silent.weft.test", "A")
        waiting = asyncio.ensure_future(resolver.query_dns("silent.weft.test", "A"))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        await resolve(7)
        await resolver.close()


# ZeroMQ: its descriptors are edge-triggered, so one event that is missed hangs for ever


@pytest.fixture
def zmq_context():
    with zmq.asyncio.Context() as context:
        context.linger = 0
        yield context


def zmq_pair(context, one, other):
    binding, connecting = context.socket(one), context.socket(other)
    port = binding.bind_to_random_port(f"tcp://{HOST}")
    connecting.connect(f"tcp://{HOST}:{port}")
    return binding, connecting


async def test_zmq_requests_and_replies(zmq_context):
    reply, request = zmq_pair(zmq_context, zmq.REP, zmq.REQ)
    with reply, request:

        async def serve():
            while True:
                await reply.send(await reply.recv())

        serving = asyncio.create_task(serve())
        for number in range(300):
            await request.send(b"%d" % number)
            assert await request.recv() == b"%d" % number
        await request.send(LARGE)
        assert await request.recv() == LARGE
        serving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await serving


async def test_zmq_pushes_thousands_without_missing_an_edge(zmq_context):
    pull, push = zmq_pair(zmq_context, zmq.PULL, zmq.PUSH)
    with pull, push:

        async def produce():
            for number in range(5000):
                await push.send(b"%d" % number)

        producing = asyncio.create_task(produce())
        for number in range(5000):
            assert await pull.recv() == b"%d" % number
        await producing


async def test_zmq_waits_are_cancelled_and_polled(zmq_context):
    pull, push = zmq_pair(zmq_context, zmq.PULL, zmq.PUSH)
    with pull, push:
        for _ in range(20):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.001):
                    await pull.recv()
        assert await pull.poll(1) == 0
        await push.send_multipart([b"one", b"two"])
        assert await pull.poll(5000) == zmq.POLLIN
        assert await pull.recv_multipart() == [b"one", b"two"]


# prompt_toolkit


async def test_prompt_toolkit_reads_a_pipe():
    with prompt_toolkit.input.create_pipe_input() as pipe:
        session = PromptSession(input=pipe, output=DummyOutput())
        for text in ("first", "second"):
            asking = asyncio.create_task(session.prompt_async("> "))
            await asyncio.sleep(0)
            pipe.send_text(f"{text}\n")
            assert await asking == text
        asking = asyncio.create_task(session.prompt_async("> "))
        await asyncio.sleep(0.01)
        pipe.send_text("\x04")
        with pytest.raises(EOFError):
            await asking
