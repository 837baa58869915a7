"""Real files of many makers read alike, with the numbers their makers published."""

import hashlib
import shutil

import geopandas as gpd
import numpy as np
import pandas as pd
import pyproj
import pytest
import shapely

from glacier_nb import datasets, readers

GEOD = pyproj.Geod(ellps="WGS84")


def areas(frame):
    """Square kilometres on the ellipsoid."""
    return frame.to_crs("EPSG:4326").geometry.map(lambda shape: abs(GEOD.geometry_area_perimeter(shape)[0]) / 1e6)


@pytest.mark.parametrize("row", datasets.DATASETS, ids=lambda row: row.name)
def test_every_row_reads_what_its_hash_says(data, row):
    found = datasets.read(row.name, data)
    assert len(found) > 0 and row.licence and row.citation and row.url.startswith("https://")
    if row.kind in ("outlines", "fronts"):
        lead = ["rgi_id", "time", "system"] + (["sensor"] if row.kind == "fronts" else [])
        assert list(found.columns[: len(lead) + 1]) == [*lead, "geometry"] and found.crs is not None
        assert found.time.dtype.kind == "M" and found.rgi_id.notna().all() and found.geometry.is_empty.sum() == 0
        kinds = {"outlines": {"Polygon", "MultiPolygon"}, "fronts": {"LineString", "MultiLineString"}}
        assert set(found.geom_type) <= kinds[row.kind]


@pytest.mark.parametrize(
    ("name", "number", "ratio", "spread"),
    [
        ("rgi6-everest", 86, 0.9995, 0.004), ("rgi6-exploradores", 47, 0.9995, 0.002),
        ("rgi6-high-mountain-asia", 604, 0.999, 0.02), ("rgi7-hintereisferner", 23, 1.0, 1e-4),
        ("rgi6-columbia", 1, 1.0, 0.003), ("rgi5-oetztal", 20, 1.0, 1e-3), ("rgi6-ice-cap", 61, 1.0, 0.002),
        ("glims-hochalmkees", 11, 1.0, 1e-3),
    ],
)  # fmt: skip
def test_areas_are_those_of_the_inventory(data, name, number, ratio, spread):
    found = datasets.read(name, data)
    share = areas(found) / found.area_km2
    assert len(found) == number and found.rgi_id.nunique() == (1 if "glims" in name else number)
    assert share.mean() == pytest.approx(ratio, abs=2e-3) and (share.std() if number > 1 else 0) <= spread


def test_inventories_carry_their_systems_and_dates(data):
    everest = datasets.read("rgi6-everest", data)
    assert set(everest.system) == {"RGI 6.0"}
    assert everest.time.dt.year.value_counts().to_dict() == {2010: 53, 2002: 23, 2000: 10}
    seven = datasets.read("rgi7-hintereisferner", data)
    assert set(seven.system) == {"RGI 7.0"} and str(seven.time.iloc[0].date()) == "2003-07-30"
    assert datasets.read("rgi6-high-mountain-asia", data).area_km2.sum() == pytest.approx(22_621.9, abs=0.1)
    assert datasets.read("rgi5-oetztal", data).time.dt.strftime("%Y-%m-%d").unique().tolist() == ["2003-07-15"]


def test_glims_parts_of_an_analysis_are_one_row(data):
    found = datasets.read("glims-hochalmkees", data)
    assert found.crs.to_epsg() == 4326 and found.time.is_monotonic_increasing and set(found.system) == {"GLIMS"}
    assert found.time.dt.year.min() == 1850 and found.time.dt.year.max() == 2016
    both = areas(found[found.time.dt.year == 2003])
    assert both.max() / both.min() - 1 == pytest.approx(0.13, abs=0.01)  # two analysts in one season


def test_svalbard_areas_are_the_published_ones(data):
    found = datasets.read("svalbard-1936-2007", data)
    table = found.assign(km2=found.area / 1e6, year=found.time.dt.year).pivot(
        index="rgi_id", columns="year", values="km2"
    )
    expected = {
        "Austre Brøggerbreen": (12.02, 10.25, 9.71), "Austre Lovenbreen": (7.54, 5.30, 5.01),
        "Edithbreen": (4.51, 3.76, 3.62), "Midtre Lovenbreen": (7.53, 5.86, 5.59), "Steenbreen": (1.28, 1.06, 1.00),
    }  # fmt: skip
    for name, values in expected.items():
        np.testing.assert_allclose(table.loc[name], values, atol=0.006)
    assert (np.diff(table.to_numpy(), axis=1) < 0).all()


def test_159_fronts_cut_their_box(data):
    fronts = datasets.read("harald-moltke-brae", data)
    box = readers.harald_moltke_box(data / "harald_moltke_brae")
    assert len(fronts) == 159 and fronts.crs.to_epsg() == 3413 and fronts.time.is_unique
    assert (str(fronts.time.min().date()), str(fronts.time.max().date())) == ("2019-02-28", "2021-09-27")
    assert fronts.intersects(box.geometry[0]).all() and box.rgi_id[0] == fronts.rgi_id[0]
    cuts = fronts.geometry.map(lambda line: shapely.get_num_geometries(line.intersection(box.geometry[0])))
    assert (cuts > 1).sum() == 12


