"""`python -m benches.compare.memory.loop LOOP ROW`: churn on one loop, memory after each step.

Runs in a process of its own; prints the series as JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os

from ..loop.loops import LOOPS, factory
from ..loop.workload import nothing
from ..support.accounting import open_files, rss_kib

WARM = 2


async def _timers(loop: asyncio.AbstractEventLoop, count: int) -> None:
    """Time-outs that are always cancelled, a hundred a turn."""
    for number in range(count):
        loop.call_later(3600, nothing, number).cancel()
        if number % 100 == 0:
            await asyncio.sleep(0)


async def _tasks(_: asyncio.AbstractEventLoop, count: int) -> None:
    """Tasks in a reference cycle with a local of their own, half of them cancelled."""

    async def child() -> None:
        me = asyncio.current_task()
        await asyncio.sleep(0)
        assert me is not None

    for _first in range(0, count, 100):
        tasks = [asyncio.ensure_future(child()) for _ in range(100)]
        for task in tasks[::2]:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _sockets(loop: asyncio.AbstractEventLoop, count: int) -> None:
    """Connections within the loop, used once and closed."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.readexactly(5))
        await writer.drain()
        await reader.read()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    for number in range(count):
        # Each its own source address block: TIME_WAIT would use up one address's ports.
        source = (f"127.0.0.{2 + number % 20}", 0)
        reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=source)
        writer.write(b"hello")
        assert await reader.readexactly(5) == b"hello"
        writer.close()
    server.close()
    await asyncio.sleep(0.05)


CHURNS = {"timers": (_timers, 200_000), "tasks": (_tasks, 20_000), "sockets": (_sockets, 1_000)}


async def _series(row: str, steps: int, scale: float) -> dict[str, object]:
    loop = asyncio.get_running_loop()
    work, count = CHURNS[row]
    count = max(100, int(count * scale))
    sizes = []
    for step in range(WARM + steps):
        await work(loop, count)
        gc.collect()
        sizes.append((rss_kib(os.getpid()), open_files(os.getpid())))
        del step
    kept = sizes[WARM - 1 :]
    return {
        "baseline": kept[0][0],
        "steps": [(index * count, rss) for index, (rss, _) in enumerate(kept[1:], 1)],
        "files": (kept[0][1], kept[-1][1]),
    }


def main() -> None:
    """Prints one JSON object; an exception is the caller's `n/a`."""
    parser = argparse.ArgumentParser(prog="python -m benches.compare.memory.loop")
    parser.add_argument("loop", choices=LOOPS)
    parser.add_argument("row", choices=list(CHURNS))
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--scale", type=float, default=1.0)
    args = parser.parse_args()
    with asyncio.Runner(loop_factory=factory(args.loop)) as runner:
        found = runner.run(_series(args.row, args.steps, args.scale))
    print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
