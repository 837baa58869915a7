"""How far fronts moved, against fronts whose motion is known; the sign in every orientation."""

import itertools

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely

from glacier_nb import readers, terminus

PIXEL = 10.0
CRS = "EPSG:32633"
MIDDLE = np.array([500_000.0, 7_000_000.0])
HALF = 1000.0  # of the box's width
EVERY = {row.name for row in terminus.METHODS}


def turn(points, angle):
    c, s = np.cos(angle), np.sin(angle)
    return np.asarray(points, dtype=float) @ np.array([[c, s], [-s, c]]) + MIDDLE


def front(position, shape=0.0, angle=0.0, half=1.3 * HALF, n=41):
    """A front across flow (flow is to the right): bulging by `shape` in its middle, which leaves its mean at rest."""
    across = np.linspace(-half, half, n)
    bulge = shape * (1 - 3 * (across / HALF) ** 2)  # no mean over the box
    return shapely.LineString(turn(np.stack([position + bulge, across], axis=1), angle))


def box(angle=0.0, start=0, clockwise=False):
    corners = np.array([(-3000, -HALF), (3000, -HALF), (3000, HALF), (-3000, HALF)])
    return shapely.Polygon(turn(np.roll(corners[:: -1 if clockwise else 1], start, axis=0), angle))


def frame(lines, rgi_id="a"):
    times = pd.Timestamp("2015-08-30") + pd.to_timedelta(12 * np.arange(len(lines)), "D")
    return gpd.GeoDataFrame({"rgi_id": rgi_id, "time": times}, geometry=list(lines), crs=CRS)


def flow(angle=0.0):
    return shapely.LineString(turn([(-5000, 0), (5000, 0)], angle))


@pytest.mark.parametrize("shape", [0.0, 250.0, -400.0])
@pytest.mark.parametrize("angle", [0.0, 0.7, 2.9])
def test_boxes_and_lines_within_a_tenth_of_a_pixel(shape, angle):
    true = np.array([100.0, 350.5, -777.7, 42.0])
    moved = frame([front(x, shape, angle, n=401) for x in true])
    for method in EVERY - {"bow"}:
        found = terminus.positions(moved, method, box=box(angle), centreline=flow(angle), pixel=PIXEL)
        assert found.position_m.to_numpy() == pytest.approx(true - true[0], abs=PIXEL / 10)
        assert (found.note == "").all() and (found.method == method).all()
    by_box = terminus.positions(moved, "box", box=box(angle), centreline=flow(angle))
    assert by_box.width_m.to_numpy() == pytest.approx(2 * HALF)
    assert by_box.swept_area_m2.to_numpy() == pytest.approx((true - true[0]) * 2 * HALF, abs=PIXEL / 10 * 2 * HALF)


def test_the_sign_is_right_in_a_thousand_orientations():
    rng = np.random.default_rng(1)
    fronts, boxes, lines, heads, true = [], [], [], [], {}
    for n in range(1000):
        name, angle, step = f"g{n:03d}", rng.uniform(0, 2 * np.pi), rng.uniform(-2000, 2000)
        pair = [front(x, rng.uniform(-300, 300), angle, n=81) for x in (0.0, step)]
        fronts.append(frame([line.reverse() if rng.random() < 0.5 else line for line in pair], name))
        boxes.append(box(angle, rng.integers(4), rng.random() < 0.5))
        line = flow(angle)
        heads.append(shapely.Point(line.coords[0]))
        lines.append(line.reverse() if rng.random() < 0.5 else line)  # the point orients it
        true[name] = step
    moved = pd.concat(fronts, ignore_index=True)
    boxes, lines, heads = (
        gpd.GeoDataFrame({"rgi_id": list(true)}, geometry=shapes, crs=CRS) for shapes in (boxes, lines, heads)
    )
    # a bulge has no mean over the box, but is up to 300 m either way on the centreline and has 0.69 of that between a
    # variable box's walls, 1.3 times as far out; a bow weighs it by length, and looks aslant from 3 km away at least
    at = np.linspace(-1, 1, 2001)
    length = np.hypot(1, 6 * 300 * at / HALF)
    bowed = 2 * abs(np.average(300 * (1 - 3 * at**2), weights=length)) + 2000 * (1 - 3 / np.hypot(3, 1))
    room = {"centreline": 600 + PIXEL / 10, "variable box": 600 * (1.3**2 - 1) + PIXEL / 10, "bow": bowed}
    for method in EVERY:
        found = terminus.positions(moved, method, box=boxes, centreline=lines, upglacier=heads, spacing=50.0)
        last = found.groupby("rgi_id").position_m.last()
        most = room.get(method, PIXEL / 10)
        assert (last - pd.Series(true)).abs().max() < most
        sure = pd.Series(true).abs() > most
        assert (np.sign(last) == np.sign(pd.Series(true)))[sure].all() and sure.sum() > 500


