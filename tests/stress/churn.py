"""A program that does everything a loop can do, at random, and tells what it has left behind.

`python -m tests.stress.churn SECONDS [SEED] [FLAVOUR]` prints one JSON object: for each round,
how many actions were done, and what the process holds once it is at rest.
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
import gc
import json
import os
import random
import resource
import sys
import tempfile
import time
from typing import Any

from tests.stress.actions import ACTIONS, Ground
from tests.support.loops import factory_of

WORKERS = 24
ROUNDS = 20
ACTION_LIMIT = 30.0


def resident() -> int:
    """Bytes of memory in use."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def children() -> int:
    """Processes that were started and are not reaped."""
    with open(f"/proc/self/task/{os.getpid()}/children") as file:
        return len(file.read().split())


async def worker(ground: Ground, dice: random.Random, until: float, done: Any) -> None:
    names, weights = zip(*((name, weight) for name, (weight, _) in ACTIONS.items()), strict=True)
    while time.monotonic() < until:
        (name,) = dice.choices(names, weights)
        try:
            async with asyncio.timeout(ACTION_LIMIT):
                await ACTIONS[name][1](ground, dice)
        except Exception as error:
            raise RuntimeError(f"{name} failed") from error
        done[name] += 1


async def round_of(ground: Ground, dice: random.Random, seconds: float) -> dict[str, Any]:
    """Everybody works for a while, then the loop comes to rest and the process is looked at."""
    done: collections.Counter[str] = collections.Counter()
    until = time.monotonic() + seconds
    async with asyncio.TaskGroup() as group:
        for _ in range(WORKERS):
            group.create_task(worker(ground, random.Random(dice.random()), until, done))
    async with asyncio.timeout(ACTION_LIMIT):
        while ground.connections:
            await asyncio.sleep(0.01)
    for _ in range(5):
        await asyncio.sleep(0)
    gc.collect()
    return {
        "actions": done.total(),
        "kinds": dict(done),
        "resident": resident(),
        "descriptors": descriptors(),
        "objects": len(gc.get_objects()),
        "tasks": len(asyncio.all_tasks()),
        "children": children(),
    }


async def soak(seconds: float, seed: int) -> dict[str, Any]:
    dice = random.Random(seed)
    reports: list[str] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _loop, context: reports.append(repr(context)))
    rounds = []
    with tempfile.TemporaryDirectory() as folder:
        async with Ground.laid(folder) as ground:
            for _ in range(ROUNDS):
                rounds.append(await round_of(ground, dice, seconds / ROUNDS))
    return {"seed": seed, "rounds": rounds, "reports": reports[:10]}


def main() -> None:
    seconds = float(sys.argv[1])
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else random.randrange(1 << 30)
    flavour = sys.argv[3] if len(sys.argv) > 3 else "weft"
    print(f"seed {seed}", file=sys.stderr)
    with contextlib.suppress(OSError, ValueError):
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, hard), hard))
    with asyncio.Runner(loop_factory=factory_of(flavour)) as runner:
        result = runner.run(soak(seconds, seed))
    print(json.dumps(result))


if __name__ == "__main__":
    main()
