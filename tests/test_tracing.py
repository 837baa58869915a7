"""Every published tracer on a fjord whose front is known, on its own rules, and on real fronts."""

import functools

import geopandas as gpd
import numpy as np
import odc.geo.xr
import pytest
import shapely
import torch
import xarray as xr
from odc.geo.geobox import GeoBox
from PIL import Image
from scipy.spatial import cKDTree
from skimage.morphology import skeletonize

from glacier_nb import metrics, paths, readers, tracing, vectorize
from glacier_nb.sides import off
from glacier_nb.systems_front import line_and_sides

PIXEL = 20.0
ROWS, COLUMNS = 120, 160
WEST, NORTH = 500_000.0, 7_000_000.0
GRID = GeoBox((ROWS, COLUMNS), odc.geo.geom.Affine(PIXEL, 0, WEST, 0, -PIXEL, NORTH), "EPSG:32633")
ROW, COLUMN = np.mgrid[:ROWS, :COLUMNS] + 0.5
WALLS = (20.0, 140.0)  # the fjord's sides, columns
FACTS = {"time": "2020-08-30T10:20:00Z", "system": "drawn", "sensor": "none"}
TRACERS = ("minimum_cost", "spanning_tree", "ridge", "contour", "boundary", "water_edge", "coastline")


def ends_at(column, bulge=12.0):
    """Row at which the ice ends, from the north, in each column."""
    return 60 + bulge * np.cos((np.asarray(column) - 80) / 25)


def to_map(x, y):
    x, y = np.broadcast_arrays(x, y)
    return np.stack([WEST + x * PIXEL, NORTH - y * PIXEL], axis=-1)


def truth(walls=WALLS):
    x = np.linspace(*walls, 400)
    return shapely.LineString(to_map(x, ends_at(x)))


def layer(values, names=None, grid=GRID):
    values = np.asarray(values, dtype="float32")
    coords = odc.geo.xr.xr_coords(grid)
    if names is None:
        return xr.DataArray(values, coords, ("y", "x"), attrs=FACTS)
    return xr.DataArray(values, {"zone": list(names), **coords}, ("zone", "y", "x"), attrs=FACTS)


def zones(width=0.7, rock=True):
    """A fjord between walls of rock: ice in the north, ocean in the south, each edge `width` pixels wide."""
    ice = 1 / (1 + np.exp((ROW - ends_at(COLUMN)) / width))
    inside = ((WALLS[0] < COLUMN) & (WALLS[1] > COLUMN)) if rock else np.ones_like(ice)
    return layer([1 - inside, ice * inside, (1 - ice) * inside], ("rock", "glacier", "ocean"))


@functools.cache
def away(walls):
    """Distance (pixels) of each pixel from the front between `walls`."""
    x = np.linspace(*walls, 5 * int(walls[1] - walls[0]))
    line = np.stack([ends_at(x), x], axis=-1)
    return cKDTree(line).query(np.stack([ROW, COLUMN], axis=-1))[0]


def front(width=1.0, walls=WALLS):
    """A front map: a ridge along the front, from wall to wall."""
    return layer(np.exp(-((away(walls) / width) ** 2) / 2))


def fjord(names=("a",), sides=(WALLS,)):
    boxes = [shapely.Polygon(to_map([w, e, e, w], [5, 5, 115, 115])) for w, e in sides]
    return gpd.GeoDataFrame({"rgi_id": list(names)}, geometry=boxes, crs="EPSG:32633")


def wall_lines(walls=WALLS, rgi_id=None):
    lines = [shapely.LineString(to_map([x, x], [0, ROWS])) for x in walls]
    return gpd.GeoDataFrame({} if rgi_id is None else {"rgi_id": [rgi_id] * 2}, geometry=lines, crs="EPSG:32633")


def trace(name, flip=lambda thing: thing, **options):
    """A tracer's frame on the fjord, by what it takes."""
    takes = front() if name in ("minimum_cost", "spanning_tree", "ridge") else zones()
    if name == "minimum_cost":
        options.setdefault("margin", (0, int(WALLS[0])))
    if name == "coastline":
        takes = zones(rock=False)
    return getattr(tracing, name)(flip(takes), **options)


