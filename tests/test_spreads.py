"""Areas' spread from a map's own: the two ends that are known, fields drawn at random between them."""

import geopandas as gpd
import numpy as np
import odc.geo.xr
import pytest
import shapely
from odc.geo.geobox import GeoBox

from glacier_nb import spreads, variograms

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
    model = variograms.Correlation((80.0, 300.0), (2.0, 1.0))
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
    wide, alone = (spreads.area_spread(zones(), frame, model).spread_m2 for frame in (two, SQUARE))
    assert alone[0] == pytest.approx(0.1 * (440 * 440 - 4 * 300), rel=1e-5)  # 20 m around, three pixels off a corner
    assert wide[0] == pytest.approx(alone[0] - 0.1 * (20 * 400 + 2 * 100), rel=1e-5) and np.isnan(wide[2])


def test_how_far_errors_reach_is_read_from_a_map_and_its_truth():
    rng = np.random.default_rng(5)
    rough = np.kron(rng.random((30, 30)) < 0.1, np.ones((8, 8)))  # errors in squares of 80 m, one in ten
    box = GeoBox((240, 240), BOX.affine, BOX.crs)
    wrong = odc.geo.xr.wrap_xr(rough.astype("float32"), box)
    model = spreads.correlation(wrong * 0, wrong.where(np.arange(240) > 20))
    # squares of side a share nothing from a to a sqrt(2) on; a tenth of ones has the variance 0.09
    assert 70 < model.ranges[np.argmax(model.sills)] < 130 and model.sigma**2 == pytest.approx(0.09, rel=0.2)
    with pytest.raises(ValueError, match="0 pixels where both are known"):
        spreads.correlation(wrong, wrong * np.nan)
