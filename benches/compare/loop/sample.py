"""`python -m benches.compare.loop.sample LOOP ROW`: one sample in this process, as JSON.

A process of its own for each sample: a loop that hangs, crashes or leaks then spoils only its
own figure, and no loop inherits another's heap, garbage or import side effects.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import time

from ..support.accounting import rss_kib
from .loops import LOOPS, factory
from .rows import ROWS
from .workload import Batch, Row

SLOPE_ROUNDS = 5
AGED = 4 * 2**20


def _age_allocator() -> None:
    """Bring glibc's malloc into the state of a service that has run for a while.

    asyncio and rloop read into a fresh block of 256 KiB each time. In a young process malloc maps
    and unmaps such a block (and a row becomes three times slower), until a larger block has once
    been freed; then it takes them from the heap for ever. Whether that has happened is a matter
    of history, so every sample starts with it: the faster case of every peer.
    """
    block = bytearray(AGED)
    del block


async def _timed(batch: Batch, seconds: float, batches: int) -> dict[str, object]:
    """Batches until the time is over, or exactly `batches`; the first warms up and is not timed."""
    await batch()
    gc.collect()
    ops = done = 0
    cpu, begun = time.process_time_ns(), time.perf_counter_ns()
    limit = begun + int(seconds * 1e9)
    while done < batches if batches else time.perf_counter_ns() < limit:
        ops += await batch()
        done += 1
    wall = time.perf_counter_ns() - begun
    spent = time.process_time_ns() - cpu
    return {
        "ops_per_s": ops / wall * 1e9,
        "cpu_ns": spent / ops,
        "ops": ops,
        "batches": done,
        "wall_s": wall / 1e9,
    }


async def _slope(batch: Batch, pid: int) -> dict[str, object]:
    """Bytes of resident memory that each operation leaves behind, over five rounds.

    The first round may still grow the heap to its working size, so the slope starts after it.
    """
    sizes, counts = [], []
    for _ in range(SLOPE_ROUNDS):
        counts.append(await batch())
        sizes.append(rss_kib(pid))
    return {"rss_kib": sizes, "bytes_per_op": (sizes[-1] - sizes[0]) * 1024 / sum(counts[1:])}


async def _run(row: Row, seconds: float, batches: int, pid: int) -> dict[str, object]:
    loop = asyncio.get_running_loop()
    async with row.set_up(loop) as batch:
        found = await _timed(batch, seconds, batches)
        if row.slope and not batches:
            found |= await _slope(batch, pid)
    return found


def main() -> None:
    """Prints one JSON object; an exception is the caller's `n/a`."""
    parser = argparse.ArgumentParser(prog="python -m benches.compare.loop.sample")
    parser.add_argument("loop", choices=LOOPS)
    parser.add_argument("row", choices=list(ROWS))
    parser.add_argument("--seconds", type=float, default=0.5)
    parser.add_argument("--batches", type=int, default=0, help="this many instead of a time")
    args = parser.parse_args()
    _age_allocator()
    with asyncio.Runner(loop_factory=factory(args.loop)) as runner:
        made = type(runner.get_loop())
        found = runner.run(_run(ROWS[args.row], args.seconds, args.batches, os.getpid()))
    found["loop_class"] = f"{made.__module__}.{made.__qualname__}"
    print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
