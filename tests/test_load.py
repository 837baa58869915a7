"""A cube holds physical values on its grid, says what is clear, decides each item's offset, and never loses a read."""

import datetime as dt
import pickle
from typing import ClassVar

import dask
import numpy as np
import pystac
import pytest
import rasterio
from odc.geo.geobox import GeoBox
from odc.geo.geom import box, point
from pyproj import Transformer
from rasterio.control import GroundControlPoint
from rasterio.shutil import copy as copy_raster
from tornado.web import StaticFileHandler

from glacier_nb import load, providers, reads, search, serve

CRS = "EPSG:32632"
GRID = GeoBox((40, 60), rasterio.Affine(10, 0, 600_000, 0, -10, 5_100_000), CRS)
DATE = "2021-08-05T10:20:00Z"


def write(path, values, grid=GRID, nodata=0, **more):
    """A small Cloud Optimized GeoTIFF."""
    profile = {"driver": "GTiff", "count": 1, "height": values.shape[0], "width": values.shape[1], "nodata": nodata}
    plain = path.with_suffix(".plain.tif")
    with rasterio.open(plain, "w", dtype=values.dtype, crs=grid.crs, transform=grid.affine, **profile) as dst:
        dst.write(values, 1)
    copy_raster(str(plain), str(path), driver="COG", compress="deflate", blocksize=128, **more)
    plain.unlink()
    return str(path)


def item(name, assets, date=DATE, collection="sentinel-2-l2a", grid=GRID, fields=None, **properties):
    """An item as Planetary Computer writes it: `assets` is {key: href}, `fields` go into each asset."""
    west, south, east, north = grid.extent.to_crs("EPSG:4326").boundingbox
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    told = {"datetime": date, "proj:epsg": int(str(grid.crs).split(":")[1]), **properties}
    place = {"proj:shape": list(grid.shape), "proj:transform": list(grid.affine)[:6]}
    return pystac.Item.from_dict(
        {
            "type": "Feature", "stac_version": "1.0.0", "id": name, "collection": collection, "links": [],
            "stac_extensions": ["https://stac-extensions.github.io/projection/v1.1.0/schema.json"],
            "geometry": {"type": "Polygon", "coordinates": [ring]}, "bbox": [west, south, east, north],
            "properties": told, "assets": {k: {"href": v, **place, **(fields or {})} for k, v in assets.items()},
        }
    )  # fmt: skip


def sentinel2(folder, name, reflectance, added=0, scl=None, grid=GRID, **more):
    """A Sentinel-2 item of constant or given reflectance in B04 and B12, with 1000 counts added or not."""
    values = np.broadcast_to(np.float64(reflectance), grid.shape)
    stored = np.where(np.isnan(values), 0, np.round(values * 10_000) + added).astype("uint16")
    hrefs = {key: write(folder / f"{name}_{key}.tif", stored, grid) for key in ("B04", "B12")}
    if scl is not None:
        hrefs["SCL"] = write(folder / f"{name}_SCL.tif", scl.astype("uint8"), grid)
    return item(name, hrefs, grid=grid, **more)


def new(**more):
    return {"s2:processing_baseline": "05.09", **more}


def old(**more):
    return {"s2:processing_baseline": "02.12", **more}


def test_both_baselines_in_one_cube_give_the_same_reflectance(tmp_path):
    truth = np.linspace(0.0001, 1.2, GRID.shape[0] * GRID.shape[1]).reshape(GRID.shape)
    items = [
        sentinel2(tmp_path, "old", truth, **old(date="2017-08-05T10:20:00Z")),
        sentinel2(tmp_path, "new", truth, 1000, **new(date="2018-08-05T10:20:00Z")),
    ]
    ds = load.cube(items, GRID)
    assert list(ds.data_vars) == ["red", "swir22", "clear"] and ds.red.dims == ("time", "y", "x")
    assert dask.is_dask_collection(ds.red.data) and ds.red.dtype == "float32"
    assert ds.odc.geobox == GRID and list(ds.item.values) == ["old", "new"]
    for when in range(2):
        np.testing.assert_allclose(ds.red.isel(time=when), truth, atol=0.5e-4)  # half a count
    decided = {key: facts["offset"] for key, facts in ds.attrs["manifest"]["items"].items()}
    assert decided == {"old": [0.0], "new": [-0.1]}
    assert ds.attrs["manifest"]["values"] == {"new": "swir22 agrees"}
    assert "05.09" in ds.attrs["manifest"]["items"]["new"]["why"]


