"""The demo region: real archives' form, the landscape's content, the same bytes for the same seed."""

import json
import os
import pathlib
import subprocess
import sys

import geopandas as gpd
import numpy as np
import pandas as pd
import pystac
import pytest
import rasterio
from scipy import ndimage

from glacier_nb import imaging, optical, overpass, radar, spectra, synthetic, truth

SEED = 7
REAL = {
    "sentinel-2-l2a": (
        "S2A_MSIL2A_20200601T080611_R078_T35MNM_20201027T072253",
        "S2B_MSIL2A_20220612T182919_R027_T24XWR_20220613T123251",
    ),
    "landsat-c2-l2": ("LC09_L2SP_090091_20250310_02_T1",),
    "sentinel-1-rtc": ("S1A_IW_GRDH_1SDV_20250311T044231_20250311T044249_058252_073302_rtc",),
    "sentinel-1-grd": ("S1A_EW_GRDM_1SSH_20220505T235314_20220505T235417_043082_05250D",),
    "cop-dem-glo-30": ("Copernicus_DSM_COG_10_S90_00_W180_00_DEM",),
}  # fmt: skip
# Properties of real items that a landscape without a ground segment has no value for.
ABSENT = {"s2:granule_id", "s2:datatake_id", "s2:datastrip_id", "s2:reflectance_conversion_factor", "created"}


@pytest.fixture(scope="session")
def region(tmp_path_factory):
    """The whole region of SEED, made once."""
    return imaging.write(tmp_path_factory.mktemp("synthetic") / "region", SEED, progress=False)


@pytest.fixture(scope="session")
def items(region):
    found = [json.loads(path.read_text()) for path in sorted((region / "items").rglob("*.json"))]
    return {name: [i for i in found if i["collection"] == name] for name in imaging.MAKERS}


def read(region, item, key):
    with rasterio.open(region / "items" / item["collection"] / item["assets"][key]["href"]) as file:
        return file.read(1)


def reflectance(region, item, key):
    number = read(region, item, key).astype(float)
    offset = 1000.0 if item["properties"]["s2:processing_baseline"] >= "04.00" else 0.0
    return (number - offset) / 10_000.0


def layer(region, name):
    with rasterio.open(region / "truth" / name) as file:
        return file.read()


def index_of(item):
    year = int(item["properties"]["datetime"][:4])
    return [int(str(d)[:4]) for d in synthetic.DATES].index(year)


def clearest(items):
    """The Sentinel-2 item of each date with the least cloud among those without new snow."""
    best = {}
    for item in items["sentinel-2-l2a"]:
        flight = next(p for p in imaging.PASSES if item["properties"]["datetime"].startswith(p.when))
        key = (flight.snow is not None, item["properties"]["eo:cloud_cover"])
        best[flight.date] = min(best.get(flight.date, (key, item)), (key, item), key=lambda pair: pair[0])
    return [best[k][1] for k in sorted(best)]


def coarse(mask):
    """A mask of 10 m pixels on the 20 m grid: all four pixels."""
    return overpass.coarser(mask.astype(float), 2) == 1.0


def test_folder(region, items):
    facts = json.loads((region / "region.json").read_text())
    assert facts["name"] == f"synthetic-{SEED}"
    assert facts["years"] == [2017, 2019, 2021, 2023, 2025]
    assert [len(group) for group in items.values()] == [15, 5, 5, 2, 2]
    for name in ("outlines", "divides", "fronts", "centrelines", "boxes"):
        table = gpd.read_parquet(region / "truth" / f"{name}.parquet")
        assert table.crs == facts["crs"]
        assert "rgi_id" in table
    total = sum(path.stat().st_size for path in region.rglob("*") if path.is_file())
    assert total < 200e6
    west, south, east, north = facts["bbox"]
    assert -40 < west < east < -35
    assert 65 < south < north < 67
    assert json.loads((region / "truth" / "ice_volume.json").read_text())["residual"] < 1e-6


def test_items_are_valid_and_their_files_exist(region, items):
    ids = [item["id"] for group in items.values() for item in group]
    assert len(set(ids)) == len(ids)
    for name, group in items.items():
        pystac.Collection.from_file(str(region / "collections" / f"{name}.json"))
        for path in (region / "items" / name).glob("*.json"):
            item = pystac.Item.from_file(str(path))
            assert item.id == path.stem
            assert item.collection_id == name
            for asset in item.assets.values():
                assert asset.href.startswith("../../data/")
                file = pathlib.Path(asset.get_absolute_href())
                assert file.exists()
        for item in group:
            for key, asset in item["assets"].items():
                with rasterio.open(region / "items" / name / asset["href"]) as file:
                    assert file.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG", key
                    shape = asset.get("proj:shape", item["properties"].get("proj:shape"))
                    transform = asset.get("proj:transform", item["properties"].get("proj:transform"))
                    if shape:
                        assert list(file.shape) == list(shape)
                        assert list(file.transform)[:6] == pytest.approx(list(transform)[:6])


