"""Outlines as files: what each format gives back, what it refuses, and the rows that RGI and OGGM know."""

import json

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely

from glacier_nb import attributes, basins, change, exports, readers, rgi, vectorize

CRS = "EPSG:32632"
HEF = "RGI2000-v7.0-G-11-03116"


@pytest.fixture
def mapped():
    """Two glaciers at one date, as `vectorize.outlines` gives them; one has a hole and a part that came loose."""
    trunk = shapely.box(632_000, 5_180_000, 634_000, 5_184_000) - shapely.box(632_500, 5_181_000, 632_700, 5_181_200)
    loose, speck = (
        shapely.box(634_200, 5_182_000, 635_200, 5_182_500),
        shapely.box(631_900, 5_179_000, 631_950, 5_179_050),
    )
    other = shapely.box(640_000, 5_180_000, 641_000, 5_181_000)
    frame = gpd.GeoDataFrame(
        {"time": pd.Timestamp("2020-08-30 10:20"), "system": "extent-demo", "sensor": "S2", "pixel_m": 10.0},
        index=range(2), geometry=[shapely.union_all([trunk, loose, speck]), other], crs=CRS,
    )  # fmt: skip
    ids = gpd.GeoDataFrame({"rgi_id": [HEF, "RGI2000-v7.0-G-11-03115"]}, geometry=frame.buffer(300), crs=CRS)
    return vectorize.split(frame, ids)


@pytest.fixture
def inventory(data):
    return readers.inventory(data / "oggm_sample" / "test-files" / "rgi7" / "rgi7g_hef_complex.shp")


def read(path):
    return gpd.read_parquet(path) if path.suffix == ".parquet" else gpd.read_file(path)


@pytest.mark.parametrize("suffix", [row.suffix for row in exports.FORMATS])
def test_every_format_gives_back_what_went_in(mapped, tmp_path, suffix):
    path = tmp_path / f"outlines{suffix}"
    said = exports.write(mapped, path)
    assert [part.name for part in tmp_path.iterdir()] == [path.name]  # nothing half-written beside it
    sent = rgi.table(mapped).set_index("rgi_id")
    found = read(path).set_index("rgi_id").loc[sent.index]
    found["src_date"] = attributes.iso(found["src_date"])  # readers of GeoJSON make a time of it
    assert list(found.columns) == list(sent.columns)
    for name in sent.columns.drop("geometry"):
        assert found[name].tolist() == pytest.approx(sent[name].tolist()), name
    assert set(found.src_date) == {"2020-08-30T10:20:00"} and set(found.system) == {"extent-demo"}
    if suffix == ".geojson":
        assert found.crs.to_epsg() == 4326 and any("RFC 7946" in text for text in said)
        found = found.to_crs(CRS)  # seven decimals of a degree are a centimetre
    assert (found.area / sent.area).to_numpy() == pytest.approx(1, abs=1e-5)
    assert found.geometry.symmetric_difference(sent.geometry).area.max() < 0.05 * sent.length.max()
    assert list(readers.inventory(path).time) == [pd.Timestamp("2020-08-30 10:20")] * 2  # our own reader takes it


def test_a_file_of_ours_gives_change_the_same_numbers(mapped, tmp_path):
    later = mapped.assign(time=pd.Timestamp("2024-08-30"), geometry=mapped.buffer(-20))
    both = gpd.GeoDataFrame(pd.concat([mapped, later], ignore_index=True), crs=CRS)
    exports.write(both, tmp_path / "both.gpkg")
    back = readers.inventory(tmp_path / "both.gpkg")
    found, sent = change.area(back, pixel=10.0), change.area(both.drop(columns="margin_m"), pixel=10.0)
    assert found.change_m2.to_numpy() == pytest.approx(sent.change_m2.to_numpy(), rel=1e-9)


def test_names_units_and_order_are_those_of_rgi_7(mapped, inventory, data):
    found = rgi.table(mapped, inventory)
    theirs = gpd.read_file(data / "oggm_sample" / "test-files" / "rgi7" / "rgi7g_hef.shp").iloc[0]
    names = list(theirs.index.drop("geometry"))
    assert [row.name for row in rgi.ATTRIBUTES] == names
    assert [name for name in names if name in found] == [name for name in found if name in names]
    one = found.set_index("rgi_id").loc[HEF]
    for name in ("o1region", "o2region", "glims_id", "glac_name", "term_type", "utm_zone"):
        assert one[name] == theirs[name]
    assert one.area_km2 == pytest.approx(8.4625, rel=1e-3)  # 8 - 0.04 + 0.5 + 0.0025 km2 on the map
    assert "area_m2" not in found and "time" not in found and one.parent_rgi_id == HEF