def test_backwards_in_time_is_minus():
    lines = [front(0.0, 100), front(-431.0, -50)]
    for method in EVERY:
        there = terminus.positions(frame(lines), method, box=box(), centreline=flow())
        back = terminus.positions(frame(lines[::-1]), method, box=box(), centreline=flow())
        for column in ("position_m", "rate_m_a", "swept_area_m2")[: 2 if method == "centreline" else 3]:
            assert there[column].iloc[-1] == -back[column].iloc[-1] < 0, (method, column)


def test_rates_and_the_parts_of_the_uncertainty():
    lines = frame([front(0), front(120.0), front(90.0)])
    for method in EVERY:
        found = terminus.positions(lines, method, centreline=flow(), width=2 * HALF, pixel=PIXEL, georeferencing=7.0)
        steps = found.position_m.diff() / (12 / 365.25)
        assert found.rate_m_a.to_numpy() == pytest.approx(steps.to_numpy(), nan_ok=True) and np.isnan(found.rate_m_a[0])
        parts = found[["pixel_error_m", "georeferencing_error_m", "method_error_m"]]
        assert found.uncertainty_m.to_numpy() == pytest.approx(np.sqrt((parts**2).sum(axis=1)).to_numpy())
        assert (parts.georeferencing_error_m == 7.0).all() and (parts.pixel_error_m > 0).all()
        assert found.swept_area_m2.to_numpy() == pytest.approx((found.position_m * found.width_m).to_numpy())
    same_day = terminus.positions(lines.assign(time=pd.Timestamp("2020-01-01")), "box", centreline=flow(), width=2000.0)
    assert same_day.rate_m_a.isna().all()


def test_upglacier_point_or_centreline_and_nothing_else():
    lines = frame([front(0), front(500)])
    west, east = ((MIDDLE[0] - 9000, MIDDLE[1]), (MIDDLE[0] + 9000, MIDDLE[1] + 100))
    assert terminus.positions(lines, "box", box=box(), upglacier=west).position_m.iloc[-1] == pytest.approx(500)
    assert terminus.positions(lines, "box", box=box(), upglacier=east).position_m.iloc[-1] == pytest.approx(-500)
    oblique = (MIDDLE[0] - 2000, MIDDLE[1] + 4000)  # nearer to a side than to an end: the fronts tell sides from ends
    assert terminus.positions(lines, "box", box=box(), upglacier=oblique).position_m.iloc[-1] == pytest.approx(500)
    with pytest.raises(ValueError, match="up-glacier"):
        terminus.positions(lines, "box", box=box())


def test_a_point_among_the_fronts_is_no_reference():
    lines = frame([front(500), front(-900)])
    among = tuple(turn([(-100, 0)], 0)[0])
    for call in (
        lambda: terminus.draw_box(lines, among),
        lambda: terminus.positions(lines, box=box(), upglacier=among),
    ):
        with pytest.raises(ValueError, match="among the fronts"):
            call()


def test_a_front_that_passes_a_side_several_times():
    """It bulges 100 m out of the box's northern side, 600 m down-glacier of where it crosses, and comes back in."""
    straight = shapely.LineString(turn([(0, -1300), (0, 1300)], 0))
    hook = [(0, -1300), (0, 900), (600, 900), (600, 1100), (800, 1100), (800, 700), (900, 700), (900, 1300)]
    found = terminus.positions(
        frame([straight, shapely.LineString(turn(hook, 0))]), "box", box=box(), centreline=flow()
    )
    # ice below the hook: 0-600 x 900-1000 is water inside the box, 800-900 x 700-1000 ice again on its far side
    assert found.swept_area_m2.iloc[-1] == pytest.approx(_hook_area(hook))
    assert "2 pieces" in found.note.iloc[-1]


