"""Plain rasters become items: real files by their producers' names, any others by a word on their bands and date."""

import re

import numpy as np
import pytest
import rasterio

from glacier_nb import files, load, namings, providers, regions, scaling, search, sensors

UTM = {"driver": "GTiff", "height": 40, "width": 50, "crs": "EPSG:32632"}
LANDSAT = "landsat_c2l2_greenland_512"


def write(path, values, names=None, **more):
    """A GeoTIFF of bands (band, y, x) at 10 m."""
    values = np.atleast_3d(np.asarray(values)).reshape(-1, 40, 50)
    path.parent.mkdir(parents=True, exist_ok=True)
    place = {"transform": rasterio.Affine(10, 0, 630_000, 0, -10, 5_190_000), "dtype": values.dtype}
    with rasterio.open(path, "w", count=len(values), **{**UTM, **place, **more}) as dst:
        dst.write(values)
    return path


def flat(value, dtype="uint16"):
    return np.full((40, 50), value, dtype)


def test_a_real_landsat_scene_by_its_names(data):
    (one,) = files.items(data / LANDSAT, "landsat-c2-l2")
    assert one.id == "LC08_L2SP_005009_20150710_20200908_02_T2" and str(one.datetime)[:10] == "2015-07-10"
    assert one.properties["eo:cloud_cover"] == pytest.approx(54.65) and one.properties["platform"] == "landsat-8"
    found = scaling.encodings(one)
    assert set(found) == {"blue", "green", "red", "nir", "swir16", "swir22", "coastal"}
    assert {(e.scale, e.offset, e.nodata) for e in found.values()} == {(2.75e-5, -0.2, 0)}
    grid = regions.geobox(one.bbox, 4000, crs="EPSG:3413")
    cube = load.cube([one], grid, ["red", "swir16"]).compute()
    with rasterio.open(data / LANDSAT / f"{one.id}_SR_B4.TIF") as src:
        number = src.read(1)
    seen = number[number > 0] * 2.75e-5 - 0.2
    error = 3 * seen.std() / np.sqrt(float(cube.red.notnull().sum()))  # of the mean of so many pixels
    assert float(cube.red.mean()) == pytest.approx(seen.mean(), abs=error)
    assert 0 < float(cube.clear.mean()) < float(cube.red.notnull().mean())


def test_search_takes_a_pattern_as_its_provider(data):
    pattern = str(data / LANDSAT / "*.TIF")
    for provider in (pattern, str(data / LANDSAT / "LC08_L2SP_005009_20150710_20200908_02_T2_SR_B4.TIF")):
        (one,) = search.scenes((-40, 72, -39, 73), "2015", "landsat-c2-l2", provider)
        assert "red" in one.assets
    with pytest.raises(LookupError, match="no landsat-c2-l2 scene"):
        search.scenes((-40, 72, -39, 73), "2016", "landsat-c2-l2", pattern)
    with pytest.raises(LookupError, match=r"no name in .* reads as planetscope.*files\.items"):
        search.scenes((-40, 72, -39, 73), "2015", "planetscope", pattern)
    with pytest.raises(FileNotFoundError, match=r"no raster in .*nothing"):
        search.scenes((-40, 72, -39, 73), "2015", "landsat-c2-l2", "nothing/*.tif")


@pytest.mark.parametrize(
    ("path", "sensor", "variable", "span", "low", "high"),
    [
        ("oggm_sample/shop/*.tif", "its-live-velocity", "velocity_x", ("1985-01-01", "2018-12-31"), -4000, 4000),
        ("oggm_sample/test-files/consensus_composite", "ice-thickness", "thickness", ("2003-01-01", None), 0, 400),
        ("geoutils_data/Exploradores_ASTER/*_Z.tif", "dem", "elevation", ("2012-03-18", None), -50, 4000),
    ],
)
def test_real_rasters_of_what_is_measured(data, path, sensor, variable, span, low, high):
    (one,) = files.items(data / path, sensor)
    assert str(one.datetime.date()) == span[0] and (one.properties.get("end_datetime") or "None")[:10] == str(span[1])
    row = {band.name: band for band in sensors.sensor_row(sensor).bands}[variable]
    box = regions.geobox(one.bbox, 1000)
    values = load.cube([one], box, [variable])[variable]
    assert values.attrs["units"] == row.units
    seen = values.values[np.isfinite(values.values)]
    assert seen.size > 10 and low <= seen.min() < seen.max() <= high


