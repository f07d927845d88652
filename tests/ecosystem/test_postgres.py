"""asyncpg, psycopg and SQLAlchemy against PostgreSQL, on the loop under test."""

from __future__ import annotations

import asyncio
import os

import asyncpg
import psycopg
import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import create_async_engine

from tests.ecosystem.services import HOST, POSTGRES, needs, relay

pytestmark = needs("PostgreSQL")

LARGE = os.urandom(2 << 20)


async def test_asyncpg_pool_serves_many_tasks():
    async with asyncpg.create_pool(POSTGRES, min_size=1, max_size=8) as pool:

        async def one(number):
            async with pool.acquire() as connection, connection.transaction():
                rows = await connection.fetch("select * from generate_series(1, $1) n", number)
                assert [row["n"] for row in rows] == list(range(1, number + 1))

        async with asyncio.TaskGroup() as group:
            for number in range(100):
                group.create_task(one(number))
        assert await pool.fetchval("select $1::bytea", LARGE) == LARGE


@pytest.mark.parametrize("ssl", [False, "require"], ids=["plain", "tls"])
async def test_asyncpg_cancels_queries_and_goes_on(ssl):
    """From a pool: on a busy machine asyncpg gives a connection up rather than cancel on it."""
    async with asyncpg.create_pool(POSTGRES, ssl=ssl, min_size=1, max_size=1) as pool:
        for number in range(3):
            with pytest.raises(TimeoutError):
                await pool.fetch("select pg_sleep(60)", timeout=0.02)
            assert await pool.fetchval("select $1::int", number) == number
        work = asyncio.create_task(pool.fetch("select pg_sleep(60)"))
        await asyncio.sleep(0.01)
        work.cancel()
        with pytest.raises(asyncio.CancelledError):
            await work
        assert await pool.fetchval("select $1::bytea", LARGE) == LARGE


async def test_asyncpg_copies_and_listens():
    connection = await asyncpg.connect(POSTGRES)
    other = await asyncpg.connect(POSTGRES)
    try:
        heard = asyncio.Queue()
        await connection.add_listener("weft_news", lambda *news: heard.put_nowait(news[-1]))
        await connection.execute("create temp table copied (number int, words text)")
        rows = [(number, "words " * 20) for number in range(5000)]
        await connection.copy_records_to_table("copied", records=rows)
        assert await connection.fetchval("select sum(number) from copied") == sum(range(5000))
        for number in range(10):
            await other.execute("select pg_notify('weft_news', $1)", str(number))
        assert [await heard.get() for _ in range(10)] == [str(number) for number in range(10)]
        await connection.reset()
    finally:
        await connection.close()
        await other.close()


async def test_asyncpg_notices_a_cut_connection_and_connects_again():
    async with relay("PostgreSQL") as between:
        place = f"postgresql://postgres@{HOST}:{between.port}/postgres"
        async with asyncpg.create_pool(place, min_size=2, max_size=2) as pool:
            assert await pool.fetchval("select 1") == 1
            asking = asyncio.create_task(pool.fetchval("select pg_sleep(60)"))
            await asyncio.sleep(0.01)
            between.cut()
            with pytest.raises((OSError, asyncpg.PostgresConnectionError)):
                await asking
            assert await pool.fetchval("select 2") == 2


async def test_psycopg_waits_with_readers_and_writers():
    async def one(number):
        async with await psycopg.AsyncConnection.connect(POSTGRES) as connection:
            cursor = await connection.execute("select %s::int, %s::bytea", [number, LARGE])
            assert await cursor.fetchone() == (number, LARGE)

    async with asyncio.TaskGroup() as group:
        for number in range(8):
            group.create_task(one(number))


async def test_psycopg_cancels_pipelines_copies_and_listens():
    async with await psycopg.AsyncConnection.connect(POSTGRES, autocommit=True) as connection:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.02):
                await connection.execute("select pg_sleep(60)")
        async with connection.pipeline():
            cursors = [await connection.execute("select %s::int", [n]) for n in range(50)]
        assert [(await cursor.fetchone())[0] for cursor in cursors] == list(range(50))
        cursor = connection.cursor()
        await cursor.execute("create temp table copied (number int)")
        async with cursor.copy("copy copied from stdin") as copy:
            for number in range(5000):
                await copy.write_row((number,))
        await cursor.execute("select sum(number) from copied")
        assert await cursor.fetchone() == (sum(range(5000)),)
        await connection.execute("listen weft_psycopg")
        async with await psycopg.AsyncConnection.connect(POSTGRES, autocommit=True) as other:
            await other.execute("notify weft_psycopg, 'news'")
        async for news in connection.notifies(stop_after=1):
            assert news.payload == "news"


async def test_psycopg_notices_a_cut_connection():
    async with relay("PostgreSQL") as between:
        place = f"postgresql://postgres@{HOST}:{between.port}/postgres?sslmode=disable"
        connection = await psycopg.AsyncConnection.connect(place)
        asking = asyncio.create_task(connection.execute("select pg_sleep(60)"))
        await asyncio.sleep(0.01)
        between.cut()
        with pytest.raises(psycopg.OperationalError):
            await asking
        assert connection.closed
        await connection.close()


ENGINES = {
    "asyncpg": POSTGRES.replace("postgresql", "postgresql+asyncpg"),
    "psycopg": POSTGRES.replace("postgresql", "postgresql+psycopg"),
    "aiosqlite": "sqlite+aiosqlite:///{tmp_path}/database",
}
metadata = sa.MetaData()
items = sa.Table(
    "weft_items",
    metadata,
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("body", sa.LargeBinary),
    prefixes=["temporary"],
)


@pytest.mark.parametrize("driver", ENGINES)
async def test_sqlalchemy_runs_sessions_and_streams(driver, tmp_path):
    engine = create_async_engine(ENGINES[driver].format(tmp_path=tmp_path), pool_size=4)
    try:

        async def one(number):
            async with engine.connect() as connection:
                async with connection.begin():
                    await connection.run_sync(metadata.create_all)
                    rows = [{"number": n, "body": LARGE[:1000]} for n in range(50)]
                    await connection.execute(items.insert(), rows)
                    result = await connection.stream(items.select().order_by(items.c.number))
                    assert [row.number async for row in result] == list(range(50))
                async with connection.begin():
                    await connection.run_sync(metadata.drop_all)
            return number

        async with asyncio.TaskGroup() as group:
            done = [group.create_task(one(number)) for number in range(12)]
        assert [task.result() for task in done] == list(range(12))
    finally:
        await engine.dispose()
