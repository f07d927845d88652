"""What the command says to mistakes, and the exit code it says it with."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys

import pytest

import weft as package

from .support import LIMIT, PID_SERVER, Running, ask, environment, weft


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "main.py").write_text(PID_SERVER)
    return tmp_path


def test_help_is_printed_and_ends_well(folder):
    short, long = weft("-h", cwd=folder), weft("--help", cwd=folder)
    assert short.returncode == long.returncode == 0
    assert "--port" in short.stdout
    assert "WEFT_PORT" in long.stdout
    assert not long.stderr


def test_the_version_names_the_interpreter_too(folder):
    result = weft("--version", cwd=folder)
    assert result.returncode == 0
    assert re.fullmatch(rf"weft {package.__version__} \(CPython 3\.\d+\S*, .+\)\n", result.stdout)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            [],
            "no application given; name it as MODULE:ATTRIBUTE, for example: weft main:app",
        ),
        (["main:app", "--prot", "80"], "unknown option --prot; did you mean --port?"),
        (
            ["main:app", "--port", "http"],
            '--port: "http" is not a whole number from 0 to 65535',
        ),
        (["main:app", "--workers"], "--workers (N) needs a value"),
        (
            ["main:app", "--log-level", "warn"],
            '--log-level: "warn" is not one of critical, error, warning, info, debug, trace',
        ),
        (
            ["main:app", "--env-file", "no.env"],
            "environment file no.env: cannot be read: No such file or directory (os error 2)",
        ),
    ],
)
def test_a_mistake_in_the_options_is_one_line_and_code_2(folder, arguments, message):
    result = weft(*arguments, cwd=folder)
    assert result.stderr == f"weft: error: {message}\n"
    assert result.stdout == ""
    assert result.returncode == 2


def test_a_mistake_in_the_environment_names_the_variable(folder):
    result = weft("main:app", cwd=folder, WEFT_WORKERS="many")
    assert result.stderr == (
        'weft: error: WEFT_WORKERS: "many" is not a whole number from 1 to 1024\n'
    )
    assert result.returncode == 2


def test_a_missing_module_is_one_line_and_code_3(folder):
    result = weft("mian:app", "--port", "0", cwd=folder)
    assert result.stderr == (
        f'ERROR:    there is no module "mian" in {folder}; did you mean main:app?\n'
    )
    assert result.returncode == 3


def test_an_error_inside_the_application_shows_its_own_frames_alone(folder):
    (folder / "broken.py").write_text("import helper\n")
    (folder / "helper.py").write_text("def half(n):\n    return n / 0\n\nhalf(1)\n")
    result = weft("broken:app", "--port", "0", cwd=folder)
    assert result.returncode == 3
    lines = result.stderr.splitlines()
    assert lines[0] == "ERROR:    Traceback (most recent call last):"
    assert lines[-1] == ('ERROR:    importing "broken" failed: ZeroDivisionError: division by zero')
    frames = [line for line in lines if line.lstrip().startswith("File ")]
    assert len(frames) == 3
    assert all(str(folder) in frame for frame in frames)


def test_a_program_that_serves_itself_without_a_guard_is_told_so(folder):
    (folder / "script.py").write_text(
        "import sys\n"
        "from weft.__main__ import main\n"
        "def app(settings, fds): ...\n"
        "sys.exit(main(['script:app', '--port=0', '--workers=2']))\n"
    )
    result = weft("script:app", "--port=0", cwd=folder)
    assert (
        'ERROR:    "script" starts a server while it is imported by one; put that call under '
        'if __name__ == "__main__":\n'
    ) in result.stderr
    assert result.returncode == 3


def test_a_port_in_use_is_one_line_and_code_3(folder):
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
        for workers in (1, 2):
            result = weft("main:app", "--port", port, "--workers", workers, cwd=folder)
            assert result.stderr == (
                f"ERROR:    cannot listen on 127.0.0.1:{port}: the port is in use; stop the "
                f"process that has it (ss -ltnp 'sport = :{port}' shows it) or choose another "
                f"--port\n"
            )
            assert result.returncode == 3


def test_one_worker_serves_in_the_process_itself(folder):
    with Running("main:app", "--port", free_port(), cwd=folder) as run:
        assert run.find(r"serving \[(\d+)\]") == [str(run.pid)]
        assert run.stop() == 0


def test_the_server_gets_every_setting(folder):
    (folder / "show.py").write_text(
        "def app(settings, fds):\n    print(settings, len(fds))\n    return 7\n"
    )
    (folder / "some.env").write_text("WEFT_LOG_LEVEL=error\nWEFT_HOST=::1\n")
    result = weft(
        *("show:app", "--port=0", "--env-file", "some.env", "--timeout-graceful-shutdown", "2.5"),
        cwd=folder,
        WEFT_HOST="127.0.0.1",
        WEFT_ACCESS_LOG="no",
    )
    assert result.stdout == (
        "Settings(app='show:app', factory=False, app_dir='', env_file='some.env', "
        "lifespan='auto', root_path='', host='127.0.0.1', port=0, uds=None, backlog=2048, "
        "timeout_keep_alive=75.0, ws='auto', ws_max_size=16777216, ws_max_queue=32, "
        "ws_ping_interval=20.0, ws_ping_timeout=20.0, ws_per_message_deflate=True, "
        "workers=1, timeout_graceful_shutdown=2.5, log_level='error', "
        "access_log=False, use_colors=None) 1\n"
    )
    assert result.returncode == 7, "the server's code is the command's"


def test_the_environment_file_reaches_the_application_and_overrides_nothing(folder):
    (folder / "show.py").write_text(
        "import os\n"
        "seen = os.environ['COLOR'], os.environ['SIZE']\n"
        "def app(settings, fds):\n    print(*seen)\n    return 0\n"
    )
    (folder / ".env").write_text("COLOR=red\nSIZE=large\n")
    result = weft("show:app", "--port=0", "--env-file=.env", cwd=folder, SIZE="small")
    assert result.stdout == "red small\n"


@pytest.mark.parametrize("moment", ["while importing", "while serving"])
def test_ctrl_c_ends_without_a_traceback(folder, moment):
    (folder / "slow.py").write_text(
        "import time\n"
        "def wait():\n    print('waiting', flush=True)\n    time.sleep(60)\n"
        + ("wait()\n" if moment == "while importing" else "")
        + "def app(settings, fds):\n    wait()\n"
    )
    with Running("slow:app", "--port=0", cwd=folder) as run:
        run.find("waiting")
        run.signal(signal.SIGINT)
        assert run.wait() == 130
        assert "Traceback" not in run.text


def test_the_unix_socket_is_removed_at_the_end(folder):
    path = folder / "service.sock"
    with Running("main:app", "--uds", path, cwd=folder) as run:
        run.find("serving")
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))
            assert client.makefile().read() == str(run.pid)
        assert run.stop() == 0
    assert not path.exists()


def test_a_service_is_reached_at_the_port_that_was_asked_for(folder):
    port = free_port()
    with Running("main:app", "--port", port, cwd=folder) as run:
        run.find("serving")
        assert ask(port) == str(run.pid)


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


def run_script(folder, text):
    (folder / "script.py").write_text(f"import weft\n\n{text}\n")
    return subprocess.run(
        [sys.executable, "script.py"],
        cwd=folder,
        env=environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
    )


def test_serve_reads_the_environment_file_as_the_command_does(folder):
    (folder / "told.env").write_text("TOLD=yes\n")
    (folder / "told.py").write_text(
        "import os\n\ndef app(settings, fds):\n    print(os.environ.get('TOLD'))\n    return 0\n"
    )
    result = run_script(folder, "weft.serve('told:app', port=0, env_file='told.env')")
    assert (result.stdout, result.returncode) == ("yes\n", 0)


def test_serve_that_cannot_start_says_one_line_and_exits_with_3(folder):
    result = run_script(folder, "weft.serve('mian:app', port=0)")
    assert result.returncode == 3
    assert result.stderr.count("\n") == 1
    assert result.stderr.startswith('ERROR:    there is no module "mian"')


def test_serve_without_a_guard_starts_no_servers_within_servers(folder):
    result = run_script(folder, "weft.serve('script:app', port=0, workers=2)")
    assert result.returncode == 3
    assert "put that call under if __name__" in result.stderr
