"""Front lines as the literature draws them: from a front map (y, x) or from zones (zone, y, x).

Each tracer takes the map and options, and returns a frame of fronts as `vectorize.fronts` does (without
melange_share), on a projected grid in metres. `divides` (rgi_id, geometry) are the regions in which fronts are looked
for; they name the rows, which are otherwise one. `walls` are the sides of a fjord as lines, two a glacier, with
rgi_id where there are several glaciers. What was not seen is a gap in every line. A row of `systems` names its
tracer; where it names none, `vectorize.fronts` is used.
"""

from collections.abc import Iterator, Sequence

import contourpy
import geopandas as gpd
import numpy as np
import rasterio.features
import shapely
import xarray as xr
from odc.geo.geobox import GeoBox
from scipy import ndimage
from skimage.morphology import skeletonize

from glacier_nb import clean, paths, sides, vectorize
from glacier_nb.crs import metres


def minimum_cost(
    front: xr.DataArray,
    divides: gpd.GeoDataFrame | None = None,
    walls: gpd.GeoDataFrame | None = None,
    margin: tuple[int, int] = (0, 0),
    points: int = 1000,
    every: int = 50,
    least: float = 0.5,
) -> gpd.GeoDataFrame:
    """The cheapest path across a front map, from wall to wall of each fjord, or from the left side to the right.

    front: probability (y, x); a step costs 1 - front. Each wall is cut in `points`, every `every`-th of which may be
    an end; without walls the path keeps off the `margin` (rows, columns). No front where none of the path reaches
    `least`: there is a cheapest path through nothing too. Mohajerani et al. 2019, doi:10.3390/rs11010074, and its
    released code; `least` is ours.
    """
    front, geobox = front.compute(), front.odc.geobox
    metres(geobox)
    cost, shapes, names = 1 - front.values.astype(float), [], []
    for name, two in sides.pairs(walls, geobox) if walls is not None else [("", None)]:
        if two is None:
            path = paths.minimum_cost(cost, margin)
        else:
            path = paths.cheapest(cost, *(sides.pixels(side, geobox, points, every) for side in two))
        if (front.values[tuple(path.T)] >= least).any():
            shapes.append(_line(path, geobox))
            names.append(name)
    named = divides is None and walls is not None and "rgi_id" in walls
    return _frame(shapes, front, divides, names if named else None)


def spanning_tree(
    front: xr.DataArray,
    divides: gpd.GeoDataFrame | None = None,
    walls: gpd.GeoDataFrame | None = None,
    threshold: float = 0.33,
    least: tuple[float, float] = (0.00025, 0.15),
    points: int = 10,
) -> gpd.GeoDataFrame:
    """The longest way through a spanning tree of the thinned front map: one ordered line a region.

    front: probability (y, x), a front above `threshold`. Bodies smaller than `least` of the map, or than `least` of
    the largest, are dropped, stretches along `walls` masked (`sides.off`), the rest thinned and put in order
    (`paths.spanning_tree`); under `points` pixels it is no front. Cheng et al. 2021, doi:10.5194/tc-15-1663-2021,
    and its released code, which then predicts again on a closer cut about each front: that is not done here.
    """
    front, geobox = front.compute(), front.odc.geobox
    metres(geobox)
    shapes, names = [], []
    for name, mask in _regions(divides, geobox):
        edge = (front.values > threshold) & mask
        bodies, _ = ndimage.label(edge, clean.EIGHT)
        sizes = np.bincount(bodies.ravel(), minlength=2)
        edge &= (sizes >= max(least[0] * edge.size, least[1] * sizes[1:].max()))[bodies]
        if walls is not None:
            edge = sides.off(edge, walls, geobox)
        thin = np.argwhere(skeletonize(edge))
        if len(thin) < max(points, 4):
            continue
        way = paths.spanning_tree(thin)
        if len(way) >= points:
            shapes.append(_line(way, geobox))
            names.append(name)
    return _frame(shapes, front, divides, names if divides is not None else None)


