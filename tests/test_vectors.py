"""Vector files as people keep them: one square of a square kilometre out of each, or one line that says why not."""

import gzip
import json
import zipfile

import geopandas as gpd
import pandas as pd
import pyogrio
import pytest
import shapely

from glacier_nb import readers, vectors

CRS = "EPSG:32633"
SQUARE = shapely.box(500_000, 7_000_000, 501_000, 7_001_000)


@pytest.fixture
def frame():
    return gpd.GeoDataFrame({"rgi_id": ["a"], "time": ["2001-08-01"]}, geometry=[SQUARE], crs=CRS)


def packed(tmp_path, frame, name, *members):
    """A zip of shapefiles."""
    frame.to_file(tmp_path / "one.shp")
    with zipfile.ZipFile(tmp_path / name, "w") as whole:
        for member in members:
            for suffix in ("shp", "shx", "dbf", "prj", "cpg"):
                whole.write(tmp_path / f"one.{suffix}", f"{member}.{suffix}")
    return tmp_path / name


def test_zips_and_gzips_are_read_wherever_the_file_lies_in_them(tmp_path, frame):
    assert vectors.read(packed(tmp_path, frame, "flat.zip", "one")).area[0] == pytest.approx(1e6)
    assert vectors.read(packed(tmp_path, frame, "deep.zip", "set/in/one")).area[0] == pytest.approx(1e6)
    (tmp_path / "one.geojson.gz").write_bytes(gzip.compress(frame.to_crs(4326).to_json().encode()))
    assert vectors.read(tmp_path / "one.geojson.gz").to_crs(CRS).area[0] == pytest.approx(1e6, rel=1e-6)
    glims = packed(tmp_path, frame, "glims.zip", "download/glims_images", "download/glims_polygons")
    assert len(readers.inventory(glims)) == 1
    with pytest.raises(ValueError, match=r"two\.zip holds 2 layers \(east, west\): write the one you mean"):
        vectors.read(packed(tmp_path, frame, "two.zip", "east", "west"))
    (tmp_path / "no.zip").write_bytes(b"PK")
    with pytest.raises(OSError, match=r"no\.zip is no vector file that GDAL opens"):
        vectors.read(tmp_path / "no.zip")


def test_of_several_layers_the_one_with_outlines_is_read_and_none_in_silence(tmp_path, frame):
    path = tmp_path / "layers.gpkg"
    pyogrio.write_dataframe(pd.DataFrame({"styleQML": ["x"]}), path, layer="layer_styles")
    frame.set_geometry(frame.centroid).to_file(path, layer="points")
    frame.to_file(path, layer="y2001")
    assert readers.inventory(path).area[0] == pytest.approx(1e6)
    frame.to_file(path, layer="y2010")
    with pytest.raises(ValueError, match=r"layers\.gpkg holds 2 layers \(y2001, y2010\)"):
        readers.inventory(path)
    pyogrio.write_dataframe(pd.DataFrame({"a": ["x"]}), tmp_path / "table.gpkg", layer="a")
    with pytest.raises(ValueError, match=r"table\.gpkg holds no shapes, only a table"):
        vectors.read(tmp_path / "table.gpkg")


def test_a_crs_that_the_numbers_belie_is_refused(tmp_path, frame):
    document = json.loads(frame.to_json())
    del document["crs"]
    (tmp_path / "none.geojson").write_text(json.dumps(document))
    with pytest.raises(
        ValueError, match=r"none\.geojson says nothing of its CRS, or WGS 84, but has numbers such as 500000"
    ):
        vectors.read(tmp_path / "none.geojson")
    assert vectors.read(tmp_path / "none.geojson", crs=CRS).area[0] == pytest.approx(1e6)
    assert vectors.read(tmp_path / "none.geojson", crs="32633").crs == CRS
    frame.to_file(tmp_path / "utm.gpkg")
    frame.to_crs(4326).to_file(tmp_path / "degrees.gpkg")
    for name, crs, why in (
        ("utm.gpkg", "EPSG:4326", "numbers such as 500000, 7000000, no degrees: it is not in EPSG:4326"),
        ("degrees.gpkg", CRS, r"is in degrees \(WGS 84\), not in EPSG:32633: leave crs away"),
        ("utm.gpkg", "EPSG:99999", "crs='EPSG:99999' is none that PROJ knows"),
    ):
        with pytest.raises(ValueError, match=why):
            vectors.read(tmp_path / name, crs=crs)


def test_files_that_are_none_are_refused_in_one_line(tmp_path):
    pd.DataFrame({"a": [1]}).to_parquet(tmp_path / "plain.parquet")
    (tmp_path / "half.geojson").write_text('{"type": "FeatureCollection", "features": [')
    (tmp_path / "folder.shp").mkdir()
    for name in ("plain.parquet", "half.geojson", "folder.shp"):
        with pytest.raises(OSError, match=f"{name} is no") as error:
            vectors.read(tmp_path / name)
        assert "\n" not in str(error.value)


def test_polygons_in_a_collection_count_and_what_is_empty_does_not(tmp_path):
    mixed = shapely.GeometryCollection([SQUARE, shapely.LineString([(0, 0), (1, 1)])])
    frame = gpd.GeoDataFrame({"rgi_id": list("abc")}, geometry=[mixed, shapely.Polygon(), None], crs=CRS)
    frame.to_file(tmp_path / "mixed.gpkg")
    found = readers.inventory(tmp_path / "mixed.gpkg")
    assert found.rgi_id.tolist() == ["a"] and found.area.tolist() == pytest.approx([1e6])


def test_dates_and_ids_are_found_by_any_name(tmp_path, frame):
    renamed = frame.rename(columns={"rgi_id": "RGI_ID", "time": "ACQ_DATE"})
    renamed.to_file(tmp_path / "one.shp")
    found = readers.inventory(tmp_path / "one.shp")
    assert found.rgi_id[0] == "a" and found.time[0] == pd.Timestamp("2001-08-01")


@pytest.mark.parametrize("bbox", [(80, 40, 90, 30), (80, 30, 90), (8e6, 3e6, 9e6, 4e6), (80, float("nan"), 90, 40)])
def test_a_bbox_that_is_none_is_refused(bbox):
    with pytest.raises(ValueError, match="is not west, south, east, north in degrees"):
        vectors.window(bbox, CRS)