def _hook_area(hook):
    """Ice gained in the box, by pixels of one metre coloured by how many times the front lies up-glacier of them."""
    x, y = np.meshgrid(np.arange(-2999.5, 3000), np.arange(600.5, 1000))
    passed = np.zeros(x.shape, int)
    for (x0, y0), (_, y1) in itertools.pairwise(hook):
        if y0 != y1:  # a step across flow
            passed += (x > x0) & (y > min(y0, y1)) & (y < max(y0, y1))
    return float((passed % 2 == 0).sum() - (x < 0).sum())


@pytest.mark.parametrize(("line", "why"), [
    ([(0, -1300), (0, 700)], "refused: stops 300 m short of a side"),
    ([(0, -1300), (0, -300)], "refused: stops 700 m short of a side"),
    ([(9000, -1300), (9000, 1300)], "refused: outside the box by 6000 m"),
    ([(0, -1300), (0, 0), (4000, 0)], "refused: leaves the box at its seaward end"),
    ([(0, -1300), (0, 0), (-4000, 0)], "refused: leaves the box at its up-glacier end"),
    ([(0, 1300), (0, 500), (300, 500), (300, 1300)], "refused: only cuts a side"),
])  # fmt: skip
def test_fronts_that_a_box_cannot_measure_are_refused_by_name(line, why):
    lines = frame([front(0), shapely.LineString(turn(line, 0)), front(70)])
    found = terminus.positions(lines, "box", box=box(), upglacier=flow().coords[0])
    assert found.note.iloc[1] == why and np.isnan(found.position_m.iloc[1]) and np.isnan(found.uncertainty_m.iloc[1])
    assert found.position_m.iloc[2] == pytest.approx(70)


def test_short_gaps_are_bridged_and_told():
    short = shapely.LineString(turn([(50, -1300), (50, 850)], 0))
    torn = shapely.MultiLineString([turn([(50, -1300), (50, 0)], 0), turn([(50, 120), (50, 1300)], 0)])
    found = terminus.positions(frame([front(0), short, torn]), "box", box=box(), centreline=flow(), pixel=PIXEL)
    assert found.position_m.to_numpy() == pytest.approx([0, 50, 50], abs=1e-6)
    assert list(found.note) == ["", "gaps of 150 m bridged", "gaps of 120 m bridged"]
    # a gap's line may run at 45 degrees: half of its square
    sure = found.uncertainty_m.iloc[0]
    assert found.uncertainty_m.iloc[1] == pytest.approx(np.hypot(sure, 150**2 / 2 / (2 * HALF)), rel=1e-5)


def test_loose_pieces_that_close_nothing_do_not_count():
    berg = turn([(1500, 0), (1500, 100)], 0)
    lines = shapely.MultiLineString([front(80).coords, berg])
    found = terminus.positions(frame([front(0), lines]), "box", box=box(), centreline=flow())
    assert found.position_m.iloc[1] == pytest.approx(80)


def test_centreline_takes_the_most_seaward_crossing():
    zigzag = shapely.LineString(turn([(0, -1300), (0, 100), (400, -100), (800, 100), (800, 1300)], 0))
    found = terminus.positions(frame([front(0), zigzag, front(0, n=2, half=0.5).parallel_offset(0)]), "centreline",
                               centreline=flow(), pixel=PIXEL)  # fmt: skip
    assert found.position_m.iloc[1] == pytest.approx(600) and "3 crossings" in found.note.iloc[1]
    past = shapely.LineString(turn([(0, 200), (0, 1300)], 0))
    missed = terminus.positions(frame([front(0), past]), "centreline", centreline=flow())
    assert missed.note.iloc[1] == "refused: passes the centreline by 200 m"


def test_a_glacier_without_its_box_is_refused_not_lost():
    lines = pd.concat([frame([front(0), front(100)], name) for name in ("a", "b")])
    boxes = gpd.GeoDataFrame({"rgi_id": ["a"]}, geometry=[box()], crs=CRS)
    found = terminus.positions(lines, "box", box=boxes, upglacier=flow().coords[0]).set_index("rgi_id")
    assert len(found) == 4 and found.loc["b", "note"].str.contains("refused: no box").all()


@pytest.mark.parametrize("method", sorted(EVERY))
def test_a_glacier_without_its_centreline_is_refused_not_lost(method):
    lines = pd.concat([frame([front(0), front(100)], name) for name in ("a", "b")])
    along = gpd.GeoDataFrame({"rgi_id": ["a"]}, geometry=[flow()], crs=CRS)
    found = terminus.positions(lines, method, centreline=along, width=2 * HALF).set_index("rgi_id")
    assert len(found) == 4 and found.loc["b", "note"].str.contains("refused: no .*centreline").all()
    assert found.loc["a", "position_m"].notna().all()


