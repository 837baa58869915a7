"""Scores of maps, outlines and fronts whose distance is known."""

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
import xarray as xr

from glacier_nb import metrics

CRS = "EPSG:32633"


def line(*points):
    return shapely.LineString(points)


def fronts(*rows):
    frame = gpd.GeoDataFrame(rows, columns=["rgi_id", "time", "geometry"], crs=CRS)
    return frame.assign(time=pd.to_datetime(frame.time))


def test_scores_of_maps_by_hand():
    a = np.array([[True, True, True, False], [False, False, False, False]])
    b = np.array([[True, True, False, True], [False, False, False, False]])
    assert metrics.iou(a, b) == 0.5 and metrics.precision(a, b) == metrics.recall(a, b) == pytest.approx(2 / 3)
    assert metrics.f1(a, b) == pytest.approx(2 / 3) and metrics.area_error(a, b) == 0
    assert metrics.area_error(a, a[:, ::-1]) == 0 and metrics.iou(a, a) == 1


def test_unseen_pixels_do_not_count_and_probabilities_are_cut_at_half():
    p = xr.DataArray([0.9, np.nan, 0.4, 0.6], dims="x")
    y = xr.DataArray([True, True, True, False], dims="x")
    assert metrics.recall(p, y) == 0.5 and metrics.precision(p, y) == 0.5
    assert np.isnan(metrics.iou(np.zeros(3, bool), np.zeros(3, bool)))
    with pytest.raises(ValueError, match="GeoBox"):
        metrics.iou(p, y[:2])


def test_scores_of_outlines_are_of_areas():
    a = gpd.GeoDataFrame(geometry=[shapely.box(0, 0, 50, 100), shapely.box(50, 0, 100, 100)], crs=CRS)
    b = gpd.GeoDataFrame(geometry=[shapely.box(0, 0, 100, 50)], crs=CRS)
    assert metrics.iou(a, b) == 0.5 and metrics.precision(a, b) == 0.5 and metrics.recall(a, b) == 1
    assert metrics.area_error(a, b) == pytest.approx(100) and metrics.area_error(b, a) == pytest.approx(-50)
    with pytest.raises(ValueError, match="EPSG:326"):
        metrics.iou(a.set_crs(4326, allow_override=True), b)


def test_debris_counts_when_mapped_as_any_glacier():
    zone = ["rock", "glacier", "debris cover"]
    p = xr.DataArray([[0.1, 0.2, 0.9], [0.6, 0.3, 0.05], [0.3, 0.5, 0.05]], {"zone": zone}, ("zone", "x"))
    truth = xr.DataArray([[0, 0, 0], [1, 0, 0], [0, 1, 1]], {"zone": zone}, ("zone", "x")).astype("float32")
    assert metrics.debris_recall(p, truth) == 0.5
    assert metrics.debris_recall(p, np.array([False, True, False])) == 1
    assert metrics.debris_recall(p.sel(zone=["rock", "glacier"]), truth) == 0  # 0.3 of bare ice is no glacier


@pytest.mark.parametrize("spacing", [1.0, 7.0, 500.0])
@pytest.mark.parametrize("turned", [False, True])
def test_parallel_fronts_are_their_distance_apart(spacing, turned):
    a, b = line((0, 0), (1000, 0)), line((0, 25), (400, 25), (1000, 25))
    found = metrics.front_deviation(a, b.reverse() if turned else b, spacing)
    assert (found.mean, found.median, found.hd95) == pytest.approx((25, 25, 25))


def test_both_directions_count():
    whole, half = line((0, 0), (1000, 0)), line((0, 0), (500, 0))
    found = metrics.front_deviation(half, whole, 1.0)
    assert found.mean_a_to_b == 0 and found.mean_b_to_a == pytest.approx(125, rel=0.01)  # mean of 0 and 0..500
    assert found.hd95 == pytest.approx(450, rel=0.01)
    other = metrics.front_deviation(whole, half, 1.0)
    assert (other.mean, other.median, other.hd95) == pytest.approx((found.mean, found.median, found.hd95))
    assert other.mean_a_to_b == found.mean_b_to_a