def test_lines_are_written_too(tmp_path):
    line = shapely.LineString([(632_000, 5_180_000), (633_000, 5_181_000)])
    fronts = gpd.GeoDataFrame({"rgi_id": ["a"], "time": [pd.Timestamp("2020-08-30")], "melange_share": [0.25]},
                              geometry=[line], crs=CRS)  # fmt: skip
    for suffix in (".gpkg", ".fgb", ".parquet"):
        exports.write(fronts, tmp_path / f"fronts{suffix}")
        found = read(tmp_path / f"fronts{suffix}")
        assert found.length.item() == pytest.approx(line.length) and "area_km2" not in found
        assert found.src_date.item().startswith("2020-08-30")


def test_lists_are_json_text_and_said(mapped, tmp_path):
    more = mapped.assign(items=[["S2A_1", "S2B_2"], ["S2A_1"]])
    said = exports.write(more, tmp_path / "a.gpkg")
    assert len(said) == 1 and "column items" in said[0]
    assert json.loads(gpd.read_file(tmp_path / "a.gpkg")["items"][0]) == ["S2A_1", "S2B_2"]
    assert exports.write(more, tmp_path / "a.parquet") == []
    assert list(gpd.read_parquet(tmp_path / "a.parquet")["items"][0]) == ["S2A_1", "S2B_2"]


