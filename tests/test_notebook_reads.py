"""Notebooks that read from a store with tokens, and from one with a broken file: no secret is told, no loss is kept."""

import json
import shutil

import lightbook
import numpy as np
import pytest
import rasterio
import test_load
from odc.geo.geobox import GeoBox

from glacier_nb import batch, faults, search

GRID = GeoBox((200, 300), rasterio.Affine(10, 0, 600_000, 0, -10, 5_100_000), "EPSG:32632")
SIGNED = """import odc.geo.geobox, rasterio
from glacier_nb import composite, load, plots, provenance, providers, search

providers.PROVIDERS = (*providers.PROVIDERS, providers.Provider("store", inventory, signed=("127.0.0.1",)))
grid = odc.geo.geobox.GeoBox((200, 300), rasterio.Affine(10, 0, 600_000, 0, -10, 5_100_000), "EPSG:32632")
bbox = grid.extent.to_crs("EPSG:4326").boundingbox.bbox
frozen = search.freeze(search.scenes(bbox, None, "sentinel-2-l2a", "store"), out + "/items.parquet")
again = search.scenes(bbox, None, "sentinel-2-l2a", frozen)
cube = load.cube(again, grid, provider=str(frozen))  # the items themselves say who gave them
scene = composite.late_summer(cube, 2021).compute()
print(again, again[0].to_dict(), dict(cube.red.data.dask), cube.attrs, scene.attrs)
view = plots.scene(scene.assign(green=scene.red, blue=scene.red))
facts = provenance.manifest(scene=scene.attrs, cube=cube.attrs)
provenance.write(out + "/manifest.json", facts)
plots.save(view, out + "/map.html", "Map", manifest=facts)
cube"""


def test_no_token_in_what_a_notebook_leaves(tmp_path, monkeypatch):
    rng, plan, out = np.random.default_rng(5), faults.Faults(lifetime=60), tmp_path / "out"
    days = ("2021-08-05", "2021-09-09")
    items = [
        test_load.sentinel2(
            tmp_path, day, rng.uniform(0.1, 0.9, GRID.shape), scl=np.full(GRID.shape, 4), grid=GRID,
            **test_load.old(date=f"{day}T10:00Z"),
        )
        for day in days
    ]  # fmt: skip
    with faults.files(tmp_path, plan) as address:
        for item in items:
            for asset in item.assets.values():
                asset.href = f"{address}/{asset.href.rsplit('/', 1)[1]}"
        given = search.freeze(items, tmp_path / "given.parquet")
        monkeypatch.setenv("PC_SDK_SAS_URL", f"{address}/sas")
        batch.notebook(
            str(lightbook.write(tmp_path, SIGNED)), {"inventory": str(given), "out": str(out)}, out, progress=False
        )
    assert plan.counts["tokens"] >= 1 and plan.counts["good"] >= 4  # no file is given without one
    left = [path for path in out.rglob("*") if path.is_file()]
    assert {path.suffix for path in left} == {".ipynb", ".html", ".json", ".parquet"}
    for path in left:
        told = path.read_bytes()
        assert b"sig=" not in told and not any(token.encode() in told for token in plan.tokens), path.name


@pytest.fixture
def broken(region, tmp_path):
    """The embedded region of 2025, but for one file, which is cut off."""
    for path in (region / "items" / "sentinel-2-l2a").glob("*_2025*.json"):
        (tmp_path / "items").mkdir(exist_ok=True)
        document = json.loads(path.read_text())
        for asset in document["assets"].values():
            asset["href"] = str((path.parent / asset["href"]).resolve())
        (tmp_path / "items" / path.name).write_text(json.dumps(document))
    first = min((tmp_path / "items").glob("*.json"))
    document = json.loads(first.read_text())
    whole = document["assets"]["B03"]["href"]
    document["assets"]["B03"]["href"] = shutil.copy(whole, str(tmp_path / "cut.tif"))
    with open(tmp_path / "cut.tif", "r+b") as file:
        file.truncate(20_000)
    first.write_text(json.dumps(document))
    return tmp_path / "items", document["id"]


def test_a_lost_read_stops_a_notebook_or_travels_to_what_it_leaves(broken, tmp_path):
    folder, name = broken
    given = {"region": "demo", "provider": str(folder), "out": str(tmp_path / "made")}
    with pytest.raises(RuntimeError, match=f"ReadError: cannot read B03 of {name}") as caught:
        batch.notebook("00_start_here", given, tmp_path / "strict", progress=False)
    assert "\n" not in str(caught.value) and not (tmp_path / "made" / "first_map.html").exists()
    batch.notebook("00_start_here", given | {"missing": "report"}, tmp_path / "out", progress=False)
    told = json.loads((tmp_path / "made" / "manifest.json").read_text())
    assert told["scene"]["lost"] > 0 and name in json.dumps(told["scene"])
    assert "lost" in (tmp_path / "made" / "first_map.html").read_text()