def test_bands_by_hand_of_single_and_of_many(data):
    folder = data / "geoutils_data/Everest_Landsat"
    near = files.items(folder / "LE71400412000304SGS00_B4.tif", "image", {"nir": "B4"}, date="2000-10-30")
    colour = files.items(
        folder / "LE71400412000304SGS00_RGB.tif", "image", {"red": 1, "green": 2, "blue": 3}, "2000-10-30"
    )
    assert near[0].id == "LE71400412000304SGS00" and near[0].datetime == colour[0].datetime
    grid = regions.geobox("Khumbu", 30)
    with rasterio.open(folder / "LE71400412000304SGS00_RGB.tif") as src:
        for number, name in enumerate(("red", "green", "blue"), 1):
            cube = load.cube(colour, grid, [name]).compute()
            own = src.read(number)
            left, bottom, right, top = grid.boundingbox
            rows, columns = rasterio.transform.rowcol(src.transform, [left, right], [top, bottom])
            mean = own[rows[0] : rows[1], columns[0] : columns[1]].mean()
            assert float(cube[name].mean()) == pytest.approx(mean, abs=1.0)  # grids shifted by half a pixel
    with pytest.raises(ValueError, match="tells no date"):
        files.items(folder / "LE71400412000304SGS00_B4.tif", "image", {"nir": "B4"})
    with pytest.raises(LookupError, match="image has no nearred: its bands are blue"):
        files.items(folder / "*.tif", "image", {"nearred": "B4"})


