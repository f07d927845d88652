"""The helpers catch what they are there to catch; a silent ledger would prove nothing."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import select
import signal
import threading

import pytest

from tests.support.leaks import assert_collected, assert_freed, resource_warning
from tests.support.ledger import Ledger
from tests.support.loops import one_turn
from tests.support.parked import when_parked
from tests.support.watchdog import Hung, Watchdog


@pytest.fixture
def account():
    account = Ledger()
    account.open()
    yield account
    account.put_back()


def test_a_clean_account_owes_nothing(account):
    loop = asyncio.SelectorEventLoop()
    loop.call_later(0, int)
    one_turn(loop)
    loop.close()
    del loop
    assert account.settle() == []


def test_a_descriptor_is_owed(account):
    reading, writing = os.pipe()
    owed = account.settle()
    os.close(reading)
    os.close(writing)
    assert [f"fd {reading}:" in owed[0], f"fd {writing}:" in owed[1]] == [True, True]


def test_a_loop_and_its_timer_are_owed(account):
    loop = asyncio.SelectorEventLoop()
    loop.call_later(3600, int)
    owed = "\n".join(account.settle())
    loop.close()
    assert "TimerHandle" in owed
    assert "SelectorEventLoop" in owed
    assert "eventpoll" in owed


def test_reports_that_nobody_took_are_owed(account):
    account.record_loop_error(None, {"message": "the report"})
    assert "the report" in account.settle()[0]


def test_reports_that_were_taken_are_not_owed(account):
    account.record_loop_error(None, {"message": "the report"})
    assert account.take_loop_error() == {"message": "the report"}
    assert account.settle() == []


def test_a_report_that_did_not_come_fails(account):
    with pytest.raises(AssertionError, match="no error was reported"):
        account.take_loop_error()


def test_unraisable_exceptions_and_error_records_are_owed(account):
    class Broken:
        def __del__(self):
            raise LookupError("in a finaliser")

    Broken()
    logging.getLogger("asyncio").error("the record")
    owed = "\n".join(account.settle())
    assert "in a finaliser" in owed
    assert "the record" in owed


def test_an_exception_of_a_thread_is_owed(account):
    thread = threading.Thread(target=lambda: 1 / 0)
    thread.start()
    thread.join()
    assert "ZeroDivisionError" in account.settle()[0]


def test_a_signal_handler_that_was_left_is_owed(account):
    before = signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    owed = account.settle()
    signal.signal(signal.SIGUSR1, before)
    assert "SIGUSR1" in owed[0]


def test_leak_helpers_tell_cycles_from_plain_objects():
    class Node:
        """Accepts weak references and attributes."""

    def cycle():
        node = Node()
        node.me = node
        return node

    assert_freed(Node)
    assert_collected(cycle)
    with pytest.raises(AssertionError, match="needs the collector"):
        assert_freed(cycle)
    kept = []
    with pytest.raises(AssertionError, match="held by"):
        assert_collected(lambda: kept.append(Node()) or kept[0])
    gc.collect()


def test_a_missing_resource_warning_fails():
    with pytest.raises(AssertionError, match="is not in"), resource_warning("unclosed"):
        pass


def test_the_watchdog_interrupts_a_thread_that_sleeps_in_the_kernel():
    dog = Watchdog()
    dog._stderr, real = os.open(os.devnull, os.O_WRONLY), dog._stderr
    with select.epoll() as poll, pytest.raises(Hung), dog.phase(0.01):
        poll.poll()
    dog.close()
    os.close(real)


def test_a_parked_thread_is_noticed():
    reading, writing = os.pipe()
    with select.epoll() as poll:
        poll.register(reading, select.EPOLLIN)
        helper = when_parked(lambda: os.write(writing, b"x"))
        assert poll.poll() == [(reading, select.EPOLLIN)]
        helper.join()
    os.close(reading)
    os.close(writing)
