"""Tools that make the loop themselves: test plugins, asyncio's REPL; and one that cannot."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import pytest

from tests.support.scripts import check_script

pytestmark = [
    pytest.mark.weft_only("how a tool is told of weft is what is shown"),
    pytest.mark.limit(60),
]


def run_pytest(folder, **files):
    """Run pytest in a folder with these files; all its tests must pass, and none be skipped."""
    for name, source in files.items():
        (folder / f"{name}.py").write_text(textwrap.dedent(source))
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            "-W",
            "error",
            "-c",
            "pytest.ini",
        ],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "pytest.ini").write_text(
        "[pytest]\nasyncio_default_fixture_loop_scope = function\n"
    )
    return tmp_path


def test_pytest_asyncio_takes_a_loop_factory(folder):
    output = run_pytest(
        folder,
        conftest="""
            import weft

            def pytest_asyncio_loop_factories(config, item):
                return {"weft": weft.new_event_loop}
        """,
        test_it="""
            import asyncio, pytest, pytest_asyncio, weft

            @pytest_asyncio.fixture
            async def server():
                server = await asyncio.start_server(lambda r, w: w.close(), "127.0.0.1", 0)
                yield server.sockets[0].getsockname()
                server.close()
                await server.wait_closed()

            @pytest.mark.asyncio
            @pytest.mark.parametrize("number", range(3))
            async def test_a_connection(server, number):
                assert type(asyncio.get_running_loop()) is weft.EventLoop
                reader, writer = await asyncio.open_connection(*server)
                assert await reader.read() == b""
                writer.close()
                await writer.wait_closed()
        """,
    )
    assert "3 passed" in output


def test_pytest_asyncio_takes_a_policy(folder):
    """The older way, deprecated with the policies themselves."""
    output = run_pytest(
        folder,
        test_it="""
            import asyncio, pytest, weft
            from weft.policy import EventLoopPolicy

            pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

            @pytest.fixture
            def event_loop_policy():
                return EventLoopPolicy()

            @pytest.mark.asyncio
            async def test_the_loop():
                assert type(asyncio.get_running_loop()) is weft.EventLoop
        """,
    )
    assert "1 passed" in output


def test_anyios_plugin_takes_a_loop_factory(folder):
    output = run_pytest(
        folder,
        test_it="""
            import anyio, asyncio, pytest, weft

            pytestmark = pytest.mark.anyio

            @pytest.fixture
            def anyio_backend():
                return "asyncio", {"loop_factory": weft.new_event_loop}

            @pytest.fixture
            async def group():
                async with anyio.create_task_group() as group:
                    yield group
                    group.cancel_scope.cancel()

            async def test_the_loop(group):
                group.start_soon(anyio.sleep_forever)
                assert type(asyncio.get_running_loop()) is weft.EventLoop
        """,
    )
    assert "1 passed" in output


def test_asyncios_repl_runs_on_an_installed_weft():
    program = "import runpy, weft; weft.install(); runpy.run_module('asyncio', run_name='__main__')"
    lines = [
        "kind = type(asyncio.get_running_loop())",
        "later = asyncio.create_task(asyncio.sleep(0.01, 'from the background'))",
        "await asyncio.sleep(0)",
        "print(kind.__module__, await later)",
        "1 / 0",
        "print('still there')",
    ]
    done = subprocess.run(
        [sys.executable, "-c", program],
        input="\n".join(lines) + "\n",
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "weft.event_loop from the background" in done.stdout
    assert "still there" in done.stdout
    assert "ZeroDivisionError" in done.stderr


def test_nest_asyncio_is_refused_with_a_reason_and_does_no_harm():
    """It puts Python's `_run_once` into the loop's class, which needs asyncio's own queues."""
    check_script(
        "weft",
        """
        import nest_asyncio
        loop = make_loop()
        try:
            nest_asyncio.apply(loop)
        except RuntimeError as error:
            assert "nest_asyncio" in str(error), error
        else:
            raise SystemExit("weft's loop was patched")
        assert loop.run_until_complete(asyncio.sleep(0, "unharmed")) == "unharmed"
        loop.close()
        """,
    )
