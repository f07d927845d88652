"""Subprocesses with pipes: what flows both ways, and in which order a protocol hears of it."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import threading

import pytest

from tests.support.children import Ending, is_reaped, shell
from tests.support.leaks import resource_warning
from tests.support.loops import run_and_close, turns
from tests.support.scripts import check_script

PIPE = subprocess.PIPE
MIB = 1 << 20


class Piped(Ending):
    """Writes down what comes out of its process, and the end of each pipe."""

    def __init__(self):
        super().__init__()
        self.output = {1: bytearray(), 2: bytearray()}

    def pipe_data_received(self, fd, data):
        assert isinstance(data, bytes)
        self.output[fd] += data
        self.note(f"data {fd}")

    def pipe_connection_lost(self, fd, exc):
        assert exc is None or fd == 0
        self.note(f"lost {fd}")


async def piped(command, **options):
    loop = asyncio.get_running_loop()
    return await loop.subprocess_exec(Piped, "/bin/sh", "-c", command, **options)


# through asyncio.subprocess


async def test_communicate_sends_input_and_collects_both_outputs(loop):
    process = await shell("cat; echo error >&2", stdin=PIPE, stdout=PIPE, stderr=PIPE)
    assert await process.communicate(b"hello") == (b"hello", b"error\n")
    assert process.returncode == 0


async def test_megabytes_pass_through_a_process(loop):
    data = os.urandom(4 * MIB)
    process = await asyncio.create_subprocess_exec("/bin/cat", stdin=PIPE, stdout=PIPE)
    output, error = await process.communicate(data)
    assert output == data
    assert error is None


async def test_error_output_can_join_the_output(loop):
    process = await shell("echo one; echo two >&2", stdout=PIPE, stderr=subprocess.STDOUT)
    assert (await process.communicate())[0] == b"one\ntwo\n"


async def test_outputs_are_read_line_by_line_while_the_process_runs(loop):
    process = await shell("while read line; do echo got $line; done", stdin=PIPE, stdout=PIPE)
    for word in (b"one", b"two"):
        process.stdin.write(word + b"\n")
        await process.stdin.drain()
        assert await process.stdout.readline() == b"got " + word + b"\n"
    process.stdin.close()
    await process.stdin.wait_closed()
    assert await process.stdout.read() == b""
    assert await process.wait() == 0


async def test_a_process_that_does_not_read_stops_the_writer(loop):
    process = await shell("read line; cat >/dev/null", stdin=PIPE)
    process.stdin.write(b"x" * MIB)
    draining = asyncio.ensure_future(process.stdin.drain())
    await turns(5)
    assert not draining.done()
    process.stdin.write(b"\n")
    await draining
    process.stdin.close()
    assert await process.wait() == 0


async def test_input_for_a_process_that_has_ended_is_dropped(loop):
    process = await shell("exit 3", stdin=PIPE)
    assert await process.communicate(b"x" * MIB) == (None, None)
    assert process.returncode == 3


async def test_a_reader_that_is_slow_stops_the_process(loop):
    process = await shell("head -c 1000000 /dev/zero", stdout=PIPE, limit=1000)
    reader = process.stdout
    total = len(await reader.read(10))
    await turns(20)
    assert len(reader._buffer) < 500_000
    while data := await reader.read(100_000):
        total += len(data)
    assert total == 1_000_000
    assert await process.wait() == 0


async def test_files_serve_as_standard_streams(loop, tmp_path):
    source, target = tmp_path / "in", tmp_path / "out"
    source.write_bytes(b"through a file")
    with source.open("rb") as reading, target.open("wb") as writing:
        process = await asyncio.create_subprocess_exec("/bin/cat", stdin=reading, stdout=writing)
        assert await process.wait() == 0
    assert target.read_bytes() == b"through a file"


async def test_many_processes_talk_at_once(loop):
    async def one(number):
        process = await asyncio.create_subprocess_exec("/bin/cat", stdin=PIPE, stdout=PIPE)
        output, _ = await process.communicate(b"%d" % number)
        return int(output)

    assert await asyncio.gather(*(one(number) for number in range(30))) == list(range(30))


def test_pipes_work_in_a_loop_of_another_thread(loop_factory):
    outputs = []

    async def main():
        process = await shell("cat", stdin=PIPE, stdout=PIPE)
        outputs.append((await process.communicate(b"thread"))[0])

    thread = threading.Thread(target=lambda: run_and_close(loop_factory(), main()))
    thread.start()
    thread.join()
    assert outputs == [b"thread"]


def test_the_collector_may_look_at_a_transport_in_the_making(flavour):
    """On 3.11 the instance's dict is made, and others collected, before its native half is."""
    check_script(
        flavour,
        """
        import gc

        async def main():
            loop = asyncio.get_running_loop()
            reading, writing = os.pipe()
            made = []
            for number in range(2000):
                gc.set_threshold(5 + number % 13, 1000, 1000)  # at every allocation once
                pipe = open(reading, "rb", 0, closefd=False)
                made.append(loop._make_read_pipe_transport(pipe, asyncio.Protocol()))
            for transport in made:
                transport.close()
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            os.close(writing)
            os.close(reading)

        with asyncio.Runner(loop_factory=make_loop) as runner:
            runner.run(main())
        """,
    )