# Half a pixel's diagonal for lines through pixel centres or along their edges; a whole one where the published
# procedure marks the pixels on one side of the edge; below the pixel for contours; a pixel more where it simplifies.
REACH = dict.fromkeys(("minimum_cost", "spanning_tree", "ridge", "boundary"), np.sqrt(0.5)) | {
    "water_edge": np.sqrt(2),
    "contour": 0.1,
    "coastline": 1.0,
}


@pytest.mark.parametrize("name", TRACERS)
def test_every_tracer_finds_the_front(name):
    found = trace(name, divides=fjord() if name != "minimum_cost" else None)
    line = found.geometry.item().intersection(fjord().geometry.item().buffer(-2 * PIXEL))
    there = metrics.front_deviation(line, truth(), PIXEL / 4)
    assert there.mean_a_to_b < REACH[name] * PIXEL
    whole = truth((WALLS[0] + 4, WALLS[1] - 4))  # thinning eats the ends by the line's half width
    assert metrics.front_deviation(whole, line, PIXEL / 4).mean_a_to_b < REACH[name] * PIXEL
    columns = ["rgi_id", "time", "system", "sensor", "geometry", "pixel_m"]
    assert list(found.columns) == columns and found.crs == "EPSG:32633"
    row = found.iloc[0]
    assert (row.system, row.pixel_m, row.time) == ("drawn", PIXEL, np.datetime64("2020-08-30T10:20"))


@pytest.mark.parametrize("turn", ["x", "y"])
@pytest.mark.parametrize("name", TRACERS)
def test_flipped_in_is_flipped_out(name, turn):
    def flip(thing):
        axis = list(thing.dims).index(turn)
        return thing.copy(data=np.flip(thing.values, axis))

    line, back = trace(name).geometry.item(), trace(name, flip).geometry.item()
    middle = (WEST + COLUMNS * PIXEL / 2, NORTH - ROWS * PIXEL / 2)
    sign = (-1.0, 1.0) if turn == "x" else (1.0, -1.0)
    back = shapely.affinity.scale(back, *sign, origin=middle)
    # equally good ways may differ by a pixel where the map is symmetric but the search is not
    assert metrics.front_deviation(line, back, PIXEL / 4).mean < 0.5 * PIXEL


@pytest.mark.parametrize("name", TRACERS)
def test_moved_in_is_moved_out(name):
    moved = GeoBox(GRID.shape, odc.geo.geom.Affine(PIXEL, 0, WEST + 1e5, 0, -PIXEL, NORTH + 3e4), "EPSG:32633")

    def move(thing):
        return layer(thing.values, thing.zone.values if "zone" in thing.dims else None, moved)

    line, there = trace(name).geometry.item(), trace(name, move).geometry.item()
    assert shapely.affinity.translate(line, 1e5, 3e4).equals_exact(there, 1e-6)


@pytest.mark.parametrize("name", TRACERS)
def test_what_was_not_seen_is_a_gap(name):
    def cloud(thing):
        values = thing.values.copy()
        values[..., 70:90] = np.nan
        return thing.copy(data=values)

    line = trace(name, cloud, **({"min_length": 300.0} if name in ("ridge", "water_edge") else {})).geometry.item()
    hidden = shapely.box(*to_map(70, ROWS), *to_map(90, 0))
    assert line.intersection(hidden).length < 1e-6
    assert line.intersection(fjord().geometry.item()).length > 40 * PIXEL


@pytest.mark.parametrize("name", TRACERS)
def test_nothing_there_is_an_empty_frame(name):
    nothing = layer(np.zeros((ROWS, COLUMNS)))
    if name in ("contour", "boundary", "water_edge", "coastline"):
        nothing = layer(np.stack([nothing, nothing, 1 - nothing]), ("rock", "glacier", "ocean"))
    for divides in (None, fjord()):
        found = getattr(tracing, name)(nothing, divides=divides)
        assert len(found) == 0 and "pixel_m" in found and found.crs == "EPSG:32633"


@pytest.mark.parametrize("name", TRACERS)
def test_degrees_are_refused(name):
    grid = GeoBox.from_bbox((-20, 70, -19, 70.5), "EPSG:4326", shape=(ROWS, COLUMNS))
    thing = odc.geo.xr.wrap_xr(zones().values, grid, axis=1, dims=("zone", "latitude", "longitude"))
    thing = thing.assign_coords(zone=["rock", "glacier", "ocean"])
    if name in ("minimum_cost", "spanning_tree", "ridge"):
        thing = thing.isel(zone=0, drop=True)
    with pytest.raises(ValueError, match="need metres"):
        getattr(tracing, name)(thing)


