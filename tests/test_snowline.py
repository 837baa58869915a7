"""Snowlines drawn at a known altitude, and those of the synthetic landscape."""

import geopandas as gpd
import numpy as np
import odc.geo.xr
import pandas as pd
import pytest
import rasterio
import shapely
import xarray as xr
from odc.geo.geobox import GeoBox

from glacier_nb import demo, snowline, synthetic, vectorize

SIZE = 200
BOX = GeoBox((SIZE, SIZE), odc.geo.geom.Affine(10, 0, 500_000, 0, -10, 7_000_000), "EPSG:32633")
OUTLINES = gpd.GeoDataFrame({"rgi_id": ["low", "high"]}, crs=32633, geometry=[
    shapely.box(500_000, 6_998_000, 501_000, 7_000_000), shapely.box(501_000, 6_998_000, 502_000, 7_000_000)
])  # fmt: skip


def scene(line, ramp=(1000.0, 1400.0), ice=0.3, snow=0.7, seed=0):
    """Two glaciers side by side on an even slope, snow above `line` (m; one each)."""
    rng = np.random.default_rng(seed)
    height = np.broadcast_to(np.linspace(ramp[1], ramp[0], SIZE)[:, None], (SIZE, SIZE))
    limit = np.repeat(np.broadcast_to(line, 2), SIZE // 2)[None]
    near = np.where(height > limit, snow, ice) * np.exp(rng.normal(0, 0.1, height.shape))
    made = {"nir": odc.geo.xr.wrap_xr(near.astype("float32"), BOX)}
    return xr.Dataset(made, attrs={"time": "2020-08-20"}), odc.geo.xr.wrap_xr(height.astype("float32"), BOX)


@pytest.mark.parametrize("line", [1100.0, 1187.0, 1290.0])
def test_a_drawn_snowline_is_found(line):
    ground, height = scene((line, 1250.0))
    table = snowline.altitudes(ground, OUTLINES, height)
    # the line lies inside a band: linear between bands is at most half a band off
    assert table.snowline_m[0] == pytest.approx(line, abs=snowline.BAND / 2)
    assert table.snowline_m[1] == pytest.approx(1250, abs=snowline.BAND / 2)
    # an even slope: the share above the line; one pixel in a hundred is misread
    assert table.accumulation_ratio.tolist() == pytest.approx([(1400 - line) / 400, 150 / 400], abs=0.01)
    assert (table.note == "").all() and table.time.dt.year.eq(2020).all()


@pytest.mark.parametrize(("lines", "note", "ratio"), [
    ((1200.0, 900.0), "snow down to the foot", 1.0), ((1200.0, 1500.0), "bare to the top", 0.0),
    ((1200.0, 1370.0), "no 5 bands of 20 m under snow, one above the other", 30 / 400),
])  # fmt: skip
def test_no_transition_on_one_glacier_is_told(lines, note, ratio):
    ground = scene(lines)
    table = snowline.altitudes(ground[0], OUTLINES, ground[1])
    assert np.isnan(table.snowline_m[1]) and table.note[1] == note
    assert table.accumulation_ratio[1] == pytest.approx(ratio, abs=0.01) and np.isfinite(table.snowline_m[0])


@pytest.mark.parametrize("line", [900.0, 1500.0])
def test_a_scene_of_one_surface_has_no_snowline(line):
    ground = scene(line)
    table = snowline.altitudes(ground[0], OUTLINES, ground[1])
    assert table[["snowline_m", "accumulation_ratio"]].isna().all(axis=None)
    assert table.note.str.startswith("no transition").all()


def test_debris_is_bare_and_clouds_are_unknown():
    ground, height = scene(1200.0)
    rows = np.arange(SIZE)[:, None] >= 150
    rubble = ground.assign(nir=ground.nir.where(~rows, 0.17))
    debris = xr.zeros_like(height, dtype=bool) | rows
    table = snowline.altitudes(rubble, OUTLINES, height, debris)
    assert table.snowline_m.tolist() == pytest.approx([1200, 1200], abs=10)
    assert table.accumulation_ratio.tolist() == pytest.approx([0.5, 0.5], abs=0.01)
    cloudy = ground.assign(nir=ground.nir.where(np.arange(SIZE)[None] > 60))  # three fifths of the one in the west
    table = snowline.altitudes(cloudy, OUTLINES, height)
    assert table.note.tolist() == ["only 39% seen", ""] and np.isnan(table.accumulation_ratio[0])


def test_refusals_name_what_is_missing():
    ground, height = scene(1200.0)
    with pytest.raises(LookupError, match="no band nir among"):
        snowline.altitudes(ground.rename(nir="red"), OUTLINES, height)
    with pytest.raises(ValueError, match="one GeoBox"):
        snowline.altitudes(ground, OUTLINES, height[:50])
    with pytest.raises(ValueError, match="one GeoBox"):
        snowline.altitudes(ground, OUTLINES, height[::-1])


def test_outlines_whose_rows_have_one_number_are_one_row_each():
    ground, height = scene(1200.0)
    found = snowline.altitudes(ground, OUTLINES.set_index(np.zeros(2, int)), height)
    assert found.rgi_id.tolist() == ["low", "high"] and found.snowline_m.notna().all()


def test_snow_and_ice_that_people_told_apart_are_told_apart(data):
    """Sentinel-2 pixels of four North American glaciers in 2021: threshold by site, as for a scene's glaciers."""
    points = pd.read_csv(data / "snow_ice_points" / "Sentinel-2_SR_training_data.csv")
    shares = []
    for _, site in points.groupby("site_name"):
        snow, ice = (site.B8[site["class"] == kind].to_numpy() for kind in (1, 3))
        level = snowline.threshold(np.r_[snow, ice])
        shares.append(((snow > level).mean() + (ice <= level).mean()) / 2)
        assert np.isnan(snowline.threshold(ice)) and np.isnan(snowline.threshold(snow))
    assert len(shares) == 4 and min(shares) > 0.9  # what Rastner et al. 2019 report: about 90 %


def test_the_landscape_s_snowline_year_by_year(region):
    """A Sentinel-2 scene of each date, the clearest; the passes' snow follows a line known by date, moved by slope."""
    dates = ("20170821", "20190822", "20210820", "20230823", "20250821")
    truth = synthetic.ELA + np.linspace(120.0, 330.0, len(dates))
    outlines = demo.truth("outlines", 7)
    found = []
    with rasterio.open(region / "truth" / "zones.tif") as zones, rasterio.open(region / "truth" / "surface.tif") as top:
        geobox, kinds, heights = GeoBox.from_rio(zones), zones.read(), top.read()
    for number, (date, time) in enumerate(zip(dates, sorted(outlines.time.unique()), strict=True)):
        (path,) = (region / "data").glob(f"*{date}*_B08_10m.tif")
        with rasterio.open(path) as file:
            offset = 0.1 if number >= 3 else 0.0  # baseline 04.00 and later
            near = odc.geo.xr.wrap_xr((file.read(1) / 10_000 - offset).astype("float32"), geobox)
        mine = outlines[(outlines.time == time) & (outlines.area_m2 > 3e6)].reset_index(drop=True)
        debris = odc.geo.xr.wrap_xr(kinds[number] == vectorize.ZONES.index("debris cover"), geobox)
        height = odc.geo.xr.wrap_xr(heights[number], geobox)
        table = snowline.altitudes(xr.Dataset({"nir": near}), mine, height, debris)
        found.append(table.snowline_m.median())
    # the line moves by 120 m times the slope less 0.15, and by unit noise of 60 m along the glacier
    assert np.abs(np.array(found) - truth).max() < 40
    assert (np.diff(found) > 0).all()
