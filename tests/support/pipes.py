"""Pipes for tests: a transport over one end, the other end in the test's own hands."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from typing import Any

from tests.support.loops import turns
from tests.support.protocols import Recorder


class End:
    """One end of a pipe, non-blocking, closed once."""

    def __init__(self, fd: int) -> None:
        os.set_blocking(fd, False)
        self.fd = fd

    def write(self, data: bytes) -> int:
        return os.write(self.fd, data)

    def fill(self) -> int:
        """Write until the kernel takes no more; the count of bytes it took."""
        filled = 0
        with contextlib.suppress(BlockingIOError):
            while True:
                filled += os.write(self.fd, b"\0" * 65536)
        return filled

    def read(self, size: int = 1 << 20) -> bytes:
        return os.read(self.fd, size)

    async def read_exactly(self, size: int) -> bytes:
        """So many bytes; the loop runs while they are missing."""
        data = bytearray()
        while len(data) < size:
            try:
                chunk = os.read(self.fd, size - len(data))
            except BlockingIOError:
                await turns(1)
                continue
            if not chunk:
                raise EOFError(f"{len(data)} of {size} bytes came")
            data += chunk
        return bytes(data)

    def close(self) -> None:
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1


@contextlib.asynccontextmanager
async def reading(
    protocol: Any = None, pair: tuple[int, int] | None = None
) -> AsyncIterator[tuple[Any, Any, End]]:
    """A read pipe transport, its protocol, and the writing end."""
    ours, theirs = pair or os.pipe()
    protocol = Recorder() if protocol is None else protocol
    end = End(theirs)
    loop = asyncio.get_running_loop()
    transport, _ = await loop.connect_read_pipe(lambda: protocol, os.fdopen(ours, "rb", 0))
    try:
        yield transport, protocol, end
    finally:
        transport.close()
        end.close()
        await turns(3)


@contextlib.asynccontextmanager
async def writing(
    protocol: Any = None, pair: tuple[int, int] | None = None
) -> AsyncIterator[tuple[Any, Any, End]]:
    """A write pipe transport, its protocol, and the reading end."""
    theirs, ours = pair or os.pipe()
    protocol = Recorder() if protocol is None else protocol
    end = End(theirs)
    loop = asyncio.get_running_loop()
    transport, _ = await loop.connect_write_pipe(lambda: protocol, os.fdopen(ours, "wb", 0))
    try:
        yield transport, protocol, end
    finally:
        # asyncio's transports take a second end for a first one.
        if not transport.is_closing() or transport.get_write_buffer_size():
            transport.abort()
        end.close()
        await turns(3)
