"""How well calving fronts were drawn, by the definitions that papers score with: over all, per sensor, season, pixel.

The same fronts have another error by each definition: name the one that a number is by.
"""

import dataclasses
from collections.abc import Callable, Sequence

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from glacier_nb import metrics
from glacier_nb.crs import metres

WALL = 500.0  # metres from a fjord's wall within which Mohajerani et al. leave a front out
STEPS = 1000  # points that they part each front by


def both_ways(predicted: shapely.Geometry, true: shapely.Geometry, spacing: float, walls=None) -> np.ndarray:
    """Distance to the other front of points every `spacing` along each, both directions one after the other.

    Cheng et al. 2021 and Gourmelon et al. 2022, see DEFINITIONS.
    """
    return np.concatenate([metrics.distances(a, b, spacing) for a, b in ((predicted, true), (true, predicted))])


def step_by_step(
    predicted: shapely.Geometry, true: shapely.Geometry, spacing: float, walls: shapely.Geometry | None = None
) -> np.ndarray:
    """Distance between the nth of STEPS points along each front, from one end to the other; empty where a wall has all.

    Before, what lies within WALL of `walls` is taken off, and the longest part is left. One that runs ahead of the
    other along the same line is off too. Mohajerani et al. 2019, see DEFINITIONS.
    """
    room, points = None if walls is None else walls.buffer(WALL), []
    for line in (predicted, true):
        line = line if room is None else line.difference(room)
        if line.is_empty:
            return np.empty(0)
        longest = max(shapely.get_parts(shapely.line_merge(line)), key=shapely.length)
        along = shapely.line_interpolate_point(longest, np.linspace(0, 1, STEPS), normalized=True)
        points.append(shapely.get_coordinates(along))
    ways = [np.linalg.norm(points[0][::turn] - points[1], axis=1) for turn in (1, -1)]
    return min(ways, key=lambda way: way[0] + way[-1])


@dataclasses.dataclass(frozen=True)
class Definition:
    """A published error of fronts; DEFINITIONS holds all."""

    name: str
    citation: str
    distances: Callable[..., np.ndarray]  # of (predicted, true, spacing, walls), in metres
    headline: str  # the column of `score` that the paper reports


DEFINITIONS = (
    Definition("CaFFe", "Gourmelon et al. 2022, doi:10.5194/essd-14-4287-2022", both_ways, "mean_m"),
    Definition("CALFIN", "Cheng et al. 2021, doi:10.5194/tc-15-1663-2021", both_ways, "mean_m"),
    Definition("CALFIN median", "Cheng et al. 2021, doi:10.5194/tc-15-1663-2021", both_ways, "median_m"),
    Definition("Mohajerani", "Mohajerani et al. 2019, doi:10.3390/rs11010074", step_by_step, "mean_m"),
)


def score(
    predicted: gpd.GeoDataFrame,
    truth: gpd.GeoDataFrame,
    definition: str = "CaFFe",
    by: Sequence[str] = (),
    spacing: float = 10.0,
    walls: gpd.GeoDataFrame | gpd.GeoSeries | None = None,
) -> pd.DataFrame:
    """Error of fronts by a published definition: a row for all, then one for each value of each column in `by`.

    Both frames have rgi_id, time, geometry in metres; each true front is held against the predicted one of its day.
    `by` are columns of `truth` (sensor, pixel_m ...); "season" is made where it is missing: winter is September to
    March, in the south the other half (Gourmelon et al. 2022). `walls` are fjord walls for "Mohajerani". Columns:
    group, value, n (true fronts), missed (no prediction: no distance, so read it beside any error), score_m (what the
    paper reports), mean_m (over all points of all fronts) and its standard error error_m, median_m, hd95_m (mean of
    the fronts' own), mean_of_fronts_m, median_of_fronts_m.
    Raises ValueError for degrees, an unknown definition or column of `by`.

    >>> lines = [shapely.LineString([(5e5, 7e6 + y), (5.01e5, 7e6 + y)]) for y in (0, 30)]
    >>> true, found = (gpd.GeoDataFrame({"rgi_id": "a", "time": ["2020"]}, geometry=[y], crs=32633) for y in lines)
    >>> score(found, true).score_m.tolist(), score(found.iloc[:0], true)[["n", "missed"]].values.tolist()
    ([30.0], [[1, 1]])
    """
    row = {row.name: row for row in DEFINITIONS}.get(definition)
    if row is None:
        raise ValueError(f"definition={definition!r}: one of {', '.join(row.name for row in DEFINITIONS)}")
    metres(truth)
    fjord = None if walls is None else walls.to_crs(truth.crs).geometry.union_all()
    if "season" in by and "season" not in truth:
        truth = truth.assign(season=season(truth))
    if missing := set(by) - set(truth.columns):
        raise ValueError(f"truth lacks {sorted(missing)}: its columns are {', '.join(map(str, truth.columns))}")
    rows, apart = [], []
    for mine, line in metrics.pairs(predicted, truth):
        true = mine.union_all()
        off = np.empty(0) if line.is_empty else row.distances(line, true, spacing, fjord)
        hd95 = metrics.front_deviation(line, true, spacing).hd95 if len(off) else np.nan
        rows.append((*(mine[name].iloc[0] for name in by), not len(off), off.mean() if len(off) else np.nan, hd95))
        apart.append(off)
    table = pd.DataFrame(rows, columns=[*by, "missed", "mean", "hd95"])
    groups = [("all", "", table.index)]
    groups += [(name, value, part.index) for name in by for value, part in table.groupby(name, dropna=False)]
    out = pd.DataFrame([(group, value, *_pooled(table.loc[index], [apart[n] for n in index]))
                        for group, value, index in groups], columns=["group", "value", *_POOLED])  # fmt: skip
    out.insert(4, "score_m", out[row.headline])
    out.attrs = {"definition": row.name, "citation": row.citation, "units": "m"}
    return out


def season(fronts: gpd.GeoDataFrame) -> pd.Series:
    """winter or summer of each front: winter is September to March, south of the equator April to August
    (Gourmelon et al. 2022)."""
    north = fronts.geometry.representative_point().to_crs(4326).y > 0
    cold = ~pd.to_datetime(fronts.time).dt.month.between(4, 8)
    return pd.Series(np.where(cold == north, "winter", "summer"), fronts.index)


_POOLED = ("n", "missed", "mean_m", "error_m", "median_m", "hd95_m", "mean_of_fronts_m", "median_of_fronts_m")


def _pooled(fronts: pd.DataFrame, apart: list[np.ndarray]) -> tuple:
    points = np.concatenate([*apart, np.empty(0)])
    whole = [np.nan] * 3
    if len(points):
        whole = [points.mean(), points.std() / np.sqrt(len(points)), np.median(points)]
    each = fronts["mean"].dropna()
    return len(fronts), int(fronts.missed.sum()), *whole, fronts.hd95.mean(), each.mean(), each.median()