@pytest.mark.parametrize(("name", "alter", "message"), [
    ("a.shp", {}, r"ten letters"),
    ("a.kml", {}, r"\.parquet, \.gpkg, \.fgb, \.geojson"),
    ("a.gpkg", {"fid": 1}, r"columns \['fid'\]"),
    ("a.fgb", {"System": "x"}, r"\['system', 'System'\]"),
    ("a.fgb", {"age": pd.Timedelta(days=1)}, "column age is timedelta"),
    ("a.geojson", {"thing": pd.Series([object(), 1.0])}, "column thing is object"),
    ("a.parquet", {"geometry": gpd.GeoSeries([None, None])}, "no geometry"),
])  # fmt: skip
def test_what_a_format_cannot_hold_is_refused_by_name(mapped, tmp_path, name, alter, message):
    with pytest.raises(ValueError, match=message):
        exports.write(mapped.assign(**alter), tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_a_failed_write_leaves_the_file_that_stood_there(mapped, tmp_path, monkeypatch):
    exports.write(mapped, tmp_path / "a.gpkg")
    before = (tmp_path / "a.gpkg").read_bytes()

    def broken(self, path, **how):
        path.write_text("half")
        raise OSError("disk full")

    monkeypatch.setattr(gpd.GeoDataFrame, "to_file", broken)
    with pytest.raises(OSError, match="disk full"):
        exports.write(mapped, tmp_path / "a.gpkg")
    assert (tmp_path / "a.gpkg").read_bytes() == before and len(list(tmp_path.iterdir())) == 1


def test_nothing_mapped_is_an_empty_file_with_its_columns(mapped, inventory, tmp_path):
    for row in exports.FORMATS:
        exports.write(mapped.iloc[:0], tmp_path / f"none{row.suffix}")
        assert len(read(tmp_path / f"none{row.suffix}")) == 0
    assert "parent_rgi_id" in read(tmp_path / "none.parquet")
    assert exports.oggm(inventory.to_crs(CRS).iloc[:0], tmp_path / "none7.gpkg") == []
    assert len(read(tmp_path / "none7.gpkg")) == 0


def test_geojson_is_cut_at_the_antimeridian(tmp_path):
    across = gpd.GeoDataFrame({"rgi_id": ["w"]}, geometry=[shapely.box(179.9, 71.0, 180.1, 71.1)], crs=4326)
    across = across.to_crs("EPSG:32601")
    exports.write(across, tmp_path / "a.geojson")
    parts = shapely.get_parts(gpd.read_file(tmp_path / "a.geojson").geometry.item())
    assert len(parts) == 2 and max(part.bounds[2] - part.bounds[0] for part in parts) < 0.11
    with pytest.raises(ValueError, match="antimeridian"):
        exports.oggm(across, tmp_path / "o.gpkg", region="10-02")


# What OGGM 1.6 reads of a row (oggm/utils/_workflow.py, GlacierDirectory): names, kinds and values that it can take.
OGGM7 = {
    "rgi_id": str,
    "glims_id": str,
    "cenlon": float,
    "cenlat": float,
    "o1region": str,
    "o2region": str,
    "glac_name": str,
    "src_date": str,
    "term_type": int,
    "dem_source": str,
    "utm_zone": int,
    "area_km2": float,
}
OGGM6 = {"RGIId": str, "GLIMSId": str, "CenLon": float, "CenLat": float, "O1Region": str, "O2Region": str, "Name": str,
         "BgnDate": str, "Form": int, "TermType": int, "Status": int, "Area": float}  # fmt: skip


def kinds(frame, names):
    return all(isinstance(value, kind | np.integer if kind is int else kind) for name, kind in names.items()
               for value in frame[name].tolist())  # fmt: skip


def test_oggm_takes_rgi_7_rows_as_they_are(mapped, inventory, data, tmp_path):
    said = exports.oggm(mapped, tmp_path / "glaciers.gpkg", inventory)
    found = gpd.read_file(tmp_path / "glaciers.gpkg")
    theirs = gpd.read_file(data / "oggm_sample" / "test-files" / "rgi7" / "rgi7g_hef.shp")
    assert list(found.columns) == list(theirs.columns) and found.crs == theirs.crs
    assert [dtype.kind for dtype in found.dtypes] == [dtype.kind for dtype in theirs.dtypes]
    assert kinds(found, OGGM7) and set(found.geom_type) == {"Polygon"} and found.rgi_id.is_unique
    assert list(found.rgi_id) == ["RGI2000-v7.0-G-11-03115", HEF, f"{HEF}_d02"]
    assert set(found.o1region) == {"11"} and set(found.o2region) == {"11-01"} and set(found.utm_zone) == {32}
    assert found.src_date.str[:4].astype(int).tolist() == [2020] * 3 and set(found.term_type) <= {0, 1, 2, 3, 9}
    hef, loose = found.iloc[1], found.iloc[2]
    assert hef.glac_name == loose.glac_name == "Hintereisferner"
    assert hef.area_km2 == pytest.approx(7.96, rel=1e-3) and loose.area_km2 == pytest.approx(0.5, rel=1e-3)
    assert len(hef.geometry.interiors) == 1
    assert len(said) == 3 and "0.03% of the ice" in said[0] and "1 parts" in said[1]  # 0.0025 of 9.46 km2
    assert "2020 for 2019" in said[2]  # rgi_date of OGGM 1.6.3 from 2020 on


def test_oggm_takes_rgi_6_rows_as_they_are(data, tmp_path):
    theirs = gpd.read_file(data / "oggm_sample" / "test-files" / "RGI6_icecap.shp")
    known = readers.inventory(data / "oggm_sample" / "test-files" / "RGI6_icecap.shp")
    exports.oggm(known.to_crs("EPSG:32628"), tmp_path / "icecap.gpkg")
    found = gpd.read_file(tmp_path / "icecap.gpkg")
    assert list(found.columns) == list(theirs.columns) and kinds(found, OGGM6)
    assert [dtype.kind for dtype in found.dtypes] == [dtype.kind for dtype in theirs.dtypes]
    both = theirs.merge(found, on="RGIId", suffixes=("", "_ours"))
    assert len(both) == len(theirs) == 61
    for name in ("O1Region", "O2Region", "GLIMSId", "TermType", "Surging", "Connect", "Zmin", "Zmax", "Aspect", "Lmax"):
        assert (both[name] == both[f"{name}_ours"]).all(), name
    assert (readers.dates(both.BgnDate) == readers.dates(both.BgnDate_ours)).all()  # 99 is read as mid-month
    assert ((both.Area_ours - both.Area).abs() <= 0.0005 + 3e-4 * both.Area).all()  # its areas have three decimals
    assert (both.Name.fillna("") == both.Name_ours).all()


@pytest.mark.parametrize(("rgi_id", "names"), [(HEF, OGGM7), ("RGI60-11.00897", OGGM6), ("G010758E46800N", OGGM7)])
def test_oggm_takes_a_glacier_of_no_date_and_no_subregion(mapped, tmp_path, rgi_id, names):
    """It makes numbers of the first four letters of the date (below 0: none) and of both regions (OGGM 1.6.3)."""
    one = mapped.iloc[1:].assign(rgi_id=rgi_id, parent_rgi_id="", time=pd.NaT)
    said = exports.oggm(one, tmp_path / "one.gpkg", region="11")
    found = gpd.read_file(tmp_path / "one.gpkg")
    date, first, second = (
        ("BgnDate", "O1Region", "O2Region") if names is OGGM6 else ("src_date", "o1region", "o2region")
    )
    assert kinds(found, names) and found[date].str[:4].astype(int).lt(0).all()
    assert found[first].astype(int).eq(11).all() and found[second].str[-2:].astype(int).eq(0).all()
    assert any("without a date" in one for one in said)


def test_oggm_refuses_what_it_could_not_run(mapped, tmp_path):
    twice = gpd.GeoDataFrame(pd.concat([mapped, mapped.assign(time=pd.Timestamp("2021-08-30"))]), crs=CRS)
    with pytest.raises(ValueError, match="several rows"):
        exports.oggm(twice.reset_index(drop=True), tmp_path / "a.gpkg")
    mixed = mapped.assign(rgi_id=["RGI60-11.00897", HEF], parent_rgi_id="")
    with pytest.raises(ValueError, match="two inventories"):
        exports.oggm(mixed, tmp_path / "a.gpkg")
    placed = mapped.assign(rgi_id=basins.named(mapped), parent_rgi_id="")
    with pytest.raises(ValueError, match="region='11'"):
        exports.oggm(placed, tmp_path / "a.gpkg")
    with pytest.raises(ValueError, match="ten letters"):
        exports.oggm(mapped, tmp_path / "a.shp")
    with pytest.raises(ValueError, match=r"dates as text.*\.gpkg"):
        exports.oggm(mapped, tmp_path / "a.geojson")
    assert list(tmp_path.iterdir()) == []
    said = exports.oggm(placed.assign(time=pd.Timestamp("2018-08-30")), tmp_path / "a.gpkg", region="11")
    assert len(said) == 3 and "use_intersects" in said[2]  # OGGM 1.6.3 would ask RGI's divides for these ids
    found = gpd.read_file(tmp_path / "a.gpkg")
    assert kinds(found, OGGM7) and set(found.o2region) == {"11-00"}


def test_termini_in_the_codes_of_both_inventories(mapped):
    """Shelf-terminating is 5 in RGI 6 and 3 in RGI 7; dry calving and regenerated are in RGI 6 alone."""
    old = mapped.assign(rgi_id=["RGI60-19.00001", "RGI60-19.00002"], parent_rgi_id="", term_type=[5.0, 3.0])
    found = rgi.table(old)
    assert found.term_type.tolist() == [3, 9] and found.term_type.dtype == "int64"
    assert rgi.table(found).term_type.tolist() == [3, 9]  # a second time changes nothing
    back = rgi.six(rgi.full(found))
    assert back.TermType.tolist() == [5, 9] and back.Zmin.tolist() == [-9999, -9999]
    lent = mapped.assign(rgi_id=old.rgi_id, parent_rgi_id=old.rgi_id)
    assert rgi.table(lent, old[["rgi_id", "term_type"]]).term_type.tolist() == [3, 9]


def test_attributes_found_from_a_dem_are_written(mapped, tmp_path):
    filled = mapped.assign(zmin_m=2400.5, lmax_m=7178.3, dem_source="cop-dem-glo-30", debris_share=0.1)
    exports.write(filled, tmp_path / "a.parquet")
    found = gpd.read_parquet(tmp_path / "a.parquet")
    assert found[["zmin_m", "lmax_m", "dem_source", "debris_share"]].iloc[0].tolist() == [
        2400.5,
        7178.3,
        "cop-dem-glo-30",
        0.1,
    ]
    exports.oggm(filled, tmp_path / "o.gpkg")
    assert set(gpd.read_file(tmp_path / "o.gpkg").lmax_m) == {7178}
    assert attributes.measures(mapped).perimeter_m.gt(0).all()
