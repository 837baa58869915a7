"""Inventories by name, folder and id, and everybody's columns under RGI 7.0's names."""

import dataclasses
import re

import geopandas as gpd
import pandas as pd
import pooch
import pytest
import shapely

from glacier_nb import datasets, inventories, readers, serve

BOX = shapely.box(8.0, 46.5, 8.1, 46.6)


def table(path, crs="EPSG:4326", boxes=(BOX,), **columns):
    """A vector file with these columns."""
    frame = gpd.GeoDataFrame(
        {name: [value] * len(boxes) for name, value in columns.items()}, geometry=list(boxes), crs=4326
    )
    frame.to_crs(crs).to_file(path)
    return path


@pytest.mark.parametrize(
    ("name", "columns", "expected"),
    [
        (
            "RGI2000-v7.0-G-11_central_europe.shp",
            {"rgi_id": "RGI2000-v7.0-G-11-00001", "glims_id": "G008050E46550N", "src_date": "2003-08-01T00:00:00",
             "area_km2": 1.0, "zmin_m": 2000.0, "aspect_sec": 4, "term_type": 0},
            {"system": "RGI 7.0", "zmin_m": 2000.0, "aspect_sec": 4, "term_type": 0},
        ),
        (
            "11_rgi60_CentralEurope.shp",
            {"RGIId": "RGI60-11.00001", "GLIMSId": "G008050E46550N", "BgnDate": "20030899", "Zmin": 2000, "Area": 1.0,
             "Lmax": 900, "TermType": 0, "Name": "A"},
            {"system": "RGI 6.0", "zmin_m": 2000, "lmax_m": 900, "term_type": 0, "glac_name": "A", "area_km2": 1.0},
        ),
        (
            "SGI_2016_glaciers.shp",
            {"sgi-id": "B36-26", "name": "Grosser Aletschgletscher", "year_acq": 2017, "area_km2": 78.4,
             "length_km": 22.6, "masl_min": 1600, "slope_deg": 11.0},
            {"system": "SGI", "rgi_id": "B36-26", "lmax_m": 22_600.0, "zmin_m": 1600, "slope_deg": 11.0},
        ),
        ("gamdam20180404_001_SouthAsiaWest.shp", {"Area": 1.0}, {"system": "GLIMS", "rgi_id": "G008050E46550N"}),
    ],
)  # fmt: skip
def test_columns_of_every_inventory(tmp_path, name, columns, expected):
    crs = "EPSG:2056" if "SGI" in name else "EPSG:4326"
    path = table(tmp_path / name, crs, **columns)
    found = inventories.read(path)
    assert list(found.columns[:4]) == ["rgi_id", "time", "system", "geometry"]
    for column, value in expected.items():
        assert found[column][0] == value
    if set(columns) & {"src_date", "BgnDate", "year_acq"}:
        assert found.time.dt.year[0] in (2003, 2017)
    assert (
        len(inventories.read(tmp_path, (8, 46, 9, 47))) == 1 and len(inventories.read(tmp_path, (9, 46, 10, 47))) == 0
    )
    row = next(one for one in inventories.INVENTORIES if re.fullmatch(one.files, name))
    assert row.unnamed or inventories.named(found.rgi_id[0]) is row


def test_names_are_told_apart():
    ids = ["RGI2000-v7.0-G-11-00001", "RGI2000-v7.0-C-11-00001", "RGI60-11.00001", "G008050E46550N", "B36-26", "E23/16"]
    assert [inventories.named(one).name for one in ids] == ["rgi7", "rgi7", "rgi6", "glims", "sgi2016", "sgi2016"]
    assert inventories.named("Aletsch") is None and inventories.named("8,46,9,47") is None
    assert len(inventories.REGIONS) == 19 and len({row.name for row in inventories.INVENTORIES}) == 5


