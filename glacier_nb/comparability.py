"""Whether two dates can be compared: snow off the ice, debris, sensor, resolution and image shift beside each change.

Fresh snow makes a debris-covered glacier appear and debris that spreads makes one vanish, whatever the ice did
(Diaconu et al., review chapter, figures 6 and 7). `look` keeps two bytes a pixel of each date, `flagged` compares them.

Without a source, plain or ours: `flagged`.
"""

import dataclasses
from collections.abc import Sequence

import geopandas as gpd
import numpy as np
import pandas as pd
import rasterio.features
import xarray as xr
from scipy import ndimage

from glacier_nb import corrections, sensors, vectorize

UNSEEN, GROUND, SNOW, WATER, ICE, BRIGHT, DEBRIS = range(7)
"""What `look` tells of a pixel: SNOW on ground, ICE, BRIGHT ice (as new snow is), DEBRIS-covered ice."""

NDSI, DARK = 0.4, 0.11
"""Snow: NDSI over 0.4 and near infrared over 0.11, which water is not (Hall et al. 1995, 10.1016/0034-4257(95)00137-P).
"""
NEW = 0.6
"""Near infrared over which ice is under new snow: clean ice reflects 0.3-0.46, firn 0.43-0.69, new snow 0.75-0.98
(Cuffey and Paterson 2010, table 5.2). Counts only where the other date holds no ice."""
RING = 500.0
"""Ground this near to a glacier (m) tells whether snow lay around it."""
LEAST = 100
"""Pixels of ground that a share of snow is made of; under that it is unknown."""
TILE = 256
"""Side (pixels) of the tiles that are laid over one another."""


@dataclasses.dataclass(frozen=True)
class Limit:
    """A difference between two dates: past `most` either way, a change is told with `words` (the row's columns)."""

    column: str
    most: float
    words: str
    reason: str


LIMITS = (
    Limit("snow_difference", 0.05,
          "snow (or an advance) on {snow:.0%} of the ground around it, {snow_since:.0%} at {since:%Y-%m-%d}",
          "analysts differ by 5 % on clean ice (Paul et al. 2013); snow that is taken for ice errs by no less"),
    Limit("debris_difference", 0.05, "debris on {debris:.0%} of the ice, {debris_since:.0%} at {since:%Y-%m-%d}",
          "analysts differ by 30 % under debris (Paul et al. 2013): 1.5 % of the glacier, what the Alps lose in a year"
          " (1.3 %, Paul et al. 2020, doi:10.5194/essd-12-1805-2020)"),
    Limit("sensor_difference", 0.0, "{sensor} against {sensor_since}",
          "other bands and another light move the margin by more than one sensor's noise"),
    Limit("resolution_ratio", 1.5, "pixels of {resolution_m:g} m against {resolution_since_m:g} m",
          "half a pixel along the margin is the interval: past 1.5 one date alone makes nearly all of it"),
    Limit("shift_px", 0.5, "images {shift_m:.0f} m apart",
          "the interval holds half a pixel along the margin; Sentinel-2 scenes lie within 0.3 of one another"),
)  # fmt: skip
"""Every limit with its reason, in the order in which they are told."""


