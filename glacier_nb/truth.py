"""What is known of a synthetic landscape: its arrays, and outlines, divides, fronts and lines as tables."""

import dataclasses

import geopandas as gpd
import numpy as np
import pandas as pd
import rasterio.features
import shapely
import xarray as xr
from odc.geo.geobox import GeoBox
from scipy import ndimage
from skimage import segmentation

ROCK, GLACIER, DEBRIS, OCEAN, MELANGE, LAKE, ROCK_GLACIER = range(7)  # vectorize.ZONES by number


@dataclasses.dataclass(frozen=True)
class Landscape:
    """What `synthetic.landscape` makes: arrays on one GeoBox of 10 m pixels, tables in its CRS, all on the same dates.

    bed (y, x) m; surface (time, y, x) m of ice, land, lake and sea; zones (time, y, x) uint8, number in
    vectorize.ZONES; basins (y, x) int16, number in the rgi_id; snowline (time) m.
    outlines: rgi_id, name, time, system, area_m2, debris_m2. divides: rgi_id, name, the basin its ice stays in.
    fronts: rgi_id, time, system, sensor, melange, position_m (known advance since the first date). centrelines: from
    up-glacier to down-glacier. boxes: the rectangle that all fronts cross. rock_glaciers: rgi_id, system, area_m2; the
    same at every date. budget: m3 per date, on the flow grid and on this one.
    """

    seed: int
    bed: xr.DataArray
    surface: xr.DataArray
    zones: xr.DataArray
    basins: xr.DataArray
    snowline: xr.DataArray
    outlines: gpd.GeoDataFrame
    divides: gpd.GeoDataFrame
    fronts: gpd.GeoDataFrame
    centrelines: gpd.GeoDataFrame
    boxes: gpd.GeoDataFrame
    rock_glaciers: gpd.GeoDataFrame
    budget: pd.DataFrame

    @property
    def geobox(self) -> GeoBox:
        """The grid of every array."""
        return self.bed.odc.geobox

    @property
    def middle(self) -> tuple[float, float]:
        """Longitude and latitude of the centre."""
        box = self.geobox.extent.to_crs("EPSG:4326").boundingbox
        return (box.left + box.right) / 2.0, (box.bottom + box.top) / 2.0


