"""Programs that need a process of their own: limits, signals, and how the interpreter ends."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys
import textwrap

ROOT = pathlib.Path(__file__).resolve().parents[2]
TIMEOUT = 20.0

PRELUDE = """
import asyncio, os, signal, socket, sys, threading
from tests.support.loops import factory_of
make_loop = factory_of({flavour!r})
"""


def python_path() -> str:
    """This checkout first, for the helpers; then whatever the test run itself was given."""
    return os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))


def run_script(
    flavour: str, source: str, *, flags: tuple[str, ...] = (), env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the source with `make_loop` bound to the flavour's factory, warnings shown."""
    program = PRELUDE.format(flavour=flavour) + textwrap.dedent(source)
    return subprocess.run(
        [sys.executable, "-X", "faulthandler", "-W", "default", *flags, "-c", program],
        cwd=ROOT,
        env={"PATH": os.defpath, "PYTHONPATH": python_path(), **(env or {})},
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )


def check_script(flavour: str, source: str, **options: object) -> str:
    """As `run_script`; the program must end with 0. Its standard output."""
    done = run_script(flavour, source, **options)  # type: ignore[arg-type]
    assert done.returncode == 0, f"exit {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout
