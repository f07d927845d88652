"""The result files: every sample as JSON, and the tables as Markdown, both dated."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from .machine import ROOT, command_line, facts
from .table import Table

RESULTS = ROOT / "benches" / "results"


def _free_stem(directory: Path, what: str) -> Path:
    """A name that does not overwrite an earlier run of the same day."""
    day = datetime.now(UTC).strftime("%Y-%m-%d")
    for number in range(1, 1000):
        stem = directory / (f"{day}-{what}" if number == 1 else f"{day}-{what}-{number}")
        if not stem.with_suffix(".json").exists():
            return stem
    raise FileExistsError(f"{directory} is full of {what} runs of today")


def _without_paths(text: str) -> str:
    """Error texts quote the servers' logs; this checkout's own path says nothing to a reader."""
    return text.replace(str(ROOT), ".").replace(str(Path.home()), "~")


def _head(what: str, run: dict[str, object]) -> str:
    machine = run["machine"]
    assert isinstance(machine, dict)
    packages = ", ".join(f"{name} {version}" for name, version in machine["packages"].items())
    lines = [
        f"# {what}, {run['date']}",
        "",
        f"- command: `{run['command']}`",
        f"- machine: {machine['cpu']}, {machine['cores']} cores, {machine['memory_gib']} GiB",
        f"- kernel: {machine['kernel']}; load average at the start {machine['load_average']}",
        f"- {machine['python']} ({machine['compiler']}), commit {machine['revision']}",
        f"- packages: {packages}",
        f"- load: {machine['wrk']}",
        f"- set-up: {json.dumps(run['setup'])}",
        "",
        "How it was measured and how to read it: `benches/README.md`. All samples are in the JSON",
        "file of the same name.",
        "",
    ]
    return "\n".join(lines)


def describe_run(module: str, setup: dict[str, object]) -> dict[str, object]:
    """The part of a result file that is known before the first sample."""
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "command": command_line(module),
        "machine": facts(),
        "setup": setup,
    }


def save(
    what: str,
    run: dict[str, object],
    samples: Sequence[dict[str, object]],
    tables: Sequence[Table],
    directory: Path | None,
) -> Path:
    """Write `YYYY-MM-DD-<what>.json` and `.md`; returns the Markdown file."""
    target = directory or RESULTS
    target.mkdir(parents=True, exist_ok=True)
    stem = _free_stem(target, what)
    raw = json.dumps({**run, "samples": list(samples)}, indent=1)
    stem.with_suffix(".json").write_text(_without_paths(raw) + "\n")
    text = "\n".join([_head(what, run), *(table.markdown() for table in tables)])
    page = stem.with_suffix(".md")
    page.write_text(_without_paths(text))
    return page