@dataclasses.dataclass(frozen=True)
class Fjord:
    """The straight reach where a front moves, in map coordinates (m).

    origin: a point in mid-water; up: unit vector up-glacier; positions (time): metres up-glacier of `origin` where the
    front stands on the middle line; half_width: metres of water to each side; bay: metres that the front's ends lie
    down-glacier of its middle, at every date; waves (time): height (m) of a wave on it.
    """

    origin: np.ndarray
    up: np.ndarray
    positions: np.ndarray
    half_width: float = 400.0
    bay: float = 0.0
    waves: np.ndarray | None = None

    def coordinates(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Metres up-glacier of the origin and metres to its left, looking up-glacier."""
        x, y = x - self.origin[0], y - self.origin[1]
        return x * self.up[0] + y * self.up[1], y * self.up[0] - x * self.up[1]

    def points(self, upstream: np.ndarray, aside: np.ndarray) -> np.ndarray:
        """Map coordinates (n, 2): the inverse of `coordinates`."""
        left = np.array([-self.up[1], self.up[0]])
        return self.origin + np.multiply.outer(upstream, self.up) + np.multiply.outer(aside, left)

    def front(self, k: int, aside: np.ndarray) -> np.ndarray:
        """Metres up-glacier where the front stands at date k. Its wave is odd about the middle and whole across
        the box of `box`, so neither the line in the middle nor the box's mean sees it: both move by `positions`."""
        part = aside / self.half_width
        wave = 0.0 if self.waves is None else self.waves[k] * np.sin(2.0 * np.pi * np.clip(part / 1.2, -0.5, 0.5))
        return self.positions[k] - self.bay * np.minimum(part**2, 1.5) + wave


def centred(fjord: Fjord, bed: np.ndarray, geobox: GeoBox) -> Fjord:
    """`fjord` with its origin in mid-water for all its positions, and the width that is water (bed < 0) for all."""
    aside = np.arange(-1500.0, 1501.0, 5.0)
    left, right = [], []
    for position in fjord.positions:
        column, row = ~geobox.affine * tuple(fjord.points(position, aside).T)
        row, column = (np.clip(a, 0, n - 1).astype(int) for a, n in zip((row, column), bed.shape, strict=True))
        land = aside[bed[row, column] >= 0.0]
        left.append(land[land < 0].max(initial=-1000.0))
        right.append(land[land > 0].min(initial=1000.0))
    middle, width = (max(left) + min(right)) / 2.0, (min(right) - max(left)) / 2.0
    return dataclasses.replace(fjord, origin=fjord.points(0.0, np.array([middle]))[0], half_width=width)


def rgi_id(seed: int, number: int) -> str:
    """The name of a glacier: no real inventory has it.

    >>> rgi_id(7, 1)
    'synthetic-7-00001'
    """
    return f"synthetic-{seed}-{number:05d}"


def polygons(labels: np.ndarray, geobox: GeoBox) -> gpd.GeoSeries:
    """(Multi)polygons along pixel edges of every label (y, x) but 0, indexed by label."""
    found = rasterio.features.shapes(labels.astype("int16"), labels > 0, transform=geobox.affine)
    pieces = [(int(value), shapely.geometry.shape(geometry)) for geometry, value in found]
    frame = pd.DataFrame(pieces, columns=["label", "geometry"])
    merged = {n: shapely.union_all(list(rows.geometry)) for n, rows in frame.groupby("label")}
    return gpd.GeoSeries(merged, crs=geobox.crs.to_epsg())


def divide(icy: np.ndarray, surface: np.ndarray, names: np.ndarray, above: np.ndarray, planned: list[str]) -> tuple:
    """Basins (int16, 1 ...) by watershed of the first date's surface from each glacier, and each glacier's role.

    names (y, x): whose valley; above (y, x): m over its floor; planned: the names that come first, as they come.
    """
    markers = np.zeros(icy.shape, "int32")
    roles = [name for name in planned if (icy & (names == name)).any()]
    for number, name in enumerate(roles, 1):
        mine = icy & (names == name)  # ice high on a wall is a glacier of its own unless it joins the valley's
        markers[mine & (above < max(150.0, above[mine].min() + 50.0))] = number
    pieces, _ = ndimage.label(icy)
    joined = np.unique(pieces[markers > 0])
    others = [n for n in np.argsort(-np.bincount(pieces.ravel()), kind="stable") if n and n not in joined]
    for number, piece in enumerate(others, len(roles) + 1):
        markers[pieces == piece] = number
    basins = segmentation.watershed(ndimage.gaussian_filter(surface, 2.0), markers)
    return basins.astype("int16"), roles + ["niche"] * len(others)


def named(shapes: gpd.GeoSeries, seed: int, roles: list[str], **more) -> gpd.GeoDataFrame:
    """A table of `shapes` indexed by glacier number: rgi_id, name, `more`, geometry."""
    ids = [rgi_id(seed, number) for number in shapes.index]
    columns = {"rgi_id": ids, "name": [roles[number - 1] for number in shapes.index], **more}
    return gpd.GeoDataFrame(columns, geometry=list(shapes), crs=shapes.crs)


def outlines(zones: xr.DataArray, basins: np.ndarray, seed: int, roles: list[str]) -> gpd.GeoDataFrame:
    """One row per glacier and date: clean and debris-covered ice in its basin. Columns as `Landscape` has them."""
    rows = []
    for zone in zones:
        labels = np.where(np.isin(zone, (GLACIER, DEBRIS)), basins, 0)
        shapes = polygons(labels, zones.odc.geobox)
        area = abs(zones.odc.geobox.resolution.x * zones.odc.geobox.resolution.y)
        under = np.bincount(labels[zone.values == DEBRIS], minlength=labels.max() + 1)[shapes.index] * area
        more = {"time": zone.time.values, "system": "truth", "area_m2": shapes.area.values, "debris_m2": under}
        rows.append(named(shapes, seed, roles, **more))
    return pd.concat(rows, ignore_index=True)


def rock_glaciers(zones: xr.DataArray, seed: int, smallest: float) -> gpd.GeoDataFrame:
    """Every rock glacier of `smallest` m2 or more at the first date, the largest first: they outlast the ice.

    Columns as `Landscape` has them.
    """
    bodies, _ = ndimage.label(zones[0].values == ROCK_GLACIER)
    shapes = polygons(bodies, zones.odc.geobox)
    shapes = shapes[shapes.area >= smallest]
    shapes = shapes.iloc[np.argsort(-shapes.area, kind="stable")]
    ids = [f"synthetic-{seed}-R{number:04d}" for number in range(1, len(shapes) + 1)]
    columns = {"rgi_id": ids, "system": "truth", "area_m2": shapes.area.to_numpy()}
    return gpd.GeoDataFrame(columns, geometry=list(shapes), crs=zones.odc.geobox.crs.to_epsg())


def fronts(zones: xr.DataArray, fjord: Fjord, melange: np.ndarray, seed: int) -> gpd.GeoDataFrame:
    """The line where ice meets water at each date, from wall to wall, and how far it stands from the first (m).

    Columns as `Landscape` has them.
    """
    geobox = zones.odc.geobox
    aside = np.arange(-2000.0, 2001.0, 5.0)
    lines = []
    for k, zone in enumerate(zones.values):
        sides = []
        for gap, wanted in ((-14.0, (OCEAN, MELANGE)), (14.0, (GLACIER,))):  # a pixel's diagonal each way
            column, row = ~geobox.affine * tuple((fjord.points(0.0, aside) + at(fjord, k, aside, gap)).T)
            row, column = (np.clip(a, 0, n - 1).astype(int) for a, n in zip((row, column), zone.shape, strict=True))
            sides.append(np.isin(zone[row, column], wanted))
        runs, _ = ndimage.label(sides[0] & sides[1])
        run = aside[runs == np.bincount(runs[runs > 0]).argmax()]
        lines.append(shapely.LineString(fjord.points(0.0, run) + at(fjord, k, run, 0.0)))
    columns = {"rgi_id": rgi_id(seed, 1), "time": zones.time.values, "system": "truth", "sensor": "truth"}
    columns |= {"melange": melange, "position_m": fjord.positions[0] - fjord.positions}
    return gpd.GeoDataFrame(columns, geometry=lines, crs=geobox.crs.to_epsg())


def at(fjord: Fjord, k: int, aside: np.ndarray, gap: float) -> np.ndarray:
    """Steps (n, 2) in m from the line across the origin to `gap` m up-glacier of the front at date k."""
    return np.multiply.outer(fjord.front(k, aside) + gap, fjord.up)


def box(fjord: Fjord, seed: int, crs: str) -> gpd.GeoDataFrame:
    """The rectangle along the fjord that every front crosses from side to side: 0.6 of the water's width.

    Columns: rgi_id, geometry.
    """
    low, high = fjord.positions.min() - 900.0, fjord.positions.max() + 900.0
    side = 0.6 * fjord.half_width
    pairs = ((low, -side), (low, side), (high, side), (high, -side))
    corners = [fjord.points(np.array([a]), np.array([b]))[0] for a, b in pairs]
    return gpd.GeoDataFrame({"rgi_id": [rgi_id(seed, 1)]}, geometry=[shapely.Polygon(corners)], crs=crs)


def centrelines(floors: dict[int, np.ndarray], fjord: Fjord, seed: int, roles: list[str], crs: str) -> gpd.GeoDataFrame:
    """One line per glacier number along its valley's floor (n, 2) in m, head to mouth; the first runs into the fjord,
    where it keeps to the middle of the water. Columns as `named`."""
    lines = {number: shapely.LineString(points) for number, points in floors.items()}
    reach = fjord.points(np.array([400.0, -4000.0]) + fjord.positions.max(), np.zeros(2))
    lines[1] = shapely.LineString(np.vstack([floors[1][:-3], reach]))
    return named(gpd.GeoSeries(lines, crs=crs), seed, roles)


def cut(table: gpd.GeoDataFrame, geobox: GeoBox) -> gpd.GeoDataFrame:
    """The rows of a `table` inside `geobox`, geometry cut; area_m2, where it has it, measured again."""
    inside = table.assign(geometry=table.intersection(shapely.box(*geobox.boundingbox.bbox)))
    inside = inside[~inside.is_empty].reset_index(drop=True)
    return inside.assign(area_m2=inside.area) if "area_m2" in inside else inside
