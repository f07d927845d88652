"""Rows that ask the operating system: processes and addresses."""

from __future__ import annotations

import asyncio
import socket

from .workload import Loop, Row, plain


async def _spawn(_loop: Loop) -> int:
    """Start a program that ends at once, and wait for its end."""
    count = 20
    for _ in range(count):
        process = await asyncio.create_subprocess_exec("/bin/true")
        if await process.wait():
            raise RuntimeError("/bin/true failed")
    return count


async def _literal(loop: Loop) -> int:
    """Resolve what needs no resolving, as each connection to a numeric address does."""
    count = 2_000
    for port in range(1, count + 1):
        answer = await loop.getaddrinfo("127.0.0.1", port % 16 + 1, type=socket.SOCK_STREAM)
        if answer[0][4] != ("127.0.0.1", port % 16 + 1):
            raise RuntimeError(f"a wrong answer: {answer}")
    return count


ROWS: tuple[Row, ...] = (
    Row("spawn", "start /bin/true and wait for it", plain(_spawn), {"uvloop": 2.0}, syscalls=True),
    Row("literal", "getaddrinfo of 127.0.0.1", plain(_literal), {"uvloop": 1.0}),
)
