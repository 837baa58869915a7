"""The wheel holds all that the demo needs, and runs it where there is no repository."""

import email
import importlib.util
import json
import os
import pathlib
import subprocess
import sys
import tomllib
import zipfile

import pytest

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def project(root) -> dict:
    """What pyproject.toml says of the project."""
    return tomllib.loads((root / "pyproject.toml").read_text())["project"]


@pytest.fixture(scope="module")
def wheel(root, tmp_path_factory) -> pathlib.Path:
    """The one wheel in dist/, as `make wheel` leaves it; made here where there is none and what makes it is there."""
    folder = root / "dist"
    if not list(folder.glob("*.whl")):
        if importlib.util.find_spec("hatchling") is None:
            pytest.skip("no wheel in dist/ and no hatchling to make one without the network: make wheel")
        folder = tmp_path_factory.mktemp("dist")
        pip("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder), str(root))
    (path,) = folder.glob("*.whl")
    if any(source.stat().st_mtime > path.stat().st_mtime for source in shipped(root).values()):
        pytest.skip("the wheel in dist/ is older than what it holds: make wheel")
    return path


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory) -> pathlib.Path:
    """A folder with nothing in it but the wheel, unpacked by pip."""
    folder = tmp_path_factory.mktemp("installed")
    pip("install", "--no-deps", "--no-index", "--target", str(folder), str(wheel))
    return folder


@pytest.fixture
def outside(installed, tmp_path, monkeypatch):
    """Runs Python with the installed package in an empty folder; returns what it said, without the last newline."""
    cache = tmp_path.parent / "cache"

    def run(*arguments: str) -> str:
        environment = {**os.environ, "PYTHONPATH": str(installed), "GLACIER_NB_CACHE": str(cache)}
        done = subprocess.run(
            [sys.executable, "-W", "ignore", *arguments], cwd=tmp_path, env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.rstrip("\n")

    return run


def shipped(root: pathlib.Path) -> dict[str, pathlib.Path]:
    """Name in the wheel to file in the repository, of the package and the notebooks."""
    files = [path for path in (root / "glacier_nb").rglob("*") if path.is_file() and path.suffix != ".pyc"]
    books = {f"glacier_nb/notebooks/{path.name}": path for path in (root / "notebooks").glob("*.ipynb")}
    return {path.relative_to(root).as_posix(): path for path in files} | books


def pip(*arguments: str) -> None:
    """Run pip; what it says is shown where it fails."""
    command = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", *arguments]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_its_name_says_the_version(wheel, project):
    name, version, *tags = wheel.stem.split("-")
    assert (name, version, tags) == (project["name"], project["version"], ["py3", "none", "any"])


def test_it_holds_notebooks_weights_and_licence(wheel, project, root):
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        said = f"{project['name']}-{project['version']}.dist-info"
        met = email.message_from_bytes(archive.read(f"{said}/METADATA"))
        files = shipped(root) | {f"{said}/licenses/LICENSE": root / "LICENSE"}
        assert sum(name.startswith("glacier_nb/notebooks/") for name in files) >= 9
        assert sum(name.endswith(".safetensors") for name in files) >= 5
        assert set(files) <= names
        assert not [name for name in names - set(files) if not name.startswith(f"{said}/")], "more than anybody needs"
        for name, path in files.items():
            assert archive.read(name) == path.read_bytes(), f"{name} is another one: make wheel"
    assert met["License-Expression"] == project["license"]
    assert {line.partition(";")[0].strip() for line in met.get_all("Requires-Dist") if "extra ==" not in line} == {
        line.replace(" ", "") for line in map(ordered, project["dependencies"])
    }


def ordered(requirement: str) -> str:
    """A requirement with its bounds as metadata sorts them.

    >>> ordered("pandas>=2.2,<3")
    'pandas<3,>=2.2'
    """
    place = next((n for n, letter in enumerate(requirement) if letter in "<>=!~"), len(requirement))
    return requirement[:place] + ",".join(sorted(requirement[place:].split(",")))


def test_it_runs_without_the_repository(outside, installed, project, root):
    assert outside("-m", "glacier_nb", "--version") == project["version"]
    code = (
        "import json, glacier_nb; from glacier_nb import batch, weights\n"
        "ours = [str(weights.local(row)) for row in weights.WEIGHTS if not row.url]\n"  # their hashes are checked
        "print(json.dumps([[glacier_nb.__file__, str(batch.find('03_area_change')), *ours], str(batch.NOTEBOOKS)]))"
    )
    files, notebooks = json.loads(outside("-c", code))
    assert pathlib.Path(notebooks) == installed / "glacier_nb" / "notebooks"
    assert len(files) >= 7 and all(pathlib.Path(path).is_relative_to(installed) for path in files)
    assert outside("-c", "import sys; print(sys.path)").find(f"'{root}'") < 0


def test_the_embedded_region_is_made_without_the_repository(outside, tmp_path):
    made = pathlib.Path(outside("-m", "glacier_nb", "demo", "--build-only").splitlines()[-1])
    assert made.parent == tmp_path.parent / "cache"
    assert json.loads((made / "region.json").read_text())["bbox"]
    assert not list(tmp_path.iterdir()), "something was left where it was called"
