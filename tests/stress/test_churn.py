"""A loop that opens, closes, resets and cancels for a long time holds no more than at the start."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys

import pytest

from tests.support.scripts import ROOT, python_path

# WEFT_CHURN_SECONDS=3600 make stress ARGS="-k churn"
SECONDS = float(os.environ.get("WEFT_CHURN_SECONDS", "600"))
SPARE = 60.0


def churn(seconds):
    """Run the program; what it says, and that nothing is left and nothing was reported."""
    done = subprocess.run(
        [
            sys.executable,
            "-X",
            "faulthandler",
            "-W",
            "error",
            "-m",
            "tests.stress.churn",
            f"{seconds}",
        ],
        cwd=ROOT,
        env={"PATH": os.defpath, "PYTHONPATH": python_path()},
        capture_output=True,
        text=True,
        timeout=2 * seconds + SPARE,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["reports"] == [], done.stderr
    rounds = result["rounds"]
    # The first round starts the executor's threads and fills caches.
    descriptors = {entry["descriptors"] for entry in rounds[1:]}
    assert len(descriptors) == 1, f"seed {result['seed']}: descriptors {descriptors}"
    assert {entry["tasks"] for entry in rounds} == {1}
    assert {entry["children"] for entry in rounds} == {0}
    return rounds


@pytest.mark.limit(60)
def test_a_few_seconds_of_churn_leave_no_descriptor_and_no_report():
    rounds = churn(4)
    assert sum(entry["actions"] for entry in rounds) > 100


@pytest.mark.stress
@pytest.mark.limit(2 * SECONDS + 2 * SPARE)
def test_a_long_churn_leaves_the_memory_flat():
    rounds = churn(SECONDS)
    quarter = len(rounds) // 4
    for figure in ("resident", "objects"):
        values = [entry[figure] for entry in rounds]
        early = statistics.median(values[quarter : 2 * quarter])
        late = statistics.median(values[-quarter:])
        print(f"\n{figure}: {early} → {late}, {sum(e['actions'] for e in rounds)} actions")
        assert late <= early * 1.03, f"{figure}: {values}"
