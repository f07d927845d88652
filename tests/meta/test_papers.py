"""The pages for people: their programs run, their links lead somewhere, their commands exist."""

from __future__ import annotations

import pathlib
import re
import subprocess
import sys

import pytest

from tests.meta.tree import ROOT, name, papers
from tests.support.program import Program

pytestmark = pytest.mark.limit(60)

FENCED = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\]\((?!https?:|mailto:|#)([^)#\s]+)")
AN_APP = re.compile(r"^app = ", re.MULTILINE)
README = ROOT / "README.md"


def blocks(page: pathlib.Path, language: str) -> list[str]:
    return [text for found, text in FENCED.findall(page.read_text()) if found == language]


def readme_programs(*, serves: bool) -> list[str]:
    """The README's Python blocks, those with an application for the server or the others."""
    return [text for text in blocks(README, "python") if bool(AN_APP.search(text)) is serves]


@pytest.mark.parametrize("page", papers(), ids=name)
def test_python_blocks_compile(page):
    for number, text in enumerate(blocks(page, "python"), start=1):
        compile(text, f"{name(page)}, Python block {number}", "exec")


def test_the_first_steps_of_the_readme_answer_requests(tmp_path):
    (program,) = readme_programs(serves=True)
    (tmp_path / "main.py").write_text(program)
    (command,) = re.findall(r"^weft (\S+)$", README.read_text(), re.MULTILINE)
    with Program([command, "--port", "0"], directory=tmp_path) as server:
        with server.client() as client:
            answer = client.get("/")
        assert answer.status_code == 200, server.log
        assert server.terminate() == 0


def test_the_other_programs_of_the_readme_run(tmp_path):
    programs = readme_programs(serves=False)
    assert programs
    for program in programs:
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", program],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        assert done.returncode == 0, f"{program}\n{done.stderr}"


@pytest.mark.parametrize("page", papers(), ids=name)
def test_links_lead_to_files(page):
    gone = [link for link in LINK.findall(page.read_text()) if not (page.parent / link).exists()]
    assert not gone


def test_commands_named_in_the_pages_exist():
    rules = "".join(path.read_text() for path in (ROOT / "Makefile", ROOT / "benches/Makefile.inc"))
    lines = re.findall(r"^([a-z][a-z -]*):(?!=)", rules, re.MULTILINE)
    targets = [target for line in lines for target in line.split()]
    text = "\n".join(page.read_text() for page in papers())
    named = set(re.findall(r"(?:^|`)make ([a-z-]+)", text, re.MULTILINE))
    assert "run" in named
    assert named <= set(targets)
