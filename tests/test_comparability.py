"""Two drawn dates that differ in one thing: it is found, by its size, and nothing else is."""

import geopandas as gpd
import numpy as np
import odc.geo.xr
import pandas as pd
import pytest
import shapely
import xarray as xr
from odc.geo.geobox import GeoBox
from scipy import ndimage

from glacier_nb import change, comparability

SIZE, PIXEL = 192, 10.0
NAMES = ["rock", "glacier", "debris cover", "lake"]
BOX = GeoBox((SIZE, SIZE), odc.geo.geom.Affine(PIXEL, 0, 500_000, 0, -PIXEL, 7_000_000), "EPSG:32633")
ROW, COLUMN = np.mgrid[:SIZE, :SIZE]
GLACIER = (np.abs(ROW - 90) < 50) & (np.abs(COLUMN - 90) < 30)  # 99 x 59 pixels
TONGUE = GLACIER & (ROW > 110)  # its lowest 29 rows


WHITE = {"red": (0.34, 0.83), "green": (0.35, 0.83), "nir": (0.25, 0.7), "swir16": (0.014, 0.018)}  # ice, new snow


def layer(values):
    return odc.geo.xr.wrap_xr(np.asarray(values, "float32"), BOX)


def texture(seed=0):
    """Ground with detail of all sizes, twice as large as the map, to be cut anywhere."""
    noise = np.random.default_rng(seed).standard_normal((2 * SIZE, 2 * SIZE))
    grain = sum(ndimage.gaussian_filter(noise, k, mode="wrap") * k for k in (1, 2, 4))
    return 0.2 + 0.05 * grain / grain.std()


def look(year, ice=GLACIER, debris=None, snow=None, sensor="sentinel-2-l2a", moved=(0.0, 0.0), names=NAMES):
    """A date: rock with texture moved by (east, south) pixels, ice, debris, snow."""
    debris = np.zeros_like(ice) if debris is None else debris
    ground = ndimage.shift(texture(), (moved[1], moved[0]), order=3, mode="wrap")[:SIZE, :SIZE]
    bands = {"red": ground, "green": ground, "nir": 1.1 * ground, "swir16": 1.3 * ground}
    for name, (clean, new) in WHITE.items():
        bands[name] = np.where(ice & ~debris, clean, bands[name])
        bands[name] = np.where(np.zeros_like(ice) if snow is None else snow, new, bands[name])
    time = f"{year}-08-20"
    scene = xr.Dataset({name: layer(values) for name, values in bands.items()}, attrs={"time": time, "sensor": sensor})
    parts = {"rock": ~ice & ~debris, "glacier": ice & ~debris, "debris cover": debris, "lake": np.zeros_like(ice)}
    zones = xr.concat([layer(parts[name]) for name in names], pd.Index(names, name="zone"))
    return comparability.look(scene, zones.assign_attrs(time=time, system="drawn"))


def outline(*years_and_masks):
    rows = []
    for year, mask in years_and_masks:
        rows_, columns = np.nonzero(mask)
        west, north = 500_000 + columns.min() * PIXEL, 7_000_000 - rows_.min() * PIXEL
        east, south = 500_000 + (columns.max() + 1) * PIXEL, 7_000_000 - (rows_.max() + 1) * PIXEL
        rows.append(("a", pd.Timestamp(f"{year}-08-20"), shapely.box(west, south, east, north)))
    return gpd.GeoDataFrame(rows, columns=["rgi_id", "time", "geometry"], crs=32633)


def compare(looks, frame, known=None, **options):
    found = comparability.flagged(change.area(frame, **options), looks, frame, known)
    return found[(found.rgi_id == "a") & (found.time != found.since)].iloc[-1]


SAME = outline((2000, GLACIER), (2010, GLACIER))


def test_the_same_twice_differs_in_nothing():
    looks = [look(2000), look(2010)]
    row = compare(looks, SAME)
    names = ["snow_difference", "debris_difference", "sensor_difference", "shift_m", "shift_px", "debris_m2"]
    assert (row[names] == 0).all() and row.resolution_ratio == 1 and row.caution == ""
    assert (looks[0].surface.values == comparability.ICE).sum() == GLACIER.sum()


def test_fresh_snow_is_flagged_on_the_date_that_has_it():
    snow = (ROW < 60) & ~GLACIER
    away = ndimage.distance_transform_edt(~GLACIER) * PIXEL
    around = (away <= comparability.RING) & ~GLACIER
    share = (snow & around).sum() / around.sum()
    row = compare([look(2000), look(2010, snow=snow)], SAME)
    assert row.snow_difference == pytest.approx(share, abs=1e-6) and share > 0.05
    assert f"snow (or an advance) on {share:.0%} of the ground around it, 0% at 2000-08-20" in row.caution
    back = compare([look(2000, snow=snow), look(2010)], SAME)
    assert back.snow_difference == pytest.approx(-share) and "snow" in back.caution


def test_snow_that_a_map_takes_for_ice_is_snow():
    """An index calls all snow ice: the glacier seems to grow, and what grew is told to be snow."""
    snow = (ROW < 60) & ~GLACIER
    row = compare([look(2000), look(2010, ice=GLACIER | snow, snow=snow)], SAME)
    assert row.snow_difference > 0.05 and "snow" in row.caution
    seen_in_shade = compare([look(2000), look(2010, ice=GLACIER | snow)], SAME)  # no brighter than ice
    assert seen_in_shade.snow_difference == pytest.approx(row.snow_difference)