def two_fronts():
    """Two fjords side by side with a ridge of rock between, each with a front of its own."""
    sides = ((10.0, 70.0), (90.0, 150.0))
    ice = zones(rock=False).values[1]
    inside = sum(((w < COLUMN) & (e > COLUMN)).astype(float) for w, e in sides)
    both = layer([1 - inside, ice * inside, (1 - ice) * inside], ("rock", "glacier", "ocean"))
    edges = np.maximum(*(front(walls=side).values for side in sides))
    return sides, both, layer(edges)


@pytest.mark.parametrize("name", ["spanning_tree", "ridge", "contour", "boundary"])
def test_divides_name_the_fronts_and_keep_them_apart(name):
    sides, both, edges = two_fronts()
    inner = [(w + 2, e - 2) for w, e in sides]
    found = getattr(tracing, name)(
        edges if name in ("spanning_tree", "ridge") else both, divides=fjord(("west", "east"), inner)
    )
    assert sorted(found.rgi_id) == ["east", "west"]
    for rgi_id, side in zip(("west", "east"), inner, strict=True):
        line = found.set_index("rgi_id").geometry[rgi_id]
        true = truth((side[0] + 3, side[1] - 3))
        assert metrics.front_deviation(true, line, PIXEL / 4).mean_a_to_b < PIXEL
        assert fjord(("a",), (side,)).geometry.item().buffer(1e-6).covers(line)


def test_the_cheapest_path_runs_from_wall_to_wall_of_each_fjord():
    sides, _, edges = two_fronts()
    walls = [wall_lines(side, name) for side, name in zip(sides, ("west", "east"), strict=True)]
    walls = gpd.GeoDataFrame(gpd.pd.concat(walls, ignore_index=True), crs="EPSG:32633")
    found = tracing.minimum_cost(edges, walls=walls).set_index("rgi_id")
    for name, side in zip(("west", "east"), sides, strict=True):
        line = found.geometry[name]
        # an end may be any 50th of 1000 points: half of 120 pixels / 20 away along the wall, then back to the front
        assert metrics.front_deviation(truth(side), line, PIXEL / 4).mean_a_to_b < PIXEL
        ends = shapely.get_coordinates(line)[[0, -1], 0]
        assert np.abs(np.sort(ends) - to_map(np.array(side), 0)[:, 0]).max() <= PIXEL
    with pytest.raises(ValueError, match="east has 1 walls: give two lines"):
        tracing.minimum_cost(edges, walls=walls.iloc[:3])
    with pytest.raises(ValueError, match="a wall lies outside the map"):
        tracing.minimum_cost(edges, walls=walls.translate(1e6).to_frame("geometry").iloc[:2])


def test_a_path_through_nothing_is_no_front():
    faint = front() * 0.4
    assert len(tracing.minimum_cost(faint)) == 0 and len(tracing.minimum_cost(faint, least=0.3)) == 1


def test_a_spanning_tree_drops_small_bodies_and_bridges_small_gaps():
    edges = front()
    edges.values[:, 78:81] = 0  # a gap of three pixels, which a straight front would go on through
    edges.values[5:9, 30:32] = 1  # 8 pixels of 19 200: over 0.025 %, under 15 % of the largest
    line = tracing.spanning_tree(edges).geometry.item()
    assert line.geom_type == "LineString"
    assert line.bounds[3] < to_map(0, 30)[1] and line.length > 100 * PIXEL
    alone = layer(np.where(front().values > 2, 1.0, 0.0))
    alone.values[60, 60:69] = 1  # nine pixels
    assert len(tracing.spanning_tree(alone)) == 0
    alone.values[60, 60:75] = 1
    assert len(tracing.spanning_tree(alone)) == 1


