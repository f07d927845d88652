"""redis-py's asyncio client on the loop under test."""

from __future__ import annotations

import asyncio
import os

import pytest
import redis.asyncio
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from tests.ecosystem.services import HOST, PORTS, needs, relay

pytestmark = needs("Redis")

LARGE = os.urandom(4 << 20)
PREFIX = f"weft:{os.getpid()}:"


def connect(port=PORTS["Redis"], **options):
    return redis.asyncio.Redis(host=HOST, port=port, **options)


async def test_many_tasks_share_a_client():
    async with connect() as client:

        async def one(number):
            key = f"{PREFIX}{number}"
            await client.set(key, number, ex=60)
            assert int(await client.incr(key)) == number + 1
            assert await client.getdel(key) == b"%d" % (number + 1)

        async with asyncio.TaskGroup() as group:
            for number in range(100):
                group.create_task(one(number))
        await client.set(f"{PREFIX}large", LARGE, ex=60)
        assert await client.getdel(f"{PREFIX}large") == LARGE


async def test_pipelines_and_transactions():
    async with connect() as client, client.pipeline(transaction=True) as pipe:
        for number in range(1000):
            pipe.rpush(f"{PREFIX}list", number)
        pipe.lrange(f"{PREFIX}list", 0, -1)
        pipe.delete(f"{PREFIX}list")
        results = await pipe.execute()
        assert results[-2] == [b"%d" % number for number in range(1000)]


async def test_a_blocking_pop_waits_times_out_and_can_be_cancelled():
    key = f"{PREFIX}queue"
    async with connect(client_name=key) as client, connect() as other:
        assert await client.blpop(key, timeout=0.01) is None
        for _ in range(5):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.01):
                    await client.blpop(key)
        popping = asyncio.create_task(client.blpop(key))
        while not await is_blocked(other, key):
            assert not popping.done()
        await other.rpush(key, b"item")
        assert await popping == (key.encode(), b"item")


async def is_blocked(client, name):
    """Whether a connection of this name waits in a blocking command."""
    clients = await client.client_list()
    return any(entry["name"] == name and "b" in entry["flags"] for entry in clients)


async def test_publish_and_subscribe():
    async with connect() as client, client.pubsub() as listener:
        channel = f"{PREFIX}news"
        await listener.subscribe(channel)
        assert (await listener.get_message(timeout=5))["type"] == "subscribe"

        async def publish():
            for number in range(200):
                assert await client.publish(channel, number) == 1

        publishing = asyncio.create_task(publish())
        for number in range(200):
            message = await listener.get_message(ignore_subscribe_messages=True, timeout=5)
            assert message["data"] == b"%d" % number
        await publishing
        assert await listener.get_message(timeout=0.01) is None


async def test_a_cut_connection_fails_once_and_is_replaced():
    async with relay("Redis") as between:
        no_retry = Retry(NoBackoff(), 0)
        async with connect(between.port, retry=no_retry, single_connection_client=True) as client:
            await client.ping()
            popping = asyncio.create_task(client.blpop(f"{PREFIX}nothing"))
            await asyncio.sleep(0.01)
            between.cut()
            with pytest.raises(redis.ConnectionError):
                await popping
            assert await client.ping()
            assert between.connections == 2
