"""What libraries look at to find out which loop they have: each answer as on asyncio.

Beside each test stands who asks. None of it is promised by asyncio's documentation.
"""

from __future__ import annotations

import asyncio
import inspect
import sys
from unittest import mock

import anyio._backends._asyncio
import pytest

from tests.support.net import tcp_pair
from tests.support.protocols import Recorder, connection, serving


async def test_the_root_task_is_found_by_its_callback():
    """anyio's worker threads end with the task that run_until_complete waits for."""
    root = asyncio.current_task()
    found = []

    async def search():
        found.append(anyio._backends._asyncio.find_root_task())

    await asyncio.create_task(search())
    assert found == [root]
    names = {getattr(callback, "__qualname__", "") for callback, _ in root._callbacks}
    assert "_run_until_complete_cb" in names
    found.clear()


def test_the_default_executor_and_its_end_are_seen(raw_loop_factory):
    """anyio before 3.9, test_asyncio's own helpers."""
    loop = raw_loop_factory()
    assert loop._default_executor is None
    assert loop._executor_shutdown_called is False
    assert loop.run_until_complete(loop.run_in_executor(None, int)) == 0
    executor = loop._default_executor
    assert executor.submit(int).result() == 0
    loop.run_until_complete(loop.shutdown_default_executor())
    assert loop._executor_shutdown_called is True
    loop.close()


async def test_the_task_factory_is_the_object_that_was_set(loop):
    """anyio compares `get_task_factory().__code__` with that of asyncio's eager factory."""
    assert loop.get_task_factory() is None
    if sys.version_info >= (3, 12):
        loop.set_task_factory(asyncio.eager_task_factory)
        code = loop.get_task_factory().__code__
        assert code is asyncio.eager_task_factory.__code__
        assert await asyncio.create_task(asyncio.sleep(0, "eager")) == "eager"
    loop.set_task_factory(None)


async def test_the_loop_is_one_of_asyncios(loop):
    """aiohttp (eager tasks), nest_asyncio, psycopg (not a proactor)."""
    assert isinstance(loop, asyncio.AbstractEventLoop)
    assert isinstance(loop, asyncio.BaseEventLoop)
    assert not loop.is_closed()
    assert loop.get_debug() is False


async def test_handles_are_asyncios(loop):
    assert isinstance(loop.call_soon(int), asyncio.Handle)
    timer = loop.call_later(60, int)
    assert isinstance(timer, asyncio.TimerHandle)
    timer.cancel()


@pytest.mark.parametrize(
    "kind",
    [asyncio.BaseTransport, asyncio.ReadTransport, asyncio.WriteTransport, asyncio.Transport],
)
async def test_a_stream_transport_is_one_of_asyncios(kind):
    """aioapns and aiohttp's tests assert it."""
    async with connection() as (transport, _, _):
        assert isinstance(transport, kind)
        assert not isinstance(transport, asyncio.DatagramTransport)


async def test_a_transport_tells_what_it_can_do():
    """aiohttp asks before start_tls, asyncio before sendfile."""
    async with connection() as (transport, _, _):
        assert transport._start_tls_compatible is True
        assert transport._sendfile_compatible.name in ("TRY_NATIVE", "FALLBACK")
        assert transport.can_write_eof() is True
        socket = transport.get_extra_info("socket")
        assert socket.fileno() >= 0
        assert transport.get_extra_info("sslcontext") is None


async def test_a_server_is_one_of_asyncios():
    """uvicorn and hypercorn keep them; both look at `sockets`."""
    async with serving(Recorder) as server:
        assert isinstance(server, asyncio.Server)
        assert isinstance(server, asyncio.AbstractServer)
        assert len(server.sockets) == 1
    assert server.sockets == ()


async def test_watching_descriptors_is_offered(loop):
    """anyio starts a selector thread of its own where add_reader raises NotImplementedError."""
    ours, theirs = tcp_pair()
    with ours, theirs:
        loop.add_reader(ours, int)
        assert loop.remove_reader(ours) is True
        assert loop.remove_reader(ours) is False
    assert not [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]


def test_every_attribute_that_is_listed_can_be_read(loop):
    """unittest.mock (for a `spec`), debuggers, inspect."""
    assert dict(inspect.getmembers(loop))["call_soon"] == loop.call_soon
    mock.Mock(spec=loop).call_soon(int)


async def test_a_task_made_by_hand_runs(loop):
    """aiohttp makes `asyncio.Task(loop=, eager_start=)` for loops that it does not know."""
    options = {"eager_start": True} if sys.version_info >= (3, 12) else {}
    assert await asyncio.Task(asyncio.sleep(0, "made"), loop=loop, **options) == "made"