def test_two_baselines_on_one_day_are_merged_after_their_own_offsets(tmp_path):
    left, right = np.full((2, *GRID.shape), np.nan)
    left[:, :30], right[:, 25:] = 0.4, 0.4
    items = [
        sentinel2(tmp_path, "left", left, **old()),
        sentinel2(tmp_path, "right", right, 1000, **new(date="2021-08-05T10:20:09Z")),
    ]
    ds = load.cube(items, GRID).compute()
    assert ds.sizes["time"] == 1 and ds.item.item() == "left,right"
    np.testing.assert_allclose(ds.red, 0.4, atol=1e-6)
    assert ds.clear.all()


def test_a_provider_that_already_took_the_offset_off_is_found_out(tmp_path):
    told = new(**{"earthsearch:boa_offset_applied": False})
    dark = np.where(np.arange(GRID.shape[1]) < 40, 0.02, 0.3)
    wrong = sentinel2(tmp_path, "wrong", dark, 0, **told)
    right = sentinel2(tmp_path, "right", dark, 1000, **{**told, "date": "2021-08-07T10:20:00Z"})
    ds = load.cube([wrong, right], GRID, provider="earth-search").compute()
    np.testing.assert_allclose(ds.red[0], ds.red[1], atol=1e-4)
    assert ds.attrs["manifest"]["values"]["wrong"] == "swir22 contradicts the provider"
    assert "taken off already" in ds.attrs["manifest"]["items"]["wrong"]["why"]
    with pytest.warns(UserWarning, match="wrong: .*outside -0.03 to 2.*baseline 05.09.*look at it"):
        load.cube([wrong], GRID)  # where the provider's word is sound, a contradiction is shown and not decided


def test_scl_and_the_edge_make_clear(tmp_path):
    classes = np.zeros(GRID.shape, int)
    classes[:20] = np.arange(60) % 12
    classes[20:] = 11
    truth = np.full(GRID.shape, 0.5)
    truth[30:] = np.nan
    ds = load.cube([sentinel2(tmp_path, "a", truth, scl=classes, **old())], GRID).compute()
    expected = np.isin(classes, [2, 4, 5, 6, 7, 11]) & np.isfinite(truth)
    np.testing.assert_array_equal(ds.clear[0], expected)
    assert np.isnan(ds.red.values[0, 30:]).all() and ds.clear.dtype == bool


def test_landsat_temperature_bits_and_missing_bands(tmp_path):
    qa = np.full(GRID.shape, 1 << 6, "uint16")
    for bit in range(5):
        qa[0, bit] = 1 << bit
    radsat = np.zeros(GRID.shape, "uint16")
    radsat[1, :12] = 1 << np.arange(12)
    hrefs = {
        "red": write(tmp_path / "red.tif", np.full(GRID.shape, 20_000, "uint16")),
        "nir08": write(tmp_path / "nir.tif", np.full(GRID.shape, 10_000, "uint16")),
        "lwir11": write(tmp_path / "st.tif", np.full(GRID.shape, 36_000, "uint16")),
        "qa_pixel": write(tmp_path / "qa.tif", qa, nodata=1),
        "qa_radsat": write(tmp_path / "rs.tif", radsat, nodata=None),
    }
    both = item("L2SP", hrefs, collection="landsat-c2-l2")
    surface = {key: href for key, href in hrefs.items() if key != "lwir11"}
    ds = load.cube([item("L2SR", surface, "2020-08-05T10:20:00Z", "landsat-c2-l2"), both], GRID).compute()
    np.testing.assert_allclose(ds.red, 20_000 * 2.75e-5 - 0.2, rtol=1e-6)
    np.testing.assert_allclose(ds.nir, 10_000 * 2.75e-5 - 0.2, rtol=1e-6)
    np.testing.assert_allclose(ds.lwir11[1], 36_000 * 0.00341802 + 149, rtol=1e-6)
    assert ds.lwir11[0].isnull().all() and ds.lwir11.attrs["units"] == "K"
    unclear = np.zeros(GRID.shape, bool)
    unclear[0, :5] = unclear[1, [9, 11]] = True
    for when in range(2):
        np.testing.assert_array_equal(~ds.clear[when], unclear)


