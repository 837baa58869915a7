"""How far apart two maps, two outlines or two fronts are.

Maps are boolean layers, or probabilities cut at 0.5 with NaN where unseen (left out of every score); outlines are
polygons in one projected CRS. Lengths are in the units of the CRS: divide by the pixel for pixels.

Without a source, plain or ours: `precision`, `recall`, `area_error`, `distances`, `pairs`.
"""

import dataclasses
from collections.abc import Iterator

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
import xarray as xr

from glacier_nb.corrections import days, ids
from glacier_nb.crs import metres

Shapes = gpd.GeoDataFrame | gpd.GeoSeries | shapely.Geometry
Map = xr.DataArray | np.ndarray


def _counts(predicted: Map | Shapes, truth: Map | Shapes) -> tuple[float, float, float]:
    """Amount (pixels or area) in both, in `predicted` alone, in `truth` alone."""
    if isinstance(predicted, Shapes):
        a, b = _shape(predicted, truth), _shape(truth, predicted)
        both = a.intersection(b).area
        return both, a.area - both, b.area - both
    a, b = np.asarray(predicted), np.asarray(truth)
    if a.shape != b.shape:
        raise ValueError(f"maps of {a.shape} and {b.shape} pixels: put them on one GeoBox")
    seen = np.isfinite(a.astype(float)) & np.isfinite(b.astype(float))
    a, b = (layer[seen] if layer.dtype == bool else layer[seen] > 0.5 for layer in (a, b))
    return float((a & b).sum()), float((a & ~b).sum()), float((b & ~a).sum())


def _shape(shapes: Shapes, other: Shapes) -> shapely.Geometry:
    if isinstance(shapes, shapely.Geometry):
        return shapes
    crs = getattr(other, "crs", shapes.crs)
    if shapes.crs is not None and shapes.crs.is_geographic:
        raise ValueError(f"{shapes.crs.name}: scores need metres; reproject with .to_crs({_utm(shapes)})")
    here = (shapes if crs == shapes.crs else shapes.to_crs(crs)).geometry
    return (here if here.is_valid.all() else here.make_valid()).union_all()


def _utm(shapes: gpd.GeoDataFrame | gpd.GeoSeries) -> str:
    return repr(shapes.estimate_utm_crs().to_string())


def iou(predicted: Map | Shapes, truth: Map | Shapes) -> float:
    """Intersection over union (0-1); NaN where neither has anything. Jaccard 1912.

    Maps of one grid, or shapes in metres of one CRS; else ValueError, here and in all that follow.

    >>> iou(np.array([True, True, False]), np.array([True, False, False]))
    0.5
    """
    both, extra, missed = _counts(predicted, truth)
    return _ratio(both, both + extra + missed)


def precision(predicted: Map | Shapes, truth: Map | Shapes) -> float:
    """Share of what was mapped that is true (0-1); NaN where nothing was mapped. ValueError: as `iou`."""
    both, extra, _ = _counts(predicted, truth)
    return _ratio(both, both + extra)


def recall(predicted: Map | Shapes, truth: Map | Shapes) -> float:
    """Share of the truth that was mapped (0-1); NaN where there is none. ValueError: as `iou`."""
    both, _, missed = _counts(predicted, truth)
    return _ratio(both, both + missed)


def f1(predicted: Map | Shapes, truth: Map | Shapes) -> float:
    """Harmonic mean of precision and recall (0-1): the coefficient of Dice 1945, doi:10.2307/1932409.

    ValueError: as `iou`.
    """
    both, extra, missed = _counts(predicted, truth)
    return _ratio(2 * both, 2 * both + extra + missed)


def area_error(predicted: Map | Shapes, truth: Map | Shapes) -> float:
    """Error of the area in percent of the true one, too large positive; places do not matter, only the sum.

    ValueError: as `iou`.

    >>> area_error(np.array([True, True, False]), np.array([False, False, True]))
    100.0
    """
    both, extra, missed = _counts(predicted, truth)
    return 100 * _ratio(extra - missed, both + missed)


