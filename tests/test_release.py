"""A release has its notes and its version; its wheel holds all that the demo needs, and runs without the repository."""

import email
import importlib.util
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile

import geopandas as gpd
import pytest
import traces
import yaml

import glacier_nb


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
    """Name in the wheel to file in the repository, of the package, the notebooks and their pictures."""
    files = [path for path in (root / "glacier_nb").rglob("*") if path.is_file() and path.parent.name != "__pycache__"]
    books = {f"glacier_nb/notebooks/{path.name}": path for path in (root / "notebooks").glob("*.ipynb")}
    books |= {f"glacier_nb/docs/gallery/{path.name}": path for path in (root / "docs" / "gallery").glob("*.webp")}
    return {path.relative_to(root).as_posix(): path for path in files} | books


def pip(*arguments: str) -> None:
    """Run pip; what it says is shown where it fails."""
    command = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", *arguments]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


CHANGELOG = """# Changelog

## {}

- A new thing.

## 0.1.0 (2026-01-02)

- The first.
"""


def noted(root: pathlib.Path, folder: pathlib.Path, heading: str, *tag: str) -> subprocess.CompletedProcess:
    """What `.github/notes.py` says of version 0.2.0 where the changelog's top section has this heading."""
    for name, text in {
        "glacier_nb/__init__.py": '__version__ = "0.2.0"\n',
        "CHANGELOG.md": CHANGELOG.format(heading),
    }.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    (folder / ".github").mkdir(exist_ok=True)
    script = shutil.copy(root / ".github" / "notes.py", folder / ".github")
    return subprocess.run([sys.executable, script, *tag], capture_output=True, text=True)


def test_its_notes_are_of_this_version_alone(root, tmp_path):
    for tag in ((), ("v0.2.0",)):
        done = noted(root, tmp_path, "0.2.0 (2026-12-01)", *tag)
        assert (done.returncode, done.stdout.strip()) == (0, "- A new thing.")


@pytest.mark.parametrize(
    ("heading", "tag", "said"),
    [
        ("0.2.0 (unreleased)", (), 'CHANGELOG.md begins with "0.2.0 (unreleased)": write "## 0.2.0 (YYYY-MM-DD)"'),
        ("0.3.0 (2026-12-01)", (), 'CHANGELOG.md begins with "0.3.0 (2026-12-01)": write "## 0.2.0 ('),
        ("0.2.0 (2026-12-01)", ("v0.3.0",), "tag v0.3.0 is not v0.2.0, the version of glacier_nb/__init__.py"),
    ],
)
def test_one_that_is_not_ready_is_refused_in_one_line(root, tmp_path, heading, tag, said):
    done = noted(root, tmp_path, heading, *tag)
    assert done.returncode == 1 and not done.stdout
    assert done.stderr.startswith(said) and done.stderr.count("\n") == 1


def test_make_release_refuses_before_anything_runs_and_the_workflow_before_it_publishes(root):
    makefile, flow = (root / "Makefile").read_text(), (root / ".github" / "workflows" / "ci.yml").read_text()
    assert re.search(r"^release: notes ", makefile, re.M) and ".github/notes.py" in makefile
    (steps,) = (job["steps"] for name, job in yaml.safe_load(flow)["jobs"].items() if name == "release")
    runs = [step.get("run", "") for step in steps]
    asked = next(n for n, run in enumerate(runs) if 'notes.py "${GITHUB_REF_NAME}" > notes.md' in run)
    assert asked < next(
        n for n, run in enumerate(runs) if "gh release create" in run and "--notes-file notes.md" in run
    )


@pytest.mark.slow
def test_its_name_says_the_version(wheel, project):
    name, version, *tags = wheel.stem.split("-")
    assert (name, version, tags) == (project["name"], glacier_nb.__version__, ["py3", "none", "any"])


@pytest.mark.slow
def test_it_holds_notebooks_weights_and_licence(wheel, project, root):
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        said = f"{project['name']}-{glacier_nb.__version__}.dist-info"
        met = email.message_from_bytes(archive.read(f"{said}/METADATA"))
        files = shipped(root) | {f"{said}/licenses/LICENSE": root / "LICENSE"}
        assert sum(name.startswith("glacier_nb/notebooks/") for name in files) >= 9
        assert sum(name.endswith(".safetensors") for name in files) >= 5
        for name in (name for name in files if name.endswith(".ipynb")):  # its picture lies where it looks for it
            (picture,) = re.findall(r"\]\(\.\./(docs/gallery/[^)]+)\)", archive.read(name).decode())
            assert f"glacier_nb/{picture}" in names
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


@pytest.mark.slow
def test_it_runs_without_the_repository(outside, installed, project, root):
    assert outside("-m", "glacier_nb", "--version") == glacier_nb.__version__
    code = (
        "import json, glacier_nb; from glacier_nb import batch, weights\n"
        "ours = [str(weights.local(row)) for row in weights.WEIGHTS if not row.url]\n"  # their hashes are checked
        "print(json.dumps([[glacier_nb.__file__, str(batch.find('03_area_change')), *ours], str(batch.NOTEBOOKS)]))"
    )
    files, notebooks = json.loads(outside("-c", code))
    assert pathlib.Path(notebooks) == installed / "glacier_nb" / "notebooks"
    assert len(files) >= 7 and all(pathlib.Path(path).is_relative_to(installed) for path in files)
    assert outside("-c", "import sys; print(sys.path)").find(f"'{root}'") < 0


@pytest.mark.slow
def test_the_embedded_region_is_made_without_the_repository(outside, tmp_path):
    made = pathlib.Path(outside("-m", "glacier_nb", "demo", "--build-only").splitlines()[-1])
    assert made.parent == tmp_path.parent / "cache"
    assert json.loads((made / "region.json").read_text())["bbox"]
    assert not list(tmp_path.iterdir()), "something was left where it was called"


@pytest.mark.slow
def test_a_notebook_of_the_wheel_runs_without_the_repository(outside, tmp_path, root):
    """The first of the tour, found in the wheel, run by a kernel that has nothing but the wheel, shared whole."""
    ask = ("-m", "glacier_nb", "share", "run", "--notebook", "00_start_here", "--years", "2025")
    made = tmp_path / outside(*ask).splitlines()[-1]
    assert (made / "notebooks" / "00_start_here.ipynb").read_bytes() == (
        root / "notebooks" / "00_start_here.ipynb"
    ).read_bytes()
    product = made / "products" / "00_start_here"
    assert len(gpd.read_parquet(product / "outlines.parquet")) > 1
    assert (product / "first_map.html").read_text().count("<figure ") >= 1
    assert "glaciers" in (made / "products" / "00_start_here.html").read_text()
    ours = {path.relative_to(made / "code") for path in (made / "code").rglob("*") if path.is_file()}
    assert {pathlib.Path("glacier_nb/notebooks/00_start_here.ipynb"), pathlib.Path("glacier_nb/share.py")} <= ours
    assert not traces.told(made, root)
