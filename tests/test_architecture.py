"""Three floors, imports only downwards; small documented files; nothing named utils."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FLOORS = {
    "kernels": {"kernels"},
    "proto": {"proto"},
    "service": {"service", "proto", "kernels"},
}
LIBRARIES = {
    "kernels": {"numpy", "numba", "llvmlite"},
    "proto": {"pyarrow", "pydantic", "orjson", "rfc8785", "numpy"},
}
HTTP = {"http", "urllib", "socket", "ssl", "asyncio", "wsgiref"}
MAX_LINES = 400

SOURCES = sorted(path for floor in FLOORS for path in (ROOT / floor).rglob("*.py"))
FILES = sorted({*SOURCES, *(ROOT / "tests").rglob("*.py"), *(ROOT / "loadtests").rglob("*.py")})


def _name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def _imports(path: Path) -> Iterator[str]:
    """The top-level packages a file imports anywhere in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{_name(path)} imports relatively"
            assert node.module is not None
            yield node.module.split(".")[0]


def test_there_is_something_to_check() -> None:
    assert {_name(path).split("/")[0] for path in SOURCES} == set(FLOORS)


@pytest.mark.parametrize("path", SOURCES, ids=_name)
def test_imports_go_only_downwards(path: Path) -> None:
    floor = _name(path).split("/")[0]
    found = set(_imports(path))
    assert found & (set(FLOORS) | {"tests", "loadtests"}) <= FLOORS[floor]
    if floor in LIBRARIES:
        assert found <= FLOORS[floor] | LIBRARIES[floor] | sys.stdlib_module_names
        assert not found & HTTP


def _modules(path: Path) -> Iterator[str]:
    """The modules of this project that a file imports anywhere in it, for types alone too."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.module is not None
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_no_imports_run_in_a_circle() -> None:
    imports = {_name(path).removesuffix(".py").replace("/", "."): set(_modules(path)) for path in SOURCES}
    left = {module: found & set(imports) - {module} for module, found in imports.items()}
    while free := {module for module, needs in left.items() if not needs & set(left)}:
        left = {module: needs for module, needs in left.items() if module not in free}
    assert not left


@pytest.mark.parametrize("path", SOURCES, ids=_name)
def test_a_source_opens_with_a_sentence_that_says_what_it_is_for(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))


@pytest.mark.parametrize("path", FILES, ids=_name)
def test_files_are_small_and_well_named(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MAX_LINES
    assert "util" not in path.stem


def test_tests_mirror_the_sources() -> None:
    """A test of a folder's file has that file's name, or one that starts with it."""
    for floor in ("proto", "service", "kernels"):
        stems = {path.stem.lstrip("_") for path in (ROOT / floor).glob("*.py")}
        for test in (ROOT / "tests" / floor).glob("test_*.py"):
            name = test.stem.removeprefix("test_")
            assert any(name.startswith(stem) or stem.startswith(name) for stem in stems), _name(test)