def test_planetscope_as_planet_delivers_it(tmp_path):
    eight = np.stack([flat(100 * number) for number in range(1, 9)])
    write(tmp_path / "20230801_101112_22_2463_3B_AnalyticMS_SR_8b_clip.tif", eight, nodata=0)
    mask = np.zeros((8, 40, 50), "uint8")
    mask[0, :, :25] = 1
    write(tmp_path / "20230801_101112_22_2463_3B_udm2_clip.tif", mask)
    write(tmp_path / "20190721_101112_1035_3B_AnalyticMS_SR.tif", eight[:4], nodata=0)
    write(tmp_path / "20190721_101112_1035_3B_AnalyticMS.tif", eight[:4])  # radiance: another product
    old, new = files.items(tmp_path, "planetscope")
    assert (old.id, new.id) == ("20190721_101112_1035", "20230801_101112_22_2463")
    grid = regions.geobox(new.bbox, 10, crs="EPSG:32632")
    cube = load.cube([old, new], grid).compute()
    middle = cube.isel(x=len(cube.x) // 2 - 3, y=len(cube.y) // 2)
    expected = {"blue": (0.01, 0.02), "green": (0.02, 0.04), "red": (0.03, 0.06), "nir": (0.04, 0.08)}
    for name, values in expected.items():
        np.testing.assert_allclose(middle[name], values, rtol=1e-6)
    assert cube.clear[1].values[cube.red[1].notnull().values].mean() == pytest.approx(0.5, abs=0.03)
    assert cube.clear[0].values[cube.red[0].notnull().values].all()


def test_sentinel_2_granules_take_their_baseline_from_the_product(tmp_path):
    product = "S2B_MSIL2A_20230801T102031_{}_R065_T32TMS_20230801T140000.SAFE"
    for number in ("N0509", "N0214"):
        for band, metres, value in (("B04", 10, 3000), ("B04", 20, 3000), ("SCL", 20, 4)):
            name = f"T32TMS_20230801T102031_{band}_{metres}m.tif"
            grown = rasterio.Affine(metres, 0, 630_000, 0, -metres, 5_190_000)
            folder = tmp_path / number / product.format(number) / f"R{metres}m"
            write(folder / name, flat(value), transform=grown, nodata=0)
    for number, offset in (("N0509", -0.1), ("N0214", 0.0)):
        found = files.items(tmp_path / number, "sentinel-2-l2a")
        offsets = {e.offset for one in found for e in scaling.encodings(one).values()}
        assert offsets == {offset} and len({one.id for one in found}) == len(found)


def test_landsat_level_1_is_divided_by_the_sun(tmp_path):
    stem = "LC09_L1TP_194028_20230801_20230801_02_T1"
    write(tmp_path / f"{stem}_B8.TIF", flat(25_000), nodata=0)
    facts = '{"LANDSAT_METADATA_FILE": {"IMAGE_ATTRIBUTES": {"DATE_ACQUIRED": "2023-08-01", "SUN_ELEVATION": "30.0", '
    facts += '"SCENE_CENTER_TIME": "10:11:12.1234560Z", "SUN_AZIMUTH": "150.0", "CLOUD_COVER": "3.0", '
    (tmp_path / f"{stem}_MTL.json").write_text(facts + '"SPACECRAFT_ID": "LANDSAT_9"}}}')
    (one,) = files.items(tmp_path, "landsat-c2-l1")
    told = scaling.encodings(one)["pan"]
    assert 25_000 * told.scale + told.offset == pytest.approx((2e-5 * 25_000 - 0.1) / 0.5)
    del one.properties["view:sun_elevation"]
    with pytest.raises(ValueError, match="no sun elevation"):
        scaling.encodings(one)


def test_what_a_file_declares_goes_before_the_row(tmp_path):
    path = write(tmp_path / "heights_2019-08-01.tif", flat(700, "int16"), nodata=-1)
    with rasterio.open(path, "r+") as dst:
        dst.scales, dst.offsets = (0.5,), (100.0,)
    (one,) = files.items(path, "dem")
    told = scaling.encodings(one)["elevation"]
    assert (told.scale, told.offset, told.nodata) == (0.5, 100.0, -1)
    assert one.datetime.hour == 11  # a day alone is noon where the scene lies: 10.7 degrees east are 0.7 hours
    back = search.thaw(search.freeze([one], tmp_path / "items.parquet"))
    assert scaling.encodings(back[0]) == scaling.encodings(one)


def test_files_without_a_place_say_so(tmp_path):
    path = write(tmp_path / "heights_2019-08-01.tif", flat(1, "int16"), crs=None)
    with pytest.raises(ValueError, match=r"heights_2019-08-01\.tif has no CRS: .*gdal_edit"):
        files.items(path, "dem")
    (tmp_path / "broken_2019-08-01.tif").write_bytes(b"no raster")
    with pytest.raises(OSError, match=r"broken_2019-08-01\.tif is no raster"):
        files.items(tmp_path / "broken*.tif", "dem")


def test_a_file_across_the_antimeridian(tmp_path):
    place = rasterio.Affine(1000, 0, 480_000, 0, -1000, 7_200_000)  # UTM 1: 180 degrees lie at 360 km
    path = write(tmp_path / "dem_2019-08-01.tif", flat(5, "int16"), crs="EPSG:32601", transform=place)
    (one,) = files.items(path, "dem")
    assert one.bbox[0] < one.bbox[2]
    place = rasterio.Affine(10_000, 0, 150_000, 0, -1000, 7_200_000)
    path = write(tmp_path / "wide_2019-08-01.tif", flat(5, "int16"), crs="EPSG:32601", transform=place)
    (one,) = files.items(path, "dem")
    west, _, east, _ = one.bbox
    assert west > 170 and east < -160
    for box in ((179, 64, -179, 65), (-178, 64, -177, 65), (175.7, 64, 176, 65)):
        assert [i.id for i in search.scenes(box, None, "dem", str(tmp_path / "wide*.tif"))] == [one.id]


EXAMPLES = {
    "sentinel-2-l2a": ["T32TMS_20230801T102031_B8A_20m.jp2", "T32TMS_20230801T102031_B02.tif"],
    "landsat-c2-l2": ["LT05_L2SP_195028_19900812_20200915_02_T1_SR_B3.TIF",
                      "LC09_L2SP_195028_20230812_20230815_02_T1_ST_B10.TIF"],
    "coherence": ["S1AA_20150504T120217_20150516T120217_VVP012_INT80_G_ueF_4232_corr.tif"],
    "sentinel-1-rtc": ["S1A_IW_20230801T052515_DVP_RTC30_G_gpuned_AB12_VV.tif"],
    "cop-dem-glo-30": ["Copernicus_DSM_COG_10_N46_00_E008_00_DEM.tif"],
    "cop-dem-glo-90": ["Copernicus_DSM_COG_30_N46_00_E008_00_DEM.tif"],
    "nasadem": ["NASADEM_HGT_n46e008.tif"],
    "alos-dem": ["ALPSMLC30_N046E008_DSM.tif"],
    "arcticdem": ["44_74_1_2_2m_v4.1_dem.tif", "80_24_32m_v4.1_dem.tif"],
    "rema": ["06_37_10m_v2.0_dem.tif"],
    "arcticdem-strips": ["SETSM_s2s041_WV01_20200807_10200100A0_10200100A1_2m_lsf_seg1_dem.tif"],
    "swissalti3d": ["swissalti3d_2019_2622-1264_2_2056_5728.tif"],
    "swissimage": ["swissimage-dop10_2020_2600-1199_0.1_2056.tif"],
    "hugonnet-dh-dt": ["N46E008_2000-01-01_2020-01-01_dhdt.tif", "N46E008_2000-01-01_2020-01-01_dhdt_err.tif"],
    "its-live-velocity": ["ITS_LIVE_velocity_120m_RGI11A_2018_v02_vx.tif", "HMA_G0120_2015_v.tif"],
}  # fmt: skip


@pytest.mark.parametrize("sensor", EXAMPLES)
def test_published_names_are_read(sensor):
    for name in EXAMPLES[sensor]:
        found = [n for n in namings.NAMINGS if n.sensor == sensor and re.fullmatch(n.pattern, name)]
        assert len(found) == 1, name
        groups = re.fullmatch(found[0].pattern, name).groupdict()
        band = dict(found[0].bands).get(groups.get("band", ""))
        assert found[0].stacks or band in {b.name for b in sensors.sensor_row(sensor).bands}
        assert groups.get("date") or found[0].span[0]


def test_every_naming_speaks_of_a_sensor_and_its_bands():
    for naming in namings.NAMINGS:
        row = sensors.sensor_row(naming.sensor)
        known = {band.name for band in row.bands} | {key for mask in row.masks for key in mask.keys} | {"SCL"}
        assert {name for _, name in naming.bands} <= known, naming.pattern
        for stack in naming.stacks:
            assert {band.name for band in row.bands} & set(stack)


def test_every_sensor_can_be_had_from_somewhere():
    served = {sensor for row in providers.PROVIDERS for sensor, _ in row.collections}
    named = {naming.sensor for naming in namings.NAMINGS}
    assert {row.name for row in sensors.SENSORS} - served - named == {"image"}  # by files.items(..., bands=)
    with pytest.raises(LookupError, match=r"earth-search has no nasadem, it has .*: planetary-computer has it"):
        search.scenes((8, 46, 9, 47), None, "nasadem", "earth-search")
    with pytest.raises(LookupError, match="read it from files"):
        search.scenes((8, 46, 9, 47), None, "hugonnet-dh-dt", "earth-search")