async def test_methods_of_a_reading_transport_can_be_replaced(loop):
    process = await shell("head -c 100000 /dev/zero", stdout=PIPE, limit=1000)
    transport = process._transport.get_pipe_transport(1)
    paused = []
    transport.pause_reading = lambda: paused.append(True)
    assert len((await process.communicate())[0]) == 100_000
    assert paused


# through the transport


async def test_connection_lost_comes_last_and_all_else_once(loop):
    transport, protocol = await piped("read line; echo out; echo err >&2; exit 5")
    transport.get_pipe_transport(0).write(b"go\n")
    assert await protocol.closed() is None
    assert transport.get_returncode() == 5
    assert bytes(protocol.output[1]) == b"out\n"
    assert bytes(protocol.output[2]) == b"err\n"
    assert protocol.events[0] == "made"
    assert protocol.events[-1] == "lost"
    for once in ("made", "exited", "lost 0", "lost 1", "lost 2", "lost"):
        assert protocol.events.count(once) == 1
    for fd in (1, 2):
        assert protocol.events.index(f"data {fd}") < protocol.events.index(f"lost {fd}")
    transport.close()


async def test_connection_lost_waits_for_pipes_that_outlive_the_process(loop):
    """A grandchild has inherited the pipe; what it says still arrives."""
    reading, writing = os.pipe()
    try:
        transport, protocol = await piped(
            f"(read line </proc/self/fd/{reading}; echo late) & exit 0",
            stdin=None,
            stderr=None,
            pass_fds=[reading],
        )
        await protocol.happened("exited")
        await turns(5)
        assert "lost" not in protocol.events
        # The process is gone, and its number may be another's: no signal must be sent.
        transport.kill()
        os.write(writing, b"\n")
        await protocol.closed()
    finally:
        os.close(reading)
        os.close(writing)
    assert bytes(protocol.output[1]) == b"late\n"
    assert protocol.events.index("exited") < protocol.events.index("lost 1")
    transport.close()


async def test_every_pipe_has_a_transport(loop):
    transport, protocol = await piped("cat", stderr=None)
    assert isinstance(transport, asyncio.SubprocessTransport)
    assert isinstance(transport.get_pipe_transport(0), asyncio.WriteTransport)
    assert isinstance(transport.get_pipe_transport(1), asyncio.ReadTransport)
    assert transport.get_pipe_transport(2) is None
    assert f"pid={transport.get_pid()} running" in repr(transport)
    transport.get_pipe_transport(0).close()
    await protocol.closed()
    assert "returncode=0" in repr(transport)
    transport.close()