def test_a_stretch_along_the_wall_is_no_front():
    sides = wall_lines((20.5, 139.5))  # through pixels, so that each is the other's mirror
    edge = np.zeros((ROWS, COLUMNS), bool)
    edge[60, 20:140] = True
    edge[60:110, 24] = True  # fifty pixels, four from the western wall
    kept = off(edge, sides, GRID)
    assert not kept[66:, :].any()
    assert kept[60, 40:120].all() and kept.sum() > 100
    straight = edge.copy()
    straight[61:] = False
    np.testing.assert_array_equal(off(straight, sides, GRID), straight)
    turned = off(edge[:, ::-1], sides, GRID)
    np.testing.assert_array_equal(turned[:, ::-1], kept)
    assert not off(np.zeros_like(edge), sides, GRID).any()


@pytest.mark.parametrize("bend", [0.0, 0.1])
def test_a_contour_comes_back_from_its_map_below_the_pixel(bend):
    """A straight line but for its ends to float32; an arc of 63 chords nearly so."""
    across = np.linspace(-1, 1, 64)
    drawn = np.stack([0.2 * across + 0.03 + bend * across**2, across], axis=1)
    map_ = line_and_sides(torch.tensor(drawn[None]), torch.tensor([ROWS, COLUMNS]))["front"][0, 0].numpy()
    pixels = (drawn + 1) * (np.array([ROWS, COLUMNS]) - 1) / 2 + 0.5
    true = shapely.LineString(to_map(*pixels.T[::-1]))
    fine, coarse = (one(layer(map_)).geometry.item() for one in (tracing.vertices, functools.partial(
        tracing.ridge, threshold=0.5, min_length=0)))  # fmt: skip
    worst = shapely.hausdorff_distance(fine, true.intersection(fine.buffer(PIXEL)), densify=0.5)
    points = shapely.distance(shapely.points(shapely.get_coordinates(fine)), true) / PIXEL
    assert fine.geom_type == "LineString" and worst < 2 * PIXEL  # from end to end
    assert points[1:-1].max() < (1e-4 if bend == 0 else 0.02) and points.max() < 0.02
    rough = shapely.distance(shapely.points(shapely.get_coordinates(coarse)), true) / PIXEL
    assert points.max() < rough.max() / 10


def test_a_polygon_under_500_pixels_has_no_boundary():
    map_ = zones()
    map_.values[:, 90:112, 60:82] = np.array([0, 1, 0])[:, None, None]  # 484 pixels of ice adrift
    one = tracing.boundary(map_, divides=fjord()).geometry.item()
    assert one.bounds[1] > to_map(0, 80)[1]
    two = tracing.boundary(map_, divides=fjord(), min_pixels=484).geometry.item()
    assert two.length == pytest.approx(one.length + 4 * 22 * PIXEL)


def test_only_fronts_over_750_metres_of_the_largest_ocean_count():
    map_ = zones()
    map_.values[:, 100:104, 40:60] = np.array([0, 1, 0])[:, None, None]  # a floe: a hole in the ocean
    map_.values[:, 20:30, 60:100] = np.array([0, 0, 1])[:, None, None]  # a lake on the glacier
    line = tracing.water_edge(map_).geometry.item()
    assert line.geom_type == "LineString"
    assert to_map(0, 76)[1] < line.bounds[1] and line.bounds[3] < to_map(0, 40)[1]
    # pixels on the front, one or more a column: just over 120 of 20 m
    count = len(shapely.get_coordinates(line))
    assert len(tracing.water_edge(map_, min_length=(count + 30) * PIXEL)) == 0


def test_a_front_map_keeps_the_longest_way_of_each_body_over_750_metres():
    edges = front().values
    edges[int(ends_at(80)) - 20 : int(ends_at(80)), 80] = 1  # a branch
    edges[100, 20:57] = 1  # 37 pixels of 20 m: 740 m
    line = tracing.ridge(layer(edges)).geometry.item()
    assert line.geom_type == "LineString" and line.bounds[3] <= to_map(0, 46)[1]
    edges[100, 20:59] = 1  # 780 m
    assert len(tracing.ridge(layer(edges)).geometry.item().geoms) == 2
    assert len(tracing.ridge(layer(edges), threshold=1.1)) == 0


def test_as_many_contours_as_a_glacier_has_fronts():
    sides, both, _ = two_fronts()
    region = fjord(("both",), ((12.0, 148.0),))
    assert tracing.contour(both, region).geometry.item().geom_type == "LineString"
    two = tracing.contour(both, region, most=2).geometry.item()
    for w, e in sides:
        assert metrics.front_deviation(truth((w + 4, e - 4)), two, PIXEL).mean_a_to_b < PIXEL / 10


