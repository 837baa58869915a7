"""Attributes of an inventory: closed forms on a tilted plane, RGI 7.0's own on real glaciers."""

import geopandas as gpd
import numpy as np
import odc.geo.xr
import pandas as pd
import pytest
import rioxarray
import shapely
import xarray as xr
from odc.geo.geobox import GeoBox

from glacier_nb import attributes

CRS = "EPSG:32632"
GRID = GeoBox.from_bbox((500_000, 5_000_000, 504_000, 5_006_000), CRS, resolution=20)


def plane(tilt: float, azimuth: float) -> xr.DataArray:
    """A plane that falls by `tilt` (degrees) towards `azimuth` (degrees from north)."""
    zero = odc.geo.xr.xr_zeros(GRID, dtype="float32")
    down = (zero.x - 502_000) * np.sin(np.radians(azimuth)) + (zero.y - 5_003_000) * np.cos(np.radians(azimuth))
    return (zero + 3000 - np.tan(np.radians(tilt)) * down).astype("float32").odc.assign_crs(CRS)


BOX = gpd.GeoDataFrame({"rgi_id": ["a"]}, geometry=[shapely.box(501_010, 5_001_010, 503_010, 5_005_010)], crs=CRS)


@pytest.mark.parametrize(("azimuth", "sector"), [(0, 1), (45, 2), (90, 3), (180, 5), (270, 7), (340, 1), (330, 8)])
def test_a_tilted_plane(azimuth, sector):
    found = attributes.attributes(BOX, plane(12.0, azimuth)).iloc[0]
    assert found.slope_deg == pytest.approx(12.0, abs=0.01)
    assert (found.aspect_deg - azimuth + 180) % 360 - 180 == pytest.approx(0, abs=0.01)
    assert found.aspect_sec == sector
    off = 10 * (np.sin(np.radians(azimuth)) + np.cos(np.radians(azimuth)))  # how far down the box's middle lies
    assert found.zmean_m == pytest.approx(3000 - np.tan(np.radians(12.0)) * off, abs=0.05)
    assert found.zmin_m < found.zmed_m < found.zmax_m
    assert found.area_km2 == pytest.approx(8 / 0.9996**2, rel=1e-4)
    assert found.perimeter_m == pytest.approx(12_000 / 0.9996, rel=1e-4)
    assert found.dem_seen == pytest.approx(1)
    assert (found.utm_zone, found.cenlon) == (32, pytest.approx(9.025, abs=0.01))


def test_the_longest_line_runs_down_the_middle():
    line = attributes.longest(BOX, plane(12.0, 180)).iloc[0]
    heights = [coordinate[1] for coordinate in line.coords]
    assert heights[0] > heights[-1]  # from up-glacier to down-glacier
    assert 4000 - 80 <= line.length <= 2000 + 2000 * np.sqrt(2)  # edge to edge, at most by eight neighbours to a corner
    middle = line.intersection(shapely.box(501_010, 5_002_000, 503_010, 5_004_000))
    assert np.abs(shapely.get_coordinates(middle)[:, 0] - 502_010).max() < 500


def test_a_neck_under_a_pixel_parts_the_line_not_the_glacier():
    """Two basins that a neck of 2 m joins are one shape, but no path of 20 m pixels leads from one to the other."""
    below, above = (
        shapely.box(501_010, 5_001_010, 503_010, 5_003_310),
        shapely.box(501_510, 5_004_010, 502_510, 5_005_010),
    )
    neck = shapely.box(502_001, 5_003_000, 502_003, 5_004_500)
    joined, lower = BOX.assign(geometry=[shapely.union_all([below, neck, above])]), BOX.assign(geometry=[below])
    assert joined.geom_type.item() == "Polygon"
    line, alone = (attributes.longest(one, plane(12.0, 180)).iloc[0] for one in (joined, lower))
    assert line.length == pytest.approx(alone.length, rel=0.01) and line.bounds[3] < 5_003_320
    found = attributes.attributes(joined, plane(12.0, 180)).iloc[0]
    assert found.zmax_m - found.zmin_m > 700  # of all of it: 4 km at 12 degrees


