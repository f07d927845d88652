"""The machine's facts and its cores: what a result file says about where it was measured."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]

# Another version of one package, beside the environment: put first on a peer's PYTHONPATH.
OVERLAYS = {"uvloop-0.22": Path(sys.prefix, "overlays", "uvloop-0.22")}

PACKAGES = (
    "weft",
    "uvicorn",
    "httptools",
    "uvloop",
    "granian",
    "rloop",
    "aiofastnet",
    "gunicorn",
    "gunicorn_h1c",
    "hypercorn",
    "fastapi",
    "starlette",
    "pydantic",
)


@dataclass(frozen=True)
class Cores:
    """The core of the measured side and the core of the load; None when there is only one."""

    server: int | None
    load: int | None

    def pin(self, core: int | None) -> list[str]:
        """What to put before a command to bind it, its threads and its children to `core`."""
        return [] if core is None else ["taskset", "--cpu-list", str(core)]

    def describe(self) -> str:
        """One line for the report."""
        if self.server is None:
            return "nothing is pinned: one core only, or no `taskset`"
        return f"server pinned to core {self.server}, load to core {self.load}"


def choose_cores() -> Cores:
    """The first two cores this process may use (a container may own cores 4 and 5)."""
    allowed = sorted(os.sched_getaffinity(0))
    if len(allowed) < 2 or shutil.which("taskset") is None:
        return Cores(None, None)
    return Cores(allowed[0], allowed[1])


def version_of(package: str) -> str | None:
    """The installed version, or None."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def environment(overlay: str) -> dict[str, str]:
    """The variables of a peer's process: ours, and its overlay in front of all packages."""
    path = os.environ.get("PYTHONPATH", "")
    if not overlay:
        return dict(os.environ)
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(OVERLAYS[overlay]), path])}


def _overlay_versions() -> dict[str, str]:
    found = {}
    for name, directory in OVERLAYS.items():
        for package in metadata.distributions(path=[str(directory)]):
            found[f"overlay {name}"] = package.version
    return found


def _tool_version(*command: str) -> str | None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except OSError:
        return None
    lines = (done.stdout or done.stderr).strip().splitlines()
    return lines[0] if lines else None


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _memory_gib() -> float:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30


def _revision() -> str | None:
    """The commit that was measured; `-dirty` when the tree had changes."""
    command = ("git", "-C", str(ROOT), "describe", "--always", "--dirty")
    return _tool_version(*command)


def facts() -> dict[str, object]:
    """Everything a reader needs to judge or repeat the run; no host name, no paths."""
    return {
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "memory_gib": round(_memory_gib(), 1),
        "kernel": f"{platform.system()} {platform.release()} {platform.machine()}",
        "load_average": [round(value, 2) for value in os.getloadavg()],
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "compiler": platform.python_compiler(),
        "revision": _revision(),
        "packages": {
            **{name: version_of(name) for name in PACKAGES if version_of(name)},
            **_overlay_versions(),
        },
        "wrk": _tool_version("wrk", "-v"),
    }


def command_line(module: str) -> str:
    """The command as a reader would type it, without this machine's interpreter path."""
    return " ".join(["python", "-m", module, *sys.argv[1:]])
