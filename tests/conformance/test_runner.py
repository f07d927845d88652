"""The runner itself: it sees every way in which a test can end, and holds it against the list."""

from __future__ import annotations

import asyncio
import copy

import pytest

from tests.conformance import suite
from tests.conformance.suite import Outcome, Run
from tests.conformance.verdict import complaints, listed, numbers


@pytest.fixture(scope="module")
def sample():
    return suite.run_module("sample", limit=2, package=__package__)


def ends(run):
    return {outcome.test.split("test_")[1]: outcome.status for outcome in run.outcomes}


def test_every_end_is_written_down_and_hangs_and_crashes_are_got_past(sample):
    assert ends(sample) == {
        "1_passes": "passed",
        "2_fails": "failed",
        "3_fails_in_a_part": "failed",
        "4_hangs": "hung",
        "5_ends_the_process": "crashed",
        "6_is_skipped": "skipped",
        "7_passes_on_a_loop_after_all_that": "passed",
    }


def test_a_hang_is_reported_with_the_place(sample):
    (hung,) = [complaint for complaint in complaints(sample, {}) if " hung:" in complaint]
    assert "sample.Sample.test_4_hangs" in hung
    assert "in test_4_hangs" in hung


def test_a_failure_is_reported_with_its_traceback(sample):
    (failed,) = [c for c in complaints(sample, {}) if "test_2_fails failed" in c]
    assert "AssertionError: on purpose" in failed


def test_the_loops_of_the_shim_are_counted(sample):
    assert sample.loops == 1


def test_the_control_runs_on_asyncios_own_loop():
    run = suite.run_module("sample", loop="asyncio", limit=2, package=__package__)
    assert ends(run)["7_passes_on_a_loop_after_all_that"] == "passed"
    assert run.loops == 0


def good_run():
    return Run("test_x", outcomes=[Outcome("test_x.A.test_a", "passed", "")], loops=1)


def test_a_good_run_has_nothing_wrong():
    assert complaints(good_run(), {}) == []


def test_a_listed_failure_is_expected_and_an_unlisted_one_is_not():
    run = good_run()
    run.add(Outcome("test_x.A.test_b", "failed", "why"))
    assert complaints(run, {"test_x.A.test_b": "reason"}) == []
    assert complaints(run, {}) == ["test_x.A.test_b failed:\nwhy"]


@pytest.mark.parametrize("status", ["hung", "crashed"])
def test_no_list_excuses_a_hang_or_a_crash(status):
    run = good_run()
    run.add(Outcome("test_x.A.test_b", "failed", ""))
    run.add(Outcome("test_x.A.test_b", status, "stacks"))
    assert complaints(run, {"test_x.A.test_b": "reason"}) == [f"test_x.A.test_b {status}:\nstacks"]


def test_a_listed_test_that_passes_is_wrong():
    (complaint,) = complaints(good_run(), {"test_x.A.test_a": "reason"})
    assert "passes: take it out" in complaint


def test_a_listed_test_that_does_not_exist_is_wrong():
    known = {"test_x.A.test_gone": "reason", "test_y.B.test_elsewhere": "reason"}
    assert complaints(good_run(), known) == [
        "test_x.A.test_gone does not exist: take it out of listed.toml"
    ]


def test_a_run_without_loops_or_tests_is_wrong():
    run = copy.deepcopy(good_run())
    run.loops = 0
    assert complaints(run, {}) != []
    assert complaints(Run("test_x", loops=1), {}) == ["no test has passed"]


def test_versions_are_compared_as_numbers():
    assert numbers("3.9") < numbers("3.11")
    assert listed((3, 11)) != listed((3, 14))


def test_every_module_of_the_list_is_run():
    if suite.modules():
        assert {test.split(".")[0] for test in listed()} <= set(suite.modules())


def test_asyncio_is_left_as_it_is():
    """The shim is for processes of its own."""
    assert asyncio.SelectorEventLoop.__module__.startswith("asyncio")