def test_points_and_parts_are_taken_as_they_are():
    points = shapely.MultiPoint([(0, 3), (10, 4), (20, 5)])
    found = metrics.front_deviation(points, line((0, 0), (20, 0)), 1.0)
    assert found.mean_a_to_b == 4 and found.n_a == 3 and found.n_b == 21
    parts = shapely.MultiLineString([[(0, 0), (10, 0)], [(20, 0), (30, 0)]])
    assert metrics.front_deviation(parts, parts, 1.0).n_a == 22


def test_distance_to_a_vertex_between_segments_is_exact():
    rng = np.random.default_rng(0)
    a, b = (shapely.LineString(rng.uniform(0, 100, (30, 2))) for _ in range(2))
    brute = [b.distance(a.interpolate(s, normalized=True)) for s in np.linspace(0, 1, int(np.ceil(a.length / 5)) + 1)]
    assert metrics.front_deviation(a, b, 5.0).mean_a_to_b == pytest.approx(np.mean(brute))


def test_boundary_deviation_of_two_discs():
    a, b = shapely.Point(0, 0).buffer(500, 64), shapely.Point(0, 0).buffer(530, 64)
    assert metrics.boundary_deviation(a, b, 5.0).mean == pytest.approx(30, rel=0.02)
    with_hole = b.difference(shapely.Point(0, 0).buffer(100))
    assert metrics.boundary_deviation(with_hole, b, 5.0).hd95 > 100


def test_front_scores_count_what_was_missed():
    truth = fronts(
        ("a", "2020", line((0, 0), (100, 0))),
        ("a", "2021", line((0, 0), (100, 0))),
        ("b", "2020", line((0, 0), (300, 0))),
    )
    found = fronts(("a", "2020", line((0, 10), (100, 10))), ("b", "2020", line((0, 20), (300, 20))))
    table = metrics.front_scores(found, truth, spacing=1.0)
    assert table.missed.tolist() == [False, True, False] and table.attrs["missed"] == 1 and table.attrs["n"] == 3
    assert table.mean_m.tolist() == pytest.approx([10, np.nan, 20], nan_ok=True)
    by_the_hour = metrics.front_scores(found.assign(time=found.time + pd.Timedelta(hours=10)), truth, spacing=1.0)
    pd.testing.assert_frame_equal(by_the_hour, table)
    # as CaFFe pools: by points, so the longer front weighs more
    assert table.attrs["mde"] == pytest.approx((10 * 202 + 20 * 602) / 804)
    with pytest.raises(ValueError, match="missed"):
        metrics.front_deviation(shapely.LineString(), line((0, 0), (1, 0)))


def test_front_scores_refuse_degrees():
    truth = fronts(("a", "2020", line((0, 0), (100, 0)))).to_crs(4326)
    with pytest.raises(ValueError, match="metres; reproject"):
        metrics.front_scores(truth, truth)


def test_a_front_is_met_by_its_id_as_text_and_its_day_without_a_zone():
    truth = fronts((3, "2020", line((0, 0), (100, 0))), (12, "2020", line((0, 0), (300, 0))))
    found = truth.assign(rgi_id=truth.rgi_id.astype(str), time=truth.time.dt.tz_localize("UTC"))
    for predicted, true in ((found, truth), (truth, found)):
        table = metrics.front_scores(predicted, true)
        assert table.mean_m.tolist() == [0, 0] and table.attrs["missed"] == 0
    undated = truth.assign(time=[pd.NaT, truth.time[1]])
    table = metrics.front_scores(undated, undated)  # nothing tells it from another: missed, but counted
    assert table.missed.sum() == table.time.isna().sum() == 1 and len(table) == 2


def test_shapes_that_cross_themselves_are_mended_and_a_true_front_without_a_line_is_named():
    tie = shapely.Polygon([(0, 0), (1, 1), (1, 0), (0, 1)])
    both = [gpd.GeoDataFrame(geometry=[shape], crs="EPSG:32633") for shape in (tie, shapely.box(0, 0, 1, 1))]
    assert metrics.iou(*both) == pytest.approx(0.5)
    truth = fronts(("a", "2020-08-01", line((0, 0), (100, 0))), ("b", "2020-08-01", None))
    with pytest.raises(ValueError, match="the true front of b, 2020-08-01 00:00:00, has no line: leave it out"):
        metrics.front_scores(truth.iloc[:1], truth)
