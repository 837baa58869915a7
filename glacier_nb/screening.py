"""Which fronts and outlines can be believed: the published tests, each a column or a reason in `note`.

Nothing is thrown away here: `frame[frame.note == ""]` is what passed.
"""

import itertools
from collections.abc import Sequence

import geopandas as gpd
import numpy as np
import pandas as pd
import rasterio.features
import shapely
import xarray as xr
from scipy import ndimage
from tqdm import tqdm

from glacier_nb import vectorize
from glacier_nb.crs import metres, scale

AUTOTERM = "Zhang et al. 2023, doi:10.5194/tc-17-3485-2023"
CLASSES = (0.0, 0.1, 0.5, 1.0, 5.0, 10.0, np.inf)  # km2, the size classes that inventories report


def complexity(line: shapely.Geometry) -> float:
    """How jagged a front is: 0 where convex, near 1 where folded. 0.8 amplitude x frequency + 0.2 concavity.

    Of the line closed to a polygon: amplitude, the share of its perimeter that its convex hull saves; concavity, the
    share of the hull's area that it leaves out; frequency, 16 (n - 0.5)^4 - 8 (n - 0.5)^2 + 1 with n the share of
    turns that are clockwise (turns with a cross product under 1e-6 are none). Of several parts the longest.
    Brinkhoff et al. 1995, as Zhang et al. 2023 use it, doi:10.5194/tc-17-3485-2023, and their released code.

    >>> complexity(shapely.LineString([(0, 0), (1, 1), (2, 1), (3, 0)]))
    0.0
    """
    xy = shapely.get_coordinates(_longest(line))
    if len(xy) < 3:
        return 0.0
    ring = shapely.make_valid(shapely.Polygon(xy), method="structure")
    hull, length = shapely.convex_hull(shapely.linestrings(xy)), shapely.length(shapely.linearrings(xy))
    amplitude = max(length - hull.length, 0) / length
    concavity = (hull.area - ring.area) / hull.area if hull.area else 0.0
    step = np.diff(xy, axis=0)
    turns = step[:-1, 0] * step[1:, 1] - step[:-1, 1] * step[1:, 0]
    turns = turns[np.abs(turns) > 1e-6]
    clockwise = (turns < 0).mean() if len(turns) else 0.0
    frequency = 16 * (clockwise - 0.5) ** 4 - 8 * (clockwise - 0.5) ** 2 + 1
    return float(0.8 * amplitude * frequency + 0.2 * concavity)


def outliers(values: np.ndarray, reach: float = 2.0, both: bool = False) -> np.ndarray:
    """True above the third quartile by `reach` times the interquartile range; `both`: below the first as well.

    NaN is none. AutoTerm takes 2 on one side, 1.5 on both (Zhang et al. 2023; the rule is that of Tukey 1977).

    >>> outliers(np.array([1.0, 2, 3, 4, 30])).tolist()
    [False, False, False, False, True]
    """
    values = np.asarray(values, dtype=float)
    if np.isnan(values).all():
        return np.zeros(values.shape, dtype=bool)
    low, high = np.nanquantile(values, (0.25, 0.75))
    room = reach * (high - low) + 1e-9 * max(abs(low), abs(high))
    return (values > high + room) | (both & (values < low - room))


def area_between(a: shapely.Geometry, b: shapely.Geometry) -> float:
    """Area (CRS units squared) between two fronts whose ends are joined, whichever way each was drawn.

    Crossings part it in pieces that all count. Of several parts the longest. Zhang et al. 2023 measure change so.

    >>> area_between(shapely.LineString([(0, 0), (10, 0)]), shapely.LineString([(10, 2), (0, 2)]))
    20.0
    """
    one, two = (shapely.get_coordinates(_longest(line)) for line in (a, b))
    apart = [np.hypot(*(one[0] - end[0])) + np.hypot(*(one[-1] - end[-1])) for end in (two, two[::-1])]
    ring = np.concatenate([one, two[::-1] if apart[0] <= apart[1] else two])
    return float(shapely.make_valid(shapely.Polygon(ring)).area)