def test_radar_zeros_are_unseen_and_passes_stay_apart(tmp_path):
    power = np.full(GRID.shape, 0.05, "float32")
    power[:10], power[10:15] = 0, -32768
    href = write(tmp_path / "vv.tif", power, nodata=-32768)
    passes = [
        item("morning", {"vv": href}, collection="sentinel-1-rtc", **{"sat:relative_orbit": 51}),
        item(
            "evening", {"vv": href, "vh": href}, "2021-08-05T17:20:00Z", "sentinel-1-rtc", **{"sat:relative_orbit": 8}
        ),
    ]
    ds = load.cube(passes, GRID).compute()
    assert list(ds.item.values) == ["morning", "evening"] and (np.diff(ds.time) > np.timedelta64(0)).all()
    for when in range(2):
        assert ds.vv[when, :15].isnull().all() and not ds.clear[when, :15].any()
        assert ds.clear[when, 15:].all()
    np.testing.assert_allclose(ds.vv[:, 15:], 0.05)
    assert ds.vh[0].isnull().all() and ds.vh[1, 15:].notnull().all()


def test_radar_geometry_is_placed_by_its_tie_points(tmp_path):
    grid = GeoBox((60, 60), rasterio.Affine(100, 0, 600_000, 0, -100, 5_100_000), CRS)
    amplitude = np.full((200, 200), 60, "uint16")
    amplitude[:, :100] = 600
    points = []
    for row in (0, 100, 200):
        for col in (0, 100, 200):
            lonlat = grid.affine * (col * 0.3, row * 0.3)
            points.append(GroundControlPoint(row, col, *lonlat, 0))
    path = tmp_path / "hh.tif"
    placed = {"gcps": points, "crs": rasterio.crs.CRS.from_epsg(32632)}
    with rasterio.open(path, "w", driver="GTiff", dtype="uint16", count=1, height=200, width=200, **placed) as dst:
        dst.write(amplitude, 1)
    one = item("ew", {"hh": str(path)}, collection="sentinel-1-grd", grid=grid)
    for asset in one.assets.values():
        asset.extra_fields = {}
    ds = load.cube([one], grid).compute()
    np.testing.assert_allclose(ds.hh[0, :, :29], 1.0, rtol=1e-6)  # (600 / 600) ** 2
    np.testing.assert_allclose(ds.hh[0, :, 31:], 0.01, rtol=1e-6)
    assert ds.clear.all()


@pytest.fixture
def heights(tmp_path):
    """Two tiles of a tilted plane in degrees whose grids leave a seam, at two dates 10 years and 20 m apart."""
    tiles = []
    for year, drop in ((2011, 0), (2021, 20)):
        for side, lon in enumerate((10.0, 10.05)):
            grid = GeoBox((100, 100), rasterio.Affine(0.0005, 0, lon, 0, -0.0005, 46.05), "EPSG:4326")
            lons = np.broadcast_to(lon + 0.0005 * (np.arange(100) + 0.5), (100, 100))
            path = tmp_path / f"{year}_{side}.tif"
            write(path, (10_000 * (lons - 10) - drop).astype("float32"), grid, nodata=None)
            date = f"{year}-04-22T00:00:00Z"
            tiles.append(item(f"{year}-{side}", {"data": str(path)}, date, "cop-dem-glo-30", grid))
    return tiles


