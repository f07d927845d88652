"""Loops, handles and tasks take part in garbage collection, closed or not."""

from __future__ import annotations

import asyncio
import gc
import signal
import warnings
import weakref

import pytest

from tests.support.fds import open_fds
from tests.support.leaks import assert_collected, assert_freed, resource_warning
from tests.support.loops import finish, one_turn
from tests.support.net import nonblocking_pair
from tests.support.scripts import check_script, run_script


@pytest.fixture
def dropped(raw_loop_factory):
    """Makes a loop that the test drops without closing it; the warning about that is expected."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "unclosed event loop", ResourceWarning)
        yield raw_loop_factory
        gc.collect()


def closed(loop):
    loop.close()
    return loop


def test_a_closed_loop_is_collected(raw_loop_factory):
    assert_collected(lambda: closed(raw_loop_factory()))


def test_a_loop_that_ran_is_collected(raw_loop_factory):
    def make():
        loop = raw_loop_factory()
        loop.run_until_complete(asyncio.sleep(0.0001))
        return closed(loop)

    assert_collected(make)


def test_a_loop_in_a_cycle_with_itself_is_collected(raw_loop_factory):
    def make():
        loop = raw_loop_factory()
        loop.myself = loop
        loop.set_exception_handler(lambda _loop, _context: loop)
        loop.set_task_factory(lambda _loop, coro: asyncio.Task(coro, loop=loop))
        return closed(loop)

    assert_collected(make)


def test_a_dropped_loop_is_collected_and_gives_its_descriptors_back(dropped):
    before = open_fds()
    assert_collected(dropped)
    assert open_fds() == before


def test_a_dropped_loop_warns(raw_loop_factory):
    # The warning holds the loop, so whether it is collected is another test's question.
    with resource_warning("unclosed event loop"):
        raw_loop_factory()
        gc.collect()


def test_a_closed_loop_does_not_warn(raw_loop_factory):
    closed(raw_loop_factory())
    gc.collect()


def test_a_dropped_loop_with_pending_callbacks_is_collected(dropped):
    def make():
        loop = dropped()
        soon = loop.call_soon(loop.stop)
        threadsafe = loop.call_soon_threadsafe(loop.stop)
        later = loop.call_later(3600, loop.stop)
        at = loop.call_at(loop.time() + 3600, loop.call_soon, loop.stop)
        return loop, soon, threadsafe, later, at

    assert_collected(make)


def test_a_closed_loop_with_pending_callbacks_is_collected(raw_loop_factory):
    def make():
        loop = raw_loop_factory()
        handles = loop.call_soon(loop.stop), loop.call_later(3600, loop.stop)
        return closed(loop), *handles

    assert_collected(make)


def test_a_handle_does_not_outlive_a_cycle_through_its_arguments(loop):
    class Node:
        pass

    def make():
        node = Node()
        node.handle = loop.call_later(3600, print, node)
        node.handle.cancel()
        other = Node()
        other.handle = loop.call_soon(bool, other)
        one_turn(loop)
        return node, other, other.handle

    assert_collected(make)


def test_a_handle_that_ran_is_freed_without_the_collector(loop):
    def make():
        handle = loop.call_soon(int)
        one_turn(loop)
        return handle

    assert_freed(make)


def test_a_handle_keeps_its_loop_alive_but_not_forever(raw_loop_factory):
    loop = raw_loop_factory()
    handle = loop.call_later(3600, int)
    reference = weakref.ref(closed(loop))
    del loop
    gc.collect()
    handle.cancel()
    assert "cancelled" in repr(handle)
    del handle
    gc.collect()
    assert reference() is None


def test_a_task_in_a_cycle_with_its_loop_is_collected(raw_loop_factory):
    def make():
        loop = raw_loop_factory()

        async def main():
            loop.task = asyncio.current_task()
            loop.future = loop.create_future()
            return loop

        loop.run_until_complete(main())
        return closed(loop), loop.task, loop.future

    assert_collected(make)


def test_a_finished_task_is_freed_without_the_collector(loop):
    async def main():
        return 1

    def make():
        task = loop.create_task(main())
        loop.run_until_complete(task)
        return task

    assert_freed(make)


def test_a_pending_task_on_a_dropped_loop_is_collected(dropped, ledger):
    """It is reported as destroyed, through the loop's handler, and then all of it goes."""

    def make():
        loop = dropped()
        reports = []
        loop.set_exception_handler(lambda _loop, context: reports.append(context["message"]))

        async def forever():
            await loop.create_future()

        task = loop.create_task(forever())
        one_turn(loop)
        return loop, task

    assert_collected(make)


