"""STAC items of products: valid by pystac's own rules, networks told by the MLM extension, no path and no token."""

import datetime as dt
import hashlib
import json
import re

import geopandas as gpd
import numpy as np
import odc.geo.xr
import pandas as pd
import pystac
import pytest
import shapely
import xarray as xr
from odc.geo.geobox import GeoBox

from glacier_nb import exports, products, systems, weights

GRID = GeoBox.from_bbox((500_000, 7_000_000, 502_000, 7_001_000), "EPSG:32633", resolution=100)
ROW = weights.default("extent-demo")
MODEL = f"model-{ROW.name}"


def mapped(times=("2000-08-30", "2020-08-30"), system="extent-demo"):
    return gpd.GeoDataFrame(
        {"rgi_id": "RGI2000-v7.0-G-08-00001", "time": pd.to_datetime(list(times)), "system": system, "pixel_m": 10.0},
        index=range(len(times)), geometry=[shapely.box(500_200, 7_000_100, 501_700, 7_000_800)] * len(times),
        crs="EPSG:32633",
    )  # fmt: skip


def drawn(**attrs):
    names = list(systems.find("extent-demo").zones)
    coords = {"zone": names, **odc.geo.xr.xr_coords(GRID, dims=("y", "x"))}
    made = {"time": "2020-08-30T10:20:00", "system": "extent-demo", "weights": ROW.name, "weights_sha256": ROW.sha256}
    values = np.full((len(names), *GRID.shape), 1 / len(names), "float32")
    return xr.DataArray(values, coords, ("zone", "y", "x"), attrs=made | attrs)


@pytest.fixture
def folder(tmp_path):
    """A run's folder: outlines in two formats, a map, and a file that is no product."""
    exports.write(mapped(), tmp_path / "outlines.parquet")
    exports.write(mapped(), tmp_path / "outlines.gpkg")
    (tmp_path / "zones.tif").write_bytes(b"a COG")
    (tmp_path / "outlines.html").write_text("a page")
    return tmp_path


def scene(href, id="S2A_1"):
    item = pystac.Item(id, None, None, dt.datetime(2020, 8, 30, tzinfo=dt.UTC), {})
    item.add_link(pystac.Link("self", href))
    return item


def read(path):
    return {file.stem: json.loads(file.read_text()) for file in path.parent.glob("*.json")}


def test_items_are_valid_stac_and_found_from_the_catalogue(folder):
    path = products.write(folder, {"outlines": mapped(), "zones": drawn()}, ["S2A_1"], "Ny-Ålesund, west")
    assert sorted(read(path)) == sorted(["catalog", "outlines", "zones", MODEL])
    catalogue = pystac.Catalog.from_file(str(path))
    catalogue.stac_extensions = []
    catalogue.validate()
    items = {item.id: item for item in catalogue.get_items()}
    assert set(items) == {"outlines", "zones", MODEL}
    for item in items.values():
        declared = {name for name, url in products.EXTENSIONS.items() if url in item.stac_extensions}
        used = {key.partition(":")[0] for key in item.properties if ":" in key}
        assert used <= declared
        item.stac_extensions = []  # the rules of extensions are on the network; those of STAC are in pystac
        item.validate()
    assert sorted(items["outlines"].assets) == ["gpkg", "parquet"]
    for name in ("outlines", "zones"):
        for asset in items[name].assets.values():
            there = path.parent / asset.href
            assert there.resolve().parent == folder.resolve()
            assert asset.extra_fields["file:size"] == there.stat().st_size
            assert asset.extra_fields["file:checksum"] == "1220" + hashlib.sha256(there.read_bytes()).hexdigest()