def test_ice_that_melted_was_no_snow():
    """Bare ice of the first date where the second has rock: a loss, and no flag."""
    less = GLACIER & ~TONGUE
    row = compare([look(2000), look(2010, ice=less)], outline((2000, GLACIER), (2010, less)))
    assert row.snow_difference == 0 and row.caution == "" and row.change_m2 == -TONGUE.sum() * PIXEL**2


def test_debris_that_spreads_is_flagged_and_explains_the_loss():
    """Clean ice, then debris that the system still knows, then lost to it: all of the loss is debris growth."""
    less = GLACIER & ~TONGUE
    frame = outline((2000, GLACIER), (2005, GLACIER), (2010, less))
    looks = [look(2000), look(2005, debris=TONGUE), look(2010, ice=less)]
    row = compare(looks, frame)
    assert row.debris_m2 == row.change_m2 == -TONGUE.sum() * PIXEL**2
    middle = comparability.flagged(change.area(frame), looks, frame).query("rgi_id == 'a'").iloc[1]
    assert middle.debris_difference == pytest.approx(TONGUE.sum() / GLACIER.sum())
    assert "debris on 29% of the ice, 0% at 2000-08-20" in middle.caution and middle.debris_m2 == 0
    back = comparability.flagged(change.area(frame, since="2010-08-20"), looks, frame).query("rgi_id == 'a'").iloc[0]
    assert back.debris_m2 == -row.debris_m2 == back.change_m2
    never = compare([look(2000), look(2005), look(2010, ice=less)], frame)
    assert never.debris_m2 == 0  # plain loss


def test_a_system_without_debris_is_explained_by_one_that_knows_it():
    less, bare = GLACIER & ~TONGUE, ["rock", "glacier"]
    blind = [look(2000, names=bare), look(2010, ice=less, names=bare)]
    knows = [look(2000), look(2010, debris=TONGUE)]
    frame = outline((2000, GLACIER), (2010, less))
    assert compare(blind, frame, knows).debris_m2 == -TONGUE.sum() * PIXEL**2
    alone = compare(blind, frame)
    assert np.isnan(alone.debris_m2) and np.isnan(alone.debris_difference) and alone.caution == ""


@pytest.mark.parametrize("moved", [(0.0, 0.0), (0.3, 0.0), (-0.45, 0.7), (1.25, -2.6)])
def test_a_shift_of_images_is_found_below_the_pixel(moved):
    found = comparability.shift(look(2000), look(2010, moved=moved))
    # a twentieth of a pixel is asked for, and the scene is cut into 255 grey values
    assert [found.east, found.north] == pytest.approx([moved[0] * PIXEL, -moved[1] * PIXEL], abs=0.1 * PIXEL)
    row = compare([look(2000), look(2010, moved=moved)], SAME)
    assert ("images" in row.caution) == (np.hypot(*moved) > 0.5)
    assert row.shift_px == pytest.approx(np.hypot(*moved), abs=0.1)


def test_another_sensor_and_its_pixels_are_told():
    row = compare([look(2000, sensor="landsat-c2-l2"), look(2010)], SAME)
    assert row.sensor_difference == 1 and row.resolution_ratio == 3
    assert row.caution == "sentinel-2-l2a against landsat-c2-l2; pixels of 10 m against 30 m"


def test_a_date_without_a_look_is_unknown():
    row = compare([look(2000)], SAME)
    assert np.isnan(row.snow_difference) and row.caution == ""
    region = comparability.flagged(change.area(SAME), [look(2000), look(2010)], SAME).query("rgi_id == 'region'")
    assert (region.snow_difference == 0).all()


def test_each_limit_has_a_reason_and_words_that_read():
    row = compare([look(2000), look(2010)], SAME)
    for limit in comparability.LIMITS:
        assert limit.column in row.index and len(limit.reason) > 20 and "{" in limit.words


def test_unseen_pixels_count_nowhere():
    one, two = look(2000), look(2010, snow=(ROW < 60) & ~GLACIER)
    hidden = two.assign(surface=two.surface.where(ROW >= 60, comparability.UNSEEN).astype("uint8"))
    assert compare([one, hidden], SAME).snow_difference == 0


def test_looks_are_met_whatever_zone_a_date_is_told_in_and_numbers_name_glaciers_too():
    looks = [look(2000, sensor="landsat-c2-l2"), look(2010)]
    for one in looks:
        one.attrs["time"] += "T00:00:00Z"
    row = comparability.flagged(change.area(SAME), looks, SAME).query("rgi_id == 'a' and time != since").iloc[0]
    assert row.sensor_difference == 1 and "landsat-c2-l2" in row.caution
    seventh = change.area(SAME).replace({"rgi_id": {"a": 7}})
    assert comparability.flagged(seventh, looks, SAME.assign(rgi_id=7)).snow_difference.notna().all()
    with pytest.raises(ValueError, match="looks on several grids"):
        comparability.flagged(change.area(SAME), [looks[0], looks[1].isel(y=slice(0, 50))], SAME)