def test_thinning_stands_beside_each_glacier_and_the_region_weighs_it_by_area():
    """A metre a year in the west, three in the east: shares of pixels count, ice of any date; no DEM, no number."""
    rate = xr.where(plane(0.0, 0).x < 502_000, -1.0, -3.0) * xr.ones_like(plane(0.0, 0))
    rate = rate.transpose("y", "x").where(plane(0.0, 0).y < 5_005_000).odc.assign_crs(CRS)
    west, wider, east, hidden = (
        shapely.box(501_010, 5_001_000, 502_000, 5_002_000), shapely.box(501_010, 5_001_000, 502_990, 5_002_000),
        shapely.box(503_000, 5_001_000, 503_990, 5_003_000), shapely.box(501_000, 5_005_200, 502_000, 5_005_800),
    )  # fmt: skip
    outlines = gpd.GeoDataFrame({"rgi_id": list("aabc")}, geometry=[west, wider, east, hidden], crs=CRS)
    table = pd.DataFrame({"rgi_id": ["a", "b", "c", "region"], "change_m2": 0.0})
    table.attrs = {"units": "m2"}
    found = attributes.thinned(table, outlines, rate)
    assert found.attrs == table.attrs and list(found.columns) == ["rgi_id", "change_m2", "dh_dt_m_a"]
    assert found.dh_dt_m_a.to_numpy() == pytest.approx([-2.0, -3.0, np.nan, -2.5], nan_ok=True)


def test_hypsometry_sums_to_the_area():
    table = attributes.hypsometry(BOX, plane(12.0, 90), step=50.0)
    assert table.sum(axis=1)["a"] == pytest.approx(8e6, rel=1e-9)
    assert set(np.diff(table.columns)) == {50.0}
    inner = table.loc["a"].iloc[
        1:-1
    ]  # full bands of a plane are alike: 50 m / tan(12 deg) x 4 km, to a column of pixels
    assert inner.to_numpy() == pytest.approx(4000 * 50 / np.tan(np.radians(12.0)), abs=4000 * 20)


def test_debris_share_and_what_the_dem_does_not_hold():
    ground = plane(12.0, 180)
    cover = (ground.x < 502_000).astype("float32") * xr.ones_like(ground)
    half = ground.where(ground.y > 5_003_010)
    found = attributes.attributes(BOX, half, cover.odc.assign_crs(CRS)).iloc[0]
    assert found.debris_share == pytest.approx((502_000 - 501_010) / 2000, abs=1e-6)
    assert found.dem_seen == pytest.approx(0.5, abs=0.003)
    away = BOX.set_geometry(BOX.translate(100_000))
    lost = attributes.attributes(away, ground).iloc[0]
    assert np.isnan([lost.zmin_m, lost.slope_deg, lost.lmax_m, lost.termlon]).all() and lost.dem_seen == 0


def test_degrees_are_refused():
    degrees = odc.geo.xr.xr_zeros(GeoBox.from_bbox((9, 45, 9.1, 45.1), "EPSG:4326", resolution=0.01))
    with pytest.raises(ValueError, match="EPSG:32632"):
        attributes.attributes(BOX, degrees)


def test_beside_rgi_7_on_twenty_real_glaciers(data):
    """RGI took COPDEM30 of about 2013, this is SRTM of 2000: what differs is the thinning between, some 20 m."""
    folder = data / "oggm_sample" / "test-files"
    dem = rioxarray.open_rasterio(folder / "hef_srtm.tif", masked=True).squeeze("band", drop=True)
    ground = dem.astype("float32").rio.reproject(CRS, resolution=30, resampling=1)
    ground = xr.DataArray(ground.values, {"y": ground.y, "x": ground.x}, ("y", "x")).odc.assign_crs(CRS)
    rgi = gpd.read_file(folder / "rgi7" / "rgi7g_hef_complex.shp")
    found = attributes.attributes(rgi, ground)
    seen = found.dem_seen > 0.999
    rgi, found = rgi[seen], found[seen]
    assert len(found) >= 18
    assert (found.area_km2 / rgi.area_km2).to_numpy() == pytest.approx(1, abs=5e-3)
    thinning = found.zmed_m - rgi.zmed_m
    assert 0 < thinning.median() < 30 and thinning.abs().max() < 60
    turn = (found.aspect_deg - rgi.aspect_deg + 180) % 360 - 180
    assert turn.abs().max() < 20 and (found.slope_deg - rgi.slope_deg).abs().max() < 3
    assert (found.lmax_m / rgi.lmax_m).median() == pytest.approx(1, abs=0.1)