def test_dates_place_and_grid_are_told(folder):
    known = read(products.write(folder, {"outlines": mapped(), "zones": drawn()}))
    outlines, zones = known["outlines"]["properties"], known["zones"]["properties"]
    assert outlines["datetime"] is None and zones["datetime"] == "2020-08-30T10:20:00Z"
    assert [outlines[f"{end}_datetime"][:10] for end in ("start", "end")] == ["2000-08-30", "2020-08-30"]
    assert outlines["table:row_count"] == 2 and outlines["proj:code"] == zones["proj:code"] == "EPSG:32633"
    assert zones["proj:shape"] == [10, 20] and zones["gsd"] == 100
    assert zones["proj:transform"] == [100, 0, 500_000, 0, -100, 7_001_000]
    inside = shapely.box(*known["outlines"]["bbox"])
    assert shapely.box(*known["zones"]["bbox"]).buffer(1e-9).contains(inside)
    assert known["zones"]["bbox"][:2] == pytest.approx([15.0, 63.12], abs=0.01)
    bands = [band["name"] for band in known["zones"]["assets"]["tif"]["bands"]]
    assert bands == list(systems.find("extent-demo").zones)


def test_the_network_is_told_by_the_rules_of_the_mlm_extension(folder):
    """What its schema 1.3 and 1.4 ask of an item: fields, patterns, bands that are described, a model asset."""
    known = read(products.write(folder, {"zones": drawn()}))[MODEL]
    properties, system = known["properties"], systems.find("extent-demo")
    assert "https://stac-extensions.github.io/mlm/v1.4.0/schema.json" in known["stac_extensions"]
    assert {"mlm:name", "mlm:architecture", "mlm:tasks", "mlm:input", "mlm:output"} <= set(properties)
    assert re.fullmatch(r"[a-zA-Z][a-zA-Z0-9_.\-\s]+[a-zA-Z0-9]", properties["mlm:name"])
    (asked,), (given,) = properties["mlm:input"], properties["mlm:output"]
    assert asked["bands"] == [band["name"] for band in properties["bands"]] == list(system.inputs)
    assert asked["input"]["shape"] == [-1, len(system.inputs), 128, 128]
    assert asked["input"]["dim_order"][1] == "bands"  # 1.5 asks for this name where bands are listed, 1.4 knows it
    assert [one["mean"] for one in asked["value_scaling"]] == list(ROW.mean)
    assert all(set(one) == {"type", "mean", "stddev"} for one in asked["value_scaling"])
    assert [one["description"] for one in given["classification:classes"]] == list(system.zones)
    assert all(re.fullmatch(r"[0-9A-Za-z_-]+", one["name"]) for one in given["classification:classes"])
    assert all(re.fullmatch(r"[0-9a-zA-Z_.-]+", name) for name in properties["mlm:hyperparameters"])
    assert properties["mlm:total_parameters"] == systems.card(system)["parameters"] > 0
    asset = known["assets"]["weights"]
    assert "mlm:model" in asset["roles"] and asset["mlm:artifact_type"] == "safetensors"
    assert asset["href"] == f"urn:sha256:{ROW.sha256}" and asset["file:checksum"] == f"1220{ROW.sha256}"
    mlm = pytest.importorskip("pystac.extensions.mlm", reason="pystac reads it from 1.13 on; all above holds without")
    item = mlm.MLMExtension.ext(pystac.Item.from_dict(known))
    assert item.mlm_name == ROW.name and item.input[0].input.data_type == "float32"
    assert item.output[0].result.shape[1] == len(system.zones)


def test_a_product_names_the_network_it_came_from(folder):
    known = read(products.write(folder, {"outlines": mapped(), "zones": drawn()}))
    for name in ("outlines", "zones"):
        (link,) = [link for link in known[name]["links"] if link["rel"] == "derived_from"]
        assert link["href"] == f"./{MODEL}.json" and link["mlm:name"] == ROW.name
        for asset in known[name]["assets"].values():
            assert asset["mlm:name"] == ROW.name and asset["processing:expression"]["expression"] == link["href"]
        assert known[name]["properties"]["processing:level"] == "L4"
        assert products.EXTENSIONS["mlm"] not in known[name]["stac_extensions"]  # its schema is of networks


def test_an_asset_of_two_systems_names_neither(folder):
    both = gpd.GeoDataFrame(pd.concat([mapped(), mapped(system="ndsi")], ignore_index=True), crs="EPSG:32633")
    known = read(products.write(folder, {"outlines": both}))["outlines"]
    assert "mlm:name" not in known["assets"]["gpkg"]
    assert [link["mlm:name"] for link in known["links"] if link["rel"] == "derived_from"] == [ROW.name]


