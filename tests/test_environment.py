"""One list of dependencies: pyproject.toml, environment.yml, binder/ and the lock agree."""

import re
import subprocess
import sys
import tomllib

import pytest
import yaml
from packaging.requirements import Requirement

CONDA_NAMES = {"pytorch-cpu": "torch"}
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
    assert "3.11" in said


def test_lock_holds_every_dependency_in_range(root, project):
    lines = (root / "requirements.lock").read_text().split()
    locked = {r.name.lower().replace("_", "-"): next(iter(r.specifier)).version for r in map(Requirement, lines)}
    for line in project["dependencies"] + project["optional-dependencies"]["test"]:
        wanted = Requirement(line)
        assert wanted.name in locked, f"{wanted.name} is not in requirements.lock: make lock"
        assert wanted.specifier.contains(locked[wanted.name]), f"{wanted} against locked {locked[wanted.name]}"
    assert locked["torch"] == "2.13.0"


def test_citation_and_changelog_carry_the_version(root, project):
    citation = yaml.safe_load((root / "CITATION.cff").read_text())
    assert citation["version"] == project["version"] and citation["license"] == project["license"]
    assert f"## {project['version']}" in (root / "CHANGELOG.md").read_text()