def look(scene: xr.Dataset, zones: xr.DataArray) -> xr.Dataset:
    """What comparing a date needs of it: surface (uint8, see UNSEEN ... DEBRIS) and image (uint8), dims y, x.

    `scene` as `composite.late_summer` makes, `zones` (zone, y, x) mapped from it. attrs: time, sensor, system,
    resolution (m, of the sensor's finest band or the grid, whichever is coarser), debris and snow (whether the map and
    the scene can tell them). Without green, short-wave and near infrared no snow is seen. Snow as
    Hall et al. 1995 have it, new snow on ice by Cuffey and Paterson 2010, table 5.2.
    """
    probability = vectorize.glacier_probability(zones).compute()
    best = zones.values.argmax(0)  # a NaN wins, and is unseen below
    names = [str(name) for name in zones.zone.values]
    of = [DEBRIS if name == "debris cover" else WATER if name in (*vectorize.WATER, "lake") else GROUND
          for name in names]  # fmt: skip
    kind = np.array(of, "uint8")[best]
    ice = probability.values > 0.5
    surface = np.where(ice & (kind != DEBRIS), ICE, np.where(ice | (kind != DEBRIS), kind, GROUND)).astype("uint8")
    short = next((name for name in ("swir16", "swir22") if name in scene), None)
    snow = short is not None and {"green", "nir"} <= set(scene.data_vars)
    if snow:
        green, far, near = (scene[name].values.astype("float32") for name in ("green", short, "nir"))
        white = (green - far > NDSI * (green + far)) & (near > DARK)
        surface[(surface == GROUND) & white] = SNOW
        surface[(surface == ICE) & (near > NEW)] = BRIGHT
    band = next((name for name in ("red", "nir", "green", "vv", "hh") if name in scene), None)
    image = np.zeros(surface.shape, "uint8")
    if band is not None:
        values = scene[band].values
        low, high = np.nanquantile(values[::4, ::4], (0.02, 0.98)) if np.isfinite(values[::4, ::4]).any() else (0, 1)
        image = np.nan_to_num(1 + 254 * np.clip((values - low) / max(high - low, 1e-9), 0, 1)).astype("uint8")
    surface[~np.isfinite(probability.values)] = UNSEEN
    image[surface == UNSEEN] = 0
    sensor = str(scene.attrs.get("sensor", zones.attrs.get("sensor", "")))
    try:
        resolution = sensors.sensor_row(sensor).resolution
    except LookupError:  # a scene of the user's own
        resolution = 0.0
    pixel = float(abs(zones.odc.geobox.resolution.x))
    facts = {"time": str(zones.attrs.get("time", scene.attrs.get("time", ""))), "sensor": sensor, "snow": snow}
    facts |= {"system": str(zones.attrs.get("system", "")), "resolution": max(resolution, pixel)}
    layers = {name: probability.copy(data=data) for name, data in (("surface", surface), ("image", image))}
    return xr.Dataset(layers, attrs=facts | {"debris": "debris cover" in names})


@dataclasses.dataclass(frozen=True)
class Shift:
    """How far the second image lies from the first: metres east and north, spread (m, normalised median deviation) over
    `tiles`; NaN where no tile shows enough bare ground."""

    east: float
    north: float
    spread: float
    tiles: int