def test_elevation_is_a_mosaic_of_one_date_without_seams(heights):
    whole = GeoBox.from_bbox((10.005, 46.005, 10.095, 46.045), crs="EPSG:4326", resolution=0.001)
    grid = whole.to_crs(CRS, resolution=30)
    latest = load.elevation(heights, grid)
    assert latest.dims == ("y", "x") and latest.name == "elevation" and latest.attrs["units"] == "m"
    assert latest.attrs["items"] == ["2021-0", "2021-1"] and latest.attrs["time"] == "2021-04-22"
    assert latest.odc.geobox == grid
    first = load.elevation(heights, grid, time="2012").compute()
    assert first.attrs["time"] == "2011-04-22"
    inside = first.isel(x=slice(20, -20), y=slice(20, -20))
    assert inside.notnull().all()
    slope = inside.differentiate("x").values
    np.testing.assert_allclose(slope.mean(), 10_000 / (111_320 * np.cos(np.radians(46.02))), rtol=0.01)
    rate = load.elevation_rate(heights, grid).isel(x=slice(20, -20), y=slice(20, -20)).compute()
    assert rate.name == "dh_dt" and rate.attrs["units"] == "m a-1"
    np.testing.assert_allclose(rate, -20 / 10.0, rtol=2e-3)  # 3653 days are 10.0014 years
    with pytest.raises(ValueError, match="needs two"):
        load.elevation_rate(heights[:2], grid)
    with pytest.raises(LookupError, match="cop-dem-glo-30"):
        load.elevation([], grid)


def test_a_tile_of_elevation_that_cannot_be_read_is_lost_by_name(heights):
    grid = GeoBox.from_bbox((10.005, 46.005, 10.095, 46.045), crs="EPSG:4326", resolution=0.001).to_crs(
        CRS, resolution=30
    )
    whole = load.elevation(heights, grid).compute()
    heights[2].assets["data"].href += ".gone"
    with pytest.raises(reads.ReadError, match="cannot read data of 2021-0"):
        load.elevation(heights, grid).compute()
    half = load.elevation(heights, grid, missing="report").compute()
    assert half.lost.any() and not (half.lost & half.notnull()).any()
    assert ((half == whole) | half.lost | whole.isnull()).mean() > 0.99  # but the seam
    assert reads.report(half).item.tolist() == ["2021-0"] and reads.settle(half).attrs["lost"] == 1
    rate = load.elevation_rate(heights, grid, missing="report").compute()
    assert (rate.lost == half.lost).all() and not (rate.lost & rate.notnull()).any()
    assert reads.settle(rate).attrs["lost"] == 1


def test_seams_are_closed_and_edges_are_not_moved():
    block = np.full((12, 12), np.nan, "float32")
    block[:, 2:] = 5.0
    block[6] = np.nan
    closed = load._close_seams(block)
    assert np.isnan(closed[:, :2]).all() and (closed[:, 2:] == 5).all()


