"""Child processes for tests: short shell programs, and what the kernel knows of them."""

from __future__ import annotations

import asyncio
import contextlib
import os

from tests.support.protocols import Log


class Ending(Log, asyncio.SubprocessProtocol):
    """Writes down how its process ends."""

    def process_exited(self):
        self.note("exited")


def shell(command, **options):
    return asyncio.create_subprocess_exec("/bin/sh", "-c", command, **options)


def sleeper():
    return asyncio.create_subprocess_exec("/bin/sleep", "60")


def wait_for_zombie(pid):
    """Block until the process has ended, and leave it to be reaped."""
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)


def is_reaped(pid):
    try:
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT | os.WNOHANG)
    except ChildProcessError:
        return True
    return False


@contextlib.contextmanager
def gate():
    """A pipe whose reading end keeps a process from going on, until the block ends."""
    reading, writing = os.pipe()
    try:
        yield reading
    finally:
        os.close(reading)
        os.close(writing)


async def bare(command="exit 0", **options):
    """A transport and its protocol, of a process without pipes."""
    options = {"stdin": None, "stdout": None, "stderr": None, **options}
    loop = asyncio.get_running_loop()
    return await loop.subprocess_exec(Ending, "/bin/sh", "-c", command, **options)