def test_date_and_source_of_each_outline_and_debris_from_a_map():
    """All in one call: the map that gave the outlines, its date, the DEM and its date."""
    ground = plane(12.0, 180).assign_attrs(sensor="cop-dem-glo-30", time="2013-05-01T00:00:00")
    share = (ground.x < 502_000).astype("float32") * xr.ones_like(ground)
    zones = xr.concat([1 - share, share], xr.DataArray(["glacier", "debris cover"], dims="zone"))
    zones = zones.odc.assign_crs(CRS)
    dated = BOX.assign(time=np.datetime64("2020-08-30T10:20"), system="extent-demo", src_date="1999")
    found = attributes.attributes(dated, ground, zones).iloc[0]
    assert found.src_date == "2020-08-30T10:20:00" and found.system == "extent-demo"
    assert (found.dem_source, found.dem_date) == ("cop-dem-glo-30", "2013-05-01")
    assert found.debris_share == pytest.approx((502_000 - 501_010) / 2000, abs=1e-6)
    bare = attributes.attributes(dated, ground, zones.sel(zone=["glacier"]), dem_source="mine").iloc[0]
    assert "debris_share" not in bare and bare.dem_source == "mine"


def test_debris_of_several_days_is_each_outlines_own():
    """Rubble that grew from 501 510 to 502 010 m east between two dates; of a third nobody made a map."""
    ground = plane(12.0, 180)
    days = pd.to_datetime(["2017-08-21", "2020-08-30", "2024-08-28"]) + pd.Timedelta(hours=10)
    edges = dict(zip(days[:2], (501_510, 502_010), strict=True))
    maps = [
        ((ground.x < edge) & (ground > 0)).odc.assign_crs(CRS).assign_attrs(time=str(day))
        for day, edge in edges.items()
    ]
    dated = gpd.GeoDataFrame({"rgi_id": "a", "time": days[[2, 0, 1]]}, geometry=[BOX.geometry[0]] * 3, crs=CRS)
    found = attributes.attributes(dated, ground, maps).debris_share
    assert np.isnan(found[0]) and found[[1, 2]].tolist() == pytest.approx([0.25, 0.5], abs=0.01)  # a pixel is 0.01


def test_attributes_beside_an_inventorys():
    ours = BOX.assign(area_km2=8.0, aspect_deg=355.0, dem_source="a")
    theirs = BOX.drop(columns="geometry").assign(area_km2=7.0, aspect_deg=5.0, dem_source="b", lmax_m=1)
    table = attributes.beside(ours, theirs).set_index("attribute")
    assert list(table.index) == ["area_km2", "aspect_deg"]
    assert list(table.difference) == [1.0, -10.0]  # across north
    assert list(table.dem_ours) == ["", "a"] and list(table.dem_theirs) == ["", "b"]
    assert attributes.beside(ours, theirs.assign(rgi_id="b")).empty
    none = attributes.beside(BOX, BOX)
    assert none.empty and set(none.columns) == {*table.reset_index().columns}


def test_an_outline_across_the_date_line_lies_there():
    box = gpd.GeoDataFrame(geometry=[shapely.box(373_000, 7_768_000, 388_000, 7_779_000)], crs="EPSG:32601")
    (west, *_), (*_, east) = box.to_crs("EPSG:4326").get_coordinates().x.sort_values().to_numpy()[[0, -1]].reshape(2, 1)
    assert west < -179 and east > 179  # it does cross
    found = attributes.measures(box).iloc[0]
    assert abs(found.cenlon) > 179 and found.utm_zone in (1, 60)
    assert found.area_km2 == pytest.approx(15 * 11, rel=3e-3)


def test_a_grid_that_runs_north_tells_the_same():
    """Layers of netCDF files often have their first row in the south."""
    layer = plane(10.0, 200.0)
    layer = layer + 30 * np.sin(np.arange(layer.sizes["y"]) / 5)[:, None]
    box = layer.odc.geobox.boundingbox
    shape = shapely.box(box.left, box.bottom, box.right, (box.bottom + box.top) / 2).buffer(-90)
    glacier = gpd.GeoDataFrame({"rgi_id": ["a"]}, geometry=[shape], crs=str(layer.odc.geobox.crs))
    there, back = (attributes.attributes(glacier, one) for one in (layer, layer[::-1]))
    for name in ("zmin_m", "zmed_m", "zmax_m", "slope_deg", "aspect_deg", "lmax_m", "dem_seen"):
        assert back[name][0] == pytest.approx(there[name][0], rel=1e-6), name
    levels = [attributes.hypsometry(glacier, one) for one in (layer, layer[::-1])]
    assert levels[0].equals(levels[1])