def shift(first: xr.Dataset, second: xr.Dataset) -> Shift:
    """Sub-pixel shift between `first` and `second`, two of `look`, by phase correlation over bare ground that both saw.

    Per tile the peak of the cross-correlation of high-passed images (Guizar-Sicairos et al. 2008,
    doi:10.1364/OL.33.000156, a twentieth of a pixel), then the median over tiles.
    """
    from skimage.registration import phase_cross_correlation

    bare = (first.surface.values == GROUND) & (second.surface.values == GROUND)
    images = [_high(one.image.values, bare) for one in (first, second)]
    found, (height, width) = [], bare.shape
    for y in range(0, max(height - TILE // 2, 1), TILE):
        for x in range(0, max(width - TILE // 2, 1), TILE):
            part = np.s_[y : y + TILE, x : x + TILE]
            if bare[part].mean() < 0.1:
                continue
            a, b = (image[part] for image in images)
            if a.std() > 0 and b.std() > 0:
                found.append(phase_cross_correlation(a, b, upsample_factor=20, normalization=None)[0])
    if not found:
        return Shift(np.nan, np.nan, np.nan, 0)
    affine = first.odc.geobox.affine
    middle = np.median(found, axis=0)
    spread = 1.4826 * np.median(np.abs(np.array(found) - middle), axis=0).max() * abs(affine.a)
    return Shift(float(-middle[1] * affine.a), float(-middle[0] * affine.e), float(spread), len(found))


def flagged(
    table: pd.DataFrame,
    looks: Sequence[xr.Dataset],
    outlines: gpd.GeoDataFrame,
    known: Sequence[xr.Dataset] | None = None,
    limits: Sequence[Limit] = LIMITS,
) -> pd.DataFrame:
    """`table` of `change.area` with what differs between each row's date and `since`, and `caution` in plain words.

    `looks`: `look` of each date on one grid; `outlines` (rgi_id, time) those of the table; `known`: looks by a system
    that tells debris cover, where that of `looks` does not (default: these).

    Columns: snow_difference (share of the ground within RING of the glacier, neither water nor ice at both dates, that
    is under snow: seen so, or ice as bright as new snow, or ice that only the later date has, for snow makes kilometres
    of that in a day and a glacier metres in a year), debris_difference (share of its ice), sensor_difference (0 or 1),
    resolution_ratio (coarser over finer), shift_px and shift_m (over the coarser pixel; of the whole image), debris_m2
    and caution ("" where none is past its limit; the region's also counts the glaciers that have one). debris_m2 is the
    part of change_m2 that debris growth explains: ground that `known` holds for clean ice at `since`, for debris cover
    later, up to this date, and that the table's system had as ice and lost: negative; positive the other way round.
    NaN where a date has no look or a look cannot tell. Moments are of UTC. ValueError: looks on several grids.
    """
    known = looks if known is None else known
    if any(one.odc.geobox != looks[0].odc.geobox for one in (*looks, *known)):
        raise ValueError("looks on several grids: make them of maps and scenes on one GeoBox")
    mine, theirs = ({_moment(one.attrs["time"]): one for one in some} for some in (looks, known))
    labels = _labels(outlines, looks[0]) if len(looks) else None
    found = {}
    ends = [[_moment(one) for one in table[name]] for name in ("since", "time")]
    for since, time in {*zip(*ends, strict=True)}:
        if since in mine and time in mine:
            between = [theirs[day] for day in sorted(theirs) if min(since, time) <= day <= max(since, time)]
            between = between[::-1] if since > time else between
            found[since, time] = _differences(mine[since], mine[time], between, *labels)
    rows = []
    for rgi_id, since, time in zip(corrections.ids(table), *ends, strict=True):
        facts, ids = found.get((since, time), ({}, []))
        at = len(ids) if rgi_id == "region" else ids.get(rgi_id, -1) if facts else -1
        rows.append({name: values if np.ndim(values) == 0 else values[at] if at >= 0 else np.nan
                     for name, values in facts.items()})  # fmt: skip
    facts = pd.DataFrame(rows, index=table.index)
    columns = [*dict.fromkeys(limit.column for limit in limits), "shift_m", "debris_m2"]
    facts = facts.reindex(columns=[*columns, *(name for name in facts if name not in columns)])
    words = pd.Series("", index=table.index)
    told = facts.assign(since=table.since)
    for limit in limits:
        past = told[limit.column].abs() > limit.most
        words[past] += [limit.words.format(**row) + "; " for row in told[past].to_dict("records")]
    words = words.str.removesuffix("; ")
    one = table.rgi_id != "region"
    some, all_ = (
        (words[one] != "").groupby(table.time[one]).agg(how).reindex(table.time[~one]) for how in ("sum", "size")
    )
    count = [f"{n:.0f} of {m:.0f} glaciers have one" if n > 0 else "" for n, m in zip(some, all_, strict=True)]
    words[~one] = [both.strip("; ") for both in words[~one] + "; " + count]
    made = table.assign(**{name: facts[name] for name in columns}, caution=words)
    made.attrs = {**table.attrs, "limits": {limit.column: limit.most for limit in limits}}
    return made


def _moment(time) -> pd.Timestamp:
    """A date or moment, of UTC: looks and tables are met by it."""
    return corrections.naive(pd.Series([time]))[0]


def _high(image: np.ndarray, bare: np.ndarray) -> np.ndarray:
    """What is finer than some pixels on bare ground, 0 elsewhere."""
    some = bare.astype("float32")
    weight = ndimage.uniform_filter(some, 15)
    mean = ndimage.uniform_filter(image * some, 15) / np.maximum(weight, 1e-3)
    return (image - mean) * some


def _labels(outlines: gpd.GeoDataFrame, like: xr.Dataset) -> tuple[np.ndarray, np.ndarray, dict]:
    """Number of the glacier (1 on; 0: none) inside any date's outline, and within RING of it; numbers less 1 by id."""
    geobox = like.odc.geobox
    ids = corrections.ids(outlines)
    names = sorted(ids.unique())
    number = {name: n for n, name in enumerate(names)}
    here = outlines.to_crs(str(geobox.crs))
    shapes = [(shape, number[name] + 1) for shape, name in zip(here.geometry, ids, strict=True) if shape]
    inside = np.zeros(geobox.shape, "int32")
    if shapes:
        rasterio.features.rasterize(shapes, out=inside, transform=geobox.affine)
    away, nearest = ndimage.distance_transform_edt(inside == 0, return_indices=True)
    around = np.where(away * abs(geobox.resolution.x) <= RING, inside[tuple(nearest)], 0)
    return inside, around, number


def _differences(
    first: xr.Dataset, second: xr.Dataset, between: list[xr.Dataset], inside: np.ndarray, around: np.ndarray, ids: dict
) -> tuple[dict, dict]:
    """What differs, each a number or an array by glacier with the region last; and the glaciers' places in it."""
    a, b = first.surface.values, second.surface.values
    icy = [side >= ICE for side in (a, b)]
    seen = (a != UNSEEN) & (b != UNSEEN)
    pixel = abs(first.odc.geobox.resolution.x * first.odc.geobox.resolution.y)

    def sums(mask: np.ndarray, labels: np.ndarray) -> np.ndarray:
        counts = np.bincount(labels[mask], minlength=len(ids) + 1)[1:].astype(float)
        return np.append(counts, counts.sum())

    ground = seen & (a != WATER) & (b != WATER) & ~(icy[0] & icy[1])
    whole = sums(ground, around)
    later = [pd.Timestamp(one.attrs["time"]) > pd.Timestamp(other.attrs["time"])
             for one, other in ((first, second), (second, first))]  # fmt: skip
    white = [
        (side == SNOW) | (side == BRIGHT) | (ice & last) for side, ice, last in zip((a, b), icy, later, strict=True)
    ]
    snow = [sums(ground & side, around) / np.where(whole >= LEAST, whole, np.nan) if one.attrs["snow"] else np.nan
            for one, side in zip((first, second), white, strict=True)]  # fmt: skip
    debris = []
    for one, side, ice in ((first, a, icy[0]), (second, b, icy[1])):
        all_ice = sums(seen & ice, inside)
        share = sums(seen & (side == DEBRIS), inside) / np.where(all_ice > 0, all_ice, np.nan)
        debris.append(share if one.attrs["debris"] else np.nan)
    covered = np.nan
    if len(between) and all(one.attrs["debris"] for one in between):
        clean = [np.isin(one.surface.values, (ICE, BRIGHT)) for one in (between[0], between[-1])]
        after, before = (np.any([one.surface.values == DEBRIS for one in some] or [np.zeros(a.shape, bool)], axis=0)
                         for some in (between[1:], between[:-1]))  # fmt: skip
        lost, won = seen & icy[0] & ~icy[1], seen & ~icy[0] & icy[1]
        covered = (sums(won & clean[1] & before, inside) - sums(lost & clean[0] & after, inside)) * pixel
    moved = Shift(0.0, 0.0, 0.0, 0) if first is second else shift(first, second)
    pixels = [one.attrs["resolution"] for one in (first, second)]
    facts = {
        "snow": snow[1], "snow_since": snow[0], "snow_difference": snow[1] - snow[0],
        "debris": debris[1], "debris_since": debris[0], "debris_difference": debris[1] - debris[0],
        "sensor": second.attrs["sensor"], "sensor_since": first.attrs["sensor"],
        "sensor_difference": float(first.attrs["sensor"] != second.attrs["sensor"]),
        "resolution_m": pixels[1], "resolution_since_m": pixels[0], "resolution_ratio": max(pixels) / min(pixels),
        "shift_m": float(np.hypot(moved.east, moved.north)),
        "shift_px": float(np.hypot(moved.east, moved.north)) / max(pixels), "debris_m2": covered,
    }  # fmt: skip
    return facts, ids
