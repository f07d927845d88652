"""fork(2) while a loop runs: the child has its own loops, and the parent's notices nothing."""

from __future__ import annotations

import sys

import pytest

from tests.support.scripts import check_script, run_script

SHARED = "asyncio's child shares the parent's epoll instance"

FORK = """
def in_child(body):
    '''The exit code of a child that runs body: what it returns, 99 after an exception.'''
    pid = os.fork()
    if pid:
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    code = 99
    try:
        code = body()
    except BaseException:
        import traceback
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        os._exit(code)

def run(main):
    with asyncio.Runner(loop_factory=make_loop) as runner:
        return runner.run(main)

async def still_works(loop, reading, writing):
    '''A reader, a timer, another thread and a signal still reach the loop.'''
    got = loop.create_future()
    loop.add_reader(reading, lambda: got.done() or got.set_result(reading.recv(1)))
    await asyncio.sleep(0.001)
    writing.send(b'x')
    assert await asyncio.wait_for(got, 5) == b'x'
    loop.remove_reader(reading)
    assert await asyncio.wait_for(asyncio.to_thread(lambda: 7), 5) == 7
    heard = asyncio.Event()
    loop.add_signal_handler(signal.SIGUSR1, heard.set)
    os.kill(os.getpid(), signal.SIGUSR1)
    await asyncio.wait_for(heard.wait(), 5)
    loop.remove_signal_handler(signal.SIGUSR1)
"""


def check(flavour, source):
    check_script(flavour, FORK + source)


def test_the_child_runs_loops_of_its_own_and_the_parent_goes_on(flavour):
    check(
        flavour,
        """
def child():
    assert asyncio._get_running_loop() is None
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        pass
    else:
        return 1
    async def own():
        one, two = socket.socketpair()
        one.setblocking(False); two.setblocking(False)
        with one, two:
            await still_works(asyncio.get_running_loop(), one, two)
        return 42
    return run(own())

async def main():
    reading, writing = socket.socketpair()
    reading.setblocking(False)
    with reading, writing:
        for _ in range(3):
            assert in_child(child) == 42
            await still_works(asyncio.get_running_loop(), reading, writing)

run(main())
""",
    )


@pytest.mark.weft_only(SHARED)
def test_what_a_child_stops_watching_is_still_watched_by_the_parent(flavour):
    check(
        flavour,
        """
async def main():
    loop = asyncio.get_running_loop()
    reading, writing = socket.socketpair()
    got = loop.create_future()
    loop.add_reader(reading, lambda: got.set_result(reading.recv(1)))
    ours, theirs = socket.socketpair()
    reader, writer = await asyncio.open_connection(sock=ours)

    def child():
        assert loop.remove_reader(reading)
        writer.transport.abort()
        return 0

    assert in_child(child) == 0
    writing.send(b'x')
    assert await asyncio.wait_for(got, 5) == b'x'
    theirs.send(b'line\\n')
    assert await asyncio.wait_for(reader.readline(), 5) == b'line\\n'
    loop.remove_reader(reading)
    writer.close()

run(main())
""",
    )


@pytest.mark.skipif(
    sys.version_info >= (3, 14), reason="CPython's task cannot end where no loop runs any more"
)
@pytest.mark.weft_only(SHARED)
def test_a_child_that_leaves_through_the_loop_does_not_deafen_the_parent(flavour):
    """`sys.exit()` in a forked child unwinds run_forever and closes the parent's loop."""
    check(
        flavour,
        """
async def main():
    reading, writing = socket.socketpair()
    reading.setblocking(False)
    with reading, writing:
        pid = os.fork()
        if pid == 0:
            sys.exit(3)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 3
        await still_works(asyncio.get_running_loop(), reading, writing)

run(main())
""",
    )


