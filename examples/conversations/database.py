"""The engine and its transactions; the one place that knows how a database fails."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

from sqlalchemy import make_url
from sqlalchemy.exc import IntegrityError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.schema import CreateTable

from .errors import StorageUnavailable
from .models import Base


class Database:
    """Connections to the database of `url`, made when first needed."""

    def __init__(self, url: str) -> None:
        # Parameters are what people said to each other: they stay out of messages and logs.
        options: dict[str, Any] = {"pool_pre_ping": True, "hide_parameters": True}
        if make_url(url).get_backend_name() == "sqlite":
            # SQLite writes one transaction at a time. One connection makes requests queue
            # here, in order, instead of racing for the file lock until one gives up.
            options |= {"pool_size": 1, "max_overflow": 0}
        self._engine = create_async_engine(url, **options)
        # Rows stay readable after the commit: they are answered with, never written again.
        self._sessions = async_sessionmaker(self._engine, expire_on_commit=False)

    async def create_schema(self) -> None:
        """Create what is missing; workers that start side by side may all try."""
        for table in Base.metadata.sorted_tables:
            # PostgreSQL lets two transactions both find nothing, `IF NOT EXISTS` or not; the
            # slower one is then refused by the catalogue, and the table is there.
            with suppress(IntegrityError):
                async with self.transaction() as session:
                    await session.execute(CreateTable(table, if_not_exists=True))

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncSession]:
        """Commit on leaving, roll back on an error.

        An `IntegrityError` is an answer about the data and passes through. Everything else
        that the database or the way to it raises becomes `StorageUnavailable`.
        """
        try:
            async with self._sessions.begin() as session:
                yield session
        except IntegrityError:
            raise
        except (SQLAlchemyError, OSError) as error:
            # The lines after the first are the statement and a link: noise in a log.
            raise StorageUnavailable(str(error).partition("\n")[0]) from error

    async def close(self) -> None:
        """Close every connection."""
        await self._engine.dispose()