@pytest.mark.parametrize("bend", [0.0, 0.6])
def test_a_box_is_drawn_along_a_centreline_of_given_width(bend):
    path = shapely.LineString(turn([(-6000, bend * 1000), (-4000, 0), (4000, 0), (6000, bend * 1000)], 0))
    lines = frame([front(x, 150) for x in (0, 300, -200)])
    found = terminus.positions(lines, "box", centreline=path, width=2 * HALF)
    assert found.position_m.to_numpy() == pytest.approx([0, 300, -200], abs=PIXEL / 10)
    assert found.width_m.to_numpy() == pytest.approx(2 * HALF)


@pytest.mark.parametrize("angle", [0.3, 2.0, 4.5])
def test_box_and_centreline_drawn_from_fronts_alone(angle):
    true = [0.0, -300.0, -500.0, -1200.0]
    lines = frame([front(x, 0, angle, half=HALF * (1 + n / 10)) for n, x in enumerate(true)])
    head = tuple(turn([(-9000, 2000)], angle)[0])
    drawn, line = terminus.draw_box(lines, head), terminus.draw_centreline(lines, head)
    for method in ("box", "centreline"):
        found = terminus.positions(lines, method, box=drawn, centreline=line, upglacier=head)
        assert found.position_m.to_numpy() == pytest.approx(np.array(true), abs=PIXEL / 10)
    assert found.note.eq("").all() and terminus.positions(lines, "box", drawn, line).position_m.iloc[-1] < 0
    narrow = terminus.positions(lines, "box", terminus.draw_box(lines, head, width=500), upglacier=head)
    assert narrow.width_m.iloc[0] == pytest.approx(500)
    one = terminus.draw_box(lines.iloc[:1], head).geometry.item()  # a single front: across it
    assert one.contains(lines.geometry.iloc[0].interpolate(0.5, normalized=True))


def test_a_front_without_geometry_draws_nothing_and_its_glacier_is_not_lost():
    lines = pd.concat([frame([front(0), shapely.LineString(), None, front(300)]), frame([None], "b")])
    drawn = terminus.draw_box(lines, flow().coords[0]).set_index("rgi_id")
    whole = terminus.draw_box(frame([front(0), front(300)]), flow().coords[0])
    assert drawn.geometry["a"].equals(whole.geometry.item())
    assert drawn.geometry["b"] is None and drawn.note["b"].startswith("none of its 1 fronts has a geometry")


def test_a_number_names_the_glacier_that_its_text_does():
    boxes = gpd.GeoDataFrame({"rgi_id": ["3"]}, geometry=[box()], crs=CRS)
    found = terminus.positions(frame([front(0), front(50)], 3), box=boxes, upglacier=flow().coords[0])
    assert found.position_m.tolist() == pytest.approx([0, 50])


def test_uncertainty_covers_noise_of_a_pixel():
    rng = np.random.default_rng(3)
    n, noisy = 81, []
    for _ in range(200):
        blocks = np.repeat(rng.normal(0, PIXEL, 30), 10)[:260]  # alike over ten pixels
        across = np.arange(-1300, 1300, PIXEL)
        noisy.append(shapely.LineString(turn(np.stack([blocks + rng.normal(0, PIXEL / 2), across], axis=1), 0)))
    found = terminus.positions(frame([front(0, n=n), *noisy]), "box", box=box(), centreline=flow(), pixel=PIXEL)
    assert found.position_m.iloc[1:].std() == pytest.approx(found.uncertainty_m.iloc[-1], rel=0.2)


def test_an_oblique_front_is_less_sure_along_the_centreline():
    slanted = shapely.LineString(turn([(-1000, -1000), (1000, 1000)], 0))
    found = terminus.positions(frame([front(0), slanted]), "centreline", centreline=flow(), pixel=PIXEL)
    straight, slant = found.uncertainty_m
    assert straight == pytest.approx(np.hypot(PIXEL, PIXEL / 2), rel=1e-6)
    assert slant == pytest.approx(np.hypot(PIXEL * np.sqrt(2), PIXEL / 2), rel=1e-6)


