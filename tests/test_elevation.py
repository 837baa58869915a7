"""Elevation change: exact where all is known, the same backwards, intervals that hold, and real models laid right."""

import functools

import dask.array as da
import geopandas as gpd
import holoviews as hv
import numpy as np
import odc.geo.xr
import pandas as pd
import pytest
import rioxarray
import scenery
import scipy.stats
import shapely
import xarray as xr
from bokeh.models import ColorMapper
from odc.geo.geobox import GeoBox
from scipy import ndimage

from glacier_nb import (
    basins,
    demo,
    dems,
    elevation,
    load,
    outliers,
    plots,
    regions,
    search,
    thinning,
    variograms,
    voids,
)

PIXEL = 30.0
GRID = GeoBox.from_bbox((500_000, 7_000_000, 509_000, 7_006_000), "EPSG:32633", resolution=PIXEL, tight=True)
SHAPE = GRID.shape
EAST, NORTH = np.meshgrid((np.arange(SHAPE[1]) + 0.5) * PIXEL, (SHAPE[0] - np.arange(SHAPE[0]) - 0.5) * PIXEL)


def relief(east, north):
    return 200 + 0.12 * east + 90 * np.sin(east / 700) * np.cos(north / 600) + 25 * np.sin(north / 190 + east / 260)


RELIEF = relief(EAST, NORTH)
DRAWS = 20
STABLE = variograms.Correlation((90.0, 600.0), (1.0, 0.5))
"""What errors have in common where a test does not measure it."""


def outlines(*rows, time=""):
    """Rows of (rgi_id, west, south, east, north), m from the grid's corner."""
    shapes = [shapely.box(500_000 + w, 7_000_000 + s, 500_000 + e, 7_000_000 + n) for _, w, s, e, n in rows]
    frame = gpd.GeoDataFrame({"rgi_id": [row[0] for row in rows]}, geometry=shapes, crs="EPSG:32633")
    return frame.assign(time=pd.Timestamp(time)) if time else frame


BEFORE = outlines(("a", 1200, 900, 6000, 2400), ("b", 1500, 3600, 4800, 4800), ("c", 6600, 3600, 7500, 4500))
AFTER = outlines(("a", 1800, 900, 6000, 2400), ("b", 1500, 3600, 4800, 4800))
ICE = [(1200, 900, 6000, 2400), (1500, 3600, 4800, 4800), (6600, 3600, 7500, 4500)]


def dem(values, time, **attrs):
    layer = odc.geo.xr.wrap_xr(np.asarray(values, dtype="float32"), GRID)
    return layer.assign_attrs(units="m", time=time, **attrs)


def within(west, south, east, north):
    return (west < EAST) & (east > EAST) & (south < NORTH) & (north > NORTH)


def thinned():
    """Change (m) of the ice: the lower the more; nothing off it."""
    change = np.zeros(SHAPE)
    for place in ICE:
        change[within(*place)] = -30 + 0.02 * RELIEF[within(*place)]
    return change


def noise(seed, sigma=1.0, reach=4.0):
    rng = np.random.default_rng(seed)
    long = ndimage.gaussian_filter(rng.standard_normal(SHAPE), reach, mode="wrap")
    return sigma * (long / long.std() + rng.standard_normal(SHAPE)) / np.sqrt(2)


def pair(seed=None, hidden=False, chunks=None, order=1):
    """The landscape on two dates, with errors by `seed` and, if `hidden`, voids in both."""
    one, two = RELIEF.copy(), RELIEF + thinned()
    if seed is not None:
        one, two = one + noise(seed), two + noise(seed + 10_000)
    if hidden:
        two[within(2400, 1200, 3600, 2100)] = np.nan
        one[within(*ICE[2])] = np.nan
    dems = [dem(one, "2005-08-20"), dem(two, "2015-08-20")][::order]
    if chunks:
        dems = [layer.chunk(y=chunks, x=chunks) for layer in dems]
    return elevation.difference(*dems, *[BEFORE, AFTER][::order])


TRUE = {name: float(thinned()[within(*place)].sum() * PIXEL**2) for name, place in zip("abc", ICE, strict=True)}
TRUE["region"] = sum(TRUE.values())