def boundary(
    zones: xr.DataArray,
    divides: gpd.GeoDataFrame | None = None,
    threshold: float = 0.5,
    min_pixels: int = 500,
    names: Sequence[str] = vectorize.ICE,
) -> gpd.GeoDataFrame:
    """The edge of the glacier's polygons inside each region: along pixel edges, as a polygonised mask has it.

    zones: glacier where `names` pass `threshold`; bodies (8-connected) under `min_pixels` are dropped. The regions
    say where the edge is a calving front: without them all of it is one but the map's own edge. Zhang et al. 2019,
    doi:10.5194/tc-13-1729-2019, and the released code of their FrontDL3 (2021) and AutoTerm (2023).
    """
    zones, geobox = zones.compute(), zones.odc.geobox
    metres(geobox)
    ice = vectorize.filled(vectorize.glacier_probability(zones, names)) > threshold
    ice &= ~clean.small(ice, clean.EIGHT, min_pixels)
    found = rasterio.features.shapes(ice.astype("uint8"), ice, connectivity=8, transform=geobox.affine)
    rings = [shapely.LineString(ring) for shape, _ in found for ring in shape["coordinates"]]
    inside = shapely.box(*geobox.boundingbox.bbox).buffer(-abs(geobox.resolution.x) / 1000, join_style="mitre")
    return _frame(list(shapely.intersection(rings, inside)), zones, divides)


def water_edge(
    zones: xr.DataArray,
    divides: gpd.GeoDataFrame | None = None,
    min_length: float = 750.0,
    ice: Sequence[str] = vectorize.ICE,
    water: Sequence[str] = vectorize.WATER,
) -> gpd.GeoDataFrame:
    """Ocean pixels beside glacier pixels: the most probable zones' front, one line a body.

    Holes in the ocean are filled, its largest body (8-connected) kept; the front is its pixels that have a glacier
    pixel among four neighbours. Bodies of `min_length` (m) or less, a pixel's side each, are dropped; each other is
    its longest way. divides: the glacier's bounding box, outside which nothing is kept. Gourmelon et al. 2022,
    doi:10.5194/essd-14-4287-2022, and its released code. The line runs through pixel centres on the water's side.
    """
    zones, geobox = zones.compute(), zones.odc.geobox
    metres(geobox)
    held = [str(name) for name in zones.zone.values]
    best = np.nan_to_num(zones.values, nan=-1).argmax(axis=0)
    unseen = np.isnan(zones.values).any(axis=0)
    is_ice, sea = (np.isin(best, [held.index(n) for n in names if n in held]) & ~unseen for names in (ice, water))
    sea = ndimage.binary_fill_holes(sea) & ~unseen
    bodies, _ = ndimage.label(sea, clean.EIGHT)
    sizes = np.bincount(bodies.ravel())
    sizes[0] = 0
    sea = (bodies == sizes.argmax()) & (bodies > 0)
    front = sea & ndimage.binary_dilation(is_ice & ~sea, clean.FOUR)
    return _bodies(front, zones, divides, min_length)


def ridge(
    front: xr.DataArray,
    divides: gpd.GeoDataFrame | None = None,
    threshold: float = 0.12,
    min_length: float = 750.0,
    least: int = 5,
) -> gpd.GeoDataFrame:
    """The thinned front map, the longest way of each body.

    front: probability (y, x), a front above `threshold`; skeletons under `least` pixels and of `min_length` (m) or
    less are dropped. divides: the glacier's bounding box. Gourmelon et al. 2022, doi:10.5194/essd-14-4287-2022, and
    its released code, where FilFinder takes the longest way.
    """
    front, geobox = front.compute(), front.odc.geobox
    metres(geobox)
    thin = skeletonize(front.values > threshold)
    return _bodies(thin & ~clean.small(thin, clean.EIGHT, least), front, divides, min_length)


def vertices(front: xr.DataArray, divides: gpd.GeoDataFrame | None = None, threshold: float = 0.5) -> gpd.GeoDataFrame:
    """The contour's line again, below the pixel, from the map that was drawn of its vertices: one line a body.

    front: 0.5 to the power of the squared distance (pixels) from the contour, as `systems_front.line_and_sides` draws
    it. Along rows and columns that square is a parabola, whose foot is on the line: exactly, but within a pixel of a
    bend. The thinned map above `threshold` says between which pixels to look, its longest ways in which order.
    Heidler et al. 2023, arXiv:2307.03461, where a front is a line of vertices and not a map.
    """
    front, geobox = front.compute(), front.odc.geobox
    metres(geobox)
    square = -np.log2(np.clip(np.nan_to_num(front.values.astype(float)), 1e-12, 1))
    bend, lean = (
        np.stack([ndimage.correlate1d(square, weights, axis, mode="nearest") for axis in (0, 1)])
        for weights in ((1, -2, 1), (-0.5, 0, 0.5))
    )
    across = bend.argmax(axis=0)  # the axis that meets the line more squarely
    bend, lean = (np.take_along_axis(values, across[None], axis=0)[0] for values in (bend, lean))
    off = np.clip(-lean / np.maximum(bend, 1e-6), -1, 1)[..., None] * (across[..., None] == [0, 1])
    ways = [way for way in paths.longest(skeletonize(front.values > threshold)) if len(way) > 1]
    return _frame([_line(way + off[tuple(way.T)], geobox) for way in ways], front, divides)