@pytest.mark.parametrize("name", REAL)
def test_items_say_what_real_ones_say(data, items, name):
    for stem in REAL[name]:
        real = json.loads((data / "stac_planetary_computer" / name / f"{stem}.json").read_text())
        for ours in items[name]:
            keys = set(ours["assets"]) - ({"hv"} if name == "sentinel-1-grd" else set())  # that item is single
            assert keys <= set(real["assets"])
            assert set(ours["properties"]) <= set(real["properties"])
            missing = set(real["properties"]) - set(ours["properties"]) - ABSENT
            assert not missing, missing
            known = [e.rsplit("/", 2)[0] for e in real["stac_extensions"]]
            assert {e.rsplit("/", 2)[0] for e in ours["stac_extensions"]} <= set(known)
            for key in keys:
                mine, theirs = ours["assets"][key], real["assets"][key]
                assert mine["type"] == theirs["type"]
                assert set(mine) <= set(theirs) | {"proj:bbox", "gsd"}
                for field in ("eo:bands", "raster:bands"):
                    for a, b in zip(mine.get(field, []), theirs.get(field, []), strict=True):
                        for word in set(a) & {"name", "common_name", "scale", "offset", "nodata", "data_type"}:
                            assert a[word] == b[word], (key, word)
            for prop, value in ours["properties"].items():
                if isinstance(value, str | list | int | float):
                    assert isinstance(value, type(real["properties"][prop]) | int), prop


def test_offset_is_the_baselines(region, items):
    zones = layer(region, "zones.tif")
    dark, bright = [], []
    for item in clearest(items):
        number = read(region, item, "B12")
        zone, clear = zones[index_of(item)], read(region, item, "SCL")
        sea = coarse(zone == truth.OCEAN) & (clear == 6)
        dark.append((item["properties"]["s2:processing_baseline"] >= "04.00", np.median(number[sea])))
        ice = np.kron(clear == 11, np.ones((2, 2), bool)) & (zone == truth.GLACIER)
        bright.append(np.median(reflectance(region, item, "B03")[ice]))
    for after, value in dark:  # the sea reflects 0.4 % at most in the short-wave infrared
        assert (1000 < value < 1100) if after else (1 <= value < 100)
    assert {after for after, _ in dark} == {True, False}
    assert max(bright) - min(bright) < 0.25  # the snowline rises by the years, the offset leaves no step of 0.1 more
    assert all(i["properties"]["datetime"] < "2022-01-25" or i["properties"]["s2:processing_baseline"] >= "04.00"
               for i in items["sentinel-2-l2a"])  # fmt: skip


def test_ndsi_misses_debris(region, items):
    zones = layer(region, "zones.tif")
    for item in clearest(items):
        zone = zones[index_of(item)]
        green = overpass.coarser(reflectance(region, item, "B03"), 2)
        infrared = reflectance(region, item, "B11")
        found = (green - infrared) / (green + infrared) > 0.4
        clear = np.isin(read(region, item, "SCL"), (2, 4, 5, 6, 11))
        glacier = overpass.coarser(np.isin(zone, (truth.GLACIER, truth.DEBRIS)) * 1.0, 2) * clear
        assert glacier[~found].sum() > 0.08 * glacier.sum()
        clean = coarse(zone == truth.GLACIER) & clear
        assert found[clean].mean() > 0.95
        assert found[coarse(zone == truth.DEBRIS) & clear].mean() < 0.05