def test_volume_is_exact_where_all_is_known():
    table = elevation.change(pair(), correlation=STABLE).set_index("rgi_id")
    # float32 heights of 1000 m are good to 6e-5 m
    room = 1e-4 * pair().glacier.size * PIXEL**2
    assert (table.volume_m3 - pd.Series(TRUE)).abs().max() < room
    years = (pd.Timestamp("2015-08-20") - pd.Timestamp("2005-08-20")).days / 365.25
    mean_area = (4800 * 1500 + 4200 * 1500) / 2
    assert table.area_m2["a"] == pytest.approx(mean_area, rel=1e-9)
    assert table.dh_dt_m_a["a"] == pytest.approx(TRUE["a"] / mean_area / years, rel=1e-4)
    assert table.mass_balance_m_we_a["a"] == pytest.approx(0.85 * table.dh_dt_m_a["a"], rel=1e-9)
    assert table.mass_gt_a["region"] == pytest.approx(TRUE["region"] * 850 / 1e12 / years, rel=1e-4)
    assert (table.void_percent == 0).all()


@pytest.mark.parametrize("fill", [row.name for row in voids.FILLS])
def test_backwards_is_the_opposite(fill):
    there = elevation.change(outliers.screen(pair(1, hidden=True)), fill, correlation=STABLE).set_index("rgi_id")
    back = elevation.change(outliers.screen(pair(1, hidden=True, order=-1)), fill, correlation=STABLE)
    back = back.set_index("rgi_id")
    exact = {"rtol": 1e-9, "check_names": False}
    pd.testing.assert_series_equal(there.volume_m3, -back.volume_m3, **exact)
    pd.testing.assert_series_equal(there.volume_lower_m3, -back.volume_upper_m3, **exact)
    pd.testing.assert_series_equal(there.dh_dt_m_a, back.dh_dt_m_a, **exact)
    pd.testing.assert_series_equal(there.fixed_first_percent, back.fixed_second_percent, **exact)


def test_density_and_its_uncertainty_by_hand():
    """Ten metres in ten years at 850 +- 60 kg m-3 (Huss 2013): -0.85 m w.e. a-1, 0.06 of it (one standard deviation)
    from the density alone, which all ice shares; what the volume may be off adds in squares, times 850."""
    lowered = np.where(np.any([within(*place) for place in ICE], axis=0), -10.0, 0.0)
    flat = elevation.difference(dem(RELIEF, "2005-08-20"), dem(RELIEF + lowered, "2015-08-20"), BEFORE, BEFORE)
    exact, known = (elevation.change(flat, correlation=STABLE, density=(850.0, sd)) for sd in (0.0, 60.0))
    years, z = 3652 / 365.25, scipy.stats.norm.ppf(0.95)
    volume = -10.0 * exact.area_first_m2.to_numpy()
    assert exact.volume_m3.to_numpy() == pytest.approx(volume, rel=1e-6)
    assert known.mass_balance_m_we_a.to_numpy() == pytest.approx(-10 * 0.85 / years)
    assert known.mass_gt_a.to_numpy() == pytest.approx(volume * 850 / 1e12 / years, rel=1e-6)
    part = {}
    for name in ("mass_balance{}_m_we_a", "mass{}_gt_a"):
        all_, bare = ((table[name.format("_upper")] - table[name.format("_lower")]) / 2 for table in (known, exact))
        part[name] = np.sqrt(all_**2 - bare**2).to_numpy()
    balance, mass = part.values()
    assert balance == pytest.approx(z * 10 * 0.06 / years, rel=1e-6)
    assert mass == pytest.approx(z * np.abs(volume) * 60 / 1e12 / years, rel=1e-6)
    assert mass[-1] == pytest.approx(mass[:-1].sum())  # one density: many glaciers do not average it out
    sure = exact.mass_balance_upper_m_we_a - exact.mass_balance_lower_m_we_a  # as the elevation is, but for the density
    assert sure.to_numpy() == pytest.approx(0.85 * (exact.dh_dt_upper_m_a - exact.dh_dt_lower_m_a).to_numpy())


def test_a_fixed_area_is_told():
    table = elevation.change(pair(), correlation=STABLE).set_index("rgi_id")
    first, second = 4800 * 1500, 4200 * 1500
    # all of the volume over the greater area; the gone tongue's volume missing from the lesser one
    assert table.fixed_first_percent["a"] == pytest.approx(100 * ((first + second) / 2 / first - 1))
    left = thinned()[within(1800, 900, 6000, 2400)].sum() * PIXEL**2
    assert table.fixed_second_percent["a"] == pytest.approx(
        100 * (left / second * (first + second) / 2 / TRUE["a"] - 1), abs=0.01
    )
    assert table.fixed_first_percent["b"] == pytest.approx(0, abs=1e-9)
    assert np.isnan(table.fixed_second_percent["c"])  # gone: nothing to divide by


