"""Subprocesses without pipes: how they end, are signalled and reaped."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import signal
import subprocess

import pytest

from tests.support.children import Ending, bare, gate, is_reaped, shell, sleeper, wait_for_zombie
from tests.support.loops import turns

OLD_SIGNALS = "until 3.12 asyncio's send_signal() reaps a child that has ended, and loses its code"
PIDFD_ONLY = "asyncio on 3.11 waits in a thread, which may be quicker"


# the end of a process


@pytest.mark.parametrize("code", [0, 1, 7, 255])
async def test_wait_gives_the_exit_code(loop, code):
    process = await shell(f"exit {code}")
    assert await process.wait() == code
    assert process.returncode == code


async def test_a_process_ended_by_a_signal_has_its_negative_number(loop):
    process = await shell("kill -USR1 $$")
    assert await process.wait() == -signal.SIGUSR1


async def test_subprocess_shell_runs_a_command_line(loop):
    process = await asyncio.create_subprocess_shell("exit 3 || exit 4")
    assert await process.wait() == 3


async def test_returncode_is_none_while_the_process_runs(loop):
    process = await sleeper()
    assert process.returncode is None
    process.kill()
    await process.wait()


async def test_everybody_who_waits_hears_of_the_end(loop):
    process = await shell("exit 5")
    assert await asyncio.gather(*(process.wait() for _ in range(3))) == [5, 5, 5]
    assert await process.wait() == 5


async def test_the_protocol_hears_of_the_end_in_order(loop):
    transport, protocol = await bare("exit 6")
    assert await protocol.closed() is None
    assert protocol.events == ["made", "exited", "lost"]
    assert protocol.transport is transport
    assert transport.get_returncode() == 6
    transport.close()


async def test_no_zombie_is_left(loop):
    process = await shell("exit 0")
    await process.wait()
    assert is_reaped(process.pid)


def test_an_end_between_two_runs_is_known_in_the_second(loop):
    with gate() as stdin:
        process = loop.run_until_complete(shell("read line; exit 3", stdin=stdin))
    with contextlib.suppress(ChildProcessError):  # asyncio's thread on 3.11 reaps at once
        wait_for_zombie(process.pid)
    assert process.returncode is None
    assert loop.run_until_complete(process.wait()) == 3


async def test_many_processes_end_each_with_its_own_code(loop):
    processes = await asyncio.gather(*(shell(f"exit {code}") for code in range(40)))
    assert await asyncio.gather(*(process.wait() for process in processes)) == list(range(40))
    assert all(is_reaped(process.pid) for process in processes)


async def test_the_popen_object_knows_the_code_too(loop):
    transport, protocol = await bare("exit 9")
    popen = transport.get_extra_info("subprocess")
    assert isinstance(popen, subprocess.Popen)
    assert popen.pid == transport.get_pid()
    await protocol.closed()
    assert popen.returncode == 9
    transport.close()


@pytest.mark.weft_only("asyncio's watcher finds the child reaped, and reports 255")
async def test_a_code_that_popen_has_read_is_the_one_reported(loop, caplog):
    transport, protocol = await bare("exit 9")
    popen = transport.get_extra_info("subprocess")
    assert popen.wait() == 9
    await protocol.closed()
    assert transport.get_returncode() == 9
    assert not caplog.records
    transport.close()


@pytest.mark.weft_only(PIDFD_ONLY)
async def test_a_child_that_somebody_else_has_reaped_ends_with_255_and_a_warning(loop, caplog):
    process = await sleeper()
    os.kill(process.pid, signal.SIGKILL)
    os.waitpid(process.pid, 0)
    assert await process.wait() == 255
    assert f"child process pid {process.pid} exit status already read" in caplog.text


# signals


async def test_signals_reach_the_process(loop):
    process = await sleeper()
    process.send_signal(signal.SIGHUP)
    assert await process.wait() == -signal.SIGHUP


@pytest.mark.parametrize(("method", "number"), [("terminate", 15), ("kill", 9)])
async def test_a_process_can_be_ended(loop, method, number):
    process = await sleeper()
    getattr(process, method)()
    assert await process.wait() == -number


@pytest.mark.parametrize("method", ["terminate", "kill"])
async def test_ending_what_has_ended_raises(loop, method):
    process = await shell("exit 0")
    await process.wait()
    with pytest.raises(ProcessLookupError):
        getattr(process, method)()
    with pytest.raises(ProcessLookupError):
        process.send_signal(signal.SIGHUP)


@pytest.mark.weft_only(OLD_SIGNALS)
@pytest.mark.parametrize("method", ["terminate", "kill"])
async def test_ending_a_process_that_just_ended_keeps_its_code(loop, caplog, method):
    with gate() as stdin:
        process = await shell("read line; exit 4", stdin=stdin)
    wait_for_zombie(process.pid)
    getattr(process, method)()
    assert await process.wait() == 4
    assert not caplog.records


@pytest.mark.weft_only(OLD_SIGNALS)
async def test_closing_the_transport_of_a_process_that_just_ended_keeps_its_code(loop, caplog):
    with gate() as stdin:
        transport, protocol = await bare("read line; exit 4", stdin=stdin)
    wait_for_zombie(transport.get_pid())
    transport.close()
    await protocol.closed()
    assert transport.get_returncode() == 4
    assert not caplog.records


async def test_a_signal_that_does_not_exist_is_an_error(loop):
    process = await sleeper()
    with pytest.raises(OSError) as caught:
        process.send_signal(1000)
    assert caught.value.errno == errno.EINVAL
    process.kill()
    await process.wait()


async def test_closing_the_transport_kills_the_process(loop):
    transport, protocol = await bare("exec sleep 60")
    transport.close()
    assert transport.is_closing()
    await protocol.closed()
    assert transport.get_returncode() == -signal.SIGKILL
    assert is_reaped(transport.get_pid())


# ends that come early


async def test_cancelling_the_start_kills_the_process(loop):
    """Whoever gives up has nothing to clean up."""
    protocol = Ending()
    starting = asyncio.ensure_future(
        loop.subprocess_exec(
            lambda: protocol, "/bin/sleep", "60", stdin=None, stdout=None, stderr=None
        )
    )
    await turns(1)
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert protocol.events == ["made", "exited", "lost"]
    assert is_reaped(protocol.transport.get_pid())


async def test_an_error_in_process_exited_is_reported_and_the_process_ends(loop, ledger):
    class Failing(Ending):
        def process_exited(self):
            super().process_exited()
            raise ZeroDivisionError

    transport, protocol = await loop.subprocess_exec(
        Failing, "/bin/true", stdin=None, stdout=None, stderr=None
    )
    await protocol.closed()
    assert isinstance(ledger.take_loop_error()["exception"], ZeroDivisionError)
    transport.close()


@pytest.mark.weft_only("asyncio's watcher keeps the pidfd")
def test_a_loop_that_is_closed_gives_the_descriptors_of_its_children_back(loop_factory):
    loop = loop_factory()
    transport, _ = loop.run_until_complete(bare("exec sleep 60"))
    loop.close()
    popen = transport.get_extra_info("subprocess")
    popen.kill()
    assert popen.wait() == -signal.SIGKILL
    transport.close()


async def test_debug_mode_tells_of_the_start_and_the_end(loop, caplog):
    loop.set_debug(True)
    with caplog.at_level("DEBUG", logger="asyncio"):
        transport, protocol = await bare("exit 3")
        await protocol.closed()
    loop.set_debug(False)
    assert f"process '/bin/sh' created: pid {transport.get_pid()}" in caplog.text
    assert "exited with return code 3" in caplog.text
    transport.close()
