"""Errors of fronts by the papers' definitions, on fronts whose distances are known."""

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely

from glacier_nb import delineation, metrics, readers

CRS = "EPSG:32633"
EAST, NORTH = 500_000.0, 7_000_000.0


def line(*points):
    return shapely.LineString(np.array(points, dtype=float) + np.array([EAST, NORTH]))


def frame(lines, **facts):
    times = pd.date_range("2020-01-15", periods=len(lines), freq="91D")
    return gpd.GeoDataFrame({"rgi_id": "a", "time": times} | facts, geometry=list(lines), crs=CRS)


def flat(y, west=0, east=3000):
    return line((west, y), (east, y))


TRUE = frame([flat(0), flat(0, east=6000), flat(0), flat(0)], sensor=["A", "A", "B", "B"], pixel_m=[7.0, 7, 20, 20])
FOUND = frame([flat(10), flat(20, east=6000), flat(90), shapely.LineString()])


def test_caffe_pools_points_and_counts_what_was_missed():
    found = delineation.score(FOUND, TRUE, "CaFFe", ["sensor", "season", "pixel_m"])
    every = found.iloc[0]
    n = np.array([301, 601, 301]) * 2  # points every ten metres along both
    assert every.score_m == every.mean_m == pytest.approx(np.average([10, 20, 90], weights=n))
    assert (every.n, every.missed) == (4, 1) and every.median_m == pytest.approx(20)
    assert every.mean_of_fronts_m == pytest.approx(40) and every.hd95_m == pytest.approx(40)
    assert every.error_m == pytest.approx(np.repeat([10, 20, 90], n).std() / np.sqrt(n.sum()))
    one = found.set_index(["group", "value"])
    assert one.missed["sensor", "B"] == one.missed["pixel_m", 20.0] == 1 and one.score_m[
        "sensor", "B"
    ] == pytest.approx(90)
    assert one.n["season", "winter"] == 2 and one.n["season", "summer"] == 2  # January and October; April and July
    whole = metrics.front_scores(FOUND, TRUE)
    assert whole.attrs["mde"] == pytest.approx(every.score_m) and whole.attrs["missed"] == every.missed


def test_seasons_are_the_other_way_round_in_the_south():
    south = frame([shapely.Point(EAST, NORTH).buffer(1).exterior] * 4).set_crs(32733, allow_override=True)
    north = delineation.season(TRUE)
    assert north.tolist() == ["winter", "summer", "summer", "winter"]
    assert delineation.season(south).tolist() == ["summer", "winter", "winter", "summer"]


def test_calfin_has_the_same_distances_and_a_median_too():
    mean, median = (delineation.score(FOUND, TRUE, name).score_m.item() for name in ("CALFIN", "CALFIN median"))
    caffe = delineation.score(FOUND, TRUE).iloc[0]
    assert mean == caffe.mean_m and median == caffe.median_m


def test_mohajerani_goes_step_by_step_away_from_the_walls():
    found, true = frame([flat(30)]), frame([flat(0)])
    assert delineation.score(found, true, "Mohajerani").score_m.item() == pytest.approx(30)
    back = frame([flat(30).reverse()])
    assert delineation.score(back, true, "Mohajerani").score_m.item() == pytest.approx(30)
    # a front half as long is near everywhere, yet its steps lag: by 0 to 1500 m along it, 750 m on average
    half = frame([flat(0, east=1500)])
    assert delineation.score(half, true, "Mohajerani").score_m.item() == pytest.approx(750, rel=1e-3)
    # a hook along the wall is taken off with the wall's 500 m
    hooked = frame([line((0, 0), (2900, 0), (2900, 900))])
    walls = gpd.GeoSeries([flat(0, 3000, 3000.1).buffer(0.1).exterior, line((3000, -5000), (3000, 5000))], crs=CRS)
    assert delineation.score(hooked, true, "Mohajerani", walls=walls).score_m.item() == pytest.approx(0, abs=1e-6)
    gone = frame([line((2900, 0), (2950, 90))])
    lost = delineation.score(gone, true, "Mohajerani", walls=walls).iloc[0]
    assert lost.missed == 1 and np.isnan(lost.score_m)


def test_what_has_no_value_is_a_group_of_its_own():
    true = TRUE.assign(sensor=["A", None, "A", None])
    found = delineation.score(FOUND.assign(time=FOUND.time.dt.tz_localize("UTC")), true, by=["sensor"])
    assert found.n.tolist() == [4, 2, 2] and found.missed.tolist() == [1, 0, 1]
    assert found.value.isna().tolist() == [False, False, True]


def test_a_perfect_map_scores_nothing_by_every_definition():
    for row in delineation.DEFINITIONS:
        found = delineation.score(TRUE, TRUE, row.name).iloc[0]
        assert found.score_m == pytest.approx(0, abs=1e-9) and found.missed == 0
        none = delineation.score(TRUE.iloc[:0], TRUE, row.name).iloc[0]
        assert none.missed == none.n == 4 and np.isnan(none.score_m)


def test_real_fronts_off_by_a_known_step(data):
    """Moved by 40 m along both axes, no point is off by more than that, and the error is nearly the mean of it."""
    true = readers.harald_moltke(data / "harald_moltke_brae").iloc[:20]
    moved = true.assign(geometry=true.translate(40, 40))
    found = {row.name: delineation.score(moved, true, row.name).score_m.item() for row in delineation.DEFINITIONS}
    step = np.hypot(40, 40)
    assert found["Mohajerani"] == pytest.approx(step, abs=1e-6)  # the nth point is the same one
    assert 0.3 * step < found["CALFIN median"] < step and found["CaFFe"] == found["CALFIN"] < step


def test_bad_input_is_refused_in_one_line():
    for call, why in (
        (lambda: delineation.score(FOUND, TRUE, "Hausdorff"), "one of CaFFe, CALFIN"),
        (lambda: delineation.score(FOUND, TRUE, by=["orbit"]), "orbit"),
        (lambda: delineation.score(FOUND.to_crs(4326), TRUE.to_crs(4326)), "EPSG:326"),
    ):
        with pytest.raises(ValueError, match=why) as error:
            call()
        assert "\n" not in str(error.value)