def test_debris_looks_like_rock_but_is_colder_and_rougher(region, items):
    zones = layer(region, "zones.tif")
    item = clearest(items)[0]
    clear, zone = read(region, item, "SCL"), zones[0]
    for band in ("B03", "B11"):
        value = np.log(np.maximum(reflectance(region, item, band), 1e-3))
        value = overpass.coarser(value, 2) if band == "B03" else value
        rock, debris = (value[coarse(zone == kind) & (clear == 5)] for kind in (truth.ROCK, truth.DEBRIS))
        low, high = np.percentile(rock, [16, 84])
        assert low < np.median(debris) < high
    third = {k: overpass.coarser((zone == k) * 1.0, 3) == 1.0 for k in (truth.ROCK, truth.DEBRIS, truth.GLACIER)}
    landsat = items["landsat-c2-l2"][0]
    kelvin = read(region, landsat, "lwir11") * 0.00341802 + 149.0
    lit = read(region, landsat, "qa_pixel") == 21824
    warm = {k: np.median(kelvin[mask & (lit | (k == truth.GLACIER))]) for k, mask in third.items()}
    assert warm[truth.GLACIER] + 4.0 < warm[truth.DEBRIS] < warm[truth.ROCK] - 4.0
    vv = read(region, items["sentinel-1-rtc"][0], "vv")
    assert vv[zone == truth.DEBRIS].mean() > 1.4 * vv[zone == truth.ROCK].mean()


def test_spectra_follow_the_table(region, items):
    # Medians of lit pixels follow the rows; relief, snow share and mixing leave a quarter.
    zones = layer(region, "zones.tif")
    item = clearest(items)[0]
    clear = read(region, item, "SCL")
    for kind, row, tolerance in ((truth.ROCK, spectra.ROCK, 0.25), (truth.OCEAN, spectra.SEA, 0.25)):
        mask = coarse(zones[0] == kind) & (clear == (5 if kind == truth.ROCK else 6))
        for b, band in enumerate(optical.SENTINEL2[:4]):
            value = overpass.coarser(reflectance(region, item, band.key), 2)[mask]
            assert np.median(value) == pytest.approx(spectra.SURFACES[row].sentinel2[b], rel=tolerance)


POINTS = {
    "sentinel2": ("Sentinel-2_SR_training_data.csv", ["B2", "B3", "B4", "B8", "B11", "B12"], 0.0),
    "landsat": ("Landsat_training_data.csv", [f"SR_B{n}" for n in range(2, 8)], 0.2),
}
CLASSES = {spectra.SNOW: 1, spectra.ICE: 3, spectra.ROCK: 4, spectra.DEBRIS: 4, spectra.LAKE: 5}
"""Rows and the class of the points that each was taken from. Class 2, snow in shadow, is no row of ours: it is snow
under the sky's light alone (SKY). Sea, melange and tundra are not among the points."""


def real_points(data, sensor):
    """Class and reflectance (a column a band, in the order of BANDS) of the human-classified points of `sensor`."""
    file, columns, off = POINTS[sensor]
    table = pd.read_csv(data / "snow_ice_points" / file)
    assert set(table["class"]) == {1, 2, 3, 4, 5}
    return table["class"].to_numpy(), table[columns].to_numpy() - off


def spread_of(values):
    """Half the range from the 16th to the 84th percentile of the logarithm, by column; NaN where there is none."""
    low, high = np.nanquantile(values, [0.16, 0.84], axis=0)
    return np.log(high / np.where(low > 0, low, np.nan)) / 2


def redrawn(values, draws=200):
    """`values` drawn again with replacement: what scatters over the draws is a standard error (bootstrap)."""
    rng = np.random.default_rng(0)
    return (rng.choice(values, len(values)) for _ in range(draws))


@pytest.mark.parametrize("sensor", POINTS)
@pytest.mark.parametrize("row", CLASSES, ids=lambda row: spectra.SURFACES[row].name)
def test_medians_are_the_real_points(data, sensor, row):
    kind, real = real_points(data, sensor)
    made = getattr(spectra.SURFACES[row], sensor)
    real = real[kind == CLASSES[row]]
    rounding = 0.5e-4 + 1e-9  # four decimals of the points' own median: no standard error is needed
    np.testing.assert_allclose(made, np.nanmedian(real, axis=0), rtol=0, atol=rounding)


@pytest.mark.parametrize("row", CLASSES, ids=lambda row: spectra.SURFACES[row].name)
def test_spreads_are_the_real_points(data, row):
    """Sentinel-2's to two decimals; lake's, past green cut to 0.6, within two standard errors of its 149 points."""
    kind, real = real_points(data, "sentinel2")
    real = real[kind == CLASSES[row]]
    allowed = np.full(6, 0.005)  # two decimals
    if row == spectra.LAKE:
        allowed[2:] = 2 * np.std([spread_of(some) for some in redrawn(real)], axis=0)[2:]
    off = np.abs(spectra.SURFACES[row].spread - spread_of(real))
    assert (off <= allowed).all(), (off, allowed)