@pytest.mark.parametrize("crs", ["EPSG:32633", "EPSG:3413"])
def test_no_line_is_left_where_the_spacing_of_tiles_changes(tmp_path, monkeypatch, crs):
    """Of Copernicus' form: the middles of the first pixels lie on the degree, the spacing in longitude changes."""
    second, steep, tiles = 1 / 3600, 10_000, []  # metres for each degree east: a slope of 43 %
    for name, west, spacing in (("west", 14.9, 10 * second), ("east", 15.0, 5 * second)):
        shape = (360, round(0.1 / spacing))
        grid = GeoBox(
            shape, rasterio.Affine(spacing, 0, west - spacing / 2, 0, -second, 78.1 + second / 2), "EPSG:4326"
        )
        lons = np.broadcast_to(west + spacing * np.arange(shape[1]), shape)
        href = write(tmp_path / f"{name}.tif", (steep * (lons - 14.5)).astype("float32"), grid, nodata=None)
        tiles.append(item(name, {"data": href}, "2021-04-22T00:00:00Z", "cop-dem-glo-30", grid))
    ((x, y),) = point(15, 78.05, "EPSG:4326").to_crs(crs).points
    around = GeoBox((200, 200), rasterio.Affine(10, 0, x - 1000, 0, -10, y + 1000), crs)
    height = load.elevation(tiles, around, chunks={"y": 90, "x": 90}).compute()
    lons, _ = Transformer.from_crs(crs, "EPSG:4326", always_xy=True).transform(*np.meshgrid(height.x, height.y))
    truth = steep * (lons - 14.5)
    assert height.notnull().all() and steep * 0.4 <= height.min() < height.max() <= steep * 0.6  # as the tiles hold
    # at an edge the last pixel's value stands for its outer half; a closed pixel is a mean of some two pixels away
    reach = 5 * second + 2 * 2**0.5 * 10 / (111_700 * np.cos(np.radians(78)))
    np.testing.assert_allclose(height, truth, atol=steep * reach)
    monkeypatch.setattr(load, "_close_seams", lambda block: block)
    line = load.elevation(tiles, around).isnull().compute()
    between = (lons > 15 - 5 * second) & (lons < 15 - 2.5 * second)  # no tile reaches there
    assert line.any() and not (line & ~between).any()


def test_a_failed_read_names_item_and_asset(tmp_path):
    good = sentinel2(tmp_path, "good", 0.3, **old())
    good.assets["B12"].href = write(tmp_path / "cut.tif", np.full(GRID.shape, 3000, "uint16"))
    (tmp_path / "cut.tif").write_bytes((tmp_path / "cut.tif").read_bytes()[:300])
    ds = load.cube([good], GRID)
    assert float(ds.red.mean()) == pytest.approx(0.3)
    with pytest.raises(OSError, match=r"cannot read B12 of good: .*leave this item out") as caught:
        ds.swir22.compute()
    assert "\n" not in str(caught.value)


def test_a_missing_file_over_http_is_never_silent(tmp_path):
    one = sentinel2(tmp_path, "one", 0.3, **old())
    with serve.files(tmp_path) as address:
        for key in ("B04", "B12"):
            one.assets[key].href = f"{address}/one_{key}.tif"
        ds = load.cube([one], GRID)
        assert float(ds.red.mean()) == pytest.approx(0.3)
        (tmp_path / "one_B12.tif").unlink()
        with pytest.raises(OSError, match="cannot read B12 of one"):
            ds.swir22.compute()


def test_no_signature_but_by_gdal_and_only_where_it_is_needed(tmp_path):
    blob = "https://sentinel2l2a01.blob.core.windows.net/sentinel2-l2/x/B04 1.tif"
    pc = providers.provider_row("planetary-computer")
    signed = reads.address(blob, "sentinel-2-l2a", pc.signed)
    assert signed == (
        "/vsicurl?pc_url_signing=yes&pc_collection=sentinel-2-l2a"
        "&url=https%3A%2F%2Fsentinel2l2a01.blob.core.windows.net%2Fsentinel2-l2%2Fx%2FB04%201.tif"
    )
    for href in (
        "http://127.0.0.1:80/a.tif",
        "/data/a.tif",
        "s3://bucket/a.tif",
        "https://blob.core.windows.net.evil/a",
    ):
        assert reads.address(href, "sentinel-2-l2a", pc.signed) == href
    assert reads.address(blob, "sentinel-2-l2a", providers.provider_row("http://127.0.0.1:80").signed) == blob
    one = item("a", {"B04": blob}, **old())
    ds = load.cube([one], GRID)
    assert one.assets["B04"].href == blob  # the caller's items stay as they are
    graph = pickle.dumps(dict(ds.red.data.dask))
    assert b"pc_url_signing=yes" in graph and b"sig=" not in graph


