"""Libraries between threads and the loop: aiofiles, janus, asgiref; and two kinds of loops."""

from __future__ import annotations

import asyncio
import contextvars
import os
import queue
import threading

import aiofiles
import aiofiles.os
import aiosqlite
import asgiref.sync
import janus
import pytest
import uvloop

from tests.support.net import HOST


async def test_aiofiles(tmp_path):
    async def one(number):
        path = tmp_path / str(number)
        async with aiofiles.open(path, "wb") as file:
            await file.write(os.urandom(100_000))
        assert (await aiofiles.os.stat(path)).st_size == 100_000
        async with aiofiles.open(path, "rb") as file:
            assert sum([len(line) async for line in file]) == 100_000

    async with asyncio.TaskGroup() as group:
        for number in range(30):
            group.create_task(one(number))


async def test_aiosqlite(tmp_path):
    async with aiosqlite.connect(tmp_path / "database") as database:
        await database.execute("create table items (number int)")
        await database.executemany("insert into items values (?)", [(n,) for n in range(1000)])
        await database.commit()
        async with database.execute("select number from items") as cursor:
            assert [number async for (number,) in cursor] == list(range(1000))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await database.execute("select 1")


async def test_janus_joins_a_thread_and_a_task():
    items = janus.Queue(maxsize=10)
    echoes = janus.Queue(maxsize=10)

    def work():
        while (item := items.sync_q.get()) is not None:
            echoes.sync_q.put(item)

    thread = threading.Thread(target=work)
    thread.start()

    async def produce():
        for number in range(2000):
            await items.async_q.put(number)
        await items.async_q.put(None)

    producing = asyncio.create_task(produce())
    assert [await echoes.async_q.get() for _ in range(2000)] == list(range(2000))
    await producing
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.001):
            await echoes.async_q.get()
    with pytest.raises(queue.Empty):
        echoes.sync_q.get_nowait()
    thread.join()
    await items.aclose()
    await echoes.aclose()


async def test_asgiref_crosses_both_ways_with_the_context():
    seen = contextvars.ContextVar("seen", default=0)

    async def back():
        seen.set(seen.get() + 1)
        return asyncio.get_running_loop()

    def work():
        seen.set(seen.get() + 1)
        return asgiref.sync.async_to_sync(back)()

    async def one():
        assert await asgiref.sync.sync_to_async(work)() is asyncio.get_running_loop()
        assert seen.get() == 2

    # A context of its own: the executor that all others share lives as long as the process.
    async with asgiref.sync.ThreadSensitiveContext(), asyncio.TaskGroup() as group:
        for _ in range(30):
            group.create_task(one())


@pytest.fixture(scope="module")
def warm_uvloop():
    """What uvloop opens once a process is no test's debt."""
    uvloop.run(asyncio.sleep(0))


@pytest.mark.usefixtures("warm_uvloop")
def test_a_uvloop_in_another_thread_talks_to_this_loop(loop):
    """Two runtimes in one process: signals, child watchers and thread state must not mix."""
    address = loop.create_future()

    async def echo(reader, writer):
        writer.write(await reader.read())
        writer.close()
        await writer.wait_closed()

    async def serve(done):
        server = await asyncio.start_server(echo, HOST, 0)
        name = server.sockets[0].getsockname()
        loop.call_soon_threadsafe(address.set_result, (asyncio.get_running_loop(), name))
        await done.wait()
        server.close()
        await server.wait_closed()

    async def ask(name, number):
        reader, writer = await asyncio.open_connection(*name)
        writer.write(b"%d" % number * 10_000)
        writer.write_eof()
        assert await reader.read() == b"%d" % number * 10_000
        writer.close()
        await writer.wait_closed()

    async def main():
        done = asyncio.Event()
        thread = threading.Thread(target=uvloop.run, args=(serve(done),))
        thread.start()
        other, name = await address
        assert type(other) is uvloop.Loop
        async with asyncio.TaskGroup() as group:
            for number in range(20):
                group.create_task(ask(name, number))
        answer = asyncio.run_coroutine_threadsafe(asyncio.sleep(0, "from uvloop"), other)
        assert await asyncio.wrap_future(answer) == "from uvloop"
        other.call_soon_threadsafe(done.set)
        await asyncio.to_thread(thread.join)

    loop.run_until_complete(main())


def test_top_level_await_keeps_one_loop_between_inputs(raw_loop_factory):
    """What IPython does: one runner, one loop, a run for each input, an interrupt between two."""
    with asyncio.Runner(loop_factory=raw_loop_factory) as runner:
        background = runner.run(in_background(asyncio.sleep(0.001, "later")))
        assert runner.run(asyncio.sleep(0, "now")) == "now"
        with pytest.raises(KeyboardInterrupt):
            runner.run(interrupted())
        assert runner.run(awaited(background)) == "later"


async def in_background(coro):
    return asyncio.create_task(coro)


async def interrupted():
    raise KeyboardInterrupt


async def awaited(task):
    return await task