def by_polygon(predicted: gpd.GeoDataFrame, truth: gpd.GeoDataFrame, share: float = 0.5) -> dict[str, float]:
    """Bodies counted, as inventories of rock glaciers are scored: n, n_true, found, right, precision, recall, f1.

    A body of `truth` is found where `share` of its area or more was mapped; one of `predicted` is right where as much
    of it is true. NaN where there is nothing to divide by. Sun et al. 2024, doi:10.5194/essd-16-5703-2024, score so;
    `share` is our choice. ValueError: the CRS is not in metres.

    >>> boxes = lambda *at: gpd.GeoDataFrame(geometry=[shapely.box(x, 0, x + 2, 1) for x in at], crs=32633)
    >>> score = by_polygon(boxes(0, 10, 20), boxes(0.5, 9))
    >>> score["found"], score["right"], round(score["precision"], 2), score["recall"]
    (2, 2, 0.67, 1.0)
    """
    mapped, true = _shape(predicted, truth), _shape(truth, truth)
    bodies = predicted.geometry.to_crs(truth.crs)
    found = int((truth.intersection(mapped).area >= share * truth.area).sum())
    right = int((bodies.intersection(true).area >= share * bodies.area).sum())
    precision, recall = _ratio(right, len(bodies)), _ratio(found, len(truth))
    counts = {"n": len(bodies), "n_true": len(truth), "found": found, "right": right}
    return counts | {"precision": precision, "recall": recall, "f1": _ratio(2 * precision * recall, precision + recall)}


def debris_recall(zones: xr.DataArray, truth: Map) -> float:
    """Share (0-1) of truly debris-covered ice that a map has as glacier, whether bare or debris-covered.

    Diaconu et al. 2023 (TCCML at NeurIPS).

    `zones` (zone, y, x) probabilities; `truth` a boolean layer of the debris cover, or zones likewise.
    """
    if isinstance(truth, xr.DataArray) and "zone" in truth.dims:
        truth = truth.sel(zone="debris cover")
    ice = [name for name in ("glacier", "debris cover") if name in zones.zone.values]
    return recall(zones.sel(zone=ice).sum("zone", skipna=False), truth)


def _ratio(a: float, b: float) -> float:
    return a / b if b else float("nan")


@dataclasses.dataclass(frozen=True)
class Deviation:
    """Distances between two lines, in the units of their CRS, over points along both unless said."""

    mean: float
    median: float
    hd95: float
    """95 % of all points lie nearer to the other line (the larger of the two directions)."""
    mean_a_to_b: float
    mean_b_to_a: float
    n_a: int
    n_b: int


def front_deviation(a: Shapes, b: Shapes, spacing: float = 10.0) -> Deviation:
    """How far front `a` lies from front `b`, by points every `spacing` along each to the nearest place on the other.

    Lines of any number of parts; points are taken as they are. Both directions count: a front that is only half
    there is near the true one, the true one is not near it (Gourmelon et al. 2022, doi:10.5194/essd-14-4287-2022).
    Raises ValueError for an empty front: count it as missed (`front_scores` does).

    >>> line = shapely.LineString
    >>> front_deviation(line([(0, 0), (100, 0)]), line([(0, 30), (100, 30)])).mean
    30.0
    """
    one, two = _shape(a, b), _shape(b, a)
    if one.is_empty or two.is_empty:
        raise ValueError("a front is empty: a missed front has no distance, count it (front_scores)")
    there, back = distances(one, two, spacing), distances(two, one, spacing)
    pooled = np.concatenate([there, back])
    worst = max(float(np.quantile(there, 0.95)), float(np.quantile(back, 0.95)))
    means = float(there.mean()), float(back.mean())
    return Deviation(float(pooled.mean()), float(np.median(pooled)), worst, *means, len(there), len(back))