def test_intervals_hold_the_truth_with_errors_that_neighbours_share():
    held, off, said = [], [], []
    for seed in range(DRAWS):
        table = elevation.change(pair(seed, hidden=True)).set_index("rgi_id")
        held.append((table.volume_lower_m3 <= pd.Series(TRUE)) & (table.volume_upper_m3 >= pd.Series(TRUE)))
        clean = elevation.change(pair(seed)).set_index("rgi_id")
        off.append(clean.volume_m3["b"] - TRUE["b"])
        model = variograms.Correlation(tuple(clean.attrs["ranges_m"]), (clean.attrs["sigma_m"] ** 2, 0.0))
        assert model.sigma == pytest.approx(np.sqrt(2), rel=0.1)  # two models of 1 m each
        said.append((clean.volume_upper_m3["b"] - clean.volume_lower_m3["b"]) / 2)
    held = pd.concat(held, axis=1).mean(axis=1)
    assert (held >= scipy.stats.binom.ppf(0.001, DRAWS, 0.9) / DRAWS).all(), held
    # the errors' real spread, which 20 draws know to a sixth, counts 1.64 times; beside it half a pixel along 9 km of
    # margin where 22 m are gone at most
    spread, margin = 1.64 * np.std(off), 9000 * PIXEL / 2 * 22
    assert spread / 1.5 < np.mean(said) < np.hypot(1.5 * spread, margin)


def test_voids_are_counted_and_filled_from_their_elevation():
    hidden = pair(hidden=True)
    table = elevation.change(hidden, correlation=STABLE).set_index("rgi_id")
    gone = 1200 * 900 / (4800 * 1500) * 100
    assert table.void_percent["a"] == pytest.approx(gone) and table.void_percent["c"] == 100
    # in a band of 50 m this change spans 1 m, about a middle that the fill takes
    assert abs(table.volume_m3["a"] - TRUE["a"]) < 0.5 * 1200 * 900
    # wholly hidden and higher than any other ice: a guess, and told as one
    assert table.volume_lower_m3["c"] < TRUE["c"] < table.volume_upper_m3["c"]
    tongue = pair()  # half of its width hidden: the other half tells of those elevations, the rest of the glacier not
    tongue["dh"] = tongue.dh.where(~within(1200, 900, 2700, 1650))
    off = {row.name: abs(elevation.change(tongue, row.name, correlation=STABLE).volume_m3[0] - TRUE["a"])
           for row in voids.FILLS}  # fmt: skip
    assert max(off["hypsometric"], off["regional"], off["local"]) < 0.5 * 1500 * 750 < off["mean"]
    whole = elevation.change(pair(), correlation=STABLE).set_index("rgi_id")
    assert table.volume_upper_m3["c"] - table.volume_m3["c"] > whole.volume_upper_m3["c"] - whole.volume_m3["c"]
    bands = voids.hypsometry(hidden)
    assert bands.n.sum() == (hidden.glacier >= 0).sum() and bands.total.sum() * PIXEL**2 == pytest.approx(
        table.volume_m3["region"]
    )
    with pytest.raises(LookupError, match="hypsometric, regional, local, mean"):
        elevation.change(hidden, "kriging")


NUMBERS = ["dh_m", "volume_m3", "volume_lower_m3", "dh_dt_upper_m_a", "mass_balance_m_we_a", "mass_gt_a"]


@pytest.mark.parametrize("fill", [row.name for row in voids.FILLS])
def test_nothing_measured_is_no_number(fill):
    blank = pair()
    table = elevation.change(blank.assign(dh=blank.dh.where(blank.stable)), fill, correlation=STABLE)
    assert table[NUMBERS].isna().all(axis=None) and (table.void_percent == 100).all()
    area = pair().area.mean("epoch").sum().item()
    assert table.area_m2.iloc[-1] == pytest.approx(area)
    (note,) = table.attrs["notes"]
    assert f"{area / 1e6:.3f} of {area / 1e6:.3f} km² have no number" in note and "a, b, c" in note