def test_messages_keep_no_query_string():
    said = reads.failure("a", "B04", OSError("403 for https://x/y.tif?se=1&sig=SECRET and more"))
    assert "SECRET" not in said and "and more" in said


def test_what_cannot_be_loaded_says_so(tmp_path):
    two = sentinel2(tmp_path, "s2", 0.3, **old())
    one = item("s1", {"vv": str(tmp_path / "vv.tif")}, collection="sentinel-1-rtc")
    with pytest.raises(LookupError, match="no items"):
        load.cube([], GRID)
    with pytest.raises(ValueError, match=r"several sensors \(sentinel-2-l2a, sentinel-1-rtc\)"):
        load.cube([two, one], GRID)
    with pytest.raises(LookupError, match="no band hh in these sentinel-2-l2a items: they have red, swir22"):
        load.cube([two], GRID, bands=["red", "hh"])
    with pytest.raises(LookupError, match="of no known sensor"):
        load.cube([item("x", {"B04": "x.tif"}, collection="modis")], GRID)


def test_only_blocks_of_the_footprint_are_read(tmp_path):
    small = GeoBox((10, 10), GRID.affine, CRS)
    one = sentinel2(tmp_path, "small", 0.3, grid=small, **old())
    ds = load.cube([one], GRID, chunks={"y": 20, "x": 20})
    assert ds.red.data.numblocks == (1, 2, 3)
    assert float(ds.red.count()) == 100 and int(ds.clear.sum()) == 100


# real data


@pytest.fixture(scope="module")
def khumbu(data):
    with serve.folder(data / "khumbu_stac") as served:
        yield served


BBOX = (86.78, 27.95, 86.85, 28.0)
UTM = GeoBox.from_bbox(BBOX, crs="EPSG:4326", resolution=0.001).to_crs("EPSG:32645", resolution=20)


def test_khumbu_in_utm_is_physical(khumbu):
    optical = load.cube(search.scenes(BBOX, "2024", provider=khumbu.stac), UTM).compute()
    assert optical.sizes == {"time": 4, "y": UTM.shape[0], "x": UTM.shape[1]}
    assert [str(t)[:7] for t in optical.time.values] == ["2024-02", "2024-04", "2024-07", "2024-10"]
    inside = box(*BBOX, "EPSG:4326").to_crs(UTM.crs).area / UTM.extent.area
    edge = 2 * sum(UTM.shape) / (UTM.shape[0] * UTM.shape[1])
    np.testing.assert_allclose(optical.clear.mean(("y", "x")), inside, atol=edge)
    for name in ("blue", "green", "red", "nir", "swir16", "swir22"):
        low, high = np.nanpercentile(optical[name], [0.1, 99.9])
        assert low >= 0 and high <= 1.5, name
    green, swir = optical.green, optical.swir16
    snow = ((green - swir) / (green + swir) > 0.4).mean(("y", "x"))
    assert snow.min() < snow.max() and (optical.green > 0.4).sum() > 1000

    radar = load.cube(search.scenes(BBOX, "2024", "sentinel-1-rtc", khumbu.stac), UTM).compute()
    assert list(radar.data_vars) == ["vv", "vh", "clear"]
    decibels = 10 * np.log10(radar.drop_vars("clear"))
    assert -15 < decibels.vv.median() < 0 and decibels.vh.median() < decibels.vv.median()

    height = load.elevation(search.scenes(BBOX, None, "dem", khumbu.stac), UTM).compute()
    assert 4500 < height.min() < height.max() < 8000 and height.notnull().all()