@pytest.mark.parametrize("row", [spectra.SNOW, spectra.ICE, spectra.ROCK], ids=["snow", "ice", "rock"])
def test_landsat_spreads_no_less(data, row):
    """One spread serves both sensors, Sentinel-2's: Landsat's holds the sensor's own error too, and is no narrower.

    Some of its reflectances are below zero, which no surface has; where a sixth are, the spread has no logarithm. Its
    lake points are of other days than Sentinel-2's, and of clearer water, and say nothing here.
    """
    kind, real = real_points(data, "landsat")
    real = real[kind == CLASSES[row]]
    found = spread_of(real)
    known = np.isfinite(found)
    assert known.sum() >= 5 and ((real < 0).mean(axis=0)[~known] > 0.16).all()
    error = np.std([spread_of(some) for some in redrawn(real[:, known])], axis=0)
    assert (found[known] > np.array(spectra.SURFACES[row].spread)[known] - 2 * error).all(), (found, error)


@pytest.mark.parametrize("sensor", POINTS)
def test_real_snow_in_shadow_is_snow_under_the_sky(data, sensor):
    """From blue to near infrared it keeps ever less of sunlit snow, as SKY says, and never less than SKY leaves."""
    kind, real = real_points(data, sensor)
    kept = np.median(real[kind == 2], axis=0)[:4] / np.array(getattr(spectra.SURFACES[spectra.SNOW], sensor))[:4]
    assert (np.diff(kept) < 0).all() and (np.diff(spectra.SKY[:4]) < 0).all()
    assert (kept > spectra.SKY[:4]).all() and (kept < 1).all()  # much of it is half in the light


def test_composite_sees_nearly_all(region, items):
    for k in range(len(synthetic.DATES)):
        group = [i for i in items["sentinel-2-l2a"] if index_of(i) == k]
        seen = [~np.isin(read(region, i, "SCL"), (0, 1, 3, 8, 9, 10)) for i in group]
        assert len(group) == 3
        assert np.any(seen, axis=0).mean() > 0.99
        assert max(s.mean() for s in seen) > 0.85
    covers = [i["properties"]["eo:cloud_cover"] for i in items["sentinel-2-l2a"]]
    assert max(covers) > 20.0
    assert min(covers) < 6.0


def test_cloud_shadow_lies_away_from_the_sun(region, items):
    item = max(items["sentinel-2-l2a"], key=lambda i: i["properties"]["s2:cloud_shadow_percentage"])
    classes = read(region, item, "SCL")
    cloud, shade = (classes >= 8).astype(float) * (classes <= 9), (classes == 3).astype(float)
    azimuth = np.radians(item["properties"]["s2:mean_solar_azimuth"])
    away = 1800.0 / np.tan(np.radians(90.0 - item["properties"]["s2:mean_solar_zenith"])) / 20.0
    score = []
    for turn in range(0, 360, 45):
        angle = azimuth + np.pi + np.radians(turn)
        moved = ndimage.shift(cloud, (-away * np.cos(angle), away * np.sin(angle)), order=0)
        score.append((moved * shade).sum())
    assert np.argmax(score) == 0
    assert 90 < item["properties"]["s2:mean_solar_azimuth"] < 270


def test_qa_pixel_bits(region, items):
    zones = layer(region, "zones.tif")
    for item in items["landsat-c2-l2"]:
        quality = read(region, item, "qa_pixel")
        cloud, shade, snow, clear, water = (quality >> bit & 1 for bit in (3, 4, 5, 6, 7))
        assert cloud.any()
        assert shade.any()
        assert not (clear & (cloud | (quality >> 1 & 1))).any()
        assert set(np.unique(quality)) <= {22280, 21762, 54596, 23888, 30048, 21952, 21824}
        zone = zones[index_of(item)]
        ice = overpass.coarser((zone == truth.GLACIER) * 1.0, 3) == 1.0
        sea = overpass.coarser((zone == truth.OCEAN) * 1.0, 3) == 1.0
        seen = clear.astype(bool) & (shade == 0)
        assert snow[ice & seen].mean() > 0.99
        assert water[sea & seen].mean() > 0.99


def test_cast_shadow_by_geometry():
    # A wall 100 m high and a sun 45 degrees up in the south: 100 m of shadow to the north of it, none to the south.
    surface = np.zeros((60, 20))
    surface[30] = 100.0
    dark = spectra.shadow(surface, 10.0, 180.0, 45.0)
    assert dark[21:30].all()
    assert not dark[:19].any()
    assert not dark[31:].any()
    turned = spectra.shadow(np.ascontiguousarray(surface.T), 10.0, 90.0, 45.0)  # sun in the east: shadow to the west
    np.testing.assert_array_equal(turned.T, dark)


