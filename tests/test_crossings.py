"""Fronts in gates whose truth is known by geometry: a fjord that bends, fronts that stop short, lines that miss."""

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely

from glacier_nb import terminus

CRS = "EPSG:32633"
MIDDLE = np.array([500_000.0, 7_000_000.0])
RADIUS, HALF, PIXEL = 20_000.0, 1500.0, 10.0
FLOW = shapely.LineString(MIDDLE + np.array([(-5000, 0), (5000, 0)]))


def frame(lines):
    times = pd.Timestamp("2015-08-30") + pd.to_timedelta(12 * np.arange(len(lines)), "D")
    return gpd.GeoDataFrame({"rgi_id": "a", "time": times}, geometry=list(lines), crs=CRS)


def line(*points):
    return shapely.LineString(MIDDLE + np.array(points, dtype=float))


def bend(angles, radius=RADIUS):
    return MIDDLE + radius * np.stack([np.cos(angles), np.sin(angles)], axis=-1)


def radial(angle, half=1.2 * HALF):
    """A front straight across a fjord that bends about MIDDLE."""
    return shapely.LineString([bend(angle, RADIUS - half), bend(angle, RADIUS + half)])


@pytest.mark.parametrize("turn", [1, -1])
@pytest.mark.parametrize("method", ["curvilinear box", "variable box", "multi-centreline"])
def test_along_a_bend_a_front_moves_by_its_arc(method, turn):
    """The area between two radii is the mean arc times the width, whichever way the fjord bends."""
    flow = shapely.LineString(bend(turn * np.radians(np.arange(0, 90.1, 0.5))))
    angles = turn * np.radians([50.0, 53.25, 41.0])
    found = terminus.positions(frame([radial(a) for a in angles]), method, centreline=flow, width=2 * HALF, pixel=PIXEL)
    arc = RADIUS * np.abs(angles) - RADIUS * abs(angles[0])
    assert found.position_m.to_numpy() == pytest.approx(arc, abs=PIXEL / 10) and found.note.eq("").all()
    assert found.swept_area_m2.to_numpy() == pytest.approx(arc * found.width_m.to_numpy(), abs=PIXEL / 10 * 2 * HALF)
    # a straight box cannot: past the bend it is no longer across the flow
    chord = terminus.positions(frame([radial(a) for a in angles]), "box", centreline=flow, width=2 * HALF)
    assert np.nanmax(np.abs(chord.position_m - arc)) > PIXEL


def test_a_curvilinear_box_goes_on_past_the_end_of_its_line():
    short = line((-5000, 0), (-100, 0))
    found = terminus.positions(frame([line((x, -2000), (x, 2000)) for x in (-300, 0, 450)]), "curvilinear box",
                               centreline=short, width=2 * HALF)  # fmt: skip
    assert found.position_m.to_numpy() == pytest.approx([0, 300, 750])


def test_a_variable_box_is_as_wide_as_each_front():
    fronts = frame([line((0, -1000), (0, 1200)), line((500, -2000), (500, 800)), line((300, 1500), (300, -100))])
    found = terminus.positions(fronts, "variable box", centreline=FLOW)
    # the walls lie a ten-thousandth inside the front's ends, so that it crosses them
    assert found.width_m.to_numpy() == pytest.approx([2200, 2800, 1600], rel=2e-4)
    assert found.position_m.to_numpy() == pytest.approx([0, 500, 300], abs=1e-3)
    assert found.swept_area_m2.to_numpy() == pytest.approx([0, 500 * 2500, 300 * 1900], rel=2e-4)


def test_a_variable_box_needs_a_front_that_meets_the_centreline():
    found = terminus.positions(frame([line((0, -1), (0, 900)), line((0, 200), (0, 900))]), "variable box",
                               centreline=FLOW)  # fmt: skip
    assert found.note.tolist() == ["", "refused: passes the centreline by 200 m"] and np.isnan(found.width_m[1])


def test_a_bow_is_the_mean_distance_from_the_head():
    """Of a straight front at distance d, points y aside: the mean of the root of d2 + y2 has a closed form."""
    d, w = np.array([5000.0, 5600.0]), HALF
    mean = (w * np.hypot(d, w) + d**2 * np.arcsinh(w / d)) / (2 * w)
    found = terminus.positions(frame([line((x - 5000, -2000), (x - 5000, 2000)) for x in d]), "bow",
                               centreline=FLOW, width=2 * HALF)  # fmt: skip
    assert found.position_m.iloc[1] == pytest.approx(mean[1] - mean[0], abs=0.01)
    assert 600 * np.cos(np.arctan(w / 5000)) < found.position_m.iloc[1] < 600  # less than it moved


@pytest.mark.parametrize(("method", "front", "why"), [
    ("curvilinear box", line((0, -2000), (0, 900)), "refused: stops 600 m short of a side"),
    ("curvilinear box", line((0, 1800), (0, 2900)), "refused: outside the box by 300 m"),
    ("curvilinear box", line((-9000, -2000), (0, -2000), (0, 0), (-9000, 0)),
     "refused: stops 1500 m short of a side"),  # the box went on up-glacier for it
    ("box", line((0, 1800), (0, 2900)), "refused: outside the box by 300 m"),
    ("multi-centreline", line((0, -2000), (0, 900)), "refused: crosses 240 of 300 lines"),
    ("multi-centreline", line((0, 1800), (0, 2900)), "refused: passes all lines by 305 m"),
    ("transects", line((0, -2000), (0, 900)), "refused: crosses 24 of 30 lines"),
    ("bow", line((0, -2000), (0, 900)), "refused: stops 600 m short of a side"),
    ("bow", line((0, 1800), (0, 2900)), "refused: outside the box by 300 m"),
])  # fmt: skip
def test_fronts_that_a_method_cannot_measure_are_refused_by_name(method, front, why):
    whole = [line((x, -2000), (x, 2000)) for x in (0, 70)]
    found = terminus.positions(frame([whole[0], front, whole[1]]), method, centreline=FLOW, width=2 * HALF)
    assert found.note.iloc[1] == why
    numbers = ["position_m", "swept_area_m2", "rate_m_a", "uncertainty_m", "method_error_m", "georeferencing_error_m"]
    assert found.loc[1, numbers].isna().all()
    moved = 70 if method != "bow" else 70 * np.cos(np.arctan(HALF / 5000))
    assert moved - 1e-6 <= found.position_m.iloc[2] <= 70 + 1e-6
    assert found.rate_m_a.iloc[2] == pytest.approx(found.position_m.iloc[2] / (24 / 365.25))  # since what was measured


