"""Several workers: started, replaced and stopped together."""

from __future__ import annotations

import os
import signal

import pytest

from .support import PID_SERVER, Running, ask, is_alive, wait_until, weft

RUNNING_ON = r"weft running on http://127\.0\.0\.1:(\d+) "
STARTED = r"Started worker \[(\d+)\]"
SERVING = r"serving \[(\d+)\]"


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "main.py").write_text(PID_SERVER)
    return tmp_path


def workers_of(run, count):
    """The pids of so many workers, once all of them serve."""
    serving = run.find(SERVING, count)
    assert set(serving) <= set(run.find(STARTED, count))
    return [int(pid) for pid in serving]


def test_workers_share_one_socket_and_stop_together(folder):
    with Running("main:app", "--port=0", "--workers=2", cwd=folder) as run:
        (port,) = run.find(RUNNING_ON)
        workers = workers_of(run, 2)
        assert run.pid not in workers
        assert int(ask(int(port))) in workers
        assert run.stop() == 0
        assert not any(is_alive(pid) for pid in workers)
        assert run.find(r"Started parent process \[(\d+)\]") == [str(run.pid)]
        assert run.find(r"Stopping parent process \[(\d+)\]") == [str(run.pid)]


def test_the_parent_does_not_import_the_application(folder):
    (folder / "main.py").write_text("import os\nprint('by', os.getpid())\n" + PID_SERVER)
    with Running("main:app", "--port=0", "--workers=2", cwd=folder) as run:
        workers = workers_of(run, 2)
        assert run.stop() == 0
        assert {int(pid) for pid in run.find(r"by (\d+)")} == set(workers)


def test_a_killed_worker_is_replaced_and_the_socket_stays_open(folder):
    with Running("main:app", "--port=0", "--workers=2", cwd=folder) as run:
        (port,) = run.find(RUNNING_ON)
        first, second = workers_of(run, 2)
        os.kill(first, signal.SIGKILL)
        workers = workers_of(run, 3)
        assert int(ask(int(port))) in {second, workers[2]}
        run.find(rf"Worker \[{first}\] died: killed by SIGKILL")
        assert run.stop() == 0
        assert not any(is_alive(pid) for pid in workers)


def test_a_worker_that_cannot_start_stops_the_service_with_code_3(folder):
    (folder / "main.py").write_text("import no_such_package\n")
    result = weft("main:app", "--port=0", "--workers=2", cwd=folder)
    assert result.returncode == 3
    assert "No module named 'no_such_package'" in result.stderr
    assert "failed to start; its reason is above. Stopping." in result.stderr


def test_ctrl_c_in_the_terminal_is_one_signal_for_each_worker(folder):
    """It reaches the terminal's whole foreground group; workers are not in it."""
    (folder / "main.py").write_text(
        PID_SERVER.replace(
            "signal.signal(",
            "signal.signal(signal.SIGINT, lambda *_: print('SIGINT came', flush=True))\n"
            "    signal.signal(",
            1,
        )
    )
    with Running("main:app", "--port=0", "--workers=2", cwd=folder) as run:
        workers_of(run, 2)
        run.signal_group(signal.SIGINT)
        assert run.wait() == 0
        assert "Received SIGINT, stopping." in run.text
        assert "SIGINT came" not in run.text


def test_a_second_signal_kills_workers_that_do_not_end(folder):
    (folder / "main.py").write_text(PID_SERVER.replace("lambda *_: sys.exit(0)", "signal.SIG_IGN"))
    with Running("main:app", "--port=0", "--workers=2", cwd=folder) as run:
        workers = workers_of(run, 2)
        run.signal(signal.SIGINT)
        run.find("Received SIGINT, stopping.")
        assert all(is_alive(pid) for pid in workers)
        run.signal(signal.SIGINT)
        assert run.wait() == 1
        assert not any(is_alive(pid) for pid in workers)


def test_workers_end_when_their_parent_vanishes(folder):
    with Running("main:app", "--port=0", "--workers=2", cwd=folder) as run:
        workers = workers_of(run, 2)
        run.signal(signal.SIGKILL)
        run.wait()
        wait_until(lambda: not any(is_alive(pid) for pid in workers))


def test_processes_of_the_application_are_not_workers_and_inherit_no_socket(folder):
    (folder / "main.py").write_text(
        """
import os, subprocess, sys

def app(settings, fds):
    code = "import os; print('WEFT_WORKER' in os.environ, os.listdir('/proc/self/fd'))"
    print("before", "WEFT_WORKER" in os.environ, settings.supervised)
    for fd in fds:
        assert not os.get_inheritable(fd)
    subprocess.run([sys.executable, "-c", code], close_fds=False)
    return 3
"""
    )
    result = weft("main:app", "--port=0", "--workers=2", cwd=folder)
    assert "before False True" in result.stdout
    assert "False ['0', '1', '2', '3']" in result.stdout


def test_workers_get_the_interpreters_flags_and_the_same_options(folder):
    (folder / "main.py").write_text(
        "import sys\n"
        "def app(settings, fds):\n"
        "    print('dev', sys.flags.dev_mode, settings.port, settings.root_path, flush=True)\n"
        "    return 3\n"
    )
    run = Running(
        *("main:app", "--port=0", "--workers=2", "--root-path=/v1"),
        cwd=folder,
        python_flags=["-X", "dev"],
    )
    with run:
        assert run.wait() == 3
        assert "dev True 0 /v1" in run.text


def test_the_unix_socket_is_removed_by_the_parent_alone(folder):
    path = folder / "service.sock"
    with Running("main:app", "--uds", path, "--workers=2", cwd=folder) as run:
        first, _ = workers_of(run, 2)
        os.kill(first, signal.SIGTERM)
        workers_of(run, 3)
        assert path.exists()
        run.find(f"weft running on unix socket {path} ")
        assert run.stop() == 0
    assert not path.exists()


def test_a_hand_over_that_is_not_ours_is_refused(folder):
    result = weft("main:app", cwd=folder, WEFT_WORKER="1")
    assert result.stderr == (
        'ERROR:    cannot become a worker: WEFT_WORKER="1" was not written by a weft '
        "supervisor; unset it\n"
    )
    assert result.returncode == 3