def test_sun_of_known_days():
    # Upper culmination: 90 - latitude + declination; 23.45 at the solstice, 0 at the equinox.
    assert spectra.sun(0.0, 66.0, np.datetime64("2021-06-21T12:00"))[1] == pytest.approx(90 - 66 + 23.45, abs=0.1)
    assert spectra.sun(-30.0, 50.0, np.datetime64("2021-03-21T14:00"))[1] == pytest.approx(40.0, abs=0.6)
    morning, evening = (spectra.sun(0.0, 60.0, np.datetime64(f"2021-08-20T{h}:00")) for h in ("08", "16"))
    assert morning[0] == pytest.approx(360.0 - evening[0], abs=0.5)


def test_speckle_has_its_looks(region, items):
    rng = np.random.default_rng(3)
    flat = radar.speckle(rng, np.full((500, 500), 0.1), 4.4)
    assert flat.mean() == pytest.approx(0.1, rel=0.01)
    assert (flat.mean() / flat.std()) ** 2 == pytest.approx(4.4, rel=0.03)
    for item in items["sentinel-1-rtc"]:
        vv, vh = read(region, item, "vv"), read(region, item, "vh")
        assert vv.dtype == np.float32
        assert vv.min() > 0.0
        assert np.median(vh) < np.median(vv)


def test_grd_is_placed_by_tie_points(region, items):
    for item in items["sentinel-1-grd"]:
        with rasterio.open(region / "items" / "sentinel-1-grd" / item["assets"]["hh"]["href"]) as file:
            points, crs = file.gcps
            assert crs.to_epsg() == 4326
            assert len(points) == 81
            west, south, east, north = item["bbox"]
            assert all(west - 1e-3 <= p.x <= east + 1e-3 and south - 1e-3 <= p.y <= north + 1e-3 for p in points)
            sigma = (file.read(1) / 600.0) ** 2
        assert 0.01 < np.median(sigma) < 0.3


def test_elevation_models_differ_by_the_change(region, items):
    first, last = sorted(items["cop-dem-glo-30"], key=lambda i: i["properties"]["datetime"])
    assert first["properties"]["datetime"][:4] == "2017"
    assert last["properties"]["datetime"][:4] == "2025"
    change = read(region, last, "data") - read(region, first, "data")
    with rasterio.open(region / "truth" / "dh_dt.tif") as file:
        known, place, crs = file.read(1), file.transform, file.crs
    with rasterio.open(region / "items" / "cop-dem-glo-30" / first["assets"]["data"]["href"]) as file:
        there = np.full(file.shape, np.nan, "float32")
        onto = {"dst_transform": file.transform, "dst_crs": file.crs, "dst_nodata": np.nan}
    rasterio.warp.reproject(known, there, src_transform=place, src_crs=crs, resampling=5, **onto)  # averages
    off = change - 8.0 * there
    off = off[np.isfinite(off)]
    assert np.median(off) == pytest.approx(0.0, abs=0.05)
    assert np.std(off) == pytest.approx(np.sqrt(2.0), rel=0.1)  # two models of 1 m noise


def test_same_seed_same_bytes(tmp_path):
    first, second = (imaging.write(tmp_path / name, SEED, size=128, progress=False) for name in "ab")
    assert imaging.digest(first) == imaging.digest(second)
    facts = json.loads((first / "region.json").read_text())
    (first / "region.json").unlink()
    assert facts["sha"] == imaging.digest(first)
    assert not list(tmp_path.glob(".*"))  # nothing half-written is left


@pytest.mark.slow
def test_same_seed_same_bytes_in_two_processes(tmp_path):
    """Each starts afresh and orders its sets by another hash."""
    code = "import sys; from glacier_nb import imaging; imaging.write(sys.argv[1], {}, size=128, progress=False)"
    for name in "12":
        command = [sys.executable, "-c", code.format(SEED), tmp_path / name]
        subprocess.run(command, check=True, env=os.environ | {"PYTHONHASHSEED": name})
    assert imaging.digest(tmp_path / "1") == imaging.digest(tmp_path / "2")


def test_refuses_a_size_and_leaves_nothing(tmp_path):
    with pytest.raises(ValueError, match="size 100"):
        imaging.write(tmp_path / "region", 1, size=100)
    assert not list(tmp_path.iterdir())
