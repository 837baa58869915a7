"""Areas' spread from a map's own: the two ends that are known, fields drawn at random between them."""

import geopandas as gpd
import numpy as np
import odc.geo.xr
import pytest
import shapely
from odc.geo.geobox import GeoBox
from scipy import ndimage

from glacier_nb import change, spreads, uncertainty, variograms, vectorize

SIZE = 60
BOX = GeoBox((SIZE, SIZE), odc.geo.geom.Affine(10, 0, 500_000, 0, -10, 7_000_000), "EPSG:32633")
SQUARE = gpd.GeoDataFrame(
    {"rgi_id": ["a"]}, geometry=[shapely.box(500_100, 6_999_500, 500_500, 6_999_900)], crs="EPSG:32633"
)


def zones(names=("rock", "glacier"), spread=0.1):
    share = np.full((len(names), SIZE, SIZE), 1 / len(names), "float32")
    made = odc.geo.xr.wrap_xr(share, BOX, axis=1, dims=("zone", "y", "x")).assign_coords(zone=list(names))
    values = np.broadcast_to(np.asarray(spread, "float32").reshape(-1, 1, 1), share.shape)
    return made.assign_coords(spread=(made.dims, values.copy()))


@pytest.mark.parametrize(("reach", "spread"), [(1.0, 0.1 * 100 * 40), (1e9, 0.1 * 160_000)])
def test_independent_pixels_average_out_and_common_errors_stay(reach, spread):
    """1600 pixels of 100 m2 with a spread of 0.1: by the root of their number, or all together."""
    found = spreads.area_spread(zones(), SQUARE, variograms.Correlation((reach,), (1.0,)), around=0)
    assert found.spread_m2[0] == pytest.approx(spread, rel=1e-5) and found.expected_m2[0] == pytest.approx(80_000)


def test_between_them_it_is_the_spread_of_drawn_fields():
    model = variograms.Correlation((80.0, 300.0), (2 / 3, 1 / 3))
    place = (
        np.stack(np.mgrid[:40, :40], axis=-1).reshape(-1, 2)[::2] * 10.0
    )  # half the pixels make the sum all the same
    apart = np.hypot(*(place[:, None] - place[None]).transpose(2, 0, 1))
    shared = variograms.covariance(apart, model) / model.sigma**2
    draws = np.linalg.cholesky(shared + 1e-9 * np.eye(len(shared))) @ np.random.default_rng(0).normal(
        size=(len(shared), 3000)
    )
    drawn = 0.1 * (draws.mean(axis=0) * 160_000).std()
    found = spreads.area_spread(zones(), SQUARE, model, around=0).spread_m2[0]
    assert found == pytest.approx(drawn, rel=0.05)  # 3000 draws know a spread to 1.3 %


def test_zones_of_ice_trade_with_one_another():
    """What debris wins glacier loses: the ice as a whole is as sure as the rock."""
    three = spreads.ice(zones(("rock", "glacier", "debris cover"), (0.02, 0.3, 0.3)))
    assert np.allclose(three, 0.02)
    assert np.allclose(spreads.ice(zones(("rock", "lake", "glacier"), (0.2, 0.2, 0.1))), 0.1)
    with pytest.raises(LookupError, match="predict with several"):
        spreads.ice(zones().drop_vars("spread"))


def test_neighbours_and_what_is_not_on_the_map():
    two = gpd.GeoDataFrame({"rgi_id": ["a", "b", "c"]}, crs="EPSG:32633", geometry=[
        *SQUARE.geometry, shapely.box(500_500, 6_999_500, 500_600, 6_999_900), shapely.box(0, 0, 10, 10)
    ])  # fmt: skip
    model = variograms.Correlation((1e9,), (1.0,))
    wide, alone = (spreads.area_spread(zones(), frame, model, around=20).spread_m2 for frame in (two, SQUARE))
    assert alone[0] == pytest.approx(0.1 * (440 * 440 - 4 * 300), rel=1e-5)  # 20 m around, three pixels off a corner
    assert wide[0] == pytest.approx(alone[0] - 0.1 * (20 * 400 + 2 * 100), rel=1e-5) and np.isnan(wide[2])


def test_how_far_errors_reach_and_how_large_they_are_is_read_from_a_map_and_its_truth():
    rng = np.random.default_rng(5)
    rough = np.kron(rng.random((30, 30)) < 0.1, np.ones((8, 8))).astype("float32")  # errors in squares of 80 m
    box = GeoBox((240, 240), BOX.affine, BOX.crs)
    made = odc.geo.xr.wrap_xr(np.zeros((2, 240, 240), "float32"), box, axis=1, dims=("zone", "y", "x"))
    made = made.assign_coords(zone=["rock", "glacier"])
    made = made.assign_coords(spread=(made.dims, np.full(made.shape, 0.15, "float32")))
    truth = odc.geo.xr.wrap_xr(rough, box)
    model = spreads.correlation(made, truth.where(np.arange(240) > 20))
    # squares of side a share nothing from a to a sqrt(2) on; a tenth of ones has the variance 0.09, twice 0.15
    assert 70 < model.ranges[np.argmax(model.sills)] < 130 and model.sigma == pytest.approx(0.3 / 0.15, rel=0.1)
    with pytest.raises(ValueError, match="0 pixels where both are known"):
        spreads.correlation(made, truth * np.nan)