def boundary_deviation(a: Shapes, b: Shapes, spacing: float = 10.0) -> Deviation:
    """The same for the boundaries, holes included, of outlines `a` and `b` (as Chu et al. 2022).

    ValueError: the CRS is not in metres.
    """
    return front_deviation(_shape(a, b).boundary, _shape(b, a).boundary, spacing)


def distances(line: shapely.Geometry, other: shapely.Geometry, spacing: float) -> np.ndarray:
    """Distance to `other` of points every `spacing` along each part of `line`, both ends included."""
    parts = shapely.get_parts(line)
    count = np.maximum(np.ceil(shapely.length(parts) / spacing).astype(int), 1) + 1
    which = np.repeat(np.arange(len(parts)), count)
    step = np.concatenate([np.linspace(0, 1, n) for n in count])
    points = shapely.line_interpolate_point(parts[which], step, normalized=True) if line.length else parts
    edges = _segments(other) if other.length else shapely.get_parts(other)
    tree = shapely.STRtree(edges)
    return tree.query_nearest(points, return_distance=True, all_matches=False)[1]


def _segments(line: shapely.Geometry) -> np.ndarray:
    """Every straight piece of a line: a tree over them finds the nearest in log time."""
    xy, part = shapely.get_coordinates(shapely.get_parts(line), return_index=True)
    together = part[1:] == part[:-1]
    return shapely.linestrings(np.stack([xy[:-1], xy[1:]], axis=1)[together])


def pairs(predicted: gpd.GeoDataFrame, truth: gpd.GeoDataFrame) -> Iterator[tuple[pd.DataFrame, shapely.Geometry]]:
    """Every true front (rgi_id, day) as its rows in `truth`, and the predicted one of that day, empty where missed.

    Ids are compared as text and days without their time zone; a true front without a date is missed. ValueError: one
    without a geometry.
    """
    bare = truth[truth.is_empty | truth.geometry.isna()]
    if len(bare):
        raise ValueError(f"the true front of {bare.rgi_id.iloc[0]}, {bare.time.iloc[0]}, has no line: leave it out")
    predicted = predicted[~predicted.is_empty].to_crs(truth.crs)
    keys = [ids(predicted), days(predicted.time)]
    found = {key: lines.union_all() for key, lines in predicted.geometry.groupby(keys)}
    for key, mine in truth.groupby([ids(truth), days(truth.time)], dropna=False):
        yield mine, found.get(key, shapely.LineString())


def front_scores(predicted: gpd.GeoDataFrame, truth: gpd.GeoDataFrame, spacing: float = 10.0) -> pd.DataFrame:
    """Every front of `truth` (rgi_id, time) against the predicted one of its day: a row each, `missed` where none is.

    Columns: rgi_id, time, mean_m, median_m, hd95_m, mean_truth_to_predicted_m, mean_predicted_to_truth_m, missed.
    attrs: mde, the mean distance error of Gourmelon et al. 2022, over all points of all fronts that were found; n,
    missed. An error without its number of missed fronts says nothing: read both. Other definitions: `delineation`.
    Raises ValueError where `truth` is not in metres.
    """
    metres(truth)
    columns = ["rgi_id", "time", "missed", "mean_m", "median_m", "hd95_m"]
    columns += ["mean_truth_to_predicted_m", "mean_predicted_to_truth_m"]
    rows, total, points = [], 0.0, 0
    for mine, line in pairs(predicted, truth):
        row = [mine.rgi_id.iloc[0], mine.time.iloc[0]]
        if not line.is_empty:
            d = front_deviation(mine.union_all(), line, spacing)
            total, points = total + d.mean * (d.n_a + d.n_b), points + d.n_a + d.n_b
            rows.append([*row, False, d.mean, d.median, d.hd95, d.mean_a_to_b, d.mean_b_to_a])
        else:
            rows.append([*row, True, *[float("nan")] * 5])
    table = pd.DataFrame(rows, columns=columns)
    table.attrs = {"mde": _ratio(total, points), "n": len(table), "missed": int(table.missed.sum())}
    return table