def contour(
    zones: xr.DataArray,
    divides: gpd.GeoDataFrame | None = None,
    level: float = 0.5,
    most: int = 1,
    names: Sequence[str] = vectorize.ICE,
) -> gpd.GeoDataFrame:
    """The `most` longest contours of the probability of `names` that pass through each region, cut to it.

    Sub-pixel, between pixel centres. A glacier with several fronts keeps as many contours: Loebel et al. 2024,
    doi:10.5194/tc-18-3315-2024, and their released code.
    """
    zones, geobox = zones.compute(), zones.odc.geobox
    metres(geobox)
    lines = _contours(vectorize.filled(vectorize.glacier_probability(zones, names)), level, geobox)
    order = np.argsort(-shapely.length(lines), kind="stable")
    if divides is None:
        return _frame(list(lines[order[:most]]), zones, None)
    shapes, named = [], []
    for name, region in zip(divides.rgi_id, divides.to_crs(str(geobox.crs)).geometry, strict=True):
        through = [line for line in lines[order] if line.intersects(region)][:most]
        shapes += list(shapely.intersection(through, region))
        named += [name] * len(through)
    return _frame(shapes, zones, divides, named)


def coastline(
    zones: xr.DataArray,
    divides: gpd.GeoDataFrame | None = None,
    max_hole: float = 1e6,
    tolerance: float = 1.0,
    water: Sequence[str] = vectorize.WATER,
) -> gpd.GeoDataFrame:
    """The edge of the largest body of land and ice against the water, holes filled, simplified.

    Holes up to `max_hole` (m2) are filled; the line is the 0.5 contour, simplified within `tolerance` pixels.
    Baumhoer et al. 2019, doi:10.3390/rs11212529, give the order of steps; both values are plain choices.
    """
    zones, geobox = zones.compute(), zones.odc.geobox
    metres(geobox)
    land = [str(name) for name in zones.zone.values if name not in water]
    tidy = clean.enclosed(clean.largest(zones, land), land, max_hole)
    lines = _contours(vectorize.filled(vectorize.glacier_probability(tidy, land)), 0.5, geobox)
    return _frame(list(shapely.simplify(lines, tolerance * abs(geobox.resolution.x))), zones, divides)


def _bodies(front: np.ndarray, layer: xr.DataArray, divides: gpd.GeoDataFrame | None, min_length: float):
    geobox = layer.odc.geobox
    short = clean.small(front, clean.EIGHT, min_length / abs(geobox.resolution.x) + 1e-9)
    ways = [way for way in paths.longest(front & ~short) if len(way) > 1]
    return _frame([_line(way, geobox) for way in ways], layer, divides)


def _contours(values: np.ndarray, level: float, geobox: GeoBox) -> np.ndarray:
    values = np.where(values == level, level + 1e-9, values)  # a contour through a pixel's very centre has no side
    lines = [vectorize.to_map(xy + 0.5, geobox.affine) for xy in contourpy.contour_generator(z=values).lines(level)]
    return np.array([shapely.LineString(line) for line in lines], dtype=object)


def _line(path: np.ndarray, geobox: GeoBox) -> shapely.LineString:
    """A line through the centres of pixels (row, column)."""
    return shapely.LineString(vectorize.to_map(path[:, ::-1] + 0.5, geobox.affine))


def _regions(divides: gpd.GeoDataFrame | None, geobox: GeoBox) -> Iterator[tuple[str, np.ndarray]]:
    if divides is None:
        yield "", np.ones(geobox.shape, dtype=bool)
        return
    for name, shape in zip(divides.rgi_id, divides.to_crs(str(geobox.crs)).geometry, strict=True):
        yield name, rasterio.features.geometry_mask([shape], geobox.shape, geobox.affine, invert=True)


def _frame(
    shapes: list, layer: xr.DataArray, divides: gpd.GeoDataFrame | None, names: Sequence[str] | None = None
) -> gpd.GeoDataFrame:
    """Lines as fronts; `names` where it is known whose each is, else `divides` cut and name them."""
    if names is None:
        return vectorize.lines(np.array(shapes, dtype=object), layer, divides)
    known, owner = np.unique(np.array(names, dtype=str), return_inverse=True)
    return vectorize.lines(np.array(shapes, dtype=object), layer, None, owner, known)
