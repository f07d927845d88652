"""Rows over pipes: both ends in this process and on the loop under test.

An operation is one large write on its way through a pipe of the kernel's default size: the
writer has to wait for room again and again.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from .workload import Batch, Loop, Row, SetUp

TURNS = 5
MB = 1024 * 1024


class _Sink(asyncio.Protocol):
    """Counts what arrives, and keeps the last chunk."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._missing = 0
        self.last = b""

    def expect(self, size: int) -> asyncio.Future[None]:
        self._missing = size
        self.done = self._loop.create_future()
        return self.done

    def data_received(self, data: bytes) -> None:
        self._missing -= len(data)
        if self._missing == 0:
            self.last = data
            self.done.set_result(None)


def _bulk(size: int) -> SetUp:
    message = bytes(number % 251 for number in range(size))

    @asynccontextmanager
    async def ready(loop: Loop) -> AsyncIterator[Batch]:
        reading, writing = os.pipe()
        with os.fdopen(reading, "rb", 0) as source, os.fdopen(writing, "wb", 0) as target:
            reader, sink = await loop.connect_read_pipe(lambda: _Sink(loop), source)
            writer, _ = await loop.connect_write_pipe(asyncio.BaseProtocol, target)

            async def batch() -> int:
                for _ in range(TURNS):
                    arrived = sink.expect(size)
                    writer.write(message)
                    await arrived
                if not message.endswith(sink.last):
                    raise RuntimeError("what arrived differs from what was written")
                return TURNS

            yield batch
            writer.close()
            reader.close()
            # The files close with the transports, in callbacks.
            while not (source.closed and target.closed):
                await asyncio.sleep(0)

    return ready


ROWS = (Row("pipe4m", "4 MiB through a pipe", _bulk(4 * MB), syscalls=True),)
