"""A shared folder is run again by another process, without provider and network, to the same numbers."""

import importlib.metadata
import json
import os
import re
import shutil
import subprocess
import sys
import venv

import geopandas as gpd
import nbformat
import pandas as pd
import pytest
import shapely
import traces
from packaging.utils import canonicalize_name

from glacier_nb import batch, demo, edits, share

PARAMETERS = """\
region: str = "demo"  # where
years: list = [2021]  # which summers
provider: str = "demo"  # from where
inventory: str = "demo"  # which glaciers
seed: int = 7  # which landscape
out: str = "out"  # folder for what this makes"""

CODE = """\
import pathlib

import pandas as pd

from glacier_nb import demo, load, provenance, regions, search

place = regions.place(demo.region(region, seed))
geobox = regions.geobox(place, 200.0)
glaciers = regions.inventory(demo.inventory(inventory, seed), place)
items = search.scenes(place.bbox, years, "sentinel-2-l2a", demo.provider(provider, seed), months=[8])
cube = load.cube(items, geobox, ["green"], provider=provider)
table = pd.DataFrame({"green": cube["green"].mean(("y", "x")).to_numpy(), "glaciers": len(glaciers)})
with provenance.whole(pathlib.Path(out) / "green.parquet") as path:
    table.to_parquet(path)
table"""


@pytest.fixture(scope="module")
def light(tmp_path_factory):
    """A notebook that searches, reads and keeps one small table."""
    cells = [
        nbformat.v4.new_code_cell(PARAMETERS, metadata={"tags": ["parameters"]}),
        nbformat.v4.new_code_cell(CODE),
    ]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    book = nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel, "language_info": {"name": "python"}})
    path = tmp_path_factory.mktemp("books") / "light.ipynb"
    nbformat.write(book, path)
    return path


@pytest.fixture(scope="module")
def shared(light, region, tmp_path_factory):
    """That notebook's run on the embedded region, shared."""
    return share.write([str(light)], {"years": [2021]}, tmp_path_factory.mktemp("shared") / "run")


def alone(python, folder, cwd):
    """The one command, in a process that knows nothing of this one: no cache, no server, no other variable."""
    bare = {"PATH": os.environ["PATH"], "HOME": str(cwd), "GLACIER_NB_CACHE": str(cwd / "none")}
    blocked = dict.fromkeys(("http_proxy", "https_proxy"), "http://127.0.0.1:9") | {"no_proxy": "127.0.0.1"}
    command = [python, "-W", "ignore", folder / "rerun.py", "--here"]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, env=bare | blocked, timeout=1800)