def test_missed_lines_take_what_their_neighbours_have():
    short = line((40, -2000), (40, 1300))  # 200 m short: 20 of 300 lines
    torn = shapely.MultiLineString([line((40, -2000), (40, 0)).coords, line((140, 300), (140, 2000)).coords])
    found = terminus.positions(frame([line((0, -2000), (0, 2000)), short, torn]), "multi-centreline",
                               centreline=FLOW, width=2 * HALF, pixel=PIXEL)  # fmt: skip
    assert found.note.tolist()[1:] == [f"{n} of 300 lines missed, filled from their neighbours" for n in (20, 30)]
    assert found.position_m.to_numpy() == pytest.approx([0, 40, (40 * 1500 + 90 * 300 + 140 * 1200) / 3000], abs=0.5)
    # as for a bridged gap: the missed stretch may run at 45 degrees
    assert found.method_error_m[1] == pytest.approx(200**2 / 2 / (2 * HALF))
    boxed = terminus.positions(frame([line((0, -2000), (0, 2000)), short]), "box", centreline=FLOW, width=2 * HALF)
    assert found.position_m[1] == pytest.approx(boxed.position_m[1], abs=1e-3)


@pytest.mark.parametrize(("method", "spacing"), [("multi-centreline", 10.0), ("transects", 100.0)])
def test_several_crossings_of_a_fold_are_in_doubt_by_their_spread(method, spacing):
    """Half of the lines pass a fold at 0, 1 and 2 km: the spread of these three, sqrt(2/3) km, counts by half."""
    fold = line((0, -2000), (0, 800), (1000, 800), (1000, -700), (2000, -700), (2000, 2000))
    whole = line((0, -2000), (0, 2000))
    found = terminus.positions(frame([whole, fold]), method, centreline=FLOW, width=2 * HALF, spacing=spacing,
                               pixel=PIXEL).iloc[1]  # fmt: skip
    lines = int(2 * HALF / spacing)
    assert found.note == f"{lines // 2} of {lines} lines crossed several times, the most seaward taken"
    between = 2000 / np.sqrt(lines - 1) / np.sqrt(12 * lines)  # one step of 2 km among the neighbours
    assert found.method_error_m == pytest.approx(np.hypot(1000 * np.sqrt(2 / 3) / 2, between), rel=1e-6)
    true = (1500 * 1000 + 700 * 2000) / (2 * HALF)  # by area: in the fold there is water from 1 to 2 km
    assert abs(found.position_m - true) < 3 * found.uncertainty_m
    bent = line((0, -2000), (40, 5), (0, 2000))  # a vertex on a line is one crossing
    once = terminus.positions(frame([whole, bent]), method, centreline=FLOW, width=2 * HALF, spacing=spacing)
    assert once.note.eq("").all()


def test_positions_across_know_left_from_right():
    """Looking east, north is left: there the front has gone ahead, on the right it stayed."""
    fronts = frame([line((0, -2000), (0, 2000)), line((0, -2000), (0, 0), (400, 2000))])
    tables = {
        method: terminus.across(fronts, method, centreline=FLOW, width=2 * HALF, spacing=spacing, pixel=PIXEL)
        for method, spacing in (("transects", 500.0), ("multi-centreline", 500.0))
    }
    for found in tables.values():
        last = found[found.time == found.time.max()].set_index("offset_m").position_m
        assert last.to_dict() == pytest.approx({-1250: 0, -750: 0, -250: 0, 250: 50, 750: 150, 1250: 250})
        assert found.uncertainty_m.to_numpy() == pytest.approx(np.hypot(PIXEL, PIXEL / 2))
    missed = terminus.across(frame([line((0, -2000), (0, 2000)), line((9, -2000), (9, 1400))]), centreline=FLOW,
                             width=2 * HALF, spacing=100.0)  # fmt: skip
    assert missed.groupby("offset_m").position_m.last().isna().sum() == 0 and missed.position_m.isna().sum() == 1


def test_wider_spacing_is_less_sure():
    rng = np.random.default_rng(5)
    across = np.arange(-2000, 2001, 20.0)
    walk = np.cumsum(rng.normal(0, 15, (60, len(across))), axis=1)
    fronts = frame([line(*np.stack([x, across], axis=1)) for x in walk])
    fine, wide = (
        terminus.positions(fronts, "transects", centreline=FLOW, width=2 * HALF, spacing=spacing, pixel=1e-6)
        for spacing in (20.0, 600.0)
    )
    off = (wide.position_m - wide.position_m.mean()) - (fine.position_m - fine.position_m.mean())
    assert off.std() == pytest.approx(np.sqrt((wide.method_error_m**2).mean()), rel=0.3)  # 60 draws: 9 % of its own