def test_the_landsat_scene_has_its_reflectance_and_clouds(data):
    (stem,) = {p.name.split("_SR_B1")[0] for p in (data / "landsat_c2l2_greenland_512").glob("*_SR_B1.TIF")}
    keys = {"blue": "SR_B2", "green": "SR_B3", "red": "SR_B4", "nir08": "SR_B5", "swir16": "SR_B6", "swir22": "SR_B7"}
    files = {**keys, "qa_pixel": "QA_PIXEL", "qa_radsat": "QA_RADSAT"}
    paths = {key: str(data / "landsat_c2l2_greenland_512" / f"{stem}_{name}.TIF") for key, name in files.items()}
    with rasterio.open(paths["red"]) as src:
        grid, stored = GeoBox(src.shape, src.transform, str(src.crs)), src.read(1)
    with rasterio.open(paths["qa_pixel"]) as src:
        qa = src.read(1)
    ds = load.cube([item(stem, paths, "2015-07-10T14:00:00Z", "landsat-c2-l2", grid)], grid).compute()
    np.testing.assert_allclose(ds.red[0], np.where(stored == 0, np.nan, stored * 2.75e-5 - 0.2), atol=1e-6)
    assert ds.red.isnull().mean() == pytest.approx(0.47, abs=0.005)
    np.testing.assert_array_equal(ds.clear[0], ((qa & 0b11111) == 0) & (stored != 0))
    cloud = ((qa >> 3) & 1).sum() / ((qa & 1) == 0).sum()
    assert cloud == pytest.approx(0.5465, abs=0.002)  # as its metadata say: these bits are what we think they are


def test_worker_processes_read_the_same_and_fail_by_name(tmp_path):
    one = sentinel2(tmp_path, "one", np.linspace(0.1, 0.9, 2400).reshape(GRID.shape), 1000, **new())
    ds = load.cube([one], GRID, chunks={"y": 20, "x": 30})
    here = ds.red.compute(scheduler="sync")
    there = ds.red.compute(scheduler="processes", num_workers=1)
    np.testing.assert_array_equal(here, there)
    (tmp_path / "one_B04.tif").unlink()
    with pytest.raises(OSError, match="cannot read B04 of one"):
        ds.red.compute(scheduler="processes", num_workers=1)


class Signed(StaticFileHandler):
    """A store that wants a signature, and the service that gives it."""

    tokens = 0
    seen: ClassVar[list] = []

    def compute_etag(self):
        return None

    async def get(self, path, include_body=True):
        if path.startswith("sas/"):
            type(self).tokens += 1
            end = dt.datetime.now(dt.UTC) + dt.timedelta(hours=1)
            self.write({"msft:expiry": end.strftime("%Y-%m-%dT%H:%M:%SZ"), "token": "sig=SECRET"})
            return
        self.seen.append(path)
        if self.get_argument("sig", "") != "SECRET":
            self.send_error(403)
            return
        await super().get(path, include_body)


def test_files_that_want_a_signature_get_it_at_each_read(tmp_path, monkeypatch):
    one = sentinel2(tmp_path, "one", 0.3, **old())
    with serve.files(tmp_path, Signed) as address:
        store = providers.Provider("store", address, signed=("127.0.0.1",))
        monkeypatch.setattr(providers, "PROVIDERS", (*providers.PROVIDERS, store))
        monkeypatch.setenv("VSICURL_PC_SAS_TOKEN_URL", f"{address}/sas/")
        for key in ("B04", "B12"):
            one.assets[key].href = f"{address}/one_{key}.tif"
        ds = load.cube([one], GRID, provider="store")
        assert b"SECRET" not in pickle.dumps(dict(ds.red.data.dask)) and Signed.tokens == 0
        assert float(ds.red.mean()) == pytest.approx(0.3) and Signed.tokens >= 1
        assert "SECRET" not in str(ds.attrs)
        unsigned = load.cube([one], GRID)  # Planetary Computer's rule does not reach this host
        with pytest.raises(OSError, match="cannot read B12 of one") as caught:
            unsigned.swir22.compute()
        assert "SECRET" not in str(caught.value)