def test_signals_of_the_child_are_not_the_parents(flavour):
    if flavour == "asyncio" and sys.version_info < (3, 12):
        pytest.skip("before 3.12 asyncio's child writes its signals into the parent's socket")
    check(
        flavour,
        """
async def main():
    loop = asyncio.get_running_loop()
    heard = []
    loop.add_signal_handler(signal.SIGUSR1, heard.append, 'parent')

    def child():
        os.kill(os.getpid(), signal.SIGUSR1)
        return 0

    assert in_child(child) == 0
    await asyncio.sleep(0.01)
    assert not heard, heard
    os.kill(os.getpid(), signal.SIGUSR1)
    while not heard:
        await asyncio.sleep(0.001)
    assert heard == ['parent']

run(main())
""",
    )


@pytest.mark.weft_only(SHARED)
def test_a_loop_made_before_the_fork_runs_on_both_sides(flavour):
    """A service may bind and register first, and fork its workers then."""
    check(
        flavour,
        """
loop = make_loop()
reading, writing = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
reading.setblocking(False)
got = loop.create_future()

def on_readable():
    try:
        data = reading.recv(1)
    except BlockingIOError:
        return  # the other process was quicker
    loop.remove_reader(reading)
    got.set_result(data)

loop.add_reader(reading, on_readable)
pid = os.fork()
writing.send(b'x')
assert loop.run_until_complete(asyncio.wait_for(got, 5)) == b'x'
loop.close()
if pid == 0:
    sys.stdout.flush()
    os._exit(5)
assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 5
""",
    )


def test_a_loop_of_another_thread_is_not_disturbed_either(flavour):
    check(
        flavour,
        """
ready, done = threading.Event(), threading.Event()

def work():
    async def main():
        loop = asyncio.get_running_loop()
        reading, writing = socket.socketpair()
        reading.setblocking(False)
        with reading, writing:
            got = loop.create_future()
            loop.add_reader(reading, lambda: got.set_result(reading.recv(1)))
            loops.append((loop, writing))
            ready.set()
            assert await got == b'x'
            loop.remove_reader(reading)
            done.set()
    run(main())

def child():
    async def own():
        await asyncio.sleep(0.001)
        return 6
    return run(own())

loops = []
thread = threading.Thread(target=work)
thread.start()
ready.wait(5)
assert in_child(child) == 6
loops[0][1].send(b'x')
assert done.wait(5)
thread.join()
""",
    )


def test_multiprocessing_forks_from_inside_a_coroutine(flavour):
    check(
        flavour,
        """
import multiprocessing

def work(queue):
    async def answer():
        await asyncio.sleep(0.001)
        return os.getpid()
    queue.put(run(answer()))

async def main():
    context = multiprocessing.get_context('fork')
    queue = context.SimpleQueue()
    processes = [context.Process(target=work, args=(queue,)) for _ in range(3)]
    for process in processes:
        process.start()
    pids = {queue.get() for _ in processes}
    for process in processes:
        process.join()
        assert process.exitcode == 0
    assert pids == {process.pid for process in processes}
    reading, writing = socket.socketpair()
    reading.setblocking(False)
    with reading, writing:
        await still_works(asyncio.get_running_loop(), reading, writing)

run(main())
""",
    )


@pytest.mark.weft_only("asyncio's watcher waits for the sibling as if it were a child")
def test_a_child_does_not_wait_for_the_children_of_its_parent(flavour):
    check(
        flavour,
        """
async def main():
    process = await asyncio.create_subprocess_exec('/bin/sleep', '60')
    loop = asyncio.get_running_loop()

    def child():
        assert not loop._children
        return 0

    assert in_child(child) == 0
    assert process.returncode is None
    process.kill()
    assert await process.wait() == -signal.SIGKILL

run(main())
""",
    )


def test_a_fork_without_loops_is_not_disturbed(flavour):
    done = run_script(
        flavour,
        FORK
        + """
loop = make_loop()
loop.close()
del loop
assert in_child(lambda: 4) == 4
""",
    )
    assert done.returncode == 0, done.stderr
    assert not done.stderr