def test_metres_on_the_ground_in_polar_stereographic():
    local = gpd.GeoSeries([front(0), front(1000)], crs=CRS).translate(0, 1_500_000)
    fronts = gpd.GeoDataFrame(
        frame([front(0), front(1000)]).drop(columns="geometry"), geometry=local.to_numpy(), crs=CRS
    )
    line = gpd.GeoDataFrame({"rgi_id": ["a"]}, geometry=[shapely.affinity.translate(flow(), 0, 1_500_000)], crs=CRS)
    polar = terminus.positions(fronts.to_crs(3413), "centreline", centreline=line)
    assert polar.position_m.iloc[1] == pytest.approx(1000 / 0.9996, rel=1e-3)  # UTM is 0.04 % small on its meridian
    planar = fronts.to_crs(3413).geometry
    assert abs(planar.iloc[0].distance(planar.iloc[1]) / 1000 - 1) > 0.01


def test_bad_input_is_refused_in_one_line():
    lines = frame([front(0), front(100)])
    undated = lines.assign(time=[lines.time[0], pd.NaT])
    for call, why in (
        (lambda: terminus.positions(undated, box=box()), "1 of 2 fronts have no date, the first in row 1, of a: set"),
        (
            lambda: terminus.positions(lines.assign(rgi_id=["a", None]), box=box()),
            r"1 of 2 fronts have no glacier, the first in row 1, of 2015-09-11.*: set their column rgi_id",
        ),
        (lambda: terminus.draw_box(lines.assign(rgi_id=[None, "a"]), flow()), r"fronts\.dropna\(subset='rgi_id'\)"),
        (lambda: terminus.across(undated, centreline=flow(), width=500.0), r"fronts\.dropna\(subset='time'\)"),
        (lambda: terminus.positions(lines, "oxbow"), "one of box, curvilinear box, variable box, centreline"),
        (lambda: terminus.positions(lines.to_crs(4326), "centreline", centreline=flow()), "EPSG:326"),
        (lambda: terminus.positions(lines.drop(columns="rgi_id")), "rgi_id"),
        (lambda: terminus.positions(lines, box=flow().buffer(500), upglacier=flow().coords[0]), "four"),
        (lambda: terminus.draw_box(lines, None), "up-glacier"),
        (lambda: terminus.positions(lines, "curvilinear box", centreline=flow()), "no width"),
        (lambda: terminus.positions(lines, "bow"), "no width"),
        (lambda: terminus.positions(lines, "variable box"), "no centreline"),
        (
            lambda: terminus.positions(lines, "transects", centreline=flow(), width=500.0, spacing=900.0),
            "below the width",
        ),
        (lambda: terminus.positions(lines, box=box(), upglacier=shapely.Point()), "upglacier is POINT EMPTY"),
        (lambda: terminus.positions(lines, box=box(), upglacier=(np.nan, 1.0)), r"upglacier is POINT \(NaN 1\)"),
        (
            lambda: terminus.positions(
                lines, box=shapely.Polygon(np.array(box().exterior.coords)[[0, 2, 1, 3]]), upglacier=flow().coords[0]
            ),
            "a box crosses itself",
        ),
        (lambda: terminus.positions(lines.assign(time="some day"), box=box(), upglacier=(0, 0)), "have no date"),
        (lambda: terminus.positions(lines, centreline=flow(), width=-500.0), "width=-500.0: give metres above 0"),
        (lambda: terminus.positions(lines, centreline=flow(), width=500.0, pixel=-3.0), "pixel=-3.0"),
        (lambda: terminus.positions(lines, box=box(), upglacier=(15.1, 63.2)), "upglacier at 15.1, 63.2 is in degrees"),
        (lambda: terminus.across(lines, "box", centreline=flow(), width=500.0), "no lines across"),
    ):
        with pytest.raises(ValueError, match=why) as error:
            call()
        assert "\n" not in str(error.value)
    nowhere, afar = lines.assign(geometry=[None, shapely.LineString()]), shapely.affinity.translate(flow(), 0, 90_000)
    for method in EVERY:
        with pytest.raises(ValueError, match=r"^a: none of its 2 fronts has a geometry"):
            terminus.positions(nowhere, method, centreline=flow(), width=500.0)
        try:
            found = terminus.positions(lines, method, centreline=afar, width=500.0)
            assert found.note.str.match(r"refused: (outside|passes).* by \d+ m$").all()
        except ValueError as error:
            assert str(error).startswith("a: no front crosses a box 500 m wide there")
    twice = gpd.GeoDataFrame({"rgi_id": ["a", "a"]}, geometry=[box(), flow().buffer(9)], crs=CRS)
    with pytest.raises(ValueError, match="box has 2 rows of a: keep one"):
        terminus.positions(lines, box=twice, upglacier=flow().coords[0])
    assert len(terminus.positions(lines.iloc[:0], "box", box=box(), centreline=flow())) == 0