def test_a_coast_has_no_islands_no_holes_and_fewer_points():
    map_ = zones(rock=False)
    map_.values[:, 90:110, 60:80] = np.array([1, 0, 0])[:, None, None]
    map_.values[:, 10:20, 60:80] = np.array([0, 0, 1])[:, None, None]
    line = tracing.coastline(map_).geometry.item()
    assert line.geom_type == "LineString"
    fine = tracing.coastline(map_, tolerance=0.0).geometry.item()
    assert len(line.coords) < len(fine.coords) / 4
    assert shapely.hausdorff_distance(line, fine, densify=0.05) <= PIXEL


# Real fronts ---------------------------------------------------------------------------------------------------------


@functools.cache
def labels(folder, kind):
    """Every eighth real label as a front map on a grid of 48.9 m, with its thinned pixels, in order, as the truth."""
    found = []
    for path in sorted((folder / kind).glob("*.png"))[::8]:
        mask = np.asarray(Image.open(path).convert("L")) < 128
        grid = GeoBox(mask.shape, odc.geo.geom.Affine(48.9, 0, 0, 0, -48.9, 0), "EPSG:3413")
        found.append((layer(mask, grid=grid), paths.longest(skeletonize(mask))[0]))
    return found


# The label's middle, and what lies nearer than its edge: a path may cut corners within three pixels' width.
@pytest.mark.parametrize(("kind", "reach"), [("labels", np.sqrt(2)), ("labels_1px", 1.0)])
@pytest.mark.parametrize("name", ["minimum_cost", "spanning_tree", "ridge"])
def test_real_labels_come_back_within_a_pixel(data, name, kind, reach):
    fronts = labels(data / "frontlearning" / "train", kind)
    assert len(fronts) == 16
    for map_, pixels in fronts:
        true = vectorize.to_map(pixels[:, ::-1] + 0.5, map_.odc.geobox.affine)
        walls = [shapely.Point(end).buffer(48.9, quad_segs=1).exterior for end in (true[0], true[-1])]
        options = {
            "minimum_cost": {"walls": gpd.GeoDataFrame(geometry=walls, crs="EPSG:3413")},
            "ridge": {"min_length": 0.0},
        }
        line = getattr(tracing, name)(map_, **options.get(name, {})).geometry.item()
        found = metrics.front_deviation(shapely.linestrings(true), line, 48.9)
        assert max(found.mean_a_to_b, found.mean_b_to_a) < reach * 48.9


@pytest.mark.parametrize("name", ["contour", "boundary", "water_edge"])
def test_real_fronts_drawn_as_zones_come_back_within_a_pixel(data, name):
    folder = data / "harald_moltke_brae"
    fronts, box = readers.harald_moltke(folder), readers.harald_moltke_box(folder)
    fronts = fronts.to_crs(box.crs).iloc[::20]
    area = box.geometry.item()
    west, south, east, north = area.bounds
    pixel = 30.0
    grid = GeoBox.from_bbox((west, south, east, north), str(box.crs), resolution=pixel)
    region = gpd.GeoDataFrame({"rgi_id": ["hmb"]}, geometry=[area.buffer(-3 * pixel)], crs=box.crs)
    assert len(fronts) == 8
    for line in fronts.geometry:
        parts = gpd.GeoSeries(shapely.get_parts(shapely.ops.split(area, shapely.line_merge(line))), crs=box.crs)
        ice = parts.iloc[[parts.area.argmax()]].to_frame("geometry")
        share = vectorize.rasterize(ice, grid)
        inside = vectorize.rasterize(gpd.GeoDataFrame(geometry=[area], crs=box.crs), grid)
        map_ = layer([1 - inside, share, inside - share], ("rock", "glacier", "ocean"), grid)
        found = getattr(tracing, name)(map_, divides=region).geometry.item()
        true = line.intersection(region.geometry.item())
        assert metrics.front_deviation(found, true, pixel / 3).mean_a_to_b < pixel
        assert metrics.front_deviation(found, true, pixel / 3).mean_b_to_a < pixel