def off_bedrock(fronts: gpd.GeoDataFrame, bedrock: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """Fronts without what lies on `bedrock` (polygons): a row that is left with nothing has an empty geometry.

    Zhang et al. 2023, doi:10.5194/tc-17-3485-2023.
    """
    rock = bedrock.to_crs(fronts.crs).union_all()
    return fronts.set_geometry(fronts.geometry.difference(rock))


def fronts(
    fronts: gpd.GeoDataFrame,
    bedrock: gpd.GeoDataFrame | None = None,
    min_length: float = 0.0,
    max_change: float = np.inf,
) -> gpd.GeoDataFrame:
    """AutoTerm's screening of fronts, each glacier by itself: columns complexity (0-1), length_m, change_m2, note.

    In order: cut at `bedrock`; too complex (an outlier by 2 interquartile ranges, on one side); too short or long
    (under `min_length` (m), or an outlier by 1.5 on both); moved too far: change_m2, the least area to any of two
    fronts before and two after, is over `max_change` (m2) or an outlier by 2. A front that is wrong alone is far from
    all four; one that stays moved is not. Zhang et al. 2023, doi:10.5194/tc-17-3485-2023; the two limits are theirs
    to choose per glacier, the neighbours ours. Lengths and areas on the ground. Raises ValueError for degrees, or
    without rgi_id or time.
    """
    metres(fronts)
    if missing := {"rgi_id", "time"} - set(fronts):
        raise ValueError(f"fronts lack {', '.join(sorted(missing))}: add them with fronts.assign(...)")
    frame = fronts if bedrock is None else off_bedrock(fronts, bedrock)
    frame = frame.sort_values("time", kind="stable").reset_index(drop=True)
    ground = scale(frame)
    frame["complexity"] = [complexity(line) if line else np.nan for line in frame.geometry]
    frame["length_m"] = frame.length / np.sqrt(ground)
    frame["change_m2"], frame["note"] = np.nan, ""
    groups = frame.groupby("rgi_id", sort=False, dropna=False).indices
    for rows in tqdm(groups.values(), desc="fronts screened", delay=2, leave=False):
        there = frame.geometry[rows].map(bool).to_numpy() & ~frame.geometry[rows].isna().to_numpy()
        frame.loc[rows[~there], "note"] = "no front"
        rows = rows[there]
        lines = frame.geometry[rows].to_numpy()
        gaps = np.full((len(rows), 5), np.inf)
        for step in (1, 2):
            between = [area_between(a, b) for a, b in zip(lines[:-step], lines[step:], strict=True)]
            gaps[step:, step], gaps[: len(between), step + 2] = between, between
        change = gaps.min(axis=1, initial=np.inf) / ground[rows]
        change = np.where(np.isfinite(change), change, np.nan)
        length = frame.length_m[rows].to_numpy()
        frame.loc[rows, "change_m2"] = change
        for reason, wrong in (
            ("moved too far", outliers(change) | (change > max_change)),
            ("length", outliers(length, 1.5, both=True) | (length < min_length)),
            ("complexity", outliers(frame.complexity[rows].to_numpy())),
        ):
            frame.loc[rows[wrong], "note"] = reason
    frame.attrs = {**fronts.attrs, "citation": AUTOTERM}
    return frame


def confidence(fronts: gpd.GeoDataFrame, front: xr.DataArray, ice: xr.DataArray | None = None) -> gpd.GeoDataFrame:
    """CALFIN's tests of fronts traced on a front map: columns edge, beside, mask (0-1), length_px, note.

    front: probability (y, x); within 7 pixels of a line, edge is its mean where above 0.25 (0.525 or more passes),
    beside its mean elsewhere (0.13 or less). ice: probability (y, x) of land ice, mask the mean certainty
    max(p, 1 - p) there (0.875 or more). length_px: 32 pixels or more. Cheng et al. 2021, doi:10.5194/tc-15-1663-2021,
    and its released code; where each mean is taken is a plain choice, and the ratio of mask to edge is left out.
    """
    geobox = front.odc.geobox
    values, pixel = front.values, abs(geobox.resolution.x)
    rows = []
    for line in fronts.to_crs(str(geobox.crs)).geometry:
        drawn = rasterio.features.rasterize([line], geobox.shape, transform=geobox.affine, all_touched=True)
        near = ndimage.binary_dilation(drawn, np.ones((15, 15))) & ~np.isnan(values)
        high = near & (values > 0.25)
        edge = values[high].mean() if high.any() else 0.0
        beside = values[near & ~high].mean() if (near & ~high).any() else 0.0
        sure = np.nan if ice is None else np.nanmean(np.maximum(ice.values, 1 - ice.values)[near])
        length = line.length / pixel
        tests = {"edge": edge < 0.525, "beside": beside > 0.13, "mask": sure < 0.875, "length": length < 32}
        rows.append((edge, beside, sure, length, ", ".join(name for name, failed in tests.items() if failed)))
    facts = pd.DataFrame(rows, columns=["edge", "beside", "mask", "length_px", "note"], index=fronts.index)
    return fronts.assign(**facts)


def recalled(outlines: gpd.GeoDataFrame, inventory: gpd.GeoDataFrame, buffer: float = 0.0) -> gpd.GeoDataFrame:
    """Outlines inside each inventory outline, widened by `buffer` (m) but not into a neighbour: no glacier has grown.

    Columns as `vectorize.split` with inventory_m2 and recall (0-1): the share of its outline that is mapped.
    Diaconu et al. 2023 (TCCML at NeurIPS) measure at both dates so, DL4GAM with 20 m. What grew is not seen: read
    `beyond` beside it.
    """
    metres(inventory)
    shapes = inventory.geometry.make_valid()
    regions = inventory[["rgi_id"]].set_geometry(_around(shapes, buffer).union(shapes), crs=inventory.crs)
    frame = vectorize.split(outlines, regions)
    sizes = pd.Series(shapes.area.to_numpy() / scale(inventory), inventory.rgi_id).groupby(level=0).sum()
    frame["inventory_m2"] = frame.rgi_id.map(sizes)
    inside = vectorize.split(outlines, inventory) if buffer else frame
    key = ["rgi_id", *(["time"] if "time" in frame else [])]
    frame["recall"] = frame.set_index(key).index.map(inside.groupby(key).area_m2.sum()) / frame.inventory_m2
    return frame


def beyond(
    outlines: gpd.GeoDataFrame, inventory: gpd.GeoDataFrame, rings: Sequence[float] = (0.0, 10.0, 20.0, 50.0)
) -> pd.DataFrame:
    """Mapped ice around each inventory outline, in rings (m) that spare its neighbours: false positives, or growth.

    Columns rgi_id, time, from_m, to_m, area_m2. Diaconu et al. 2023 report 0-10, 10-20 and 20-50 m.
    """
    metres(inventory)
    shapes = inventory.geometry.make_valid()
    found = []
    for low, high in itertools.pairwise(rings):
        ring = _around(shapes, high).difference(shapes.buffer(low))
        part = vectorize.split(outlines, inventory[["rgi_id"]].set_geometry(ring, crs=inventory.crs))
        found.append(pd.DataFrame(part.drop(columns="geometry")).assign(from_m=low, to_m=high))
    table = pd.concat(found, ignore_index=True)
    return table[["rgi_id", *(["time"] if "time" in table else []), "from_m", "to_m", "area_m2"]]


def changes(
    table: pd.DataFrame, recall: pd.Series | None = None, least_recall: float = 0.75, least_signal: float = 1.0
) -> pd.DataFrame:
    """DL4GAM's filters on a table of `change.area`: columns signal_to_noise, recall, note.

    signal_to_noise: change over half its interval, `least_signal` or more passes. recall: of each rgi_id (the first
    date's in `recalled`), `least_recall` or more. Both limits are plain choices. The region's rows are no glacier's.
    Diaconu et al. 2025, doi:10.1029/2025EA004197.
    """
    half = (table.change_upper_m2 - table.change_lower_m2) / 2
    signal = (table.change_m2.abs() / half.where(half > 0)).where(table.rgi_id != "region")
    known = table.rgi_id.map(recall) if recall is not None else pd.Series(np.nan, table.index)
    note = np.where(known < least_recall, "recall", np.where(signal < least_signal, "signal to noise", ""))
    return table.assign(signal_to_noise=signal, recall=known, note=note)


def extrapolated(table: pd.DataFrame, inventory: pd.DataFrame, classes: Sequence[float] = CLASSES) -> pd.DataFrame:
    """Change of all of `inventory` (rgi_id, area_m2) from the glaciers in `table` (rgi_id, change_m2), by size class.

    A class (km2, lower bound in) loses or gains the same share of its area as its glaciers in `table` do; one
    without any has NaN. Columns from_km2, to_km2, n, n_all, area_m2 (of all), percent (of it), change_m2; the last
    row sums. Diaconu et al. 2025, doi:10.1029/2025EA004197.
    """
    sizes = inventory.groupby("rgi_id").area_m2.sum()
    known = table.dropna(subset="change_m2").set_index("rgi_id").change_m2
    known = known[known.index.isin(sizes.index)]
    rows = []
    for low, high in itertools.pairwise(classes):
        mine = sizes[(sizes >= low * 1e6) & (sizes < high * 1e6)]
        part = known[known.index.isin(mine.index)]
        share = part.sum() / mine[part.index].sum() if len(part) else np.nan
        rows.append(
            (low, high, len(part), len(mine), mine.sum(), 100 * share, share * mine.sum() if len(mine) else 0.0)
        )
    frame = pd.DataFrame(rows, columns=["from_km2", "to_km2", "n", "n_all", "area_m2", "percent", "change_m2"])
    total = frame[["n", "n_all", "area_m2"]].sum().to_dict() | {"change_m2": frame.change_m2.sum(skipna=False)}
    total |= {"from_km2": classes[0], "to_km2": classes[-1], "percent": 100 * total["change_m2"] / total["area_m2"]}
    return pd.concat([frame, pd.DataFrame([total])[frame.columns]], ignore_index=True).astype({"n": int, "n_all": int})


def _around(shapes: gpd.GeoSeries, buffer: float) -> gpd.GeoSeries:
    """Each outline widened by `buffer`, without its neighbours' outlines."""
    wide = shapes.buffer(buffer) if buffer else shapes
    tree, out = shapes.sindex, []
    for n, shape in enumerate(wide):
        others = [k for k in tree.query(shape, predicate="intersects") if k != n]
        out.append(shape.difference(shapes.iloc[others].union_all()) if others and buffer else shape)
    return gpd.GeoSeries(out, index=shapes.index, crs=shapes.crs)


def _longest(line: shapely.Geometry) -> shapely.Geometry:
    return max(shapely.get_parts(shapely.line_merge(line)), key=shapely.length)