def test_nine_winters_in_two_schemas_are_one_series(data):
    termini = datasets.read("measures-termini", data)
    assert termini.winter.nunique() == 9 and termini.crs.to_epsg() == 3413
    assert (termini.start <= termini.time).all() and (termini.time <= termini.end).all()
    years = termini.winter.str[:4].astype(int)
    assert ((termini.time > pd.to_datetime(years.astype(str) + "-08-01")) & (termini.time.dt.year <= years + 1)).all()
    jakobshavn = termini[termini.glacier_id == 3]
    assert len(jakobshavn) == 9 and set(jakobshavn.name) == {"Sermeq Kujalleq"}
    assert jakobshavn.time.is_monotonic_increasing and jakobshavn.rgi_id.unique().tolist() == ["NSIDC-0642-3"]
    first, last = jakobshavn.geometry.iloc[0], jakobshavn.geometry.iloc[-1]
    assert 6000 < first.centroid.distance(last.centroid) < 13_000
    names = termini.name.dropna()
    assert names.str.contains("Bræ|brae").any() and not names.str.contains("Ã").any()
    lonlat = termini.to_crs("EPSG:4326").total_bounds
    assert lonlat[0] > -75 and lonlat[2] < -10 and lonlat[1] > 59 and lonlat[3] < 84


def test_the_scenes_have_dates_sensors_and_labels(data):
    table = datasets.read("frontlearning", data)
    assert len(table) == 123 and table.sensor.value_counts().to_dict() == {"LE07": 65, "LT05": 50, "LC08": 8}
    assert table.time.dt.year.min() == 1985 and table.time.dt.year.max() == 2016
    assert all(path.exists() for path in [*table.image, *table.label, *table.label_1px])
    assert len(datasets.read("frontlearning-weights", data)) == 6


def test_classified_pixels_have_the_known_spectra(data):
    found = datasets.read("snow-ice-points", data)
    middle = found.groupby("class_name").swir16.median()
    assert len(found) == 11_729 and found.crs.to_epsg() == 4326
    assert middle["snow"] == pytest.approx(0.019, abs=1e-3) and middle["ice"] == pytest.approx(0.014, abs=1e-3)
    assert middle["rock or debris"] == pytest.approx(0.219, abs=1e-3)
    assert len(readers.points(data / "snow_ice_points", "Landsat")) == 8162


def test_changed_files_and_unknown_names_are_refused(data, tmp_path):
    row = datasets.find("liligo-debris")
    shutil.copytree(data / row.path, tmp_path / row.path)
    assert len(datasets.read(row.name, tmp_path)) == 6
    (tmp_path / row.path / "extra.txt").write_text("x")
    with pytest.raises(ValueError, match=r"liligo-debris: sha256 .* is not .*verify=False"):
        datasets.read(row.name, tmp_path)
    assert len(datasets.read(row.name, tmp_path, verify=False)) == 6
    with pytest.raises(LookupError, match="did you mean frontlearning"):
        datasets.find("front-learning")
    with pytest.raises(FileNotFoundError, match=r"not in .*get it from https://nsidc\.org"):
        datasets.read("measures-termini", tmp_path)


def test_the_digest_of_a_file_is_of_name_and_content(tmp_path):
    (tmp_path / "a.bin").write_bytes(b"abc")
    line = f"a.bin {hashlib.sha256(b'abc').hexdigest()}\n"
    assert datasets.digest(tmp_path / "a.bin") == datasets.digest(tmp_path) == hashlib.sha256(line.encode()).hexdigest()


def test_files_without_projection_or_in_latin1(tmp_path):
    frame = gpd.GeoDataFrame({"rgi_id": ["x"], "Name": ["Brædalen"]}, geometry=[shapely.box(10, 46, 11, 47)])
    with pytest.warns(UserWarning, match="'crs' was not provided"):
        frame.to_file(tmp_path / "degrees.shp", encoding="latin1")
    (tmp_path / "degrees.cpg").unlink()
    found = readers.inventory(tmp_path / "degrees.shp")
    assert found.crs.to_epsg() == 4326 and found.glac_name[0] == "Brædalen"
    metres = frame.set_geometry(frame.scale(1e5, 1e5, origin=(0, 0)))
    with pytest.warns(UserWarning, match="'crs' was not provided"):
        metres.to_file(tmp_path / "metres.gpkg")
    with pytest.raises(ValueError, match=r"metres\.gpkg has no CRS and its numbers are no degrees: give crs="):
        readers.inventory(tmp_path / "metres.gpkg")
    assert readers.inventory(tmp_path / "metres.gpkg", crs="EPSG:32632").crs.to_epsg() == 32632
