"""What looks at a running loop from outside: asyncio's tools of 3.14, and its tasks' scheduling."""

from __future__ import annotations

import asyncio
import subprocess
import sys

import pytest

from tests.support.net import nonblocking_pair
from tests.support.scripts import PRELUDE, ROOT, check_script, python_path

SINCE_3_14 = pytest.mark.skipif(sys.version_info < (3, 14), reason="new in 3.14")

PROGRAM = """
async def waiting_for_bytes(sock):
    await asyncio.get_running_loop().sock_recv(sock, 1)

async def in_a_group(sock):
    async with asyncio.TaskGroup() as group:
        group.create_task(waiting_for_bytes(sock), name="the inner task")

async def main():
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    with ours, theirs:
        outer = asyncio.create_task(in_a_group(ours), name="the outer task")
        loop = asyncio.get_running_loop()
        while len(asyncio.all_tasks()) < 3:
            await asyncio.sleep(0)
        print("waiting", flush=True)
        await loop.run_in_executor(None, sys.stdin.readline)
        theirs.send(b"x")
        await outer

with asyncio.Runner(loop_factory=make_loop) as runner:
    runner.run(main())
"""


@SINCE_3_14
def test_python_m_asyncio_sees_the_tasks_of_another_process(flavour, capsys):
    from asyncio import tools

    with subprocess.Popen(
        [sys.executable, "-c", PRELUDE.format(flavour=flavour) + PROGRAM],
        cwd=ROOT,
        env={"PYTHONPATH": python_path()},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout.readline() == "waiting\n"
        tools.display_awaited_by_tasks_tree(process.pid)
        process.communicate("go on\n", timeout=10)
    assert process.returncode == 0
    tree = capsys.readouterr().out
    outer, inner = tree.index("(T) the outer task"), tree.index("(T) the inner task")
    assert outer < inner < tree.index("waiting_for_bytes")


@SINCE_3_14
async def test_the_call_graph_leads_through_an_operation_of_the_loop(loop):
    ours, theirs = nonblocking_pair()

    async def waiting_for_bytes():
        return await loop.sock_recv(ours, 1)

    async def waiting_for_the_task(task):
        return await task

    with ours, theirs:
        inner = loop.create_task(waiting_for_bytes())
        outer = loop.create_task(waiting_for_the_task(inner))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        graph = asyncio.capture_call_graph(inner)
        assert graph.call_stack[-1].frame.f_code.co_name == "waiting_for_bytes"
        assert [awaited.future for awaited in graph.awaited_by] == [outer]
        del graph
        theirs.send(b"x")
        assert await outer == b"x"


@pytest.mark.weft_only("asyncio makes a handle for every callback")
def test_the_steps_and_wake_ups_of_tasks_need_no_handles(flavour):
    """CPython throws them away; the loop tells these callbacks by their types."""
    check_script(
        flavour,
        """
        kinds = {}

        class Loop(type(make_loop())):
            def call_soon(self, callback, *args, context=None):
                handle = super().call_soon(callback, *args, context=context)
                kinds.setdefault(getattr(callback, "__name__", type(callback).__name__), handle)
                return handle

        async def main():
            loop = asyncio.get_running_loop()
            future = loop.create_future()
            loop.call_soon(future.set_result, None)
            await future

        with asyncio.Runner(loop_factory=Loop) as runner:
            runner.run(main())
        assert kinds["TaskStepMethWrapper"] is None
        assert kinds["task_wakeup"] is None
        assert isinstance(kinds["set_result"], asyncio.Handle)
        """,
    )


@pytest.mark.weft_only("it is weft's own door")
def test_nothing_of_weft_warns_of_deprecation(flavour):
    """Policies are deprecated since 3.14; who calls install() has chosen them."""
    check_script(
        flavour,
        """
        import weft

        async def main():
            return type(asyncio.get_running_loop())

        assert weft.run(main()) is weft.EventLoop
        weft.install()
        assert asyncio.run(main()) is weft.EventLoop
        """,
        flags=("-W", "error"),
    )
