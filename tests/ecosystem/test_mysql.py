"""aiomysql and asyncmy against MariaDB, on the loop under test."""

from __future__ import annotations

import asyncio
import contextlib
import os

import aiomysql
import asyncmy
import pytest

from tests.ecosystem.services import HOST, PORTS, needs, relay

pytestmark = needs("MariaDB")

LARGE = os.urandom(1 << 19).hex()
DRIVERS = {"aiomysql": aiomysql, "asyncmy": asyncmy}


@pytest.fixture(params=DRIVERS)
def driver(request):
    return DRIVERS[request.param]


@contextlib.asynccontextmanager
async def pool_of(driver, port=PORTS["MariaDB"], **options):
    pool = await driver.create_pool(host=HOST, port=port, user="root", **options)
    try:
        yield pool
    finally:
        pool.close()
        await pool.wait_closed()


async def fetch(pool, query, *arguments):
    async with pool.acquire() as connection, connection.cursor() as cursor:
        await cursor.execute(query, arguments)
        return await cursor.fetchall()


async def test_a_pool_serves_many_tasks(driver):
    async with pool_of(driver, minsize=1, maxsize=6) as pool:

        async def one(number):
            rows = await fetch(pool, "select seq from mysql.seq_1_to_100 where seq <= %s", number)
            assert [seq for (seq,) in rows] == list(range(1, number + 1))

        async with asyncio.TaskGroup() as group:
            for number in range(1, 60):
                group.create_task(one(number))
        assert await fetch(pool, "select %s", LARGE) == ((LARGE,),)


async def test_a_cancelled_query_leaves_the_pool_usable(driver):
    async with pool_of(driver, minsize=1, maxsize=1) as pool:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await fetch(pool, "select sleep(60)")
        assert await fetch(pool, "select 1") == ((1,),)


async def test_a_cut_connection_is_replaced(driver):
    async with relay("MariaDB") as between, pool_of(driver, between.port, maxsize=1) as pool:
        assert await fetch(pool, "select 1") == ((1,),)
        asking = asyncio.create_task(fetch(pool, "select sleep(60)"))
        await asyncio.sleep(0.02)
        between.cut()
        with pytest.raises((driver.OperationalError, driver.InterfaceError, OSError)):
            await asking
        assert await fetch(pool, "select 2") == ((2,),)