STEP, ACROSS = 48, 10  # pixels of a glacier's ground, and glaciers a side


def region(seed, members=12, reach=4.0):
    """Glaciers side by side, each member of an ensemble and the truth one draw of the same field of errors along their
    margins (a pixel, alike over `reach` pixels): the map with its spread, ice divides, true areas, true ice."""
    rng, side = np.random.default_rng(seed), STEP * ACROSS
    box = GeoBox((side, side), BOX.affine, BOX.crs)
    row, column = np.mgrid[:side, :side] % STEP + 0.5 - STEP / 2
    inside = np.kron(rng.uniform(8, 18, (ACROSS, ACROSS)), np.ones((STEP, STEP))) - np.hypot(row, column)
    off = ndimage.gaussian_filter(rng.normal(size=(members + 1, side, side)), (0, reach, reach), mode="wrap")
    off /= off.std(axis=(1, 2), keepdims=True)
    drawn, truth = 1 / (1 + np.exp(-(inside + off[:-1]) / 0.3)), inside + off[-1] > 0
    ice, spread = drawn.mean(axis=0), drawn.std(axis=0, ddof=1)
    made = odc.geo.xr.wrap_xr(np.stack([1 - ice, ice]).astype("float32"), box, axis=1, dims=("zone", "y", "x"))
    made = made.assign_coords(zone=["rock", "glacier"], spread=(made.dims, np.stack([spread] * 2).astype("float32")))
    west, north = np.divmod(np.arange(ACROSS**2), ACROSS)[::-1]
    west, south = 500_000 + 10 * STEP * west, 7_000_000 - 10 * STEP * (north + 1)
    cells = shapely.box(west, south, west + 10 * STEP, south + 10 * STEP)
    divides = gpd.GeoDataFrame({"rgi_id": [f"g{n:02d}" for n in range(ACROSS**2)]}, geometry=cells, crs=str(box.crs))
    area = 100.0 * truth.reshape(ACROSS, STEP, ACROSS, STEP).sum(axis=(1, 3)).ravel()
    return (
        made.assign_attrs(time="2020-08-30", system="drawn"),
        divides,
        area,
        odc.geo.xr.wrap_xr(truth.astype("float32"), box),
    )


def areas(seed, model, **options):
    """True areas and the table of `change.area`, of outlines that carry their members' spread."""
    made, divides, true, _ = region(seed)
    found = vectorize.outlines(made, divides)
    found = found.assign(spread_m2=spreads.area_spread(made, found, model).spread_m2)
    table = change.area(found, divides, **options)
    return true, table[table.rgi_id != "region"], table


def test_intervals_of_an_ensemble_hold():
    """The truth is one more member: of 90 % intervals about nine in ten hold it, calibrated or not; errors that
    neighbours share are most of it, so that without them half would not hold."""
    made, _, _, truth = region(100)
    model = spreads.correlation(made, truth)
    plain = [areas(seed, model) for seed in range(1, 5)]
    held = np.concatenate([(table.lower_m2 <= true) & (true <= table.upper_m2) for true, table, _ in plain])
    assert 0.85 < held.mean() < 0.95 and "members' spread (100 of 100" in plain[0][2].attrs["method"]
    apart = variograms.Correlation((1.0,), (1.0,))
    alone = [areas(seed, apart) for seed in (1, 2)]
    assert np.mean([((table.lower_m2 <= true) & (true <= table.upper_m2)).mean() for true, table, _ in alone]) < 0.5
    true = np.concatenate([one for one, _, _ in plain])
    mapped, upper = (np.concatenate([table[name] for _, table, _ in plain]) for name in ("area_m2", "upper_m2"))
    interval = uncertainty.conformal(mapped, true, upper - mapped)
    again = [areas(seed, model, interval=interval) for seed in range(5, 10)]
    held = np.concatenate([(table.lower_m2 <= true) & (true <= table.upper_m2) for true, table, _ in again])
    # calibrated on 400, tried on 500: sqrt(0.09 / 400 + 0.09 / 500) is 2 %, of which two and a half
    assert held.mean() == pytest.approx(0.9, abs=0.05)
    assert again[0][2].attrs["method"].startswith("conformal, 0.9, n=400, scaled by 90 % of the members' spread")