def test_the_region_is_of_the_glaciers_that_have_a_number():
    """An outline between two pixels' middles holds none: it has no number, and takes nothing from the others' sums."""
    thin = ("thin", 8100 + 16, 900, 8100 + 29, 2400)
    extra = [pd.concat([side, outlines(thin)], ignore_index=True) for side in (BEFORE, AFTER)]
    dems = dem(RELIEF, "2005-08-20"), dem(RELIEF + thinned(), "2015-08-20")
    with_, plain = (elevation.difference(*dems, *sides) for sides in (extra, (BEFORE, AFTER)))
    with_["stable"] = plain.stable
    with_, plain = (elevation.change(one, correlation=STABLE) for one in (with_, plain))
    assert with_.loc[with_.rgi_id == "thin", NUMBERS].isna().all(axis=None)
    assert with_.set_index("rgi_id").void_percent["thin"] == 100
    pd.testing.assert_frame_equal(with_[with_.rgi_id != "thin"].reset_index(drop=True), plain, rtol=1e-12)
    (note,) = with_.attrs["notes"]
    assert f"{13 * 1500 / 1e6:.3f} of " in note and "thin" in note and not plain.attrs["notes"]


def test_ground_that_two_glaciers_claim_counts_once():
    """A metre off everywhere is a metre off each, whichever outlines overlap, at one date or from one to the other."""
    a, b, inside = ("a", 1200, 900, 3600, 2400), ("b", 2400, 900, 4800, 2400), ("c", 1500, 1200, 2100, 1800)
    grown = ("a", 1200, 900, 4200, 2400)
    dems = dem(RELIEF, "2005-08-20"), dem(RELIEF - 1, "2015-08-20")
    for first, second, shared in (([a, b], [a, b], 1.8), ([a, b, inside], [grown, b], 2.7), ([a], [b], 0)):
        sides = outlines(*first), outlines(*second)
        found = elevation.difference(*dems, *sides)
        table = elevation.change(found, correlation=STABLE).set_index("rgi_id")
        areas = [shapely.union_all(side.geometry).area for side in sides]
        assert table.area_m2["region"] == pytest.approx(np.mean(areas), rel=1e-9)
        assert found.overlap_m2 == pytest.approx(shared * 1e6, rel=1e-9, abs=1e-3)
        notes = " ".join(table.attrs["notes"])
        assert ("lie over one another" in notes) == (shared > 0)
        for epoch, date in enumerate((1, 2)):  # areas and pixels agree, glacier by glacier
            pixels = [((found.glacier == n) & (found.dates & date > 0)).sum() * PIXEL**2 for n in range(len(table) - 1)]
            assert found.area.values[epoch] == pytest.approx(np.array(pixels), rel=1e-9)
        if first == second:
            assert table.dh_m.to_numpy() == pytest.approx(-1, abs=1e-4)  # float32 of 1000 m
            assert table.area_m2["b"] == pytest.approx(1200 * 1500)
        if inside in first:  # wholly another's: kept in the table, without a number, and named
            assert np.isnan(table.dh_m["c"]) and table.area_m2["c"] == 0 and "filled: c)" in notes


def test_lazy_blocks_give_the_same():
    memory, blocks = (outliers.screen(pair(3, hidden=True, chunks=n), ["absolute", "bands"]) for n in (None, 64))
    assert isinstance(blocks.dh.data, da.Array)
    assert memory.screened == blocks.screened
    xr.testing.assert_equal(memory.dh, blocks.dh.compute())
    xr.testing.assert_equal(memory.dates, blocks.dates.compute())
    tables = [elevation.change(one, "local", correlation=STABLE) for one in (memory, blocks)]
    pd.testing.assert_frame_equal(*tables, rtol=1e-5)  # float32 Gaussians, cut at other places
    measured = variograms.fit(variograms.variogram(blocks.dh.where(blocks.stable)), pixel=PIXEL)
    assert measured.sigma == pytest.approx(np.sqrt(2), rel=0.1)


def test_outliers_go_and_real_change_stays():
    one = pair(5)
    wild = one.dh.copy(deep=True)
    rng = np.random.default_rng(5)
    rows, columns = (rng.integers(0, n, 60) for n in SHAPE)
    wild.values[rows, columns] += 60.0
    wild.values[10, 10] = 5000.0
    kept = outliers.screen(one.assign(dh=wild))
    assert np.isnan(kept.dh.values[rows, columns]).all() and np.isnan(kept.dh.values[10, 10])
    assert np.isnan(kept.dh.values).sum() < 60 + 1 + 0.002 * wild.size  # 5 NMAD of normal errors: 6 in ten million
    before, after = (elevation.change(layer, correlation=STABLE).volume_m3.iloc[-1] for layer in (one, kept))
    assert abs(after / before - 1) < 0.005
    with pytest.raises(LookupError, match="absolute, near, bands"):
        outliers.screen(one, ["sigma"])