MOLTKE_UPGLACIER = (-558_000.0, -1_351_000.0)  # EPSG:3413; up the trunk, south-east of the box in the base map


def test_all_fronts_of_harald_moltke_through_every_method(data):
    fronts = readers.harald_moltke(data / "harald_moltke_brae")
    box = readers.harald_moltke_box(data / "harald_moltke_brae")
    tables = [
        terminus.positions(fronts, row.name, box=box, upglacier=MOLTKE_UPGLACIER, pixel=30.0)
        for row in terminus.METHODS
    ]
    for table in tables:
        assert len(table) == 159 and table.position_m.notna().all() and table.position_m.iloc[-1] < -1500
        assert table[["width_m", "swept_area_m2", "uncertainty_m"]].notna().all(axis=None)
        assert table.rate_m_a.notna().sum() == 158
    found = terminus.agreement(tables).set_index(["method_a", "method_b"])
    assert len(found) == 21 and (found.n == 159).all()
    assert found.r["box", "multi-centreline"] > 0.995 and found.r["box", "curvilinear box"] > 0.995
    # they measure one thing by area and by lines: apart by no more than either is sure of
    sure = np.hypot(tables[0].uncertainty_m, tables[4].uncertainty_m).median()
    assert found.rms_m["box", "multi-centreline"] < sure
    # a single centreline is lower: it sees one place, and the places of the front move apart from each other
    assert 0.9 < found.r["box", "centreline"] < found.r.drop([("box", "centreline")])["box"].min()
    lines = terminus.across(fronts, "transects", box=box, upglacier=MOLTKE_UPGLACIER, pixel=30.0)
    wide = lines.pivot_table("position_m", "time", "offset_m").interpolate(limit_direction="both")
    alone = wide.corrwith(tables[0].set_index("time").position_m)
    assert alone.max() < found.r["box", "transects"] and wide.std(axis=1).median() > 3 * sure


def test_a_front_seen_in_part_turns_no_box():
    """Fronts across a valley from west to east, 100 m apart, each seen in another half: ice still flows south."""
    parts = [(0, 1000), (0, 450), (550, 1000), (0, 1000)]
    lines = [shapely.LineString([(x, 100 * n) for x in np.arange(a, b + 1, 50)]) for n, (a, b) in enumerate(parts)]
    fronts = gpd.GeoDataFrame({"rgi_id": "a", "time": pd.to_datetime([f"202{n}-08-20" for n in range(4)])},
                              geometry=lines, crs="EPSG:32633")  # fmt: skip
    found = terminus.draw_centreline(fronts, (500, 5000)).geometry[0]
    (x0, y0), (x1, y1) = found.coords
    assert abs(x1 - x0) < 1e-6 * abs(y1 - y0) and y0 > y1


def test_what_is_no_line_is_refused_by_name_and_the_rest_is_measured():
    good = front(0)
    with np.errstate(invalid="ignore"):
        spoilt = shapely.LineString([good.coords[0], (np.nan, 0), good.coords[-1]])
    wrong = {"a Point, no line": shapely.Point(good.coords[0]), "a Polygon, no line": good.buffer(5),
             "a place on it is no number": spoilt, "no front": shapely.LineString()}  # fmt: skip
    lines = frame([good, *wrong.values(), front(50)])
    for method in EVERY:
        found = terminus.positions(lines, method, centreline=flow(), width=500.0)
        assert found.note[1:-1].tolist() == [f"refused: {why}" for why in wrong], method
        assert found.position_m.notna().tolist() == [True, *[False] * 4, True], method


def test_a_box_of_one_part_and_dates_as_text_are_taken():
    lines = frame([front(0), front(50)])
    said = terminus.positions(lines, "box", box=box(), upglacier=flow().coords[0])
    parts = terminus.positions(lines, "box", box=shapely.MultiPolygon([box()]), upglacier=flow().coords[0])
    pd.testing.assert_frame_equal(parts, said)
    text = lines.assign(time=lines.time.dt.strftime("%d.%m.%Y"))
    told = terminus.positions(text, "box", box=box(), upglacier=flow().coords[0])
    assert told.time.tolist() == said.time.dt.normalize().tolist() and told.position_m.equals(said.position_m)
