"""Areas, perimeters and attributes of inventories that others made, on the ellipsoid; what is off, with its cause."""

import geopandas as gpd
import numpy as np
import pyproj
import pytest
import rioxarray
import shapely
import xarray as xr

from glacier_nb import attributes, rgi
from glacier_nb.crs import on_globe

EVEREST = "geoutils_data/Everest_Landsat/15_rgi60_glacier_outlines.gpkg"
HMA = "rgi60_hma_subset/RGI.shp"
GLOBE = pyproj.Geod(ellps="WGS84")
CUT = 200.0  # units of EPSG:3857 by which the subset of High Asia was simplified: its vertices are RGI's own, fewer


def areas(data, path):
    """An inventory with its area in m2 and perimeter in m on WGS 84, next to RGI's Area in km2."""
    frame = gpd.read_file(data / path).rename(columns={"RGIID": "RGIId"})
    frame["geometry"] = frame.geometry.make_valid()
    return attributes.measures(frame).set_index("RGIId")


def test_rgi_7_area_and_perimeter_are_its_own(data):
    """Its areas by geodesics to 1e-4; its perimeters, which it does not list, by the length of what glaciers share."""
    folder = data / "oggm_sample" / "test-files" / "rgi7"
    frame = gpd.read_file(folder / "rgi7g_hef_complex.shp")
    found = attributes.measures(frame)
    assert len(found) == 23
    assert (found.area_km2 / frame.area_km2).to_numpy() == pytest.approx(1, abs=1e-4)
    # in its own zone, whose scale is within 0.0004 of 1, as RGI measures
    assert (found.perimeter_m / frame.to_crs(32632).length).to_numpy() == pytest.approx(1, abs=0.005)
    shared = gpd.read_file(folder / "rgi7g_hef_intersects.shp").to_crs(4326)
    outline = frame.set_index("rgi_id").geometry
    lengths = []
    for one in shared.itertuples():
        near = shapely.intersection(outline[one.rgi_g_id_1].boundary, one.geometry.buffer(1e-7))
        lengths.append(GLOBE.geometry_length(near))
    assert len(lengths) == 5 and (np.array(lengths) / shared.length_m).to_numpy() == pytest.approx(1, abs=0.005)
    complex_ = attributes.measures(gpd.read_file(folder / "rgi7c_hef.shp")).iloc[0]
    assert complex_.area_km2 == pytest.approx(77.670226, rel=1e-4)
    assert found.area_km2.sum() == pytest.approx(complex_.area_km2, rel=1e-4)
    assert found.perimeter_m.sum() > complex_.perimeter_m  # by twice what the glaciers share


@pytest.mark.parametrize(("path", "n"), [(EVEREST, 86), (HMA, 604)], ids=["everest", "high-asia"])
def test_rgi_6_areas_are_its_own_on_average(data, path, n):
    found = areas(data, path)
    ratio = found.area_km2 / found.Area
    assert len(found) == n and 0.995 <= ratio.mean() <= 1.005
    assert found.area_km2.sum() / found.Area.sum() == pytest.approx(1, abs=0.005)


def test_everest_outliers_are_the_rounding_of_the_attribute(data):
    """Area has three decimals: of a glacier under 0.1 km2 that is more than half a percent, and nothing else is off."""
    found = areas(data, EVEREST)
    off = found[(found.area_km2 / found.Area - 1).abs() > 0.005]
    assert sorted(off.index.str[-5:]) == ["03412", "03865", "03896", "09983", "09986", "09999", "10000", "10019"]
    assert off.Area.max() < 0.1
    assert ((found.area_km2 - found.Area).abs() <= 0.0005 + 1e-4 * found.Area).all()


def test_high_asian_outliers_are_the_simplification_of_their_outlines(data):
    """The subset's outlines were simplified: of those near Everest every vertex is RGI's, and one in ten is left."""
    coarse, fine = areas(data, HMA), areas(data, EVEREST)
    off = coarse[(coarse.area_km2 / coarse.Area - 1).abs() > 0.05]
    assert sorted(off.index) == [
        "RGI60-13.19175", "RGI60-13.35422", "RGI60-13.39215", "RGI60-13.50086", "RGI60-15.01262", "RGI60-15.03217",
        "RGI60-15.03734", "RGI60-15.03742", "RGI60-15.04428", "RGI60-15.12157",
    ]  # fmt: skip
    both = coarse.index.intersection(fine.index)
    assert len(both) == 7 and {"RGI60-15.03734", "RGI60-15.03742"} <= set(both)
    few, many = coarse.loc[both].to_crs(3857).geometry, fine.loc[both].to_crs(3857).geometry
    for simple, own in zip(few, many, strict=True):
        points = shapely.points(shapely.get_coordinates(simple))
        assert shapely.distance(points, own.boundary).max() < 1e-3  # not moved, only left out
        assert len(points) < shapely.get_num_coordinates(own) / 7
        assert simple.hausdorff_distance(own) <= CUT
    assert (fine.loc[both].area_km2 / fine.loc[both].Area).to_numpy() == pytest.approx(1, abs=5e-4)
    # a line moved by CUT at most moves no more area than its length times CUT on the ground; here about a quarter of it
    reach = CUT * np.cos(np.radians(coarse.CenLat)) * coarse.perimeter_m / 1e6
    assert ((coarse.area_km2 - coarse.Area).abs() <= reach).all()
    assert off.Area.median() < coarse.Area.median() / 2  # the smaller a glacier, the more it tells


def test_terrain_attributes_beside_those_of_rgi_7_and_their_dems(data):
    folder = data / "oggm_sample" / "test-files"
    dem = rioxarray.open_rasterio(folder / "hef_srtm.tif", masked=True).squeeze("band", drop=True)
    dem = dem.astype("float32").rio.reproject("EPSG:32632", resolution=60, resampling=1)
    ground = xr.DataArray(dem.values, {"y": dem.y, "x": dem.x}, ("y", "x"), attrs={"time": "2000-02-11"})
    own = gpd.read_file(folder / "rgi7" / "rgi7g_hef.shp")
    found = attributes.attributes(own, ground.odc.assign_crs("EPSG:32632"), dem_source="SRTM")
    table = attributes.beside(found, own).set_index("attribute")
    assert list(table.index) == [name for name in attributes.BESIDE if name != "perimeter_m"]
    assert set(table.dem_ours[1:]) == {"SRTM"} and set(table.dem_theirs[1:]) == {"COPDEM30"}
    assert table.dem_ours["area_km2"] == table.dem_theirs["area_km2"] == ""
    assert table.ours["area_km2"] == pytest.approx(table.theirs["area_km2"], rel=1e-4)
    for name, most in {"zmed_m": 60, "zmean_m": 60, "slope_deg": 3, "aspect_deg": 20, "lmax_m": 1000}.items():
        assert abs(table.difference[name]) < most, name
    assert found.dem_date.item() == "2000-02-11"
    row = rgi.full(rgi.table(found)).iloc[0]
    theirs = own.iloc[0]
    assert row.zmed_m == found.zmed_m.item() and row.dem_source == "SRTM"
    assert (row.rgi_id, row.glac_name, row.src_date) == (theirs.rgi_id, theirs.glac_name, theirs.src_date)


def test_the_globe_measures_what_an_equal_area_map_does(data):
    frame = gpd.read_file(data / EVEREST).to_crs(4326)
    on_map = frame.to_crs("+proj=laea +lat_0=28 +lon_0=87 +ellps=WGS84").area
    globe = np.array([on_globe(shape)[0] for shape in frame.geometry])
    assert (globe / on_map).to_numpy() == pytest.approx(1, abs=1e-5)