async def test_closing_the_transport_closes_its_pipes(loop):
    transport, protocol = await piped("exec cat")
    transport.close()
    assert all(transport.get_pipe_transport(fd).is_closing() for fd in range(3))
    await protocol.closed()
    assert transport.get_returncode() == -signal.SIGKILL


@pytest.mark.parametrize("after", range(8))
async def test_a_start_that_is_cancelled_leaves_nothing(loop, after):
    """At whatever turn: neither process nor pipe; the ledger counts."""
    starting = asyncio.ensure_future(piped("exec sleep 60"))
    await turns(after)
    pid = None
    if not starting.done():
        starting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await starting
    else:
        transport, protocol = starting.result()
        pid = transport.get_pid()
        transport.close()
        await protocol.closed()
    assert pid is None or is_reaped(pid)
    assert not children()


@pytest.mark.weft_only("asyncio may wait for ever, until a fix in 3.14")
@pytest.mark.parametrize("options", [{}, {"stdin": None, "stdout": None, "stderr": None}], ids=str)
@pytest.mark.parametrize("after", range(6))
async def test_a_program_that_ends_during_a_start_ends(loop, after, options):
    """asyncio.run() cancels every task at its end, also those that a start has made."""
    starting = asyncio.ensure_future(piped("exec sleep 60", **options))
    await turns(after)
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.wait_for(asyncio.gather(*others, return_exceptions=True), 5)
    if not starting.cancelled():
        transport, protocol = starting.result()
        transport.close()
        await protocol.closed()
    assert not children()


@pytest.mark.weft_only("asyncio leaves open what it connects after the cancellation")
async def test_a_cancelled_start_does_not_wait_for_a_grandchild(loop):
    reading, writing = os.pipe()
    try:
        options = {"stdin": None, "stderr": None, "pass_fds": [reading]}
        command = f"read line </proc/self/fd/{reading} & exec sleep 60"
        starting = asyncio.ensure_future(piped(command, **options))
        await turns(1)
        starting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(starting, 5)
        assert not children()
    finally:
        os.close(reading)
        os.close(writing)


def children():
    """The processes that this one has started and not reaped."""
    with open(f"/proc/self/task/{threading.get_native_id()}/children") as file:
        return file.read().split()


@pytest.mark.weft_only("asyncio waits for ever")
@pytest.mark.parametrize("method", ["connect_read_pipe", "connect_write_pipe"])
async def test_a_start_whose_pipe_is_refused_raises_and_ends_the_process(loop, method):
    async def refuse(*_):
        raise OSError(24, "no descriptor left")

    protocol = Piped()
    setattr(loop, method, refuse)
    with pytest.raises(OSError, match="no descriptor left"):
        await loop.subprocess_exec(lambda: protocol, "/bin/sleep", "60")
    delattr(loop, method)
    await turns(3)
    assert not protocol.events
    assert not children()


async def test_cancelling_communicate_leaves_the_process_to_its_owner(loop):
    process = await shell("exec cat", stdin=PIPE, stdout=PIPE)
    talking = asyncio.ensure_future(process.stdout.read())
    await turns(3)
    talking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await talking
    assert process.returncode is None
    assert (await process.communicate(b"still here"))[0] == b"still here"


@pytest.mark.weft_only("the thread of asyncio's watcher on 3.11 keeps it")
def test_a_transport_that_is_forgotten_warns_and_ends_its_process(loop_factory):
    loop = loop_factory()
    pids = []

    async def forget():
        transport, _ = await piped("exec sleep 60", stdin=None, stdout=None, stderr=None)
        pids.append(transport.get_pid())

    with resource_warning("unclosed transport"):
        loop.run_until_complete(forget())
        loop.close()
        del loop
    os.waitid(os.P_PID, pids[0], os.WEXITED | os.WNOWAIT)