def test_readers_and_writers_of_a_dropped_loop_are_collected(dropped):
    ours, theirs = nonblocking_pair()

    def make():
        loop = dropped()
        loop.add_reader(ours, loop.stop)
        loop.add_writer(theirs, loop.stop)
        return loop

    with ours, theirs:
        assert_collected(make)


def test_readers_of_a_closed_loop_are_collected(raw_loop_factory):
    ours, theirs = nonblocking_pair()

    def make():
        loop = raw_loop_factory()
        loop.add_reader(ours, loop.stop)
        return closed(loop)

    with ours, theirs:
        assert_collected(make)


def test_a_removed_reader_lets_go_of_its_callback(loop):
    class Argument:
        pass

    ours, theirs = nonblocking_pair()

    def make():
        argument = Argument()
        loop.add_reader(ours, print, argument)
        loop.remove_reader(ours)
        return argument

    with ours, theirs:
        assert_freed(make)


def test_signal_handlers_of_a_closed_loop_are_collected(raw_loop_factory):
    def make():
        loop = raw_loop_factory()
        loop.add_signal_handler(signal.SIGUSR1, loop.stop)
        return closed(loop)

    assert_collected(make)


def test_a_loop_with_an_executor_is_collected(raw_loop_factory):
    def make():
        loop = raw_loop_factory()
        loop.run_until_complete(loop.run_in_executor(None, int))
        finish(loop)
        return loop

    assert_collected(make)


def test_the_error_of_a_callback_is_not_kept(loop):
    """Neither the queue nor the loop holds the exception, its frames or the handle."""

    class Odd(Exception):
        pass

    made = []

    def failing():
        error = Odd()
        made.append(weakref.ref(error))
        raise error

    loop.set_exception_handler(lambda _loop, _context: None)
    loop.call_soon(failing)
    one_turn(loop)
    gc.collect()
    assert made[0]() is None


def test_a_thousand_loops_leave_nothing(raw_loop_factory):
    before = open_fds()
    for _ in range(1000):
        loop = raw_loop_factory()
        loop.call_soon(int)
        one_turn(loop)
        loop.close()
    assert open_fds() == before


def test_a_loop_collected_while_another_runs_does_not_disturb_it(dropped, loop):
    async def main():
        other = dropped()
        other.call_soon(other.stop)
        other.cycle = other
        del other
        gc.collect()
        await asyncio.sleep(0)
        return "undisturbed"

    assert loop.run_until_complete(main()) == "undisturbed"


def test_a_program_that_ends_with_an_open_loop_ends_quietly(flavour):
    output = check_script(
        flavour,
        """
        import warnings
        warnings.simplefilter("ignore", ResourceWarning)
        loop = make_loop()
        ours, theirs = socket.socketpair()
        loop.add_reader(ours.fileno(), print)
        loop.call_later(3600, print)
        loop.call_soon(loop.stop)
        loop.run_forever()
        print("end")
        """,
    )
    assert output == "end\n"


def test_a_program_may_end_with_handles_that_only_the_collector_reaches(flavour):
    """Their destructors run while the interpreter ends."""
    output = check_script(
        flavour,
        """
        loop = make_loop()
        class Keeper: pass
        keeper = Keeper()
        keeper.itself = keeper
        keeper.handles = [loop.call_soon(print, keeper), loop.call_later(5, print, keeper)]
        loop.close()
        print("end")
        """,
    )
    assert output == "end\n"


def test_a_program_that_exits_from_a_callback_ends_with_its_code(flavour):
    done = run_script(
        flavour,
        """
        import warnings
        warnings.simplefilter("ignore", ResourceWarning)
        loop = make_loop()
        loop.call_soon(sys.exit, 7)
        loop.run_forever()
        """,
    )
    assert done.returncode == 7
    assert "Traceback" not in done.stderr


def test_a_program_ends_while_a_thread_still_calls_the_loop(flavour):
    """A daemon thread in the middle of a threadsafe call must not crash the finalisation."""
    done = run_script(
        flavour,
        """
        import warnings
        warnings.simplefilter("ignore", ResourceWarning)
        loop = make_loop()
        started = threading.Event()

        def caller():
            while True:
                loop.call_soon_threadsafe(int)
                started.set()

        threading.Thread(target=caller, daemon=True).start()
        started.wait()
        loop.call_soon(loop.stop)
        loop.run_forever()
        """,
    )
    assert done.returncode == 0, done.stderr