def test_a_folder_reads_the_region_of_an_id_only(tmp_path):
    table(tmp_path / "11_rgi60_CentralEurope.shp", RGIId="RGI60-11.00001")
    (tmp_path / "12_rgi60_CaucasusMiddleEast.shp").write_bytes(b"broken")
    (tmp_path / "notes.txt").write_text("x")
    assert inventories.glacier("RGI60-11.00001", tmp_path).geometry[0].equals(BOX)
    with pytest.raises(OSError, match=r"12_rgi60_\w+\.shp is no vector file"):
        inventories.read(tmp_path)
    with pytest.raises(LookupError, match=r"no glacier RGI60-11\.00002 in .*: get Randolph"):
        inventories.glacier("RGI60-11.00002", tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(LookupError, match="no inventory in empty: keep the file names of rgi7, rgi6"):
        inventories.read(tmp_path / "empty")


def test_a_fetched_inventory_has_the_hash_of_the_first_time(tmp_path, monkeypatch):
    source = tmp_path / "source"
    source.mkdir()
    table(source / "SGI_2016_glaciers.gpkg", "EPSG:2056", **{"sgi-id": "B36-26"})
    with serve.files(source) as address:
        row = inventories.Inventory(
            "own", "Own", r"B\d\d-\d+", r".*\.gpkg", f"{address}/SGI_2016_glaciers.gpkg", "", "", open=True
        )
        monkeypatch.setattr(inventories, "INVENTORIES", (row, *inventories.INVENTORIES))
        path = inventories.fetch("own", folder=tmp_path / "kept")
        assert readers.inventory(path).rgi_id.tolist() == ["B36-26"]
        digest = pooch.file_hash(str(path), alg="sha256")
        assert (tmp_path / "kept" / "hashes.txt").read_text() == f"SGI_2016_glaciers.gpkg {digest}\n"
        assert inventories.fetch("own", sha256=digest, folder=tmp_path / "other").read_bytes() == path.read_bytes()
        with pytest.raises(ValueError, match="has not the sha256 00000"):
            inventories.fetch("own", sha256="0" * 64, folder=tmp_path / "third")
        assert not list((tmp_path / "third").glob("*.gpkg"))
        path.unlink()
        table(source / "SGI_2016_glaciers.gpkg", "EPSG:2056", **{"sgi-id": "B36-27"})
        with pytest.raises(ValueError, match="look at what changed"):
            inventories.fetch("own", folder=tmp_path / "kept")
    with pytest.raises(ConnectionError, match="does not answer"):
        inventories.fetch("own", folder=tmp_path / "fourth")


def test_an_inventory_of_regions_comes_by_its_number_or_by_an_id(tmp_path, monkeypatch):
    source = tmp_path / "source"
    source.mkdir()
    for name, found in (
        ("11_rgi60_CentralEurope", "RGI60-11.00001"),
        ("12_rgi60_CaucasusMiddleEast", "RGI60-12.00007"),
    ):
        table(source / f"{name}.gpkg", RGIId=found)
    monkeypatch.setattr(pooch, "os_cache", lambda name: tmp_path / "kept")
    monkeypatch.delenv(inventories.FOLDER, raising=False)
    with serve.files(source) as address:
        six = next(row for row in inventories.INVENTORIES if row.name == "rgi6")
        assert six.url.format(number="11", region="x").endswith("/11_rgi60_x.zip") and len(set(six.regions)) == 19
        moved = dataclasses.replace(six, url=f"{address}/{{number}}_rgi60_{{region}}.gpkg")
        monkeypatch.setattr(inventories, "INVENTORIES", (moved,))
        assert inventories.read("rgi6-12").rgi_id.tolist() == ["RGI60-12.00007"]
        assert inventories.glacier("RGI60-11.00001", "rgi6").rgi_id.tolist() == ["RGI60-11.00001"]
        for name in ("rgi6", "rgi6-20", "rgi6-0"):
            with pytest.raises(LookupError, match="comes by region: give rgi6-01 to rgi6-19"):
                inventories.read(name)
    kept = (tmp_path / "kept" / "inventories" / "hashes.txt").read_text().splitlines()
    assert [line.split()[0] for line in kept] == ["12_rgi60_CaucasusMiddleEast.gpkg", "11_rgi60_CentralEurope.gpkg"]
    with pytest.raises(FileNotFoundError):
        inventories.read(tmp_path / "rgi6-mine.gpkg")


def test_what_asks_for_a_login_says_where_it_is():
    with pytest.raises(
        LookupError, match=r"Randolph Glacier Inventory 7\.0 is at https.*Earthdata login.*give its path"
    ):
        inventories.fetch("rgi7")
    with pytest.raises(LookupError, match=r"no inventory 'rgi8'.*rgi6, sgi2016 comes by name"):
        inventories.fetch("rgi8")


def test_every_vector_file_at_hand_loads_or_says_what_is_wrong(data):
    outlines, said = 0, []
    for path in sorted([*data.rglob("*.shp"), *data.rglob("*.gpkg")]):
        if path.parts[len(data.parts)] in ("measures_greenland_termini", "harald_moltke_brae"):
            continue
        try:
            found = readers.inventory(path)
        except (LookupError, ValueError) as error:
            said.append(str(error))
            continue
        outlines += len(found)
        assert found.crs is not None and set(found.geom_type) <= {"Polygon", "MultiPolygon"}
        assert found.rgi_id.notna().all() and pd.api.types.is_datetime64_any_dtype(found.time)
    assert outlines > 800 and all("\n" not in line for line in said)
    assert sum("no outlines: give the file of the glaciers' polygons" in line for line in said) == 3
    assert sum("svalbard.gpkg names no glaciers" in line for line in said) == 1  # it has a reader of its own
    assert sum("glims_lines.shp names no glaciers" in line for line in said) <= 1  # empty, without .shx and .prj


def test_rows_of_the_samples_are_found_by_their_id(data, monkeypatch):
    monkeypatch.setenv(datasets.FOLDER, str(data))
    monkeypatch.delenv(inventories.FOLDER, raising=False)
    seven = inventories.glacier("RGI2000-v7.0-G-11-03116")
    six = inventories.glacier("RGI60-11.00897")
    both = seven.to_crs(32632).geometry[0].intersection(six.to_crs(32632).geometry[0]).area
    assert both / six.to_crs(32632).area[0] > 0.95
    dates = inventories.glacier("G013332E47020N").time
    assert dates.is_monotonic_increasing and len(dates) == 11
    with pytest.raises(LookupError, match=r"get Global Land Ice .* from https://www\.glims\.org/download"):
        inventories.glacier("G000000E00000N")
