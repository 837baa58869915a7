"""The sides of a fjord, which a front runs between: where it may start, and what runs along one and is no front.

Without a source, plain or ours: `pairs`, `pixels`.
"""

from collections.abc import Iterator

import geopandas as gpd
import numpy as np
import rasterio.features
import shapely
from odc.geo.geobox import GeoBox
from scipy import ndimage


def pairs(walls: gpd.GeoDataFrame, geobox: GeoBox) -> Iterator[tuple[str, list[shapely.Geometry]]]:
    """Each glacier's rgi_id ("" where there is none) and the two walls of its fjord; ValueError where not two."""
    walls = walls.to_crs(str(geobox.crs))
    for name, rows in walls.groupby("rgi_id") if "rgi_id" in walls else [("", walls)]:
        if len(rows) != 2:
            raise ValueError(f"{name or 'the fjord'} has {len(rows)} walls: give two lines, one for each side")
        yield name, list(shapely.line_merge(rows.geometry.to_numpy()))


def pixels(line: shapely.Geometry, geobox: GeoBox, points: int, every: int) -> np.ndarray:
    """Every `every`-th of `points` along a line as pixels (row, column) of the grid; ValueError: all lie outside."""
    at = shapely.get_coordinates(shapely.line_interpolate_point(line, np.linspace(0, 1, points), normalized=True))
    column, row = ~geobox.affine * tuple(at.T)
    found = np.floor(np.stack([row, column], axis=1)).astype(int)[::every]
    found = found[((found >= 0) & (found < geobox.shape)).all(axis=1)]
    if not len(found):
        raise ValueError("a wall lies outside the map: give both walls of the fjord within it")
    return found


def off(edge: np.ndarray, walls: gpd.GeoDataFrame, geobox: GeoBox, limit: float = 2.5) -> np.ndarray:
    """A boolean front (y, x) without its stretches along a fjord's wall.

    The distances (pixels) of its pixels from the nearest wall are counted in max(half the largest, 12) bins; a bin
    with more than `limit` robust standard deviations (median, MAD; at least what counting itself scatters) above the
    median holds a stretch that keeps its distance: all its pixels go. Cheng et al. 2021,
    doi:10.5194/tc-15-1663-2021, and its released code; the least spread is ours.
    """
    lines = walls.to_crs(str(geobox.crs)).geometry
    drawn = rasterio.features.rasterize(lines, geobox.shape, fill=1, default_value=0, transform=geobox.affine)
    if drawn.all() or not edge.any():
        return edge
    away = ndimage.distance_transform_edt(drawn)
    mine = away[edge]
    bins = max(int(mine.max() // 2), 12)
    counts, sides = np.histogram(mine, bins, (0, max(mine.max(), 1)))
    over = counts - np.median(counts)
    crowded = over > limit * max(np.median(np.abs(over)) / 0.6745, np.sqrt(np.median(counts)), 1)
    return edge & ~crowded[np.clip(np.digitize(away, sides[1:-1]), 0, bins - 1)]
