"""Subprocesses: the options they start with, and the places they can be started in."""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import subprocess
import sys
import threading

import pytest

from tests.support.children import Ending, bare, is_reaped, shell, sleeper
from tests.support.loops import run_and_close

# how it starts


@pytest.mark.parametrize(
    ("options", "command"),
    [
        ({"cwd": "/usr"}, '[ "$PWD" = /usr ]'),
        ({"env": {"WORD": "weft"}}, '[ "$WORD" = weft ] && [ -z "$HOME" ]'),
        ({"umask": 0o027}, '[ "$(umask)" = 0027 ]'),
        ({"executable": "/bin/sh"}, "true"),
        ({"group": os.getgid(), "user": os.getuid()}, "true"),
        ({"preexec_fn": lambda: os.chdir("/usr")}, '[ "$(pwd -P)" = /usr ]'),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
async def test_popens_options_work(loop, options, command):
    process = await shell(command, **options)
    assert await process.wait() == 0


@pytest.mark.parametrize("options", [{"start_new_session": True}, {"process_group": 0}], ids=str)
async def test_a_process_can_lead_a_group_of_its_own(loop, options):
    process = await asyncio.create_subprocess_exec("/bin/sleep", "60", **options)
    assert os.getpgid(process.pid) == process.pid
    os.killpg(process.pid, signal.SIGTERM)
    assert await process.wait() == -signal.SIGTERM


async def test_descriptors_are_inherited_when_named_and_only_then(loop):
    reading, writing = os.pipe()
    try:
        process = await shell(f"echo kept >/proc/self/fd/{writing}", pass_fds=[writing])
        assert await process.wait() == 0
        assert os.read(reading, 10) == b"kept\n"
        process = await shell(f"echo lost >/proc/self/fd/{writing}", stderr=subprocess.DEVNULL)
        assert await process.wait() != 0
    finally:
        os.close(reading)
        os.close(writing)


async def test_a_program_that_does_not_exist_raises(loop):
    with pytest.raises(FileNotFoundError):
        await asyncio.create_subprocess_exec("/no/such/program")


async def test_a_program_that_may_not_run_raises(loop):
    with pytest.raises(PermissionError):
        await asyncio.create_subprocess_exec("/etc/passwd")


async def test_an_option_that_popen_does_not_know_raises(loop):
    with pytest.raises(TypeError):
        await asyncio.create_subprocess_exec("/bin/true", no_such_option=1)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("universal_newlines", True),
        ("shell", True),
        ("bufsize", 4096),
        ("text", True),
        ("encoding", "utf-8"),
        ("errors", "strict"),
    ],
)
async def test_what_makes_no_sense_for_a_loop_is_refused(loop, option, value):
    with pytest.raises(ValueError, match=f"{option} must be"):
        await loop.subprocess_exec(Ending, "/bin/true", **{option: value})
    value = False if option == "shell" else value
    with pytest.raises(ValueError, match=f"{option} must be"):
        await loop.subprocess_shell(Ending, "true", **{option: value})


async def test_a_command_line_must_be_text(loop):
    with pytest.raises(ValueError, match="cmd must be a string"):
        await loop.subprocess_shell(Ending, ["true"])


async def test_an_error_of_the_protocols_factory_starts_nothing(loop):
    with pytest.raises(ZeroDivisionError):
        await loop.subprocess_exec(lambda: 1 / 0, "/no/such/program")


# where it starts


def test_a_loop_in_another_thread_has_subprocesses(loop_factory):
    codes = []

    async def main():
        process = await shell("exit 8")
        codes.append(await process.wait())

    def work():
        loop = loop_factory()
        run_and_close(loop, main())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert codes == [8]


async def test_a_handler_of_sigchld_is_called_as_ever(loop):
    seen = []
    before = signal.signal(signal.SIGCHLD, lambda *_: seen.append("handler"))
    try:
        process = await shell("exit 2")
        assert await process.wait() == 2
        while not seen:
            await asyncio.sleep(0.001)
    finally:
        signal.signal(signal.SIGCHLD, before)


async def test_a_handler_of_the_loop_for_sigchld_leaves_the_exit_codes_alone(loop):
    seen = asyncio.Event()
    loop.add_signal_handler(signal.SIGCHLD, seen.set)
    process = await shell("exit 2")
    assert await process.wait() == 2
    await seen.wait()
    assert loop.remove_signal_handler(signal.SIGCHLD)


@pytest.mark.weft_only("asyncio raises where the child is gone before its pidfd is opened")
async def test_with_sigchld_ignored_the_end_is_known_but_not_the_code(loop, caplog):
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        process = await shell("exit 2")
        assert await process.wait() == 255
    finally:
        signal.signal(signal.SIGCHLD, before)
    assert "exit status already read" in caplog.text


@pytest.mark.skipif(sys.version_info >= (3, 14), reason="3.14 has no child watchers")
@pytest.mark.weft_only("asyncio asks the policy")
async def test_the_child_watcher_of_the_policy_is_not_asked(loop, monkeypatch):
    def refuse(*_):
        raise AssertionError("asked for a child watcher")

    monkeypatch.setattr(asyncio.DefaultEventLoopPolicy, "get_child_watcher", refuse)
    process = await shell("exit 1")
    assert await process.wait() == 1


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.EPERM, errno.EMFILE])
@pytest.mark.weft_only("asyncio decides once, when it is imported")
async def test_without_pidfds_a_thread_waits(loop, monkeypatch, number):
    def refuse(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "pidfd_open", refuse)
    process = await sleeper()
    assert any("waitpid" in thread.name for thread in threading.enumerate())
    process.terminate()
    assert await process.wait() == -signal.SIGTERM
    assert is_reaped(process.pid)


@pytest.mark.weft_only("a thread of asyncio's watcher logs a warning")
def test_a_waiting_thread_reaps_for_a_loop_that_is_closed(loop_factory, monkeypatch):
    def refuse(*_):
        raise PermissionError(errno.EPERM, "sandboxed")

    monkeypatch.setattr(os, "pidfd_open", refuse)
    loop = loop_factory()
    transport, _ = loop.run_until_complete(bare("exec sleep 60"))
    popen = transport.get_extra_info("subprocess")
    loop.close()
    popen.kill()
    for thread in threading.enumerate():
        if "waitpid" in thread.name:
            thread.join()
    assert popen.returncode == -signal.SIGKILL
    transport.close()
