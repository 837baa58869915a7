"""One list of dependencies: pyproject.toml, environment.yml, binder/ and the lock agree."""

import ast
import importlib.metadata
import os
import pathlib
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import glacier_nb
from glacier_nb import batch

CONDA_NAMES = {"pytorch-cpu": "torch", "jupyter_client": "jupyter-client", "jupyter_core": "jupyter-core"}
CONDA_ONLY = {"python", "pip", "jupyterlab"}  # the interpreter, and the page that Binder opens


def requirements(lines) -> dict[str, str]:
    """Package name to its version range, under the names of the Python Package Index."""
    found = [Requirement(re.sub(r"^(python)=(\d)", r"\1==\2", line)) for line in lines]
    return {CONDA_NAMES.get(r.name, r.name): str(r.specifier) for r in found}


@pytest.fixture
def project(root):
    """The [project] table of pyproject.toml."""
    return tomllib.loads((root / "pyproject.toml").read_text())["project"]


def test_environment_equals_pyproject(root, project):
    listed = yaml.safe_load((root / "environment.yml").read_text())
    assert listed["channels"] == ["conda-forge"]
    plain = [line for line in listed["dependencies"] if isinstance(line, str)]
    by_pip = [line for entry in listed["dependencies"] if isinstance(entry, dict) for line in entry["pip"]]
    found = {k: v for k, v in requirements(plain + by_pip).items() if k not in CONDA_ONLY}
    assert found == requirements(project["dependencies"])


def test_binder_equals_environment(root):
    assert (root / "binder" / "environment.yml").read_text() == (root / "environment.yml").read_text()


def test_binder_is_understood(root, tmp_path):
    command = [sys.executable, "-m", "repo2docker", "--no-build", "--debug", str(root)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=300)
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    assert "binder/environment.yml" in said and "postBuild" in said
    assert "3.11" in said and 'R2D_ENTRYPOINT="${REPO_DIR}/binder/start"' in said


def test_a_kernel_on_binder_gives_memory_back_as_our_own_runs_do(root, monkeypatch):
    """The entry point sets what `batch.lean` sets, and runs what it is given; what is set already stands."""
    names = ("MALLOC_ARENA_MAX", "MALLOC_TRIM_THRESHOLD_")
    for name in names:
        monkeypatch.delenv(name, raising=False)
    command, found = [root / "binder" / "start", sys.executable, "-c", "import os; print(dict(os.environ))"], []
    for given in ({}, {"MALLOC_ARENA_MAX": "4"}):
        done = subprocess.run(command, env=os.environ | given, capture_output=True, text=True, check=True)
        found.append({name: ast.literal_eval(done.stdout)[name] for name in names})
    batch.lean()
    assert found[0] == {name: os.environ.pop(name) for name in names}
    assert found[1] == found[0] | {"MALLOC_ARENA_MAX": "4"}


def test_lock_holds_every_dependency_in_range(root, project):
    lines = (root / "requirements.lock").read_text().split()
    locked = {r.name.lower().replace("_", "-"): next(iter(r.specifier)).version for r in map(Requirement, lines)}
    for line in project["dependencies"] + project["optional-dependencies"]["test"]:
        wanted = Requirement(line)
        assert wanted.name in locked, f"{wanted.name} is not in requirements.lock: make lock"
        assert wanted.specifier.contains(locked[wanted.name]), f"{wanted} against locked {locked[wanted.name]}"
    assert locked["torch"] == "2.13.0"


def imported(path: pathlib.Path, node: ast.AST | None = None, inside: bool = False) -> Iterator[tuple[str, bool]]:
    """Packages of others that a file imports, and whether only inside a function."""
    for child in ast.iter_child_nodes(ast.parse(path.read_text()) if node is None else node):
        names = [one.name for one in child.names] if isinstance(child, ast.Import) else []
        names += [child.module] if isinstance(child, ast.ImportFrom) and not child.level else []
        tops = {name.partition(".")[0] for name in names} - sys.stdlib_module_names - {"glacier_nb"}
        yield from ((top, inside) for top in tops)
        yield from imported(path, child, inside or isinstance(child, ast.FunctionDef))


def test_what_is_imported_is_asked_for(root, project):
    """Not left to what another package happens to bring; an extra's only where a function can do without."""
    always = {canonicalize_name(Requirement(line).name) for line in project["dependencies"]}
    extras = {Requirement(line).name for lines in project["optional-dependencies"].values() for line in lines}
    brought, missing = importlib.metadata.packages_distributions(), set()
    for path in sorted((root / "glacier_nb").rglob("*.py")):
        for name, inside in imported(path):
            found = {canonicalize_name(one) for one in brought.get(name, [name])}  # one not installed: its own name
            if not found & (always | extras if inside else always):
                missing.add(f"{path.name}: {name} of {' or '.join(sorted(found))}")
    assert not missing, f"add to pyproject.toml, environment.yml and the lock: {sorted(missing)}"


def test_citation_and_changelog_carry_the_version(root, project):
    """The one of glacier_nb/__init__.py, which the wheel, the pages and the tag take from there."""
    assert "version" not in project and project["dynamic"] == ["version"]
    citation = yaml.safe_load((root / "CITATION.cff").read_text())
    assert citation["version"] == glacier_nb.__version__ and citation["license"] == project["license"]
    assert f"## {glacier_nb.__version__} (" in (root / "CHANGELOG.md").read_text()
