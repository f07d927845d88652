"""The installed package: where it comes from, what it imports, what it exports, its version."""

from __future__ import annotations

import ast
import importlib.metadata
import pathlib
import re
import sys
import tomllib

import weft
from tests.meta.tree import ROOT, name, sources

PACKAGE = ROOT / "python/weft"


def test_the_tests_see_the_installed_package():
    """A test of the source tree would pass with a file that the wheel forgets."""
    assert weft.__file__ is not None
    assert PACKAGE not in pathlib.Path(weft.__file__).resolve().parents


def test_the_package_imports_only_the_standard_library_and_itself():
    foreign = []
    for path in sources(".py", ".pyi", below="python"):
        for node in ast.walk(ast.parse(path.read_text())):
            for module in imported_by(node):
                # Type checkers bring these themselves; only stubs may name them.
                known = {"_typeshed", "typing_extensions"} if path.suffix == ".pyi" else set()
                ours = {"weft", *known}
                if module.split(".")[0] not in sys.stdlib_module_names | ours:
                    foreign.append(f"{name(path)}:{node.lineno}: {module}")
    assert not foreign


def imported_by(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        # A relative import stays inside.
        return ["weft" if node.level else node.module or "weft"]
    return []


def public_names(path: pathlib.Path) -> set[str]:
    """What a module or stub defines or hands on at its top level, under a name for all."""
    names: set[str] = set()
    for node in ast.parse(path.read_text()).body:
        match node:
            case ast.ClassDef() | ast.FunctionDef() | ast.AsyncFunctionDef():
                names.add(node.name)
            case ast.ImportFrom(module=module) if node.level or (module or "").startswith("weft"):
                names |= {alias.asname or alias.name for alias in node.names}
            case ast.Assign():
                names |= {target.id for target in node.targets if isinstance(target, ast.Name)}
            case ast.AnnAssign(target=ast.Name(id=target)):
                names.add(target)
    return {found for found in names if not found.startswith("_")}


def test_what_the_package_defines_is_what_it_exports():
    exported = {found for found in weft.__all__ if not found.startswith("_")}
    assert exported == public_names(PACKAGE / "__init__.py")
    stub = PACKAGE / "__init__.pyi"
    assert not stub.exists() or exported == public_names(stub)


def test_every_export_exists_once():
    assert len(set(weft.__all__)) == len(weft.__all__)
    assert not [found for found in weft.__all__ if not hasattr(weft, found)]


def test_what_comes_from_the_native_half_is_declared_in_its_stub():
    tree = ast.parse((PACKAGE / "_core.pyi").read_text())
    declared = public_names(PACKAGE / "_core.pyi") | {"__version__"}
    taken = set()
    for node in ast.walk(ast.parse((PACKAGE / "__init__.py").read_text())):
        if isinstance(node, ast.ImportFrom) and node.module == "weft._core":
            taken |= {alias.name for alias in node.names}
    assert tree.body, "the stub is empty"
    assert taken <= declared


def test_all_versions_agree():
    manifest = tomllib.loads((ROOT / "Cargo.toml").read_text())
    version = manifest["workspace"]["package"]["version"]
    lock = tomllib.loads((ROOT / "Cargo.lock").read_text())
    locked = {entry["version"] for entry in lock["package"] if entry["name"].startswith("weft-")}
    assert locked == {version}
    assert weft.__version__ == version
    assert importlib.metadata.version("weft") == version


def test_the_changelog_has_this_version():
    headings = re.findall(r"^## \[([^]]+)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert weft.__version__ in headings