REFUSED = {
    "feet": (lambda two: two.assign_attrs(units="ft"), "heights in ft"),
    "another grid": (lambda two: two[1:], "two grids"),
    "degrees": (lambda two: two.odc.reproject("EPSG:4326").assign_attrs(two.attrs), "need metres"),
    "datum": (lambda two: two.assign_attrs(vertical="ellipsoid"), "above EGM2008 and above ellipsoid"),
    "no date": (lambda two: two.assign_attrs(time=None), "two dates"),
    "one day": (lambda two: two.assign_attrs(time="2005-08-20T15:00Z"), "both DEMs are of 2005-08-20: .* two days"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_compared_is_refused_in_one_line(case):
    spoil, told = REFUSED[case]
    one, two = dem(RELIEF, "2005-08-20", vertical="EGM2008"), dem(RELIEF, "2015-08-20", vertical="EGM2008")
    with pytest.raises(ValueError, match=told) as error:
        elevation.difference(one, spoil(two), BEFORE, AFTER)
    assert "\n" not in str(error.value)


def test_files_are_read_onto_the_grid_and_other_units_refused(tmp_path):
    dem(RELIEF, "2005-08-20").odc.write_cog(tmp_path / "dem.tif")
    found = elevation.read(tmp_path / "dem.tif", "2005-08-20", GRID)
    np.testing.assert_array_equal(found.values, RELIEF.astype("float32"))
    assert found.attrs["time"] == "2005-08-20" and found.odc.geobox == GRID
    with rioxarray.open_rasterio(tmp_path / "dem.tif") as source:
        source.assign_attrs(units="ft").rio.to_raster(tmp_path / "feet.tif")
    with pytest.raises(ValueError, match=r"feet\.tif: heights in ft"):
        elevation.read(tmp_path / "feet.tif", "2005-08-20", GRID)


@pytest.mark.parametrize("chunks", [None, 64])
def test_a_known_shift_is_found_and_taken_out(chunks):
    east, north, up = 17.0, -23.0, 3.2

    def mountains(x, y):  # slopes to all sides
        return 300 * np.sin(x / 900) * np.cos(y / 800) + 60 * np.sin(x / 300 + 1) * np.sin(y / 280)

    reference = dem(mountains(EAST, NORTH), "2005-08-20")
    moved = dem(mountains(EAST - east, NORTH - north) + up, "2015-08-20")
    if chunks:
        reference, moved = (layer.chunk(y=chunks, x=chunks) for layer in (reference, moved))
    laid, shift = elevation.coregister(moved, reference)
    assert abs(shift.x + east) < 0.05 * PIXEL and abs(shift.y + north) < 0.05 * PIXEL and abs(shift.z + up) < 0.1
    assert shift.nmad_after < 0.1 * shift.nmad_before
    off = (laid - reference).values
    # bilinear: an eighth of the squared pixel times the curvature each way; the rest of the shift times the slope
    bent, steep = 60 / 280**2 + 300 / 800**2, 0.6
    assert np.nanmax(np.abs(off)) < PIXEL**2 / 8 * 2 * bent + 0.05 * PIXEL * steep + 0.1
    assert np.isnan(off).mean() < 0.02


def test_too_little_stable_ground_is_told():
    one, two = dem(RELIEF, "2005-08-20"), dem(RELIEF, "2015-08-20")
    none = elevation.stable(one, outlines(("all", 0, 0, 9000, 6000)))
    assert not none.any()
    with pytest.raises(ValueError, match="needs 1000"):
        elevation.coregister(two, one, none)
    with pytest.raises(ValueError, match="widen the stable terrain"):
        elevation.change(elevation.difference(one, two, BEFORE, AFTER, ground=none))
    (note,) = elevation.change(elevation.difference(one, two, BEFORE, AFTER, none), correlation=STABLE).attrs["notes"]
    assert "no stable ground is measured" in note


def test_notes_tell_what_the_reader_must_know():
    short = elevation.difference(
        dem(RELIEF, "2012-08-20"), dem(RELIEF + 2, "2015-02-20"),
        BEFORE.assign(time=pd.Timestamp("2000-08-20")), AFTER.assign(time=pd.Timestamp("2015-08-20")),
    )  # fmt: skip
    notes = " ".join(elevation.change(short, correlation=STABLE).attrs["notes"])
    for told in ("2.5 years", "days of the year apart", "12.0 years from their DEM", "coregister"):
        assert told in notes
    assert not elevation.change(pair(), correlation=STABLE).attrs["notes"]


def test_times_count_by_their_day_in_utc():
    """A zone or an hour tells no other day: outlines and DEMs with and without them give the same."""
    plain = elevation.difference(dem(RELIEF, "2005-08-20"), dem(RELIEF, "2015-08-20"), *[
        side.assign(time=pd.Timestamp(time)) for side, time in ((BEFORE, "2003-08-20"), (AFTER, "2015-08-20"))
    ])  # fmt: skip
    zoned = elevation.difference(dem(RELIEF, "2005-08-20T10:20Z"), dem(RELIEF, "2015-08-19T22:00-05:00"), *[
        side.assign(time=pd.Timestamp(time))
        for side, time in ((BEFORE, "2003-08-20T10:20Z"), (AFTER, "2015-08-20T11:00+02:00"))
    ])  # fmt: skip
    assert plain.attrs == zoned.attrs and plain.outlines_off_days == 731  # with the leap day of 2004
    hours = [dem(RELIEF + up, time) for up, time in ((0, "2005-08-20T10:20Z"), (10, "2015-08-20T09:00"))]
    np.testing.assert_array_equal(elevation.at(hours, "2005-08-20").values, hours[0].values)


def test_outlines_nearest_to_a_date():
    both = pd.concat([BEFORE.assign(time=pd.Timestamp("2004-01-01")), AFTER.assign(time=pd.Timestamp("2016-01-01"))])
    assert len(basins.at(both, "2005-08-20")) == 3 and len(basins.at(both, "2015-08-20")) == 2
    own = BEFORE.assign(time=pd.to_datetime(["2001-01-01", "2005-01-01", "2009-01-01"]))  # an inventory: each its own
    assert len(basins.at(own, "2005-08-20")) == 3


# real models


@functools.cache
def longyearbyen(folder):
    dem = elevation.read(folder / "DEM_1995.tif", "1995-07-01")
    return dem, elevation.read(folder / "aligned_elev.tif", "2009-07-01", dem.odc.geobox)


def test_the_published_shift_of_longyearbyen(data):
    dem, aligned = longyearbyen(data / "xdem_longyearbyen_coreg")
    _, shift = elevation.coregister(dem, aligned)
    # as published, x 10.25 m, y 1.91 m, z 1.94 m (its sign: down onto the aligned one)
    assert abs(shift.x - 10.25) < 0.5 and abs(shift.y - 1.91) < 0.5 and abs(abs(shift.z) - 1.94) < 0.5
    assert shift.z < 0 and shift.nmad_after < 2.050 < shift.nmad_before < 3.417
    assert abs(shift.median_after) < 0.05


def test_nothing_changed_on_real_stable_ground(data):
    """Discs drawn where no glacier is: what is left between the two models is error, and the interval must hold 0."""
    dem, aligned = longyearbyen(data / "xdem_longyearbyen_coreg")
    laid, _ = elevation.coregister(dem, aligned)
    rng = np.random.default_rng(1)
    box = dem.odc.geobox.boundingbox
    known = ndimage.uniform_filter(np.isfinite(aligned.values).astype(float), 41)
    places = [(x, y) for x, y in zip(rng.uniform(box.left + 900, box.right - 900, 600),
                                     rng.uniform(box.bottom + 900, box.top - 900, 600), strict=True)
              if known[int((box.top - y) / 20), int((x - box.left) / 20)] > 0.99]  # fmt: skip
    discs = gpd.GeoDataFrame(
        {"rgi_id": [f"disc-{n:03d}" for n in range(len(places))]},
        geometry=[shapely.Point(*place).buffer(300) for place in places], crs="EPSG:25833",
    )  # fmt: skip
    kept = []
    for row in discs.itertuples():  # none over another
        if all(row.geometry.distance(discs.geometry[n]) > 100 for n in kept):
            kept.append(row.Index)
    discs = discs.loc[kept]
    assert len(discs) > 60
    pair = elevation.difference(aligned, laid, discs, discs)
    table = elevation.change(pair)
    single = table[table.rgi_id != "region"]
    held = ((single.volume_lower_m3 <= 0) & (single.volume_upper_m3 >= 0)).mean()
    assert held >= scipy.stats.binom.ppf(0.001, len(single), 0.9) / len(single)
    assert single.void_percent.max() < 5
    # what was changed by hand is found: 4 m off one disc
    lower = laid.where(elevation.stable(laid, discs.iloc[:1], buffer=0), laid - 4)
    found = elevation.change(elevation.difference(aligned, lower, discs, discs)).set_index("rgi_id")
    name = discs.rgi_id.iloc[0]
    was = table.set_index("rgi_id").dh_m[name]
    assert found.dh_m[name] - was == pytest.approx(-4, abs=0.05)


def test_the_demo_region_loses_what_it_truly_lost(region):
    provider = demo.provider("demo")
    place = regions.place(str(region / "region.json"))
    grid, items = regions.geobox(place, 30.0), search.scenes(place.bbox, None, "cop-dem-glo-30", provider)
    dems = [load.elevation(items, grid, day, provider).compute() for day in ("2017-08-21", "2025-08-21")]
    known = gpd.read_parquet(region / "truth" / "outlines.parquet")
    sides = [basins.at(known, layer.attrs["time"]) for layer in dems]
    dems[1], shift = elevation.coregister(dems[1], dems[0], elevation.stable(dems[0], *sides))
    assert max(abs(shift.x), abs(shift.y)) < 1.0  # made without a shift
    found = elevation.change(elevation.screen(elevation.difference(*dems, *sides))).set_index("rgi_id")
    with rioxarray.open_rasterio(region / "truth" / "surface.tif") as surface:
        ends = [surface[n].drop_vars("band").astype("float32").assign_attrs(units="m", time=layer.attrs["time"])
                for n, layer in ((0, dems[0]), (-1, dems[1]))]  # fmt: skip
    true = elevation.change(elevation.difference(*ends, *sides), correlation=STABLE).set_index("rgi_id")
    # the truth itself: the surface's fall over all that was ice at either date
    fall = ends[1].astype(float) - ends[0].astype(float)
    ice = elevation.difference(*ends, *sides).glacier >= 0
    assert true.volume_m3["region"] == pytest.approx(float(fall.where(ice).sum() * 100), rel=1e-6)
    assert found.volume_lower_m3["region"] < true.volume_m3["region"] < found.volume_upper_m3["region"]
    large = true.area_m2 > 1e6
    assert ((found.volume_lower_m3 < true.volume_m3) & (true.volume_m3 < found.volume_upper_m3))[large].all()
    assert found.volume_m3["region"] == pytest.approx(true.volume_m3["region"], rel=0.02)


# views


def test_views_hold_what_the_numbers_say():
    seen = pair(2, hidden=True)
    table, bands = elevation.change(seen, correlation=STABLE), voids.hypsometry(seen)
    view, whole = (thinning.rate(one, BEFORE, AFTER) for one in (seen, seen.assign(dh=seen.dh.fillna(0))))
    image = next(part for part in view.traverse() if type(part) is hv.Image)
    mapper = hv.render(view).select_one(ColorMapper)
    low, high = mapper.low, mapper.high
    assert low == -high and high > 0  # the middle of the palette is no change
    assert thinning.PALETTE[127] == "#f7f7f7"
    hatched = np.isnan(image.dimension_values("rate")).any()
    assert ("not measured" in scenery.key(scenery.figures(hv.render(view))[0])) == hatched
    assert hatched and "not measured" not in scenery.key(scenery.figures(hv.render(whole))[0])
    assert np.nanmin(image.dimension_values("rate")) < -1.0
    for one in (view, view + thinning.curve(bands, 10.0), thinning.balance(table)):
        assert not scenery.unnamed(hv.render(one)), scenery.unnamed(hv.render(one))
    areas = [part.data for part in thinning.curve(bands, 10.0).traverse() if isinstance(part, hv.Rectangles)]
    cell = PIXEL**2 / 1e6
    assert sum((rows.right - rows.left).sum() for rows in areas) == pytest.approx(float(bands.n.sum() * cell))
    shown = plots.table(table).data
    assert "Mass balance (m w.e. a⁻¹)" in shown and "Not measured (%)" in shown


@pytest.mark.parametrize("lazy", [False, True])
def test_dems_of_other_dates_are_compared_at_common_ones(lazy):
    """A pixel that thins steadily is known exactly between its DEMs, whichever dates they have and where one is void;
    so the change between two common dates does not depend on when the DEMs were flown."""
    rate = np.where(within(*ICE[0]), -2.0, 0.0)  # m a-1

    def flown(day, hole=False):
        years = (pd.Timestamp(day) - pd.Timestamp("2000-01-01")).days / 365.25
        values = RELIEF + rate * years
        values[40:60, 80:100] = np.nan if hole else values[40:60, 80:100]
        made = dem(values, day)
        return made.chunk(y=64, x=64) if lazy else made

    dates = ["2012-09-11", "2000-02-16", "2006-08-01"]
    a = [flown(day, hole=day == "2006-08-01") for day in dates]
    b = [flown(day) for day in ("2001-03-03", "2015-05-05")]
    wanted = ("2003-09-01", "2011-09-01")
    years = (pd.Timestamp(wanted[1]) - pd.Timestamp(wanted[0])).days / 365.25
    for series in (a, b):
        first, second = (elevation.at(series, day) for day in wanted)
        assert first.time == wanted[0] and first.odc.geobox == GRID and (first.chunks is not None) == lazy
        pair = elevation.difference(first, second, BEFORE, AFTER)
        np.testing.assert_allclose(pair.dh.values, rate * years, atol=2e-3)  # float32 of 1000 m: 6e-5 m a term
    gone = elevation.at([flown("2000-02-16", hole=True), flown("2012-09-11")], "2005-01-01")
    assert np.isnan(gone.values).sum() == 400 and np.isnan(gone.values[40:60, 80:100]).all()  # nothing is guessed
    np.testing.assert_array_equal(elevation.at(a, "2012-09-11").values, a[0].values)
    assert elevation.at(a, "2005-01-01").dates == sorted(dates)
    with pytest.raises(ValueError, match=r"2013-01-01 is not between the first DEM .2000-02-16. and the last"):
        elevation.at(a, "2013-01-01")
    with pytest.raises(ValueError, match="two or more of different dates"):
        elevation.at([a[0], a[0]], "2012-09-11")


def lowered(drawn):
    """Two DEMs 10 m apart everywhere, with these outlines at both dates."""
    return elevation.difference(dem(RELIEF, "2000-09-01"), dem(RELIEF - 10, "2010-09-01"), drawn, drawn)


def test_a_change_of_ten_metres_everywhere_is_ten_metres_whatever_the_pixels_cut():
    """Outlines that no pixel edge follows: the middles that lie inside are more or fewer than the area."""
    drawn = outlines(("a", 1210, 995, 1680, 1777), ("b", 3000, 2000, 3410, 2900))
    drawn["geometry"] = drawn.rotate(17)
    found = elevation.change(lowered(drawn), correlation=STABLE)
    assert found.dh_m.to_numpy() == pytest.approx(-10.0, rel=1e-5)  # of float32
    assert found.volume_m3.to_numpy() == pytest.approx(-10 * found.area_m2.to_numpy(), rel=1e-5)


def test_ice_beyond_the_edge_of_the_dems_is_told():
    drawn = outlines(("a", 300, 300, 900, 900), ("far", 90_000, 0, 91_000, 1000), ("half", -600, 3000, 600, 3600))
    none = gpd.GeoDataFrame({"rgi_id": ["none"]}, geometry=[None], crs=drawn.crs)
    drawn = pd.concat([drawn, none], ignore_index=True)
    found = lowered(drawn)
    assert found.rgi_id.values.tolist() == ["a", "half"]
    assert found.outside_m2 == pytest.approx(1e6 + 600 * 600, rel=2e-3)  # of the map's scale
    assert any(
        "lie beyond the DEMs' edge" in note for note in elevation.change(found, correlation=STABLE).attrs["notes"]
    )
    assert lowered(drawn[:1]).outside_m2 == 0


def test_heights_that_no_ground_has_are_no_heights(tmp_path):
    holes = RELIEF.copy()
    holes[3, 4] = -9999
    dem(holes, "2000-09-01").odc.write_cog(tmp_path / "holes.tif")
    with pytest.raises(
        ValueError, match=r"holes\.tif has heights of -9999 m: declare it, gdal_edit\.py -a_nodata -9999"
    ):
        elevation.read(tmp_path / "holes.tif", "2000-09-01")


@pytest.mark.parametrize(
    ("call", "why"),
    [
        (lambda pair: elevation.change(pair, level=90), r"level=90, band=50\.0: a level lies between 0 and 1"),
        (lambda pair: elevation.change(pair, band=0.0), r"band=0\.0"),
        (lambda pair: elevation.change(pair.assign(stable=pair.stable & False)), "no stable ground is measured"),
        (lambda pair: elevation.at([pair.dh.assign_attrs(time="some day")] * 2, "2005"), "'some day' is no date"),
    ],
)
def test_numbers_that_cannot_be_are_refused_in_one_line(call, why):
    pair = lowered(outlines(("a", 300, 300, 900, 900)))
    with pytest.raises(ValueError, match=why) as error:
        call(pair)
    assert "\n" not in str(error.value)


def test_a_year_alone_is_its_middle():
    assert dems.day(2005) == dems.day("2005") == pd.Timestamp("2005-07-01") and pd.isna(dems.day(""))
