"""What TLS connections cost: nothing once they are gone, little while they idle."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import pathlib
import ssl

import pytest

from tests.support.protocols import Recorder, address_of, serving
from tests.support.tls import NAME, client_context, server_context

ROUNDS = 10
PER_ROUND = 200
IDLE = 200


def resident() -> int:
    """Bytes of this process that are in memory."""
    pages = pathlib.Path("/proc/self/statm").read_text().split()[1]
    return int(pages) * 4096


async def connect(loop, server, context):
    return await loop.create_connection(
        Recorder, *address_of(server), ssl=context, server_hostname=NAME
    )


@pytest.mark.limit(90)
async def test_two_thousand_handshakes_leave_nothing(loop):
    context = client_context()
    sizes = []
    async with serving(Recorder, ssl=server_context()) as server:
        for _ in range(ROUNDS):
            for number in range(PER_ROUND):
                transport, protocol = await connect(loop, server, context)
                if number % 2:
                    transport.abort()
                else:
                    transport.close()
                await protocol.closed()
            gc.collect()
            sizes.append(resident())
    # The heap finds its size in the first rounds; a session kept would be 20 KB each.
    assert sizes[-1] - sizes[2] < (ROUNDS - 3) * PER_ROUND * 1000, sizes


@pytest.mark.limit(60)
async def test_handshakes_that_fail_leave_nothing(loop, ledger):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    sizes = []
    async with serving(Recorder, ssl=server_context()) as server:
        for _ in range(ROUNDS):
            for _ in range(PER_ROUND // 4):
                with contextlib.suppress(ssl.SSLError):
                    await connect(loop, server, context)
            gc.collect()
            sizes.append(resident())
    assert sizes[-1] - sizes[2] < (ROUNDS - 3) * PER_ROUND // 4 * 4000, sizes


@pytest.mark.limit(60)
@pytest.mark.weft_only("asyncio keeps a quarter of a megabyte a connection")
async def test_an_idle_connection_is_small(loop, engine):
    if engine == "memorybio":
        pytest.skip("asyncio's protocol keeps a quarter of a megabyte a connection")
    context = client_context()
    async with serving(Recorder, ssl=server_context()) as server:
        warm = [await connect(loop, server, context) for _ in range(20)]
        before = resident()
        idle = await asyncio.gather(*(connect(loop, server, context) for _ in range(IDLE)))
        gc.collect()
        # Each has two ends in this process.
        each = (resident() - before) / IDLE / 2
        for transport, _ in warm + list(idle):
            transport.abort()
        for _, protocol in warm + list(idle):
            await protocol.closed()
    assert each < 40 * 1024