def test_a_shared_folder_is_rerun_to_the_same_numbers(shared, tmp_path):
    demo._open.close()  # whoever served the scenes is gone
    demo._addresses.clear()
    done = alone(sys.executable, shared, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    first, again = (pd.read_parquet(shared / one / "light" / "green.parquet") for one in ("products", "again"))
    pd.testing.assert_frame_equal(first, again, check_exact=True)
    assert not (tmp_path / "none").exists(), "the region was made again instead of read from the folder"


def test_it_holds_what_it_takes(shared):
    names = {path.name for path in shared.iterdir()}
    wanted = {"README.md", "rerun.py", "parameters.json", "manifest.json", "lock.txt", "code", "notebooks", "inputs",
              "items.json", "data", "products"}  # fmt: skip
    assert wanted <= names and "found" not in names
    assert (shared / "products" / "light.html").exists()
    locked = dict(line.split("==") for line in (shared / "lock.txt").read_text().split())
    assert {"xarray", "torch", "odc-stac", "papermill"} <= set(locked) and "pytest" not in locked
    facts = json.loads((shared / "manifest.json").read_text())
    assert (
        facts["offline"] is True
        and facts["bytes_read"]
        == sum(path.stat().st_size for path in (shared / "data" / "objects").rglob("?" * 64))
        > 32768
    )  # the beginning of one file at least


def test_no_path_of_this_machine_and_no_token_in_any_file(shared, region):
    assert {".html", ".ipynb", ".json", ".md", ".parquet", ".py", ".txt"} <= {path.suffix for path in shared.rglob("*")}
    assert not traces.told(shared, region)


def test_a_changed_number_is_named(shared, tmp_path):
    table = pd.read_parquet(shared / "products" / "light" / "green.parquet")
    for name, factor in (("one", 1.0), ("near", 1 + 1e-9), ("far", 1 + 1e-3)):
        (tmp_path / name).mkdir()
        table.assign(green=table.green * factor, seconds=float(len(name))).to_parquet(tmp_path / name / "green.parquet")
    assert share.differences(tmp_path / "one", tmp_path / "near").same.all()  # whatever time it took
    found = share.differences(tmp_path / "one", tmp_path / "far")
    assert found.why.tolist() == ["column green"] and not found.same.any()
    (tmp_path / "far" / "green.parquet").unlink()
    assert share.differences(tmp_path / "one", tmp_path / "far").why.tolist() == ["not there"]


def test_shapes_are_the_same_where_neither_is_there(tmp_path):
    point = shapely.Point(0, 0)
    for name, other in (("one", None), ("same", None), ("moved", shapely.Point(0, 1))):
        (tmp_path / name).mkdir()
        frame = gpd.GeoDataFrame({"geometry": [point, point], "model_geometry": [point, other]}, crs=32633)
        frame.astype({"model_geometry": "geometry"}).to_parquet(tmp_path / name / "a.parquet")
    assert share.differences(tmp_path / "one", tmp_path / "same").same.all()
    assert share.differences(tmp_path / "one", tmp_path / "moved").why.tolist() == ["column model_geometry"]


def test_bad_input_leaves_nothing(light, tmp_path):
    with pytest.raises(ValueError, match="parameter 'yeers'"):
        share.write([str(light)], {"yeers": [2021]}, tmp_path / "run")
    with pytest.raises(ValueError, match="years='2021' is no list"):
        share.write([str(light)], {"years": "2021"}, tmp_path / "run")
    with pytest.raises(ValueError, match="is a pattern"):
        share.write([str(light)], {"provider": str(tmp_path / "*.tif")}, tmp_path / "run")
    (tmp_path / "there").mkdir()
    with pytest.raises(FileExistsError, match="name a new folder"):
        share.write([str(light)], {}, tmp_path / "there")
    with pytest.raises(FileNotFoundError, match=r"no parameters\.json"):
        share.rerun(tmp_path / "there")
    assert [path.name for path in tmp_path.iterdir()] == ["there"]


@pytest.mark.slow
def test_the_one_command_makes_an_environment_of_its_own(shared, newcomer, tmp_path):
    """By pip, of lock.txt alone: that names all that the folder's code needs, and in versions that fit each other."""
    sent = shutil.copytree(shared, tmp_path / "sent", ignore=shutil.ignore_patterns("again"))
    done = subprocess.run([sys.executable, "rerun.py"], cwd=sent, env=newcomer, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    (site,) = (sent / ".venv").glob("lib/python*/site-packages")
    locked = dict(line.split("==") for line in (sent / "lock.txt").read_text().split())
    found = {one.name: one.version.partition("+")[0] for one in importlib.metadata.distributions(path=[str(site)])}
    assert {canonicalize_name(name) for name in locked} | {"pip", "setuptools"} >= {
        canonicalize_name(name) for name in found
    }
    assert not [name for name in found if "glacier" in name], "installed, where the folder brings its own"
    first, again = (pd.read_parquet(sent / one / "light" / "green.parquet") for one in ("products", "again"))
    pd.testing.assert_frame_equal(first, again, check_exact=True)


BRIEFLY = {"05_elevation_change": {}, "06_train_a_system": {"steps": 8}, "07_compare_systems": {"steps": 4}}
"""Parameters of those that take other ones than years, or that would learn for long."""


def of_2025(layer: str) -> gpd.GeoDataFrame:
    """The first true outline or front of 2025, half a hundred metres off."""
    found = demo.truth(layer, 7).query("time.dt.year == 2025").iloc[:1]
    return found.assign(geometry=found.buffer(-50) if layer == "outlines" else found.translate(0, 50))


def lobe() -> gpd.GeoDataFrame:
    """A rock glacier where the map has none."""
    found, last = demo.truth("rock_glaciers", 7).iloc[:1], demo.truth("outlines", 7)["time"].max()
    return found.assign(rgi_id="drawn", time=last, geometry=found.centroid.buffer(100).translate(1500))


DRAWN = {
    "02_map_outlines": lambda: of_2025("outlines"), "03_area_change": lambda: of_2025("outlines"),
    "04_calving_fronts": lambda: of_2025("fronts"), "08_rock_glaciers": lobe,
}  # fmt: skip
"""What is drawn by hand, for the notebooks that take it."""


@pytest.mark.slow
@pytest.mark.parametrize("notebook", sorted(path.stem for path in batch.NOTEBOOKS.glob("*.ipynb")))
def test_a_shared_notebook_in_an_environment_of_its_own(notebook, region, tmp_path):
    """A notebook of the suite, rerun by the folder's own code: glacier_nb itself is not installed there."""
    given = BRIEFLY.get(notebook, {"years": [2017, 2025]})
    if notebook in DRAWN:  # with a shape by hand: its file travels along
        drawn = edits.write(DRAWN[notebook](), tmp_path / "drawn.gpkg")
        given |= {"edited": str(drawn), "edited_by": "A. Reader", "edit_reason": "shadow taken for ice"}
    folder = share.write([notebook], given, tmp_path / "run")
    venv.create(tmp_path / "venv", symlinks=True)
    (site,) = (tmp_path / "venv").glob("lib/python*/site-packages")
    here = pd.__path__[0].rpartition("/")[0]
    links = [p for p in os.listdir(here) if not p.endswith(".pth") and "glacier_nb" not in p]
    for name in links:
        os.symlink(os.path.join(here, name), site / name)
    kept = folder.rename(tmp_path / "sent")
    done = alone(tmp_path / "venv" / "bin" / "python", kept, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"\.(parquet|csv|tif) +True", done.stdout) and "False" not in done.stdout
    if notebook in DRAWN:
        told = json.loads((kept / "again" / notebook / "manifest.json").read_text())
        assert (told["edited"], told["edited_by"]) == ("inputs/drawn.gpkg", "A. Reader")