def test_a_rule_has_no_network_and_own_weights_go_by_their_hash(folder):
    rule = drawn(system="ndsi", weights="", weights_sha256="")
    known = read(products.write(folder, {"outlines": mapped(system="ndsi"), "zones": rule}))
    assert set(known) == {"catalog", "outlines", "zones"}
    assert not [link for link in known["zones"]["links"] if link["rel"] == "derived_from"]
    own = drawn(weights="mine", weights_sha256="ab" * 32)
    known = read(products.write(folder, {"zones": own}))
    assert known["model-mine"]["assets"]["weights"]["href"] == f"urn:sha256:{'ab' * 32}"
    assert set(known) == {"catalog", "zones", "model-mine"}  # the catalogue before it is replaced
    assert "license" not in known["model-mine"]["properties"]


def test_the_licence_of_weights_goes_with_what_they_map(folder):
    none = "none told: ask the authors before you share what it maps"
    both = drawn(weights="a, b", weights_sha256=f"{'ab' * 32}, {'cd' * 32}", weights_licence=f"{none} | CC0-1.0")
    known = read(products.write(folder, {"zones": both}))
    told = {name: known[f"model-{name}"]["properties"] for name in "ab"}
    assert [told[name]["license"] for name in "ab"] == ["other", "CC0-1.0"]  # STAC: an identifier, or "other"
    assert told["a"]["description"] == f"Licence of the weights: {none}"


def test_neither_a_path_nor_a_token_is_written(folder):
    signed = "https://planetarycomputer.example/items/S2A_1?sig=SECRET&se=2026"
    sources = [scene(signed), scene("/data/private/S2A_2.json", "S2A_2"), scene("https://me:pw@host/3", "S2A_3"),
               scene("http://127.0.0.1:8080/4", "S2A_4"), "S2A_5"]  # fmt: skip
    path = products.write(folder, {"outlines": mapped(), "zones": drawn()}, sources)
    text = "".join(file.read_text() for file in path.parent.iterdir())
    assert "SECRET" not in text and "private" not in text and "me:pw" not in text and "127.0.0.1" not in text
    assert str(folder) not in text and not re.search(r'"(/|file://|[A-Z]:\\)', text)
    known = read(path)["outlines"]
    public = [link["href"] for link in known["links"] if link["href"].startswith("http")]
    assert public == ["https://planetarycomputer.example/items/S2A_1"]
    assert all(f"S2A_{n}" in known["properties"]["processing:lineage"] for n in range(1, 6))


def test_across_the_antimeridian_are_two_boxes(tmp_path):
    shape = gpd.GeoSeries([shapely.box(179.9, 71.0, 180.1, 71.1)], crs=4326).to_crs("EPSG:32601")
    grid = gpd.GeoDataFrame({"rgi_id": ["w"], "time": pd.to_datetime(["2020-08-30"])}, geometry=shape)
    exports.write(grid, tmp_path / "outlines.fgb")
    known = read(products.write(tmp_path, {"outlines": grid}))["outlines"]
    west, _, east, _ = known["bbox"]
    assert 179.8 < west < 180 and -180 < east < -179.8
    assert shapely.geometry.shape(known["geometry"]).area < 0.05


def test_what_cannot_be_told_is_refused_and_nothing_is_left(folder):
    with pytest.raises(FileNotFoundError, match="write fronts before"):
        products.write(folder, {"outlines": mapped(), "fronts": mapped()})
    with pytest.raises(ValueError, match="outlines has no date"):
        products.write(folder, {"outlines": mapped(times=("NaT",))})
    assert not (folder / "stac").exists()
    path = products.write(folder, {"outlines": mapped().iloc[:0], "zones": drawn()})
    assert "outlines" not in read(path) and "zones" in read(path)


def test_every_row_of_weights_can_be_told():
    for row in weights.WEIGHTS:
        item = products.model(row.system, weights.find(row.name))
        item.stac_extensions = []
        item.validate()
        assert not item.assets["weights"].href.startswith("/")
